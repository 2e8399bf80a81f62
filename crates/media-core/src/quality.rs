//! How a stream sounds: the E-model's estimate from loss, delay and codec (ITU-T G.107), and why nothing is heard.

use crate::codec::Kind;

/// What a codec takes from the quality, with and without loss (ITU-T G.113 appendix I; Opus and G.722 by their narrowband
/// equivalent, because telephones are narrowband).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Equipment impairment without loss, Ie.
    pub ie: f32,
    /// Robustness against loss, Bpl: the loss in percent that costs half of what is left.
    pub bpl: f32,
}

impl Impairment {
    /// Of a codec; of one that is only relayed, as G.711 with concealment.
    pub fn of(kind: Option<Kind>) -> Impairment {
        let (ie, bpl) = match kind {
            Some(Kind::G729) => (11.0, 19.0),
            Some(Kind::Opus) => (0.0, 30.0),
            _ => (0.0, 25.1),
        };
        Impairment { ie, bpl }
    }
}

/// The transmission rating R, 0 to 93.2, for `loss` (0 to 1) and the delay from mouth to ear in ms. The short form of G.107
/// for packet networks: Id for one-way delay without echo, Ie,eff for random loss.
pub fn rating(loss: f32, delay_ms: f32, impairment: Impairment) -> f32 {
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let delay = delay_ms.max(0.0);
    let id = 0.024 * delay + if delay > 177.3 { 0.11 * (delay - 177.3) } else { 0.0 };
    let Impairment { ie, bpl } = impairment;
    let effective = ie + (95.0 - ie) * percent / (percent + bpl);
    (93.2 - id - effective).clamp(0.0, 93.2)
}

/// The mean opinion score of a rating, 1 to 4.41 (G.107 annex B).
pub fn mos(rating: f32) -> f32 {
    let r = rating.clamp(0.0, 100.0);
    let score = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
    // The cubic dips below 1 for very small ratings.
    score.clamp(1.0, 4.5)
}

/// One direction of a leg over a few seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Lost packets, 0 to 1.
    pub loss: f32,
    /// Interarrival jitter in ms.
    pub jitter_ms: f32,
    /// Round trip in ms; 0 where it is not known.
    pub round_trip_ms: f32,
    /// Packet time in ms.
    pub ptime_ms: f32,
}

impl Figures {
    /// The score of the interval. The delay is half of the round trip, one packet, and a jitter buffer of twice the
    /// jitter.
    pub fn mos(&self, impairment: Impairment) -> f32 {
        let delay = self.round_trip_ms / 2.0 + self.ptime_ms + 2.0 * self.jitter_ms;
        mos(rating(self.loss, delay, impairment))
    }
}

/// The scores of one direction since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    intervals: u32,
    sum: f32,
    worst: f32,
}

impl Summary {
    /// Adds the score of an interval.
    pub fn add(&mut self, score: f32) {
        self.worst = if self.intervals == 0 {
            score
        } else {
            self.worst.min(score)
        };
        self.intervals += 1;
        self.sum += score;
    }

    /// `(mean, worst)`; `None` before the first interval.
    pub fn scores(&self) -> Option<(f32, f32)> {
        (self.intervals > 0).then(|| (self.sum / self.intervals as f32, self.worst))
    }
}

/// What is known of a leg on which something should be heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The far side may send.
    pub expects_in: bool,
    /// We have had something to send, and may.
    pub expects_out: bool,
    /// Packets accepted, sent, dropped for their source, and dropped for their payload type, in the last interval.
    pub packets_in: u64,
    /// See [`Evidence::packets_in`].
    pub packets_out: u64,
    /// See [`Evidence::packets_in`].
    pub strangers: u64,
    /// See [`Evidence::packets_in`].
    pub unknown: u64,
    /// The encrypted transport has not come up: ICE found no path, or DTLS did not finish.
    pub unconnected: bool,
    /// Packets came and all that were looked at held digital silence.
    pub silent: bool,
}

/// Why one side hears nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OneWay {
    /// The browser and we found no path to each other.
    IceFailed,
    /// Packets come from an address that was not agreed on: NAT without symmetric RTP, or a wrong address in the SDP.
    WrongSource,
    /// Packets come with a payload type that was not negotiated.
    CodecMismatch,
    /// Nothing comes: a firewall, NAT, or a far side that does not send.
    NothingIn,
    /// We send nothing: no source, or the sockets refuse.
    NothingOut,
    /// Packets come and are silent: the device's microphone is muted or not connected.
    Muted,
}

impl OneWay {
    /// All causes.
    pub const ALL: [OneWay; 6] = [
        OneWay::IceFailed,
        OneWay::WrongSource,
        OneWay::CodecMismatch,
        OneWay::NothingIn,
        OneWay::NothingOut,
        OneWay::Muted,
    ];

