//! Whether a person or an answering machine has answered, by the rhythm of what is said.
//!
//! A person says a word or two and waits; a machine talks on, or its greeting begins after a long silence. The parameters
//! and their defaults are those that the field publishes for this method (initial silence, greeting, silence after the
//! greeting, words, total time).

use super::fax::FaxDetector;
use super::voice::Energy;
use crate::FRAME;

/// Parameters in ms. A frame is 20 ms; smaller values count as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSettings {
    /// Silence before the first word above which it is a machine.
    pub initial_silence: u32,
    /// Length of everything said above which it is a machine.
    pub greeting: u32,
    /// Silence after something was said that makes it a person.
    pub after_greeting_silence: u32,
    /// After this long the verdict is [`Who::Unknown`].
    pub total: u32,
    /// A shorter sound is no word.
    pub min_word: u32,
    /// A longer one is no word of a person.
    pub max_word: u32,
    /// Silence between two words.
    pub between_words: u32,
    /// This many words are a machine's.
    pub max_words: u32,
}

impl Default for MachineSettings {
    fn default() -> Self {
        MachineSettings {
            initial_silence: 2500,
            greeting: 1500,
            after_greeting_silence: 800,
            total: 5000,
            min_word: 100,
            max_word: 5000,
            between_words: 50,
            max_words: 3,
        }
    }
}

/// Who has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A person.
    Human,
    /// An answering machine or an announcement.
    Machine,
    /// A fax machine or a modem.
    Fax,
    /// It could not be told in time.
    Unknown,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictReason {
    /// Nothing was said for [`MachineSettings::initial_silence`].
    InitialSilence,
    /// More than [`MachineSettings::greeting`] was said.
    LongGreeting,
    /// [`MachineSettings::max_words`] were said.
    Words,
    /// One sound lasted longer than [`MachineSettings::max_word`].
    LongWord,
    /// Something short was said, and then nothing.
    ShortGreeting,
    /// A fax tone.
    Tone,
    /// [`MachineSettings::total`] has passed.
    Time,
}

/// The one answer of a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who.
    pub who: Who,
    /// Why.
    pub reason: VerdictReason,
    /// How sure, 0-100: how far what was heard is from where the verdict would have turned.
    pub confidence: u8,
    /// How long it took.
    pub after_ms: u32,
}

/// Gives one verdict, then rests.
#[derive(Clone, Debug)]
pub struct MachineDetector {
    settings: MachineSettings,
    energy: Energy,
    fax: FaxDetector,
    done: bool,
    /// All in ms.
    passed: u32,
    said: u32,
    word: u32,
    silence: u32,
    words: u32,
    in_word: bool,
}

const MS: u32 = 20;

impl MachineDetector {
    /// To begin with the answer of the call.
    pub fn new(settings: MachineSettings) -> MachineDetector {
        MachineDetector {
            settings,
            energy: Energy::default(),
            fax: FaxDetector::default(),
            done: false,
            passed: 0,
            said: 0,
            word: 0,
            silence: 0,
            words: 0,
            in_word: false,
        }
    }

    /// Hear 20 ms.
    pub fn hear(&mut self, frame: &[i16; FRAME]) -> Option<Verdict> {
        if self.done {
            return None;
        }
        self.passed += MS;
        if self.fax.hear(frame).is_some() {
            return self.conclude(Who::Fax, VerdictReason::Tone, 95);
        }
        let voice = self.energy.is_voice(frame);
        if voice { self.voice() } else { self.quiet() }.or_else(|| {
            let over = self.passed >= self.settings.total;
            over.then(|| self.conclude(Who::Unknown, VerdictReason::Time, 0))
                .flatten()
        })
    }

    fn voice(&mut self) -> Option<Verdict> {
        let s = &self.settings;
        self.word += MS;
        self.said += MS;
        self.silence = 0;
        if self.word >= s.min_word && !self.in_word {
            self.in_word = true;
            self.words += 1;
            if self.words >= s.max_words {
                // Many words in a short time are a machine's more surely than in a long one.
                let confidence = 90 - 30 * self.passed.min(s.total) / s.total.max(1);
                return self.conclude(Who::Machine, VerdictReason::Words, confidence);
            }
        }
        if self.word > s.max_word {
            return self.conclude(Who::Machine, VerdictReason::LongWord, 80);
        }
        if self.said > s.greeting {
            return self.conclude(Who::Machine, VerdictReason::LongGreeting, 85);
        }
        None
    }

