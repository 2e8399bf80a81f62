//! Digits that a party presses: as telephone events or tones (from the media engine), or as SIP INFO.

use super::{Out, Owner, Turn, World};
use strowger_core::call::{LegFact, Listening};
use strowger_core::event::AnsweredBy;
use strowger_core::resource::DigitsBy;
use strowger_core::{LegSeq, Stamp};
use strowger_media::{Command as MediaCommand, Listen, MachineSettings, Verdict, Who};
use strowger_media_core::press::Way;
use strowger_sip_core::Command as SipCommand;

/// How long a press lasted whose INFO does not say, in ms.
const USUAL_PRESS_MS: u32 = 160;

/// A press in the usual INFO bodies, and its length in ms: `Signal=5` and `Duration=160` (dtmf-relay), or the bare digit
/// (dtmf).
fn info_press(content_type: &str, body: &[u8]) -> Option<(char, u32)> {
    let text = std::str::from_utf8(body.get(..body.len().min(256))?).ok()?;
    let value = |name: &str| {
        let mut pairs = text.lines().filter_map(|l| l.split_once('='));
        pairs
            .find(|(k, _)| k.trim().eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
    };
    let (signal, duration) = match content_type {
        "application/dtmf-relay" => (value("signal")?, value("duration").and_then(|d| d.parse().ok())),
        "application/dtmf" => (text.trim(), None),
        _ => return None,
    };
    let duration = duration.unwrap_or(USUAL_PRESS_MS).clamp(40, 5_000);
    let digit = info_digit(signal)?;
    Some((digit, duration))
}

fn info_digit(signal: &str) -> Option<char> {
    match signal {
        "10" => Some('*'),
        "11" => Some('#'),
        s => s
            .chars()
            .next()
            .filter(|c| matches!(c, '0'..='9' | '*' | '#' | 'A'..='D')),
    }
}

fn media_way(by: DigitsBy) -> strowger_media::DigitsBy {
    match by {
        DigitsBy::Auto => strowger_media::DigitsBy::Auto,
        DigitsBy::Rfc4733 => strowger_media::DigitsBy::Events,
        DigitsBy::Info => strowger_media::DigitsBy::Signalling,
        DigitsBy::Inband => strowger_media::DigitsBy::Tones,
    }
}

impl Owner {
    /// The turn as it leaves: a leg whose media is configured is told how its far side wants digits.
    pub(super) fn finish(&mut self, world: &dyn World) -> Turn {
        let mut turn = std::mem::take(&mut self.turn);
        let mut told = Vec::new();
        for out in &turn.out {
            if let Out::Media(MediaCommand::Configure { leg, .. }) = out
                && let Some(via) = self.legs.get(usize::from(*leg)).and_then(|io| io.via)
            {
                let by = media_way(world.digits_by(via));
                if by != strowger_media::DigitsBy::Auto {
                    told.push(Out::Media(MediaCommand::DigitsBy { leg: *leg, by }));
                }
            }
        }
        turn.out.extend(told);
        turn
    }

    /// Sends a digit as SIP INFO.
    pub(super) fn send_info(&mut self, leg: LegSeq, digit: char, duration_ms: u16) {
        let body = format!("Signal={digit}\r\nDuration={duration_ms}\r\n");
        self.leg_command(leg, |handle| SipCommand::Info {
            handle,
            content_type: "application/dtmf-relay".into(),
            body: body.into(),
        });
    }

    /// INFO of a leg's far side (RFC 6086, and the older use for digits).
    pub(super) fn info(&mut self, i: usize, content_type: &str, body: &[u8], world: &dyn World, now: Stamp) {
        let Some((digit, duration_ms)) = info_press(content_type, body) else {
            return;
        };
        self.turn.out.push(Out::Media(MediaCommand::Pressed {
            leg: i as u16,
            digit,
            duration_ms,
        }));
        self.pressed(i, Way::Info, digit, duration_ms, world, now);
    }

    /// A press was reported: one that was reported in another way already is not told again.
    pub(super) fn pressed(&mut self, i: usize, way: Way, digit: char, ms: u32, world: &dyn World, now: Stamp) {
        let at = u64::try_from(now.0).unwrap_or(0);
        if self
            .legs
            .get_mut(i)
            .is_some_and(|l| l.presses.is_new(way, digit, at, ms))
        {
            self.fact(i, LegFact::Digit(digit), world, now);
        }
    }

    /// Tells the media engine what to listen for in the sound of a leg: digits where no telephone events were negotiated,
    /// and what the conversation asked for.
    pub(super) fn listen(&mut self, i: usize) {
        let Some(io) = self.legs.get_mut(i) else { return };
        let to = io.listening;
        let wanted = Listen {
            digits: io.agreed.as_ref().is_some_and(|a| a.dtmf.is_none()),
            machine: (to == Listening::Answer).then(MachineSettings::default),
            fax: to != Listening::Nothing,
            beep: to == Listening::Beep,
            voice: to == Listening::Beep,
        };
        if io.listens != wanted {
            io.listens = wanted.clone();
            self.turn.out.push(Out::Media(MediaCommand::Listen {
                leg: i as u16,
                listen: wanted,
            }));
        }
    }

    /// The conversation asks for something in the sound of a leg.
    pub(super) fn listen_to(&mut self, leg: LegSeq, to: Listening) {
        let i = usize::from(leg.0);
        if let Some(io) = self.legs.get_mut(i) {
            io.listening = to;
            self.listen(i);
        }
    }
}

/// The verdict of the media engine, for the conversation.
pub(super) fn answered_by(verdict: Verdict) -> LegFact {
    let who = match verdict.who {
        Who::Human => AnsweredBy::Human,
        Who::Machine => AnsweredBy::Machine,
        Who::Fax => AnsweredBy::Fax,
        Who::Unknown => AnsweredBy::Unknown,
    };
    LegFact::AnsweredBy(who, verdict.confidence)
}

/// How sure a fax tone is.
pub(super) const FAX_TONE: LegFact = LegFact::AnsweredBy(AnsweredBy::Fax, 95);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_bodies_in_the_wild() {
        let relay = |body: &str| info_press("application/dtmf-relay", body.as_bytes());
        assert_eq!(relay("Signal= 5\r\nDuration= 250\r\n"), Some(('5', 250)));
        assert_eq!(relay("signal=11\n"), Some(('#', USUAL_PRESS_MS)));
        assert_eq!(relay("Signal=5\r\nDuration=x\r\n"), Some(('5', USUAL_PRESS_MS)));
        assert_eq!(relay("Signal=5\r\nDuration=999999999\r\n"), Some(('5', 5_000)));
        assert_eq!(relay("Duration=160"), None);
        assert_eq!(info_press("application/dtmf", b"*"), Some(('*', USUAL_PRESS_MS)));
        assert_eq!(info_press("text/plain", b"5"), None);
        assert_eq!(info_press("application/dtmf", b""), None);
        assert_eq!(info_press("application/dtmf", &[0xff]), None);
    }
}
