//! A leg's quality over time: scores every interval from running totals, and tells when one side hears nothing.
//!
//! Time is the caller's: it calls [`Meter::interval`] every few seconds and once at the end.

use crate::quality::{Evidence, Figures, Impairment, OneWay, Summary, diagnose};

/// Fewer packets than this say nothing about loss: half a second of talk.
const ENOUGH: u64 = 25;

/// Running totals of a leg since its opening, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Should have come, by their sequence numbers.
    pub expected: u64,
    /// Came.
    pub received: u64,
    /// Were to be sent.
    pub offered: u64,
    /// Were taken by the network.
    pub sent: u64,
    /// Were dropped for the address that they came from.
    pub strangers: u64,
    /// Were dropped for their payload type.
    pub unknown: u64,
}

/// What the far side reported of our stream (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FarReport {
    /// Lost packets since its last report, 0 to 1.
    pub loss: f32,
    /// Interarrival jitter in ms.
    pub jitter_ms: f32,
}

/// A leg at the end of an interval.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Since its opening.
    pub totals: Totals,
    /// Of its codec.
    pub impairment: Impairment,
    /// Interarrival jitter of what comes, in ms.
    pub jitter_ms: f32,
    /// Round trip in ms; 0 where it is not known.
    pub round_trip_ms: f32,
    /// Packet time in ms.
    pub ptime_ms: f32,
    /// What the far side reported in the interval.
    pub far: Option<FarReport>,
    /// What was agreed on held for the whole interval: only then is anything missed.
    pub settled: bool,
    /// The far side may send.
    pub expects_in: bool,
    /// We may send, and had something to send.
    pub expects_out: bool,
    /// The encrypted transport has not come up.
    pub unconnected: bool,
    /// Packets came, and all that were looked at held digital silence.
    pub silent: bool,
}

/// One direction of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assessment {
    /// Loss, jitter and delay.
    pub figures: Figures,
    /// Mean opinion score, 1 to 4.5.
    pub mos: f32,
}

/// What an interval brought.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// What we hear.
    pub inward: Option<Assessment>,
    /// What the far side hears, if it has reported.
    pub outward: Option<Assessment>,
    /// The same diagnosis in two intervals, told once until both ways worked again.
    pub one_way: Option<OneWay>,
}

/// Watches one leg.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    before: Totals,
    suspected: Option<OneWay>,
    told: Option<OneWay>,
    inward: Summary,
    outward: Summary,
}

impl Meter {
    /// Ends an interval.
    pub fn interval(&mut self, now: &Moment) -> Interval {
        let before = std::mem::replace(&mut self.before, now.totals);
        let since = |f: fn(&Totals) -> u64| f(&now.totals).saturating_sub(f(&before));
        let (expected, received) = (since(|t| t.expected), since(|t| t.received));
        let assess = |loss: f32, jitter_ms: f32| {
            let figures = Figures {
                loss,
                jitter_ms,
                round_trip_ms: now.round_trip_ms,
                ptime_ms: now.ptime_ms,
            };
            let mos = figures.mos(now.impairment);
            Assessment { figures, mos }
        };
        let inward = (expected >= ENOUGH && received > 0).then(|| {
            let lost = expected.saturating_sub(received);
            assess(lost as f32 / expected as f32, now.jitter_ms)
        });
        let outward = now.far.filter(|_| since(|t| t.sent) >= ENOUGH);
        let outward = outward.map(|far| assess(far.loss, far.jitter_ms));
        inward.iter().for_each(|a| self.inward.add(a.mos));
        outward.iter().for_each(|a| self.outward.add(a.mos));
        let evidence = Evidence {
            expects_in: now.expects_in,
            expects_out: now.expects_out,
            packets_in: received,
            packets_out: since(|t| t.sent),
            strangers: since(|t| t.strangers),
            unknown: since(|t| t.unknown),
            unconnected: now.unconnected,
            silent: now.silent,
        };
        let found = diagnose(&evidence).filter(|_| now.settled);
        let one_way = self.confirm(found);
        Interval {
            inward,
            outward,
            one_way,
        }
    }

    /// Packets that were to be sent since the last interval ended.
    pub fn offered_since(&self, now: &Totals) -> u64 {
        now.offered.saturating_sub(self.before.offered)
    }

    /// A single interval may hold a network's hiccup or a pause; two are a cause.
    fn confirm(&mut self, found: Option<OneWay>) -> Option<OneWay> {
        let again = found.filter(|_| self.suspected == found);
        self.suspected = found;
        if found.is_none() {
            self.told = None;
        }
        let news = again.filter(|_| self.told != again);
        if news.is_some() {
            self.told = news;
        }
        news
    }

    /// What we heard since the beginning.
    pub fn inward(&self) -> Summary {
        self.inward
    }

