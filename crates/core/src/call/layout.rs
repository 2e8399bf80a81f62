//! Who hears what, as a value: the table of voice-paas §8.4 is a function of the conversation's phase.
//!
//! A layout says everything; the media engine works out the difference to the one before. A sound keeps its
//! [`PlayId`] while it goes on.

use super::party::Stage;
use super::{Cause, Conversation, Flow, LegSeq, LegState, Phase, Prompt, Ringback};
use crate::spoken::{self, Kind, Language, Manner, Piece, SpokenError};

/// Identity of one playing of one sound in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayId(pub u32);

/// A sound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sound {
    /// A prompt of the application, or a shared one, by name.
    Prompt(String),
    /// A sound that the platform ships.
    Builtin(Builtin),
    /// A tone.
    Tone(Tone),
    /// Something that is read out.
    Spoken(Box<Spoken>),
    /// A text that an engine has spoken, by the name that it was given.
    Synthesised(String),
}

/// A text that is read out from recorded units (voice-paas §5.1).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Spoken {
    /// How the text is meant.
    pub kind: Kind,
    /// The text. May be a verification code: it is not shown in debug prints.
    pub text: String,
    /// The language.
    pub language: Language,
    /// How it is read.
    pub manner: Manner,
    /// It is a verification code: "your verification code is" comes before it.
    pub code: bool,
}

/// No unit is longer than this; bounds the wait for the end of what is spoken.
const UNIT_MS: u32 = 1_500;

impl Spoken {
    /// The units and pauses of the text.
    ///
    /// # Errors
    /// The text is not of the kind.
    pub fn pieces(&self) -> Result<Vec<Piece>, SpokenError> {
        if self.code {
            return spoken::captcha(&self.text, self.language, &self.manner);
        }
        spoken::speak(self.kind, &self.text, self.language, &self.manner)
    }

    /// As an item of a program.
    ///
    /// # Errors
    /// The text is not of the kind.
    pub fn into_item(self) -> Result<super::Item, SpokenError> {
        let bound = |piece: &Piece| match piece {
            Piece::Unit(_) => UNIT_MS,
            Piece::Pause(ms) => u32::from(*ms),
        };
        let millis = self.pieces()?.iter().map(bound).sum();
        let sound = Sound::Spoken(Box::new(self));
        Ok(super::Item { sound, millis })
    }
}

impl std::fmt::Debug for Spoken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spoken")
            .field("kind", &self.kind)
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}

/// Sounds that the platform ships and an operator may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// "One minute of this call remains."
    LastMinute,
    /// The called party is busy.
    Busy,
    /// The called party does not answer.
    NoAnswer,
    /// The called party cannot be reached.
    Unreachable,
    /// The number does not exist.
    Invalid,
    /// The call cannot be completed.
    Failed,
    /// Music for a party on hold.
    HoldMusic,
}

impl Builtin {
    /// Every shipped sound.
    pub const ALL: [Builtin; 7] = [
        Builtin::LastMinute,
        Builtin::Busy,
        Builtin::NoAnswer,
        Builtin::Unreachable,
        Builtin::Invalid,
        Builtin::Failed,
        Builtin::HoldMusic,
    ];

    /// The failure prompt for a cause.
    pub const fn for_failure(cause: Cause) -> Builtin {
        match cause {
            Cause::Busy | Cause::Rejected => Builtin::Busy,
            Cause::NoAnswer => Builtin::NoAnswer,
            Cause::InvalidNumber => Builtin::Invalid,
            Cause::Unregistered | Cause::SetupTimeout => Builtin::Unreachable,
            _ => Builtin::Failed,
        }
    }

    /// The file name without its ending.
    pub const fn file(self) -> &'static str {
        match self {
            Builtin::LastMinute => "last-minute",
            Builtin::Busy => "busy",
            Builtin::NoAnswer => "no-answer",
            Builtin::Unreachable => "unreachable",
            Builtin::Invalid => "invalid",
            Builtin::Failed => "failed",
            Builtin::HoldMusic => "hold",
        }
    }
}

/// Tones by country plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// Ringback: 450 Hz, 1 s on, 4 s off in China.
    Ringback,
    /// "Speak now": 1000 Hz, half a second, once.
    Beep,
}