    /// The stable name, in metrics and records.
    pub const fn name(self) -> &'static str {
        match self {
            OneWay::IceFailed => "ice-failed",
            OneWay::WrongSource => "wrong-source",
            OneWay::CodecMismatch => "codec-mismatch",
            OneWay::NothingIn => "nothing-in",
            OneWay::NothingOut => "nothing-out",
            OneWay::Muted => "muted",
        }
    }
}

/// The likely cause, the most telling first; `None` when both ways work.
pub fn diagnose(evidence: &Evidence) -> Option<OneWay> {
    let e = evidence;
    if e.unconnected && (e.expects_in || e.expects_out) {
        return Some(OneWay::IceFailed);
    }
    if e.expects_in && e.packets_in == 0 {
        return Some(match (e.strangers, e.unknown) {
            (0, 0) => OneWay::NothingIn,
            (strangers, unknown) if strangers >= unknown => OneWay::WrongSource,
            _ => OneWay::CodecMismatch,
        });
    }
    if e.expects_out && e.packets_out == 0 {
        return Some(OneWay::NothingOut);
    }
    (e.expects_in && e.silent).then_some(OneWay::Muted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const G711: Impairment = Impairment { ie: 0.0, bpl: 25.1 };

    /// Reference points of G.107 (default R 93.2 is MOS 4.41) and of G.109's quality classes.
    #[test]
    fn the_scores_are_those_of_the_recommendation() {
        for (r, score) in [
            (93.2, 4.41),
            (90.0, 4.34),
            (80.0, 4.03),
            (70.0, 3.60),
            (60.0, 3.10),
            (50.0, 2.58),
        ] {
            assert!((mos(r) - score).abs() < 0.01, "{r}: {}", mos(r));
        }
        assert_eq!(mos(0.0), 1.0);
        assert!((mos(3.0) - 1.0).abs() < 0.1, "never below 1");
        assert!((rating(0.0, 0.0, G711) - 93.2).abs() < 0.01);
        // 150 ms cost 3.6; beyond 177.3 ms each ms costs five times as much.
        assert!((rating(0.0, 150.0, G711) - 89.6).abs() < 0.01);
        assert!((rating(0.0, 277.3, G711) - (93.2 - 0.024 * 277.3 - 11.0)).abs() < 0.01);
        // At a loss of Bpl percent half of what the codec left is gone.
        assert!((rating(0.251, 0.0, G711) - (93.2 - 47.5)).abs() < 0.01);
        assert!((rating(0.0, 0.0, Impairment::of(Some(Kind::G729))) - 82.2).abs() < 0.01);
    }

    #[test]
    fn worse_is_never_better() {
        let mut last = f32::MAX;
        for loss in 0..=100 {
            let score = mos(rating(loss as f32 / 100.0, 40.0, G711));
            assert!((1.0..=4.5).contains(&score) && score <= last);
            last = score;
        }
        for bad in [f32::INFINITY, -1.0, 1e9] {
            assert!((0.0..=93.2).contains(&rating(bad, bad, G711)));
        }
    }

    #[test]
    fn the_worst_interval_is_kept() {
        let mut summary = Summary::default();
        assert_eq!(summary.scores(), None);
        for score in [4.0, 3.0, 4.4] {
            summary.add(score);
        }
        let (mean, worst) = summary.scores().unwrap();
        assert!((mean - 3.8).abs() < 0.01 && worst == 3.0);
    }

    #[test]
    fn silence_has_a_cause() {
        let both = Evidence {
            expects_in: true,
            expects_out: true,
            packets_in: 250,
            packets_out: 250,
            ..Evidence::default()
        };
        let none_in = Evidence { packets_in: 0, ..both };
        let table = [
            (both, None),
            (none_in, Some(OneWay::NothingIn)),
            (
                Evidence {
                    strangers: 250,
                    ..none_in
                },
                Some(OneWay::WrongSource),
            ),
            (
                Evidence {
                    unknown: 250,
                    ..none_in
                },
                Some(OneWay::CodecMismatch),
            ),
            (Evidence { packets_out: 0, ..both }, Some(OneWay::NothingOut)),
            (Evidence { silent: true, ..both }, Some(OneWay::Muted)),
            (
                Evidence {
                    unconnected: true,
                    ..none_in
                },
                Some(OneWay::IceFailed),
            ),
            // On hold, and before anything is to be heard.
            (
                Evidence {
                    expects_in: false,
                    ..none_in
                },
                None,
            ),
            (Evidence::default(), None),
        ];
        for (evidence, cause) in table {
            assert_eq!(diagnose(&evidence), cause, "{evidence:?}");
        }
    }
}
