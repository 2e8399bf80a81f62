//! Which number a called party sees (domain-model §10, step 9; workbench-sdk §6.3; voice-paas §13.5).

use super::calendar::Date;
use super::region::Region;
use crate::number::Number;
use std::collections::BTreeMap;

/// How a number of a group is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Selection {
    /// The first that may be used.
    #[default]
    First,
    /// One of the called party's city, else of its province, else any; by chance among equals.
    Region,
    /// By chance.
    Random,
    /// One after the other.
    Rotate,
}

impl Selection {
    /// All, for tables and tests.
    pub const ALL: [Selection; 4] = [
        Selection::First,
        Selection::Region,
        Selection::Random,
        Selection::Rotate,
    ];

    /// As the API and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            Selection::First => "first",
            Selection::Region => "region",
            Selection::Random => "random",
            Selection::Rotate => "rotate",
        }
    }

    /// The one with this [`name`](Selection::name).
    pub fn from_name(name: &str) -> Option<Selection> {
        Selection::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A number that calls may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The number.
    pub number: Number,
    /// Where it is from, if that is known.
    pub region: Option<Region>,
    /// Calls a day that may show it; 0 is no limit.
    pub daily: u32,
    /// Calls at once that may show it; 0 is no limit.
    pub at_once: u32,
}

/// Numbers to choose from, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// In order.
    pub numbers: Vec<Shown>,
    /// How one is chosen.
    pub selection: Selection,
}

/// How a number came to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The request named it.
    Named,
    /// It is one of the agent's own.
    Own,
    /// The first of its group that could be used.
    First,
    /// The called party's city.
    City,
    /// The called party's province.
    Province,
    /// By chance.
    Random,
    /// Its turn.
    Turn,
}

impl How {
    /// The word for traces and records.
    pub const fn name(self) -> &'static str {
        match self {
            How::Named => "named",
            How::Own => "own",
            How::First => "first",
            How::City => "city",
            How::Province => "province",
            How::Random => "random",
            How::Turn => "turn",
        }
    }
}

/// Why no number can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNumber {
    /// The number that was named is neither the agent's nor one of its groups'.
    #[error("the display number is neither one of the agent's own nor of its groups; name another or none")]
    Foreign,
    /// The number that was named has reached a limit.
    #[error("the display number has reached its calls at once or of the day; name another or none")]
    NamedFull,
    /// There are numbers, and all have reached a limit.
    #[error("every display number has reached its calls at once or of the day; add numbers or raise the limits")]
    Full,
    /// There are none.
    #[error("there is no display number for this agent; bind one to a group or to the agent")]
    Unbound,
}

/// Who asks for a number.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The number that the request names.
    pub named: Option<&'a Number>,
    /// The agent's own numbers; none if its group does not allow them.
    pub own: Option<&'a Pool>,
    /// The groups' numbers, in order; a later group is asked when nothing of the earlier ones can be used.
    pub groups: &'a [Pool],
    /// Where the called party is from, if that is known.
    pub callee: Option<&'a Region>,
    /// Sixty-four random bits.
    pub bits: u64,
    /// Rises by one with each call, for numbers that take turns.
    pub turn: u64,
}

/// Chooses the number that is shown: named, else the agent's own, else a group's.
///
/// # Errors
/// Why there is none.
pub fn choose<'a>(wanted: &Wanted<'a>, usage: &Usage) -> Result<(&'a Shown, How), NoNumber> {
    let pools = || wanted.own.into_iter().chain(wanted.groups);
    if let Some(named) = wanted.named {
        let found = pools().flat_map(|p| &p.numbers).find(|s| s.number == *named);
        let found = found.ok_or(NoNumber::Foreign)?;
        return if usage.allows(found) {
            Ok((found, How::Named))
        } else {
            Err(NoNumber::NamedFull)
        };
    }
    if let Some((own, _)) = wanted.own.and_then(|p| pick(p, wanted, usage)) {
        return Ok((own, How::Own));
    }
    let of_group = wanted.groups.iter().find_map(|p| pick(p, wanted, usage));
    of_group.ok_or(if pools().all(|p| p.numbers.is_empty()) {
        NoNumber::Unbound
    } else {
        NoNumber::Full
    })
}

