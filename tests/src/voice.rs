//! Telephones of an office with sound: each says a tone of its own, so that what one hears tells whom it hears.

use crate::centre::LINE;
use crate::line::Line;
use crate::msg::Message;
use crate::office::Office;
use crate::phone::{Phone, Talk};
use crate::sound::{now_ms, tone, wav_file};
use crate::wait;
use std::time::{Duration, Instant};
use strowger_media_core::g711::Law;

/// The music of [`music`].
pub const MUSIC: f32 = 440.0;
/// Time for a change to be heard on a machine that is busy with other tests.
const STEP: Duration = Duration::from_secs(20);

/// Music that can be told from everything else: its folder, and the lines of the configuration that name it.
pub fn music() -> (tempfile::TempDir, String) {
    let sounds = tempfile::tempdir().expect("a folder for sounds");
    let file = wav_file(&tone(MUSIC, Duration::from_secs(3)));
    std::fs::write(sounds.path().join("hold.wav"), file).expect("the folder takes a file");
    let more = format!("[sounds]\nfolder = {:?}\n", sounds.path().display().to_string());
    (sounds, more)
}

/// A telephone with sound.
pub struct Voice {
    name: &'static str,
    /// Its signalling.
    pub phone: Phone,
    /// Its sound.
    pub line: Line,
    all: Vec<f32>,
}

impl Voice {
    /// A registered one that says `hz`; `all` are the tones that can be heard at all.
    pub fn new(office: &Office, name: &'static str, hz: f32, all: &[f32]) -> Voice {
        let mut phone = office.registered(name);
        let line = Line::open(Law::A, Some(hz));
        phone.speaks_by(&line);
        let all = all.to_vec();
        Voice { name, phone, line, all }
    }

    fn speaks_to(&self, described: &Message) {
        let (to, _) = described.media().expect("an SDP");
        self.line.send_to(Some(to));
    }

    /// Calls the queue, and has been answered.
    pub fn call_in(&mut self) -> Talk {
        self.call(LINE)
    }

    /// Calls a number, and has been answered.
    pub fn call(&mut self, number: &str) -> Talk {
        let sdp = self.phone.sdp("sendrecv");
        let mut talk = self.phone.invite(number, "", &sdp);
        let answer = self.phone.response(&mut talk, 200);
        self.speaks_to(&answer);
        talk
    }

    /// Is rung and answers.
    pub fn accept(&mut self) -> Talk {
        let invite = self.phone.ring();
        self.speaks_to(&invite);
        self.phone.accept(&invite)
    }

    /// Waits until it hears these tones, and none of the others, for a while.
    ///
    /// # Panics
    /// If it does not come to that.
    pub fn hears(&self, when: &str, wanted: &[f32]) {
        let right = || self.all.iter().all(|hz| self.line.hears(*hz) == wanted.contains(hz));
        let end = Instant::now() + STEP;
        let mut since = None;
        while since.is_none_or(|s: Instant| s.elapsed() < Duration::from_millis(400)) {
            let now: Vec<f32> = self.all.iter().copied().filter(|hz| self.line.hears(*hz)).collect();
            assert!(
                Instant::now() < end,
                "{when}: {} hears {now:?} and not {wanted:?} Hz",
                self.name
            );
            since = right().then(|| since.unwrap_or_else(Instant::now));
            wait::pause(Duration::from_millis(20));
        }
    }

    /// How long it has heard a tone since a moment.
    pub fn heard_since(&self, hz: f32, from: usize) -> usize {
        self.line.heard().heard_between(hz, from, now_ms())
    }
}
