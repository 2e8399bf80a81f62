//! Trunk health by OPTIONS (domain-model §5.5): any answer proves a trunk alive.

use crate::mint;
use crate::owner::World;
use crate::switch::Switch;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use strowger_core::TrunkId;
use strowger_sip_core::{Command, DialogHandle, OptionsPing, Party};

/// Unanswered OPTIONS in a row after which a trunk counts as down.
const MISSES: u32 = 2;

/// What is known of the trunks.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    misses: HashMap<TrunkId, u32>,
    asked: HashMap<DialogHandle, TrunkId>,
    due: HashMap<TrunkId, tokio::time::Instant>,
}

impl Health {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True unless the trunk's last OPTIONS went unanswered. A trunk that was never asked is up.
    pub fn is_up(&self, trunk: TrunkId) -> bool {
        self.lock().misses.get(&trunk).is_none_or(|n| *n < MISSES)
    }

    /// Takes the result of an OPTIONS.
    pub fn result(&self, handle: DialogHandle, status: Option<u16>) {
        let mut state = self.lock();
        let Some(trunk) = state.asked.remove(&handle) else {
            return;
        };
        // 503 and 408 from the next hop say that it cannot serve, whoever made them up.
        let alive = status.is_some_and(|s| !matches!(s, 408 | 503));
        let misses = state.misses.entry(trunk).or_default();
        let was_up = *misses < MISSES;
        *misses = if alive { 0 } else { misses.saturating_add(1) };
        match (was_up, *misses < MISSES) {
            (true, false) => tracing::warn!(%trunk, "trunk is down: OPTIONS went unanswered"),
            (false, true) => tracing::info!(%trunk, "trunk is up again"),
            _ => {}
        }
    }
}

/// Asks each trunk in its own interval, until the task is dropped.
pub async fn watch(switch: Arc<Switch>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = tokio::time::Instant::now();
        let config = switch.store().snapshot();
        for trunk in config.trunks().iter().filter(|t| !t.disabled && t.options_interval > 0) {
            let Some(destination) = switch.carriers.targets(trunk).first().copied() else {
                continue;
            };
            {
                let mut state = switch.health.lock();
                if state.due.get(&trunk.id).is_some_and(|due| *due > now) {
                    continue;
                }
                // A trunk that is down is asked more often, so that it comes back soon.
                let every = match state.misses.get(&trunk.id) {
                    Some(n) if *n > 0 => trunk.options_interval.min(5),
                    _ => trunk.options_interval,
                };
                state.due.insert(trunk.id, now + Duration::from_secs(u64::from(every)));
            }
            let (a, b) = (mint::random(), mint::random());
            let host = switch.host();
            let handle = switch.dialog_handle();
            switch.health.lock().asked.insert(handle, trunk.id);
            let ping = OptionsPing {
                handle,
                call_id: format!("{a:032x}@{host}"),
                local_tag: format!("{:016x}", b as u64),
                branch_stem: format!("{:016x}", (b >> 64) as u64),
                request_uri: format!("sip:{}", trunk.host()),
                from: Party::new(format!("sip:{host}")),
                destination,
                local: None,
            };
            if switch.sip().send(Command::Options(Box::new(ping))).is_err() {
                switch.health.lock().asked.remove(&handle);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_misses_take_a_trunk_down_and_one_answer_brings_it_back() {
        let health = Health::default();
        let trunk = TrunkId(1);
        let ask = |n: u64, status| {
            health.lock().asked.insert(DialogHandle(n), trunk);
            health.result(DialogHandle(n), status);
        };
        assert!(health.is_up(trunk));
        ask(1, None);
        assert!(health.is_up(trunk));
        ask(2, None);
        assert!(!health.is_up(trunk));
        ask(3, Some(404));
        assert!(health.is_up(trunk));
        ask(4, Some(503));
        ask(5, Some(503));
        assert!(!health.is_up(trunk));
    }
}
