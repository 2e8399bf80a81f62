//! The voice PaaS dialect: click-to-call, third parties, status and record pushes, the record service, and voice
//! notices, batches and verification codes.
//!
//! The crate turns requests into plans and commands for the runtime ([`strowger_runtime::Calls`]), and the journal into
//! bodies ([`VoicePaasProjector`]). It keeps no state of its own.
//!
//! # Order of checks
//!
//! Of the conversation family; that of the notice family is in `notice`.//!
//! The first check that fails decides the answer, so that a client sees the same code for the same mistake:
//!
//! 1. path (404), method (405), label of the API version (404), size of the body (413);
//! 2. credentials: `10001`;
//! 3. application: `10003`;
//! 4. body is a JSON object: `10002`;
//! 5. `action` present (`10004`) and valid at this URL (`10006`);
//! 6. required members present: `10004`;
//! 7. form of each member, in the order of the specification's table: `10005`, `10007`, `10011`;
//! 8. caller equals callee: `10008`;
//! 9. display numbers owned: `10009`;
//! 10. sounds exist: `10010`;
//! 11. number may be called: `30005`;
//! 12. for a running conversation: it exists and is ours (`20001`), has not ended (`20002`), allows it (`20003`,
//!     `20004`);
//! 13. limits and routes, by the runtime: `30001`, `30002`, `30004`; 503 while the process is drained or overloaded.
//!
//! With a header `Idempotency-Key` (an extension, on `click2call` and `addCall`) a request is carried out once: its form is
//! checked after the action (`10005`), a repeated `click2call` is answered there with the id that it was given, and a
//! repeated `addCall` after step 12.
//!
//! Every other outcome is HTTP 200 with a body whose values are strings (voice-paas §1.3).
//!
//! Invariant: credentials, numbers and bodies never reach a log line from here.

mod auth;
mod backed;
mod cdr;
mod code;
mod dial;
mod directory;
pub mod duty;
mod http;
mod ids;
mod notice;
mod params;
mod plan;
mod project;
mod records;

pub use backed::{Now, StoreDirectory, StoreLedger};
pub use cdr::{bye_type, call_cause, end_reason};
pub use code::{Code, Failure};
#[doc(hidden)]
pub use dial::fuzz_link;
pub use dial::{AgentAnswer, Agents, DeskAgents, Link, sign as sign_link};
pub use directory::{
    Account, Application, Directory, Ledger, LedgerAnswer, LedgerError, RecordFilter, RecordPage, Selection, Token,
};
pub use http::{Settings, VoicePaas, router};
pub use ids::{call_sid, conversation_sid, resolve_sid};
pub use notice::{NOTICE_PROJECTOR, NoticeCode, NoticeProjector};
pub use project::{PROJECTOR, SubscriptionContext, VoicePaasProjector};