    fn quiet(&mut self) -> Option<Verdict> {
        let s = &self.settings;
        self.silence += MS;
        if self.silence >= s.between_words {
            if self.word < s.min_word {
                // A click or a breath: it was no part of a greeting.
                self.said -= self.word.min(self.said);
            }
            self.word = 0;
            self.in_word = false;
        }
        if self.words == 0 && self.said == 0 && self.passed >= s.initial_silence {
            return self.conclude(Who::Machine, VerdictReason::InitialSilence, 55);
        }
        if self.words > 0 && self.silence >= s.after_greeting_silence {
            // The shorter what was said, the surer it is a person: from 95 down to 55 at the limit.
            let confidence = 95 - 40 * self.said.min(s.greeting) / s.greeting.max(1);
            return self.conclude(Who::Human, VerdictReason::ShortGreeting, confidence);
        }
        None
    }

    fn conclude(&mut self, who: Who, reason: VerdictReason, confidence: u32) -> Option<Verdict> {
        self.done = true;
        Some(Verdict {
            who,
            reason,
            confidence: confidence.min(100) as u8,
            after_ms: self.passed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::{Cadence, ToneGenerator};

    /// Words as spans of (ms of silence, ms of a sound), then silence.
    fn verdict(spans: &[(u32, u32)]) -> Verdict {
        let mut samples = Vec::new();
        for &(silence, sound) in spans {
            samples.resize(samples.len() + silence as usize * 8, 0i16);
            let mut word = vec![0; sound as usize * 8];
            ToneGenerator::new(Cadence::once(sound, [310, 640], 0, -18.0)).fill(&mut word);
            samples.extend(word);
        }
        samples.resize(samples.len() + 8000 * 10, 0);
        let mut detector = MachineDetector::new(MachineSettings::default());
        let mut verdicts = samples.as_chunks::<FRAME>().0.iter().filter_map(|f| detector.hear(f));
        let verdict = verdicts.next().unwrap();
        assert_eq!(verdicts.next(), None, "one verdict");
        verdict
    }

    #[test]
    fn a_short_word_and_silence_is_a_person() {
        let hello = verdict(&[(400, 500)]);
        assert_eq!((hello.who, hello.reason), (Who::Human, VerdictReason::ShortGreeting));
        assert!((1680..=1760).contains(&hello.after_ms), "{hello:?}");
        let longer = verdict(&[(200, 600), (100, 600)]);
        assert_eq!(longer.who, Who::Human);
        assert!(longer.confidence < hello.confidence, "{longer:?} {hello:?}");
    }

    #[test]
    fn a_machine_talks_on_or_begins_late() {
        let long = verdict(&[(300, 2000)]);
        assert_eq!((long.who, long.reason), (Who::Machine, VerdictReason::LongGreeting));
        let words = verdict(&[(300, 200), (100, 200), (100, 200)]);
        assert_eq!((words.who, words.reason), (Who::Machine, VerdictReason::Words));
        let late = verdict(&[(3000, 500)]);
        assert_eq!((late.who, late.reason), (Who::Machine, VerdictReason::InitialSilence));
    }

    #[test]
    fn a_click_is_no_word_and_a_fax_is_a_fax() {
        let click = verdict(&[(500, 40)]);
        assert_eq!((click.who, click.reason), (Who::Machine, VerdictReason::InitialSilence));
        let mut generator = ToneGenerator::new(Cadence::once(3000, [2100, 0], 0, -20.0));
        let mut detector = MachineDetector::new(MachineSettings {
            greeting: 3000,
            ..MachineSettings::default()
        });
        let mut frame = [0; FRAME];
        let who = (0..150).find_map(|_| {
            generator.fill(&mut frame);
            detector.hear(&frame)
        });
        assert_eq!(who.unwrap().who, Who::Fax);
    }

    #[test]
    fn what_cannot_be_told_ends_in_time() {
        let settings = MachineSettings {
            initial_silence: 60_000,
            ..MachineSettings::default()
        };
        let mut detector = MachineDetector::new(settings);
        let verdict = (0..1000).find_map(|_| detector.hear(&[0; FRAME])).unwrap();
        assert_eq!((verdict.who, verdict.after_ms), (Who::Unknown, 5000));
    }
}
