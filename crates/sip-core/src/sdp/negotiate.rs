//! Offer and answer (RFC 3264) for one audio stream, and in a WebRTC session for one video stream beside it. Other streams of an
//! offer are refused with port 0 (§6).

use super::secure::{answer_crypto, cryptos};
use super::video::{self, AgreedVideo, AgreedVideoCodec, LocalVideo, VideoSide, Written};
use super::{Carriage, Codec, Connection, Direction, IceDtls, Media, Protection, Session, Setup, Srtp, attribute};
use std::net::{IpAddr, SocketAddr};

/// What we say about our side of the stream, in an offer or in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// Address and port at which we receive RTP; of WebRTC, the default candidate.
    pub rtp: SocketAddr,
    /// What we do about SRTP with keys in the description.
    pub srtp: Srtp,
    /// Our side of a WebRTC stream: what is offered, and what an offer of that kind is answered with. Its `setup` is the
    /// role that we have already, `actpass` if we have none. An answer to another kind of offer does not need it.
    pub webrtc: Option<Box<IceDtls>>,
    /// The video beside a WebRTC audio stream; `None` offers and takes none.
    pub video: Option<Box<LocalVideo>>,
    /// Codecs, most preferred first, without telephone events.
    pub codecs: Vec<Codec>,
    /// Payload type of telephone events (RFC 4733) at the first codec's clock; other clocks get free numbers. `None` does
    /// without. In an answer the offer's number wins.
    pub dtmf: Option<u8>,
    /// Packet time in ms.
    pub ptime: u16,
    /// What we want to do; an answer narrows it by the offer.
    pub direction: Direction,
    /// The o-line's session id.
    pub session_id: u64,
    /// The o-line's version: one more with every changed description of a dialog (§8).
    pub version: u64,
}

impl LocalMedia {
    /// PCMA, PCMU and telephone events as 101 in 20 ms packets, both ways, version 1.
    pub fn g711(rtp: SocketAddr, session_id: u64) -> LocalMedia {
        LocalMedia {
            rtp,
            srtp: Srtp::Off,
            webrtc: None,
            video: None,
            codecs: [8, 0].into_iter().filter_map(Codec::well_known).collect(),
            dtmf: Some(101),
            ptime: 20,
            direction: Direction::SendRecv,
            session_id,
            version: 1,
        }
    }
}

/// A codec that both sides have. The two payload types differ only when an answerer chooses its own numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedCodec {
    /// The encoding; `payload_type` is the one we send with, which the far side chose.
    pub codec: Codec,
    /// The payload type that we expect to receive.
    pub receive_payload_type: u8,
}

/// Telephone events as agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgreedDtmf {
    /// Payload type to send with.
    pub send: u8,
    /// Payload type to expect.
    pub receive: u8,
    /// Clock rate, that of the first codec where possible.
    pub clock_rate: u32,
}

/// What offer and answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Codecs both sides have, in the order of the answer; the first is the one to send with.
    pub codecs: Vec<AgreedCodec>,
    /// Telephone events.
    pub dtmf: Option<AgreedDtmf>,
    /// Packet time that the far side asks for, in ms.
    pub ptime: u16,
    /// Where to send RTP. The port is 0 and the address unspecified if the far side gave none that is literal.
    pub remote: SocketAddr,
    /// Where to send RTCP (RFC 3605), the next port unless written.
    pub remote_rtcp: SocketAddr,
    /// RTP and RTCP share the port (RFC 5761).
    pub rtcp_mux: bool,
    /// What flows, seen from us.
    pub direction: Direction,
    /// The far side has put us on hold: it does not want to receive, in any of the spellings.
    pub held: bool,
    /// What protects it.
    pub protection: Protection,
    /// The video beside it.
    pub video: Option<AgreedVideo>,
}

