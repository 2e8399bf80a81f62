//! From the journal to the facts of reports: what conversations and agents wrote is all that reports are made of.

use super::{
    AgentFact, CallEvent, CallFact, Exit, Fact as ReportFact, PartEvent, PartFact, QueueEvent, QueueFact, Slot,
    Thresholds,
};
use crate::centre::acd::Left;
use crate::centre::agent::{Change, Engagement, Part, State};
use crate::event::{Event, Fact, Kind, Outcome};
use crate::id::{AgentId, ConversationId, QueueId};
use crate::number::{CHINA, Number};
use crate::time::Stamp;
use std::collections::{BTreeMap, HashMap};

/// What one agent's part in a conversation has come to so far.
struct Open {
    agent: AgentId,
    queue: Option<QueueId>,
    accepted: bool,
    held: bool,
    left: bool,
}

/// The facts of one conversation, from its log. `thresholds` says what a queue promises, `own` whether a number that was
/// called from inside is the tenant's.
pub fn of_call(
    events: &[Event],
    thresholds: impl Fn(QueueId) -> Thresholds,
    own: impl Fn(&Number) -> bool,
) -> Vec<ReportFact> {
    let Some(first) = events.first() else {
        return Vec::new();
    };
    let outcomes: HashMap<u16, Outcome> = events
        .iter()
        .filter_map(|e| match e.fact {
            Fact::PartEnded { part, outcome } => Some((part, outcome)),
            _ => None,
        })
        .collect();
    let mut facts = numbers(events, own);
    let mut parts: HashMap<u16, Open> = HashMap::new();
    // Who is called back was counted when it chose that; it counts again if it waits after a talk.
    let mut counts = !matches!(&first.fact, Fact::Created(head) if head.kind == Kind::Callback);
    let conversation = first.conversation;
    for Event { at, fact, .. } in events {
        let at = *at;
        match fact {
            Fact::LegBridged { .. } => counts = true,
            Fact::Queued { .. } | Fact::Unqueued { .. } if !counts => {}
            Fact::Queued { queue, .. } => {
                facts.push(queued(
                    at,
                    *queue,
                    conversation,
                    QueueEvent::Entered(thresholds(*queue)),
                ));
            }
            Fact::Unqueued { queue, left } => facts.push(queued(at, *queue, conversation, left_by(*left))),
            // Listening in is no call of the agent's.
            Fact::PartBegan {
                kind: Part::Monitor, ..
            } => {}
            Fact::PartBegan {
                part,
                agent,
                kind,
                queue,
                ..
            } => {
                let what = if kind.is_offer() {
                    PartEvent::Offered
                } else {
                    PartEvent::Placed
                };
                let open = Open {
                    agent: *agent,
                    queue: *queue,
                    accepted: false,
                    held: false,
                    left: false,
                };
                // Its telephone may still have to confirm that an earlier offer is over.
                for (number, earlier) in parts.iter_mut().filter(|(_, p)| p.agent == *agent) {
                    earlier.over(outcomes.get(number).copied(), at, conversation, &mut facts);
                }
                facts.push(open.fact(at, conversation, what));
                parts.insert(*part, open);
            }
            Fact::PartEngaged { part, engagement } => {
                if let Some(open) = parts.get_mut(part) {
                    let outcome = outcomes.get(part).copied();
                    open.engaged(*engagement, outcome, at, conversation, &mut facts);
                }
            }
            Fact::PartEnded { part, outcome } => {
                if let Some(open) = parts.get_mut(part) {
                    open.over(Some(*outcome), at, conversation, &mut facts);
                }
            }
            _ => {}
        }
    }
    facts
}

fn queued(at: Stamp, queue: QueueId, conversation: ConversationId, what: QueueEvent) -> ReportFact {
    ReportFact::Queue(QueueFact {
        at,
        queue,
        conversation,
        what,
    })
}

const fn left_by(left: Left) -> QueueEvent {
    match left {
        Left::Answered(_) => QueueEvent::Answered,
        Left::Abandoned => QueueEvent::Left(Exit::Abandoned),
        Left::TimedOut => QueueEvent::Left(Exit::TimedOut),
        Left::Full => QueueEvent::Left(Exit::Full),
        Left::Unstaffed => QueueEvent::Left(Exit::Unstaffed),
        Left::Closed => QueueEvent::Left(Exit::Moved),
        Left::Callback => QueueEvent::Left(Exit::Callback),
    }
}

impl Open {
    fn fact(&self, at: Stamp, conversation: ConversationId, what: PartEvent) -> ReportFact {
        ReportFact::Part(PartFact {
            at,
            agent: self.agent,
            conversation,
            queue: self.queue,
            what,
        })
    }

