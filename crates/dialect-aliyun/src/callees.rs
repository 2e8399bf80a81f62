//! The list of callees that a tenant's server answers an incoming call with: in which waves they ring (aliyun-rtc 5.2, 5.3).
//!
//! [`waves`] brings a list into order; [`Hunt`] says, call by call, who is to be rung next and who is to be cancelled. Neither
//! knows a clock or a random source: the choice among callees that may not ring together is the caller's.

/// Largest number of a wave, and most callees of one.
const MOST: usize = 10;

/// Whom to ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    /// A client of the tenant, by its account.
    Client(String),
    /// A telephone, with the number that it is shown.
    Phone {
        /// Its number.
        number: String,
        /// The number that it is shown.
        shown: String,
        /// The tenant's own line.
        line: Option<String>,
    },
}

impl Callee {
    fn is_usable(&self) -> bool {
        match self {
            Callee::Client(id) => !id.is_empty(),
            Callee::Phone { number, .. } => !number.is_empty(),
        }
    }

    const fn is_client(&self) -> bool {
        matches!(self, Callee::Client(_))
    }
}

/// The waves of a list, in which numbers of waves are as the tenant gave them: `None` is 1, what is not 1 to 10 is dropped.
/// Several clients, and clients beside telephones in one wave, may not ring together: `choose(n)` picks one of `n`, below `n`.
///
/// An empty result means that nobody is to be rung, and the call is refused.
pub fn waves(list: Vec<(Option<i64>, Callee)>, mut choose: impl FnMut(usize) -> usize) -> Vec<Vec<Callee>> {
    let usable = list.into_iter().filter(|(_, c)| c.is_usable());
    let mut all: Vec<(usize, Callee)> = usable
        .filter_map(|(n, c)| Some((usize::try_from(n.unwrap_or(1)).ok()?, c)))
        .filter(|(n, _)| (1..=MOST).contains(n))
        .collect();
    let clients: Vec<usize> = (0..all.len()).filter(|i| all[*i].1.is_client()).collect();
    if clients.len() > 1 {
        let kept = clients[choose(clients.len()).min(clients.len() - 1)];
        let mut at = 0;
        all.retain(|(_, c)| {
            at += 1;
            !c.is_client() || at - 1 == kept
        });
    }
    let mut waves = Vec::new();
    for n in 1..=MOST {
        let mut wave: Vec<Callee> = all.iter().filter(|(w, _)| *w == n).map(|(_, c)| c.clone()).collect();
        if wave.iter().any(Callee::is_client) && wave.len() > 1 {
            let kept = choose(wave.len()).min(wave.len() - 1);
            wave = vec![wave.swap_remove(kept)];
        }
        wave.truncate(MOST);
        if !wave.is_empty() {
            waves.push(wave);
        }
    }
    waves
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ring these together. Their numbers are theirs for the whole call.
    Ring(Vec<(usize, Callee)>),
    /// Cancel these: somebody answered, or the caller is gone.
    Cancel(Vec<usize>),
    /// Nobody is left: the caller hears the announcement.
    Exhausted,
}

/// One incoming call on its way through the waves.
#[derive(Clone, Debug, Default)]
pub struct Hunt {
    rest: std::collections::VecDeque<Vec<Callee>>,
    ringing: Vec<usize>,
    next: usize,
    over: bool,
}

impl Hunt {
    /// Begins with the first wave.
    pub fn begin(waves: Vec<Vec<Callee>>) -> (Hunt, Step) {
        let mut hunt = Hunt {
            rest: waves.into(),
            ..Hunt::default()
        };
        let step = hunt.ring();
        (hunt, step)
    }

    fn ring(&mut self) -> Step {
        let Some(wave) = self.rest.pop_front() else {
            self.over = true;
            return Step::Exhausted;
        };
        let numbered: Vec<(usize, Callee)> = wave
            .into_iter()
            .map(|c| {
                self.next += 1;
                (self.next, c)
            })
            .collect();
        self.ringing = numbered.iter().map(|(n, _)| *n).collect();
        Step::Ring(numbered)
    }