/// Why an offer cannot be accepted (respond 488), or an answer is useless (hang up).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NegotiateError {
    /// No audio stream that we can carry: plain, with keys that we have, or as browsers have it.
    #[error("no usable audio stream")]
    NoAudio,
    /// No codec in common.
    #[error("no codec in common")]
    NoCodec,
    /// The answer does not belong to the offer: streams are missing, or are of another kind or protocol.
    #[error("answer does not match the offer")]
    Mismatch,
}

/// Writes an offer.
pub fn offer(local: &LocalMedia) -> Session {
    let protocol = match (&local.webrtc, &local.srtp) {
        (Some(_), _) => "UDP/TLS/RTP/SAVPF",
        (None, Srtp::Required(_)) => "RTP/SAVP",
        (None, _) => "RTP/AVP",
    };
    let like = Media {
        kind: "audio".into(),
        port: 0,
        protocol: protocol.into(),
        formats: Vec::new(),
        connection: None,
        // A browser wants a name for every stream (RFC 8829 section 5.2.1).
        attributes: local.webrtc.iter().map(|_| "mid:0".to_owned()).collect(),
        others: Vec::new(),
    };
    let mut session = offer_like(local, &like);
    session.media.extend(offered_video(local, &session, None, "1"));
    video::bundle(&mut session);
    session
}

/// Writes an offer inside a session that a description of ours has begun: its streams keep their places and names, and
/// those that were refused stay refused (§8).
pub fn offer_again(local: &LocalMedia, before: &Session) -> Session {
    let Some((index, ours)) = before.audios().next() else {
        return offer(local);
    };
    let mut session = offer_like(local, ours);
    let audio = session.media.remove(0);
    session.media = before.media.iter().map(refused).collect();
    session.media[index] = audio;
    // A stream that was refused comes back under another name (RFC 8829 section 5.2.2).
    let fresh = format!("v{}", local.version);
    let streams = || before.media.iter().enumerate().filter(|(_, m)| video::is_video(m));
    let place = streams()
        .find(|(_, m)| m.port != 0)
        .or_else(|| streams().next())
        .map(|(at, _)| at);
    let known = place.map(|at| &before.media[at]).filter(|m| m.port != 0);
    let mid = known.and_then(|m| m.attribute("mid")).unwrap_or(&fresh);
    if let Some(media) = offered_video(local, &session, known.and(Some(before)), mid) {
        match place {
            Some(at) => session.media[at] = media,
            None => session.media.push(media),
        }
    }
    video::bundle(&mut session);
    session
}

/// The video of an offer whose audio is written already; `before` is our last description, if it had any.
fn offered_video(local: &LocalMedia, session: &Session, before: Option<&Session>, mid: &str) -> Option<Media> {
    let (own, wanted) = (local.webrtc.as_deref()?, local.video.as_deref()?);
    let (_, audio) = session.audio()?;
    let numbers: Vec<u8> = audio.formats.iter().filter_map(|f| f.parse().ok()).collect();
    let before = before
        .and_then(VideoSide::of)
        .map(|side| side.codecs)
        .unwrap_or_default();
    let codecs = video::numbered(&wanted.codecs, &numbers, &before);
    (!codecs.is_empty()).then(|| {
        video::write(&Written {
            codecs: &codecs,
            extensions: &wanted.extensions,
            direction: wanted.direction,
            ssrcs: wanted.ssrcs,
            port: local.rtp.port(),
            mid,
            transport: (own, Setup::ActPass),
        })
    })
}

