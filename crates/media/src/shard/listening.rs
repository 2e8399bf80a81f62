//! Listening in on parties: detectors that are fed with a leg's frames while somebody wants to know.

use strowger_media_core::FRAME;
use strowger_media_core::listen::{Heard, Listen, Voice};
use strowger_media_core::press::Way;

use super::Shard;
use super::call::Call;
use super::tick::Desk;
use crate::api::{CallKey, Event};

impl Shard {
    pub(super) fn listen(&mut self, key: CallKey, number: u16, listen: Listen) {
        let slot = self.calls.get(&key).and_then(|c| c.slot(number));
        let Some(leg) = slot.and_then(|s| self.legs.get_mut(s)) else {
            tracing::warn!(leg = number, "a media leg that is not open cannot be listened to");
            return;
        };
        if listen.is_empty() {
            leg.listener = None;
        } else {
            leg.listener.get_or_insert_default().want(listen);
        }
        self.replan(key);
    }
}

impl Call {
    /// Let every party that is listened to be heard. A leg without sound is heard as silence, which is what detectors of
    /// answering machines count.
    pub(super) fn listen_in(&mut self, now_ms: u64, desk: &mut Desk<'_>) {
        for &(number, slot) in &self.legs {
            let Some(leg) = desk.legs.get_mut(slot) else { continue };
            let Some(listener) = &mut leg.listener else { continue };
            let frame = leg.decoded.as_deref().map_or(&[0; FRAME], |d| &d.frame);
            let (presses, sink, key) = (&mut leg.presses, desk.sink, self.key);
            listener.hear(frame, |heard| {
                let event = match heard {
                    Heard::Digit(tone) if !presses.is_new(Way::Tone, tone.digit, now_ms, tone.duration_ms) => return,
                    Heard::Digit(tone) => Event::Dtmf {
                        leg: number,
                        digit: tone.digit,
                        duration_ms: tone.duration_ms,
                    },
                    Heard::Voice(change) => Event::Voice {
                        leg: number,
                        talking: change == Voice::Began,
                    },
                    Heard::Answered(verdict) => Event::Answered { leg: number, verdict },
                    Heard::Fax(tone) => Event::Fax { leg: number, tone },
                    Heard::Beep => Event::Beep { leg: number },
                };
                sink.event(key, event);
            });
        }
    }
}
