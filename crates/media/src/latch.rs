//! Which source address a leg accepts packets from.
//!
//! A leg is locked to the signalled address as soon as a packet comes from it, or else to the first source that sends
//! [`PROBATION`] valid packets. After that nobody else is heard until the next `Configure` (RTP bleed).

use std::net::SocketAddr;

/// Packets from an address other than the signalled one after which it is believed.
const PROBATION: u32 = 5;
/// After a `Configure`, packets from the source before it after which it is believed to stay.
const STAYS: u32 = 25;
/// After a `Configure`, a third address is only considered once the source before it has been silent for this long.
const SILENT_MICROS: u64 = 100_000;

#[derive(Debug)]
pub(crate) struct Latch {
    signalled: SocketAddr,
    current: Option<SocketAddr>,
    locked: bool,
    count: u32,
    /// The source of the time before the last `Configure`, when it was last heard (µs), and how often since.
    previous: Option<(SocketAddr, u64, u32)>,
    /// Where packets go until a source is known.
    initial: SocketAddr,
}

impl Latch {
    pub(crate) fn new(signalled: SocketAddr) -> Latch {
        Latch {
            signalled,
            current: None,
            locked: false,
            count: 0,
            previous: None,
            initial: signalled,
        }
    }

    /// A new `Configure`: another source may be latched once.
    pub(crate) fn reconfigure(&mut self, signalled: SocketAddr, now: u64) {
        let before = self.current.or(self.previous.map(|p| p.0));
        // The same address again: keep answering to where the packets came from.
        let initial = if signalled == self.signalled {
            before.unwrap_or(signalled)
        } else {
            signalled
        };
        *self = Latch {
            initial,
            previous: before.map(|b| (b, now, 0)),
            ..Latch::new(signalled)
        };
    }

    /// Whether a valid packet from `from` is accepted.
    #[inline]
    pub(crate) fn accepts(&mut self, from: SocketAddr, now: u64) -> bool {
        if self.locked {
            self.current == Some(from)
        } else {
            self.consider(from, now)
        }
    }

    fn consider(&mut self, from: SocketAddr, now: u64) -> bool {
        if from == self.signalled {
            self.lock(from);
            return true;
        }
        if self.current == Some(from) {
            self.count += 1;
            if self.count >= PROBATION {
                self.lock(from);
            }
            return true;
        }
        if let Some((previous, seen, count)) = &mut self.previous {
            if *previous == from {
                *seen = now;
                *count += 1;
                if self.current.is_none() && *count >= STAYS {
                    self.lock(from);
                    return true;
                }
                return self.current.is_none();
            }
            if now.saturating_sub(*seen) < SILENT_MICROS {
                return false;
            }
        }
        if self.current.is_some() {
            return false;
        }
        self.current = Some(from);
        self.count = 1;
        true
    }

    fn lock(&mut self, to: SocketAddr) {
        self.current = Some(to);
        self.locked = true;
        self.previous = None;
    }

    /// Where packets to this leg go (symmetric RTP, RFC 4961).
    #[inline]
    pub(crate) fn destination(&self) -> SocketAddr {
        self.current.unwrap_or(self.initial)
    }

    /// The accepted source, if any packet came.
    pub(crate) fn source(&self) -> Option<SocketAddr> {
        self.current.or(self.previous.map(|p| p.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn the_signalled_source_wins_and_stays() {
        let mut latch = Latch::new(a(1));
        assert_eq!(latch.destination(), a(1));
        assert!(latch.accepts(a(2), 0), "an early packet of another source is heard");
        assert!(latch.accepts(a(1), 1));
        assert!(!latch.accepts(a(2), 2));
        assert!((0..1000).all(|t| !latch.accepts(a(2), t)));
        assert_eq!(latch.destination(), a(1));
    }

    #[test]
    fn a_source_behind_nat_is_answered_and_then_locked() {
        let mut latch = Latch::new(a(1));
        assert!((0..5).all(|t| latch.accepts(a(2), t)));
        assert_eq!(latch.destination(), a(2));
        assert!(!latch.accepts(a(3), 10));
        assert!(!latch.accepts(a(1), 11), "locked, also against the signalled address");
    }

    #[test]
    fn during_probation_a_third_source_is_not_heard() {
        let mut latch = Latch::new(a(1));
        assert!(latch.accepts(a(2), 0));
        assert!(!latch.accepts(a(3), 1));
    }

    #[test]
    fn after_a_reinvite_the_media_may_move() {
        let mut latch = Latch::new(a(1));
        latch.accepts(a(1), 0);
        latch.reconfigure(a(9), 1000);
        assert_eq!(latch.destination(), a(9));
        assert!(
            latch.accepts(a(1), 2000),
            "trailing packets of the old source are still heard"
        );
        assert!(
            !latch.accepts(a(7), 3000),
            "a stranger is not, while the old source talks"
        );
        assert!(latch.accepts(a(9), 4000));
        assert!(!latch.accepts(a(1), 5000));
    }

    #[test]
    fn the_same_configuration_again_disturbs_nothing() {
        let mut latch = Latch::new(a(1));
        (0..5).for_each(|t| assert!(latch.accepts(a(2), t)));
        latch.reconfigure(a(1), 10);
        assert_eq!(latch.destination(), a(2));
        assert!((0..30).all(|t| latch.accepts(a(2), 10 + t)));
        assert!(!latch.accepts(a(1), 50));
        // And a mapping that changed is taken up when the old one has gone silent.
        latch.reconfigure(a(1), 100);
        assert!(!latch.accepts(a(3), 200));
        assert!(latch.accepts(a(3), 100 + SILENT_MICROS));
    }
}
