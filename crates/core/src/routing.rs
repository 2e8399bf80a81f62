//! Which trunks can carry a call to a number, in which order, and how the number is written on each.

use crate::id::{TenantId, TrunkId};
use crate::number::{Number, NumberPlan};
use crate::resource::{PrefixRule, Trunk};

/// One way to place a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The trunk.
    pub trunk: TrunkId,
    /// The called number as this trunk wants it.
    pub dialled: String,
}

/// What a trunk's rules make of a number; `None` if they refuse it.
pub fn rewrite(rules: &[PrefixRule], number: &Number) -> Option<String> {
    let text = number.as_str();
    match rules.iter().find(|r| text.starts_with(&r.prefix)) {
        None if rules.is_empty() => Some(text.to_owned()),
        None => None,
        Some(r) if !r.allow => None,
        Some(r) => Some(format!(
            "{}{}",
            r.prepend,
            text.get(usize::from(r.strip)..).unwrap_or("")
        )),
    }
}

/// Trunks that may carry a call of `tenant` to `number`, best first.
///
/// The order is: healthy before unhealthy (an unhealthy trunk is tried last rather than never, because its OPTIONS may
/// be what is broken), the tenant's own before the platform's, priority, then a rotation by `spread` among equals.
pub fn candidates<'a>(
    trunks: impl IntoIterator<Item = &'a Trunk>,
    tenant: TenantId,
    number: &Number,
    healthy: impl Fn(TrunkId) -> bool,
    spread: u64,
) -> Vec<Candidate> {
    let mut found: Vec<(bool, bool, u16, &Trunk, String)> = trunks
        .into_iter()
        .filter(|t| !t.disabled && t.tenant.is_none_or(|owner| owner == tenant))
        .filter_map(|t| {
            Some((
                !healthy(t.id),
                t.tenant.is_none(),
                t.priority,
                t,
                rewrite(&t.rules, number)?,
            ))
        })
        .collect();
    found.sort_by_key(|(sick, shared, priority, t, _)| (*sick, *shared, *priority, t.id));
    let mut rest = found.as_mut_slice();
    while let Some(first) = rest.first() {
        let key = (first.0, first.1, first.2);
        let n = rest.iter().take_while(|f| (f.0, f.1, f.2) == key).count();
        let (group, tail) = rest.split_at_mut(n);
        group.rotate_left((spread % n as u64) as usize);
        rest = tail;
    }
    found
        .into_iter()
        .map(|(_, _, _, t, dialled)| Candidate { trunk: t.id, dialled })
        .collect()
}

/// Trunks that may carry a call of `tenant` to an emergency number: the one that its rules name, written by that
/// trunk's rules, or nobody. Its health is not asked: nobody else is tried.
pub fn emergency_candidate<'a>(
    trunks: impl IntoIterator<Item = &'a Trunk>,
    tenant: TenantId,
    rules: &TollRules,
    number: &Number,
) -> Option<Candidate> {
    let only = rules.emergency_trunk?;
    let trunk = trunks.into_iter().find(|t| t.id == only);
    let usable = trunk.filter(|t| !t.disabled && t.tenant.is_none_or(|owner| owner == tenant))?;
    let dialled = rewrite(&usable.rules, number)?;
    Some(Candidate { trunk: only, dialled })
}

/// Thousandths of a currency unit that a minute to this number costs over a trunk: the price of the rule that applies.
pub fn price(rules: &[PrefixRule], number: &Number) -> u32 {
    let text = number.as_str();
    rules
        .iter()
        .find(|r| text.starts_with(&r.prefix))
        .map_or(0, |r| r.price)
}

/// Why a number may not be called at all, whatever the trunks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Another country, and the tenant has not opened it.
    International,
    /// A premium prefix.
    Premium,
    /// An emergency number, and no trunk is configured for those.
    Emergency,
}

/// Emergency numbers of mainland China, and those that visitors dial from habit. They go to the tenant's emergency trunk
/// or are refused loudly; no opened prefix opens them.
pub const EMERGENCY: [&str; 8] = ["110", "112", "119", "120", "122", "12395", "911", "999"];

/// Premium information services: 168xx and 160xx as dialled without an area code.
const PREMIUM: [&str; 2] = ["168", "160"];

/// The toll-fraud rules of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TollRules {
    /// Prefixes of canonical numbers that are open although they are international or premium.
    pub opened: Vec<String>,
    /// Its emergency numbers; empty for [`EMERGENCY`].
    pub emergency_numbers: Vec<String>,
    /// The only trunk for them.
    pub emergency_trunk: Option<TrunkId>,
}

impl TollRules {
    /// True if it is an emergency number, also in the forms that a carrier's prefix or a country code gives it.
    pub fn is_emergency(&self, number: &Number, plan: NumberPlan) -> bool {
        let text = number.as_str();
        let national = text.strip_prefix('+').and_then(|d| d.strip_prefix(plan.country));
        let text = national.unwrap_or(text);
        if self.emergency_numbers.is_empty() {
            EMERGENCY.contains(&text)
        } else {
            self.emergency_numbers.iter().any(|n| n == text)
        }
    }

