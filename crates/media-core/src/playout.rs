//! The jitter buffer: packets in as they come, frames of 20 ms out by the clock, with a delay that adapts.
//!
//! The buffer holds payloads and decodes when they are due, so that codecs with memory see them in order. Its delay is
//! found by looking at how early packets come before they are needed (their *margin*): a late packet makes the delay
//! longer at once, a margin that stays large for seconds makes it shorter by one frame. Clock drift between the two sides
//! is corrected by the same rule.

use crate::FRAME;
use crate::codec::{Decoder, Timescale};
use crate::comfort::ComfortNoise;

/// What a pulled frame consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// At least partly received audio.
    Audio,
    /// Made up for lost or late packets.
    Concealed,
    /// The sender pauses and said what its pause sounds like.
    Noise,
    /// The stream has not begun, or has paused.
    Silence,
}

/// Counters since the start of the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutCounters {
    /// Packets that came after their time.
    pub late: u64,
    /// Frames that were made up.
    pub concealed: u64,
    /// Frames put in to make the delay longer.
    pub stretched: u64,
    /// Frames taken out to make it shorter.
    pub shortened: u64,
    /// The stream was taken up anew (first packet, pause, jump).
    pub restarts: u64,
    /// Gaps that were filled with the help of the packet after them.
    pub recovered: u64,
}

struct Slot {
    used: bool,
    timestamp: u32,
    payload: Vec<u8>,
}

/// Noise that the sender described, from a timestamp on.
struct Pause {
    from: u32,
    noise: ComfortNoise,
}

/// A jitter buffer for one stream. Inside, timestamps count samples of 8 kHz.
pub struct Playout {
    scale: Timescale,
    slots: Vec<Slot>,
    /// The timestamp of the next sample to decode; `None` while no stream is running.
    next: Option<u32>,
    /// Decoded, not yet pulled.
    ready: Vec<i16>,
    /// The last frame with audio, for concealment.
    last: [i16; FRAME],
    /// Frames concealed in a row.
    faded: u32,
    /// Frames to insert before going on.
    stall: u32,
    /// Smallest margin in the present window of [`WINDOW`] packets.
    margin: i32,
    in_window: u32,
    calm_windows: u32,
    late_in_a_row: u32,
    /// The newest timestamp that was accepted.
    newest: u32,
    pause: Option<Pause>,
    /// The frame in work holds noise of a pause.
    noisy: bool,
    counters: PlayoutCounters,
}

const SLOTS: usize = 24;
/// Margin at the start, in samples: with the phase of the caller's clock the first delay is 20-40 ms.
const START: u32 = 240;
/// The longest delay: 120 ms.
const MAX_DELAY: i32 = 960;
/// A jump beyond this is another stream.
const JUMP: i32 = 8000;
/// Above this smallest margin (30 ms), for [`CALM`] windows, a frame is taken out.
const CALM_MARGIN: i32 = 240;
const WINDOW: u32 = 50;
const CALM: u32 = 3;
/// Repetition fades to silence within three frames.
const FADE_FRAMES: u32 = 3;
/// Without packets for this many frames the stream has paused and starts anew.
const PAUSE_FRAMES: u32 = 50;

impl Default for Playout {
    fn default() -> Self {
        Playout::new()
    }
}

impl Playout {
    /// An empty buffer for a stream whose timestamps count 8 kHz.
    pub fn new() -> Playout {
        Playout::with_units(1)
    }

    /// An empty buffer for a stream with so many timestamp units per sample of 8 kHz
    /// ([`Kind::units_per_sample`](crate::codec::Kind::units_per_sample)).
    pub fn with_units(units_per_sample: u32) -> Playout {
        let slots = (0..SLOTS)
            .map(|_| Slot {
                used: false,
                timestamp: 0,
                payload: Vec::new(),
            })
            .collect();
        Playout {
            scale: Timescale::new(units_per_sample),
            slots,
            next: None,
            // A packet of 120 ms may come on top of what is left of a frame.
            ready: Vec::with_capacity(crate::codec::MAX_PACKET_SAMPLES + 2 * FRAME),
            last: [0; FRAME],
            faded: FADE_FRAMES,
            stall: 0,
            margin: i32::MAX,
            in_window: 0,
            calm_windows: 0,
            late_in_a_row: 0,
            newest: 0,
            pause: None,
            noisy: false,
            counters: PlayoutCounters::default(),
        }
    }

