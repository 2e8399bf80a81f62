//! Which number outgoing calls show: the pools of an application, what of them is in use, and who shows what.
//!
//! The choice itself is pure (`strowger_core::route::display`). Here are the counts: a number is in use from the choice to the
//! end of the conversation that it was made for, and a day's calls are read back from the records after a restart.

use crate::clock::wall_now;
use crate::mint;
use crate::switch::Switch;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use strowger_core::centre::resource::Agent;
use strowger_core::event::Direction;
use strowger_core::number::CHINA;
use strowger_core::route::Region;
use strowger_core::route::calendar::Date;
use strowger_core::route::display::{NoNumber, Pool, Selection, Shown, Usage, Wanted, choose};
use strowger_core::{ApplicationId, ConversationId, GroupId, Number, TenantId};
use strowger_store::{Config, StoreError};

/// What numbers are in use. Held for a few steps at a choice and at the end of a call that shows one.
#[derive(Debug, Default)]
pub struct Displays(Mutex<HashMap<TenantId, Book>>);

/// The counts of a tenant.
#[derive(Debug, Default)]
struct Book {
    usage: Usage,
    /// Calls that took turns, by application and the group that was asked first.
    turns: HashMap<(ApplicationId, Option<GroupId>), u64>,
    showing: HashMap<ConversationId, Vec<Number>>,
}

/// What is chosen from, and for whom.
#[derive(Debug, Default)]
struct Choice {
    named: Option<Number>,
    own: Option<Pool>,
    pools: Vec<Pool>,
    callee: Option<Region>,
    turns: Option<(ApplicationId, Option<GroupId>)>,
}

impl Displays {
    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Book>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses a number and counts it for a conversation.
    fn choose(
        &self,
        tenant: TenantId,
        conversation: ConversationId,
        choice: &Choice,
        day: Date,
        bits: u64,
    ) -> Result<Number, NoNumber> {
        let mut books = self.lock();
        let book = books.entry(tenant).or_default();
        book.usage.day(day);
        let mut first = 0;
        let turn = match choice.turns {
            Some(key) => book.turns.entry(key).or_default(),
            None => &mut first,
        };
        let wanted = Wanted {
            named: choice.named.as_ref(),
            own: choice.own.as_ref(),
            groups: &choice.pools,
            callee: choice.callee.as_ref(),
            bits,
            turn: *turn,
        };
        let (shown, _) = choose(&wanted, &book.usage)?;
        *turn += 1;
        let number = shown.number.clone();
        book.usage.begin(&number);
        book.showing.entry(conversation).or_default().push(number.clone());
        Ok(number)
    }

    /// A conversation is over: what it showed is free again.
    pub(crate) fn over(&self, tenant: TenantId, conversation: ConversationId) {
        if let Some(book) = self.lock().get_mut(&tenant) {
            for number in book.showing.remove(&conversation).unwrap_or_default() {
                book.usage.end(&number);
            }
        }
    }

    /// A conversation was not begun after all: what it was to show is not counted.
    pub(crate) fn take_back(&self, tenant: TenantId, conversation: ConversationId) {
        if let Some(book) = self.lock().get_mut(&tenant) {
            for number in book.showing.remove(&conversation).unwrap_or_default() {
                book.usage.take_back(&number);
            }
        }
    }

    /// A call of today that an earlier process made.
    fn restore(&self, tenant: TenantId, number: &Number, day: Date) {
        let mut books = self.lock();
        let usage = &mut books.entry(tenant).or_default().usage;
        usage.day(day);
        usage.begin(number);
        usage.end(number);
    }
}

/// Numbers without limits of their own, in order.
fn plain(numbers: &[Number], known: &[Pool]) -> Pool {
    // A number has the limits that a pool gives it, also as an agent's own.
    let limited = |n: &Number| known.iter().flat_map(|p| &p.numbers).find(|s| s.number == *n).cloned();
    let shown = |n: &Number| Shown {
        number: n.clone(),
        region: None,
        daily: 0,
        at_once: 0,
    };
    Pool {
        numbers: numbers.iter().map(|n| limited(n).unwrap_or_else(|| shown(n))).collect(),
        selection: Selection::First,
    }
}