fn pick<'a>(pool: &'a Pool, wanted: &Wanted<'_>, usage: &Usage) -> Option<(&'a Shown, How)> {
    let usable: Vec<&Shown> = pool.numbers.iter().filter(|s| usage.allows(s)).collect();
    let by_chance = |all: &[&'a Shown]| {
        let n = all.len() as u64;
        // The high bits of the product: even, unlike a remainder (Lemire 2019), but for a bias below 2^-32.
        let at = (wanted.bits >> 32).wrapping_mul(n) >> 32;
        all.get(at as usize).copied()
    };
    match pool.selection {
        Selection::First => Some((usable.first()?, How::First)),
        Selection::Random => Some((by_chance(&usable)?, How::Random)),
        Selection::Rotate => {
            // By its place in the whole pool, so that a number that is full does not move the others' turns.
            let count = pool.numbers.len();
            let from = (wanted.turn % count.max(1) as u64) as usize;
            let mut round = (0..count).filter_map(|n| pool.numbers.get((from + n) % count));
            Some((round.find(|s| usage.allows(s))?, How::Turn))
        }
        Selection::Region => {
            let near = |test: fn(&Region, &Region) -> bool| -> Vec<&'a Shown> {
                let fits = |s: &&&'a Shown| match (&s.region, wanted.callee) {
                    (Some(own), Some(callee)) => test(own, callee),
                    _ => false,
                };
                usable.iter().filter(fits).copied().collect()
            };
            by_chance(&near(Region::same_city))
                .map(|s| (s, How::City))
                .or_else(|| by_chance(&near(Region::same_province)).map(|s| (s, How::Province)))
                .or_else(|| by_chance(&usable).map(|s| (s, How::Random)))
        }
    }
}

/// How often numbers are and were shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    day: Option<Date>,
    today: BTreeMap<Number, u32>,
    at_once: BTreeMap<Number, u32>,
}

impl Usage {
    /// True if one more call may show the number.
    pub fn allows(&self, shown: &Shown) -> bool {
        let below = |limit: u32, used: &BTreeMap<Number, u32>| {
            limit == 0 || used.get(&shown.number).copied().unwrap_or(0) < limit
        };
        below(shown.daily, &self.today) && below(shown.at_once, &self.at_once)
    }

    /// A new day begins for the limits of a day, in the zone of whom they belong to. An earlier day changes nothing.
    pub fn day(&mut self, day: Date) {
        if self.day.is_none_or(|d| d < day) {
            self.day = Some(day);
            self.today.clear();
        }
    }

    /// A call begins to show a number.
    pub fn begin(&mut self, number: &Number) {
        for used in [&mut self.today, &mut self.at_once] {
            *used.entry(number.clone()).or_insert(0) += 1;
        }
    }

    /// A call that was to show a number was not made.
    pub fn take_back(&mut self, number: &Number) {
        self.end(number);
        if let Some(n) = self.today.get_mut(number) {
            *n = n.saturating_sub(1);
        }
    }

