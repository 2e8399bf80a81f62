//! Listening in: detectors of digits, voices, answering machines and fax machines in the sound of one party.
//!
//! Each detector is pure: 20 ms frames of 8 kHz go in, what was found comes out. A [`Listener`] holds those that are wanted.

mod beep;
mod digits;
mod fax;
mod machine;
mod voice;

pub use beep::BeepDetector;
pub use digits::{DigitDetector, ToneDigit};
pub use fax::{FaxDetector, FaxTone};
pub use machine::{MachineDetector, MachineSettings, Verdict, VerdictReason, Who};
pub use voice::{Voice, VoiceDetector};

use crate::FRAME;

/// What is listened for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// Digits as tones in the sound.
    pub digits: bool,
    /// When the party begins and ends to talk.
    pub voice: bool,
    /// Whether a person or a machine has answered; one verdict.
    pub machine: Option<MachineSettings>,
    /// Tones of fax machines.
    pub fax: bool,
    /// The beep after which a machine records.
    pub beep: bool,
}

impl Listen {
    /// True if nothing is wanted.
    pub fn is_empty(&self) -> bool {
        *self == Listen::default()
    }
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A digit ended.
    Digit(ToneDigit),
    /// The party began or ended to talk.
    Voice(Voice),
    /// Who has answered.
    Answered(Verdict),
    /// A fax machine.
    Fax(FaxTone),
    /// A beep is over.
    Beep,
}

/// The detectors that are wanted of one party.
#[derive(Debug, Default)]
pub struct Listener {
    wanted: Listen,
    digits: Option<DigitDetector>,
    voice: Option<VoiceDetector>,
    machine: Option<MachineDetector>,
    fax: Option<FaxDetector>,
    beep: Option<BeepDetector>,
}

impl Listener {
    /// Change what is listened for: detectors that stay go on undisturbed.
    pub fn want(&mut self, listen: Listen) {
        let keep = |has: bool, wanted: bool| has && wanted;
        if !keep(self.digits.is_some(), listen.digits) {
            self.digits = listen.digits.then(DigitDetector::default);
        }
        if !keep(self.voice.is_some(), listen.voice) {
            self.voice = listen.voice.then(VoiceDetector::default);
        }
        if self.wanted.machine != listen.machine {
            self.machine = listen.machine.clone().map(MachineDetector::new);
        }
        if !keep(self.fax.is_some(), listen.fax) {
            self.fax = listen.fax.then(FaxDetector::default);
        }
        if !keep(self.beep.is_some(), listen.beep) {
            self.beep = listen.beep.then(BeepDetector::default);
        }
        self.wanted = listen;
    }

    /// Hear 20 ms; `found` is called for everything that is known now.
    pub fn hear(&mut self, frame: &[i16; FRAME], mut found: impl FnMut(Heard)) {
        if let Some(digit) = self.digits.as_mut().and_then(|d| d.hear(frame)) {
            found(Heard::Digit(digit));
        }
        if let Some(voice) = self.voice.as_mut().and_then(|v| v.hear(frame)) {
            found(Heard::Voice(voice));
        }
        let fax = self.fax.as_mut().and_then(|f| f.hear(frame));
        if let Some(tone) = fax {
            found(Heard::Fax(tone));
        }
        if self.beep.as_mut().is_some_and(|b| b.hear(frame)) {
            found(Heard::Beep);
        }
        if let Some(verdict) = self.machine.as_mut().and_then(|m| m.hear(frame)) {
            found(Heard::Answered(verdict));
        }
    }
}

/// The power of one frequency in a block of samples (Goertzel).
#[derive(Clone, Copy, Debug)]
struct Goertzel {
    coefficient: f32,
    s1: f32,
    s2: f32,
}

impl Goertzel {
    fn new(hz: f32) -> Goertzel {
        Goertzel {
            coefficient: 2.0 * (std::f32::consts::TAU * hz / crate::RATE as f32).cos(),
            s1: 0.0,
            s2: 0.0,
        }
    }

    #[inline]
    fn add(&mut self, sample: f32) {
        let s0 = sample + self.coefficient * self.s1 - self.s2;
        self.s2 = self.s1;
        self.s1 = s0;
    }

    /// The squared magnitude, and begin anew. A sine of amplitude A over n samples gives (A·n/2)².
    fn take(&mut self) -> f32 {
        let power = self.s1 * self.s1 + self.s2 * self.s2 - self.coefficient * self.s1 * self.s2;
        (self.s1, self.s2) = (0.0, 0.0);
        power.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_that_stays_wanted_is_not_disturbed() {
        let mut listener = Listener::default();
        let mut tones = crate::dtmf_tone::DtmfTones::default();
        tones.push("5", 400);
        let mut found = Vec::new();
        let digits = Listen {
            digits: true,
            ..Listen::default()
        };
        listener.want(digits.clone());
        let mut frame = [0; FRAME];
        for i in 0..40 {
            tones.next(&mut frame);
            if i == 5 {
                listener.want(Listen {
                    fax: true,
                    ..digits.clone()
                });
            }
            listener.hear(&frame, |h| found.push(h));
        }
        assert!(
            matches!(found[..], [Heard::Digit(ToneDigit { digit: '5', .. })]),
            "{found:?}"
        );
        listener.want(Listen::default());
        assert!(listener.digits.is_none());
    }
}
