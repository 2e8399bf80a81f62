//! Projections: how committed events become the bodies that a subscriber receives.

use crate::event::Event;
use crate::record::ConversationRecord;

/// What a subscription wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Progress of the legs while the call runs.
    Status,
    /// The call record after the end.
    CallRecord,
    /// What happens, in the native form, for a webhook. The key of such a body begins with the webhook's id and a full stop.
    Event,
}

/// One receiver of pushes about a conversation, fixed when the conversation is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// What is sent.
    pub topic: Topic,
    /// Where to.
    pub url: String,
    /// Name of the projector that makes the bodies.
    pub projector: String,
    /// The projector's own settings: ids and labels that it echoes, zone, switches. Order is kept.
    pub context: Vec<(String, String)>,
}

impl Subscription {
    /// A context value, or the empty string.
    pub fn get(&self, key: &str) -> &str {
        self.context.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v)
    }
}

/// How a body may travel together with others for the same receiver: one request carries an array of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Most bodies in one request; so many go at once, without waiting for the window to close.
    pub most: u32,
    /// Milliseconds that a body may wait for others.
    pub window_ms: u64,
}

/// A body to deliver, frozen in the commit of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Media type.
    pub content_type: &'static str,
    /// The bytes on the wire.
    pub bytes: Vec<u8>,
    /// What the receiver de-duplicates on, for the delivery's headers and the operator's eyes.
    pub key: String,
    /// May travel with others; then it is a JSON value, and is sent as a member of an array even if it is alone.
    pub batch: Option<Batching>,
}

/// A dialect's view of the log.
///
/// Invariant: a pure function. The same record, event and subscription give the same bytes, today and on replay
/// (domain-model I24).
pub trait Projector: Send + Sync {
    /// The name that subscriptions refer to.
    fn name(&self) -> &'static str;

    /// The body that `event` means for `subscription`, if any. `record` is the fold of the log up to and including
    /// the event.
    fn project(&self, subscription: &Subscription, record: &ConversationRecord, event: &Event) -> Option<Body>;
}
