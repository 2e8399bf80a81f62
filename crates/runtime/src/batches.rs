//! Batches of voice notices: each number is begun once, in order, as fast as trunks and limits allow.
//!
//! One task a batch, outside of the signalling loop. An item begins in the commit of its conversation's first facts
//! ([`ItemStart`]), so that a restart in between neither calls anybody twice nor forgets anybody.

use crate::calls::CallError;
use crate::clock::wall_now;
use crate::commit::{Conditions, batch_of};
use crate::switch::Switch;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use strowger_core::NoticeBatchId;
use strowger_core::call::{Conversation, Failure, NoticeBatch};
use strowger_store::{AppendError, ItemStart, OpenNoticeBatch, StoreError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long an item waits for trunks that are down, or for money, before it counts as one that cannot be called.
const PATIENCE: Duration = Duration::from_secs(600);
/// Pause before another try when a limit was reached.
const BUSY: Duration = Duration::from_millis(20);
/// Pause before another try when a trunk is down or the journal refuses.
const DOWN: Duration = Duration::from_secs(1);

/// Batches that are not through.
#[derive(Debug, Default)]
pub struct Batches {
    running: Mutex<HashMap<NoticeBatchId, Arc<Control>>>,
}

/// How a batch's task is told to stop dialling.
#[derive(Debug, Default)]
struct Control {
    cancelled: AtomicBool,
    wake: Notify,
}

impl Batches {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<NoticeBatchId, Arc<Control>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Batches whose tasks run.
    pub fn running(&self) -> usize {
        self.lock().len()
    }

    fn tell_cancelled(&self, id: NoticeBatchId) {
        if let Some(control) = self.lock().get(&id) {
            control.cancelled.store(true, Ordering::Release);
            control.wake.notify_one();
        }
    }
}

/// What became of one try at an item.
enum Tried {
    /// It has begun; the next one after this pause.
    Begun(Duration),
    /// Not now; again after this pause.
    Later(Duration),
    /// Not now, for a reason that may last; again after this pause.
    Blocked(Duration, Failure),
    /// It cannot be called at all.
    Hopeless(Failure),
    /// It was begun before.
    Known,
    /// The batch was cancelled in this moment.
    Cancelled,
    /// This process takes nothing new; the next one goes on.
    Stop,
}

impl Switch {
    /// Stores a batch and begins with it.
    pub(crate) async fn start_batch(self: &Arc<Self>, batch: NoticeBatch) -> Result<(), CallError> {
        self.room()?;
        let stored = self.store().create_notice_batch(&batch, wall_now()).await;
        stored.map_err(|error| CallError::Journal(error.to_string()))?;
        self.run_batch(OpenNoticeBatch {
            batch,
            cancelled: false,
            begun: Vec::new(),
        });
        Ok(())
    }

    /// Goes on with the batches that an earlier process left. To be called after recovery.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn resume_batches(self: &Arc<Self>) -> Result<usize, StoreError> {
        let open = self.store().open_notice_batches().await?;
        let found = open.len();
        for batch in open {
            self.run_batch(batch);
        }
        if found > 0 {
            tracing::info!(found, "going on with batches of notices after a restart");
        }
        Ok(found)
    }

    /// Cancels a batch: what has not begun is not dialled, and is reported as not reached. False if it is through.
    ///
    /// # Errors
    /// The store's; the batch goes on then.
    pub async fn cancel_batch(&self, id: NoticeBatchId) -> Result<bool, StoreError> {
        let cancelled = self.store().cancel_notice_batch(id).await?;
        self.batches.tell_cancelled(id);
        Ok(cancelled)
    }

    fn run_batch(self: &Arc<Self>, open: OpenNoticeBatch) {
        let control = Arc::new(Control::default());
        control.cancelled.store(open.cancelled, Ordering::Release);
        let id = open.batch.id;
        self.batches.lock().insert(id, control.clone());
        let switch = self.clone();
        tokio::spawn(async move {
            switch.work_off(&open, &control).await;
            switch.batches.lock().remove(&id);
        });
    }

    async fn work_off(self: &Arc<Self>, open: &OpenNoticeBatch, control: &Control) {
        let batch = &open.batch;
        let mut blocked_since = None;
        let mut n = 0;
        while n < batch.callees.len() as u32 {
            if open.begun.binary_search(&n).is_ok() {
                n += 1;
                continue;
            }
            let tried = match self.give_up_reason(batch, n, control) {
                Some(why) => Tried::Hopeless(why),
                None => self.try_item(batch, n).await,
            };
            let tried = match tried {
                Tried::Blocked(pause, why) => {
                    let since = *blocked_since.get_or_insert_with(Instant::now);
                    if since.elapsed() < PATIENCE {
                        Tried::Later(pause)
                    } else {
                        Tried::Hopeless(why)
                    }
                }
                tried => tried,
            };
            let tried = match tried {
                Tried::Hopeless(why) => self.report_undialled(batch, n, why).await,
                tried => tried,
            };
            let pause = match tried {
                Tried::Begun(pause) => {
                    blocked_since = None;
                    n += 1;
                    pause
                }
                Tried::Known => {
                    n += 1;
                    continue;
                }
                Tried::Later(pause) | Tried::Blocked(pause, _) => pause,
                Tried::Hopeless(_) => DOWN,
                Tried::Cancelled => {
                    control.cancelled.store(true, Ordering::Release);
                    continue;
                }
                Tried::Stop => return,
            };
            if pause.is_zero() {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = control.wake.notified() => {}
            }
        }
        while let Err(error) = self.store().finish_notice_batch(batch.id).await {
            tracing::warn!(code = error.code(), batch = %batch.id, "a batch could not be closed: {error}");
            if self.is_draining() {
                return;
            }
            tokio::time::sleep(DOWN).await;
        }
    }

    /// Why an item is not dialled, known before it is tried.
    fn give_up_reason(&self, batch: &NoticeBatch, n: u32, control: &Control) -> Option<Failure> {
        if control.cancelled.load(Ordering::Acquire) {
            return Some(Failure::Withdrawn);
        }
        let callee = batch.callees.get(n as usize)?;
        callee.closed.then_some(Failure::Forbidden)
    }

    async fn try_item(self: &Arc<Self>, batch: &NoticeBatch, n: u32) -> Tried {
        let Some((head, plan)) = batch.call(n) else {
            return Tried::Known;
        };
        let pause = self.pace(batch);
        let start = ItemStart {
            batch: batch.id,
            item: n,
            dialled: true,
        };
        let on = Conditions {
            item: Some(start),
            ..Conditions::default()
        };
        match self.start_notice(head, plan, on).await {
            Ok(_) => Tried::Begun(pause),
            Err(CallError::NoRoute) => Tried::Hopeless(Failure::NoRoute),
            Err(CallError::TrunkDown) => Tried::Blocked(DOWN, Failure::NoRoute),
            Err(CallError::Spent) => Tried::Blocked(DOWN, Failure::Forbidden),
            Err(CallError::Draining) => Tried::Stop,
            Err(CallError::ItemBegun) => Tried::Known,
            Err(CallError::BatchCancelled) => Tried::Cancelled,
            Err(CallError::Journal(_)) => Tried::Later(DOWN),
            Err(_) => Tried::Later(BUSY),
        }
    }

    /// An item that is not dialled has its record and its result all the same, in one commit.
    async fn report_undialled(&self, batch: &NoticeBatch, n: u32, why: Failure) -> Tried {
        let Some((head, plan)) = batch.call(n) else {
            return Tried::Known;
        };
        let id = self.mint_conversation();
        let (_, step) = Conversation::notice_undialled(id, head, plan, why, wall_now());
        let Some(mut write) = batch_of(&mut None, &mut 0, step.events, self.projectors()) else {
            return Tried::Known;
        };
        write.item = Some(ItemStart {
            batch: batch.id,
            item: n,
            dialled: false,
        });
        match self.store().append(write).await {
            Ok(_) => Tried::Begun(Duration::ZERO),
            Err(AppendError::ItemBegun) => Tried::Known,
            Err(AppendError::Closed) => Tried::Stop,
            Err(error) => {
                tracing::warn!(code = error.code(), batch = %batch.id, "an item of a batch could not be recorded: {error}");
                Tried::Later(DOWN)
            }
        }
    }

    /// Spreads the calls of a batch evenly over each second of the lowest rate that bounds them. The limits themselves
    /// are the gates'.
    fn pace(&self, batch: &NoticeBatch) -> Duration {
        let config = self.store().snapshot();
        let head = &batch.head;
        let rates = [
            config.application(head.application).map(|a| a.settings.max_rate),
            head.account.and_then(|id| config.account(id)).map(|a| a.max_rate),
            config.tenant(head.tenant).map(|t| t.max_rate),
        ];
        let lowest = rates.into_iter().flatten().filter(|rate| *rate > 0).min();
        lowest.map_or(Duration::ZERO, |rate| Duration::from_millis(u64::from(1000 / rate)))
    }
}
