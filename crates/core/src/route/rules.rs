//! Where a call to a number goes: rules in order, the first that holds decides (domain-model §10, steps 1 and 2).

use super::condition::{Condition, MAX_DEPTH, MAX_PARTS, Scene};
use crate::cause::Cause;
use crate::ivr::check::{Finding, Known, Level, Thing};
use crate::number::Number;
use std::collections::BTreeSet;

/// Where a call goes. Things are named by name or id, so that a plan can be moved to another installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Into an IVR flow.
    Flow(String),
    /// Into a queue.
    Queue(String),
    /// To an agent.
    Agent(String),
    /// To a device.
    Device(String),
    /// To a telephone number over the trunks.
    Number(Number),
    /// To a message for a queue or an agent.
    Voicemail(String),
    /// Nowhere: it is turned away, after a prompt if there is one.
    Refuse {
        /// Heard before.
        prompt: Option<String>,
        /// Why.
        cause: Cause,
    },
}

/// A question to the tenant's own server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Where to.
    pub url: String,
    /// How long an answer may take, in milliseconds.
    pub timeout_ms: u32,
    /// How often it is asked in all; a second time only after none or a failure (domain-model §10.1: twice).
    pub attempts: u8,
    /// Where the call goes without an answer.
    pub default: Target,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Where the call goes.
    To(Target),
    /// The tenant's server says where.
    Ask(Ask),
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What people call it; shares are drawn from it too.
    pub name: String,
    /// When it holds.
    pub when: Condition,
    /// What then.
    pub way: Way,
}

/// The most rules of a number.
pub const MAX_RULES: usize = 100;

/// The rules of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub rules: Vec<Rule>,
    /// When none holds.
    pub otherwise: Way,
}

/// A rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Its name.
    pub rule: String,
    /// It holds.
    pub holds: bool,
    /// Why. May be logged: there is no number in it.
    pub why: String,
}

/// A decision and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The rule that decided, by its place; `None` if none held.
    pub rule: Option<usize>,
    /// What it says.
    pub way: &'a Way,
    /// Every rule that was looked at, the deciding one last.
    pub trace: Vec<Looked>,
}

impl Plan {
    /// Decides for a call. The same call, time and plan decide the same, so that a decision can be replayed against a
    /// changed plan.
    pub fn decide(&self, scene: &Scene<'_>) -> Decision<'_> {
        let mut trace = Vec::new();
        for (n, rule) in self.rules.iter().enumerate() {
            let verdict = rule.when.ask(scene, &rule.name);
            trace.push(Looked {
                rule: rule.name.clone(),
                holds: verdict.holds,
                why: verdict.why,
            });
            if verdict.holds {
                return Decision {
                    rule: Some(n),
                    way: &rule.way,
                    trace,
                };
            }
        }
        Decision {
            rule: None,
            way: &self.otherwise,
            trace,
        }
    }

    /// What is wrong with the plan; a finding's node is the rule's name.
    pub fn check(&self, known: Known<'_>) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut add = |level, rule: Option<&str>, code, why: String, fix: &str| {
            found.push(Finding {
                level,
                node: rule.map(str::to_owned),
                code,
                why,
                fix: fix.to_owned(),
            });
        };
        if self.rules.len() > MAX_RULES {
            let why = format!("there are {} rules", self.rules.len());
            add(
                Level::Error,
                None,
                "route.size",
                why,
                "use at most 100; a list of numbers is one rule",
            );
        }
        let mut names = BTreeSet::new();
        let mut always: Option<&str> = None;
        for rule in self.rules.iter().take(MAX_RULES) {
            let at = Some(rule.name.as_str());
            if rule.name.is_empty() || rule.name.chars().count() > 64 || !names.insert(&rule.name) {
                let why = format!("the rule's name {:?} is empty, too long, or there twice", rule.name);
                add(
                    Level::Error,
                    at,
                    "route.name",
                    why,
                    "give each rule a name of its own, of 1 to 64 characters",
                );
            }
            if let Some(before) = always {
                let why = format!("the rule {before:?} before it holds always");
                add(
                    Level::Warning,
                    at,
                    "route.unreachable",
                    why,
                    "move it up, or remove one of them",
                );
            } else if rule.when == Condition::Always {
                always = at;
            }
            let parts = rule.when.parts();
            if parts.len() > MAX_PARTS || parts.iter().any(|(_, depth)| *depth > MAX_DEPTH) {
                let why = "the condition is too large".to_owned();
                add(Level::Error, at, "condition.size", why, "make several rules of it");
                continue;
            }
            for (part, _) in parts {
                let reference = match part {
                    Condition::Open(name) => Some((Thing::Calendar, name)),
                    Condition::CallerListed(name) => Some((Thing::List, name)),
                    Condition::Share(percent) if *percent > 100 => {
                        let why = format!("the share is {percent} of a hundred");
                        add(Level::Error, at, "node.range", why, "set it to 0 to 100");
                        None
                    }
                    Condition::Value { .. } => {
                        let why = "a route has no values; only flows have".to_owned();
                        add(
                            Level::Error,
                            at,
                            "route.value",
                            why,
                            "ask for it in a flow, or of the tenant's server",
                        );
                        None
                    }
                    _ => None,
                };
                if let Some((thing, name)) = reference.filter(|(thing, name)| known(*thing, name) == Some(false)) {
                    let why = format!("there is no {} {name:?}", thing.word());
                    add(
                        Level::Error,
                        at,
                        "reference.unknown",
                        why,
                        "create it first, or name another",
                    );
                }
            }
        }
        let ways = self.rules.iter().map(|r| (Some(r.name.as_str()), &r.way));
        for (at, way) in ways.take(MAX_RULES).chain([(None, &self.otherwise)]) {
            let target = match way {
                Way::To(target) => target,
                Way::Ask(ask) => {
                    if !(100..=10_000).contains(&ask.timeout_ms) || !(1..=3).contains(&ask.attempts) {
                        let why = format!("{} attempts of {} ms each", ask.attempts, ask.timeout_ms);
                        add(
                            Level::Error,
                            at,
                            "node.range",
                            why,
                            "set 1 to 3 attempts, and 100 to 10,000 ms",
                        );
                    }
                    if !(ask.url.starts_with("http://") || ask.url.starts_with("https://")) {
                        let why = "the URL is neither http nor https".to_owned();
                        add(Level::Error, at, "http.url", why, "write the server's whole URL");
                    }
                    &ask.default
                }
            };
            if let Some((thing, name)) = target.reference().filter(|(t, n)| known(*t, n) == Some(false)) {
                let why = format!("there is no {} {name:?}", thing.word());
                add(
                    Level::Error,
                    at,
                    "reference.unknown",
                    why,
                    "create it first, or name another",
                );
            }
        }
        found.sort();
        found
    }
}