    /// What is denied unless the tenant opened it by prefix. An emergency number is permitted if the tenant has a trunk
    /// for it, and then goes to that trunk only; no prefix opens it.
    ///
    /// # Errors
    /// Why the number may not be called.
    pub fn permitted(&self, number: &Number, plan: NumberPlan) -> Result<(), Denied> {
        if self.is_emergency(number, plan) {
            return self.emergency_trunk.map(|_| ()).ok_or(Denied::Emergency);
        }
        let text = number.as_str();
        if self
            .opened
            .iter()
            .any(|p| !p.is_empty() && text.starts_with(p.as_str()))
        {
            return Ok(());
        }
        if number.is_international(plan) {
            return Err(Denied::International);
        }
        if PREMIUM.iter().any(|p| text.starts_with(p)) {
            return Err(Denied::Premium);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::CHINA;

    fn trunk(id: u128, priority: u16, tenant: Option<u128>) -> Trunk {
        Trunk {
            tenant: tenant.map(TenantId),
            priority,
            ..Trunk::new(TrunkId(id), "127.0.0.1:5060".parse().ok())
        }
    }

    fn order(trunks: &[Trunk], sick: &[u128], spread: u64) -> Vec<u128> {
        let n = Number::parse("13800138000", CHINA).unwrap();
        candidates(trunks, TenantId(1), &n, |t| !sick.contains(&t.0), spread)
            .iter()
            .map(|c| c.trunk.0)
            .collect()
    }

    #[test]
    fn own_then_shared_then_sick_and_never_anothers() {
        let all = [
            trunk(1, 1, None),
            trunk(2, 5, Some(1)),
            trunk(3, 1, Some(2)),
            trunk(4, 9, Some(1)),
        ];
        assert_eq!(order(&all, &[], 0), [2, 4, 1]);
        assert_eq!(order(&all, &[2], 0), [4, 1, 2]);
    }

    #[test]
    fn equals_take_turns() {
        let all = [trunk(1, 1, None), trunk(2, 1, None), trunk(3, 2, None)];
        assert_eq!(order(&all, &[], 0), [1, 2, 3]);
        assert_eq!(order(&all, &[], 1), [2, 1, 3]);
    }

    #[test]
    fn rules_rewrite_and_refuse() {
        let n = Number::parse("13800138000", CHINA).unwrap();
        let rule = |prefix: &str, strip, prepend: &str, allow| PrefixRule {
            prefix: prefix.into(),
            strip,
            prepend: prepend.into(),
            allow,
            price: 0,
        };
        assert_eq!(rewrite(&[], &n).as_deref(), Some("+8613800138000"));
        assert_eq!(
            rewrite(&[rule("+86", 3, "0", true)], &n).as_deref(),
            Some("013800138000")
        );
        assert_eq!(
            rewrite(&[rule("+86138", 0, "", false), rule("", 0, "", true)], &n),
            None
        );
        assert_eq!(rewrite(&[rule("+1", 0, "", true)], &n), None);
        assert_eq!(rewrite(&[rule("", 99, "9", true)], &n).as_deref(), Some("9"));
    }

    #[test]
    fn emergency_calls_go_to_one_trunk_only() {
        let n = Number::parse("110", CHINA).unwrap();
        let rules = |id: u128| TollRules {
            emergency_trunk: Some(TrunkId(id)),
            ..TollRules::default()
        };
        let all = [
            trunk(1, 1, None),
            trunk(2, 5, Some(1)),
            trunk(3, 1, Some(2)),
            Trunk {
                disabled: true,
                ..trunk(4, 1, None)
            },
        ];
        let go = |id| emergency_candidate(&all, TenantId(1), &rules(id), &n).map(|c| c.trunk.0);
        assert_eq!((go(1), go(2)), (Some(1), Some(2)));
        assert_eq!((go(3), go(4), go(9)), (None, None, None));
        assert_eq!(emergency_candidate(&all, TenantId(1), &TollRules::default(), &n), None);
    }

    #[test]
    fn international_and_emergency_are_closed_until_opened() {
        let n = |t| Number::parse(t, CHINA).unwrap();
        let closed = TollRules::default();
        let opened = TollRules {
            opened: vec!["+1202".into(), "1".into(), "+86".into()],
            ..TollRules::default()
        };
        let rules = |r: &TollRules, t| r.permitted(&n(t), CHINA);
        assert_eq!(rules(&closed, "+12025550100"), Err(Denied::International));
        assert_eq!(rules(&opened, "+12025550100"), Ok(()));
        assert_eq!(rules(&closed, "16812345"), Err(Denied::Premium));
        assert_eq!(rules(&closed, "13800138000"), Ok(()));
        for text in ["110", "+86 112", "911", "999", "0086 119"] {
            assert_eq!(rules(&closed, text), Err(Denied::Emergency), "{text}");
            assert_eq!(
                rules(&opened, text),
                Err(Denied::Emergency),
                "{text}: no prefix opens it"
            );
        }
        let own = TollRules {
            emergency_numbers: vec!["144".into()],
            emergency_trunk: Some(TrunkId(1)),
            ..TollRules::default()
        };
        assert_eq!(rules(&own, "144"), Ok(()));
        assert!(own.is_emergency(&n("144"), CHINA) && !own.is_emergency(&n("110"), CHINA));
    }
}
