//! The dispatcher: one task that owns what is held and who may be called, and one short task an attempt.

use crate::client;
use crate::policy::Policy;
use crate::schedule::{Next, Schedule};
use crate::send::{Failure, Sender, Signed};
use rustls::ClientConfig;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};
use strowger_core::project::Topic;
use strowger_core::{Stamp, TenantId, WebhookId};
use strowger_store::{Attempt, Delivery, Offer, Offers, Outcome, Store, Take};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Settings of the notifier.
#[derive(Clone)]
pub struct NotifyConfig {
    /// Attempts at the same time, in all.
    pub concurrency: usize,
    /// Attempts at the same time for one tenant.
    pub per_tenant: usize,
    /// Attempts at the same time to one destination (scheme, host and port of a tenant). Halved with every time-out in
    /// a row, down to one.
    pub per_destination: usize,
    /// Deliveries of one destination that wait in memory; more wait in the table.
    pub held_per_destination: usize,
    /// Longest attempt, with its redirects.
    pub timeout: Duration,
    /// When failed deliveries are tried again.
    pub schedule: Schedule,
    /// Certificates (PEM) of authorities that are trusted besides the public ones.
    pub extra_roots: Vec<Vec<u8>>,
    /// The wall clock, for the stamps that go to the store.
    pub clock: Arc<dyn Fn() -> Stamp + Send + Sync>,
}

impl Default for NotifyConfig {
    fn default() -> NotifyConfig {
        NotifyConfig {
            concurrency: 512,
            per_tenant: 128,
            per_destination: 8,
            held_per_destination: 16,
            timeout: Duration::from_secs(10),
            schedule: Schedule::default(),
            extra_roots: Vec::new(),
            clock: Arc::new(|| {
                let since = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default();
                Stamp(since.as_millis() as i64)
            }),
        }
    }
}

/// What the notifier counts since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyStats {
    /// Attempts that the receiver acknowledged.
    pub delivered: u64,
    /// Attempts that failed and are made again.
    pub retried: u64,
    /// Deliveries given up.
    pub dead: u64,
    /// Attempts under way.
    pub in_flight: u64,
}

#[derive(Default)]
struct Counters {
    delivered: AtomicU64,
    retried: AtomicU64,
    dead: AtomicU64,
    in_flight: AtomicU64,
}

/// The running notifier.
pub struct Notifier {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    counters: Arc<Counters>,
}

/// Why the notifier did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store's offers are taken: it has a notifier already.
    #[error("this store has a notifier already")]
    Taken,
    /// A certificate of [`NotifyConfig::extra_roots`] is not one.
    #[error("an extra certificate authority is not a PEM certificate")]
    Certificate,
}

impl Notifier {
    /// Starts the notifier of a store, on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn start(store: Store, config: NotifyConfig) -> Result<Notifier, StartError> {
        let tls = client::roots(&config.extra_roots).ok_or(StartError::Certificate)?;
        let offers = store.offers().ok_or(StartError::Taken)?;
        let (stop, stopping) = watch::channel(false);
        let counters = Arc::new(Counters::default());
        // Each attempt reports once, so there is room for all of them.
        let (done, finished) = mpsc::channel(config.concurrency.max(1));
        let dispatcher = Dispatcher {
            store,
            config: Arc::new(config),
            tls,
            counters: counters.clone(),
            senders: HashMap::new(),
            destinations: HashMap::new(),
            tenants: HashMap::new(),
            turn: VecDeque::new(),
            in_flight: 0,
            held: 0,
            more: false,
            gathering: HashMap::new(),
            done,
            wake: None,
            scan: false,
        };
        let task = tokio::spawn(dispatcher.run(offers, finished, stopping));
        Ok(Notifier { stop, task, counters })
    }

    /// What it counts.
    pub fn stats(&self) -> NotifyStats {
        NotifyStats {
            delivered: self.counters.delivered.load(Relaxed),
            retried: self.counters.retried.load(Relaxed),
            dead: self.counters.dead.load(Relaxed),
            in_flight: self.counters.in_flight.load(Relaxed),
        }
    }

    /// Starts no more attempts, waits for those under way and for their reports. Takes at most about the time-out of
    /// an attempt; what is not sent stays in the table.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

/// What an attempt's task tells the dispatcher.
struct Finished {
    destination: u64,
    tenant: TenantId,
    timed_out: bool,
    /// When something of this delivery is due again.
    next_at: Option<Stamp>,
}

#[derive(Default)]
struct Destination {
    in_flight: usize,
    held: VecDeque<Delivery>,
    /// Time-outs in a row.
    strikes: u32,
    /// More is due in the table than is held.
    more: bool,
}

