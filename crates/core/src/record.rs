//! The call record: a fold of a conversation's events, and nothing else.

use crate::cause::{By, Cause, Role};
use crate::event::{AnsweredBy, Created, DialogRef, Direction, Event, Fact, OneWay, Quality, Routed, Via};
use crate::id::{CallbackId, ConversationId, LegSeq};
use crate::participation::{DispositionRecord, PartRecord, QueueRecord};
use crate::time::Stamp;

/// Everything that is known of a conversation, at any point of its life. Closed when [`ended_at`] is set; after that
/// only late facts (recording, quality) add to it.
///
/// [`ended_at`]: ConversationRecord::ended_at
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationRecord {
    /// The conversation.
    pub id: ConversationId,
    /// Its head.
    pub head: Created,
    /// Number of events folded so far.
    pub seq: u32,
    /// When it was created.
    pub created_at: Stamp,
    /// Stamp of the newest event.
    pub last_at: Stamp,
    /// Legs by number.
    pub legs: Vec<LegRecord>,
    /// Recordings by number.
    pub recordings: Vec<RecordingRecord>,
    /// Spans that they leave out, in order.
    pub pauses: Vec<PauseRecord>,
    /// Parts of agents by number.
    pub parts: Vec<PartRecord>,
    /// Stays in queues, in order.
    pub queues: Vec<QueueRecord>,
    /// Where the rules of the called number sent it, and why.
    pub routed: Option<Routed>,
    /// Keys pressed in menus, with what they mean, in order.
    pub path: Vec<(char, String)>,
    /// Values that go with the call, by name.
    pub attached: Vec<(String, String)>,
    /// Scores of a survey.
    pub scores: Vec<(String, i16)>,
    /// The request to be called back that was made in it, or that it carries out; then with the conversation in which it was
    /// made.
    pub callback: Option<(CallbackId, Option<ConversationId>)>,
    /// Messages that the caller left: whose they are, and the recording's number.
    pub messages: Vec<(String, u16)>,
    /// What was written down of it, oldest first; the newest counts.
    pub dispositions: Vec<DispositionRecord>,
    /// Cause and originator, fixed when the take-down began.
    pub end: Option<(Cause, By)>,
    /// When the last leg had ended.
    pub ended_at: Option<Stamp>,
    /// True once the wait for a recording's link was given up.
    pub record_due: bool,
}

/// A leg in the call record.
#[derive(Clone, Debug, PartialEq)]
pub struct LegRecord {
    /// Number in the conversation.
    pub seq: LegSeq,
    /// Its part.
    pub role: Role,
    /// Which side opened it.
    pub direction: Direction,
    /// Calling number as submitted.
    pub from: String,
    /// Called number as submitted.
    pub to: String,
    /// Trunks and devices tried, with the status of those that failed.
    pub attempts: Vec<(Via, Option<u16>)>,
    /// The newest dialog; the answered one from the answer on.
    pub dialog: Option<DialogRef>,
    /// Dialogs of attempts that are not known to be over: those that ring side by side, those that lost to the one that
    /// answered, and those that were given up without any response and may have reached the far side after all.
    pub open: Vec<(Via, DialogRef)>,
    /// Devices that sent the call on, with the URI that they named.
    pub diverted: Vec<(Via, String)>,
    /// Set for a leg that was called to take another one's place.
    pub transfer: Option<TransferRecord>,
    /// The leg that had the place of this one before.
    pub replaces: Option<LegSeq>,
    /// Dialling began.
    pub start: Stamp,
    /// First 180 or 183.
    pub ring: Option<Stamp>,
    /// Answer.
    pub answer: Option<Stamp>,
    /// First joined to another party.
    pub bridge: Option<Stamp>,
    /// Dialling or talk stopped.
    pub stop: Option<Stamp>,
    /// Why and by whom.
    pub end: Option<(Cause, By)>,
    /// Final SIP status, 0 if none.
    pub sip_status: u16,
    /// Q.850 cause, 0 if none.
    pub q850: u8,
    /// True while its device holds us.
    pub held: bool,
    /// The last key that the flow asked to keep: a notice's finish key.
    pub key: Option<char>,
    /// Media figures, when they are known.
    pub quality: Option<Quality>,
    /// Who has answered, and how sure that is (0-100); `None` if nobody listened, or before it is known.
    pub answered_by: Option<(AnsweredBy, u8)>,
    /// Why one side heard nothing, each cause once, in the order in which they were found.
    pub one_way: Vec<OneWay>,
}

/// How a leg came to be called in the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferRecord {
    /// The leg that asked for it.
    pub by: LegSeq,
    /// It had a call of its own with the target before.
    pub attended: bool,
    /// `None` while it runs, then success or the SIP status of the failure.
    pub result: Option<Result<(), u16>>,
}

