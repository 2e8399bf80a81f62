//! Digits: what is sent to a leg, and what a party pressed for those who hear it.

use strowger_media_core::FRAME;
use strowger_media_core::dtmf::{DtmfSender, Press, Sending};
use strowger_media_core::dtmf_tone::DtmfTones;
use strowger_media_core::press::Way;
use strowger_media_core::rtp::{self, HEADER_LEN};

use super::Shard;
use super::call::Call;
use super::leg::{Configured, Leg, Output};
use super::tick::Desk;
use crate::api::{CallKey, DigitsBy, Event, EventSink};

/// Digits on their way out.
pub(super) enum SendingDigits {
    /// As telephone events.
    Events {
        sender: DtmfSender,
        /// Timestamp of the present event.
        timestamp: u32,
    },
    /// As tones in the sound, for a far side without telephone events.
    Tones(DtmfTones),
}

impl SendingDigits {
    fn new(configured: &Configured, by: DigitsBy) -> Option<SendingDigits> {
        let events = configured.config.dtmf.is_some() && by != DigitsBy::Tones;
        if !events && by == DigitsBy::Events {
            return None;
        }
        if events {
            Some(SendingDigits::Events {
                sender: DtmfSender::new(configured.dtmf_clock),
                timestamp: 0,
            })
        } else {
            configured.coded?;
            Some(SendingDigits::Tones(DtmfTones::default()))
        }
    }
}

impl Leg {
    /// Whether digits are being sent as tones, which need an encoder.
    pub(super) fn sends_tones(&self) -> bool {
        matches!(self.dtmf_out.as_deref(), Some(SendingDigits::Tones(_)))
    }

    /// Put digits into the waiting line; false when there is no way to send them, or no room.
    fn push_digits(&mut self, digits: &str, duration_ms: u16) -> bool {
        let Some(configured) = &self.configured else {
            return false;
        };
        if self.dtmf_out.is_none() {
            self.dtmf_out = SendingDigits::new(configured, self.digits_by).map(Box::new);
        }
        match self.dtmf_out.as_deref_mut() {
            Some(SendingDigits::Events { sender, .. }) => sender.push(digits, duration_ms),
            Some(SendingDigits::Tones(tones)) => tones.push(digits, duration_ms),
            None => false,
        }
    }
}

/// Lets the caller send digits by signalling.
fn signal(sink: &dyn EventSink, leg: &Leg, digits: &str, duration_ms: u16) {
    for digit in digits
        .chars()
        .filter(|c| matches!(c, '0'..='9' | '*' | '#' | 'A'..='D'))
    {
        let event = Event::DigitToSignal {
            leg: leg.number,
            digit,
            duration_ms,
        };
        sink.event(leg.call, event);
    }
}

impl Shard {
    /// How a leg is sent digits from now on.
    pub(super) fn digits_by(&mut self, key: CallKey, number: u16, by: DigitsBy) {
        let slot = self.calls.get(&key).and_then(|c| c.slot(number));
        if let Some(leg) = slot.and_then(|s| self.legs.get_mut(s)) {
            leg.digits_by = by;
            self.replan(key);
        }
    }

    pub(super) fn send_dtmf(&mut self, key: CallKey, number: u16, digits: &str, duration_ms: u16) {
        let slot = self.calls.get(&key).and_then(|c| c.slot(number));
        let leg = slot.and_then(|s| self.legs.get_mut(s));
        if let Some(leg) = leg.as_deref().filter(|l| l.digits_by == DigitsBy::Signalling) {
            signal(&*self.parts.sink, leg, digits, duration_ms);
            self.parts.sink.event(key, Event::DtmfSent { leg: number });
            return;
        }
        if leg.is_some_and(|leg| leg.push_digits(digits, duration_ms)) {
            self.replan(key);
        } else {
            self.parts.sink.event(key, Event::DtmfFailed { leg: number });
        }
    }

    /// A press by the far side of a leg has ended: say so, and send it on to those who hear the leg but do not get its
    /// packets.
    pub(super) fn on_press(&mut self, slot: u32, press: Press) {
        let now_ms = self.now() / 1000;
        let Some(leg) = self.legs.get_mut(slot) else { return };
        let (key, number) = (leg.call, leg.number);
        let clock = leg.configured.as_ref().map_or(8000, |c| c.dtmf_clock);
        let duration_ms = (u64::from(press.duration) * 1000 / u64::from(clock)) as u32;
        // Heard as a tone before, it has been told; those who do not get the packets are still sent it.
        if leg.presses.is_new(Way::Event, press.digit, now_ms, duration_ms) {
            let event = Event::Dtmf {
                leg: number,
                digit: press.digit,
                duration_ms,
            };
            self.parts.sink.event(key, event);
        }
        self.pass_on(key, number, press.digit, duration_ms, true);
    }