/// Our answer to the video of an offer, by its index in the session.
fn answered_video(offer: &Session, local: &LocalMedia, setup: Setup) -> Option<(usize, Media, AgreedVideo)> {
    let (own, ours) = (local.webrtc.as_deref()?, local.video.as_deref()?);
    let (index, media) = video::stream(offer)?;
    let theirs = VideoSide::of(offer)?;
    let codecs = video::common(&theirs, ours);
    let extensions = video::common_extensions(&theirs.extensions, &ours.extensions);
    let direction = theirs.direction.reversed().and(ours.direction);
    if codecs.is_empty() {
        return None;
    }
    let written = video::write(&Written {
        codecs: &codecs,
        extensions: &extensions,
        direction,
        ssrcs: ours.ssrcs,
        port: local.rtp.port(),
        mid: media.attribute("mid")?,
        transport: (own, setup),
    });
    let agreed = |c: &video::VideoCodec| {
        let same = |t: &&video::VideoCodec| t.codec.payload_type == c.codec.payload_type;
        let parameters = theirs.codecs.iter().find(same)?.codec.fmtp.clone();
        let mut theirs = c.clone();
        theirs.codec.fmtp = parameters;
        Some(AgreedVideoCodec {
            receive: c.codec.payload_type,
            receive_rtx: c.rtx,
            theirs,
        })
    };
    let agreed = AgreedVideo {
        codecs: codecs.iter().filter_map(agreed).collect(),
        extensions,
        direction,
        wanted: theirs.direction,
    };
    Some((index, written, agreed))
}

fn offer_like(local: &LocalMedia, like: &Media) -> Session {
    let events = events_of(local);
    let mut session = skeleton(local);
    let mut media = audio(local, &local.codecs, &events, local.direction, like);
    match like.carriage() {
        Some(Carriage::WebRtc) => {
            if let Some(own) = &local.webrtc {
                describe_webrtc(&mut session, &mut media, own, Setup::ActPass);
            }
        }
        _ if matches!(local.srtp, Srtp::Optional(_) | Srtp::Required(_)) => {
            let lines = local.srtp.offered();
            media.attributes.extend(lines.iter().map(|c| format!("crypto:{c}")));
        }
        _ => {}
    }
    session.media.push(media);
    session
}

/// What a browser needs besides: one transport for everything, and a track that has a name.
fn describe_webrtc(session: &mut Session, media: &mut Media, own: &IceDtls, setup: Setup) {
    if own.lite {
        session.attributes.push("ice-lite".into());
    }
    own.write(setup, &mut media.attributes);
    media.attributes.push("msid:strowger audio".into());
}

/// Telephone events for every clock among the codecs (RFC 4733 section 2.1 wants that of the audio), the first codec's first.
fn events_of(local: &LocalMedia) -> Vec<Codec> {
    let Some(preferred) = local.dtmf else {
        return Vec::new();
    };
    let mut events: Vec<Codec> = Vec::new();
    let rates = local
        .codecs
        .iter()
        .filter(|c| !c.is_comfort_noise())
        .map(|c| c.clock_rate);
    for rate in rates.chain(local.codecs.is_empty().then_some(8000)) {
        if events.iter().any(|e| e.clock_rate == rate) {
            continue;
        }
        let taken = |pt: u8| local.codecs.iter().chain(&events).any(|c| c.payload_type == pt);
        let free = std::iter::once(preferred).chain(96..=127).find(|&pt| !taken(pt));
        let Some(payload_type) = free else { break };
        events.push(telephone_event(payload_type, rate));
    }
    events
}

/// Whether an offer has an audio stream that [`answer`] can take once codecs are agreed on. It is known
/// before anybody rings, the codecs are not: a call may relay what we cannot decode.
///
/// # Errors
/// [`NegotiateError::NoAudio`].
pub fn check_offer(offer: &Session) -> Result<Carriage, NegotiateError> {
    let usable = |media: &Media| match media.carriage()? {
        Carriage::Srtp if cryptos(media).is_empty() => None,
        Carriage::WebRtc => IceDtls::of(offer, media).map(|_| Carriage::WebRtc),
        carriage => Some(carriage),
    };
    offer
        .audios()
        .filter(|(_, media)| media.port != 0)
        .find_map(|(_, media)| usable(media))
        .ok_or(NegotiateError::NoAudio)
}

