//! A call of a contact centre: a customer, the agents that take part in it, and what each of them does with it
//! (domain-model §5, §8).
//!
//! Who takes part is said by three things: the *room* (legs that talk with one another), what the room *waits* for (a
//! queue, a party that is called), and the *consultation* beside it. Every command and every departure changes these, and
//! everything else follows: who hears whom, and how the call looks from each agent's side ([`Engagement`]), which is all
//! that an agent's machine learns of it. So an agent's state cannot disagree with what it hears.

mod callback;
mod commands;
mod guide;
mod legs;
mod show;

use super::layout::{PlayId, Sound};
use super::leg::Leg;
use super::{
    By, Cause, Conversation, Created, Effect, Flow, LegSeq, LegState, PartyPlan, Phase, Prompt, Refusal, Role, Step,
};
use crate::centre::acd::Left;
use crate::centre::agent::{Engagement, Fact as AgentFact, Part, Ticket, Variant};
use crate::centre::resource::CentreSettings;
use crate::event::{DialogRef, Direction, Fact, Outcome, Routed};
use crate::id::{AgentId, CallbackId, ConversationId, QueueId};
use crate::ivr;
use crate::number::CHINA;
use crate::route::Masking;
use crate::spoken::Language;
use crate::time::Stamp;
use std::sync::Arc;

/// Seconds that a leg of an offer may ring beyond the offer: the distributor's clock decides, this one only bounds.
const OFFER_GRACE_SECS: u32 = 15;
/// The distributor answers within so long whether an agent can be called.
const RESERVATION_SECS: u64 = 5;
/// Who is parked waits so long to be picked up; then the queue that it came from has it, or it is over.
const PARKED_SECS: u64 = 300;
/// The most legs of one call: an agent that transfers without end must not fill the journal.
const MAX_CALL_LEGS: usize = 64;

/// An agent that is to be called, with its reservation.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentPlan {
    /// Names the reservation.
    pub ticket: Ticket,
    /// Who.
    pub agent: AgentId,
    /// What it was reserved for.
    pub part: Part,
    /// How it is reached.
    pub party: PartyPlan,
    /// Seconds that it may ring.
    pub ring_secs: u32,
}

/// Whom an agent calls, consults, or hands a call over to.
#[derive(Clone, Debug, PartialEq)]
pub enum Whom {
    /// Another agent. If it does not answer a call that was handed over, that goes to the queue.
    Agent(AgentPlan, Option<QueueId>),
    /// An agent that is not reserved yet. It is when its turn comes ([`Effect::Reserve`]): nobody waits reserved while
    /// the device of the one who calls still rings.
    Colleague(AgentId),
    /// A party outside, or a device that is no agent's.
    Party(PartyPlan),
    /// Whoever serves a queue. Only for handing over.
    Queue(QueueId),
}

/// How a call begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A customer called in and waits in a queue. It is answered at once: music before the answer is cut by many carriers.
    Queue {
        /// The dialog of its leg.
        dialog: DialogRef,
        /// Which queue.
        queue: QueueId,
    },
    /// A customer called in and is guided by a flow. It is answered at once.
    Flow {
        /// The dialog of its leg.
        dialog: DialogRef,
        /// What the flow refers to.
        library: Arc<ivr::Library>,
        /// Its name.
        flow: String,
        /// Who calls whom.
        call: ivr::Call,
    },
    /// Somebody called in, and wants this agent. It is answered when the agent answers.
    Direct {
        /// The dialog of its leg.
        dialog: DialogRef,
        /// Whom it wants.
        agent: AgentId,
        /// Where it waits if that agent cannot be called, or does not answer.
        fallback: Option<QueueId>,
    },
    /// An agent places a call: its own device is called first.
    Dial {
        /// The agent that dials.
        own: AgentPlan,
        /// Whom it wants.
        to: Whom,
    },
    /// A customer is called back: an agent of the queue is offered it first, by [`CentreCommand::Offer`], and when that one has
    /// answered the customer is called. The distributor has its place already.
    Callback {
        /// The request.
        request: CallbackId,
        /// The conversation that it was asked for in.
        first: ConversationId,
        /// Whose agents.
        queue: QueueId,
        /// When the customer first entered a queue.
        since: Stamp,
        /// Its priority.
        priority: u8,
        /// Who is called.
        customer: PartyPlan,
    },
    /// An agent's device placed a call by itself.
    FromDevice {
        /// The dialog of its leg.
        dialog: DialogRef,
        /// The agent.
        agent: AgentId,
        /// Whom it wants.
        to: Whom,
    },
}

