//! Orders that are asked for the first, for a place, and for the first that fits.

use super::line::{Key, Order};
use crate::id::AgentId;
use crate::time::Stamp;
use std::collections::BTreeSet;

/// Elements of a piece at most; one more, and it is split.
const PIECE: usize = 256;

/// Calls that wait, in order. The place of one is found without counting those before it: the order is kept in pieces of
/// known length.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    pieces: Vec<Vec<Order>>,
}

impl Waiting {
    /// The piece that has an order, or would.
    fn piece(&self, order: &Order) -> usize {
        let at = self.pieces.partition_point(|p| p.last().is_some_and(|l| l < order));
        at.min(self.pieces.len().saturating_sub(1))
    }

    /// False if it is there already.
    pub fn insert(&mut self, order: Order) -> bool {
        let at = self.piece(&order);
        let Some(piece) = self.pieces.get_mut(at) else {
            self.pieces.push(vec![order]);
            return true;
        };
        let Err(place) = piece.binary_search(&order) else {
            return false;
        };
        piece.insert(place, order);
        if piece.len() > PIECE {
            // What arrives goes to the end as a rule: the first piece stays full then.
            let split = if at + 1 == self.pieces.len() { PIECE } else { PIECE / 2 };
            let rest = self.pieces[at].split_off(split);
            self.pieces.insert(at + 1, rest);
        }
        true
    }

    /// False if it is not there.
    pub fn remove(&mut self, order: &Order) -> bool {
        let at = self.piece(order);
        let Some(piece) = self.pieces.get_mut(at) else {
            return false;
        };
        let Ok(place) = piece.binary_search(order) else {
            return false;
        };
        piece.remove(place);
        let left = piece.len();
        let joined = self.pieces.get(at + 1).map_or(usize::MAX, |next| next.len() + left);
        if left == 0 {
            self.pieces.remove(at);
        } else if joined <= PIECE / 2 {
            let next = self.pieces.remove(at + 1);
            self.pieces[at].extend(next);
        }
        true
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Order> {
        self.pieces.iter().flatten()
    }

    /// How many come before this one.
    pub fn before(&self, order: &Order) -> usize {
        let at = self.piece(order);
        let whole: usize = self.pieces.iter().take(at).map(Vec::len).sum();
        let within = self.pieces.get(at).map_or(0, |p| p.partition_point(|o| o < order));
        whole + within
    }

    /// Since when the one that waits for longest does: the first, or the first behind those that were put to the front.
    pub fn oldest(&self) -> Option<Stamp> {
        let behind = (true, Stamp(i64::MIN), crate::id::ConversationId(0));
        let first = self.pieces.first().and_then(|p| p.first());
        let next = self.pieces.get(self.piece(&behind));
        let next = next.and_then(|p| p.get(p.partition_point(|o| *o < behind)));
        first.into_iter().chain(next).map(|o| o.1).min()
    }
}

/// Levels that there are, and 0.
const LEVELS: usize = 11;

/// Agents that could be offered a call, in the order of the strategy, apart by level: the first that is good enough is found
/// without a look at those who are not.
#[derive(Clone, Debug, Default)]
pub(super) struct Free {
    levels: [BTreeSet<Key>; LEVELS],
    len: usize,
}

impl Free {
    fn level(&mut self, level: u8) -> &mut BTreeSet<Key> {
        &mut self.levels[usize::from(level).min(LEVELS - 1)]
    }

    pub fn insert(&mut self, level: u8, key: Key) {
        let new = self.level(level).insert(key);
        self.len += usize::from(new);
    }

    pub fn remove(&mut self, level: u8, key: &Key) {
        let was = self.level(level).remove(key);
        self.len -= usize::from(was);
    }

    pub const fn len(&self) -> usize {
        self.len
    }

    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Those of this level or above, best first.
    pub fn from(&self, level: u8) -> impl Iterator<Item = AgentId> {
        let levels = self.levels.iter().skip(usize::from(level));
        let mut heads: Vec<_> = levels
            .filter(|l| !l.is_empty())
            .map(|l| l.iter().copied().peekable())
            .collect();
        std::iter::from_fn(move || {
            let first = (0..heads.len())
                .filter_map(|n| Some((*heads.get_mut(n)?.peek()?, n)))
                .min()?;
            heads.get_mut(first.1)?.next().map(|k| k.2)
        })
    }

    /// All of them, best first.
    pub fn iter(&self) -> impl Iterator<Item = AgentId> {
        self.from(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConversationId;

    struct Seed(u64);

    impl Seed {
        fn next(&mut self, below: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % below
        }
    }

    /// Against a set that counts: places, the oldest, and the order, while thousands come and go.
    #[test]
    fn places_are_those_of_a_plain_set() {
        let mut seed = Seed(7);
        let (mut waiting, mut plain) = (Waiting::default(), BTreeSet::<Order>::new());
        for n in 0..20_000u64 {
            let grows = if n < 12_000 { 80 } else { 30 };
            if seed.next(100) < grows {
                let order = (
                    seed.next(10) > 0,
                    Stamp(seed.next(5_000) as i64),
                    ConversationId(u128::from(seed.next(3))),
                );
                assert_eq!(waiting.insert(order), plain.insert(order));
            } else if let Some(order) = plain.iter().nth(seed.next(plain.len().max(1) as u64) as usize).copied() {
                assert!(waiting.remove(&order) && plain.remove(&order));
                assert!(!waiting.remove(&order));
            }
            if n % 97 == 0 {
                assert!(waiting.iter().eq(plain.iter()));
                assert_eq!(waiting.len(), plain.len());
                assert_eq!(waiting.is_empty(), plain.is_empty());
                assert_eq!(waiting.oldest(), plain.iter().map(|o| o.1).min());
                for (place, order) in plain.iter().enumerate().step_by(53) {
                    assert_eq!(waiting.before(order), place);
                }
            }
        }
        while let Some(order) = plain.pop_first() {
            assert!(waiting.remove(&order));
        }
        assert!(waiting.is_empty() && waiting.oldest().is_none());
    }

    /// The agents of the levels that are good enough, as if they stood in one order.
    #[test]
    fn free_agents_are_in_one_order_from_a_level_up() {
        let mut seed = Seed(11);
        let mut free = Free::default();
        let mut plain: BTreeSet<(Key, u8)> = BTreeSet::new();
        for n in 0..500u128 {
            let (level, key) = (1 + seed.next(10) as u8, (0, seed.next(50) as i64, AgentId(n)));
            free.insert(level, key);
            free.insert(level, key);
            plain.insert((key, level));
            if let Some((key, level)) = plain.iter().nth(seed.next(400) as usize).copied() {
                free.remove(level, &key);
                free.remove(level, &key);
                plain.remove(&(key, level));
            }
        }
        assert_eq!(free.len(), plain.len());
        for from in 0..=11 {
            let wanted = plain.iter().filter(|(_, l)| *l >= from).map(|(k, _)| k.2);
            assert!(free.from(from).eq(wanted), "from level {from}");
        }
        assert_eq!(free.iter().count(), plain.len());
    }
}