/// Whether an offer has an audio stream with keys that we can use.
pub fn offers_keys(offer: &Session) -> bool {
    let open = |media: &Media| matches!(media.carriage(), Some(Carriage::Rtp | Carriage::Srtp));
    let mut streams = offer.audios().filter(|(_, media)| media.port != 0 && open(media));
    streams.any(|(_, media)| !cryptos(media).is_empty())
}

/// What protects an offered stream that we answer; `None` if we cannot carry it. With it come our line of keys, or our
/// role in the handshake.
fn carried(offer: &Session, media: &Media, local: &LocalMedia) -> Option<(Protection, Own)> {
    let keys = || {
        let (send, receive) = answer_crypto(&local.srtp, media)?;
        Some((
            Protection::Srtp {
                send: send.clone(),
                receive,
            },
            Own::Keys(send.to_string()),
        ))
    };
    match (media.carriage()?, &local.srtp) {
        (Carriage::Srtp, _) => keys(),
        (Carriage::Rtp, Srtp::Required(_)) => keys(),
        // Keys on a plain stream: the far side may do with or without.
        (Carriage::Rtp, Srtp::Optional(_) | Srtp::Accepted(_)) => keys().or(Some((Protection::None, Own::Nothing))),
        (Carriage::Rtp, Srtp::Off) => Some((Protection::None, Own::Nothing)),
        (Carriage::WebRtc, _) => {
            let own = local.webrtc.as_deref()?;
            let remote = Box::new(IceDtls::of(offer, media)?);
            let active = match (remote.setup, own.setup) {
                (Setup::Passive, _) => true,
                (Setup::Active, _) => false,
                // Our role stays as it is while the session lives (RFC 8842 section 5.3).
                (Setup::ActPass, role) => role == Setup::Active,
            };
            let setup = if active { Setup::Active } else { Setup::Passive };
            let protection = Protection::WebRtc {
                remote,
                active,
                offered: false,
            };
            Some((protection, Own::Role(setup)))
        }
    }
}

/// What our answer says of protection.
enum Own {
    Nothing,
    Keys(String),
    Role(Setup),
}

/// Answers an offer. The order of codecs follows the offer (§6.1 recommends it), the payload types are the offer's. Of
/// several audio streams the first with a codec in common is taken, all others are refused.
///
/// # Errors
/// See [`NegotiateError`]; all of them mean 488.
pub fn answer(offer: &Session, local: &LocalMedia) -> Result<(Session, Negotiated), NegotiateError> {
    answer_any(offer, local, |media| media.port != 0)
}

/// Answers an offer inside a dialog, as [`answer`] does, but takes an audio stream with port 0 for a hold: old devices
/// spell it so (§8.4 warns of it). Such a stream is answered with port 0, and nothing flows until the next offer.
///
/// # Errors
/// See [`NegotiateError`]; all of them mean 488, after which the session goes on as before.
pub fn answer_again(offer: &Session, local: &LocalMedia) -> Result<(Session, Negotiated), NegotiateError> {
    answer(offer, local).or_else(|error| {
        let disabled = offer.audio().is_none();
        if !disabled {
            return Err(error);
        }
        let (mut session, negotiated) = answer_any(offer, local, |_| true)?;
        for (ours, theirs) in session.media.iter_mut().zip(&offer.media) {
            *ours = refused(theirs);
        }
        let held = Negotiated {
            direction: Direction::Inactive,
            held: true,
            video: None,
            ..negotiated
        };
        Ok((session, held))
    })
}

/// The codecs of an offered stream that we have too, comfort noise included.
fn in_common(offered: &[Codec], local: &LocalMedia) -> Vec<Codec> {
    offered
        .iter()
        .filter(|c| !c.is_telephone_event())
        .filter_map(|c| {
            // Our parameters describe what we can receive; the number is theirs.
            let ours = local.codecs.iter().find(|o| o.same_encoding(c))?;
            Some(Codec {
                fmtp: ours.fmtp.clone(),
                ..c.clone()
            })
        })
        .collect()
}