/// A call of a contact centre, with every name in it resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct CentrePlan {
    /// How it begins.
    pub entry: Entry,
    /// Calling number as received or shown.
    pub from: String,
    /// Called number as received or submitted.
    pub to: String,
    /// The application's settings.
    pub settings: CentreSettings,
    /// Heard while the call waits; the hold music if absent.
    pub music: Option<Prompt>,
    /// Seconds that the record's first publication waits for its recording.
    pub record_wait: u32,
    /// The decision that led the call here, if rules did.
    pub routed: Option<Box<Routed>>,
    /// Where a customer goes that is still there when its agent has hung up.
    pub survey: Option<Box<Survey>>,
}

/// A flow after the talk.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// What the flow refers to.
    pub library: Arc<ivr::Library>,
    /// Its name.
    pub flow: String,
    /// Who calls whom.
    pub call: ivr::Call,
}

/// What the distributor, or an agent through it, asks of a call.
#[derive(Clone, Debug)]
pub enum CentreCommand {
    /// Ring an agent for the caller that waits.
    Offer(AgentPlan, QueueId),
    /// Answer to [`Effect::Reserve`]: the agent, or why it cannot be called.
    Reserved(Result<AgentPlan, Cause>),
    /// Answer to [`Effect::Reserve`] for a device that calls while its agent talks: a line beside that talk, which is no
    /// participation. Only a REFER with Replaces comes of it.
    SecondLine(AgentId),
    /// End a participation: an offer that expired or was taken back, or an agent that is reset.
    End {
        /// Which.
        ticket: Ticket,
        /// Why.
        cause: Cause,
    },
    /// The tenant's server answered what a flow asked, or did not.
    Answered(u32, Option<ivr::Answer>),
    /// A text was spoken, under this name; `None` if it cannot be.
    Spoke(u32, Option<String>),
    /// What was said, as [`ivr::Input::Heard`] has it.
    Heard(ivr::Input),
    /// Answer to [`Effect::HandOver`].
    HandTo {
        /// Whom a flow means; `None` if there is no such thing, or it cannot be had.
        to: Option<Whom>,
        /// The caller's priority in a queue.
        priority: Option<u8>,
    },
    /// Offer the caller that waits in this queue that it be called back: this prompt, and the key 1.
    OfferCallback(QueueId, Prompt),
    /// Answer to [`Effect::CallBack`], and to a flow that wants the caller called back.
    CalledBack {
        /// From which queue.
        queue: QueueId,
        /// The request; `None` if there can be none.
        request: Option<CallbackId>,
    },
    /// The queue does not keep the caller.
    Overflow {
        /// Why.
        why: Left,
        /// Where it goes; `None` ends the call.
        to: Option<Whom>,
    },
    /// Tell the caller its place in the queue that it waits in.
    Announce {
        /// From 1.
        place: u32,
        /// Seconds that it may still take, if that is known.
        wait_secs: Option<u32>,
        /// The language.
        language: Language,
    },
    /// What is heard in the queue that the call waits in, other than the hold music.
    Music(QueueId, Prompt),
    /// The other party on hold.
    Hold(Ticket),
    /// Back from hold, from a consultation, or without the third party.
    Retrieve(Ticket),
    /// Reject, or hang up.
    HangUp(Ticket),
    /// Ask a third party.
    Consult(Ticket, Whom),
    /// Hand over to the third party.
    Complete(Ticket),
    /// Talk to the one who waits.
    Swap(Ticket),
    /// All three talk.
    Merge(Ticket),
    /// Hand over without asking.
    Transfer(Ticket, Whom),
    /// Leave the other party waiting for whoever picks it up.
    Park(Ticket),
    /// An agent picks a parked call up.
    PickUp(AgentPlan),
    /// Not heard, or heard again.
    Mute(Ticket, bool),
    /// A supervisor listens to an agent of the call.
    Monitor {
        /// The supervisor.
        plan: AgentPlan,
        /// The participation that it listens to.
        of: Ticket,
        /// The agent hears it.
        whisper: bool,
    },
    /// Whether the agent hears its supervisor.
    Whisper(Ticket, bool),
    /// The supervisor joins the talk.
    Barge(Ticket),
    /// The supervisor has the call for itself.
    TakeOver(Ticket),
}