impl LegRecord {
    /// Whole seconds from answer to stop as a reader of the displayed stamps would compute them; 0 without an answer
    /// (I7).
    pub fn duration(&self) -> i64 {
        match (self.answer, self.stop) {
            (Some(a), Some(s)) => (s.secs() - a.secs()).max(0),
            _ => 0,
        }
    }
}

/// A span that a recording leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseRecord {
    /// The recording's number.
    pub recording: u16,
    /// The file holds silence for the time; otherwise it leaves the time out.
    pub masked: bool,
    /// Its begin.
    pub from: Stamp,
    /// Its end; `None` while it lasts, and where the recording ended in it.
    pub until: Option<Stamp>,
}

/// A recording in the call record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingRecord {
    /// Being written.
    Running,
    /// Complete.
    Finished {
        /// Name under which it is served.
        name: String,
        /// Length.
        millis: u64,
        /// Size.
        bytes: u64,
        /// SHA-256, hexadecimal.
        checksum: String,
    },
    /// Lost.
    Failed,
}

/// An event that does not continue the record it is applied to: a gap, a doubled event or a missing head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} of conversation {conversation} does not follow the log: {why}")]
pub struct BrokenLog {
    /// The conversation.
    pub conversation: ConversationId,
    /// The event's position.
    pub seq: u32,
    /// What is wrong with it.
    pub why: &'static str,
}

impl ConversationRecord {
    /// Starts a record with its first event, which must be [`Fact::Created`] with position 1.
    pub fn open(first: &Event) -> Result<ConversationRecord, BrokenLog> {
        let broken = |why| BrokenLog {
            conversation: first.conversation,
            seq: first.seq,
            why,
        };
        if first.seq != 1 {
            return Err(broken("the first event has position 1"));
        }
        let Fact::Created(head) = &first.fact else {
            return Err(broken("the first event is conversation.created"));
        };
        Ok(ConversationRecord {
            id: first.conversation,
            head: (**head).clone(),
            seq: 1,
            created_at: first.at,
            last_at: first.at,
            legs: Vec::with_capacity(2),
            recordings: Vec::new(),
            pauses: Vec::new(),
            parts: Vec::new(),
            queues: Vec::new(),
            routed: None,
            path: Vec::new(),
            attached: Vec::new(),
            scores: Vec::new(),
            callback: None,
            messages: Vec::new(),
            dispositions: Vec::new(),
            end: None,
            ended_at: None,
            record_due: false,
        })
    }

