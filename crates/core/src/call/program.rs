//! The playback program of a voice notice: items in rounds, and a window for one key at the last item
//! (voice-paas §4, P1 to P13).
//!
//! A pure machine inside the conversation's: what happened goes in, what is heard next comes out. It knows neither
//! sounds nor stamps; the conversation plays what it names and calls back after the milliseconds that it asks for.

/// Which key press is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyRule {
    /// Any of the twelve keys.
    Any,
    /// This one: `0-9`, `*` or `#`.
    Only(char),
}

impl KeyRule {
    /// Reads `any` in any case, or one of the twelve keys (P12); `None` for anything else.
    pub fn parse(text: &str) -> Option<KeyRule> {
        if text.eq_ignore_ascii_case("any") {
            return Some(KeyRule::Any);
        }
        let mut chars = text.chars();
        let key = chars.next().filter(|c| is_key(*c))?;
        chars.next().is_none().then_some(KeyRule::Only(key))
    }

    fn fits(self, key: char) -> bool {
        match self {
            KeyRule::Any => is_key(key),
            KeyRule::Only(only) => only == key,
        }
    }
}

/// The keys of a telephone. A to D are events of RFC 4733, but no telephone has them.
const fn is_key(c: char) -> bool {
    matches!(c, '0'..='9' | '*' | '#')
}

/// How often and with which keys; lengths in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Rounds that come by themselves, at least 1.
    pub rounds: u32,
    /// Ends the program.
    pub finish: Option<KeyRule>,
    /// Starts a round more.
    pub repeat: Option<KeyRule>,
    /// Rounds that the callee may ask for (P6).
    pub most_repeats: u32,
    /// The first key closes the window, whatever it means (D38).
    pub strict: bool,
    /// Silence before the first item (P1).
    pub lead_in_ms: u32,
    /// Silence between two items (§5.1).
    pub item_gap_ms: u32,
    /// Silence between two rounds without keys (P2).
    pub round_gap_ms: u32,
    /// How long the window stays open after the last item (P3).
    pub window_ms: u32,
}

impl Default for Rules {
    /// Two rounds without keys, and the lengths of the specification.
    fn default() -> Rules {
        Rules {
            rounds: 2,
            finish: None,
            repeat: None,
            most_repeats: 5,
            strict: false,
            lead_in_ms: 400,
            item_gap_ms: 300,
            round_gap_ms: 1000,
            window_ms: 5000,
        }
    }
}

impl Rules {
    fn keys(&self) -> bool {
        self.finish.is_some() || self.repeat.is_some()
    }
}

/// What can happen to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The sound that was asked for is over; false if it could not be played (P13).
    Over {
        /// It was heard.
        played: bool,
    },
    /// The silence that was asked for is over.
    Time,
    /// A key was pressed: one, however long it was held (P11).
    Key(char),
}

/// What is heard from now on, until something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Nothing, for so many milliseconds.
    Silence(u32),
    /// The item with this number.
    Item(usize),
    /// The voice after the finish key.
    FinishVoice,
    /// Nothing any more: the platform hangs up.
    End {
        /// False if none of the items could be played.
        heard: bool,
    },
}

/// What came of one happening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reaction {
    /// The new cue; `None` goes on with the old one.
    pub cue: Option<Cue>,
    /// The finish key that was accepted: the one key that is kept.
    pub key: Option<char>,
}

/// Where a program stands; the key window's state table of §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Silence before an item.
    Gap {
        next: usize,
    },
    Playing {
        item: usize,
    },
    /// The last item is over and a key may still come.
    Wait,
    Finish,
    End,
}

/// A program that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    rules: Rules,
    items: usize,
    finish_voice: bool,
    state: State,
    /// Rounds that came by themselves, the present one included.
    rounds: u32,
    /// Rounds that the callee asked for.
    repeats: u32,
    /// A key has used the window of this round up.
    closed: bool,
    /// An item was heard.
    heard: bool,
}

