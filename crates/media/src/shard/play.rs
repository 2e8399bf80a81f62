//! A sound being played: its position, and its frames.

use strowger_media_core::FRAME;
use strowger_media_core::g711::Law;
use strowger_media_core::tone::ToneGenerator;

use crate::api::{Play, SoundRef};

pub(super) struct Playing {
    pub(super) play: Play,
    /// Samples of the lead-in that are left.
    lead_in: u64,
    position: usize,
    tone: Option<ToneGenerator>,
    /// It ended by itself; kept so that a layout that still names it does not start it again.
    pub(super) finished: bool,
}

impl Playing {
    pub(super) fn new(play: Play) -> Playing {
        let tone = match &play.sound {
            SoundRef::Tone(cadence) => Some(ToneGenerator::new(cadence.clone())),
            SoundRef::Sound(_) => None,
        };
        let lead_in = u64::from(play.lead_in_ms) * 8;
        Playing {
            play,
            lead_in,
            position: 0,
            tone,
            finished: false,
        }
    }

    /// What remains of `old` when a layout brings `new`: the same id goes on, everything else starts from its beginning.
    pub(super) fn update(old: Option<Playing>, new: Option<Play>) -> Option<Playing> {
        let new = new?;
        match old {
            Some(mut old) if old.play.id == new.id => {
                old.play.repeat = new.repeat;
                old.play.recorded = new.recorded;
                Some(old)
            }
            _ => Some(Playing::new(new)),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        !self.finished
    }

    /// The next 20 ms. When the frame is exactly a piece of a shared sound, its encoded form is copied to `encoded`
    /// (when a law is given) and the second value is true. Sets `finished` with the last sample.
    pub(super) fn next(&mut self, frame: &mut [i16; FRAME], law: Option<Law>, encoded: &mut [u8; FRAME]) -> bool {
        let mut at = 0;
        if self.lead_in > 0 {
            at = self.lead_in.min(FRAME as u64) as usize;
            frame[..at].fill(0);
            self.lead_in -= at as u64;
            if at == FRAME {
                return false;
            }
        }
        let sound = match &self.play.sound {
            SoundRef::Sound(sound) => sound,
            SoundRef::Tone(_) => {
                self.next_tone(&mut frame[at..]);
                return false;
            }
        };
        let pcm = sound.pcm();
        let start = self.position;
        let mut copied = false;
        if let (0, Some(law), Some(_)) = (at, law, pcm.get(start..start + FRAME)) {
            let source = if law == Law::A { sound.alaw() } else { sound.ulaw() };
            encoded.copy_from_slice(&source[start..start + FRAME]);
            copied = true;
        }
        while at < FRAME {
            if self.position >= pcm.len() {
                if !self.play.repeat || pcm.is_empty() {
                    break;
                }
                self.position = 0;
            }
            let count = (pcm.len() - self.position).min(FRAME - at);
            frame[at..at + count].copy_from_slice(&pcm[self.position..self.position + count]);
            self.position += count;
            at += count;
        }
        frame[at..].fill(0);
        self.finished = self.position >= pcm.len() && (!self.play.repeat || pcm.is_empty());
        copied
    }

    fn next_tone(&mut self, out: &mut [i16]) {
        let Some(tone) = &mut self.tone else { return out.fill(0) };
        let mut at = tone.fill(out);
        if at == out.len() {
            return;
        }
        if !self.play.repeat {
            self.finished = true;
            return;
        }
        // A tone that ends, repeated: begin again, once; one without length stays silent.
        if let SoundRef::Tone(cadence) = &self.play.sound {
            *tone = ToneGenerator::new(cadence.clone());
            at += tone.fill(&mut out[at..]);
            out[at..].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Sound;
    use std::sync::Arc;

    fn play(id: u32, samples: Vec<i16>, repeat: bool, lead_in_ms: u32) -> Play {
        let sound = SoundRef::Sound(Arc::new(Sound::from_samples(samples)));
        Play {
            id,
            sound,
            repeat,
            recorded: false,
            lead_in_ms,
        }
    }

    fn frames(playing: &mut Playing, count: usize) -> Vec<i16> {
        let mut out = Vec::new();
        for _ in 0..count {
            let mut frame = [7; FRAME];
            playing.next(&mut frame, Some(Law::A), &mut [0; FRAME]);
            out.extend_from_slice(&frame);
        }
        out
    }

    #[test]
    fn lead_in_sound_and_end() {
        let mut playing = Playing::new(play(1, vec![5; 200], false, 5));
        let heard = frames(&mut playing, 2);
        assert!(heard[..40].iter().all(|&s| s == 0));
        assert!(heard[40..240].iter().all(|&s| s == 5));
        assert!(heard[240..].iter().all(|&s| s == 0));
        assert!(playing.finished);
    }

    #[test]
    fn repetition_is_seamless_and_never_ends() {
        let mut playing = Playing::new(play(1, (0..100).collect(), true, 0));
        let heard = frames(&mut playing, 10);
        assert!(heard.iter().enumerate().all(|(i, &s)| s == (i % 100) as i16));
        assert!(playing.is_active());
        let mut nothing = Playing::new(play(1, vec![], true, 0));
        frames(&mut nothing, 1);
        assert!(nothing.finished, "a sound without samples ends even when repeated");
    }

    #[test]
    fn the_same_id_goes_on_and_another_starts() {
        let mut playing = Playing::new(play(1, vec![5; 1000], false, 0));
        frames(&mut playing, 2);
        let playing = Playing::update(Some(playing), Some(play(1, vec![6; 1000], false, 0)));
        assert_eq!(frames(&mut playing.unwrap(), 1)[0], 5);
        let other = Playing::update(None, Some(play(2, vec![6; 1000], false, 0)));
        assert_eq!(frames(&mut other.unwrap(), 1)[0], 6);
    }

    #[test]
    fn whole_frames_come_encoded() {
        let mut playing = Playing::new(play(1, vec![1000; 200], false, 0));
        let (mut frame, mut encoded) = ([0; FRAME], [0; FRAME]);
        assert!(playing.next(&mut frame, Some(Law::Mu), &mut encoded));
        assert!(encoded.iter().all(|&o| o == Law::Mu.encode(1000)));
        assert!(
            !playing.next(&mut frame, Some(Law::Mu), &mut encoded),
            "the last part is padded"
        );
    }
}