    /// How far the newest packet is ahead of what is played, in samples: the delay that the buffer adds. 0 while no
    /// stream is running.
    pub fn depth(&self) -> u32 {
        self.next
            .map_or(0, |next| (self.newest.wrapping_sub(next) as i32).max(0) as u32)
    }

    /// What happened so far.
    pub fn counters(&self) -> PlayoutCounters {
        self.counters
    }

    fn restart(&mut self, timestamp: u32) {
        self.slots.iter_mut().for_each(|s| s.used = false);
        self.ready.clear();
        self.next = Some(timestamp.wrapping_sub(START));
        self.newest = timestamp;
        self.pause = None;
        self.stall = 0;
        self.margin = i32::MAX;
        self.in_window = 0;
        self.calm_windows = 0;
        self.late_in_a_row = 0;
        // Nothing to repeat yet, and the pause is counted anew.
        self.faded = FADE_FRAMES;
        self.counters.restarts += 1;
    }

    /// A packet came. `marker` is its marker bit: after a pause with a frozen timestamp the stream restarts there.
    pub fn push(&mut self, timestamp: u32, marker: bool, payload: &[u8]) {
        let timestamp = self.scale.samples(timestamp);
        let next = match self.next {
            Some(next) => next,
            None => {
                self.restart(timestamp);
                timestamp.wrapping_sub(START)
            }
        };
        let mut margin = timestamp.wrapping_sub(next) as i32;
        if margin < 0 {
            self.counters.late += 1;
            self.late_in_a_row += 1;
            if margin < -JUMP || (margin < -MAX_DELAY && (marker || self.late_in_a_row >= 3)) {
                self.restart(timestamp);
                margin = START as i32;
            } else {
                // Enough frames that a packet this late would have been in time; never beyond the longest delay.
                let missing = (-margin + 80).min(MAX_DELAY) as u32;
                self.stall = self.stall.max(missing.div_ceil(FRAME as u32));
                self.calm_windows = 0;
                return;
            }
        } else if margin > JUMP {
            self.restart(timestamp);
            margin = START as i32;
        }
        self.late_in_a_row = 0;
        self.note_margin(margin);
        if (timestamp.wrapping_sub(self.newest) as i32) > 0 {
            self.newest = timestamp;
        }
        if self.slots.iter().any(|s| s.used && s.timestamp == timestamp) {
            return; // a duplicate
        }
        let slot = match self.slots.iter().position(|s| !s.used) {
            Some(free) => free,
            // Full: a burst far beyond the longest delay. The oldest gives way.
            None => self.oldest().unwrap_or(0),
        };
        let slot = &mut self.slots[slot];
        slot.used = true;
        slot.timestamp = timestamp;
        slot.payload.clear();
        // Packets of variable length do not make it grow again and again.
        slot.payload.reserve(payload.len().max(256));
        slot.payload.extend_from_slice(payload);
        if margin > MAX_DELAY + 2 * FRAME as i32 {
            // Too deep (a burst after an outage): go on where the delay is the longest allowed.
            self.next = Some(timestamp.wrapping_sub(MAX_DELAY as u32));
            self.ready.clear();
            self.drop_before_next();
            self.counters.shortened += 1;
        }
    }

    /// The sender pauses and described its noise (RFC 3389): it fills the time from `timestamp` until audio comes again.
    pub fn push_noise(&mut self, timestamp: u32, payload: &[u8]) {
        let timestamp = self.scale.samples(timestamp);
        let (Some(_), Some(noise)) = (self.next, ComfortNoise::parse(payload)) else {
            return;
        };
        match &mut self.pause {
            Some(pause) => pause.noise.update(noise),
            None => {
                self.pause = Some(Pause { from: timestamp, noise });
            }
        }
    }

    fn oldest(&self) -> Option<usize> {
        let next = self.next?;
        let used = self.slots.iter().enumerate().filter(|(_, s)| s.used);
        used.min_by_key(|(_, s)| s.timestamp.wrapping_sub(next) as i32)
            .map(|(i, _)| i)
    }

    fn drop_before_next(&mut self) {
        let Some(next) = self.next else { return };
        for slot in &mut self.slots {
            if slot.used && (slot.timestamp.wrapping_sub(next) as i32) < 0 {
                slot.used = false;
            }
        }
    }

