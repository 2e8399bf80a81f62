//! Named commands that are being executed: one at a time for each name.
//!
//! The journal alone decides that a command is executed once. This only lets the second of two that come together wait
//! for the first, instead of being counted against limits beside it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use strowger_core::{AccountId, TenantId};
use strowger_store::CommandId;
use tokio::sync::OwnedMutexGuard;

type Name = (TenantId, Option<AccountId>, String);
type Running = Mutex<HashMap<Name, Arc<tokio::sync::Mutex<()>>>>;

/// The names with a command under way. Holds at most one entry a request that is being answered.
#[derive(Debug, Default)]
pub struct Names(Arc<Running>);

/// The turn of one command; the next of its name goes when this is dropped.
pub struct Turn {
    names: Arc<Running>,
    name: Name,
    lock: Option<Arc<tokio::sync::Mutex<()>>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Names {
    /// Waits until no other command of this name is under way. Cancel-safe.
    pub async fn turn(&self, command: &CommandId) -> Turn {
        let (tenant, account, key) = command.name();
        let name = (tenant, account, key.to_owned());
        let lock = {
            let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            names.entry(name.clone()).or_default().clone()
        };
        // Made before the wait, so that a wait that is given up leaves no entry behind.
        let mut turn = Turn {
            names: self.0.clone(),
            name,
            lock: Some(lock.clone()),
            guard: None,
        };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this one: nobody else waits, and nobody can begin to while the map is locked. This one goes
        // before the map is unlocked, or two that end together would each count the other.
        if let Some(lock) = self.lock.take()
            && Arc::strong_count(&lock) == 2
        {
            names.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_name_takes_turns_and_leaves_nothing_behind() {
        let names = Names::default();
        let command = |key: &[u8]| CommandId::new(TenantId(1), None, key, &[]).unwrap();
        let first = names.turn(&command(b"a")).await;
        let _other = names.turn(&command(b"b")).await;
        let second = command(b"a");
        let mut waiting = Box::pin(names.turn(&second));
        assert!(futures_ready(waiting.as_mut()).await.is_none(), "it waits");
        drop(first);
        drop(waiting.await);
        {
            let _held = names.turn(&second).await;
            let mut given_up = Box::pin(names.turn(&second));
            assert!(futures_ready(given_up.as_mut()).await.is_none());
        }
        assert_eq!(names.0.lock().unwrap().len(), 1, "only the other one's");
    }

    /// Polls once.
    async fn futures_ready<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match future.as_mut().poll(cx) {
                std::task::Poll::Ready(value) => Some(value),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
