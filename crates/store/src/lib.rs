//! Storage: the event journal, call records, the outbox of pushes, and the resources of tenants.
//!
//! [`Store`] is the whole interface; it is a cheap handle that every part of the process clones. Nothing of the
//! database engine shows through it. Values that name people (numbers, URLs, bodies, secrets) are encrypted with the
//! data key of their tenant before they reach the engine.
//!
//! How a write goes:
//!
//! 1. [`Store::append`] encodes and seals the batch on the caller's thread and puts it into the writer's bounded queue.
//! 2. The one writer takes all that waits, checks each batch's expected positions, and writes the group in one
//!    transaction: events, call records and deliveries of a batch together.
//! 3. After the commit (in [`Durability::Power`] after the disk has it) the futures resolve, and the new deliveries are
//!    offered to the notifier.
//!
//! Invariant: what a resolved future told is in the file. A batch that fails leaves nothing behind, and no other batch
//! fails with it.
//!
//! Invariant: the store reads no clock for anything that it stores; every stamp comes in.

mod agents;
mod answers;
mod audit;
mod batch;
mod callbacks;
pub mod centre;
mod chats;
pub mod codec;
pub mod config;
mod crypto;
mod devices;
mod disk;
mod disk_batch;
mod error;
pub mod identity;
mod logins;
mod maintenance;
mod masking;
mod notices;
mod outbox;
mod push;
mod records;
mod resources;
pub mod routing;
mod sealed;
mod sqlite;
mod store;
pub mod webhooks;

pub use agents::{AgentEvent, AgentState, AgentWrite};
pub use answers::{Earlier, Named};
pub use audit::{AuditEntry, AuditFilter, AuditRow};
pub use batch::{Append, Batch, CommandId, Committed, Deadline, Executed, ItemStart, NewDelivery, RecordRow, Throttle};
pub use config::{Account, Application, Config, DeviceEntry, Prompt, Resource, ResourceId, Secret, Tenant, Token};
pub use crypto::MasterKey;
pub use error::{AppendError, OpenError, StoreError};
pub use logins::{Login, NewLogin, Refreshed, SigningKey};
pub use maintenance::Pruned;
pub use notices::{NoticeBatchInfo, NoticeBatchState, OpenNoticeBatch};
pub use outbox::{
    Attempt, Delivery, DeliveryFilter, DeliveryInfo, DeliveryState, OutboxCounts, Outcome, Repush, Take, Taken,
    Together,
};
pub use push::{Offer, Offers};
pub use records::{RecordPage, RecordQuery};
pub use sqlite::files::Check;
pub use store::{Answers, Durability, OpenConversation, Rejected, Stats, Store, StoreConfig};