    fn note_margin(&mut self, margin: i32) {
        self.margin = self.margin.min(margin);
        self.in_window += 1;
        if self.in_window == WINDOW {
            self.calm_windows = if self.margin > CALM_MARGIN {
                self.calm_windows + 1
            } else {
                0
            };
            self.in_window = 0;
            self.margin = i32::MAX;
        }
    }

    /// Take the next 20 ms.
    pub fn pull(&mut self, decoder: &mut dyn Decoder, out: &mut [i16; FRAME]) -> Pulled {
        if self.next.is_none() {
            out.fill(0);
            return Pulled::Silence;
        }
        if self.stall > 0 {
            self.stall -= 1;
            self.counters.stretched += 1;
            self.repeat(out);
            return Pulled::Concealed;
        }
        self.noisy = false;
        let mut audio = self.fill(decoder);
        if self.calm_windows >= CALM && audio {
            self.calm_windows = 0;
            self.counters.shortened += 1;
            // One frame is taken out; the cut is a cross-fade from it into the next.
            let mut first = [0i16; FRAME];
            first.copy_from_slice(&self.ready[..FRAME]);
            self.ready.drain(..FRAME);
            audio |= self.fill(decoder);
            for (i, sample) in self.ready[..FRAME].iter_mut().enumerate() {
                let (a, b) = (i32::from(first[i]), i32::from(*sample));
                *sample = ((a * (FRAME - i) as i32 + b * i as i32) / FRAME as i32) as i16;
            }
        }
        out.copy_from_slice(&self.ready[..FRAME]);
        self.ready.drain(..FRAME);
        if audio {
            self.last = *out;
            self.faded = 0;
            return Pulled::Audio;
        }
        if self.noisy && self.faded < PAUSE_FRAMES {
            return Pulled::Noise;
        }
        if self.faded >= PAUSE_FRAMES {
            self.next = None;
            self.ready.clear();
        }
        if self.faded > FADE_FRAMES {
            return Pulled::Silence;
        }
        self.counters.concealed += 1;
        Pulled::Concealed
    }

    /// Bring at least one frame into `ready`; true when any of it was received.
    fn fill(&mut self, decoder: &mut dyn Decoder) -> bool {
        let mut audio = !self.ready.is_empty();
        while self.ready.len() < FRAME {
            let Some(next) = self.next else { break };
            let wanted = FRAME - self.ready.len();
            let before = self.ready.len();
            let oldest = self.oldest();
            let gap = oldest.map_or(i32::MAX, |i| self.slots[i].timestamp.wrapping_sub(next) as i32);
            match oldest {
                Some(i) if gap < wanted as i32 => {
                    if gap > 0 {
                        self.bridge(decoder, i, gap as usize);
                    }
                    let slot = &mut self.slots[i];
                    slot.used = false;
                    if self
                        .pause
                        .as_ref()
                        .is_some_and(|p| (slot.timestamp.wrapping_sub(p.from) as i32) >= 0)
                    {
                        self.pause = None;
                    }
                    let begun = self.ready.len();
                    decoder.decode(&slot.payload, &mut self.ready);
                    if gap < 0 {
                        // Overlaps with what was made up or decoded already: only its new part counts.
                        let overlap = ((-gap) as usize).min(self.ready.len() - begun);
                        self.ready.drain(begun..begun + overlap);
                    }
                    audio |= self.ready.len() > begun;
                }
                // One packet is missing and the next one is here.
                Some(i) if gap as usize <= decoder.samples(&self.slots[i].payload) => {
                    self.bridge(decoder, i, gap as usize);
                }
                _ => self.conceal(decoder, wanted),
            }
            self.next = Some(next.wrapping_add((self.ready.len() - before) as u32));
        }
        audio
    }

    /// Fill `gap` samples before the packet in slot `following`, with its help if the codec knows how.
    fn bridge(&mut self, decoder: &mut dyn Decoder, following: usize, gap: usize) {
        let paused = self.pause.is_some() || decoder.pausing();
        let target = self.ready.len() + gap;
        if !paused && decoder.recover(&self.slots[following].payload, gap, &mut self.ready) {
            self.counters.recovered += 1;
        }
        if self.ready.len() < target {
            self.conceal(decoder, target - self.ready.len());
        }
    }