impl Switch {
    /// The number that a call shows which an agent makes, counted for the conversation until that is over; `None` if nothing
    /// is bound.
    ///
    /// # Errors
    /// [`NoNumber`]: the one that is named is not the agent's, or all have reached a limit.
    pub(crate) fn display_of_agent(
        &self,
        agent: &Agent,
        groups: &[GroupId],
        named: Option<Number>,
        callee: &Number,
        conversation: ConversationId,
    ) -> Result<Option<Number>, NoNumber> {
        let config = self.store().snapshot();
        let all = config.routing().pools(agent.application);
        let serving = |pool: &&(&str, &std::sync::Arc<strowger_core::route::DisplayPool>)| {
            pool.1.groups.is_empty() || pool.1.groups.iter().any(|g| groups.contains(g))
        };
        let own_allowed = {
            let mut served = all.iter().filter(serving).peekable();
            served.peek().is_none() || served.any(|(_, p)| p.own_first)
        };
        let (pools, turns) = self.pools(&config, agent.application, groups);
        let choice = Choice {
            named,
            own: own_allowed.then(|| plain(&agent.numbers, &pools)),
            pools,
            callee: self.equipment().regions.of(callee).map(|r| Region::clone(r)),
            turns,
        };
        self.display(&config, agent.tenant, conversation, &choice)
    }

    /// The number that a call shows which no agent makes: one that a flow or a full queue sends on. `None` if nothing is bound.
    ///
    /// # Errors
    /// [`NoNumber`]: all have reached a limit.
    pub(crate) fn display_of_call(
        &self,
        (tenant, application): (TenantId, ApplicationId),
        group: Option<GroupId>,
        callee: &Number,
        conversation: ConversationId,
    ) -> Result<Option<Number>, NoNumber> {
        let config = self.store().snapshot();
        let (pools, turns) = self.pools(&config, application, group.as_slice());
        let choice = Choice {
            pools,
            callee: self.equipment().regions.of(callee).map(|r| Region::clone(r)),
            turns,
            ..Choice::default()
        };
        self.display(&config, tenant, conversation, &choice)
    }

    /// The pools that are asked, in order: those of the groups, the groups' own numbers, those of all calls, the
    /// application's default number.
    #[allow(clippy::type_complexity, reason = "the pools, and whose turn it is")]
    fn pools(
        &self,
        config: &Config,
        application: ApplicationId,
        groups: &[GroupId],
    ) -> (Vec<Pool>, Option<(ApplicationId, Option<GroupId>)>) {
        let regions = &self.equipment().regions;
        let all = config.routing().pools(application);
        let mut pools = Vec::new();
        for group in groups {
            let of_group = all.iter().filter(|(_, p)| p.groups.contains(group));
            pools.extend(of_group.map(|(_, p)| p.pool(regions)));
        }
        for group in groups.iter().filter_map(|g| config.centre().group(*g)) {
            pools.push(plain(&group.numbers, &pools));
        }
        pools.extend(
            all.iter()
                .filter(|(_, p)| p.groups.is_empty())
                .map(|(_, p)| p.pool(regions)),
        );
        let default = config
            .application(application)
            .and_then(|a| a.settings.default_cli.clone());
        pools.push(plain(default.as_slice(), &pools));
        (pools, Some((application, groups.first().copied())))
    }

    fn display(
        &self,
        config: &Config,
        tenant: TenantId,
        conversation: ConversationId,
        choice: &Choice,
    ) -> Result<Option<Number>, NoNumber> {
        let zone = config.tenant(tenant).map_or(0, |t| t.zone_minutes);
        let day = Date::at(wall_now(), zone);
        match self
            .displays
            .choose(tenant, conversation, choice, day, mint::random() as u64)
        {
            Ok(number) => Ok(Some(number)),
            Err(NoNumber::Unbound) => Ok(None),
            Err(none) => Err(none),
        }
    }

