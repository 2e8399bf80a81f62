//! Strowger's pure core: the vocabulary of calls and the machines that run them.
//!
//! Nothing in this crate knows a socket, a thread, a clock or a random source. A machine takes an input and a time and
//! returns facts (to be journalled), effects (to be carried out after the commit) and deadlines (to be called back at).
//!
//! Invariant: no type here derives `Serialize`. The journal, each dialect and the native API own their wire types.

pub mod address;
pub mod call;
pub mod cause;
pub mod centre;
pub mod chat;
pub mod event;
pub mod id;
pub mod ivr;
pub mod number;
pub mod participation;
pub mod project;
pub mod record;
pub mod report;
pub mod resource;
pub mod route;
pub mod routing;
pub mod spend;
pub mod spoken;
pub mod time;
mod words;

pub use address::AddressRange;
pub use cause::{By, Cause, Role};
pub use event::{Event, Fact};
pub use id::{
    AccountId, AgentId, ApplicationId, CallbackId, ConversationId, DeviceId, GroupId, KeyId, LegId, LegSeq, LoginId,
    NoticeBatchId, QueueId, RouteId, RoutingId, TenantId, TrunkId, UserId, WebhookId,
};
pub use number::Number;
pub use record::ConversationRecord;
pub use time::Stamp;
