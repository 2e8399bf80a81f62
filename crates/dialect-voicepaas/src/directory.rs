//! What the dialect needs to know of the installation's resources and records, behind two small traits.

use std::future::Future;
use std::pin::Pin;
use strowger_core::call::Prompt;
use strowger_core::event::Kind;
use strowger_core::resource::ApplicationSettings;
use strowger_core::routing::TollRules;
use strowger_core::{AccountId, ApplicationId, ConversationId, ConversationRecord, Number, Stamp, TenantId};

/// An API principal.
#[derive(Clone)]
pub struct Account {
    /// Id; 32 hexadecimal digits in paths and credentials.
    pub id: AccountId,
    /// Owner.
    pub tenant: TenantId,
    /// Switched off by hand.
    pub disabled: bool,
    /// Tokens that let it in; more than one while a token is being rotated.
    pub tokens: Vec<Token>,
}

/// A secret of an account.
#[derive(Clone)]
pub struct Token {
    /// The secret.
    pub secret: String,
    /// It works before this stamp; `None` for ever.
    pub expires_at: Option<Stamp>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// An application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Id.
    pub id: ApplicationId,
    /// Owner.
    pub tenant: TenantId,
    /// The only account that may use it; `None` for every account of the tenant.
    pub account: Option<AccountId>,
    /// Switched off by hand.
    pub disabled: bool,
    /// Its settings.
    pub settings: ApplicationSettings,
}

/// Resources, read from a snapshot in memory: no call here blocks or waits.
pub trait Directory: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Stamp;

    /// An account, disabled ones too.
    fn account(&self, id: AccountId) -> Option<Account>;

    /// An application, disabled ones too.
    fn application(&self, id: ApplicationId) -> Option<Application>;

    /// May the application show this number to called parties?
    fn may_show(&self, tenant: TenantId, application: ApplicationId, number: &Number) -> bool;

    /// A sound of the application's or a shared one, ready to be played.
    fn prompt(&self, tenant: TenantId, application: ApplicationId, name: &str) -> Option<Prompt>;

    /// What the tenant's calls may reach.
    fn toll(&self, tenant: TenantId) -> TollRules;
}

/// Why records could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the records cannot be read now: {0}")]
pub struct LedgerError(pub String);

/// A boxed answer.
pub type LedgerAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;

/// Which records a query wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFilter {
    /// The application they belong to.
    pub application: ApplicationId,
    /// The account they belong to; records of no account (calls that came in) match too.
    pub account: AccountId,
    /// Conversations created at or after this stamp.
    pub from: Stamp,
    /// Conversations created before this stamp.
    pub until: Stamp,
    /// The number of a party, as in its canonical form.
    pub party: Option<Number>,
    /// The kinds of conversations; empty for all.
    pub kinds: Vec<Kind>,
    /// How many records of the order are passed over.
    pub skip: u64,
    /// The most records that are returned.
    pub limit: u32,
}

/// Records in order of creation, then id.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<ConversationRecord>,
    /// How many match without `skip` and `limit`.
    pub total: u64,
}

/// Which records are pushed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// These conversations.
    Conversations(Vec<ConversationId>),
    /// Conversations created in `from..until`.
    Created {
        /// First stamp.
        from: Stamp,
        /// First stamp behind the range.
        until: Stamp,
    },
}

/// Closed call records and their deliveries.
pub trait Ledger: Send + Sync {
    /// A closed record; one of another tenant is `None` (I20).
    fn record(&self, tenant: TenantId, id: ConversationId) -> LedgerAnswer<'_, Option<ConversationRecord>>;

    /// Closed records in a stable order.
    fn records(&self, tenant: TenantId, filter: RecordFilter) -> LedgerAnswer<'_, RecordPage>;

    /// Queues the newest frozen body of the call record of each selected conversation of this application and account
    /// (or of none) again, byte for byte, and returns how many conversations have one. Others are passed over.
    fn repush(
        &self,
        tenant: TenantId,
        application: ApplicationId,
        account: AccountId,
        what: Selection,
    ) -> LedgerAnswer<'_, u64>;
}
