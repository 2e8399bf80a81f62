//! Digits as RTP telephone events (RFC 4733): receiving each press once, and sending.

/// Events 0-15 in order of their codes (RFC 4733 section 3.2).
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";

/// The character of an event code; `None` for events that are not DTMF.
pub fn digit_of(event: u8) -> Option<char> {
    DIGITS.get(usize::from(event)).map(|&c| char::from(c))
}

/// The event code of a character; letters in either case.
pub fn event_of(digit: char) -> Option<u8> {
    let digit = u8::try_from(digit).ok()?.to_ascii_uppercase();
    DIGITS.iter().position(|&d| d == digit).map(|i| i as u8)
}

/// A press that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// `0-9 * # A-D`.
    pub digit: char,
    /// Length in timestamp units.
    pub duration: u32,
}

#[derive(Clone, Copy, Debug)]
struct Active {
    event: u8,
    /// Timestamp of the present segment, and its longest duration so far.
    timestamp: u32,
    duration: u16,
    /// Of earlier segments.
    before: u32,
    /// Local clock of its last packet.
    seen: u32,
}

/// Turns event packets into presses: retransmissions, lost end packets and presses longer than 65,535 units (segments,
/// RFC 4733 section 2.5.1.3) all give one digit.
#[derive(Clone, Debug)]
pub struct DtmfReceiver {
    active: Option<Active>,
    /// Timestamp of the last ended event.
    ended: Option<u32>,
    /// A press whose packets stop without an end is over after this many units.
    silent_end: u32,
}

impl Default for DtmfReceiver {
    /// For a telephone-event clock of 8 kHz.
    fn default() -> Self {
        let mut receiver = DtmfReceiver {
            active: None,
            ended: None,
            silent_end: 0,
        };
        receiver.set_clock(8000);
        receiver
    }
}

impl DtmfReceiver {
    /// The telephone-event clock in Hz.
    pub fn set_clock(&mut self, clock: u32) {
        // 200 ms.
        self.silent_end = (clock / 5).max(1);
    }

    /// One event packet: its RTP timestamp, its payload, and the local clock in the same units. Returns a press that
    /// ended with it.
    pub fn received(&mut self, timestamp: u32, payload: &[u8], now: u32) -> Option<Press> {
        let &[event, flags, high, low, ..] = payload else {
            return None;
        };
        let end = flags & 0x80 != 0;
        let duration = u16::from_be_bytes([high, low]);
        let mut finished = None;
        if let Some(active) = &mut self.active {
            let step = timestamp.wrapping_sub(active.timestamp);
            if step == 0 && event == active.event {
                active.duration = active.duration.max(duration);
            } else if (step as i32) < 0 {
                return None; // an older event that was overtaken
            } else if step == 0xFFFF && event == active.event {
                active.before = active.before.saturating_add(0xFFFF);
                active.timestamp = timestamp;
                active.duration = duration;
            } else {
                // Another event began, so all end packets of this one were lost.
                finished = self.finish();
            }
        }
        if self.active.is_none() {
            let old = self.ended.is_some_and(|e| {
                (timestamp.wrapping_sub(e) as i32) <= 0 && e.wrapping_sub(timestamp) < 50 * self.silent_end
            });
            if old || digit_of(event).is_none() {
                return finished;
            }
            self.active = Some(Active {
                event,
                timestamp,
                duration,
                before: 0,
                seen: now,
            });
        }
        if let Some(active) = &mut self.active {
            active.seen = now;
        }
        // A new press that consists of one end packet, right after one that was cut off, is the rarest of cases; the
        // older press is reported now and the new one by `poll`.
        if end && finished.is_none() {
            self.finish()
        } else {
            finished
        }
    }

    /// Ask now and then: returns a press whose packets stopped without an end.
    pub fn poll(&mut self, now: u32) -> Option<Press> {
        match &self.active {
            Some(a) if now.wrapping_sub(a.seen) >= self.silent_end => self.finish(),
            _ => None,
        }
    }

    /// Whether a press is going on.
    pub fn is_active(&self) -> bool {
        self.active.is_some()
    }

    fn finish(&mut self) -> Option<Press> {
        let active = self.active.take()?;
        self.ended = Some(active.timestamp);
        let digit = digit_of(active.event)?;
        Some(Press {
            digit,
            duration: active.before.saturating_add(u32::from(active.duration)),
        })
    }
}

/// What to send in the present 20 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Nothing is waiting: audio may be sent.
    Idle,
    /// Between two digits: neither event nor audio.
    Pause,
    /// An event packet. `begin` asks the caller to take a new timestamp, which the event's other packets share.
    Packet {
        /// The first packet of the event: marker bit, new timestamp.
        begin: bool,
        /// The payload.
        payload: [u8; 4],
        /// The event's duration so far, in timestamp units.
        duration: u16,
    },
}

/// Highest number of digits that wait to be sent.
pub const MAX_WAITING: usize = 64;

/// Sends digits one after another: a packet every 20 ms, the last one three times (RFC 4733 section 2.5.1.4).
#[derive(Clone, Debug)]
pub struct DtmfSender {
    waiting: std::collections::VecDeque<(u8, u16)>,
    /// Clock units of 20 ms.
    step: u16,
    /// Packets sent of the front digit.
    sent: u32,
    ends: u8,
    pause: u8,
}

/// Silence between two digits, in ticks of 20 ms.
const PAUSE_TICKS: u8 = 3;
const VOLUME: u8 = 10; // -10 dBm0