    /// It ends.
    pub fn end(&mut self, number: &Number) {
        if let Some(n) = self.at_once.get_mut(number) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.at_once.remove(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::CHINA;
    use proptest::prelude::*;

    fn number(n: u32) -> Number {
        Number::parse(&format!("0755{n:08}"), CHINA).unwrap()
    }

    fn region(province: &str, city: &str) -> Region {
        Region {
            province: province.into(),
            city: city.into(),
        }
    }

    fn shown(n: u32, place: Option<(&str, &str)>) -> Shown {
        Shown {
            number: number(n),
            region: place.map(|(p, c)| region(p, c)),
            daily: 0,
            at_once: 0,
        }
    }

    fn pool(selection: Selection) -> Pool {
        Pool {
            numbers: vec![
                shown(1, Some(("广东省", "广州市"))),
                shown(2, Some(("广东省", "深圳市"))),
                shown(3, Some(("北京市", "北京市"))),
                shown(4, None),
            ],
            selection,
        }
    }

    const NOBODY: Wanted<'_> = Wanted {
        named: None,
        own: None,
        groups: &[],
        callee: None,
        bits: 0,
        turn: 0,
    };

    fn found(wanted: &Wanted<'_>, usage: &Usage) -> Result<(Number, How), NoNumber> {
        choose(wanted, usage).map(|(s, how)| (s.number.clone(), how))
    }

    #[test]
    fn a_named_number_must_be_one_of_the_agents_or_its_groups() {
        let groups = [pool(Selection::First)];
        let (two, nine) = (number(2), number(9));
        let named = |n| Wanted {
            named: Some(n),
            groups: &groups,
            ..NOBODY
        };
        let usage = Usage::default();
        assert_eq!(found(&named(&two), &usage), Ok((number(2), How::Named)));
        assert_eq!(found(&named(&nine), &usage), Err(NoNumber::Foreign));
        assert_eq!(found(&NOBODY, &usage), Err(NoNumber::Unbound));
    }

    #[test]
    fn the_agents_own_number_goes_before_its_groups() {
        let groups = [pool(Selection::First)];
        let mut own = Pool {
            numbers: vec![shown(7, None)],
            selection: Selection::First,
        };
        own.numbers[0].at_once = 1;
        let wanted = Wanted {
            own: Some(&own),
            groups: &groups,
            ..NOBODY
        };
        let mut usage = Usage::default();
        assert_eq!(found(&wanted, &usage), Ok((number(7), How::Own)));
        usage.begin(&number(7));
        assert_eq!(found(&wanted, &usage), Ok((number(1), How::First)));
        usage.end(&number(7));
        assert_eq!(found(&wanted, &usage), Ok((number(7), How::Own)));
    }

    #[test]
    fn the_callees_city_goes_before_its_province_and_that_before_any() {
        let groups = [pool(Selection::Region)];
        let find = |place: Option<(&str, &str)>, bits| {
            let place = place.map(|(p, c)| region(p, c));
            let wanted = Wanted {
                groups: &groups,
                callee: place.as_ref(),
                bits,
                ..NOBODY
            };
            found(&wanted, &Usage::default()).unwrap()
        };
        for bits in [0, u64::MAX, 1 << 63] {
            assert_eq!(find(Some(("广东省", "深圳市")), bits), (number(2), How::City));
            let (chosen, how) = find(Some(("广东省", "珠海市")), bits);
            assert!(how == How::Province && [number(1), number(2)].contains(&chosen));
            assert_eq!(find(Some(("西藏", "拉萨市")), bits).1, How::Random);
            assert_eq!(find(None, bits).1, How::Random);
        }
        // Every candidate has its chance.
        let chosen = |bits| find(None, bits).0;
        let quarter = |n: u64| n << 62;
        let all: std::collections::BTreeSet<_> = (0..4).map(|n| chosen(quarter(n))).collect();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn numbers_take_turns_and_a_full_one_is_passed_over() {
        let mut groups = [pool(Selection::Rotate)];
        groups[0].numbers[1].daily = 1;
        let mut usage = Usage::default();
        usage.day(Date::parse("2026-10-01").unwrap());
        let turn = |turn, groups: &[Pool], usage: &Usage| {
            let wanted = Wanted { groups, turn, ..NOBODY };
            found(&wanted, usage).unwrap().0
        };
        let round: Vec<_> = (0..5).map(|n| turn(n, &groups, &usage)).collect();
        assert_eq!(round, [1, 2, 3, 4, 1].map(number));
        usage.begin(&number(2));
        usage.end(&number(2));
        let round: Vec<_> = (0..4).map(|n| turn(n, &groups, &usage)).collect();
        assert_eq!(round, [1, 3, 3, 4].map(number), "the day's limit outlives the call");
        usage.day(Date::parse("2026-09-30").unwrap());
        assert_eq!(
            turn(1, &groups, &usage),
            number(3),
            "a clock that runs backwards frees nothing"
        );
        usage.day(Date::parse("2026-10-02").unwrap());
        assert_eq!(turn(1, &groups, &usage), number(2));
    }

    #[test]
    fn a_later_group_helps_out_and_full_numbers_are_refused() {
        let mut full = pool(Selection::Random);
        for number in &mut full.numbers {
            number.at_once = 1;
        }
        let mut usage = Usage::default();
        for n in 1..=4 {
            usage.begin(&number(n));
        }
        let spare = Pool {
            numbers: vec![shown(8, None)],
            selection: Selection::First,
        };
        let groups = [full, spare];
        let wanted = |groups| Wanted { groups, ..NOBODY };
        assert_eq!(found(&wanted(&groups), &usage), Ok((number(8), How::First)));
        assert_eq!(found(&wanted(&groups[..1]), &usage), Err(NoNumber::Full));
        let one = number(1);
        let named = Wanted {
            named: Some(&one),
            ..wanted(&groups)
        };
        assert_eq!(found(&named, &usage), Err(NoNumber::NamedFull));
        for selection in Selection::ALL {
            assert_eq!(Selection::from_name(selection.name()), Some(selection));
        }
    }

    proptest! {
        #[test]
        fn no_limit_is_ever_passed(
            limits in prop::collection::vec((0u32..3, 0u32..3), 1..6),
            selection in 0usize..4,
            steps in prop::collection::vec((any::<u64>(), any::<bool>()), 0..60),
        ) {
            let numbers = limits.iter().zip(0..).map(|((daily, at_once), n)| Shown {
                daily: *daily,
                at_once: *at_once,
                ..shown(n, None)
            });
            let groups = [Pool { numbers: numbers.collect(), selection: Selection::ALL[selection] }];
            let mut usage = Usage::default();
            let (mut live, mut today) = (Vec::<Number>::new(), BTreeMap::<Number, u32>::new());
            for (bits, end) in steps {
                if end && !live.is_empty() {
                    usage.end(&live.swap_remove(bits as usize % live.len()));
                    continue;
                }
                let wanted = Wanted { groups: &groups, bits, turn: bits, ..NOBODY };
                match choose(&wanted, &usage) {
                    Ok((chosen, _)) => {
                        usage.begin(&chosen.number);
                        live.push(chosen.number.clone());
                        *today.entry(chosen.number.clone()).or_default() += 1;
                        let at_once = live.iter().filter(|n| **n == chosen.number).count() as u32;
                        prop_assert!(chosen.at_once == 0 || at_once <= chosen.at_once);
                        prop_assert!(chosen.daily == 0 || today[&chosen.number] <= chosen.daily);
                    }
                    Err(e) => prop_assert_eq!(e, NoNumber::Full),
                }
            }
        }
    }
}