/// What the room waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::call) enum Wait {
    /// Nothing: it talks, or is being taken down.
    No,
    /// An agent of a queue.
    Queue(QueueId),
    /// A party that is called, and where the room goes if that fails.
    Party { leg: LegSeq, fallback: Option<QueueId> },
    /// The agent's own device: it is called before the party that it wants.
    OwnDevice { leg: LegSeq },
    /// Whether an agent can be called.
    Reservation(AgentId),
    /// What a flow does with it.
    Flow,
    /// Somebody who picks it up.
    Parked,
}

/// An agent asks a third party while the first one waits.
#[derive(Clone, Copy, Debug)]
pub(in crate::call) struct Consult {
    pub host: LegSeq,
    pub third: LegSeq,
    pub answered: bool,
    /// The host talks to the first party and the third one waits.
    pub swapped: bool,
    /// The host's telephone has handed the talk over already: the third party has it as soon as it is there.
    pub referred: bool,
}

/// A supervisor that is not part of the talk.
#[derive(Clone, Copy, Debug)]
pub(in crate::call) struct Supervision {
    /// The leg of the agent that it listens to.
    pub of: LegSeq,
    pub whisper: bool,
}

/// An agent's seat in the call.
#[derive(Clone, Debug)]
pub(in crate::call) struct Seat {
    pub ticket: Ticket,
    pub agent: AgentId,
    pub leg: LegSeq,
    pub kind: Part,
    /// How its talk is shown.
    pub variant: Variant,
    /// How its own part began, which a conference leads back to (29).
    pub began: Variant,
    pub muted: bool,
    pub supervision: Option<Supervision>,
    /// It answered, and was wanted.
    pub accepted: bool,
    pub shown: Option<Engagement>,
    /// What the agent's machine is told if it did not come to an answer.
    pub failed: Option<AgentFact>,
    pub outcome: Option<Outcome>,
    pub over: bool,
}

/// A call of a contact centre as it is now.
#[derive(Clone, Debug)]
pub(in crate::call) struct Centre {
    /// Legs that are there and answered, but for a consulted third and supervisors.
    pub room: Vec<LegSeq>,
    pub wait: Wait,
    /// The agent that has the rest of the room on hold.
    pub hold: Option<LegSeq>,
    pub consult: Option<Consult>,
    pub seats: Vec<Seat>,
    /// The queue that the caller came from.
    pub queue: Option<QueueId>,
    pub priority: Option<u8>,
    /// When the caller first entered a queue.
    pub queued_at: Option<Stamp>,
    /// The flow that guides the caller, or waits for it to come back.
    pub guide: Option<Box<guide::Guide>>,
    pub music: PlayId,
    /// What is heard in the queue that it waits in now; the plan's music, or the hold music, without it.
    pub queue_music: Option<Prompt>,
    /// What is said to those who wait, in place of the music.
    pub announcement: Option<(PlayId, Sound)>,
    pub ringback: PlayId,
    /// Two have talked.
    pub talked: bool,
    /// The customer has been in the flow after the talk.
    pub surveyed: bool,
    /// The queue whose callers may press 1 to be called back.
    pub callback_offer: Option<QueueId>,
    /// The caller is called back.
    pub called_back: bool,
}

