//! The dialect's two traits over the store.

use crate::directory::{
    Account, Application, Directory, Ledger, LedgerAnswer, LedgerError, RecordFilter, RecordPage, Selection, Token,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use strowger_core::call::Prompt;
use strowger_core::event::Kind;
use strowger_core::routing::TollRules;
use strowger_core::{AccountId, ApplicationId, ConversationId, ConversationRecord, Number, Stamp, TenantId};
use strowger_store::config::PromptState;
use strowger_store::{RecordQuery, RecordRow, Repush, Store, StoreError};

/// The wall clock.
pub type Now = Arc<dyn Fn() -> Stamp + Send + Sync>;

/// Resources, from the store's snapshot in memory.
pub struct StoreDirectory {
    store: Store,
    now: Now,
}

impl StoreDirectory {
    /// Over a store and a clock.
    pub fn new(store: Store, now: Now) -> StoreDirectory {
        StoreDirectory { store, now }
    }
}

impl Directory for StoreDirectory {
    fn now(&self) -> Stamp {
        (self.now)()
    }

    fn account(&self, id: AccountId) -> Option<Account> {
        let config = self.store.snapshot();
        let a = config.account(id)?;
        let tenant_off = config.tenant(a.tenant).is_none_or(|t| t.disabled);
        let token = |t: &strowger_store::Token| Token {
            secret: t.secret.expose().to_owned(),
            expires_at: t.expires_at,
        };
        Some(Account {
            id,
            tenant: a.tenant,
            disabled: a.disabled || tenant_off,
            tokens: a.tokens.iter().map(token).collect(),
        })
    }

    fn application(&self, id: ApplicationId) -> Option<Application> {
        let config = self.store.snapshot();
        let a = config.application(id)?;
        Some(Application {
            id,
            tenant: a.tenant,
            account: a.account,
            disabled: a.disabled,
            settings: a.settings.clone(),
        })
    }

    fn may_show(&self, tenant: TenantId, application: ApplicationId, number: &Number) -> bool {
        self.store.snapshot().number(number).is_some_and(|n| {
            n.tenant == tenant && n.outgoing && (n.applications.is_empty() || n.applications.contains(&application))
        })
    }

    fn prompt(&self, tenant: TenantId, application: ApplicationId, name: &str) -> Option<Prompt> {
        let config = self.store.snapshot();
        let p = config
            .prompt(tenant, application, name)
            .filter(|p| p.state == PromptState::Ready)?;
        Some(Prompt {
            name: p.name.clone(),
            millis: u32::try_from(p.duration_ms).unwrap_or(u32::MAX),
        })
    }

    fn toll(&self, tenant: TenantId) -> TollRules {
        let config = self.store.snapshot();
        config.tenant(tenant).map(|t| t.toll()).unwrap_or_default()
    }
}

/// Runs over pages that are remembered, so that a later page continues the list that the first one began.
const MAX_RUNS: usize = 1024;
/// Rows read at once while a condition is checked that the index does not know.
const CHUNK: u32 = 500;

type Run = (TenantId, RecordFilter);

/// Call records and deliveries, from the store.
pub struct StoreLedger {
    store: Store,
    now: Now,
    runs: Mutex<HashMap<RunKey, u64>>,
}

/// A filter without its page.
#[derive(Clone, PartialEq, Eq, Hash)]
struct RunKey(
    TenantId,
    ApplicationId,
    AccountId,
    Stamp,
    Stamp,
    Option<Number>,
    Vec<Kind>,
    u32,
);

fn key(run: &Run) -> RunKey {
    let (tenant, f) = run;
    RunKey(
        *tenant,
        f.application,
        f.account,
        f.from,
        f.until,
        f.party.clone(),
        f.kinds.clone(),
        f.limit,
    )
}

impl StoreLedger {
    /// Over a store and a clock.
    pub fn new(store: Store, now: Now) -> StoreLedger {
        StoreLedger {
            store,
            now,
            runs: Mutex::default(),
        }
    }

    /// The list as it was when the first page of this run was read.
    fn as_of(&self, run: &Run) -> Option<u64> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if run.1.skip == 0 {
            None
        } else {
            runs.get(&key(run)).copied()
        }
    }

    fn remember(&self, run: &Run, as_of: u64) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if run.1.skip == 0 || !runs.contains_key(&key(run)) {
            if runs.len() >= MAX_RUNS {
                runs.clear();
            }
            runs.insert(key(run), as_of);
        }
    }

    async fn list(&self, tenant: TenantId, filter: RecordFilter) -> Result<RecordPage, StoreError> {
        let run = (tenant, filter);
        let filter = &run.1;
        let base = RecordQuery {
            application: Some(filter.application),
            from: Some(filter.from),
            to: Some(filter.until),
            as_of: self.as_of(&run),
            ..RecordQuery::default()
        };
        // Whether every record of the application is the account's, so that the index alone can count and page.
        let alone = self.is_alone(tenant, filter.application, filter.account);
        if alone && filter.party.is_none() && filter.kinds.is_empty() {
            let query = RecordQuery {
                offset: filter.skip,
                limit: filter.limit,
                ..base
            };
            let page = self.store.query_records(tenant, query).await?;
            self.remember(&run, page.as_of);
            let records = self.load_all(tenant, &page.rows).await?;
            return Ok(RecordPage {
                records,
                total: page.total,
            });
        }
        let mut records = Vec::new();
        let mut total = 0;
        let mut query = RecordQuery { limit: CHUNK, ..base };
        loop {
            let page = self.store.query_records(tenant, query.clone()).await?;
            if query.after.is_none() {
                self.remember(&run, page.as_of);
                query.as_of = Some(page.as_of);
            }
            let Some(last) = page.rows.last() else { break };
            query.after = Some((last.start, last.conversation));
            for row in page
                .rows
                .iter()
                .filter(|r| r.account.is_none_or(|a| a == filter.account))
            {
                let wanted = total >= filter.skip && records.len() < filter.limit as usize;
                let deep = filter.party.is_some() || !filter.kinds.is_empty();
                if !wanted && !deep {
                    total += 1;
                    continue;
                }
                let Some(record) = self.store.load_record(tenant, row.conversation).await? else {
                    continue;
                };
                let of_kind = filter.kinds.is_empty() || filter.kinds.contains(&record.head.kind);
                if !of_kind || !has_party(&record, filter.party.as_ref()) {
                    continue;
                }
                if wanted {
                    records.push(record);
                }
                total += 1;
            }
        }
        Ok(RecordPage { records, total })
    }

    /// True if no other account can have records in the application.
    fn is_alone(&self, tenant: TenantId, application: ApplicationId, account: AccountId) -> bool {
        let config = self.store.snapshot();
        let own = config
            .application(application)
            .is_some_and(|a| a.account == Some(account));
        own || config.accounts().filter(|a| a.tenant == tenant).count() == 1
    }

    async fn load_all(&self, tenant: TenantId, rows: &[RecordRow]) -> Result<Vec<ConversationRecord>, StoreError> {
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            records.extend(self.store.load_record(tenant, row.conversation).await?);
        }
        Ok(records)
    }

    /// Conversations of a range that belong to the application and account.
    async fn created(
        &self,
        tenant: TenantId,
        application: ApplicationId,
        account: AccountId,
        (from, until): (Stamp, Stamp),
    ) -> Result<Vec<ConversationId>, StoreError> {
        let mut found = Vec::new();
        let mut query = RecordQuery {
            application: Some(application),
            from: Some(from),
            to: Some(until),
            limit: CHUNK,
            ..RecordQuery::default()
        };
        loop {
            let page = self.store.query_records(tenant, query.clone()).await?;
            let Some(last) = page.rows.last() else { return Ok(found) };
            query.after = Some((last.start, last.conversation));
            query.as_of = Some(page.as_of);
            let own = page.rows.iter().filter(|r| r.account.is_none_or(|a| a == account));
            found.extend(own.map(|r| r.conversation));
        }
    }

    async fn push_again(
        &self,
        tenant: TenantId,
        application: ApplicationId,
        account: AccountId,
        what: Selection,
    ) -> Result<u64, StoreError> {
        let ids = match what {
            Selection::Created { from, until } => self.created(tenant, application, account, (from, until)).await?,
            Selection::Conversations(ids) => {
                let mut own = Vec::with_capacity(ids.len());
                for id in ids {
                    let row = self.store.record_row(tenant, id).await?;
                    let mine =
                        row.is_some_and(|r| r.application == application && r.account.is_none_or(|a| a == account));
                    if mine {
                        own.push(id);
                    }
                }
                own
            }
        };
        if ids.is_empty() {
            return Ok(0);
        }
        self.store
            .repush(tenant, Repush::Conversations(ids), (self.now)())
            .await
    }
}

