//! Events for those who follow them over a WebSocket: the seam to whoever makes them, and a hub that keeps the newest of
//! each tenant so that a client that was cut off goes on where it was.

pub(crate) mod presence;
pub(crate) mod socket;

use crate::operations::Reply;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use strowger_core::{Stamp, TenantId, UserId};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Events of a tenant that are kept for those who come back.
const KEPT: usize = 4096;
/// Events that wait for one client; one more, and the client is cut off.
const WAITING: usize = 1024;
/// Clients of one process.
const CLIENTS: usize = 20_000;

/// Who sees an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Whoever may follow the tenant's events (scope `events:read`).
    Tenant,
    /// They, and this user.
    User(UserId),
}

/// An event as it is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedEvent {
    /// Rises within a tenant, also over restarts; not without gaps for one client.
    pub seq: u64,
    /// When it was.
    pub at: Stamp,
    /// What it is about, such as `resources.changed`.
    pub topic: String,
    /// Who sees it.
    pub audience: Audience,
    /// A JSON value.
    pub data: String,
    /// The message that clients get: written by the first that sends it, for all of them.
    pub(crate) message: OnceLock<Utf8Bytes>,
}

impl PushedEvent {
    /// The topic of events that say which client lost its place.
    pub(crate) const REPLACED: &str = "agent.replaced";

    /// True if it says that this client of an agent lost its place to another one.
    pub(crate) fn replaces(&self, client: &str) -> bool {
        let is = |data: serde_json::Value| data["client"] == client;
        self.topic == Self::REPLACED && serde_json::from_str(&self.data).is_ok_and(is)
    }
}

/// Who follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Nothing of another tenant is seen.
    pub tenant: TenantId,
    /// The user; `None` for a program.
    pub user: Option<UserId>,
    /// Sees the tenant's events, and not only the user's own.
    pub all: bool,
}

impl Subscriber {
    /// True if the event is for it.
    pub fn sees(&self, event: &PushedEvent) -> bool {
        self.all || event.audience != Audience::Tenant && Some(event.audience) == self.user.map(Audience::User)
    }
}

/// What a subscriber gets: first what it missed, or a snapshot in its place, then what comes.
#[derive(Debug)]
pub struct Subscription {
    /// The newest event when this was made.
    pub head: u64,
    /// JSON of how things stand at `head`; `None` if `missed` tells all since the event that was asked for.
    pub snapshot: Option<String>,
    /// What was missed, in order.
    pub missed: Vec<Arc<PushedEvent>>,
    /// What comes. It ends when the client is too slow, or the process stops.
    pub events: mpsc::Receiver<Arc<PushedEvent>>,
}

/// Whoever makes events.
pub trait EventSource: Send + Sync {
    /// Follows the events behind `from`; without it, or when that is too long ago, from a snapshot.
    fn subscribe(&self, who: Subscriber, from: Option<u64>) -> Reply<'_, Subscription>;
}

/// Makes the JSON of a snapshot for a subscriber.
pub type Snapshots = Arc<dyn Fn(&Subscriber) -> String + Send + Sync>;

struct Follower {
    who: Subscriber,
    sender: mpsc::Sender<Arc<PushedEvent>>,
}

#[derive(Default)]
struct Room {
    kept: VecDeque<Arc<PushedEvent>>,
    /// The newest number that was given and is not kept any more.
    forgotten: u64,
    followers: Vec<Follower>,
}

/// The newest events of each tenant, and who follows them. Publishing waits for nobody.
pub struct EventHub {
    /// Numbers begin here: behind all that an earlier process gave, as long as it gave fewer than a thousand a millisecond.
    first: u64,
    snapshots: Option<Snapshots>,
    rooms: Mutex<HashMap<TenantId, Room>>,
}

impl std::fmt::Debug for EventHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventHub")
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

impl EventHub {
    /// A hub of a process that starts now. Without `snapshots` a client that missed too much gets `null`, and reads what it
    /// needs by requests.
    pub fn new(now: Stamp, snapshots: Option<Snapshots>) -> EventHub {
        EventHub {
            first: u64::try_from(now.0).unwrap_or(0).saturating_mul(1000),
            snapshots,
            rooms: Mutex::default(),
        }
    }

    /// Publishes an event; answers its number. Clients whose queue is full are cut off, and may resume.
    pub fn publish(&self, tenant: TenantId, at: Stamp, topic: &str, audience: Audience, data: String) -> u64 {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let room = rooms.entry(tenant).or_default();
        let seq = room.kept.back().map_or(room.forgotten.max(self.first), |e| e.seq) + 1;
        let event = Arc::new(PushedEvent {
            seq,
            at,
            topic: topic.to_owned(),
            audience,
            data,
            message: OnceLock::new(),
        });
        room.followers
            .retain(|f| !f.sender.is_closed() && (!f.who.sees(&event) || f.sender.try_send(event.clone()).is_ok()));
        room.kept.push_back(event);
        if room.kept.len() > KEPT
            && let Some(oldest) = room.kept.pop_front()
        {
            room.forgotten = oldest.seq;
        }
        seq
    }

    /// How many clients follow.
    pub fn followers(&self) -> usize {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.values().map(|r| r.followers.len()).sum()
    }
}