    /// Reads back how often numbers with a limit of the day were shown today; to be called once after recovery.
    ///
    /// # Errors
    /// The store's.
    pub async fn restore_displays(&self) -> Result<(), StoreError> {
        let config = self.store().snapshot();
        let now = wall_now();
        for tenant in config.tenants() {
            let applications = config.applications().filter(|a| a.tenant == tenant.id);
            let pools = applications.flat_map(|a| config.routing().pools(a.id));
            let limited: Vec<Number> = pools
                .flat_map(|(_, p)| p.numbers.iter().filter(|n| n.daily > 0).map(|n| n.number.clone()))
                .collect();
            if limited.is_empty() {
                continue;
            }
            let day = Date::at(now, tenant.zone_minutes);
            let begins = Date::begins(now, tenant.zone_minutes);
            self.each_record_since(tenant.id, begins, |record| {
                for leg in record.legs.iter().filter(|l| l.direction == Direction::Outgoing) {
                    if let Ok(number) = Number::parse(&leg.from, CHINA)
                        && limited.contains(&number)
                    {
                        self.displays.restore(tenant.id, &number, day);
                    }
                }
            })
            .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::Stamp;

    const A: TenantId = TenantId(1);
    /// 2026-03-02, 09:00 UTC.
    const NINE: Stamp = Stamp(1_772_442_000_000);
    const HOUR: u64 = 3_600_000;

    fn number(n: u32) -> Number {
        Number::parse(&format!("0755{n:08}"), CHINA).unwrap()
    }

    fn choice(daily: u32, at_once: u32) -> Choice {
        let shown = |n| Shown {
            number: number(n),
            region: None,
            daily,
            at_once,
        };
        Choice {
            pools: vec![Pool {
                numbers: vec![shown(1), shown(2)],
                selection: Selection::Rotate,
            }],
            turns: Some((ApplicationId(1), None)),
            ..Choice::default()
        }
    }

    fn take(displays: &Displays, choice: &Choice, n: u64, at: Stamp) -> Result<Number, NoNumber> {
        let day = Date::at(at, 480);
        displays.choose(A, ConversationId::mint(1, n), choice, day, 0)
    }

    // accept: voice-paas 180
    #[test]
    fn limits_at_once_hold_until_the_call_is_over_and_limits_of_a_day_until_midnight() {
        let displays = Displays::default();
        let at_once = choice(0, 1);
        assert_eq!(take(&displays, &at_once, 1, NINE), Ok(number(1)));
        assert_eq!(take(&displays, &at_once, 2, NINE), Ok(number(2)));
        assert_eq!(take(&displays, &at_once, 3, NINE), Err(NoNumber::Full));
        displays.over(A, ConversationId::mint(1, 1));
        displays.over(A, ConversationId::mint(1, 1));
        assert_eq!(take(&displays, &at_once, 4, NINE), Ok(number(1)));
        // Each has been shown: twice and once.
        let of_day = choice(2, 0);
        displays.over(A, ConversationId::mint(1, 2));
        displays.over(A, ConversationId::mint(1, 4));
        assert_eq!(take(&displays, &of_day, 5, NINE), Ok(number(2)));
        assert_eq!(take(&displays, &of_day, 6, NINE), Err(NoNumber::Full));
        // A call that was not begun is not counted.
        displays.take_back(A, ConversationId::mint(1, 5));
        assert_eq!(take(&displays, &of_day, 7, NINE), Ok(number(2)));
        // In the tenant's zone it is midnight at 16:00 UTC.
        assert_eq!(
            take(&displays, &of_day, 8, NINE.plus_ms(7 * HOUR - 1)),
            Err(NoNumber::Full)
        );
        assert!(take(&displays, &of_day, 9, NINE.plus_ms(7 * HOUR)).is_ok());
        displays.restore(A, &number(1), Date::at(NINE.plus_ms(7 * HOUR), 480));
        displays.restore(A, &number(2), Date::at(NINE.plus_ms(7 * HOUR), 480));
        let later = NINE.plus_ms(8 * HOUR);
        assert!(take(&displays, &of_day, 10, later).is_ok());
        assert_eq!(take(&displays, &of_day, 11, later), Err(NoNumber::Full));
    }

    #[test]
    fn an_agents_own_number_has_the_limits_that_a_pool_gives_it() {
        let pools = choice(5, 0).pools;
        let own = plain(&[number(2), number(9)], &pools);
        let limits: Vec<u32> = own.numbers.iter().map(|s| s.daily).collect();
        assert_eq!(limits, [5, 0]);
    }
}