impl Conversation {
    /// Creates a call of a contact centre.
    pub fn centre(id: ConversationId, head: Created, plan: CentrePlan, now: Stamp) -> (Conversation, Step) {
        let mut c = Conversation::new(id, head, Flow::Centre(Box::new(plan.clone())), Phase::CallingFirst, now);
        let (music, ringback) = (c.new_play(), c.new_play());
        c.phase = Phase::Centre(Box::new(Centre {
            room: Vec::with_capacity(3),
            wait: Wait::No,
            hold: None,
            consult: None,
            seats: Vec::with_capacity(2),
            queue: None,
            priority: None,
            queued_at: None,
            guide: None,
            music,
            queue_music: None,
            announcement: None,
            ringback,
            talked: false,
            surveyed: false,
            callback_offer: None,
            called_back: false,
        }));
        if let Some(routed) = plan.routed {
            c.emit(Fact::Routed(routed), now);
        }
        match plan.entry {
            Entry::Queue { dialog, queue } => {
                let leg = c.incoming(Role::Customer, &plan.from, &plan.to, now);
                c.answer_incoming(leg, dialog, now);
                c.room(|r| r.room.push(leg));
                c.enter_queue(queue, None, false, now);
            }
            Entry::Flow {
                dialog,
                library,
                flow,
                call,
            } => {
                let leg = c.incoming(Role::Customer, &plan.from, &plan.to, now);
                c.answer_incoming(leg, dialog, now);
                c.room(|r| r.room.push(leg));
                c.enter_flow(library, &flow, call, now);
            }
            Entry::Direct { agent, .. } => {
                c.incoming(Role::Customer, &plan.from, &plan.to, now);
                c.want(agent, Part::Direct, now);
            }
            Entry::Dial { own, .. } => {
                let leg = c.dial_agent(&own, own.part, Variant::Out, None, now);
                c.room(|r| r.wait = Wait::OwnDevice { leg });
            }
            Entry::Callback { .. } => c.begin_callback(now),
            Entry::FromDevice { agent, .. } => {
                c.incoming(Role::Agent, &plan.from, &plan.to, now);
                c.want(agent, Part::Own, now);
            }
        }
        let step = c.finish(now);
        (c, step)
    }

    /// True for a call of a contact centre.
    pub fn is_of_centre(&self) -> bool {
        matches!(self.flow, Flow::Centre(_))
    }

    pub(super) fn centre_state(&self) -> Option<&Centre> {
        match &self.phase {
            Phase::Centre(centre) => Some(centre),
            _ => None,
        }
    }

    /// Changes the room. Does nothing in another kind of conversation, or one that is being taken down.
    fn room<T: Default>(&mut self, change: impl FnOnce(&mut Centre) -> T) -> T {
        match &mut self.phase {
            Phase::Centre(centre) => change(centre),
            _ => T::default(),
        }
    }

    fn plan(&self) -> Option<&CentrePlan> {
        match &self.flow {
            Flow::Centre(plan) => Some(plan),
            _ => None,
        }
    }

    fn centre_settings(&self) -> CentreSettings {
        self.plan().map(|p| p.settings).unwrap_or_default()
    }

    /// The leg of somebody who called in.
    fn incoming(&mut self, role: Role, from: &str, to: &str, now: Stamp) -> LegSeq {
        let leg = LegSeq(self.legs.len() as u16);
        self.legs.push(Leg::new(leg, role, Direction::Incoming));
        let fact = Fact::LegCreated {
            leg,
            role,
            direction: Direction::Incoming,
            from: from.to_owned(),
            to: to.to_owned(),
        };
        self.emit(fact, now);
        leg
    }