struct Dispatcher {
    store: Store,
    config: Arc<NotifyConfig>,
    tls: Arc<ClientConfig>,
    counters: Arc<Counters>,
    senders: HashMap<TenantId, Arc<Sender>>,
    /// Only destinations with something under way, held or left in the table, and those with strikes.
    destinations: HashMap<u64, Destination>,
    /// Attempts under way by tenant.
    tenants: HashMap<TenantId, usize>,
    /// Destinations that hold something, in the order in which they get a free place.
    turn: VecDeque<u64>,
    in_flight: usize,
    /// Deliveries in the queues of all destinations.
    held: usize,
    /// Something was left in the table because too much was held in all.
    more: bool,
    done: mpsc::Sender<Finished>,
    /// Deliveries that wait for others to share a request with, by group, since one of the group was last sent. Counts
    /// what was offered; what was not is sent when its window closes.
    gathering: HashMap<u64, u32>,
    /// When the table has to be looked at.
    wake: Option<Stamp>,
    scan: bool,
}

/// Shortest time between two scans for a reason that may come often.
const SCAN_GAP: Duration = Duration::from_millis(20);

impl Dispatcher {
    async fn run(
        mut self,
        mut offers: Offers,
        mut finished: mpsc::Receiver<Finished>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut scanned = tokio::time::Instant::now() - SCAN_GAP;
        loop {
            let now = (self.config.clock)();
            let wait = match self.wake {
                _ if self.scan => Duration::ZERO,
                Some(at) => Duration::from_millis(at.ms_since(now)),
                None => Duration::from_secs(3600),
            };
            let at = (tokio::time::Instant::now() + wait).max(scanned + SCAN_GAP);
            tokio::select! {
                _ = stop.changed() => break,
                Some(f) = finished.recv() => self.finish(f),
                // Offers stop while nothing may start: they wait in their channel, which is bounded.
                offer = offers.next(), if self.in_flight < self.config.concurrency => match offer {
                    Offer::Delivery(delivery, at) => self.offer(*delivery, at),
                    Offer::Scan => self.scan = true,
                },
                () = tokio::time::sleep_until(at) => {
                    self.look().await;
                    scanned = tokio::time::Instant::now();
                }
            }
        }
        let held = self
            .destinations
            .values_mut()
            .flat_map(|d| d.held.drain(..).map(|d| d.id));
        self.store.release_deliveries(held.collect::<Vec<_>>());
        drop(self.done);
        while finished.recv().await.is_some() {}
    }

    fn wake_at(&mut self, at: Stamp) {
        self.wake = Some(self.wake.map_or(at, |w| w.min(at)));
    }

    fn offer(&mut self, delivery: Delivery, at: Stamp) {
        if at > (self.config.clock)() && !self.is_full(&delivery) {
            self.store.release_deliveries([delivery.id]);
            self.wake_at(at);
            return;
        }
        self.hold(delivery);
        self.start();
    }

    /// Counts a delivery that waits for others; true if so many wait that they go now.
    fn is_full(&mut self, delivery: &Delivery) -> bool {
        let Some(together) = delivery.together else {
            return false;
        };
        let count = self.gathering.entry(together.group).or_default();
        *count += 1;
        *count >= together.most
    }

    /// Puts a delivery into its destination's queue, or back into the table.
    fn hold(&mut self, delivery: Delivery) {
        let id = delivery.destination;
        if self.held >= self.most_held() {
            self.more = true;
            self.store.release_deliveries([delivery.id]);
            return;
        }
        let d = self.destinations.entry(id).or_default();
        if d.held.len() >= self.config.held_per_destination {
            d.more = true;
            self.store.release_deliveries([delivery.id]);
            return;
        }
        d.held.push_back(delivery);
        self.held += 1;
        if d.held.len() == 1 {
            self.turn.push_back(id);
        }
    }

    /// Deliveries that are held in memory at most.
    fn most_held(&self) -> usize {
        self.config.concurrency.saturating_mul(4).max(4)
    }

    fn limit(&self, strikes: u32) -> usize {
        (self.config.per_destination >> strikes.min(16)).max(1)
    }