    /// A press that came by signalling: it is sent on to those who hear the leg, unless it was heard already.
    pub(super) fn on_signalled(&mut self, key: CallKey, number: u16, digit: char, duration_ms: u32) {
        let now_ms = self.now() / 1000;
        let slot = self.calls.get(&key).and_then(|c| c.slot(number));
        let leg = slot.and_then(|s| self.legs.get_mut(s));
        if leg.is_some_and(|leg| leg.presses.is_new(Way::Info, digit, now_ms, duration_ms)) {
            self.pass_on(key, number, digit, duration_ms, false);
        }
    }

    /// Send a digit to the legs that hear leg `from`; `relayed`: those that get its packets have it already.
    fn pass_on(&mut self, key: CallKey, from: u16, digit: char, duration_ms: u32, relayed: bool) {
        let Some(call) = self.calls.get(&key) else { return };
        let routes = call.slot(from).and_then(|s| self.legs.get(s)).map(|l| &l.routes);
        let has_it = |to: u32| relayed && routes.is_some_and(|r| r.iter().any(|r| r.target == to && r.events));
        let hearers = call.hearing.iter().filter(|h| h.hears.iter().any(|h| h.0 == from));
        let slots: Vec<u32> = hearers
            .filter_map(|h| call.slot(h.leg))
            .filter(|&to| !has_it(to))
            .collect();
        let mut octets = [0; 4];
        let digit: &str = digit.encode_utf8(&mut octets);
        let mut changed = false;
        for to in slots {
            let Some(hearer) = self.legs.get_mut(to) else { continue };
            let duration_ms = duration_ms.clamp(40, 5000) as u16;
            if hearer.digits_by == DigitsBy::Signalling {
                signal(&*self.parts.sink, hearer, digit, duration_ms);
            } else if hearer.output != Output::Idle {
                changed |= hearer.push_digits(digit, duration_ms);
            }
        }
        if changed {
            self.replan(key);
        }
    }
}

impl Call {
    /// The digits that are on their way to a leg take the place of its audio.
    pub(super) fn send_digits(&mut self, number: u16, slot: u32, micros: u64, desk: &mut Desk<'_>) -> bool {
        let Some(leg) = desk.legs.get_mut(slot) else {
            return false;
        };
        let Some(mut digits) = leg.dtmf_out.take() else {
            return false;
        };
        let done = match &mut *digits {
            SendingDigits::Events { sender, timestamp } => {
                let configured = leg.configured.as_ref();
                let negotiated = configured.and_then(|c| Some((c.config.dtmf?.0, c.clock, c.dtmf_clock)));
                let Some((payload_type, clock, dtmf_clock)) = negotiated else {
                    // A re-INVITE took telephone-event away in the middle.
                    desk.sink.event(self.key, Event::DtmfFailed { leg: number });
                    return true;
                };
                match sender.tick() {
                    Sending::Idle => true,
                    Sending::Pause => false,
                    Sending::Packet {
                        begin,
                        payload,
                        duration,
                    } => {
                        if begin {
                            *timestamp = leg.rewriter.begin_event(rtp::clock_units(micros, clock));
                        }
                        let mut buffer = [0u8; HEADER_LEN + 4];
                        buffer[HEADER_LEN..].copy_from_slice(&payload);
                        let lasted = u64::from(duration) * u64::from(clock) / u64::from(dtmf_clock);
                        let stamp = leg.rewriter.event(*timestamp, lasted as u32, begin);
                        leg.send(&mut buffer, HEADER_LEN, payload_type, stamp, desk.counters);
                        false
                    }
                }
            }
            SendingDigits::Tones(_) if leg.coded().is_none() => {
                desk.sink.event(self.key, Event::DtmfFailed { leg: number });
                return true;
            }
            SendingDigits::Tones(tones) => {
                let mut frame = [0i16; FRAME];
                let sounding = tones.next(&mut frame);
                if sounding && leg.configured.as_ref().is_some_and(|c| c.config.send) {
                    leg.send_samples(&frame, micros, desk.counters);
                }
                !sounding
            }
        };
        if done {
            desk.sink.event(self.key, Event::DtmfSent { leg: number });
        } else {
            leg.dtmf_out = Some(digits);
        }
        done
    }
}