/// A sound being played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// Identity.
    pub id: PlayId,
    /// What.
    pub sound: Sound,
    /// Played in a loop until the layout drops it.
    pub repeat: bool,
    /// Part of the recording. Private prompts are not.
    pub recorded: bool,
}

/// What one leg hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegLayout {
    /// The leg.
    pub leg: LegSeq,
    /// Legs that it hears.
    pub hears: Vec<LegSeq>,
    /// The sound that it hears, mixed with them.
    pub play: Option<Play>,
}

/// What is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorder {
    /// The recording's number.
    pub recording: u16,
    /// The leg on the left channel; the right one is what it hears from people, sounds that are recorded, and the
    /// announcement.
    pub left: LegSeq,
    /// It waits.
    pub pause: Option<RecordingPause>,
}

/// How a recording waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingPause {
    /// The file leaves the time out.
    Cut,
    /// The file holds silence for the time.
    Mask,
}

/// Who hears what.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Layout {
    /// Legs that hear anything.
    pub legs: Vec<LegLayout>,
    /// A sound for all of them, mixed into the talk.
    pub announce: Option<Play>,
    /// The running recording.
    pub record: Option<Recorder>,
}

fn prompt(p: &Prompt) -> Sound {
    Sound::Prompt(p.name.clone())
}

fn private(id: PlayId, p: Option<&Prompt>) -> Option<Play> {
    p.map(|p| Play {
        id,
        sound: prompt(p),
        repeat: false,
        recorded: false,
    })
}

/// The platform's own ringback: the application's sound in custom mode, else the standard tone.
fn own_ringback(ringback: &Ringback, id: PlayId) -> Play {
    let sound = match ringback {
        Ringback::Custom { voice: Some(v), .. } => prompt(v),
        Ringback::Custom { voice: None, .. } | Ringback::Transparent => Sound::Tone(Tone::Ringback),
    };
    Play {
        id,
        sound,
        repeat: true,
        recorded: true,
    }
}

/// What a waiting party hears: the far side's early media, or a sound of ours.
pub(super) fn waiting(
    ringback: &Ringback,
    rings: bool,
    early: bool,
    far: LegSeq,
    id: PlayId,
) -> (Vec<LegSeq>, Option<Play>) {
    match ringback {
        Ringback::Transparent if early => (vec![far], None),
        _ if rings => (vec![], Some(own_ringback(ringback, id))),
        _ => (vec![], None),
    }
}

impl Conversation {
    /// The layout of the present phase.
    pub(super) fn layout(&self) -> Layout {
        let (caller, callee) = (self.caller, self.callee);
        let mut legs = Vec::new();
        match &self.phase {
            Phase::CallingFirst | Phase::Ending | Phase::Ended => {}
            Phase::Greeting { play } => {
                let greeting = match &self.flow {
                    Flow::Click(p) => p.greeting.as_ref(),
                    Flow::Forward(_) | Flow::Notice(_) | Flow::Centre(_) => None,
                };
                legs.push(LegLayout {
                    leg: caller,
                    hears: vec![],
                    play: private(*play, greeting),
                });
            }
            Phase::CallingSecond { ringback } => legs.extend(self.layout_calling(caller, callee, *ringback)),
            Phase::FailNotice { play, sound } => legs.push(LegLayout {
                leg: caller,
                hears: vec![],
                play: Some(Play {
                    id: *play,
                    sound: sound.clone(),
                    repeat: false,
                    recorded: true,
                }),
            }),
            Phase::Private {
                caller: first,
                callee: second,
                ringback,
            } => {
                let Flow::Click(p) = &self.flow else {
                    return Layout::default();
                };
                let play = match first {
                    Some(id) => private(*id, p.caller_voice.as_ref()),
                    // The ringback goes on: a sound keeps its identity as long as it is the same sound.
                    None => Some(own_ringback(&p.ringback, *ringback)),
                };
                legs.push(LegLayout {
                    leg: caller,
                    hears: vec![],
                    play,
                });
                let play = second.and_then(|id| private(id, p.callee_voice.as_ref()));
                legs.push(LegLayout {
                    leg: callee,
                    hears: vec![],
                    play,
                });
            }
            Phase::Talking(_) => legs = self.layout_talk(),
            Phase::Program(running) => legs.extend(self.layout_program(running)),
            Phase::Centre(c) => legs = self.layout_centre(c),
        }
        let announce = self.last_minute.map(|id| Play {
            id,
            sound: match &self.flow {
                Flow::Click(p) => p
                    .last_minute
                    .as_ref()
                    .map_or(Sound::Builtin(Builtin::LastMinute), prompt),
                Flow::Forward(_) | Flow::Notice(_) | Flow::Centre(_) => Sound::Builtin(Builtin::LastMinute),
            },
            repeat: false,
            recorded: true,
        });
        Layout {
            record: self.recorder(),
            legs,
            announce,
        }
    }