    /// Starts what may start, one of each destination in turn.
    fn start(&mut self) {
        let mut stuck = 0;
        while self.in_flight < self.config.concurrency && stuck < self.turn.len() {
            let Some(id) = self.turn.pop_front() else { return };
            let Some(d) = self.destinations.get(&id) else { continue };
            let Some(tenant) = d.held.front().map(|h| h.tenant) else {
                continue;
            };
            let tenant_has = self.tenants.get(&tenant).copied().unwrap_or(0);
            if d.in_flight >= self.limit(d.strikes) || tenant_has >= self.config.per_tenant {
                self.turn.push_back(id);
                stuck += 1;
                continue;
            }
            stuck = 0;
            let Some(d) = self.destinations.get_mut(&id) else {
                continue;
            };
            let Some(delivery) = d.held.pop_front() else { continue };
            d.in_flight += 1;
            let mut shared = vec![delivery];
            if let Some(together) = shared[0].together {
                self.gathering.remove(&together.group);
                let most = together.most as usize;
                let mut rest = VecDeque::with_capacity(d.held.len());
                for other in d.held.drain(..) {
                    if shared.len() < most && shared.iter().all(|s| s.fits(&other)) {
                        shared.push(other);
                    } else {
                        rest.push_back(other);
                    }
                }
                d.held = rest;
            }
            self.held -= shared.len();
            if !d.held.is_empty() {
                self.turn.push_back(id);
            }
            *self.tenants.entry(tenant).or_default() += 1;
            self.in_flight += 1;
            self.spawn(shared);
        }
    }

    fn finish(&mut self, f: Finished) {
        self.in_flight -= 1;
        if let Some(n) = self.tenants.get_mut(&f.tenant) {
            *n -= 1;
            if *n == 0 {
                self.tenants.remove(&f.tenant);
            }
        }
        if let Some(d) = self.destinations.get_mut(&f.destination) {
            d.in_flight -= 1;
            d.strikes = if f.timed_out { d.strikes + 1 } else { 0 };
            if d.more && d.held.len() < self.config.held_per_destination.div_ceil(2) {
                d.more = false;
                self.scan = true;
            }
            if d.in_flight == 0 && d.held.is_empty() && d.strikes == 0 {
                self.destinations.remove(&f.destination);
            }
        }
        if let Some(at) = f.next_at {
            self.wake_at(at);
        }
        if self.more && self.held < self.most_held() / 2 {
            self.more = false;
            self.scan = true;
        }
        self.start();
    }

    /// Takes what is due from the table.
    async fn look(&mut self) {
        self.scan = false;
        self.wake = None;
        let most = self.config.held_per_destination;
        let room = |d: &Destination| most.saturating_sub(d.held.len());
        let limit = self.most_held() - self.held;
        if limit == 0 {
            self.more = true;
            return;
        }
        let take = Take {
            now: (self.config.clock)(),
            limit,
            per_destination: most,
            room: self.destinations.iter().map(|(id, d)| (*id, room(d))).collect(),
        };
        let asked = take.room.clone();
        let taken = match self.store.take_deliveries(take).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::error!(
                    code = error.code(),
                    "the outbox cannot be read; trying again in a second"
                );
                self.wake_at((self.config.clock)().plus_ms(1000));
                return;
            }
        };
        if taken.deliveries.len() >= limit {
            // What was left is looked for when half of this is done, not at once.
            self.more = true;
        } else if let Some(at) = taken.next_at {
            self.wake_at(at);
        }
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for d in &taken.deliveries {
            *counts.entry(d.destination).or_default() += 1;
        }
        for delivery in taken.deliveries {
            self.hold(delivery);
        }
        // A destination that filled its room may have more; it is looked at again when some of it has gone.
        for (id, d) in &mut self.destinations {
            let room = asked.get(id).copied().unwrap_or(most);
            d.more |= counts.get(id).copied().unwrap_or(0) >= room;
        }
        // With nothing under way and nothing held nobody would ask again.
        self.destinations
            .retain(|_, d| d.in_flight > 0 || !d.held.is_empty() || d.strikes > 0);
        self.start();
    }

    /// The tenant's client; a new one when its policy has changed, so that connections of the old one are not used.
    fn sender(&mut self, tenant: TenantId) -> Arc<Sender> {
        let config = self.store.snapshot();
        let allowed = config
            .tenant(tenant)
            .map(|t| t.push_allowed.clone())
            .unwrap_or_default();
        if let Some(sender) = self.senders.get(&tenant)
            && sender.policy.allowed == allowed
        {
            return sender.clone();
        }
        let sender = Arc::new(Sender::new(Policy { allowed }, self.config.timeout, &self.tls));
        self.senders.insert(tenant, sender.clone());
        sender
    }

    /// Sends one delivery, or several that share a request; one at least.
    fn spawn(&mut self, mut shared: Vec<Delivery>) {
        let Some(first) = shared.first() else { return };
        let (destination, tenant) = (first.destination, first.tenant);
        let sender = self.sender(tenant);
        let (store, config, counters) = (self.store.clone(), self.config.clone(), self.counters.clone());
        let done = self.done.clone();
        counters.in_flight.fetch_add(1, Relaxed);
        tokio::spawn(async move {
            gather(&store, &mut shared).await;
            let first = &shared[0];
            let result = post(&store, &sender, &shared, &config).await;
            let timed_out = result == Err(Failure::Timeout);
            // The oldest decides for all: they are acknowledged, tried again and given up as a whole.
            let (outcome, mut next_at) = decide(&config, first, result);
            match &outcome {
                Outcome::Delivered => counters.delivered.fetch_add(1, Relaxed),
                Outcome::Retry { .. } => counters.retried.fetch_add(1, Relaxed),
                Outcome::Dead { .. } => counters.dead.fetch_add(shared.len() as u64, Relaxed),
            };
            let at = (config.clock)();
            let attempts = shared.iter().map(|d| Attempt {
                id: d.id,
                at,
                outcome: outcome.clone(),
            });
            if let Err(error) = store.report_attempts(attempts.collect()).await {
                // It is sent again: at least once. Not at once, because the disk is in trouble.
                tracing::error!(
                    code = error.code(),
                    delivery = first.id,
                    "an attempt could not be recorded"
                );
                tokio::time::sleep(Duration::from_secs(1)).await;
                store.release_deliveries(shared.iter().map(|d| d.id));
                next_at = Some((config.clock)());
            }
            counters.in_flight.fetch_sub(1, Relaxed);
            let finished = Finished {
                destination,
                tenant,
                timed_out,
                next_at,
            };
            let _ = done.send(finished).await;
        });
    }
}

