//! One call to the lab: a task that carries out its number's script.

use super::echo::Echo;
use super::numbers::{Hear, Step};
use super::{BoardOps, Lab};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use strowger_media::{
    Cadence, CallKey, Codec, CodecKind, Command as MediaCommand, Layout, LegConfig, LegLayout, Play, SoundRef,
};
use strowger_sip_core::sdp::{self, LocalMedia, Negotiated, Session};
use strowger_sip_core::{Command, DialogHandle, SipEvent};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// The media leg of every call.
const LEG: u16 = 0;

/// The session with the caller.
enum Media {
    /// In the media engine.
    Engine,
    /// In a socket of its own.
    Echo(#[expect(dead_code, reason = "held, so that it runs as long as the call")] Echo),
}

/// A call being carried out.
pub(super) struct Call {
    pub lab: Arc<Lab>,
    pub handle: DialogHandle,
    pub offer: Option<Bytes>,
    pub steps: Vec<Step>,
    media: Option<Media>,
    /// Our description as sent; repeated unchanged, with a higher version after a re-INVITE.
    described: Option<Session>,
    local: Option<LocalMedia>,
}

impl Call {
    pub(super) fn new(lab: Arc<Lab>, handle: DialogHandle, offer: Option<Bytes>, steps: Vec<Step>) -> Call {
        Call {
            lab,
            handle,
            offer,
            steps,
            media: None,
            described: None,
            local: None,
        }
    }

    fn key(&self) -> CallKey {
        CallKey(u128::from(self.handle.0))
    }

