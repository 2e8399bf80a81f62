//! Caps on what calls cost in a day: the ledger of the process, fed with the facts of all conversations.

use crate::calls::CallError;
use crate::clock::wall_now;
use crate::switch::Switch;
use std::sync::{Mutex, MutexGuard, PoisonError};
use strowger_core::call::Target;
use strowger_core::event::{Direction, Via};
use strowger_core::number::CHINA;
use strowger_core::record::LegRecord;
use strowger_core::route::calendar::Date;
use strowger_core::spend::{Ledger, Payer, cost};
use strowger_core::{AccountId, ConversationRecord, Event, Fact, Number, Stamp, TenantId, routing};
use strowger_store::{Config, RecordQuery, StoreError};

/// Longest call that a restart finds in the records of the day before.
const LONGEST_CALL_MS: i64 = 86_400_000;

/// Who has spent what. Held for a few arithmetic steps at an answer, an end and a new call.
#[derive(Debug, Default)]
pub struct Spending(Mutex<Ledger>);

impl Spending {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the answers and ends among the facts of a turn; `record` has them folded in.
    pub(crate) fn note(&self, record: &ConversationRecord, events: &[Event], config: &Config) {
        for event in events {
            match &event.fact {
                Fact::LegAnswered { leg, .. } => {
                    let price = record.leg(*leg).map_or(0, |l| price_of(l, config));
                    if price > 0 {
                        let zone = zone_of(config, record.head.tenant);
                        let payers = payers_of(record);
                        self.lock().answered((record.id, *leg), &payers, price, event.at, zone);
                    }
                }
                Fact::LegEnded { leg, stopped_at, .. } => self.lock().ended((record.id, *leg), *stopped_at),
                _ => {}
            }
        }
    }

    /// Thousandths of a currency unit that a payer has spent today.
    pub fn spent(&self, payer: Payer, now: Stamp, zone_minutes: i32) -> u64 {
        self.lock().spent(payer, now, zone_minutes)
    }
}

fn zone_of(config: &Config, tenant: TenantId) -> i32 {
    config.tenant(tenant).map_or(0, |t| t.zone_minutes)
}

fn payers_of(record: &ConversationRecord) -> Vec<Payer> {
    let mut payers = vec![Payer::Tenant(record.head.tenant)];
    payers.extend(record.head.account.map(Payer::Account));
    payers
}

/// What a minute of this leg costs: by the rule of the trunk that it went over.
fn price_of(leg: &LegRecord, config: &Config) -> u32 {
    // Those that failed have a status; of those that ring side by side the newest decides.
    let carried = leg.attempts.iter().rev().find(|(_, failed)| failed.is_none());
    let Some((Via::Trunk(id), _)) = carried else {
        return 0;
    };
    if leg.direction != Direction::Outgoing {
        return 0;
    }
    let number = Number::parse(&leg.to, CHINA);
    match (config.trunk(*id), number) {
        (Some(trunk), Ok(number)) => routing::price(&trunk.rules, &number),
        _ => 0,
    }
}

impl Switch {
    /// Refuses a call over the trunks whose tenant or account has spent what it may today. Calls to devices cost
    /// nothing, and emergency calls are never refused for money.
    pub(crate) fn may_spend(
        &self,
        tenant: TenantId,
        account: Option<AccountId>,
        targets: &[&Target],
    ) -> Result<(), CallError> {
        let config = self.store().snapshot();
        let Some(owner) = config.tenant(tenant) else {
            return Ok(());
        };
        let account_cap = account
            .and_then(|id| config.account(id))
            .map_or(0, |a| a.max_daily_spend);
        if owner.max_daily_spend == 0 && account_cap == 0 {
            return Ok(());
        }
        let toll = owner.toll();
        let costs = |target: &&Target| match target {
            Target::Number(n) | Target::Trunk(_, n) => !toll.is_emergency(n, CHINA),
            Target::Device(_) | Target::Agent(_) | Target::Instance(..) | Target::Dialog => false,
        };
        if !targets.iter().any(costs) {
            return Ok(());
        }
        let now = wall_now();
        let reached = |payer, cap: u64| cap != 0 && self.spending.spent(payer, now, owner.zone_minutes) >= cap;
        if reached(Payer::Tenant(tenant), owner.max_daily_spend) {
            tracing::warn!(%tenant, "a call was refused: the tenant's daily cap of spending is reached");
            return Err(CallError::Spent);
        }
        if account.is_some_and(|id| reached(Payer::Account(id), account_cap)) {
            tracing::warn!(%tenant, "a call was refused: an account's daily cap of spending is reached");
            return Err(CallError::Spent);
        }
        Ok(())
    }

    /// Reads back what the tenants with a cap have spent today, from their call records; to be called once after
    /// recovery. Prices are those of now.
    ///
    /// # Errors
    /// The store's.
    pub async fn restore_spending(&self) -> Result<(), StoreError> {
        let config = self.store().snapshot();
        let now = wall_now();
        for tenant in config.tenants() {
            let accounts = config.accounts().filter(|a| a.tenant == tenant.id);
            let cap = accounts
                .map(|a| a.max_daily_spend)
                .chain([tenant.max_daily_spend])
                .max();
            if cap.is_none_or(|c| c == 0) {
                continue;
            }
            let day_begins = Date::begins(now, tenant.zone_minutes);
            let from = Stamp(day_begins.0 - LONGEST_CALL_MS);
            self.each_record_since(tenant.id, from, |record| {
                self.restore_record(record, &config, day_begins)
            })
            .await?;
        }
        Ok(())
    }

    /// Shows each record of the calls that began since `from`.
    pub(crate) async fn each_record_since(
        &self,
        tenant: TenantId,
        from: Stamp,
        mut see: impl FnMut(&ConversationRecord),
    ) -> Result<(), StoreError> {
        let mut query = RecordQuery {
            from: Some(from),
            limit: 1000,
            ..RecordQuery::default()
        };
        loop {
            let page = self.store().query_records(tenant, query.clone()).await?;
            let Some(last) = page.rows.last() else { return Ok(()) };
            query.after = Some((last.start, last.conversation));
            query.as_of = Some(page.as_of);
            for row in page.rows {
                if let Some(record) = self.store().load_record(tenant, row.conversation).await? {
                    see(&record);
                }
            }
        }
    }

    fn restore_record(&self, record: &ConversationRecord, config: &Config, day_begins: Stamp) {
        for leg in &record.legs {
            let (Some(answer), Some(stop)) = (leg.answer, leg.stop) else {
                continue;
            };
            let price = price_of(leg, config);
            if price > 0 && stop >= day_begins {
                let zone = zone_of(config, record.head.tenant);
                let amount = cost(price, stop.ms_since(answer));
                self.spending.lock().restore(&payers_of(record), amount, stop, zone);
            }
        }
    }
}