    fn engaged(
        &mut self,
        engagement: Engagement,
        outcome: Option<Outcome>,
        at: Stamp,
        conversation: ConversationId,
        facts: &mut Vec<ReportFact>,
    ) {
        if engagement == Engagement::Releasing {
            // How it ended may not be known yet; until then it is a talk that is over.
            if outcome.is_some() || self.accepted {
                self.over(outcome, at, conversation, facts);
            }
            return;
        }
        if engagement.is_talk() && !self.accepted {
            self.accepted = true;
            facts.push(self.fact(at, conversation, PartEvent::Accepted));
        }
        let held = engagement == Engagement::Held;
        if self.accepted && held != self.held {
            self.held = held;
            let what = if held { PartEvent::Held } else { PartEvent::Retrieved };
            facts.push(self.fact(at, conversation, what));
        }
    }

    fn over(&mut self, outcome: Option<Outcome>, at: Stamp, conversation: ConversationId, facts: &mut Vec<ReportFact>) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        let what = match outcome {
            _ if self.accepted => PartEvent::Left {
                transferred: outcome == Some(Outcome::Transferred),
            },
            Some(Outcome::Expired) => PartEvent::Missed,
            Some(Outcome::Rejected) => PartEvent::Rejected,
            _ => PartEvent::Withdrawn,
        };
        facts.push(self.fact(at, conversation, what));
    }
}

/// The conversation as the tenant's number sees it; nothing for a call from one device to another.
fn numbers(events: &[Event], own: impl Fn(&Number) -> bool) -> Vec<ReportFact> {
    let mut facts = Vec::new();
    let mut caller = None;
    let mut one_leg = false;
    let mut began = false;
    let mut answered = false;
    for Event {
        at, conversation, fact, ..
    } in events
    {
        let mut tell = |what| {
            facts.push(ReportFact::Call(CallFact {
                at: *at,
                conversation: *conversation,
                what,
            }));
        };
        match fact {
            Fact::Created(head) => {
                let (text, incoming) = match head.kind {
                    Kind::Inbound | Kind::Internal => (&head.dnis, true),
                    Kind::ClickToCall | Kind::Outbound | Kind::Callback | Kind::Notice | Kind::Captcha => {
                        (&head.ani, false)
                    }
                };
                one_leg = matches!(head.kind, Kind::Notice | Kind::Captcha);
                let number = Number::parse(text, CHINA).ok();
                let Some(number) = number.filter(|n| head.kind != Kind::Internal || own(n)) else {
                    return Vec::new();
                };
                began = true;
                tell(CallEvent::Began { number, incoming });
            }
            Fact::LegCreated { leg, .. } => caller = caller.or(Some(*leg)),
            Fact::LegAnswered { leg, .. } if began && !answered && (one_leg || Some(*leg) != caller) => {
                answered = true;
                tell(CallEvent::Answered);
            }
            Fact::Ended if began => tell(CallEvent::Ended),
            _ => {}
        }
    }
    facts
}

/// What a change of an agent says; nothing where only something beside the state changed.
pub fn of_agent(agent: AgentId, change: &Change) -> Option<ReportFact> {
    (change.from != change.to).then_some(ReportFact::Agent(AgentFact {
        at: change.at,
        agent,
        state: change.to,
    }))
}

/// Puts facts of conversations and of agents into the order of time, and adds what only both together tell: the end of the
/// wrap-up of a part.
pub fn in_order(mut facts: Vec<ReportFact>) -> Vec<ReportFact> {
    // Stable: what one log says at one moment stays as it was said.
    facts.sort_by_key(ReportFact::at);
    let mut all = Vec::with_capacity(facts.len());
    let mut left: BTreeMap<AgentId, (ConversationId, Option<QueueId>)> = BTreeMap::new();
    let mut slots: BTreeMap<AgentId, State> = BTreeMap::new();
    for fact in facts {
        let mut wrapped = None;
        match &fact {
            ReportFact::Part(part) => match part.what {
                PartEvent::Left { .. } => drop(left.insert(part.agent, (part.conversation, part.queue))),
                PartEvent::Offered | PartEvent::Placed => drop(left.remove(&part.agent)),
                _ => {}
            },
            ReportFact::Agent(agent) => {
                let before = slots.insert(agent.agent, agent.state);
                let was = before.is_some_and(|s| Slot::of(s) == Slot::WrapUp);
                if was && Slot::of(agent.state) != Slot::WrapUp {
                    wrapped = left.remove(&agent.agent).map(|of| (agent.agent, agent.at, of));
                }
            }
            ReportFact::Queue(_) | ReportFact::Call(_) => {}
        }
        all.push(fact);
        if let Some((agent, at, (conversation, queue))) = wrapped {
            all.push(ReportFact::Part(PartFact {
                at,
                agent,
                conversation,
                queue,
                what: PartEvent::WrappedUp,
            }));
        }
    }
    all
}