    /// Runs until the dialog is over.
    pub(super) async fn run(mut self, mut events: mpsc::Receiver<SipEvent>) {
        let mut steps = std::mem::take(&mut self.steps).into_iter();
        let mut due = Some(Instant::now());
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => break,
                    Some(event) if event.is_terminal() => break,
                    Some(event) => self.event(event),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = match steps.next() {
                        None => None,
                        Some(Step::Wait(ms)) => Some(Instant::now() + Duration::from_millis(ms)),
                        Some(step) => {
                            self.step(step).await;
                            Some(Instant::now())
                        }
                    };
                }
            }
        }
        if matches!(self.media, Some(Media::Engine)) {
            let _ = self.lab.media.command(self.key(), MediaCommand::CloseCall);
        }
        self.lab.board.remove(self.handle);
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Wait(_) => {}
            Step::Respond(status) => self.respond(status, None),
            Step::Early(hear) => self.session(183, hear).await,
            Step::Answer(hear) => self.session(200, hear).await,
            Step::Digits(digits) => {
                let command = MediaCommand::SendDtmf {
                    leg: LEG,
                    digits: digits.to_owned(),
                    duration_ms: 120,
                };
                let _ = self.lab.media.command(self.key(), command);
            }
            Step::HangUp => self.send(Command::Bye {
                handle: self.handle,
                reason: None,
            }),
        }
    }

    fn send(&self, command: Command) {
        // A full queue means that the lab has more calls than it can do; the caller's timers end this one.
        if let Some(endpoint) = self.lab.endpoint.get()
            && let Err(error) = endpoint.send(command)
        {
            tracing::warn!("the lab drops a command: {error}");
        }
    }

    fn respond(&self, status: u16, sdp: Option<Bytes>) {
        self.send(Command::Respond {
            handle: self.handle,
            status,
            reason_phrase: None,
            headers: Vec::new(),
            sdp,
            reliable: false,
        });
    }

    /// Responds with a session, and lets the caller hear something.
    async fn session(&mut self, status: u16, hear: Hear) {
        if self.described.is_none() {
            match self.describe(hear).await {
                Ok(()) => {}
                Err(refusal) => return self.respond(refusal, None),
            }
        }
        self.play(hear);
        let sdp = self.described.as_ref().map(|s| Bytes::from(s.to_string()));
        self.respond(status, sdp);
    }

    /// Opens the media and writes our description; the error is the status to refuse with.
    async fn describe(&mut self, hear: Hear) -> Result<(), u16> {
        let (media, rtp) = if hear == Hear::Echo {
            let echo = Echo::start(self.lab.ip).await.map_err(|_| 503u16)?;
            let rtp = echo.address;
            (Media::Echo(echo), rtp)
        } else {
            (
                Media::Engine,
                self.lab.media.open_leg(self.key(), LEG).map_err(|_| 503u16)?,
            )
        };
        self.media = Some(media);
        let local = LocalMedia::g711(rtp, self.handle.0 & 0x7fff_ffff);
        self.local = Some(local.clone());
        let Some(offer) = &self.offer else {
            self.described = Some(sdp::offer(&local));
            return Ok(());
        };
        let offer = sdp::parse(offer).map_err(|_| 488u16)?;
        let (answer, agreed) = sdp::answer(&offer, &local).map_err(|_| 488u16)?;
        self.described = Some(answer);
        self.configure(&agreed);
        Ok(())
    }

    fn configure(&self, agreed: &Negotiated) {
        let (Some(first), Some(Media::Engine)) = (agreed.codecs.first(), &self.media) else {
            return;
        };
        let kind = if first.codec.name.eq_ignore_ascii_case("PCMU") {
            CodecKind::Pcmu
        } else {
            CodecKind::Pcma
        };
        let reachable = |a: SocketAddr| a.port() != 0 && !a.ip().is_unspecified();
        let config = LegConfig {
            security: Default::default(),
            remote: agreed.remote,
            codec: Codec {
                payload_type_send: first.codec.payload_type,
                payload_type_recv: first.receive_payload_type,
                kind,
            },
            dtmf: agreed.dtmf.map(|d| (d.send, d.receive)),
            dtmf_clock: agreed.dtmf.map_or(0, |d| d.clock_rate),
            ptime_ms: agreed.ptime.clamp(10, 60) as u8,
            send: agreed.direction.sends() && reachable(agreed.remote),
            recv: agreed.direction.receives(),
        };
        let _ = self
            .lab
            .media
            .command(self.key(), MediaCommand::Configure { leg: LEG, config });
    }

    fn play(&self, hear: Hear) {
        let (id, sound) = match hear {
            Hear::Echo | Hear::Nothing => return,
            Hear::Speech(sound) => match self.lab.sounds.get(&sound) {
                Some(found) => (1 + sound as u32, SoundRef::Sound(found.clone())),
                None => return,
            },
            Hear::Tone(hz) => (1000 + u32::from(hz), SoundRef::Tone(Cadence::sine(hz, -13.0))),
        };
        let layout = Layout {
            legs: vec![LegLayout {
                leg: LEG,
                hears: Vec::new(),
                play: Some(Play {
                    id,
                    sound,
                    repeat: true,
                    recorded: false,
                    lead_in_ms: 0,
                }),
            }],
            announce: None,
        };
        let _ = self.lab.media.command(self.key(), MediaCommand::Layout(layout));
    }

    fn event(&mut self, event: SipEvent) {
        match event {
            // The answer to the offer in our 2xx.
            SipEvent::AckReceived { sdp: Some(answer) } => {
                if let Some(sent) = &self.described
                    && let Ok(answer) = sdp::parse(&answer)
                    && let Ok(agreed) = sdp::apply_answer(sent, &answer)
                {
                    self.configure(&agreed);
                }
            }
            SipEvent::ReInviteReceived { sdp } => self.renegotiate(sdp),
            _ => {}
        }
    }

    /// Hold, retrieve, new address: whatever the caller asks for, if there is a codec for it.
    fn renegotiate(&mut self, offer: Option<Bytes>) {
        let Some(local) = &mut self.local else {
            return self.respond(488, None);
        };
        local.version += 1;
        let local = local.clone();
        let Some(offer) = offer else {
            let ours = sdp::offer(&local);
            self.respond(200, Some(Bytes::from(ours.to_string())));
            self.described = Some(ours);
            return;
        };
        let agreed = sdp::parse(&offer)
            .ok()
            .and_then(|offer| sdp::answer(&offer, &local).ok());
        match agreed {
            Some((answer, agreed)) => {
                self.configure(&agreed);
                self.respond(200, Some(Bytes::from(answer.to_string())));
                self.described = Some(answer);
            }
            None => self.respond(488, None),
        }
    }
}