/// Adds what else may share the request of the first, in order of their ids.
async fn gather(store: &Store, shared: &mut Vec<Delivery>) {
    let Some(together) = shared[0].together else { return };
    let room = (together.most as usize).saturating_sub(shared.len());
    match store.take_together(&shared[0], room).await {
        Ok(more) => {
            for d in more {
                if shared.iter().all(|s| s.fits(&d)) {
                    shared.push(d);
                } else {
                    store.release_deliveries([d.id]);
                }
            }
        }
        // What is at hand goes; the others are found when they are due.
        Err(error) => tracing::error!(code = error.code(), "the outbox cannot be read"),
    }
    shared.sort_by_key(|d| d.id);
}

async fn post(store: &Store, sender: &Sender, shared: &[Delivery], settings: &NotifyConfig) -> Result<(), Failure> {
    let first = &shared[0];
    let config = store.snapshot();
    let (attempt, timeout) = (first.attempts + 1, settings.timeout);
    if first.topic == Topic::Event {
        let id = first.key.split('.').next().and_then(|id| id.parse::<WebhookId>().ok());
        let hook = id
            .and_then(|id| config.webhook(id))
            .filter(|w| w.tenant == first.tenant);
        let hook = hook.ok_or(Failure::Gone)?;
        if hook.disabled {
            return Err(Failure::Disabled);
        }
        let now = (settings.clock)();
        let signed = Signed::dated(hook.secrets(now).map(|s| s.expose()), now, first);
        // Where it is now, and not where it was when the event happened: a mistaken address is put right for all that wait.
        let delivery = Delivery {
            url: hook.url.clone(),
            ..first.clone()
        };
        return sender.attempt(&delivery, attempt, None, &signed, timeout).await;
    }
    let secret = config
        .application(first.application)
        .and_then(|a| a.push_secret.clone());
    let secret = secret.as_ref().map(|s| s.expose());
    if first.together.is_none() {
        let signed = Signed::plain(secret, &first.body);
        return sender.attempt(first, attempt, None, &signed, timeout).await;
    }
    let bodies: Vec<&[u8]> = shared.iter().map(|d| &d.body[..]).collect();
    let array = Delivery {
        body: [b"[", &bodies.join(&b","[..])[..], b"]"].concat(),
        ..first.clone()
    };
    let signed = Signed::plain(secret, &array.body);
    sender
        .attempt(&array, attempt, Some(shared.len()), &signed, timeout)
        .await
}

/// What becomes of a delivery after an attempt.
fn decide(config: &NotifyConfig, delivery: &Delivery, result: Result<(), Failure>) -> (Outcome, Option<Stamp>) {
    let Err(failure) = result else {
        return (Outcome::Delivered, None);
    };
    let tries = delivery.tries + 1;
    let random = delivery.id << 8 ^ u64::from(tries);
    let (id, attempt) = (delivery.id, delivery.attempts + 1);
    let next = match failure {
        // Nobody is there for whom to try again.
        Failure::Gone => Next::GiveUp,
        _ => config
            .schedule
            .after_failure(tries, delivery.queued_at, (config.clock)(), random),
    };
    match next {
        Next::At(next_at) => {
            tracing::info!(delivery = id, attempt, error = %failure, "a push failed and will be tried again");
            (
                Outcome::Retry {
                    next_at,
                    error: failure.to_string(),
                },
                Some(next_at),
            )
        }
        Next::GiveUp => {
            tracing::warn!(delivery = id, attempt, error = %failure, "a push was given up");
            (
                Outcome::Dead {
                    error: failure.to_string(),
                },
                None,
            )
        }
    }
}