    fn answer_incoming(&mut self, leg: LegSeq, dialog: DialogRef, now: Stamp) {
        let Some(l) = self.leg_mut(leg).filter(|l| l.is_live() && !l.answered) else {
            return;
        };
        l.state = LegState::Answered;
        l.answered = true;
        let dialog = Some(Box::new(dialog));
        self.emit(Fact::LegAnswered { leg, dialog }, now);
        self.effect(Effect::Answer { leg });
    }

    /// Answers whoever called in, if that has not been done.
    fn answer_caller(&mut self, now: Stamp) {
        let dialog = match self.plan().map(|p| &p.entry) {
            Some(
                Entry::Queue { dialog, .. }
                | Entry::Flow { dialog, .. }
                | Entry::Direct { dialog, .. }
                | Entry::FromDevice { dialog, .. },
            ) => dialog.clone(),
            _ => return,
        };
        let leg = LegSeq(0);
        let waits = self.leg(leg).is_some_and(|l| l.is_live() && !l.answered);
        if waits {
            self.answer_incoming(leg, dialog, now);
            self.room(|r| r.room.insert(0, leg));
        }
    }

    #[allow(clippy::too_many_arguments, reason = "they are what a seat is")]
    fn seat(
        &mut self,
        ticket: Ticket,
        agent: AgentId,
        leg: LegSeq,
        kind: Part,
        variant: Variant,
        queue: Option<QueueId>,
        now: Stamp,
    ) {
        let part = self.record.parts.len() as u16;
        self.room(|r| {
            r.seats.push(Seat {
                ticket,
                agent,
                leg,
                kind,
                variant,
                began: variant,
                muted: false,
                supervision: None,
                accepted: false,
                shown: None,
                failed: None,
                outcome: None,
                over: false,
            });
        });
        let fact = Fact::PartBegan {
            part,
            agent,
            leg,
            kind,
            queue,
        };
        self.emit(fact, now);
    }

    fn dial_agent(
        &mut self,
        plan: &AgentPlan,
        kind: Part,
        variant: Variant,
        queue: Option<QueueId>,
        now: Stamp,
    ) -> LegSeq {
        let role = if kind == Part::Monitor {
            Role::Supervisor
        } else {
            Role::Agent
        };
        let secs = plan.ring_secs.saturating_add(OFFER_GRACE_SECS);
        let mut party = plan.party.clone();
        if party.cli.is_none() {
            // Who calls, or with whom it is about to be connected.
            let other = |p: &CentrePlan| match &p.entry {
                Entry::Callback { .. } => p.to.clone(),
                _ if kind.is_offer() => p.from.clone(),
                _ => p.to.clone(),
            };
            party.cli = self.plan().map(other).filter(|shown| !shown.is_empty());
            if self.centre_settings().mask_numbers {
                party.cli = party.cli.map(|shown| Masking::default().text(&shown, CHINA));
            }
        }
        let leg = self.dial(role, &party, secs, now);
        self.seat(plan.ticket, plan.agent, leg, kind, variant, queue, now);
        leg
    }

    /// Calls whom the agent at the other end wants.
    fn dial_wanted(&mut self, to: Whom, now: Stamp) {
        match to {
            Whom::Agent(plan, _) => {
                let leg = self.dial_agent(&plan, Part::Direct, Variant::Internal, None, now);
                let internal = |s: &mut Seat| (s.variant, s.began) = (Variant::Internal, Variant::Internal);
                self.room(|r| r.seats.iter_mut().for_each(internal));
                self.room(|r| r.wait = Wait::Party { leg, fallback: None });
            }
            Whom::Colleague(agent) => self.want(agent, Part::Direct, now),
            Whom::Party(party) => {
                let secs = self.centre_settings().dial_secs;
                let leg = self.dial(Role::Customer, &party, secs, now);
                self.room(|r| r.wait = Wait::Party { leg, fallback: None });
            }
            Whom::Queue(queue) => {
                self.answer_caller(now);
                self.enter_queue(queue, None, false, now);
            }
        }
    }