fn answer_any(
    offer: &Session,
    local: &LocalMedia,
    usable: impl Fn(&Media) -> bool,
) -> Result<(Session, Negotiated), NegotiateError> {
    let mut candidates = offer.audios().filter(|(_, media)| usable(media)).peekable();
    if candidates.peek().is_none() {
        return Err(NegotiateError::NoAudio);
    }
    let mut carriable = candidates
        .filter_map(|(index, media)| Some((index, media, carried(offer, media, local)?)))
        .peekable();
    if carriable.peek().is_none() {
        return Err(NegotiateError::NoAudio);
    }
    let (index, theirs, (protection, own), offered, common) = carriable
        .map(|(index, media, carried)| {
            let offered = media.codecs();
            let common = in_common(&offered, local);
            (index, media, carried, offered, common)
        })
        .find(|(.., common)| common.iter().any(|c| !c.is_comfort_noise()))
        .ok_or(NegotiateError::NoCodec)?;
    let rate = rate_of(&common);
    let event = local
        .dtmf
        .and_then(|_| pick_event(&offered, rate))
        .map(|e| telephone_event(e.payload_type, e.clock_rate));
    let their_direction = offer.direction_of(theirs);
    let direction = their_direction.reversed().and(local.direction);
    let mut session = skeleton(local);
    let video = match own {
        // Beside the first audio stream, whose transport it shares.
        Own::Role(setup) if offer.audio().is_some_and(|(first, _)| first == index) => {
            answered_video(offer, local, setup)
        }
        _ => None,
    };
    for (i, media) in offer.media.iter().enumerate() {
        if i != index {
            let ours = video
                .as_ref()
                .filter(|(at, ..)| *at == i)
                .map(|(_, ours, _)| ours.clone());
            session.media.push(ours.unwrap_or_else(|| refused(media)));
            continue;
        }
        let mut ours = audio(local, &common, event.as_slice(), direction, media);
        match (&own, &local.webrtc) {
            (Own::Keys(line), _) => ours.attributes.push(format!("crypto:{line}")),
            (Own::Role(setup), Some(webrtc)) => describe_webrtc(&mut session, &mut ours, webrtc, *setup),
            _ => {}
        }
        session.media.push(ours);
    }
    video::bundle(&mut session);
    let negotiated = Negotiated {
        codecs: common
            .iter()
            .filter(|c| !c.is_comfort_noise())
            .map(|c| {
                let theirs = offered.iter().find(|o| o.payload_type == c.payload_type).unwrap_or(c);
                AgreedCodec {
                    codec: theirs.clone(),
                    receive_payload_type: c.payload_type,
                }
            })
            .collect(),
        dtmf: event.map(|e| AgreedDtmf {
            send: e.payload_type,
            receive: e.payload_type,
            clock_rate: e.clock_rate,
        }),
        protection,
        video: video.map(|(_, _, agreed)| agreed),
        ..remote_side(offer, theirs, direction)
    };
    Ok((session, negotiated))
}