fn has_party(record: &ConversationRecord, party: Option<&Number>) -> bool {
    let Some(party) = party else { return true };
    let is = |text: &str| Number::parse(text, strowger_core::number::CHINA).is_ok_and(|n| n == *party);
    record.legs.iter().any(|l| is(&l.from) || is(&l.to))
}

fn failed(error: StoreError) -> LedgerError {
    LedgerError(error.code().into())
}

impl Ledger for StoreLedger {
    fn record(&self, tenant: TenantId, id: ConversationId) -> LedgerAnswer<'_, Option<ConversationRecord>> {
        Box::pin(async move {
            let record = self.store.load_record(tenant, id).await.map_err(failed)?;
            Ok(record.filter(|r| r.ended_at.is_some()))
        })
    }

    fn records(&self, tenant: TenantId, filter: RecordFilter) -> LedgerAnswer<'_, RecordPage> {
        Box::pin(async move { self.list(tenant, filter).await.map_err(failed) })
    }

    fn repush(
        &self,
        tenant: TenantId,
        application: ApplicationId,
        account: AccountId,
        what: Selection,
    ) -> LedgerAnswer<'_, u64> {
        Box::pin(async move {
            self.push_again(tenant, application, account, what)
                .await
                .map_err(failed)
        })
    }
}