    fn conceal(&mut self, decoder: &mut dyn Decoder, samples: usize) {
        let target = self.ready.len() + samples;
        if let (Some(pause), Some(next)) = (&mut self.pause, self.next)
            && (next.wrapping_sub(pause.from) as i32) >= 0
        {
            let before = self.ready.len();
            self.ready.resize(target, 0);
            pause.noise.fill(&mut self.ready[before..]);
            self.noisy = true;
            // The pause lasts as long as the sender likes; nothing is left to repeat when it ends.
            self.faded = FADE_FRAMES;
            return;
        }
        let pausing = decoder.pausing();
        if (pausing || self.faded < FADE_FRAMES) && decoder.conceal(samples, &mut self.ready) {
            self.noisy |= pausing;
            self.faded = self.faded.saturating_add(1);
            self.ready.resize(target, 0);
            return;
        }
        let mut frame = [0i16; FRAME];
        while self.ready.len() < target {
            self.repeat(&mut frame);
            let take = (target - self.ready.len()).min(FRAME);
            self.ready.extend_from_slice(&frame[..take]);
        }
    }

    /// The last frame again, quieter each time.
    fn repeat(&mut self, out: &mut [i16; FRAME]) {
        if self.faded < FADE_FRAMES {
            let span = (FADE_FRAMES as usize * FRAME) as i32;
            let start = span - (self.faded as usize * FRAME) as i32;
            for (i, (o, &s)) in out.iter_mut().zip(&self.last).enumerate() {
                *o = (i32::from(s) * (start - i as i32) / span) as i16;
            }
        } else {
            out.fill(0);
        }
        self.faded = self.faded.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::Law;
    use crate::probe;
    use crate::tone::{Cadence, ToneGenerator};

    /// A sender of a 1,000 Hz tone, a network in virtual time and a receiver that pulls every 20 ms.
    struct Net {
        seed: u64,
        /// `(arrival µs, timestamp, payload)`.
        flying: Vec<(u64, u32, Vec<u8>)>,
    }

    impl Net {
        fn random(&mut self) -> u64 {
            self.seed = self
                .seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            self.seed >> 33
        }
    }

    struct Outcome {
        samples: Vec<i16>,
        pulled: Vec<Pulled>,
        counters: PlayoutCounters,
        worst_delay_ms: u64,
    }

    /// `drift_ppm`: how much faster the sender's clock runs. `jitter_ms`: uniform extra delay, which also reorders.
    fn run(seconds: u64, loss_percent: u64, jitter_ms: u64, drift_ppm: i64) -> Outcome {
        let mut net = Net {
            seed: 42,
            flying: Vec::new(),
        };
        let mut tone = ToneGenerator::new(Cadence::sine(1000, -10.0));
        let mut playout = Playout::new();
        let (mut samples, mut pulled, mut worst) = (Vec::new(), Vec::new(), 0);
        let mut sent = 0u64;
        for tick in 0..seconds * 50 {
            let now = tick * 20_000 + 7_000;
            loop {
                let at = (sent as i64 * 20_000 * 1_000_000 / (1_000_000 + drift_ppm)) as u64;
                if at > now {
                    break;
                }
                let mut frame = [0i16; FRAME];
                tone.fill(&mut frame);
                let payload = frame.iter().map(|&s| Law::A.encode(s)).collect();
                if net.random() % 100 >= loss_percent {
                    let extra = if jitter_ms == 0 {
                        0
                    } else {
                        net.random() % (jitter_ms * 1000)
                    };
                    net.flying.push((at + extra, (sent * 160) as u32, payload));
                }
                sent += 1;
            }
            net.flying.sort_by_key(|f| f.0);
            while net.flying.first().is_some_and(|f| f.0 <= now) {
                let (_, timestamp, payload) = net.flying.remove(0);
                playout.push(timestamp, false, &payload);
            }
            let mut frame = [0i16; FRAME];
            pulled.push(playout.pull(&mut Law::A, &mut frame));
            if let (Some(next), true) = (playout.next, tick > 500) {
                let depth = ((sent * 160) as u32).wrapping_sub(next) as i32 / 8;
                worst = worst.max(depth.max(0) as u64);
            }
            if samples.len() < 8000 * 60 {
                samples.extend_from_slice(&frame);
            }
        }
        Outcome {
            samples,
            pulled,
            counters: playout.counters(),
            worst_delay_ms: worst,
        }
    }

    fn share(outcome: &Outcome, kind: Pulled) -> f64 {
        outcome.pulled.iter().filter(|&&p| p == kind).count() as f64 / outcome.pulled.len() as f64
    }

    #[test]
    fn a_clean_stream_passes_unchanged() {
        let outcome = run(10, 0, 0, 0);
        let level = probe::level(&outcome.samples[8000..16000], 1000.0);
        assert!((level + 10.0).abs() < 0.2, "{level}");
        assert_eq!(
            outcome.counters.late + outcome.counters.shortened + outcome.counters.stretched,
            0
        );
        assert_eq!(share(&outcome, Pulled::Concealed), 0.0);
        assert!(outcome.worst_delay_ms <= 50, "{}", outcome.worst_delay_ms);
    }

    #[test]
    fn jitter_and_reordering_are_absorbed() {
        let outcome = run(60, 0, 60, 0);
        assert!(
            share(&outcome, Pulled::Concealed) < 0.01,
            "{}",
            share(&outcome, Pulled::Concealed)
        );
        assert!(outcome.worst_delay_ms <= 160, "{}", outcome.worst_delay_ms);
        let level = probe::level(&outcome.samples[80_000..160_000], 1000.0);
        assert!((level + 10.0).abs() < 1.0, "{level}");
    }

    #[test]
    fn loss_is_concealed_and_the_delay_does_not_grow() {
        for loss in [1, 5, 10] {
            let outcome = run(60, loss, 20, 0);
            let concealed = share(&outcome, Pulled::Concealed);
            assert!(concealed < loss as f64 / 100.0 + 0.02, "{loss} %: {concealed}");
            assert!(probe::level(&outcome.samples[80_000..400_000], 1000.0) > -11.5);
            assert!(outcome.worst_delay_ms <= 120, "{loss} %: {} ms", outcome.worst_delay_ms);
        }
    }

    #[test]
    fn an_hour_of_drift_is_corrected_both_ways() {
        for ppm in [200, -200] {
            let outcome = run(3600, 0, 5, ppm);
            assert!(
                outcome.worst_delay_ms <= 100,
                "{ppm} ppm: {} ms",
                outcome.worst_delay_ms
            );
            // 200 ppm are 720 ms an hour: 36 frames.
            let corrected = if ppm > 0 {
                outcome.counters.shortened
            } else {
                outcome.counters.stretched
            };
            assert!((30..=60).contains(&corrected), "{ppm} ppm: {corrected}");
            assert!(share(&outcome, Pulled::Audio) > 0.99);
        }
    }

    #[test]
    fn any_packet_time_comes_out_whole() {
        for samples in [80usize, 160, 240, 320, 480, 100] {
            let mut playout = Playout::new();
            let (mut sent, mut out) = (0usize, Vec::new());
            for tick in 0..200 {
                while sent <= tick * FRAME {
                    let payload: Vec<u8> = (sent..sent + samples)
                        .map(|i| Law::A.encode((i % 100) as i16 * 64))
                        .collect();
                    playout.push(sent as u32, false, &payload);
                    sent += samples;
                }
                let mut frame = [0; FRAME];
                playout.pull(&mut Law::A, &mut frame);
                out.extend_from_slice(&frame);
            }
            let start = out.iter().rposition(|&s| s == 0).map_or(0, |_| 4000);
            let expected = |i: usize| Law::A.decode(Law::A.encode((i % 100) as i16 * 64));
            let phase = (0..100)
                .find(|&p| (0..200).all(|i| out[start + i] == expected(i + p)))
                .expect("a shifted copy");
            assert!(
                (0..20_000).all(|i| out[start + i] == expected(i + phase)),
                "{samples} samples a packet"
            );
        }
    }

    #[test]
    fn a_pause_ends_in_silence_and_the_next_spurt_is_heard() {
        let mut playout = Playout::new();
        let mut frame = [0; FRAME];
        for i in 0..50u32 {
            playout.push(i * 160, false, &[0x2A; 160]);
            playout.pull(&mut Law::A, &mut frame);
        }
        let kinds: Vec<Pulled> = (0..100).map(|_| playout.pull(&mut Law::A, &mut frame)).collect();
        assert_eq!(kinds[99], Pulled::Silence);
        assert_eq!(frame, [0; FRAME]);
        // The far side froze its timestamps meanwhile.
        let heard = (50..60u32).any(|i| {
            playout.push(i * 160, i == 50, &[0x2A; 160]);
            playout.pull(&mut Law::A, &mut frame) == Pulled::Audio
        });
        assert!(heard);
    }
}
