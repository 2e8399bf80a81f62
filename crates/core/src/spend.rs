//! What calls cost in a day, by tenant and account, so that a cap can stop stolen credentials from spending more.
//!
//! A leg that runs counts with what it has cost so far. What it cost in the end counts to the day in which it ended, in
//! the zone of its tenant. Costs are thousandths of a currency unit.

use crate::id::{AccountId, ConversationId, LegSeq, TenantId};
use crate::time::Stamp;
use std::collections::HashMap;

const MINUTE_MS: i128 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// Whose spending is capped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// A tenant.
    Tenant(TenantId),
    /// An account.
    Account(AccountId),
}

/// A leg of a conversation.
pub type Leg = (ConversationId, LegSeq);

/// What `ms` of talk cost at a price a minute, rounded up to a whole thousandth.
pub fn cost(price: u32, ms: u64) -> u64 {
    let exact = u128::from(price) * u128::from(ms);
    u64::try_from(exact.div_ceil(MINUTE_MS.unsigned_abs())).unwrap_or(u64::MAX)
}

/// The spending of everybody. Its memory is bounded by the legs that run and by the payers.
#[derive(Debug, Default)]
pub struct Ledger {
    running: HashMap<Leg, Running>,
    accounts: HashMap<Payer, Spent>,
}

#[derive(Debug)]
struct Running {
    payers: Vec<Payer>,
    price: u32,
    since: Stamp,
    zone_minutes: i32,
}

#[derive(Debug, Default)]
struct Spent {
    /// Days since 1970 in the payer's zone.
    day: i64,
    /// Of legs that ended in that day.
    ended: u64,
    /// Sum of the prices of the legs that run.
    prices: i128,
    /// Sum of price times answer stamp of those: what they cost so far needs no walk over them.
    weighted: i128,
}

fn day(at: Stamp, zone_minutes: i32) -> i64 {
    at.0.saturating_add(i64::from(zone_minutes) * 60_000).div_euclid(DAY_MS)
}

impl Spent {
    /// Adds what ended in a day. A day before the newest does not count any more.
    fn add(&mut self, in_day: i64, amount: u64) {
        if in_day > self.day {
            self.day = in_day;
            self.ended = 0;
        }
        if in_day == self.day {
            self.ended = self.ended.saturating_add(amount);
        }
    }
}

impl Ledger {
    /// A leg was answered that costs `price` a minute from now on. Legs that cost nothing need not be told.
    pub fn answered(&mut self, leg: Leg, payers: &[Payer], price: u32, at: Stamp, zone_minutes: i32) {
        if price == 0 || self.running.contains_key(&leg) {
            return;
        }
        for payer in payers {
            let spent = self.accounts.entry(*payer).or_default();
            spent.prices += i128::from(price);
            spent.weighted += i128::from(price) * i128::from(at.0);
        }
        self.running.insert(
            leg,
            Running {
                payers: payers.to_vec(),
                price,
                since: at,
                zone_minutes,
            },
        );
    }

    /// A leg's talk stopped. Nothing happens if it is not known.
    pub fn ended(&mut self, leg: Leg, at: Stamp) {
        let Some(r) = self.running.remove(&leg) else { return };
        let amount = cost(r.price, at.ms_since(r.since));
        for payer in &r.payers {
            let spent = self.accounts.entry(*payer).or_default();
            spent.prices -= i128::from(r.price);
            spent.weighted -= i128::from(r.price) * i128::from(r.since.0);
            spent.add(day(at, r.zone_minutes), amount);
        }
    }

    /// Adds what an ended leg had cost, from its record: after a restart.
    pub fn restore(&mut self, payers: &[Payer], amount: u64, ended_at: Stamp, zone_minutes: i32) {
        for payer in payers {
            let spent = self.accounts.entry(*payer).or_default();
            spent.add(day(ended_at, zone_minutes), amount);
        }
    }

    /// What a payer has spent in the day of `now`, legs that run included.
    pub fn spent(&self, payer: Payer, now: Stamp, zone_minutes: i32) -> u64 {
        let Some(s) = self.accounts.get(&payer) else { return 0 };
        let ended = if s.day == day(now, zone_minutes) { s.ended } else { 0 };
        let running = (s.prices * i128::from(now.0) - s.weighted).max(0);
        ended.saturating_add(u64::try_from(running / MINUTE_MS).unwrap_or(u64::MAX))
    }

    /// Legs that run and cost something.
    pub fn running(&self) -> usize {
        self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Payer = Payer::Tenant(TenantId(1));
    const A: Payer = Payer::Account(AccountId(2));
    /// Noon of a day in UTC.
    const NOON: i64 = 20_000 * DAY_MS + DAY_MS / 2;

    fn leg(n: u16) -> Leg {
        (ConversationId(1 << 16), LegSeq(n))
    }

    fn at(seconds: i64) -> Stamp {
        Stamp(NOON + seconds * 1000)
    }

    #[test]
    fn a_leg_costs_its_talk_times_the_price_rounded_up() {
        assert_eq!(cost(600, 60_000), 600);
        assert_eq!(cost(600, 1), 1);
        assert_eq!(cost(0, 60_000), 0);
        assert_eq!(cost(u32::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn running_legs_count_with_what_they_cost_so_far_and_ended_ones_stay() {
        let mut ledger = Ledger::default();
        ledger.answered(leg(0), &[T, A], 600, at(0), 0);
        ledger.answered(leg(1), &[T], 60, at(30), 0);
        ledger.answered(leg(0), &[T, A], 600, at(5), 0);
        assert_eq!(ledger.spent(T, at(60), 0), 600 + 30);
        assert_eq!(ledger.spent(A, at(60), 0), 600);
        ledger.ended(leg(0), at(120));
        ledger.ended(leg(0), at(500));
        assert_eq!(ledger.spent(A, at(600), 0), 1200);
        ledger.ended(leg(1), at(90));
        assert_eq!(ledger.spent(T, at(600), 0), 1200 + 60);
        assert_eq!(ledger.running(), 0);
        assert_eq!(ledger.spent(Payer::Account(AccountId(9)), at(0), 0), 0);
    }

    #[test]
    fn a_new_day_of_the_tenants_zone_begins_with_nothing() {
        let mut ledger = Ledger::default();
        ledger.restore(&[T], 500, at(0), 480);
        // Noon in UTC is 20:00 in the zone: the day ends four hours later.
        assert_eq!(ledger.spent(T, at(4 * 3600 - 1), 480), 500);
        assert_eq!(ledger.spent(T, at(4 * 3600), 480), 0);
        ledger.restore(&[T], 7, at(4 * 3600), 480);
        ledger.restore(&[T], 1, at(0), 480);
        assert_eq!(
            ledger.spent(T, at(4 * 3600 + 1), 480),
            7,
            "a late record of yesterday does not count"
        );
    }
}
