//! Sounds and questions of a run: keys, digits and speech.

use super::super::flow::{Hearing, Name, Node, Say, Tries, is_key};
use super::super::io::{Action, Fact, Over, Pressed, Said, Step};
use super::super::template::Place;
use super::{AHEAD, Asking, GRACE_MS, PATH, PLAY_MS, Run, State};
use crate::cause::Cause;
use crate::spoken::Language;
use crate::time::Stamp;

/// What a key means to a question.
enum Reply {
    Stay,
    Go(Name),
    Wrong,
}

impl Run {
    /// Ends what is playing and listening.
    pub(super) fn quiet(&mut self, step: &mut Step) {
        match &self.state {
            State::Playing { .. } => step.actions.push(Action::Stop),
            State::Asking(asking) => {
                if asking.play.is_some() {
                    step.actions.push(Action::Stop);
                }
                if asking.listen.is_some() {
                    step.actions.push(Action::StopListening);
                }
            }
            State::Requesting { .. } | State::Away { .. } | State::Over => {}
        }
    }

    pub(super) fn said(&self, say: &[Say]) -> Vec<Said> {
        say.iter()
            .map(|s| match s {
                Say::Prompt(name) => Said::Prompt(name.clone()),
                Say::Text(text) => Said::Text(self.render(text, Place::Text)),
                Say::Spoken(kind, text) => Said::Spoken(*kind, self.render(text, Place::Text)),
                Say::Pause(ms) => Said::Pause(*ms),
            })
            .collect()
    }

    pub(super) fn play(&mut self, say: &[Say], end: Option<Cause>, now: Stamp, step: &mut Step) {
        let play = self.id();
        step.actions.push(Action::Play(play, self.said(say)));
        self.state = State::Playing {
            play,
            until: now.plus_ms(PLAY_MS),
            end,
        };
    }

    /// Begins a question. Keys that were pressed ahead answer it without its being asked.
    pub(super) fn ask(&mut self, node: &Node, now: Stamp, step: &mut Step) -> Option<Name> {
        let wait = node.tries().map_or(0, |t| t.wait_ms);
        self.state = State::Asking(Asking {
            asked: 1,
            play: None,
            listen: None,
            digits: String::new(),
            until: now.plus_ms(u64::from(wait)),
        });
        let typed = !matches!(node, Node::Speech { .. }) && !self.ahead.is_empty();
        if !typed {
            self.question(node, &[], 1, now, step);
            return None;
        }
        while let Some(key) = self.ahead.pop_front() {
            match self.reply(key, now, step) {
                Reply::Stay => {}
                Reply::Go(next) => return Some(next),
                Reply::Wrong => {
                    self.ahead.clear();
                    return self.again(true, now, step);
                }
            }
        }
        None
    }

    /// Plays a question, after something else if it is repeated.
    pub(super) fn question(&mut self, node: &Node, before: &[Say], asked: u8, now: Stamp, step: &mut Step) {
        let play = self.id();
        let mut said = self.said(before);
        if let Some((_, say)) = node.says().first() {
            said.extend(self.said(say));
        }
        step.actions.push(Action::Play(play, said));
        self.state = State::Asking(Asking {
            asked,
            play: Some(play),
            listen: None,
            digits: String::new(),
            until: now.plus_ms(PLAY_MS),
        });
    }

    /// The question was not answered: asks it again, or gives up.
    pub(super) fn again(&mut self, invalid: bool, now: Stamp, step: &mut Step) -> Option<Name> {
        self.quiet(step);
        step.facts.push(Fact::Missed { invalid });
        let (State::Asking(asking), Some(flow)) = (&self.state, self.flow()) else {
            return None;
        };
        let asked = asking.asked;
        let at = self.frames.last().map(|f| f.node.clone()).unwrap_or_default();
        let node = flow.nodes.get(&at)?;
        let Tries {
            count,
            invalid: wrong,
            no_input,
            ..
        } = node.tries()?;
        if asked < *count {
            let before = if invalid { wrong } else { no_input };
            self.question(node, before, asked + 1, now, step);
            return None;
        }
        match node {
            Node::Collect { failed, .. } | Node::Speech { failed, .. } | Node::Menu { failed, .. } => {
                Some(failed.clone())
            }
            Node::Survey { next, .. } => Some(next.clone()),
            _ => None,
        }
    }