impl DtmfSender {
    /// For a telephone-event clock in Hz.
    pub fn new(clock: u32) -> DtmfSender {
        let step = (clock / 50).clamp(1, 0xFFFF) as u16;
        DtmfSender {
            waiting: Default::default(),
            step,
            sent: 0,
            ends: 0,
            pause: 0,
        }
    }

    /// Add digits; characters that are none are skipped. Returns false, and adds nothing, when too many would wait.
    pub fn push(&mut self, digits: &str, duration_ms: u16) -> bool {
        let duration = duration_ms.clamp(40, 5000);
        let events: Vec<u8> = digits.chars().filter_map(event_of).collect();
        if self.waiting.len() + events.len() > MAX_WAITING {
            return false;
        }
        self.waiting.extend(events.into_iter().map(|e| (e, duration)));
        true
    }

    /// Whether anything is left to do.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.pause == 0
    }

    /// What to send in this tick of 20 ms.
    pub fn tick(&mut self) -> Sending {
        if self.pause > 0 {
            self.pause -= 1;
            return Sending::Pause;
        }
        let Some(&(event, duration_ms)) = self.waiting.front() else {
            return Sending::Idle;
        };
        let ticks = u32::from(duration_ms).div_ceil(20);
        let begin = self.sent == 0;
        self.sent += 1;
        let last = self.sent >= ticks;
        let duration = (self.sent.min(ticks) * u32::from(self.step)).min(0xFFFF) as u16;
        if last {
            self.ends += 1;
            if self.ends == 3 {
                self.waiting.pop_front();
                self.sent = 0;
                self.ends = 0;
                self.pause = PAUSE_TICKS;
            }
        }
        let [high, low] = duration.to_be_bytes();
        Sending::Packet {
            begin,
            payload: [event, (u8::from(last) << 7) | VOLUME, high, low],
            duration,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(event: u8, end: bool, duration: u16) -> [u8; 4] {
        let [h, l] = duration.to_be_bytes();
        [event, if end { 0x8A } else { 0x0A }, h, l]
    }

    #[test]
    fn a_long_press_with_retransmissions_is_one_digit() {
        let mut r = DtmfReceiver::default();
        let mut presses = Vec::new();
        for i in 1..=100u16 {
            presses.extend(r.received(5000, &payload(5, false, i * 160), u32::from(i) * 160));
            presses.extend(r.poll(u32::from(i) * 160));
        }
        for _ in 0..3 {
            presses.extend(r.received(5000, &payload(5, true, 16160), 16160));
        }
        assert_eq!(
            presses,
            [Press {
                digit: '5',
                duration: 16160
            }]
        );
        assert!(!r.is_active());
    }

    #[test]
    fn a_press_of_twenty_seconds_in_segments_is_one_digit() {
        let mut r = DtmfReceiver::default();
        let mut presses = Vec::new();
        for i in 1..=1000u32 {
            let total = i * 160;
            let segment = (total - 1) / 0xFFFF;
            let p = payload(11, i == 1000, (total - segment * 0xFFFF) as u16);
            presses.extend(r.received(segment * 0xFFFF, &p, total));
        }
        assert_eq!(
            presses,
            [Press {
                digit: '#',
                duration: 160_000
            }]
        );
    }

    #[test]
    fn the_same_digit_twice_is_two_and_lost_ends_lose_none() {
        let mut r = DtmfReceiver::default();
        let mut presses = Vec::new();
        presses.extend(r.received(0, &payload(1, false, 160), 0));
        presses.extend(r.received(0, &payload(1, true, 800), 800));
        presses.extend(r.received(2000, &payload(1, false, 160), 2000)); // its end packets are lost
        presses.extend(r.received(4000, &payload(2, false, 160), 4000)); // and so are these
        presses.extend(r.received(2000, &payload(1, true, 800), 4100)); // overtaken
        presses.extend(r.poll(4000 + 1599));
        assert_eq!(presses.len(), 2);
        presses.extend(r.poll(4000 + 1700 + 160));
        let digits: String = presses.iter().map(|p| p.digit).collect();
        assert_eq!(digits, "112");
        assert_eq!(presses[0].duration, 800);
    }

    #[test]
    fn late_retransmission_of_an_ended_press_is_ignored() {
        let mut r = DtmfReceiver::default();
        assert!(r.received(100, &payload(1, true, 800), 0).is_some());
        assert!(r.received(100, &payload(1, true, 800), 20).is_none());
        assert!(r.received(100, &payload(1, false, 640), 40).is_none());
        assert!(r.received(100, &[1], 40).is_none());
        assert!(
            r.received(9000, &payload(40, true, 640), 40).is_none(),
            "not a DTMF event"
        );
    }

    #[test]
    fn what_is_sent_is_received() {
        let mut sender = DtmfSender::new(8000);
        assert!(sender.push("12-3", 100));
        let mut receiver = DtmfReceiver::default();
        let (mut digits, mut timestamp, mut ends, mut begins) = (String::new(), 0, 0, 0);
        for tick in 0..100u32 {
            if let Sending::Packet { begin, payload, .. } = sender.tick() {
                if begin {
                    timestamp = tick * 160;
                    begins += 1;
                }
                ends += u32::from(payload[1] & 0x80 != 0);
                if let Some(press) = receiver.received(timestamp, &payload, tick * 160) {
                    assert_eq!(press.duration, 800);
                    digits.push(press.digit);
                }
            }
        }
        assert_eq!((digits.as_str(), ends, begins), ("123", 9, 3));
        assert!(sender.is_idle());
    }

    #[test]
    fn the_waiting_line_is_bounded() {
        let mut sender = DtmfSender::new(8000);
        assert!(sender.push(&"1".repeat(64), 100));
        assert!(!sender.push("2", 100));
    }
}