    /// The distributor's answer about an agent that is wanted.
    fn reserved(&mut self, answer: Result<AgentPlan, Cause>, now: Stamp) {
        let waits = self.centre_state().map(|c| c.wait);
        let Some(Wait::Reservation(wanted)) = waits else {
            // Too late: nobody wants it any more.
            if let Ok(plan) = answer {
                self.effect(Effect::Agent {
                    ticket: plan.ticket,
                    fact: AgentFact::CallerGone,
                });
            }
            return self.refuse_state();
        };
        self.accept(None);
        self.clear_deadline(super::Deadline::Reservation);
        let entry = self.plan().map(|p| p.entry.clone());
        let handed_on = self.centre_state().filter(|c| c.talked).map(|c| c.queue);
        match (answer, entry) {
            // A flow has.
            (Ok(mut plan), _) if self.has_guide() && plan.agent == wanted => {
                plan.ring_secs = self.flow_ring_secs().unwrap_or(plan.ring_secs);
                let leg = self.dial_agent(&plan, plan.part, Variant::In, None, now);
                self.room(|r| r.wait = Wait::Party { leg, fallback: None });
            }
            (Err(_), _) if self.back_to_flow(now) => {}
            // An agent has handed the call over to this one.
            (Ok(plan), _) if handed_on.is_some() && plan.agent == wanted => {
                let leg = self.dial_agent(&plan, plan.part, Variant::In, None, now);
                let fallback = handed_on.flatten();
                self.room(|r| r.wait = Wait::Party { leg, fallback });
            }
            (Err(cause), _) if handed_on.is_some() => match handed_on.flatten() {
                Some(queue) => self.enter_queue(queue, None, false, now),
                None => self.end_all(cause, By::System, now),
            },
            // Its own device placed the call: now whom it wants is called.
            (Ok(own), Some(Entry::FromDevice { agent, to, .. })) if own.agent == agent && wanted == agent => {
                self.seat(own.ticket, agent, LegSeq(0), own.part, Variant::Out, None, now);
                self.dial_wanted(to, now);
            }
            (Ok(plan), Some(Entry::Direct { fallback, .. })) if plan.agent == wanted => {
                let leg = self.dial_agent(&plan, plan.part, Variant::In, None, now);
                self.room(|r| r.wait = Wait::Party { leg, fallback });
            }
            (Ok(plan), _) if plan.agent == wanted => self.dial_wanted(Whom::Agent(plan, None), now),
            (Ok(_), _) => self.end_all(Cause::SystemError, By::System, now),
            (
                Err(_),
                Some(Entry::Direct {
                    fallback: Some(queue), ..
                }),
            ) => self.enter_queue(queue, None, false, now),
            (Err(cause), _) => self.end_all(cause, By::System, now),
        }
    }

    /// Asks for a reservation of an agent.
    fn want(&mut self, agent: AgentId, part: Part, now: Stamp) {
        self.room(|r| r.wait = Wait::Reservation(agent));
        self.set_deadline(now.plus_secs(RESERVATION_SECS), super::Deadline::Reservation);
        self.effect(Effect::Reserve { agent, part });
    }

    pub(super) fn reservation_timeout(&mut self, now: Stamp) {
        let waits = matches!(self.centre_state().map(|c| c.wait), Some(Wait::Reservation(_)));
        if (waits || self.awaits_offer()) && !self.back_to_flow(now) {
            self.end_all(Cause::SystemError, By::System, now);
        }
    }

    // --- queues --------------------------------------------------------------------------------------------------