    /// A callee refused, failed or let it ring out. The next wave begins when the last of this one has.
    pub fn failed(&mut self, callee: usize) -> Option<Step> {
        let before = self.ringing.len();
        self.ringing.retain(|n| *n != callee);
        let last = before > 0 && self.ringing.is_empty() && !self.over;
        last.then(|| self.ring())
    }

    /// A callee answered: all the others are cancelled, and no further wave begins. `None` if another one was quicker: this one
    /// is to be ended.
    pub fn answered(&mut self, callee: usize) -> Option<Step> {
        if self.over || !self.ringing.contains(&callee) {
            return None;
        }
        self.over = true;
        self.rest.clear();
        let others = std::mem::take(&mut self.ringing);
        Some(Step::Cancel(others.into_iter().filter(|n| *n != callee).collect()))
    }

    /// The caller is gone.
    pub fn gone(&mut self) -> Step {
        self.over = true;
        self.rest.clear();
        Step::Cancel(std::mem::take(&mut self.ringing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(n: u8) -> Callee {
        Callee::Phone {
            number: format!("1390000000{n}"),
            shown: "01000000000".into(),
            line: None,
        }
    }

    fn numbers(step: &Step) -> Vec<usize> {
        match step {
            Step::Ring(all) => all.iter().map(|(n, _)| *n).collect(),
            Step::Cancel(all) => all.clone(),
            Step::Exhausted => Vec::new(),
        }
    }

    fn list(of: &[i64]) -> Vec<(Option<i64>, Callee)> {
        (0u8..).zip(of).map(|(i, n)| (Some(*n), phone(i))).collect()
    }

    // accept: domain-model M20
    #[test]
    fn one_two_two_three_rings_in_three_waves_and_the_first_answer_cancels_the_rest() {
        let all = waves(list(&[1, 2, 2, 3]), |_| 0);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 1]);
        let (mut hunt, first) = Hunt::begin(all.clone());
        assert_eq!(numbers(&first), [1]);
        let second = hunt.failed(1).expect("the next wave");
        assert_eq!(numbers(&second), [2, 3]);
        assert_eq!(hunt.failed(2), None, "the other one of the wave still rings");
        let third = hunt.failed(3).expect("the next wave");
        assert_eq!(numbers(&third), [4]);
        assert_eq!(hunt.failed(4), Some(Step::Exhausted));
        assert_eq!(hunt.failed(4), None);
        // The first answer of the second wave.
        let (mut hunt, _) = Hunt::begin(all.clone());
        hunt.failed(1);
        assert_eq!(hunt.answered(3), Some(Step::Cancel(vec![2])));
        assert_eq!(hunt.answered(2), None, "its 200 crossed: it is ended, not bridged");
        assert_eq!(hunt.failed(2), None, "and no further wave begins");
        // The caller leaves.
        let (mut hunt, _) = Hunt::begin(all);
        hunt.failed(1);
        assert_eq!(hunt.gone(), Step::Cancel(vec![2, 3]));
        assert_eq!(hunt.failed(2), None);
    }

    #[test]
    fn lists_are_brought_into_order() {
        assert_eq!(waves(list(&[1, 2, 2, 3, 5]), |_| 0).len(), 4, "a gap is tolerated");
        assert!(waves(list(&[0, 11, -1]), |_| 0).is_empty());
        let unnumbered = vec![(None, phone(1)), (Some(1), phone(2))];
        assert_eq!(waves(unnumbered, |_| 0), [vec![phone(1), phone(2)]]);
        assert_eq!(waves(list(&[1; 12]), |_| 0)[0].len(), 10);
        let empty = Callee::Client(String::new());
        assert!(waves(vec![(None, empty)], |_| 0).is_empty());
        let client = |n: u8| Callee::Client(format!("20000000000000{n}"));
        let two = vec![(Some(1), client(1)), (Some(2), client(2)), (Some(2), phone(1))];
        for chosen in 0..2 {
            let all = waves(two.clone(), |_| chosen);
            let clients = all.iter().flatten().filter(|c| c.is_client()).count();
            assert!(clients <= 1 && all.iter().all(|w| w.len() == 1), "{all:?}");
        }
        assert_eq!(Hunt::begin(Vec::new()).1, Step::Exhausted);
    }
}
