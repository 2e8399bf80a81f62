//! What a leg describes itself with: a port of its own, keys, or its side of a WebRTC stream.

use super::leg::LegIo;
use super::{Owner, WayMedia, World};
use std::net::SocketAddr;
use std::sync::Arc;
use strowger_core::{LegSeq, Stamp};
use strowger_media::{
    CallKey, Fingerprint, IceCredentials, LocalWebRtc, MasterKey, MediaError, Security, Suite, WebRtc,
};
use strowger_sip_core::sdp::{
    self, Carriage, Codec, IceDtls, KEY_MATERIAL, LocalMedia, LocalVideo, Negotiated, Protection, Session, Setup, Srtp,
};
use strowger_sip_core::{IncomingInvite, Transport};

/// Our side of a WebRTC stream.
#[derive(Clone, Debug)]
pub(super) struct Web {
    /// As the description says it.
    pub side: IceDtls,
    /// The default candidate.
    pub address: SocketAddr,
    /// The sources of a video that we send, and of its repetitions.
    pub video: [u32; 2],
}

impl Web {
    fn of(local: LocalWebRtc) -> Option<Web> {
        let address = local.candidates.last()?.address;
        let candidates = local.candidates.iter().zip(1u32..).map(|(c, foundation)| {
            let a = c.address;
            // RFC 8445 section 5.1.2.1 with the recommended type preferences and one component.
            match c.base {
                None => format!(
                    "candidate:{foundation} 1 udp {} {} {} typ host",
                    (126u32 << 24) + (65_535 << 8) + 255,
                    a.ip(),
                    a.port()
                ),
                Some(base) => format!(
                    "candidate:{foundation} 1 udp {} {} {} typ srflx raddr {} rport {}",
                    (100u32 << 24) + (65_535 << 8) + 255,
                    a.ip(),
                    a.port(),
                    base.ip(),
                    base.port()
                ),
            }
        });
        Some(Web {
            video: local.video,
            address,
            side: IceDtls {
                candidates: candidates.collect(),
                ufrag: local.credentials.ufrag,
                pwd: local.credentials.pwd,
                lite: local.lite,
                fingerprint: (local.fingerprint.hash, local.fingerprint.value),
                setup: Setup::ActPass,
            },
        })
    }
}

/// The ends of a stream that we have.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    /// A port pair.
    pub rtp: Option<SocketAddr>,
    /// Our side of a WebRTC stream; then that is what is described.
    pub web: Option<Web>,
    /// Keys.
    pub srtp: Srtp,
}

impl Ends {
    /// Ends that are nowhere, to find out whether an offer could be answered.
    pub fn imagined() -> Ends {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        Ends {
            rtp: Some(address),
            web: Some(Web {
                video: [0; 2],
                address,
                side: IceDtls {
                    ufrag: String::new(),
                    pwd: String::new(),
                    lite: true,
                    fingerprint: Default::default(),
                    setup: Setup::ActPass,
                    candidates: Vec::new(),
                },
            }),
            srtp: Srtp::Accepted([0; KEY_MATERIAL]),
        }
    }

    /// What we say about our side; `None` without any end.
    pub fn local(&self, codecs: Vec<Codec>, session_id: u64, version: u64) -> Option<LocalMedia> {
        let rtp = self.web.as_ref().map(|w| w.address).or(self.rtp)?;
        Some(LocalMedia {
            codecs,
            version,
            srtp: self.srtp.clone(),
            webrtc: self.web.as_ref().map(|w| Box::new(w.side.clone())),
            ..LocalMedia::g711(rtp, session_id)
        })
    }

    /// How the media engine is to protect what was agreed; `None` if it cannot.
    pub fn security(&self, agreed: &Negotiated) -> Option<Security> {
        Some(match &agreed.protection {
            Protection::None => Security::None,
            Protection::Srtp { send, receive } => {
                let key = |c: &sdp::Crypto| MasterKey::new(Suite::of_name(c.suite)?, &c.key);
                Security::Sdes {
                    send: key(send)?,
                    receive: key(receive)?,
                }
            }
            Protection::WebRtc {
                remote,
                active,
                offered,
            } => {
                let own = &self.web.as_ref()?.side;
                let credentials = |side: &IceDtls| IceCredentials {
                    ufrag: side.ufrag.clone(),
                    pwd: side.pwd.clone(),
                };
                let (hash, value) = remote.fingerprint.clone();
                Security::WebRtc(Arc::new(WebRtc {
                    local: credentials(own),
                    remote: credentials(remote),
                    fingerprint: Fingerprint { hash, value },
                    candidates: remote.candidates.clone(),
                    active: *active,
                    // RFC 8445 section 6.1.1.
                    controlling: !own.lite && (*offered || remote.lite),
                }))
            }
        })
    }

    /// Remembers what an agreement fixes for the rest of the session: our role in the handshake, and that there are keys.
    pub fn settle(&mut self, protection: &Protection) {
        match (protection, &mut self.web) {
            (Protection::WebRtc { active, .. }, Some(web)) => {
                web.side.setup = if *active { Setup::Active } else { Setup::Passive };
            }
            (Protection::Srtp { .. }, _) => {
                if let Srtp::Accepted(material) = self.srtp {
                    self.srtp = Srtp::Optional(material);
                }
            }
            _ => {}
        }
    }
}

/// What an offer, or the lack of one, asks us to have.
pub(super) fn asked_for(invite: &IncomingInvite) -> Carriage {
    match invite.sdp.as_deref().and_then(|body| sdp::parse(body).ok()) {
        Some(offer) => sdp::check_offer(&offer).unwrap_or(Carriage::Rtp),
        None if matches!(invite.source.transport, Transport::Ws | Transport::Wss) => Carriage::WebRtc,
        None => Carriage::Rtp,
    }
}