impl Program {
    /// Starts a program of so many items with its first cue, to be called when the callee has answered.
    pub fn start(rules: Rules, items: usize, finish_voice: bool) -> (Program, Cue) {
        let program = Program {
            rules,
            items,
            finish_voice,
            state: State::Gap { next: 0 },
            rounds: 1,
            repeats: 0,
            closed: false,
            heard: false,
        };
        let cue = Cue::Silence(rules.lead_in_ms);
        (program, cue)
    }

    /// Takes what happened. What does not fit the state changes nothing.
    pub fn handle(&mut self, happening: Happening) -> Reaction {
        let cue = match (self.state, happening) {
            (State::Gap { next }, Happening::Time) => Some(self.play(next)),
            (State::Playing { item }, Happening::Over { played }) => {
                self.heard |= played;
                Some(self.item_over(item))
            }
            (State::Wait, Happening::Time) => Some(self.round_over()),
            (State::Finish, Happening::Over { .. }) => Some(self.end()),
            (_, Happening::Key(key)) if self.listens() => return self.key(key),
            _ => None,
        };
        Reaction { cue, key: None }
    }

    /// The window of a round opens when the last item starts (P3). With a single item it is the whole round.
    fn listens(&self) -> bool {
        let at_last = match self.state {
            State::Playing { item } => item + 1 >= self.items,
            State::Wait => true,
            State::Gap { .. } | State::Finish | State::End => false,
        };
        at_last && self.rules.keys() && !self.closed
    }

    fn key(&mut self, key: char) -> Reaction {
        // Whoever answers a sound has heard it, also if it is never played to its end.
        self.heard = true;
        let fits = |rule: Option<KeyRule>| rule.is_some_and(|r| r.fits(key));
        // The finish key outranks the repeat key (P8).
        if fits(self.rules.finish) {
            let cue = if self.finish_voice {
                self.state = State::Finish;
                Cue::FinishVoice
            } else {
                self.end()
            };
            return Reaction {
                cue: Some(cue),
                key: Some(key),
            };
        }
        if fits(self.rules.repeat) && self.repeats < self.rules.most_repeats {
            self.repeats += 1;
            let cue = self.round_after(self.rules.item_gap_ms);
            return Reaction {
                cue: Some(cue),
                key: None,
            };
        }
        self.closed = self.rules.strict;
        let waits = self.closed && self.state == State::Wait;
        Reaction {
            cue: waits.then(|| self.round_over()),
            key: None,
        }
    }

    fn play(&mut self, item: usize) -> Cue {
        if self.items == 0 {
            return self.end();
        }
        self.state = State::Playing { item };
        Cue::Item(item)
    }

    fn item_over(&mut self, item: usize) -> Cue {
        let next = item + 1;
        if next < self.items {
            self.state = State::Gap { next };
            return Cue::Silence(self.rules.item_gap_ms);
        }
        // Nothing of a whole round could be played: nothing ever will.
        if !self.heard {
            return self.end();
        }
        if self.rules.keys() && !self.closed {
            self.state = State::Wait;
            return Cue::Silence(self.rules.window_ms);
        }
        self.round_over()
    }

    /// The next round that comes by itself, if one is left (P9). A window that ran out was pause enough.
    fn round_over(&mut self) -> Cue {
        if self.rounds >= self.rules.rounds {
            return self.end();
        }
        self.rounds += 1;
        let waited = self.state == State::Wait;
        self.round_after(if waited {
            self.rules.item_gap_ms
        } else {
            self.rules.round_gap_ms
        })
    }

    fn round_after(&mut self, silence_ms: u32) -> Cue {
        self.closed = false;
        self.state = State::Gap { next: 0 };
        Cue::Silence(silence_ms)
    }