    /// The room waits for an agent of a queue from now on.
    fn enter_queue(&mut self, queue: QueueId, not: Option<AgentId>, front: bool, now: Stamp) {
        self.answer_caller(now);
        let (priority, since) = self.room(|r| {
            r.wait = Wait::Queue(queue);
            r.hold = None;
            r.queue = Some(queue);
            r.queued_at = r.queued_at.or(Some(now));
            (r.priority, r.queued_at)
        });
        for leg in self.centre_state().map(|c| c.room.clone()).unwrap_or_default() {
            self.unbridge(leg, now);
        }
        self.emit(Fact::Queued { queue, priority, front }, now);
        self.effect(Effect::Enqueue {
            queue,
            priority,
            since: since.unwrap_or(now),
            front,
            not,
        });
    }

    /// The room does not wait in a queue any more.
    pub(super) fn leave_queue(&mut self, left: Left, now: Stamp) {
        let Some(Wait::Queue(queue)) = self.centre_state().map(|c| c.wait) else {
            return;
        };
        let said = self.room(|r| {
            r.wait = Wait::No;
            r.queue_music = None;
            r.callback_offer = None;
            r.announcement.take()
        });
        if let Some((id, _)) = said {
            self.clear_deadline(super::Deadline::Sound(id));
        }
        self.emit(Fact::Unqueued { queue, left }, now);
        if !matches!(left, Left::Answered(_) | Left::Callback) {
            self.effect(Effect::Dequeue);
        }
    }

    /// The call is taken down: it waits nowhere, and its seats are kept until their legs have ended.
    pub(super) fn end_centre(&mut self, now: Stamp) {
        self.leave_queue(Left::Abandoned, now);
        if let Phase::Centre(c) = &mut self.phase {
            self.last_seats = std::mem::take(&mut c.seats);
        }
    }

    /// The leg stays, and is in no talk.
    fn unbridge(&mut self, leg: LegSeq, now: Stamp) {
        let Some(l) = self.leg_mut(leg) else { return };
        match l.state {
            LegState::Bridged => l.state = LegState::Answered,
            LegState::Held => {
                l.state = LegState::Answered;
                l.set_holds();
            }
            _ => return,
        }
        self.clear_deadline(super::Deadline::Hold(leg));
        self.emit(Fact::LegUnbridged { leg }, now);
    }

    // --- what becomes of seats -----------------------------------------------------------------------------------

    fn seat_of(&self, leg: LegSeq) -> Option<&Seat> {
        self.centre_state()?.seats.iter().rev().find(|s| s.leg == leg)
    }

    fn seat_mut(&mut self, leg: LegSeq) -> Option<&mut Seat> {
        match &mut self.phase {
            Phase::Centre(c) => c.seats.iter_mut().rev().find(|s| s.leg == leg),
            _ => None,
        }
    }

    fn by_ticket(&self, ticket: Ticket) -> Option<&Seat> {
        let live = |s: &&Seat| s.ticket == ticket && !s.over;
        self.centre_state()?.seats.iter().find(live)
    }

    fn is_agent(&self, leg: LegSeq) -> bool {
        self.seat_of(leg).is_some()
    }

    /// Ends a leg with this outcome for its agent.
    fn let_go(&mut self, leg: LegSeq, cause: Cause, by: By, outcome: Outcome, now: Stamp) {
        if let Some(seat) = self.seat_mut(leg) {
            seat.outcome.get_or_insert(outcome);
        }
        self.release(leg, cause, by, now);
    }

    /// Gives up who is being rung for the room.
    fn give_up_offers(&mut self, except: Option<LegSeq>, cause: Cause, now: Stamp) {
        let rung = |s: &&Seat| !s.accepted && !s.over && Some(s.leg) != except && s.supervision.is_none();
        let legs: Vec<LegSeq> = match self.centre_state() {
            Some(c) => c.seats.iter().filter(rung).map(|s| s.leg).collect(),
            None => return,
        };
        for leg in legs {
            if let Some(seat) = self.seat_mut(leg) {
                seat.failed.get_or_insert(AgentFact::CallerGone);
            }
            self.let_go(leg, cause, By::System, Outcome::Withdrawn, now);
        }
    }

    fn refuse_state(&mut self) {
        self.refuse(Refusal::State);
    }
}
