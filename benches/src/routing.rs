//! The distributor by itself: how long a decision takes with 10,000 agents, 200 skill groups and 50,000 calls that wait.

use crate::process;
use std::time::{Duration, Instant};
use strowger_core::centre::acd::{Acd, Enqueue, Input, Output, Setup};
use strowger_core::centre::agent::{self, Choice, Client, DeviceMode, Engagement, Fact, Ticket, Variant};
use strowger_core::centre::resource::{Agent, CentreSettings, Queue, Skill, Strategy, WrapUp};
use strowger_core::{AgentId, ApplicationId, ConversationId, GroupId, QueueId, Stamp, TenantId};

const TENANT: TenantId = TenantId(1);
const APP: ApplicationId = ApplicationId(1);
const GROUPS: u64 = 200;
const SKILLS: u64 = 3;
/// A decision that takes longer is more than the aim.
const AIM: Duration = Duration::from_millis(1);

/// What is decided.
#[derive(Clone, Copy, PartialEq)]
enum Case {
    /// Calls come, and half of the agents are free.
    Arrivals,
    /// All calls wait, and agents become free one by one.
    Releases,
    /// All calls wait for the best agents, who are busy; the others are free and may not have them yet. Now and then one of
    /// the best becomes free.
    Unfit,
    /// As releases, and each call that came tells its place every 30 s.
    Announced,
}

impl Case {
    const fn name(self) -> &'static str {
        match self {
            Case::Arrivals => "calls arrive",
            Case::Releases => "agents become free",
            Case::Unfit => "free agents do not fit",
            Case::Announced => "places are announced",
        }
    }
}

/// How large a centre is.
#[derive(Clone, Copy)]
struct Size {
    agents: u64,
    waiting: u64,
    decisions: usize,
}

struct Seed(u64);

impl Seed {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

struct Centre {
    acd: Acd,
    now: Stamp,
    seed: Seed,
    size: Size,
    calls: u64,
    talks: Vec<Ticket>,
    rings: Vec<Ticket>,
    /// Processor time of each input that led to a decision, and of all others; time of the former by the clock.
    decided: Vec<Duration>,
    by_clock: Vec<Duration>,
    others: Vec<Duration>,
    counts: bool,
}

/// Levels differ; in the case of agents who do not fit only every tenth is good enough.
fn level(case: Case, n: u64, skill: u64) -> u8 {
    match case {
        Case::Unfit if n.is_multiple_of(10) => 10,
        Case::Unfit => 1 + (n % 3) as u8,
        _ => 1 + ((n + skill) % 5) as u8,
    }
}

fn setup(size: Size, strategy: Strategy, case: Case, sticky: bool) -> Setup {
    let agents = (0..size.agents).map(|n| {
        let skills = (0..SKILLS).map(|skill| Skill {
            group: GroupId(u128::from((n + skill * 67 + n / GROUPS * skill) % GROUPS) + 1),
            level: level(case, n, skill),
        });
        Agent {
            skills: skills.collect(),
            extension: format!("{}", 10_000 + n),
            ..Agent::new(AgentId(u128::from(n) + 1), TENANT, APP, format!("agent{n}"))
        }
    });
    let queues = (1..=u128::from(GROUPS)).map(|n| Queue {
        strategy,
        sticky_secs: if sticky { 3_600 } else { 0 },
        max_wait_secs: 0,
        ageing_secs: 60,
        relax_secs: if case == Case::Unfit { 0 } else { 20 },
        announce_secs: if case == Case::Announced { 30 } else { 0 },
        ..Queue::new(QueueId(n), TENANT, APP, format!("queue {n}"), GroupId(n))
    });
    let settings = CentreSettings {
        wrap_up: WrapUp::Off,
        ..CentreSettings::default()
    };
    Setup {
        applications: vec![(APP, settings)],
        agents: agents.collect(),
        queues: queues.collect(),
    }
}

impl Centre {
    fn new(size: Size, strategy: Strategy, case: Case, sticky: bool) -> Centre {
        let mut centre = Centre {
            acd: Acd::new(1),
            now: Stamp(1_749_952_800_000),
            seed: Seed(1),
            size,
            calls: 0,
            talks: Vec::new(),
            rings: Vec::new(),
            decided: Vec::new(),
            by_clock: Vec::new(),
            others: Vec::new(),
            counts: false,
        };
        centre.go(Input::Configure(Box::new(setup(size, strategy, case, sticky))));
        centre
    }

    fn go(&mut self, input: Input) {
        let (begun, cpu) = (Instant::now(), process::cpu_here());
        let out = self.acd.handle(input, self.now);
        let (took, clock) = (process::cpu_here() - cpu, begun.elapsed());
        let out = out.expect("what agents and calls do here is allowed");
        let mut decided = false;
        for output in out {
            match output {
                Output::Offer(offer) => self.rings.push(offer.ticket),
                Output::End { ticket, .. } => self.rings.retain(|t| *t != ticket),
                Output::Decided(_) => decided = true,
                _ => {}
            }
        }
        if self.counts {
            let kept = if decided { &mut self.decided } else { &mut self.others };
            kept.push(took);
            if decided {
                self.by_clock.push(clock);
            }
        }
    }

    fn sign_in(&mut self, n: u64) {
        let id = AgentId(u128::from(n) + 1);
        let client = Client { id: id.0, face: 0 };
        let connect = agent::Input::Connect {
            client,
            needs_device: false,
        };
        self.go(Input::Agent(id, connect));
        let sign_in = agent::Input::SignIn {
            groups: Vec::new(),
            mode: DeviceMode::Devices,
            choice: Some(Choice::Ready),
        };
        self.go(Input::Agent(id, sign_in));
    }