    pub(super) fn key(&mut self, key: char, now: Stamp, step: &mut Step) {
        if !is_key(key) {
            return;
        }
        match &self.state {
            State::Playing { end: None, .. } if matches!(self.node(), Some(Node::Play { skip: true, .. })) => {
                self.acted();
                self.press_ahead(key);
                self.quiet(step);
                self.go_on(now, step);
            }
            State::Asking(_) if !matches!(self.node(), Some(Node::Speech { .. })) => {
                self.acted();
                match self.reply(key, now, step) {
                    Reply::Stay => {}
                    Reply::Go(next) => self.go(next, now, step),
                    Reply::Wrong => {
                        if let Some(next) = self.again(true, now, step) {
                            self.go(next, now, step);
                        }
                    }
                }
            }
            State::Requesting { .. } => self.press_ahead(key),
            State::Playing { .. } | State::Asking(_) | State::Away { .. } | State::Over => {}
        }
    }

    pub(super) fn press_ahead(&mut self, key: char) {
        if self.ahead.len() < AHEAD {
            self.ahead.push_back(key);
        }
    }

    /// The caller did something: it is no circle.
    pub(super) fn acted(&mut self) {
        self.circle = 0;
    }

    /// What a key means to the question that is being asked.
    fn reply(&mut self, key: char, now: Stamp, step: &mut Step) -> Reply {
        let (Some(flow), Some(frame)) = (self.flow(), self.frames.last()) else {
            return Reply::Stay;
        };
        let Some(node) = flow.nodes.get(&frame.node) else {
            return Reply::Stay;
        };
        match node {
            Node::Menu { choices, .. } => match choices.iter().find(|c| c.key == key) {
                None => Reply::Wrong,
                Some(choice) => {
                    self.quiet(step);
                    let pressed = Pressed {
                        key,
                        label: choice.label.clone(),
                    };
                    if self.path.len() < PATH {
                        self.path.push(pressed.clone());
                    }
                    step.facts.push(Fact::Pressed(pressed));
                    Reply::Go(choice.next.clone())
                }
            },
            Node::Survey { name, keys, next, .. } => match keys.iter().find(|(k, _, _)| *k == key) {
                None => Reply::Wrong,
                Some((_, _, score)) => {
                    self.quiet(step);
                    self.set(name, &score.to_string(), false);
                    step.facts.push(Fact::Scored {
                        name: name.clone(),
                        score: *score,
                    });
                    Reply::Go(next.clone())
                }
            },
            Node::Collect { .. } => self.digit(node, key, now, step),
            _ => Reply::Stay,
        }
    }

    fn digit(&mut self, node: &Node, key: char, now: Stamp, step: &mut Step) -> Reply {
        let Node::Collect {
            min,
            max,
            finish,
            between_ms,
            ..
        } = node
        else {
            return Reply::Stay;
        };
        self.quiet(step);
        let State::Asking(asking) = &mut self.state else {
            return Reply::Stay;
        };
        asking.play = None;
        if *finish == Some(key) {
            return if asking.digits.len() >= usize::from(*min) {
                self.collected(node, step)
            } else {
                Reply::Wrong
            };
        }
        if !key.is_ascii_digit() {
            return Reply::Wrong;
        }
        asking.digits.push(key);
        asking.until = now.plus_ms(u64::from(*between_ms));
        if asking.digits.len() >= usize::from(*max) {
            return self.collected(node, step);
        }
        Reply::Stay
    }

    fn collected(&mut self, node: &Node, step: &mut Step) -> Reply {
        let (Node::Collect { into, secret, next, .. }, State::Asking(asking)) = (node, &mut self.state) else {
            return Reply::Stay;
        };
        let digits = std::mem::take(&mut asking.digits);
        step.facts.push(Fact::Collected {
            into: into.clone(),
            digits: digits.len(),
        });
        self.set(into, &digits, *secret);
        Reply::Go(next.clone())
    }

    /// Silence in place of a question would leave the caller alone with it.
    pub(super) fn unspoken(&mut self, failed: u32, now: Stamp, step: &mut Step) {
        let waits = match &self.state {
            State::Playing { play, .. } => *play == failed,
            State::Asking(asking) => asking.play == Some(failed),
            _ => false,
        };
        if waits {
            self.quiet(step);
            if let Some(way) = self.fault("a text cannot be spoken".to_owned(), step) {
                self.go(way, now, step);
            }
        }
    }