impl EventSource for EventHub {
    fn subscribe(&self, who: Subscriber, from: Option<u64>) -> Reply<'_, Subscription> {
        let (sender, events) = mpsc::channel(WAITING);
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let room = rooms.entry(who.tenant).or_default();
        let oldest = room.forgotten.max(self.first);
        let head = room.kept.back().map_or(oldest, |e| e.seq);
        // A number that was never given is of another installation, or a mistake: a snapshot puts both right.
        let known = from.filter(|f| (oldest..=head).contains(f));
        let missed = match known {
            None => Vec::new(),
            Some(from) => {
                let after = room.kept.iter().filter(|e| e.seq > from && who.sees(e));
                after.cloned().collect()
            }
        };
        // Made while nothing can be published: it is exactly how things stand at `head`.
        let snapshot = match (known, &self.snapshots) {
            (Some(_), _) => None,
            (None, Some(make)) => Some(make(&who)),
            (None, None) => Some("null".to_owned()),
        };
        room.followers.push(Follower { who, sender });
        Box::pin(std::future::ready(Subscription {
            head,
            snapshot,
            missed,
            events,
        }))
    }
}

/// What the WebSocket of `/api/v1/events` works with.
pub struct Events {
    /// Whom it asks for events.
    pub source: Arc<dyn EventSource>,
    /// The hub that this API publishes its own events to.
    pub hub: Option<Arc<EventHub>>,
    /// How often a sign of life is sent; a client from which nothing came for three of these is cut off.
    pub heartbeat: Duration,
    pub(crate) present: presence::Present,
    places: Arc<Semaphore>,
}

impl Events {
    /// Asks a hub.
    pub fn of_hub(hub: Arc<EventHub>, heartbeat: Duration) -> Events {
        Events {
            hub: Some(hub.clone()),
            ..Events::of_source(hub, heartbeat)
        }
    }

    /// Asks any source.
    pub fn of_source(source: Arc<dyn EventSource>, heartbeat: Duration) -> Events {
        Events {
            source,
            hub: None,
            heartbeat,
            present: presence::Present::default(),
            places: Arc::new(Semaphore::new(CLIENTS)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TenantId = TenantId(1);

    fn who(user: Option<u128>, all: bool) -> Subscriber {
        Subscriber {
            tenant: A,
            user: user.map(UserId),
            all,
        }
    }

    async fn join(hub: &EventHub, who: Subscriber, from: Option<u64>) -> Subscription {
        hub.subscribe(who, from).await
    }

    fn say(hub: &EventHub, n: usize, audience: Audience) -> u64 {
        hub.publish(A, Stamp(n as i64), "t", audience, n.to_string())
    }

    #[tokio::test]
    async fn one_who_comes_back_misses_nothing_or_gets_a_snapshot() {
        let hub = EventHub::new(Stamp(5), Some(Arc::new(|_| "{}".to_owned())));
        let first = join(&hub, who(None, true), None).await;
        assert_eq!((first.head, first.snapshot.as_deref()), (5_000, Some("{}")));
        let one = say(&hub, 1, Audience::Tenant);
        assert_eq!(one, 5_001);
        say(&hub, 2, Audience::Tenant);
        let back = join(&hub, who(None, true), Some(one)).await;
        assert_eq!((back.head, back.snapshot), (5_002, None));
        assert_eq!(back.missed.iter().map(|e| e.seq).collect::<Vec<_>>(), [5_002]);
        // Of an earlier process, and of the future.
        for from in [4_999, 5_003] {
            let back = join(&hub, who(None, true), Some(from)).await;
            assert!(back.snapshot.is_some() && back.missed.is_empty(), "{from}");
        }
        for n in 0..KEPT {
            say(&hub, n, Audience::Tenant);
        }
        let late = join(&hub, who(None, true), Some(one)).await;
        assert!(late.snapshot.is_some());
        let late = join(&hub, who(None, true), Some(5_002)).await;
        assert_eq!((late.snapshot, late.missed.len()), (None, KEPT));
    }

    #[tokio::test]
    async fn a_user_sees_its_own_and_no_tenant_sees_anothers() {
        let hub = EventHub::new(Stamp(0), None);
        let mut user = join(&hub, who(Some(7), false), None).await;
        let mut leader = join(&hub, who(Some(8), true), None).await;
        let other = Subscriber {
            tenant: TenantId(2),
            ..who(None, true)
        };
        let mut other = join(&hub, other, None).await;
        say(&hub, 1, Audience::Tenant);
        say(&hub, 2, Audience::User(UserId(7)));
        say(&hub, 3, Audience::User(UserId(9)));
        let seen = |s: &mut Subscription| -> Vec<String> {
            std::iter::from_fn(|| s.events.try_recv().ok())
                .map(|e| e.data.clone())
                .collect()
        };
        assert_eq!(seen(&mut user), ["2"]);
        assert_eq!(seen(&mut leader), ["1", "2", "3"]);
        assert_eq!(seen(&mut other), [""; 0]);
        let back = join(&hub, who(Some(9), false), Some(1)).await;
        assert_eq!(back.missed.iter().map(|e| e.data.as_str()).collect::<Vec<_>>(), ["3"]);
    }

    #[tokio::test]
    async fn a_slow_client_is_cut_off_and_the_others_are_not() {
        let hub = EventHub::new(Stamp(0), None);
        let mut slow = join(&hub, who(None, true), None).await;
        let mut quick = join(&hub, who(None, true), None).await;
        for n in 0..=WAITING {
            say(&hub, n, Audience::Tenant);
            assert!(quick.events.try_recv().is_ok());
        }
        assert_eq!(hub.followers(), 1);
        let mut got = 0;
        while slow.events.recv().await.is_some() {
            got += 1;
        }
        assert_eq!(got, WAITING, "what it had is still its own, then the end");
        drop(quick);
        say(&hub, 0, Audience::Tenant);
        assert_eq!(hub.followers(), 0);
    }
}
