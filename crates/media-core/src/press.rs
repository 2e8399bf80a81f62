//! One press that is reported in several ways counts once: as telephone event, as tone in the sound, as SIP INFO.

use std::collections::VecDeque;

/// How a press was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// RFC 4733.
    Event,
    /// A tone in the sound.
    Tone,
    /// SIP INFO.
    Info,
}

impl Way {
    const fn bit(self) -> u8 {
        match self {
            Way::Event => 1,
            Way::Tone => 2,
            Way::Info => 4,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    digit: char,
    ended_ms: u64,
    /// The ways that have reported it.
    ways: u8,
}

/// The presses of one party.
#[derive(Clone, Debug, Default)]
pub struct Presses {
    recent: VecDeque<Pressed>,
}

/// Reports of one press are at most this far apart, from the end of one to the beginning of the next.
const APART_MS: u64 = 1_000;
/// Presses that are remembered; more within a second are no human's.
const MAX_RECENT: usize = 32;

impl Presses {
    /// A report came at `now_ms` of a press that lasted `duration_ms` and ended now. True if it is a new press: the same
    /// digit reported the same way again always is, in another way it is the older press that this way has not told yet.
    pub fn is_new(&mut self, way: Way, digit: char, now_ms: u64, duration_ms: u32) -> bool {
        let begun = now_ms.saturating_sub(u64::from(duration_ms));
        self.recent.retain(|p| p.ended_ms + APART_MS >= begun);
        let same = |p: &&mut Pressed| p.digit == digit && p.ways & way.bit() == 0;
        if let Some(press) = self.recent.iter_mut().find(same) {
            press.ways |= way.bit();
            return false;
        }
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Pressed {
            digit,
            ended_ms: now_ms,
            ways: way.bit(),
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // accept: voice-paas 55
    #[test]
    fn one_press_in_three_ways_is_one() {
        let mut presses = Presses::default();
        assert!(presses.is_new(Way::Info, '5', 1_000, 160));
        assert!(!presses.is_new(Way::Tone, '5', 1_900, 900));
        // A press of three seconds, whose INFO came at its beginning.
        assert!(!presses.is_new(Way::Event, '5', 4_000, 3_000));
        assert!(presses.is_new(Way::Event, '6', 4_100, 100));
    }

    #[test]
    fn the_same_digit_twice_is_two_in_every_order() {
        use Way::{Event, Tone};
        for order in [
            [Event, Tone, Event, Tone],
            [Event, Event, Tone, Tone],
            [Tone, Event, Event, Tone],
        ] {
            let mut presses = Presses::default();
            let reports = order.iter().zip([1_000, 1_050, 1_300, 1_350]);
            let new = reports.filter(|(way, at)| presses.is_new(**way, '1', *at, 100)).count();
            assert_eq!(new, 2, "{order:?}");
        }
    }

    #[test]
    fn a_later_press_in_another_way_is_another() {
        let mut presses = Presses::default();
        assert!(presses.is_new(Way::Info, '5', 1_000, 100));
        assert!(presses.is_new(Way::Event, '5', 2_400, 100));
    }
}