    pub(super) fn play_ended(&mut self, ended: u32, now: Stamp, step: &mut Step) {
        let node = self.node().cloned();
        match &mut self.state {
            State::Playing { play, .. } if *play == ended => self.go_on(now, step),
            State::Asking(asking) if asking.play == Some(ended) => {
                asking.play = None;
                let Some(tries) = node.as_ref().and_then(Node::tries) else {
                    return;
                };
                asking.until = now.plus_ms(u64::from(tries.wait_ms));
                if let Some(Node::Speech { hearing, max_ms, .. }) = &node {
                    let id = self.id();
                    step.actions.push(Action::Listen {
                        id,
                        hearing: hearing.clone(),
                        language: self.flow().map(|f| f.language).unwrap_or(Language::Chinese),
                        wait_ms: tries.wait_ms,
                        max_ms: *max_ms,
                    });
                    let until = now.plus_ms(u64::from(tries.wait_ms) + u64::from(*max_ms) + GRACE_MS);
                    if let State::Asking(asking) = &mut self.state {
                        asking.listen = Some(id);
                        asking.until = until;
                    }
                }
            }
            _ => {}
        }
    }

    /// After a sound.
    pub(super) fn go_on(&mut self, now: Stamp, step: &mut Step) {
        let State::Playing { end, .. } = &self.state else {
            return;
        };
        if let Some(cause) = *end {
            step.actions.push(Action::HangUp(cause));
            return self.over(Over::HungUp(cause), step);
        }
        if let Some(Node::Play { next, .. }) = self.node() {
            self.go(next.clone(), now, step);
        }
    }

    pub(super) fn time(&mut self, now: Stamp, step: &mut Step) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match &self.state {
            State::Playing { .. } => {
                step.actions.push(Action::Stop);
                self.go_on(now, step);
            }
            State::Requesting { .. } => self.answered(None, now, step),
            State::Asking(Asking { play: Some(play), .. }) => {
                step.actions.push(Action::Stop);
                self.play_ended(*play, now, step);
            }
            State::Asking(asking) => {
                let length = asking.digits.len();
                let node = self.node().cloned();
                let enough = matches!(&node, Some(Node::Collect { min, .. }) if length >= usize::from(*min));
                let next = match (&node, enough) {
                    (Some(node), true) => match self.collected(node, step) {
                        Reply::Go(next) => Some(next),
                        Reply::Stay | Reply::Wrong => None,
                    },
                    _ => self.again(length > 0, now, step),
                };
                if let Some(next) = next {
                    self.go(next, now, step);
                }
            }
            State::Away { .. } | State::Over => {}
        }
    }

    pub(super) fn heard(&mut self, id: u32, text: Option<&str>, now: Stamp, step: &mut Step) {
        match &mut self.state {
            State::Asking(asking) if asking.listen == Some(id) => asking.listen = None,
            _ => return,
        }
        let Some(Node::Speech {
            hearing, into, next, ..
        }) = self.node().cloned()
        else {
            return;
        };
        let text = text.filter(|t| !t.trim().is_empty());
        let meant = match &hearing {
            Hearing::Free => text.map(str::to_owned),
            Hearing::Grammar(values) => text.and_then(|t| meaning(values, t)),
        };
        let to = match meant {
            Some(value) => {
                self.acted();
                step.facts.push(Fact::Understood { into: into.clone() });
                self.set(&into, &value, false);
                Some(next)
            }
            None => self.again(text.is_some(), now, step),
        };
        if let Some(to) = to {
            self.go(to, now, step);
        }
    }
}

/// What was said in a form that can be compared: words in lower case with one space between them, each character of a
/// script without spaces a word of its own.
pub(in crate::ivr) fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if c.is_alphanumeric() && (c as u32) < 0x2e80 {
            out.extend(c.to_lowercase());
        } else if c.is_alphanumeric() {
            out.push(' ');
            out.push(c);
            out.push(' ');
        } else if c != '\'' {
            out.push(' ');
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The value whose phrase is in what was said; the longest phrase wins.
fn meaning(values: &[(String, Vec<String>)], text: &str) -> Option<String> {
    let said = format!(" {} ", plain(text));
    let mut best: Option<(usize, &String)> = None;
    for (value, phrases) in values {
        for phrase in phrases.iter().map(|p| plain(p)).filter(|p| !p.is_empty()) {
            let longer = best.is_none_or(|(length, _)| phrase.len() > length);
            if longer && said.contains(&format!(" {phrase} ")) {
                best = Some((phrase.len(), value));
            }
        }
    }
    best.map(|(_, value)| value.clone())
}