    /// Folds a whole log.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<Option<ConversationRecord>, BrokenLog> {
        let mut events = events.into_iter();
        let Some(first) = events.next() else { return Ok(None) };
        let mut record = ConversationRecord::open(first)?;
        for e in events {
            record.apply(e)?;
        }
        Ok(Some(record))
    }

    /// The leg with this number.
    pub fn leg(&self, seq: LegSeq) -> Option<&LegRecord> {
        self.legs.get(usize::from(seq.0))
    }

    /// The newest leg with this role: a redirected leg is followed by another one of the same role.
    pub fn by_role(&self, role: Role) -> Option<&LegRecord> {
        self.legs.iter().rev().find(|l| l.role == role)
    }

    /// True while a recording's file is not complete.
    pub fn recording_pending(&self) -> bool {
        self.recordings.iter().any(|r| matches!(r, RecordingRecord::Running))
    }

    /// Sum of the durations of the answered legs, the head's `billSeconds` (I7).
    pub fn bill_seconds(&self) -> i64 {
        self.legs.iter().map(LegRecord::duration).sum()
    }

    /// Applies the next event.
    pub fn apply(&mut self, event: &Event) -> Result<(), BrokenLog> {
        let broken = |why| BrokenLog {
            conversation: event.conversation,
            seq: event.seq,
            why,
        };
        if event.conversation != self.id {
            return Err(broken("it belongs to another conversation"));
        }
        if event.seq != self.seq + 1 {
            return Err(broken("positions have no gaps and no doubles"));
        }
        if event.at < self.last_at {
            return Err(broken("stamps do not run backwards"));
        }
        let at = event.at;
        match &event.fact {
            Fact::Created(_) => return Err(broken("a conversation is created once")),
            Fact::LegCreated {
                leg,
                role,
                direction,
                from,
                to,
            } => {
                if usize::from(leg.0) != self.legs.len() {
                    return Err(broken("legs are numbered in order"));
                }
                self.legs.push(LegRecord {
                    seq: *leg,
                    role: *role,
                    direction: *direction,
                    from: from.clone(),
                    to: to.clone(),
                    attempts: Vec::new(),
                    dialog: None,
                    open: Vec::new(),
                    diverted: Vec::new(),
                    transfer: None,
                    replaces: None,
                    start: at,
                    ring: None,
                    answer: None,
                    bridge: None,
                    stop: None,
                    end: None,
                    sip_status: 0,
                    q850: 0,
                    held: false,
                    key: None,
                    quality: None,
                    answered_by: None,
                    one_way: Vec::new(),
                });
            }
            Fact::RecordingStarted { recording } => {
                if usize::from(*recording) != self.recordings.len() {
                    return Err(broken("recordings are numbered in order"));
                }
                self.recordings.push(RecordingRecord::Running);
            }
            Fact::RecordingPaused { recording, masked } => {
                if self.recording_mut(*recording).is_none() || self.pause_mut().is_some() {
                    return Err(broken("only a running recording can be paused"));
                }
                self.pauses.push(PauseRecord {
                    recording: *recording,
                    masked: *masked,
                    from: at,
                    until: None,
                });
            }
            Fact::RecordingResumed { recording } => {
                let paused = self.pause_mut().filter(|p| p.recording == *recording);
                paused.ok_or(broken("only a paused recording can go on"))?.until = Some(at);
            }
            Fact::RecordingFinished {
                recording,
                name,
                millis,
                bytes,
                checksum,
            } => {
                *self.recording_mut(*recording).ok_or(broken("no such recording"))? = RecordingRecord::Finished {
                    name: name.clone(),
                    millis: *millis,
                    bytes: *bytes,
                    checksum: checksum.clone(),
                };
            }
            Fact::RecordingFailed { recording, .. } => {
                *self.recording_mut(*recording).ok_or(broken("no such recording"))? = RecordingRecord::Failed;
            }
            Fact::Ending { cause, by } => {
                if self.end.replace((*cause, *by)).is_some() {
                    return Err(broken("the end has one cause"));
                }
            }
            Fact::Ended => {
                if self.legs.iter().any(|l| l.end.is_none()) {
                    return Err(broken("a leg is still up"));
                }
                if self.ended_at.replace(at).is_some() {
                    return Err(broken("a conversation ends once"));
                }
            }
            Fact::RecordDue => self.record_due = true,
            Fact::Routed(routed) => self.routed = Some((**routed).clone()),
            Fact::FlowEntered { .. } => {}
            Fact::FlowKey { key, label } => self.path.push((*key, label.clone())),
            Fact::Attached { name, value } => {
                self.attached.retain(|(n, _)| n != name);
                self.attached.push((name.clone(), value.clone()));
            }
            Fact::Scored { name, score } => self.scores.push((name.clone(), *score)),
            Fact::CalledBack { request, first } => self.callback = Some((*request, *first)),
            Fact::Message { mailbox, recording } => self.messages.push((mailbox.clone(), *recording)),
            Fact::Queued { queue, .. } => {
                if self.queues.last().is_some_and(|q| q.left.is_none()) {
                    return Err(broken("a call waits in one queue"));
                }
                self.queues.push(QueueRecord {
                    queue: *queue,
                    entered: at,
                    left: None,
                });
            }
            Fact::Unqueued { queue, left } => {
                let stay = self.queues.last_mut().filter(|q| q.queue == *queue && q.left.is_none());
                stay.ok_or(broken("the call does not wait there"))?.left = Some((at, *left));
            }
            Fact::PartBegan {
                part,
                agent,
                leg,
                kind,
                queue,
            } => {
                if usize::from(*part) != self.parts.len() {
                    return Err(broken("participations are numbered in order"));
                }
                self.parts.push(PartRecord::new(*agent, *leg, *kind, *queue, at));
            }
            Fact::PartEngaged { part, engagement } => {
                let part = self.part_mut(*part).ok_or(broken("no such participation"))?;
                part.engage(*engagement, at);
            }
            Fact::PartEnded { part, outcome } => {
                let part = self.part_mut(*part).ok_or(broken("no such participation"))?;
                part.end(*outcome, at);
            }
            Fact::WrappedUp { agent, ms } => {
                let part = self.parts.iter_mut().rev().find(|p| p.agent == *agent);
                part.ok_or(broken("no such participation"))?.wrap_up_ms = Some(*ms);
            }
            Fact::Disposed { agent, code, note } => self.dispositions.push(DispositionRecord {
                at,
                agent: *agent,
                code: code.clone(),
                note: note.clone(),
            }),
            // These tell how two legs stand to one another; either of them may have ended in the same moment.
            Fact::LegTransferred { leg, .. } => self.transfer_result(*leg, Ok(())).map_err(broken)?,
            Fact::LegTransferFailed { leg, status, .. } => {
                self.transfer_result(*leg, Err(*status)).map_err(broken)?;
            }
            Fact::LegReplaced { leg, with } => {
                let new = self.legs.get_mut(usize::from(with.0));
                new.ok_or(broken("no such leg"))?.replaces = Some(*leg);
            }
            fact => self.apply_to_leg(fact, at).map_err(broken)?,
        }
        self.seq = event.seq;
        self.last_at = at;
        Ok(())
    }

    fn transfer_result(&mut self, leg: LegSeq, result: Result<(), u16>) -> Result<(), &'static str> {
        let leg = self.legs.get_mut(usize::from(leg.0)).ok_or("no such leg")?;
        leg.transfer
            .as_mut()
            .ok_or("the leg was not called by a transfer")?
            .result = Some(result);
        Ok(())
    }

    /// A participation that is not over.
    fn part_mut(&mut self, part: u16) -> Option<&mut PartRecord> {
        self.parts.get_mut(usize::from(part)).filter(|p| p.outcome.is_none())
    }

    /// The pause that lasts.
    fn pause_mut(&mut self) -> Option<&mut PauseRecord> {
        let newest = (self.recordings.len() as u16).checked_sub(1)?;
        self.pauses
            .last_mut()
            .filter(|p| p.recording == newest && p.until.is_none())
    }

    fn recording_mut(&mut self, n: u16) -> Option<&mut RecordingRecord> {
        self.recordings
            .get_mut(usize::from(n))
            .filter(|r| matches!(r, RecordingRecord::Running))
    }

    fn apply_to_leg(&mut self, fact: &Fact, at: Stamp) -> Result<(), &'static str> {
        let seq = match fact {
            Fact::LegAttempt { leg, .. }
            | Fact::LegAttemptFailed { leg, .. }
            | Fact::LegDiverted { leg, .. }
            | Fact::LegTransferring { leg, .. }
            | Fact::LegRinging { leg }
            | Fact::LegAnswered { leg, .. }
            | Fact::LegBridged { leg }
            | Fact::LegUnbridged { leg }
            | Fact::LegHeld { leg }
            | Fact::LegRetrieved { leg }
            | Fact::LegEnded { leg, .. }
            | Fact::Digit { leg, .. }
            | Fact::LegAnsweredBy { leg, .. }
            | Fact::LegOneWay { leg, .. }
            | Fact::LegQuality { leg, .. } => *leg,
            _ => return Err("not a fact of a leg"),
        };
        let leg = self.legs.get_mut(usize::from(seq.0)).ok_or("no such leg")?;
        if leg.end.is_some() && !matches!(fact, Fact::LegQuality { .. }) {
            return Err("the leg has ended");
        }
        match fact {
            Fact::LegAttempt { via, dialog, .. } => {
                leg.attempts.push((*via, None));
                leg.open.push((*via, (**dialog).clone()));
                leg.dialog = Some((**dialog).clone());
            }
            Fact::LegAttemptFailed {
                via, status, call_id, ..
            } => {
                if let Some(a) = leg.attempts.iter_mut().rev().find(|(v, s)| v == via && s.is_none()) {
                    a.1 = Some(*status);
                }
                // Nothing came back, so that it may have arrived after all: it stays open.
                if *status != 0 {
                    let is_it = |(v, d): &(Via, DialogRef)| v == via && (call_id.is_empty() || d.call_id == *call_id);
                    if let Some(i) = leg.open.iter().rposition(is_it) {
                        leg.open.remove(i);
                    }
                }
            }
            Fact::LegDiverted { via, to, .. } => leg.diverted.push((*via, to.clone())),
            Fact::LegRinging { .. } => leg.ring = leg.ring.or(Some(at)),
            Fact::LegAnswered { dialog, .. } => {
                leg.answer = leg.answer.or(Some(at));
                if let Some(d) = dialog {
                    leg.dialog = Some((**d).clone());
                    leg.open.retain(|(_, o)| o.call_id != d.call_id);
                }
            }
            Fact::LegTransferring { by, attended, .. } => {
                leg.transfer = Some(TransferRecord {
                    by: *by,
                    attended: *attended,
                    result: None,
                });
            }
            Fact::LegBridged { .. } => leg.bridge = leg.bridge.or(Some(at)),
            Fact::LegHeld { .. } => leg.held = true,
            Fact::LegRetrieved { .. } => leg.held = false,
            Fact::LegEnded {
                stopped_at,
                cause,
                by,
                sip_status,
                q850,
                ..
            } => {
                leg.stop = Some(*stopped_at);
                leg.end = Some((*cause, *by));
                leg.sip_status = *sip_status;
                leg.q850 = *q850;
            }
            // Masked ones say only that a key was pressed.
            Fact::Digit { digit, .. } if !matches!(digit, 'x' | '?') => leg.key = Some(*digit),
            Fact::LegQuality { quality, .. } => leg.quality = Some(*quality),
            Fact::LegAnsweredBy { who, confidence, .. } => leg.answered_by = Some((*who, *confidence)),
            Fact::LegOneWay { cause, .. } => leg.one_way.push(*cause),
            _ => {}
        }
        Ok(())
    }
}