/// Reads the answer to an offer of ours.
///
/// # Errors
/// See [`NegotiateError`]; the caller hangs up, since an answer cannot be refused.
pub fn apply_answer(offer: &Session, answer: &Session) -> Result<Negotiated, NegotiateError> {
    let (index, ours) = offer.audio().ok_or(NegotiateError::NoAudio)?;
    let theirs = answer.media.get(index).ok_or(NegotiateError::Mismatch)?;
    if theirs.port == 0 {
        return Err(NegotiateError::NoAudio);
    }
    // §6: kind and protocol are the offer's. Encrypted media that nobody offered could not be heard.
    if !theirs.is_audio() || theirs.carriage() != ours.carriage() {
        return Err(NegotiateError::Mismatch);
    }
    let protection = agreed_protection(ours, answer, theirs)?;
    let offered = ours.codecs();
    let answered = theirs.codecs();
    let codecs: Vec<AgreedCodec> = answered
        .iter()
        .filter(|c| !c.is_telephone_event() && !c.is_comfort_noise())
        .filter_map(|c| {
            let own = offered.iter().find(|o| o.same_encoding(c))?;
            Some(AgreedCodec {
                codec: c.clone(),
                receive_payload_type: own.payload_type,
            })
        })
        .collect();
    let first = codecs.first().ok_or(NegotiateError::NoCodec)?;
    let rate = first.codec.clock_rate;
    let dtmf = pick_event(&answered, rate).and_then(|theirs| {
        let own = offered.iter().find(|o| o.same_encoding(theirs))?;
        Some(AgreedDtmf {
            send: theirs.payload_type,
            receive: own.payload_type,
            clock_rate: theirs.clock_rate,
        })
    });
    let direction = answer.direction_of(theirs).reversed().and(offer.direction_of(ours));
    Ok(Negotiated {
        codecs,
        dtmf,
        protection,
        video: video::answered(offer, answer),
        ..remote_side(answer, theirs, direction)
    })
}

/// What an answer makes of the protection that we offered.
fn agreed_protection(ours: &Media, answer: &Session, theirs: &Media) -> Result<Protection, NegotiateError> {
    match ours.carriage() {
        Some(Carriage::WebRtc) => {
            let remote = IceDtls::of(answer, theirs).ok_or(NegotiateError::Mismatch)?;
            Ok(Protection::WebRtc {
                active: remote.setup == Setup::Passive,
                remote: Box::new(remote),
                offered: true,
            })
        }
        carriage => {
            let offered = cryptos(ours);
            let chosen = cryptos(theirs).into_iter().find_map(|receive| {
                let same = |c: &&super::Crypto| c.tag == receive.tag && c.suite == receive.suite;
                let send = offered.iter().find(same)?.clone();
                Some(Protection::Srtp { send, receive })
            });
            match (chosen, carriage) {
                (Some(protection), _) => Ok(protection),
                (None, Some(Carriage::Srtp)) => Err(NegotiateError::Mismatch),
                (None, _) => Ok(Protection::None),
            }
        }
    }
}

/// The telephone event of the given clock rate, else the first one.
fn pick_event(codecs: &[Codec], rate: u32) -> Option<&Codec> {
    let events = || codecs.iter().filter(|c| c.is_telephone_event());
    events().find(|c| c.clock_rate == rate).or_else(|| events().next())
}

fn rate_of(codecs: &[Codec]) -> u32 {
    codecs
        .iter()
        .find(|c| !c.is_comfort_noise())
        .map_or(8000, |c| c.clock_rate)
}

fn telephone_event(payload_type: u8, clock_rate: u32) -> Codec {
    Codec {
        fmtp: Some("0-15".into()),
        ..Codec::new(payload_type, "telephone-event", clock_rate)
    }
}

/// Everything in [`Negotiated`] that the far side's description says by itself.
fn remote_side(session: &Session, media: &Media, direction: Direction) -> Negotiated {
    const NOWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    let ip = session.connection_of(media).and_then(|c| c.ip);
    let remote = match ip {
        Some(ip) => SocketAddr::new(ip, media.port),
        None => SocketAddr::new(NOWHERE, 0),
    };
    let rtcp_mux = media.attribute("rtcp-mux").is_some();
    let rtcp_port = media
        .attribute("rtcp")
        .and_then(|v| v.split_ascii_whitespace().next()?.parse().ok());
    let rtcp_port = if rtcp_mux {
        media.port
    } else {
        rtcp_port.unwrap_or(media.port.saturating_add(1))
    };
    let ptime = media
        .attribute("ptime")
        .and_then(|v| v.parse::<f32>().ok())
        // `NaN` is a number to the parser, and a packet of no length to media.
        .filter(|ms| ms.is_finite())
        .map_or(20, |ms| ms.clamp(10.0, 200.0) as u16);
    Negotiated {
        codecs: Vec::new(),
        dtmf: None,
        ptime,
        remote,
        remote_rtcp: SocketAddr::new(remote.ip(), rtcp_port),
        rtcp_mux,
        direction,
        held: !session.direction_of(media).receives(),
        protection: Protection::None,
        video: None,
    }
}

