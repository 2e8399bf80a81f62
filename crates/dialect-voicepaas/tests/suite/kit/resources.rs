//! Resources and records in memory.

use super::switch::VirtualSwitch;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use strowger_core::call::Prompt;
use strowger_core::number::CHINA;
use strowger_core::project::Topic;
use strowger_core::routing::TollRules;
use strowger_core::{AccountId, ApplicationId, ConversationId, ConversationRecord, Number, Stamp, TenantId};
use strowger_dialect_voicepaas::{
    Account, AgentAnswer, Agents, Application, Code, Directory, Failure, Ledger, LedgerAnswer, RecordFilter,
    RecordPage, Selection,
};

/// What the directory holds; tests change it as they go.
#[derive(Default)]
pub struct Shelf {
    pub accounts: HashMap<AccountId, Account>,
    pub applications: HashMap<ApplicationId, Application>,
    pub numbers: HashSet<(TenantId, String)>,
    pub opened: Vec<String>,
}

pub struct Resources {
    pub shelf: Mutex<Shelf>,
    pub switch: Arc<VirtualSwitch>,
}

impl Directory for Resources {
    fn now(&self) -> Stamp {
        self.switch.world().now
    }

    fn account(&self, id: AccountId) -> Option<Account> {
        self.shelf.lock().unwrap().accounts.get(&id).cloned()
    }

    fn application(&self, id: ApplicationId) -> Option<Application> {
        self.shelf.lock().unwrap().applications.get(&id).cloned()
    }

    fn may_show(&self, tenant: TenantId, _: ApplicationId, number: &Number) -> bool {
        let shelf = self.shelf.lock().unwrap();
        shelf.numbers.contains(&(tenant, number.as_str().to_owned()))
    }

    fn prompt(&self, _: TenantId, _: ApplicationId, name: &str) -> Option<Prompt> {
        let millis = *self.switch.world().sounds.get(name)?;
        Some(Prompt {
            name: name.to_owned(),
            millis: millis as u32,
        })
    }

    fn toll(&self, _: TenantId) -> TollRules {
        TollRules {
            opened: self.shelf.lock().unwrap().opened.clone(),
            ..TollRules::default()
        }
    }
}

/// Records are those of the closed conversations; a re-push is noted with the body that would leave again.
pub struct Records {
    pub switch: Arc<VirtualSwitch>,
    pub repushed: Mutex<Vec<(ConversationId, Vec<u8>)>>,
}

impl Records {
    fn closed(&self, tenant: TenantId, fits: impl Fn(&ConversationRecord) -> bool) -> Vec<ConversationRecord> {
        let world = self.switch.world();
        let mut found: Vec<ConversationRecord> = world
            .convs
            .values()
            .map(|c| &c.fold)
            .filter(|r| r.ended_at.is_some() && r.head.tenant == tenant && fits(r))
            .cloned()
            .collect();
        found.sort_by_key(|r| (r.created_at, r.id));
        found
    }
}

fn owned(r: &ConversationRecord, application: ApplicationId, account: AccountId) -> bool {
    r.head.application == application && r.head.account.is_none_or(|a| a == account)
}

impl Ledger for Records {
    fn record(&self, tenant: TenantId, id: ConversationId) -> LedgerAnswer<'_, Option<ConversationRecord>> {
        let found = self.closed(tenant, |r| r.id == id).pop();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn records(&self, tenant: TenantId, f: RecordFilter) -> LedgerAnswer<'_, RecordPage> {
        let speaks = |r: &ConversationRecord, n: &Number| {
            [&r.head.ani, &r.head.dnis]
                .iter()
                .any(|t| Number::parse(t, CHINA).as_ref() == Ok(n))
        };
        let found = self.closed(tenant, |r| {
            owned(r, f.application, f.account)
                && (f.from..f.until).contains(&r.created_at)
                && f.party.as_ref().is_none_or(|n| speaks(r, n))
                && (f.kinds.is_empty() || f.kinds.contains(&r.head.kind))
        });
        let total = found.len() as u64;
        let records = found.into_iter().skip(f.skip as usize).take(f.limit as usize).collect();
        Box::pin(std::future::ready(Ok(RecordPage { records, total })))
    }

    fn repush(
        &self,
        tenant: TenantId,
        application: ApplicationId,
        account: AccountId,
        what: Selection,
    ) -> LedgerAnswer<'_, u64> {
        let chosen = self.closed(tenant, |r| {
            owned(r, application, account)
                && match &what {
                    Selection::Conversations(ids) => ids.contains(&r.id),
                    Selection::Created { from, until } => (*from..*until).contains(&r.created_at),
                }
        });
        let world = self.switch.world();
        let mut again = self.repushed.lock().unwrap();
        let before = again.len();
        for r in &chosen {
            let newest = world.convs[&r.id].deliveries.iter().rev();
            if let Some(d) = newest.into_iter().find(|d| d.topic == Topic::CallRecord) {
                again.push((r.id, d.bytes.clone()));
            }
        }
        Box::pin(std::future::ready(Ok((again.len() - before) as u64)))
    }
}

/// A contact centre without agents.
pub struct NoAgents;

impl Agents for NoAgents {
    fn dial<'a>(&'a self, _: TenantId, _: ApplicationId, _: &'a str, _: String, _: String) -> AgentAnswer<'a> {
        Box::pin(async { Err(Failure::plain(Code::AgentUnknown)) })
    }
}
