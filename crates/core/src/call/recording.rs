//! The recording of a conversation: begun by its plan or by command, paused, ended, and reported by the recorder.

use super::{Conversation, Deadline, Phase, RecordingFile, RecordingPause, Refusal};
use crate::event::{Fact, RecordMode};
use crate::time::Stamp;

/// What may be asked of the recording of a running conversation. Asking for what is so already changes nothing and is
/// no error: two clients may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingCommand {
    /// Begin, if none runs.
    Start,
    /// End it; its file is finished while the talk goes on. A later start begins another one.
    Stop,
    /// Wait.
    Pause(RecordingPause),
    /// Go on.
    Resume,
}

impl Conversation {
    pub(super) fn recording_command(&mut self, command: RecordingCommand, now: Stamp) {
        match self.phase {
            Phase::Ended | Phase::Ending => return self.refuse(Refusal::Ended),
            Phase::Talking(_) => {}
            // Before the talk there is nobody whose consent a start could rest on; what the plan began can be handled.
            _ if command == RecordingCommand::Start => return self.refuse(Refusal::State),
            _ => {}
        }
        if !self.recording && command != RecordingCommand::Start {
            return self.refuse(Refusal::NoRecording);
        }
        let recording = self.record.recordings.len().saturating_sub(1) as u16;
        match command {
            RecordingCommand::Start => self.start_recording(now),
            RecordingCommand::Stop => {
                self.recording = false;
                self.recording_pause = None;
            }
            RecordingCommand::Pause(pause) if self.recording_pause != Some(pause) => {
                if self.recording_pause.is_some() {
                    self.emit(Fact::RecordingResumed { recording }, now);
                }
                let masked = pause == RecordingPause::Mask;
                self.emit(Fact::RecordingPaused { recording, masked }, now);
                self.recording_pause = Some(pause);
            }
            RecordingCommand::Resume if self.recording_pause.is_some() => {
                self.emit(Fact::RecordingResumed { recording }, now);
                self.recording_pause = None;
            }
            RecordingCommand::Pause(_) | RecordingCommand::Resume => {}
        }
        self.accept(None);
    }

    pub(super) fn start_recording(&mut self, now: Stamp) {
        if !self.recording {
            self.recording = true;
            let recording = self.record.recordings.len() as u16;
            self.emit(Fact::RecordingStarted { recording }, now);
        }
    }

    pub(super) fn record_mode(&self) -> RecordMode {
        self.record.head.record
    }

    pub(super) fn recording_done(&mut self, recording: u16, result: Result<RecordingFile, String>, now: Stamp) {
        // A result for a recording that is not running is a late echo and is dropped.
        let running = matches!(
            self.record.recordings.get(usize::from(recording)),
            Some(crate::record::RecordingRecord::Running)
        );
        if !running {
            return;
        }
        let fact = match result {
            Ok(f) => Fact::RecordingFinished {
                recording,
                name: f.name,
                millis: f.millis,
                bytes: f.bytes,
                checksum: f.checksum,
            },
            Err(reason) => Fact::RecordingFailed { recording, reason },
        };
        self.emit(fact, now);
        if !self.record.recording_pending() {
            self.clear_deadline(Deadline::Record);
            self.clear_deadline(Deadline::RecordingLost);
        }
    }

    /// A recorder that never reports would keep the conversation in memory for ever.
    pub(super) fn give_recordings_up(&mut self, now: Stamp) {
        for n in 0..self.record.recordings.len() {
            let reason = "the recorder did not report".to_owned();
            self.recording_done(n as u16, Err(reason), now);
        }
    }
}