    fn end(&mut self) -> Cue {
        self.state = State::End;
        Cue::End { heard: self.heard }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs a program in virtual time: items last a second each, keys are pressed at the milliseconds given. Returns
    /// what was heard (`0` for an item's number, `f` for the finish voice, `.` for a window) and the kept key.
    fn run(rules: Rules, items: usize, finish_voice: bool, keys: &[(u32, char)]) -> (String, Option<char>, u32) {
        let (mut program, mut cue) = Program::start(rules, items, finish_voice);
        let (mut heard, mut kept, mut now) = (String::new(), None, 0);
        let mut keys = keys.to_vec();
        loop {
            let (due, happening) = match cue {
                Cue::Silence(ms) => (now + ms, Happening::Time),
                Cue::Item(_) | Cue::FinishVoice => (now + 1000, Happening::Over { played: true }),
                Cue::End { heard: true } => return (heard, kept, now),
                Cue::End { heard: false } => panic!("something was heard"),
            };
            match cue {
                Cue::Item(n) => heard.push_str(&n.to_string()),
                Cue::FinishVoice => heard.push('f'),
                Cue::Silence(5000) => heard.push('.'),
                _ => {}
            }
            let next = loop {
                let reaction = match keys.first().copied() {
                    Some((at, key)) if at < due => {
                        keys.remove(0);
                        now = now.max(at);
                        program.handle(Happening::Key(key))
                    }
                    _ => {
                        now = due;
                        program.handle(happening)
                    }
                };
                kept = kept.or(reaction.key);
                if let Some(next) = reaction.cue {
                    break next;
                }
            };
            cue = next;
        }
    }

    fn rules(rounds: u32, finish: &str, repeat: &str) -> Rules {
        Rules {
            rounds,
            finish: KeyRule::parse(finish),
            repeat: KeyRule::parse(repeat),
            ..Rules::default()
        }
    }

    // accept: voice-paas 39
    #[test]
    fn without_keys_rounds_follow_and_keys_do_nothing() {
        assert_eq!(run(rules(1, "", ""), 2, false, &[]).0, "01");
        assert_eq!(run(Rules::default(), 2, false, &[]).0, "0101");
        assert_eq!(run(rules(3, "", ""), 2, false, &[]).0, "010101");
        let (heard, key, end) = run(rules(2, "", ""), 2, true, &[(500, '1'), (2000, '#')]);
        assert_eq!((heard.as_str(), key), ("0101", None));
        // 400 before, 300 between items, 1000 between rounds.
        assert_eq!(end, 400 + 2300 + 1000 + 2300);
    }

    // accept: voice-paas 42, 43, 44
    #[test]
    fn the_window_opens_with_the_last_item_and_closes_5_s_after_it() {
        let r = rules(1, "1", "");
        // Items are heard at 400-1400 and 1700-2700; the window is open from 1700 to 7700.
        assert_eq!(run(r, 2, false, &[(1300, '1')]).1, None, "in an earlier item");
        assert_eq!(run(r, 2, false, &[(1500, '1')]).1, None, "between the items");
        assert_eq!(run(r, 2, false, &[(1701, '1')]), ("01".into(), Some('1'), 1701));
        assert_eq!(run(r, 2, false, &[(7699, '1')]), ("01.".into(), Some('1'), 7699));
        assert_eq!(run(r, 2, false, &[(7700, '1')]), ("01.".into(), None, 7700));
        // A single item is the last one.
        assert_eq!(run(r, 1, false, &[(401, '1')]), ("0".into(), Some('1'), 401));
        // No further rounds.
        assert_eq!(
            run(rules(3, "1", ""), 1, true, &[(500, '1')]),
            ("0f".into(), Some('1'), 1500)
        );
    }

    // accept: voice-paas 45, 46
    #[test]
    fn a_repeat_starts_again_and_uses_no_round_up() {
        let r = rules(1, "", "2");
        assert_eq!(run(r, 2, false, &[(2000, '2')]).0, "0101.");
        // With two rounds, the one that was asked for comes on top.
        assert_eq!(run(rules(2, "", "2"), 1, false, &[(500, '2')]).0, "00.0.");
    }

    // accept: voice-paas 47
    #[test]
    fn the_sixth_repeat_is_a_key_like_any_other() {
        let presses: Vec<_> = (0..9).map(|n| (500 + n * 400, '2')).collect();
        // Items start at 400 and are interrupted; after five repeats the window runs out.
        let (heard, key, _) = run(rules(1, "", "2"), 1, false, &presses);
        assert_eq!((heard.as_str(), key), ("000000.", None));
    }

    // accept: voice-paas 48, 49, 50, 51
    #[test]
    fn finish_outranks_repeat() {
        for key in "0123456789*#".chars() {
            let (heard, kept, _) = run(rules(2, "any", ""), 1, true, &[(500, key)]);
            assert_eq!((heard.as_str(), kept), ("0f", Some(key)));
            let (heard, kept, _) = run(rules(2, "any", "any"), 1, false, &[(500, key)]);
            assert_eq!((heard.as_str(), kept), ("0", Some(key)));
        }
        let r = rules(1, "1", "any");
        assert_eq!(run(r, 1, false, &[(500, '1')]).1, Some('1'));
        assert_eq!(
            run(r, 1, false, &[(500, '5'), (1000, '1')]),
            ("00".into(), Some('1'), 1000)
        );
        assert_eq!(run(rules(1, "3", "3"), 1, false, &[(500, '3')]).1, Some('3'));
    }

    // accept: voice-paas 52
    #[test]
    fn a_wrong_key_changes_nothing_unless_strict() {
        let r = rules(1, "1", "2");
        assert_eq!(
            run(r, 1, false, &[(500, '9'), (600, 'A'), (3000, '1')]).1,
            Some('1'),
            "A is no key of a telephone"
        );
        let strict = Rules { strict: true, ..r };
        assert_eq!(
            run(strict, 1, false, &[(500, '9'), (600, '1')]),
            ("0".into(), None, 1400)
        );
        // In the window the first key closes it, and each round has its own.
        let strict = Rules { rounds: 2, ..strict };
        assert_eq!(
            run(strict, 1, false, &[(2000, '9'), (2500, '1')]),
            ("0.0".into(), Some('1'), 2500)
        );
    }

    // accept: voice-paas 53
    #[test]
    fn keys_are_one_of_twelve_or_any() {
        assert_eq!(KeyRule::parse("ANY"), Some(KeyRule::Any));
        assert_eq!(KeyRule::parse("*"), Some(KeyRule::Only('*')));
        for text in ["12", "A", "", " ", "１", "an", "anyy"] {
            assert_eq!(KeyRule::parse(text), None, "{text}");
        }
    }

    #[test]
    fn items_that_cannot_be_played_are_left_out_and_none_at_all_ends() {
        let (mut p, _) = Program::start(Rules::default(), 2, false);
        let over = |p: &mut Program, played| p.handle(Happening::Over { played }).cue;
        assert_eq!(p.handle(Happening::Time).cue, Some(Cue::Item(0)));
        assert_eq!(over(&mut p, false), Some(Cue::Silence(300)));
        let mut other = p.clone();
        p.handle(Happening::Time);
        assert_eq!(over(&mut p, false), Some(Cue::End { heard: false }));
        other.handle(Happening::Time);
        assert_eq!(
            over(&mut other, true),
            Some(Cue::Silence(1000)),
            "the second round comes"
        );
        let (mut empty, _) = Program::start(Rules::default(), 0, false);
        assert_eq!(empty.handle(Happening::Time).cue, Some(Cue::End { heard: false }));
    }

    proptest! {
        /// Whatever is pressed, a program ends within its rounds, its repeats and its windows.
        #[test]
        fn it_always_ends(
            rounds in 1u32..=3,
            items in 1usize..4,
            finish in "([0-9*#]|any)?",
            repeat in "([0-9*#]|any)?",
            strict: bool,
            voice: bool,
            presses in proptest::collection::vec((0u32..120_000, "[0-9*#A]"), 0..60),
        ) {
            let mut presses: Vec<_> = presses.into_iter().map(|(at, k)| (at, k.chars().next().unwrap())).collect();
            presses.sort_unstable();
            let r = Rules { strict, ..rules(rounds, &finish, &repeat) };
            let (heard, key, end) = run(r, items, voice, &presses);
            let longest = (rounds + 5) * (items as u32 * 1300 + 6000) + 2400;
            prop_assert!(end <= longest, "{heard} after {end} ms");
            prop_assert_eq!(heard.ends_with('f'), key.is_some() && voice);
            if let Some(k) = key {
                prop_assert!(KeyRule::parse(&finish).unwrap().fits(k));
            }
        }
    }
}