/// Random octets for keys.
fn material(world: &dyn World) -> [u8; KEY_MATERIAL] {
    let mut octets = [0; KEY_MATERIAL];
    for chunk in octets.chunks_mut(16) {
        let random = world.random().to_be_bytes();
        chunk.copy_from_slice(&random[..chunk.len()]);
    }
    octets
}

/// Makes the end that a far side needs.
pub(super) fn open(
    carriage: Carriage,
    media: WayMedia,
    call: CallKey,
    leg: u16,
    world: &dyn World,
) -> Result<Ends, MediaError> {
    let keys = material(world);
    let mut ends = Ends {
        srtp: match media {
            WayMedia::SrtpOptional => Srtp::Optional(keys),
            WayMedia::SrtpRequired => Srtp::Required(keys),
            WayMedia::Rtp | WayMedia::WebRtc => Srtp::Accepted(keys),
        },
        ..Ends::default()
    };
    match carriage {
        Carriage::Rtp | Carriage::Srtp => ends.rtp = Some(world.open_media(call, leg)?),
        Carriage::WebRtc => ends.web = Web::of(world.open_webrtc(call, leg)?),
    }
    Ok(ends)
}

impl LegIo {
    pub fn local(&self, codecs: Vec<Codec>) -> Option<LocalMedia> {
        self.ends.local(codecs, self.session_id, self.version)
    }

    /// An offer of ours inside the session.
    pub fn renewed_offer(&self, codecs: Vec<Codec>, video: Option<Box<LocalVideo>>) -> Option<Session> {
        let local = LocalMedia {
            video,
            ..self.local(codecs)?
        };
        Some(match &self.described {
            Some(before) => sdp::offer_again(&local, before),
            None => sdp::offer(&local),
        })
    }
}

impl Owner {
    /// The ends that a way needs, made where they are missing; `None` if there is no room.
    pub(super) fn ends_for(&mut self, i: usize, media: WayMedia, world: &dyn World) -> Option<Ends> {
        let key = self.key();
        let io = &mut self.legs[i];
        let known = io.pair;
        let made = match media {
            WayMedia::WebRtc => world.open_webrtc(key, i as u16).map(|local| Ends {
                web: Web::of(local),
                ..Ends::default()
            }),
            WayMedia::Rtp | WayMedia::SrtpOptional | WayMedia::SrtpRequired => {
                let rtp = known.map_or_else(|| world.open_media(key, i as u16), Ok);
                rtp.map(|rtp| Ends {
                    rtp: Some(rtp),
                    web: None,
                    srtp: match media {
                        WayMedia::SrtpOptional => Srtp::Optional(material(world)),
                        WayMedia::SrtpRequired => Srtp::Required(material(world)),
                        WayMedia::Rtp | WayMedia::WebRtc => Srtp::Off,
                    },
                })
            }
        };
        match made {
            Ok(ends) => {
                io.opened = true;
                io.pair = io.pair.or(ends.rtp);
                Some(ends)
            }
            Err(error) => {
                tracing::warn!(code = error.code(), "no media for a way to a party: {error}");
                None
            }
        }
    }

    /// Before an offer inside a session is answered: the end that it asks for, and new credentials if the far side has new
    /// ones, whose network has changed (RFC 8445 section 9).
    pub(super) fn prepare_for(&mut self, i: usize, offer: &Session, world: &dyn World) -> Ends {
        let mut ends = self.legs[i].ends.clone();
        let Some((_, media)) = offer.audio() else { return ends };
        let (key, leg) = (self.key(), LegSeq(i as u16));
        match media.carriage() {
            Some(Carriage::WebRtc) => {
                let theirs = IceDtls::of(offer, media).map(|side| (side.ufrag, side.pwd));
                let known = self.legs[i].agreed.as_ref().and_then(|a| match &a.protection {
                    Protection::WebRtc { remote, .. } => Some((remote.ufrag.clone(), remote.pwd.clone())),
                    _ => None,
                });
                if ends.web.is_none() || known != theirs {
                    let role = ends.web.as_ref().map_or(Setup::ActPass, |w| w.side.setup);
                    let sources = ends.web.as_ref().map(|w| w.video);
                    match world.open_webrtc(key, leg.0) {
                        Ok(local) => ends.web = Web::of(local),
                        Err(error) => tracing::warn!(code = error.code(), "no media for a restart: {error}"),
                    }
                    if let Some(web) = &mut ends.web {
                        web.side.setup = role;
                        // The streams go on under their names.
                        web.video = sources.unwrap_or(web.video);
                    }
                }
            }
            Some(_) => {
                ends.web = None;
                if ends.rtp.is_none() {
                    ends.rtp = world.open_media(key, leg.0).ok();
                }
            }
            None => {}
        }
        ends
    }

    /// A browser is not heard any more: its page is being loaded again, or its network has changed. The talk is kept for a
    /// while, with music for the other party; a new INVITE of the page takes the leg's place (RFC 3891), or ICE finds it.
    pub(super) fn browser_gone(&mut self, i: usize, world: &dyn World, now: Stamp) {
        let Some(io) = self.legs.get_mut(i) else { return };
        if io.in_dialog && io.agreed.is_some() && io.away_until.is_none() {
            io.away_until = Some(now.plus_secs(world.browser_grace_secs()));
            self.hold_facts(i, world, now);
        }
    }

    /// It is heard again.
    pub(super) fn browser_back(&mut self, i: usize, world: &dyn World, now: Stamp) {
        let Some(io) = self.legs.get_mut(i) else { return };
        if io.away_until.take().is_some() {
            self.hold_facts(i, world, now);
        }
    }
}