fn skeleton(local: &LocalMedia) -> Session {
    let connection = Connection::literal(local.rtp.ip());
    Session {
        origin: format!("- {} {} {connection}", local.session_id, local.version),
        name: "-".into(),
        connection: Some(connection),
        others: vec![('t', "0 0".into())],
        attributes: Vec::new(),
        media: Vec::new(),
    }
}

/// Our description of the stream; kind and protocol are written as `like` has them.
fn audio(local: &LocalMedia, codecs: &[Codec], events: &[Codec], direction: Direction, like: &Media) -> Media {
    let mut formats = Vec::with_capacity(codecs.len() + events.len());
    let mut attributes = Vec::with_capacity(codecs.len() + 4);
    for codec in codecs.iter().chain(events) {
        let pt = codec.payload_type;
        formats.push(pt.to_string());
        attributes.push(match codec.channels {
            0 | 1 => format!("rtpmap:{pt} {}/{}", codec.name, codec.clock_rate),
            n => format!("rtpmap:{pt} {}/{}/{n}", codec.name, codec.clock_rate),
        });
        if let Some(fmtp) = &codec.fmtp {
            attributes.push(format!("fmtp:{pt} {fmtp}"));
        }
    }
    attributes.push(format!("ptime:{}", local.ptime));
    attributes.push(direction.as_str().into());
    // A mid must be kept for a grouped session (RFC 5888 §9.1).
    attributes.extend(attribute(&like.attributes, "mid").map(|mid| format!("mid:{mid}")));
    Media {
        kind: like.kind.clone(),
        port: local.rtp.port(),
        protocol: like.protocol.clone(),
        formats,
        connection: None,
        attributes,
        others: Vec::new(),
    }
}