    /// What the far side heard since the beginning, as far as it reported.
    pub fn outward(&self) -> Summary {
        self.outward
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Kind;

    /// A leg that is looked at every 5 s of virtual time.
    struct Leg {
        meter: Meter,
        now: Moment,
    }

    impl Leg {
        fn new() -> Leg {
            Leg {
                meter: Meter::default(),
                now: Moment {
                    totals: Totals::default(),
                    impairment: Impairment::of(Some(Kind::Pcma)),
                    jitter_ms: 1.0,
                    round_trip_ms: 40.0,
                    ptime_ms: 20.0,
                    far: None,
                    settled: true,
                    expects_in: true,
                    expects_out: true,
                    unconnected: false,
                    silent: false,
                },
            }
        }

        /// An interval in which so many packets came and left.
        fn interval(&mut self, came: u64, left: u64) -> Interval {
            self.now.totals.expected += came;
            self.now.totals.received += came;
            self.now.totals.offered += 250;
            self.now.totals.sent += left;
            self.meter.interval(&self.now)
        }

        fn causes(&mut self, intervals: usize, came: u64, left: u64) -> Vec<Option<OneWay>> {
            (0..intervals).map(|_| self.interval(came, left).one_way).collect()
        }
    }

    #[test]
    fn each_cause_is_told_after_two_intervals_and_once() {
        let told = |cause| [None, Some(cause), None, None];
        assert_eq!(Leg::new().causes(4, 0, 250), told(OneWay::NothingIn));
        assert_eq!(Leg::new().causes(4, 250, 0), told(OneWay::NothingOut));
        let mut muted = Leg::new();
        muted.now.silent = true;
        assert_eq!(muted.causes(4, 250, 250), told(OneWay::Muted));
        let mut unconnected = Leg::new();
        unconnected.now.unconnected = true;
        assert_eq!(unconnected.causes(4, 0, 0), told(OneWay::IceFailed));
        let dropped = |count: fn(&mut Totals)| {
            let mut leg = Leg::new();
            let mut found = Vec::new();
            for _ in 0..4 {
                count(&mut leg.now.totals);
                found.push(leg.interval(0, 250).one_way);
            }
            found
        };
        assert_eq!(dropped(|t| t.strangers += 250), told(OneWay::WrongSource));
        assert_eq!(dropped(|t| t.unknown += 250), told(OneWay::CodecMismatch));
    }

    #[test]
    fn a_hiccup_is_no_cause_and_one_that_comes_back_is_told_again() {
        let mut leg = Leg::new();
        assert_eq!(leg.causes(1, 0, 250), [None]);
        assert_eq!(leg.causes(1, 250, 250), [None]);
        assert_eq!(leg.causes(2, 0, 250), [None, Some(OneWay::NothingIn)]);
        // Another cause in its place is news too.
        assert_eq!(leg.causes(2, 250, 0), [None, Some(OneWay::NothingOut)]);
        assert_eq!(leg.causes(1, 250, 250), [None]);
        assert_eq!(leg.causes(2, 250, 0), [None, Some(OneWay::NothingOut)]);
    }

    #[test]
    fn hold_and_a_change_of_media_miss_nothing() {
        let mut leg = Leg::new();
        leg.now.expects_in = false;
        leg.now.expects_out = false;
        assert_eq!(leg.causes(3, 0, 0), [None; 3]);
        leg.now.expects_in = true;
        for settled in [false, true, false, true] {
            leg.now.settled = settled;
            assert_eq!(leg.interval(0, 0).one_way, None);
        }
    }

    #[test]
    fn both_directions_are_scored_by_themselves() {
        let mut leg = Leg::new();
        leg.now.far = Some(FarReport {
            loss: 0.1,
            jitter_ms: 20.0,
        });
        let clean = leg.interval(250, 250);
        let (inward, outward) = (clean.inward.unwrap(), clean.outward.unwrap());
        assert!(inward.mos > 4.3 && outward.mos < 3.5, "{clean:?}");
        assert_eq!((inward.figures.loss, outward.figures.loss), (0.0, 0.1));
        // A tenth lost on the way to us, and no report.
        leg.now.far = None;
        leg.now.totals.expected += 25;
        let lossy = leg.interval(225, 250);
        assert!(
            (lossy.inward.unwrap().figures.loss - 0.1).abs() < 1e-6 && lossy.outward.is_none(),
            "{lossy:?}"
        );
        let (mean, worst) = leg.meter.inward().scores().unwrap();
        assert!(worst < mean && mean < inward.mos);
        // Too few packets to judge, as in the last moment of a call.
        assert_eq!(leg.interval(10, 10), Interval::default());
        assert_eq!(leg.meter.outward().scores().unwrap().1, outward.mos);
    }
}