impl Target {
    /// The thing that it names.
    pub fn reference(&self) -> Option<(Thing, &str)> {
        Some(match self {
            Target::Flow(name) => (Thing::Flow, name),
            Target::Queue(name) => (Thing::Queue, name),
            Target::Agent(name) => (Thing::Agent, name),
            Target::Device(name) => (Thing::Device, name),
            Target::Voicemail(name) => (Thing::Mailbox, name),
            Target::Refuse {
                prompt: Some(prompt), ..
            } => (Thing::Prompt, prompt),
            Target::Number(_) | Target::Refuse { prompt: None, .. } => return None,
        })
    }
}

/// What comes after an attempt to ask the tenant's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is asked once more.
    Again,
    /// The call goes there.
    Go(Target),
}

impl Ask {
    /// After attempt number `attempt`, from 1: what the server answered, or `None` if there was no answer in time, a status
    /// other than 2xx, or nothing that can be understood.
    pub fn settle(&self, attempt: u8, answer: Option<Target>) -> Settled {
        match answer {
            Some(target) => Settled::Go(target),
            None if attempt < self.attempts => Settled::Again,
            None => Settled::Go(self.default.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConversationId;
    use crate::number::CHINA;
    use crate::route::calendar::{Calendar, Span, Weekly, Zone};
    use crate::route::list::{Direction, Entry, NumberList};
    use crate::route::{Shelf, condition};
    use crate::time::{Civil, Stamp};
    use std::collections::BTreeMap;

    fn number(text: &str) -> Number {
        Number::parse(text, CHINA).unwrap()
    }

    fn rule(name: &str, when: Condition, to: Target) -> Rule {
        Rule {
            name: name.into(),
            when,
            way: Way::To(to),
        }
    }

    fn queue(name: &str) -> Target {
        Target::Queue(name.into())
    }

    fn plan() -> Plan {
        let refused = Target::Refuse {
            prompt: None,
            cause: Cause::Forbidden,
        };
        Plan {
            rules: vec![
                rule("black list", Condition::CallerListed("black".into()), refused),
                rule(
                    "night",
                    Condition::Not(Box::new(Condition::Open("office".into()))),
                    Target::Voicemail("sales".into()),
                ),
                rule(
                    "favoured",
                    Condition::CallerBegins(vec!["+86139".into()]),
                    queue("gold"),
                ),
                rule("trial", Condition::Share(50), Target::Flow("new".into())),
            ],
            otherwise: Way::To(Target::Flow("old".into())),
        }
    }

    fn shelf() -> Shelf {
        let mut black = NumberList::default();
        let entry = Entry {
            direction: Direction::Both,
            until: None,
        };
        black.add(number("13900000000"), entry);
        let office = Calendar {
            zone: Zone::parse("Asia/Shanghai").unwrap(),
            weekly: vec![Weekly {
                days: 0b001_1111,
                span: Span { from: 540, to: 1080 },
            }],
            special: vec![],
        };
        Shelf {
            calendars: [("office".into(), office)].into(),
            lists: [("black".into(), black)].into(),
        }
    }

    fn decide(plan: &Plan, caller: &str, at: &str, conversation: u128) -> (Option<usize>, Way, Vec<Looked>) {
        let shelf = shelf();
        let caller = number(caller);
        let scene = Scene {
            at: Stamp::from_civil(Civil::parse14(at).unwrap(), 480).unwrap(),
            conversation: ConversationId(conversation << 16),
            caller: Some(&caller),
            region: None,
            called: &number("95588"),
            values: &BTreeMap::new(),
            shelf: &shelf,
        };
        let decision = plan.decide(&scene);
        (decision.rule, decision.way.clone(), decision.trace)
    }

    #[test]
    fn the_first_rule_that_holds_decides_and_the_trace_says_why() {
        let plan = plan();
        let day = "20260928100000";
        assert_eq!(decide(&plan, "13900000000", day, 1).0, Some(0));
        assert_eq!(decide(&plan, "13900000001", "20260928200000", 1).0, Some(1));
        let (rule, way, trace) = decide(&plan, "13900000001", day, 1);
        assert_eq!((rule, way), (Some(2), Way::To(queue("gold"))));
        let trace: Vec<_> = trace
            .iter()
            .map(|l| (l.rule.as_str(), l.holds, l.why.as_str()))
            .collect();
        assert_eq!(
            trace,
            [
                ("black list", false, "the caller is not on list \"black\""),
                ("night", false, "calendar \"office\" is open"),
                ("favoured", true, "the caller's number begins as named"),
            ]
        );
        // The share: some calls go each way, each always the same.
        let trial: Vec<bool> = (0..200)
            .map(|c| decide(&plan, "13800000000", day, c).0 == Some(3))
            .collect();
        let count = trial.iter().filter(|t| **t).count();
        assert!((70..130).contains(&count), "{count}");
        assert_eq!(
            decide(&plan, "13800000000", day, 7),
            decide(&plan, "13800000000", day, 7)
        );
        assert!(condition::draw(ConversationId(0), "x") < 100);
    }

    #[test]
    fn a_decision_is_replayed_against_a_changed_plan() {
        let before = plan();
        let mut after = plan();
        after.rules.remove(2);
        let (was, _, _) = decide(&before, "13900000001", "20260928100000", 1);
        let (is, way, trace) = decide(&after, "13900000001", "20260928100000", 1);
        assert_eq!(was, Some(2));
        assert!(is != was || way != Way::To(queue("gold")));
        assert_eq!(trace.len(), 3);
    }

    #[test]
    fn the_tenants_server_is_asked_twice_and_then_not() {
        let ask = Ask {
            url: "https://a.example/route".into(),
            timeout_ms: 3000,
            attempts: 2,
            default: queue("sales"),
        };
        assert_eq!(ask.settle(1, Some(queue("x"))), Settled::Go(queue("x")));
        assert_eq!(ask.settle(1, None), Settled::Again);
        assert_eq!(ask.settle(2, None), Settled::Go(queue("sales")));
    }

    #[test]
    fn what_is_wrong_with_a_plan_is_found() {
        let known = |thing: Thing, name: &str| match thing {
            Thing::Flow => Some(name == "old" || name == "new"),
            Thing::Queue | Thing::Mailbox => Some(name == "sales" || name == "gold"),
            Thing::Calendar => Some(name == "office"),
            Thing::List => Some(name == "black"),
            _ => Some(false),
        };
        assert_eq!(plan().check(&known), []);
        let codes = |change: &dyn Fn(&mut Plan)| {
            let mut plan = plan();
            change(&mut plan);
            let found = plan.check(&known);
            found.iter().map(|f| (f.code, f.node.clone())).collect::<Vec<_>>()
        };
        let at = |code, rule: &str| vec![(code, Some(rule.to_owned()))];
        assert_eq!(
            codes(&|p| p.rules[2].way = Way::To(queue("x"))),
            at("reference.unknown", "favoured")
        );
        assert_eq!(
            codes(&|p| p.rules[2].when = Condition::Open("x".into())),
            at("reference.unknown", "favoured")
        );
        assert_eq!(
            codes(&|p| p.rules[3].when = Condition::Share(101)),
            at("node.range", "trial")
        );
        assert_eq!(
            codes(&|p| p.rules[2].when = Condition::Always),
            at("route.unreachable", "trial")
        );
        assert_eq!(codes(&|p| p.rules[2].name = "night".into()), at("route.name", "night"));
        let value = Condition::Value {
            name: "x".into(),
            test: crate::route::Test::Given,
        };
        assert_eq!(
            codes(&|p| p.rules[2].when = value.clone()),
            at("route.value", "favoured")
        );
        let ask = Way::Ask(Ask {
            url: "ftp://x".into(),
            timeout_ms: 1,
            attempts: 2,
            default: Target::Agent("x".into()),
        });
        assert_eq!(
            codes(&|p| p.otherwise = ask.clone()),
            [("http.url", None), ("node.range", None), ("reference.unknown", None)]
        );
        let deep = (0..20).fold(Condition::Always, |c, _| Condition::Not(Box::new(c)));
        assert_eq!(
            codes(&|p| p.rules[1].when = deep.clone()),
            at("condition.size", "night")
        );
        let many = codes(&|p| {
            p.rules = (0..101)
                .map(|n| rule(&n.to_string(), Condition::CallerHidden, queue("sales")))
                .collect()
        });
        assert_eq!(many, [("route.size", None)]);
    }
}