    /// A call to a queue by chance, and whoever is rung first answers.
    fn call(&mut self) {
        self.calls += 1;
        let n = self.calls;
        let call = Enqueue {
            conversation: ConversationId::mint(n / 100, n),
            queue: QueueId(u128::from(self.seed.below(GROUPS)) + 1),
            caller: format!("138{:08}", self.seed.below(100_000)),
            priority: Some(self.seed.below(4) as u8),
            since: None,
            front: false,
            not: None,
        };
        self.go(Input::Enqueue(call));
        self.answer();
    }

    fn answer(&mut self) {
        while let Some(ticket) = self.rings.pop() {
            for engaged in [
                Engagement::Alerting,
                Engagement::Answering,
                Engagement::Talk(Variant::In),
            ] {
                self.go(Input::Fact(ticket, Fact::Engaged(engaged)));
            }
            self.talks.push(ticket);
        }
    }

    /// A talk by chance is over.
    fn release(&mut self) {
        let n = self.seed.below(self.talks.len() as u64) as usize;
        let ticket = self.talks.swap_remove(n);
        self.go(Input::Fact(ticket, Fact::Ended));
        self.answer();
    }

    /// Time passes, and what is due is done.
    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        if self.acd.next_deadline().is_some_and(|at| at <= self.now) {
            self.go(Input::Tick);
            self.answer();
        }
    }

    fn waiting(&self) -> u64 {
        self.acd.boards().map(|b| u64::from(b.waiting)).sum()
    }

    fn free(&self) -> usize {
        self.size.agents as usize - self.talks.len()
    }

    /// Plays a case until enough has been decided.
    fn play(&mut self, case: Case) {
        let all = self.size.agents;
        for n in 0..all {
            // Who fits comes last, and finds calls.
            if case != Case::Unfit || n % 10 != 0 {
                self.sign_in(n);
                self.pass(1);
            }
        }
        if case == Case::Unfit {
            for n in (0..all).filter(|n| n % 10 == 0) {
                self.sign_in(n);
                self.pass(1);
            }
        }
        let half = all as usize / 2;
        match case {
            Case::Arrivals => {
                while self.free() > half {
                    self.call();
                    self.pass(1);
                }
            }
            _ => {
                while self.waiting() < self.size.waiting {
                    for _ in 0..100 {
                        self.call();
                    }
                    self.pass(1);
                }
            }
        }
        self.counts = true;
        while self.decided.len() < self.size.decisions {
            // A call comes and a call ends; in between a millisecond passes, as with a thousand calls a second.
            self.call();
            if !self.talks.is_empty() && (case != Case::Arrivals || self.free() < half) {
                self.release();
            }
            self.pass(1);
        }
    }
}

fn share(sorted: &[Duration], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |d| d.as_secs_f64() * 1e6)
}

fn row(size: Size, name: &str, strategy: Strategy, case: Case, sticky: bool) -> bool {
    let mut centre = Centre::new(size, strategy, case, sticky);
    centre.play(case);
    let (mut decided, mut by_clock, mut others) = (centre.decided, centre.by_clock, centre.others);
    by_clock.sort_unstable();
    decided.sort_unstable();
    others.sort_unstable();
    let spent: Duration = decided.iter().chain(&others).sum();
    println!(
        "{name:<18} {:<24} {:>9} {:>11.0} {:>8.1} {:>8.1} {:>8.0} {:>9.1} {:>9.1} {:>9.0}",
        case.name(),
        decided.len(),
        decided.len() as f64 / spent.as_secs_f64(),
        share(&decided, 0.5),
        share(&decided, 0.99),
        share(&decided, 1.0),
        share(&by_clock, 0.99),
        share(&others, 0.99),
        share(&others, 1.0),
    );
    share(&decided, 0.99) <= AIM.as_secs_f64() * 1e6
}

/// Prints the table.
pub fn run(short: bool) {
    let size = Size {
        agents: 10_000,
        waiting: 50_000,
        decisions: if short { 2_000 } else { 20_000 },
    };
    println!(
        "\nRouting, one thread: {} agents with {SKILLS} skills each, {GROUPS} groups and queues, {} calls waiting (none in \
         \"calls arrive\")\nA decision is the input that leads to it, whole: machine, queue, choice, trace. A second holds \
         everything of a call: its arrival, answer and end. Times are processor time, but for \"clock p99\", which what else \
         runs on the machine is in.",
        size.agents, size.waiting
    );
    println!(
        "{:<18} {:<24} {:>9} {:>11} {:>8} {:>8} {:>8} {:>9} {:>9} {:>9}",
        "strategy",
        "case",
        "decisions",
        "a second",
        "p50 us",
        "p99 us",
        "max us",
        "clock p99",
        "other p99",
        "other max"
    );
    let mut good = true;
    for strategy in Strategy::ALL {
        for case in [Case::Arrivals, Case::Releases] {
            good &= row(size, strategy.name(), strategy, case, false);
        }
    }
    good &= row(size, "last agent first", Strategy::LongestIdle, Case::Arrivals, true);
    good &= row(size, "last agent first", Strategy::LongestIdle, Case::Releases, true);
    good &= row(size, "longest-idle", Strategy::LongestIdle, Case::Unfit, false);
    good &= row(size, "longest-idle", Strategy::LongestIdle, Case::Announced, false);
    println!(
        "=> p99 of every decision below 1 ms: {}",
        if good { "yes" } else { "NO" }
    );
}
