//! A call that came in and goes to the target of a static route. The caller is answered when the target answers.

use super::leg::Leg;
use super::{Conversation, Created, Effect, Flow, ForwardPlan, LegSeq, LegState, Phase, Role, Step};
use crate::event::{Direction, Fact};
use crate::id::ConversationId;
use crate::time::Stamp;

impl Conversation {
    /// Creates a conversation from an incoming call and dials the route's target.
    pub fn forward(id: ConversationId, head: Created, plan: ForwardPlan, now: Stamp) -> (Conversation, Step) {
        let (from, to) = (plan.from.clone(), plan.to.clone());
        let routed = plan.routed.clone();
        let mut c = Conversation::new(id, head, Flow::Forward(Box::new(plan)), Phase::CallingFirst, now);
        if let Some(routed) = routed {
            c.emit(Fact::Routed(routed), now);
        }
        let leg = LegSeq(0);
        c.legs.push(Leg::new(leg, Role::Caller, Direction::Incoming));
        c.emit(
            Fact::LegCreated {
                leg,
                role: Role::Caller,
                direction: Direction::Incoming,
                from,
                to,
            },
            now,
        );
        c.dial_second(now);
        let step = c.finish(now);
        (c, step)
    }

    /// Answers the caller in the step in which the target answered: one commit, then the 200.
    pub(super) fn answer_first(&mut self, now: Stamp) {
        let dialog = self.incoming_dialog();
        let leg = self.caller;
        if let Some(l) = self.leg_mut(leg)
            && l.is_live()
        {
            l.state = LegState::Answered;
            l.answered = true;
            self.emit(Fact::LegAnswered { leg, dialog }, now);
            self.effect(Effect::Answer { leg });
        }
    }
}