    fn layout_calling(&self, caller: LegSeq, callee: LegSeq, ringback: PlayId) -> Option<LegLayout> {
        let far = self.leg(callee)?;
        match &self.flow {
            Flow::Click(p) => {
                let (hears, play) = waiting(&p.ringback, far.rang, far.early, callee, ringback);
                Some(LegLayout {
                    leg: caller,
                    hears,
                    play,
                })
            }
            // The caller's own network plays the tone while we have sent 180 only.
            Flow::Forward(_) => far.early.then(|| LegLayout {
                leg: caller,
                hears: vec![callee],
                play: None,
            }),
            Flow::Notice(_) | Flow::Centre(_) => None,
        }
    }

    fn layout_talk(&self) -> Vec<LegLayout> {
        let Phase::Talking(talk) = &self.phase else {
            return Vec::new();
        };
        let held = |leg: LegSeq| self.leg(leg).is_some_and(|l| l.state == LegState::Held);
        let mut legs: Vec<LegLayout> = talk
            .members
            .iter()
            .map(|&leg| {
                let hears: Vec<LegSeq> = talk
                    .members
                    .iter()
                    .copied()
                    .filter(|&m| m != leg && !held(m) && !held(leg))
                    .collect();
                // The other side of a held pair hears music; a device that holds us hears nothing.
                let music = hears.is_empty() && !held(leg);
                let play = music.then_some(Play {
                    id: talk.music,
                    sound: Sound::Builtin(Builtin::HoldMusic),
                    repeat: true,
                    recorded: false,
                });
                LegLayout { leg, hears, play }
            })
            .collect();
        if let Some(transfer) = &talk.transfer {
            self.layout_transfer(transfer, talk.music, &mut legs);
        }
        let Some(add) = &talk.add else { return legs };
        let mut host_hears = Vec::new();
        let mut host_play = None;
        match &add.stage {
            Stage::Greeting { play } => host_play = private(*play, add.plan.greeting.as_ref()),
            Stage::Calling { leg, ringback } => {
                if let Some(far) = self.leg(*leg) {
                    (host_hears, host_play) = waiting(&add.plan.ringback, far.rang, far.early, *leg, *ringback);
                    // What only the host hears is not part of the talk's recording.
                    if let Some(play) = &mut host_play {
                        play.recorded = false;
                    }
                }
            }
            Stage::Private { leg, host, party } => {
                host_play = host.and_then(|id| private(id, add.plan.caller_voice.as_ref()));
                let play = party.and_then(|id| private(id, add.plan.callee_voice.as_ref()));
                legs.push(LegLayout {
                    leg: *leg,
                    hears: vec![],
                    play,
                });
            }
            Stage::Failed { play, sound } => {
                host_play = Some(Play {
                    id: *play,
                    sound: sound.clone(),
                    repeat: false,
                    recorded: false,
                });
            }
        }
        if let Some(host) = talk.host().and_then(|h| legs.iter_mut().find(|l| l.leg == h)) {
            host.hears.extend(host_hears);
            host.play = host_play.or(host.play.take());
        }
        legs
    }

    /// The recording runs while its flag is set; the left channel is leg 0, the right one what it hears (design:
    /// "Recording channels"). When leg 0 has left a talk of three, the host takes its place.
    fn recorder(&self) -> Option<Recorder> {
        if !self.recording {
            return None;
        }
        let left = match &self.phase {
            Phase::Talking(talk) => talk.host().unwrap_or(self.caller),
            Phase::Centre(c) => self.recorded_leg(c),
            _ => self.caller,
        };
        Some(Recorder {
            recording: self.record.recordings.len().saturating_sub(1) as u16,
            left,
            pause: self.recording_pause,
        })
    }
}