/// The answer to a stream that we do not want: the same m-line with port 0 (§6).
fn refused(media: &Media) -> Media {
    Media {
        kind: media.kind.clone(),
        port: 0,
        protocol: media.protocol.clone(),
        // At least one format must stand there.
        formats: media.formats.iter().take(1).cloned().collect(),
        connection: None,
        // A mid must be kept for a grouped session (RFC 5888 §9.1).
        attributes: attribute(&media.attributes, "mid")
            .map(|mid| format!("mid:{mid}"))
            .into_iter()
            .collect(),
        others: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::parse;

    fn local(port: u16) -> LocalMedia {
        LocalMedia::g711(SocketAddr::from(([192, 0, 2, 1], port)), 77)
    }

    #[test]
    fn own_offer_and_own_answer_agree() {
        let offered = parse(offer(&local(4000)).to_string().as_bytes()).unwrap();
        let (answered, theirs) = answer(&offered, &local(5000)).unwrap();
        let answered = parse(answered.to_string().as_bytes()).unwrap();
        let ours = apply_answer(&offered, &answered).unwrap();
        assert_eq!(theirs.remote.port(), 4000);
        assert_eq!(ours.remote, "192.0.2.1:5000".parse().unwrap());
        assert_eq!(ours.remote_rtcp.port(), 5001);
        for side in [&theirs, &ours] {
            assert_eq!(side.codecs[0].codec.name, "PCMA");
            assert_eq!(side.codecs.len(), 2);
            assert_eq!(
                side.dtmf,
                Some(AgreedDtmf {
                    send: 101,
                    receive: 101,
                    clock_rate: 8000
                })
            );
            assert_eq!(side.direction, Direction::SendRecv);
            assert!(!side.held);
            assert_eq!(side.ptime, 20);
        }
    }

    #[test]
    fn hold_in_every_spelling() {
        for (attribute, address, ours, held) in [
            ("a=sendonly\r\n", "192.0.2.9", Direction::RecvOnly, true),
            ("a=inactive\r\n", "192.0.2.9", Direction::Inactive, true),
            ("a=recvonly\r\n", "192.0.2.9", Direction::SendOnly, false),
            ("", "0.0.0.0", Direction::RecvOnly, true),
            ("a=recvonly\r\n", "0.0.0.0", Direction::Inactive, true),
            ("", "192.0.2.9", Direction::SendRecv, false),
        ] {
            let text = format!(
                "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n{attribute}"
            );
            let (session, negotiated) = answer(&parse(text.as_bytes()).unwrap(), &local(1)).unwrap();
            assert_eq!(negotiated.direction, ours, "{attribute} {address}");
            assert_eq!(negotiated.held, held, "{attribute} {address}");
            assert!(session.to_string().contains(&format!("a={}", ours.as_str())));
            // The session level counts where the media says nothing.
            let at_session = text
                .replace(attribute, "")
                .replace("t=0 0\r\n", &format!("t=0 0\r\n{attribute}"));
            assert_eq!(
                answer(&parse(at_session.as_bytes()).unwrap(), &local(1))
                    .unwrap()
                    .1
                    .direction,
                ours
            );
        }
    }

    #[test]
    fn foreign_payload_types_and_further_streams() {
        let text = "v=0\no=x 1 1 IN IP4 198.51.100.7\ns=x\nc=IN IP4 198.51.100.7\nt=0 0\nm=video 6000 RTP/AVP 96\na=mid:v\n\
                    a=rtpmap:96 H264/90000\nm=audio 7000 RTP/AVP 111 97 8 13 100\na=rtpmap:111 opus/48000/2\n\
                    a=rtpmap:97 telephone-event/48000\na=rtpmap:100 telephone-event/8000\na=ptime:30\na=rtcp:7005\n\
                    m=audio 7100 RTP/SAVP 0\n";
        let (session, negotiated) = answer(&parse(text.as_bytes()).unwrap(), &local(1000)).unwrap();
        let ports: Vec<u16> = session.media.iter().map(|m| m.port).collect();
        assert_eq!(ports, [0, 1000, 0]);
        assert!(session.to_string().contains("a=mid:v"));
        assert_eq!(negotiated.codecs.len(), 1);
        assert_eq!(negotiated.codecs[0].codec.payload_type, 8);
        assert_eq!(
            negotiated.dtmf,
            Some(AgreedDtmf {
                send: 100,
                receive: 100,
                clock_rate: 8000
            })
        );
        assert_eq!((negotiated.ptime, negotiated.remote_rtcp.port()), (30, 7005));
    }

    #[test]
    fn nothing_in_common_is_an_error() {
        let base = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
        for (media, error) in [
            ("m=audio 9000 RTP/AVP 18\r\n", NegotiateError::NoCodec),
            (
                "m=audio 9000 RTP/AVP 13 101\r\na=rtpmap:101 telephone-event/8000\r\n",
                NegotiateError::NoCodec,
            ),
            ("m=audio 0 RTP/AVP 0\r\n", NegotiateError::NoAudio),
            ("m=audio 9000 RTP/SAVP 0\r\n", NegotiateError::NoAudio),
            ("", NegotiateError::NoAudio),
        ] {
            let offered = parse(format!("{base}{media}").as_bytes()).unwrap();
            assert_eq!(answer(&offered, &local(1)).unwrap_err(), error, "{media}");
        }
    }

    #[test]
    fn what_is_not_understood_survives() {
        let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=call\r\ni=info\r\nc=IN IP4 192.0.2.9\r\nb=AS:84\r\nt=0 0\r\na=x-y:z\r\n\
                    m=audio 9000 RTP/AVP 0\r\nb=AS:64\r\na=rtpmap:0 PCMU/8000\r\na=silenceSupp:off - - - -\r\n";
        assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
    }
}
