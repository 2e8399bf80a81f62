//! From the core's layout to the media engine's.

use super::{Out, Owner, World};
use std::collections::VecDeque;
use strowger_core::call::{Input, Layout, Play, PlayId, RecordingPause};
use strowger_media::{Command, Gain, LegLayout, Pause, Play as MediaPlay, RecordChannels, RecordFormat, RecordSpec};

impl Owner {
    pub(super) fn show(&mut self, layout: &Layout, inputs: &mut VecDeque<Input>, world: &dyn World) {
        let mut missing = Vec::new();
        let mut play = |p: &Option<Play>| {
            let p = p.as_ref()?;
            let Some(sound) = world.sound(self.tenant, self.application, &p.sound) else {
                missing.push((p.id, p.repeat));
                return None;
            };
            Some(MediaPlay {
                id: p.id.0,
                sound,
                repeat: p.repeat,
                recorded: p.recorded,
                lead_in_ms: 0,
            })
        };
        let legs = layout
            .legs
            .iter()
            .map(|l| LegLayout {
                leg: l.leg.0,
                hears: l.hears.iter().map(|h| (h.0, Gain::UNITY)).collect(),
                play: play(&l.play),
            })
            .collect();
        let announce = play(&layout.announce);
        self.turn
            .out
            .push(Out::Media(Command::Layout(strowger_media::Layout { legs, announce })));
        // A sound that has vanished since it was checked is over at once; the call goes on without it.
        for (id, repeat) in missing {
            tracing::warn!(conversation = %self.machine.id(), play = id.0, "a sound is missing and was left out");
            if !repeat {
                inputs.push_back(Input::Unplayed(PlayId(id.0)));
            }
        }
        self.record(layout, world);
    }

    fn record(&mut self, layout: &Layout, world: &dyn World) {
        let wanted = layout.record.clone();
        if wanted == self.recording {
            return;
        }
        let running = std::mem::replace(&mut self.recording, wanted.clone());
        let Some(recorder) = wanted else {
            self.turn.out.push(Out::Media(Command::StopRecord));
            return;
        };
        if running.is_none_or(|r| r.recording != recorder.recording) {
            // The name cannot be guessed: whoever has the link may fetch the file.
            let id = self.machine.id().0 | u128::from(recorder.recording);
            self.stem = format!("RE{id:032x}{:032x}", world.random());
        }
        let form = world.recording(self.application);
        self.turn.out.push(Out::Media(Command::Record(RecordSpec {
            id: self.machine.id().0 | u128::from(recorder.recording),
            stem: self.stem.clone(),
            left: recorder.left.0,
            format: if form.compressed {
                RecordFormat::OggOpus
            } else {
                RecordFormat::Wav
            },
            channels: if form.mixed {
                RecordChannels::Mono
            } else {
                RecordChannels::Stereo
            },
            hide_digits: form.hide_digits,
            pause: recorder.pause.map(|p| match p {
                RecordingPause::Cut => Pause::Cut,
                RecordingPause::Mask => Pause::Mask,
            }),
        })));
    }
}
