//! Voice notices: one party and a program, for one number or for a batch of them.

use crate::calls::{Answer, CallError};
use crate::clock::Clock;
use crate::commit::Conditions;
use crate::owner::{Owner, World};
use crate::switch::{Switch, SwitchCalls};
use std::sync::Arc;
use strowger_core::call::{NoticeBatch, NoticePlan, Sound, Target};
use strowger_core::event::{Created, Via};
use strowger_core::{ConversationId, TenantId, routing};
use strowger_media::CallKey;
use strowger_store::Throttle;

/// The runtime as the faces of voice notices see it. Every answer comes after the commit of what it says.
pub trait Notices: Send + Sync {
    /// Starts a voice notice. The plan's sounds and number were checked by the caller.
    ///
    /// # Errors
    /// As [`Calls::click_to_call`](crate::Calls::click_to_call), and [`CallError::TrunkDown`]. No answer waits for the
    /// far side.
    ///
    /// With a limit, a call that would be one too many to the same name is [`CallError::Throttled`].
    fn notice(&self, head: Created, plan: NoticePlan, limit: Option<Throttle>) -> Answer<'_, ConversationId>;

    /// Stores a batch of notices and begins with it. From the answer on, each of its numbers is called at most once and
    /// has one result, whatever happens to the process.
    ///
    /// # Errors
    /// [`CallError`]; nothing is stored then.
    fn batch(&self, batch: NoticeBatch) -> Answer<'_, ()>;
}

impl Switch {
    /// Whether a number can be tried now, as far as it is known without trying.
    pub(crate) fn reach(&self, tenant: TenantId, target: &Target) -> Result<(), CallError> {
        let (Target::Number(number) | Target::Trunk(_, number)) = target else {
            return Ok(());
        };
        let ways = self.ways(tenant, target);
        let config = self.store().snapshot();
        let up = |trunk| self.health.is_up(trunk);
        let open = |via| match via {
            Via::Trunk(id) => up(id),
            Via::Device(_) | Via::Platform => true,
        };
        let has_room = |via| match via {
            Via::Trunk(id) => config
                .trunk(id)
                .is_some_and(|t| t.max_channels == 0 || self.channels(via) < t.max_channels),
            Via::Device(_) | Via::Platform => true,
        };
        let mut all = ways.iter().map(|way| way.via).filter(|via| open(*via)).peekable();
        if all.peek().is_some() {
            return if all.any(has_room) {
                Ok(())
            } else {
                Err(CallError::Concurrency)
            };
        }
        // A trunk that would carry it, but whose server is silent or cannot be found.
        let trunks = config.trunks().iter().map(|t| &**t);
        let carried = !routing::candidates(trunks, tenant, number, up, 0).is_empty();
        Err(if carried {
            CallError::TrunkDown
        } else {
            CallError::NoRoute
        })
    }

    /// Reads and decodes sounds on the caller's thread: the signalling loop, which plays them, never touches a disk.
    pub(crate) fn warm_sounds<'a>(&self, head: &Created, sounds: impl Iterator<Item = &'a Sound>) {
        for sound in sounds {
            self.sounds().find(head.tenant, head.application, sound);
        }
    }

    /// Starts a notice, or tells why it cannot be started now. Nothing is done then.
    pub(crate) async fn start_notice(
        self: &Arc<Self>,
        mut head: Created,
        plan: NoticePlan,
        on: Conditions,
    ) -> Result<ConversationId, CallError> {
        self.room()?;
        self.may_spend(head.tenant, head.account, &[&plan.party.target])?;
        let places = self.claim_places(head.tenant, head.application, head.account)?;
        self.reach(head.tenant, &plan.party.target)?;
        self.warm_sounds(&head, plan.sounds());
        head.subscriptions.extend(self.webhooks(head.tenant, head.application));
        let id = self.mint_conversation();
        let clock = Clock::start();
        let (owner, turn) = Owner::notice(id, head, plan, &**self, clock.now());
        // Refused before anything left: no trunk has room any more, or no media port is free. One that was taken goes
        // back.
        if owner.machine().has_ended() {
            let _ = self.media().command(CallKey(id.0), strowger_media::Command::CloseCall);
            return Err(CallError::Concurrency);
        }
        let started = self.spawn(owner, turn, clock, places, on, None);
        started
            .await
            .unwrap_or(Err(CallError::Overloaded { retry_after_secs: 1 }))
    }
}

impl Notices for SwitchCalls {
    fn notice(&self, head: Created, plan: NoticePlan, limit: Option<Throttle>) -> Answer<'_, ConversationId> {
        let on = Conditions {
            throttle: limit,
            ..Conditions::default()
        };
        Box::pin(self.0.start_notice(head, plan, on))
    }

    fn batch(&self, batch: NoticeBatch) -> Answer<'_, ()> {
        Box::pin(self.0.start_batch(batch))
    }
}
