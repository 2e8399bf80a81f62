//! The machine by itself: the transitions by their numbers, and every input in every state.

use super::*;
use crate::centre::resource::{CentreSettings, NoAnswer, SecondSignIn, WrapUp};

const T0: Stamp = Stamp(1_749_952_800_000);
const PAGE: Client = Client { id: 1, face: 0 };
const OTHER_PAGE: Client = Client { id: 2, face: 0 };
const OTHER_FACE: Client = Client { id: 3, face: 1 };

fn groups(n: u128) -> Vec<GroupId> {
    (1..=n).map(GroupId).collect()
}

struct Bed {
    agent: Agent,
    now: Stamp,
    next: u64,
    seen: Vec<Output>,
}

impl Bed {
    fn with(settings: CentreSettings) -> Bed {
        Bed {
            agent: Agent::new(settings, settings.wrap_up, groups(30), T0),
            now: T0,
            next: 1,
            seen: Vec::new(),
        }
    }

    fn ready(settings: CentreSettings) -> Bed {
        let mut bed = Bed::with(settings);
        bed.go(Input::Connect {
            client: PAGE,
            needs_device: false,
        });
        bed.sign_in(DeviceMode::Devices, Some(Choice::Ready));
        bed
    }

    fn sign_in(&mut self, mode: DeviceMode, choice: Option<Choice>) {
        self.go(Input::SignIn {
            groups: groups(2),
            mode,
            choice,
        });
    }

    fn try_go(&mut self, input: Input) -> Result<(), Refusal> {
        let out = self.agent.handle(input, self.now)?;
        self.seen.extend(out);
        Ok(())
    }

    fn go(&mut self, input: Input) {
        let told = format!("{input:?}");
        let done = self.try_go(input);
        assert_eq!(done, Ok(()), "{told} in {:?}", self.agent.state());
    }

    fn choose(&mut self, choice: Choice) {
        self.go(Input::Choose(choice));
    }

    fn begin(&mut self, part: Part) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.go(Input::Begin {
            ticket,
            part,
            ring_secs: 30,
        });
        ticket
    }

    fn fact(&mut self, ticket: Ticket, fact: Fact) {
        self.go(Input::Call(ticket, fact));
    }

    fn engaged(&mut self, ticket: Ticket, e: Engagement) {
        self.fact(ticket, Fact::Engaged(e));
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, secs: u64) {
        let end = self.now.plus_secs(secs);
        while let Some(at) = self.agent.next_deadline().filter(|at| *at <= end) {
            self.now = at;
            self.go(Input::Tick);
        }
        self.now = end;
    }

    fn state(&self) -> State {
        self.agent.state()
    }

    fn unanswered(&self) -> Vec<Unanswered> {
        self.seen
            .iter()
            .filter_map(|o| match o {
                Output::Unanswered { why, .. } => Some(*why),
                _ => None,
            })
            .collect()
    }

    fn path(&self) -> Vec<State> {
        let mut path: Vec<State> = Vec::new();
        for o in &self.seen {
            if let Output::Changed(c) = o
                && path.last() != Some(&c.to)
            {
                path.push(c.to);
            }
        }
        path
    }
}

/// An agent in each state, with the ticket of its call.
fn in_state(state: State, settings: CentreSettings) -> (Bed, Option<Ticket>) {
    use State as S;
    let mut bed = Bed::ready(settings);
    let up = |bed: &mut Bed, steps: &[Engagement]| {
        let ticket = bed.begin(Part::Queue);
        for e in steps {
            bed.engaged(ticket, *e);
        }
        Some(ticket)
    };
    use Engagement as E;
    let talk = [E::Alerting, E::Answering, E::Talk(Variant::In)];
    let then = |e: &[E]| [&talk[..], e].concat();
    let ticket = match state {
        S::Offline => {
            bed = Bed::with(settings);
            None
        }
        S::Connecting => {
            bed = Bed::with(settings);
            bed.go(Input::Connect {
                client: PAGE,
                needs_device: true,
            });
            None
        }
        S::SignedOut => {
            bed.choose(Choice::SignOut);
            None
        }
        S::SignedIn => {
            bed.choose(Choice::SignOut);
            bed.agent.configure(
                CentreSettings {
                    start_ready: false,
                    ..settings
                },
                settings.wrap_up,
                groups(30),
            );
            bed.sign_in(DeviceMode::Devices, None);
            bed.agent.configure(settings, settings.wrap_up, groups(30));
            None
        }
        S::Ready => None,
        S::Break => {
            bed.choose(Choice::Break("lunch".into()));
            None
        }
        S::NotReady => {
            bed.choose(Choice::NotReady("letters".into()));
            None
        }
        S::WrapUp => {
            let ticket = up(&mut bed, &talk).unwrap();
            bed.fact(ticket, Fact::Ended);
            if settings.wrap_up == WrapUp::Off {
                bed.go(Input::AfterCall);
            }
            None
        }
        S::Reserved => up(&mut bed, &[]),
        S::Ringing => up(&mut bed, &talk[..1]),
        S::Answering => up(&mut bed, &talk[..2]),
        S::Dialing => {
            let ticket = bed.begin(Part::Own);
            bed.engaged(ticket, E::Dialing);
            Some(ticket)
        }
        S::TalkIn => up(&mut bed, &talk),
        S::TalkOut => {
            let ticket = bed.begin(Part::Own);
            bed.engaged(ticket, E::Dialing);
            bed.engaged(ticket, E::Talk(Variant::Out));
            Some(ticket)
        }
        S::TalkInternal => {
            let ticket = bed.begin(Part::Direct);
            bed.engaged(ticket, E::Talk(Variant::Internal));
            Some(ticket)
        }
        S::TalkConsulted => {
            let ticket = bed.begin(Part::Consult);
            bed.engaged(ticket, E::Talk(Variant::Consulted));
            Some(ticket)
        }
        S::Held => up(&mut bed, &then(&[E::Held])),
        S::ConsultDialing => up(&mut bed, &then(&[E::Held, E::ConsultDialing])),
        S::Consulting => up(&mut bed, &then(&[E::Held, E::ConsultDialing, E::Consulting])),
        S::ConsultSwapped => up(&mut bed, &then(&[E::Consulting, E::Swapped])),
        S::ConsultRetrieving => up(&mut bed, &then(&[E::Consulting, E::Retrieving])),
        S::Conference => up(&mut bed, &then(&[E::Consulting, E::Conference])),
        S::Monitoring => {
            let ticket = bed.begin(Part::Monitor);
            bed.engaged(ticket, E::Monitoring);
            Some(ticket)
        }
        S::Releasing => up(&mut bed, &then(&[E::Releasing])),
    };
    assert_eq!(bed.state(), state);
    bed.seen.clear();
    (bed, ticket)
}

fn inputs(ticket: Option<Ticket>) -> Vec<Input> {
    let ticket = ticket.unwrap_or(Ticket(1));
    let mut all = vec![
        Input::Disconnected(PAGE),
        Input::Resumed(PAGE),
        Input::Closed(PAGE),
        Input::DeviceUp,
        Input::DeviceLost,
        Input::DeviceFailed,
        Input::StopNotReady,
        Input::CallOnly(true),
        Input::CallOnly(false),
        Input::AfterCall,
        Input::Muted(true),
        Input::Reset,
        Input::Withdraw(ticket),
        Input::Withdraw(Ticket(9_999)),
        Input::Tick,
    ];
    for client in [PAGE, OTHER_PAGE, OTHER_FACE] {
        for needs_device in [false, true] {
            all.push(Input::Connect { client, needs_device });
        }
    }
    for mode in [DeviceMode::Devices, DeviceMode::Mobile] {
        let groups = groups(2);
        all.push(Input::SignIn {
            groups,
            mode,
            choice: None,
        });
    }
    let choices = [
        Choice::Ready,
        Choice::Break("tea".into()),
        Choice::NotReady(String::new()),
        Choice::SignOut,
    ];
    for choice in choices {
        all.push(Input::Choose(choice.clone()));
        for hang_up in [false, true] {
            all.push(Input::Force {
                choice: choice.clone(),
                hang_up,
            });
        }
    }
    for part in Part::ALL {
        all.push(Input::Begin {
            ticket: Ticket(1_000),
            part,
            ring_secs: 30,
        });
    }
    let mut facts = vec![
        Fact::DeviceFailed,
        Fact::Rejected,
        Fact::Expired,
        Fact::CallerGone,
        Fact::MediaFailed,
        Fact::Ended,
    ];
    facts.extend(Engagement::ALL.map(Fact::Engaged));
    for fact in facts {
        all.push(Input::Call(ticket, fact));
        all.push(Input::Call(Ticket(9_999), fact));
    }
    all
}

fn profiles() -> Vec<CentreSettings> {
    let base = CentreSettings::default();
    vec![
        base,
        CentreSettings {
            no_answer: NoAnswer::Ready,
            wrap_up: WrapUp::Manual,
            pending_skips_wrap_up: true,
            return_to_break: true,
            second_sign_in: SecondSignIn::Refuse,
            ..base
        },
        CentreSettings {
            no_answer: NoAnswer::NotReady,
            wrap_up: WrapUp::Off,
            pending_break: false,
            second_sign_in: SecondSignIn::Break,
            training: true,
            ..base
        },
    ]
}

fn sound(agent: &Agent, what: &str) {
    let s = agent.state();
    // I2: an open participation and an engaged state are the same thing, but for the moment of release.
    if s.is_engaged() && s != State::Releasing {
        assert!(agent.ticket().is_some(), "{what}: engaged without a call in {s:?}");
    }
    if !s.is_engaged() {
        assert!(agent.ticket().is_none(), "{what}: a call is open in {s:?}");
    }
    if agent.is_offerable() {
        assert_eq!(s, State::Ready, "{what}");
    }
    // I34: nobody could end it.
    if !agent.has_client() && s == State::WrapUp {
        assert!(agent.next_deadline().is_some(), "{what}: wrap-up for ever");
    }
}

/// Two inputs in a row, in every state and with every profile: a defined result each time, and time brings the agent out
/// of everything that waits for somebody else.
// accept: domain-model I2, I31, I32, I34
#[test]
fn every_input_in_every_state() {
    let mut pairs = 0;
    for settings in profiles() {
        for state in State::ALL {
            let (start, ticket) = in_state(state, settings);
            let all = inputs(ticket);
            for first in &all {
                let mut bed = Bed {
                    agent: start.agent.clone(),
                    now: start.now,
                    next: start.next,
                    seen: Vec::new(),
                };
                let before = format!("{:?}", bed.agent);
                let what = format!("{state:?}, {first:?}");
                if bed.try_go(first.clone()).is_err() {
                    assert_eq!(format!("{:?}", bed.agent), before, "{what}: a refusal changes nothing");
                }
                sound(&bed.agent, &what);
                for second in &all {
                    let mut agent = bed.agent.clone();
                    let _ = agent.handle(second.clone(), bed.now.plus_ms(5));
                    sound(&agent, &format!("{what}, {second:?}"));
                    pairs += 1;
                }
                // Nothing more happens: what waits for somebody is left within its bound.
                let bounded = |s: State| {
                    use State as S;
                    matches!(
                        s,
                        S::Connecting
                            | S::Reserved
                            | S::Ringing
                            | S::Answering
                            | S::Dialing
                            | S::ConsultDialing
                            | S::ConsultRetrieving
                            | S::Releasing
                    )
                };
                let was = bed.state();
                bed.pass(15 * 60);
                assert!(!bounded(bed.state()), "{what}: {was:?} for ever");
                sound(&bed.agent, &what);
            }
        }
    }
    assert!(pairs > 100_000, "{pairs}");
}

/// What is shown as allowed is accepted, and the other way round.
// accept: domain-model I23
#[test]
fn flags_say_what_is_accepted() {
    for settings in profiles() {
        for state in State::ALL {
            let (bed, _) = in_state(state, settings);
            for (verb, input) in [
                (Verb::SignOut, Input::Choose(Choice::SignOut)),
                (Verb::Ready, Input::Choose(Choice::Ready)),
                (Verb::Break, Input::Choose(Choice::Break("tea".into()))),
                (Verb::NotReady, Input::Choose(Choice::NotReady(String::new()))),
                (Verb::AfterCall, Input::AfterCall),
                (Verb::CallOnly, Input::CallOnly(true)),
                (
                    Verb::SignIn,
                    Input::SignIn {
                        groups: groups(2),
                        mode: DeviceMode::Devices,
                        choice: None,
                    },
                ),
                (
                    Verb::Dial,
                    Input::Begin {
                        ticket: Ticket(77),
                        part: Part::Own,
                        ring_secs: 30,
                    },
                ),
                (
                    Verb::Monitor,
                    Input::Begin {
                        ticket: Ticket(77),
                        part: Part::Monitor,
                        ring_secs: 30,
                    },
                ),
            ] {
                let flag = bed.agent.check(verb).is_ok();
                let done = bed.agent.clone().handle(input, bed.now).is_ok();
                assert_eq!(flag, done, "{verb:?} in {state:?}");
            }
        }
    }
}

#[test]
fn a_call_of_the_queue_from_reservation_to_ready() {
    let mut bed = Bed::ready(CentreSettings::default());
    bed.seen.clear();
    let t = bed.begin(Part::Queue);
    for e in [
        Engagement::Alerting,
        Engagement::Answering,
        Engagement::Talk(Variant::In),
        Engagement::Held,
        Engagement::Talk(Variant::In),
        Engagement::Releasing,
    ] {
        bed.engaged(t, e);
    }
    bed.fact(t, Fact::Ended);
    bed.pass(15);
    use State as S;
    let path = [
        S::Reserved,
        S::Ringing,
        S::Answering,
        S::TalkIn,
        S::Held,
        S::TalkIn,
        S::Releasing,
        S::WrapUp,
        S::Ready,
    ];
    assert_eq!(bed.path(), path);
}

/// 13, 61 and K6: what a missed call does.
// accept: domain-model M40
#[test]
fn missed_calls() {
    for (policy, after) in [
        (NoAnswer::Break, State::Break),
        (NoAnswer::Ready, State::Ready),
        (NoAnswer::NotReady, State::NotReady),
    ] {
        let mut bed = Bed::ready(CentreSettings {
            no_answer: policy,
            ..CentreSettings::default()
        });
        let t = bed.begin(Part::Queue);
        bed.engaged(t, Engagement::Alerting);
        bed.pass(29);
        assert_eq!(bed.state(), State::Ringing);
        bed.pass(1);
        assert_eq!(bed.state(), after);
        assert_eq!(bed.unanswered(), [Unanswered::Expired]);
    }
    // A telephone without a client is never left on a break that nobody can end; the third miss takes it off duty.
    let mut bed = Bed::with(CentreSettings::default());
    bed.sign_in(DeviceMode::Mobile, None);
    for n in 1..=3 {
        assert_eq!(bed.state(), State::Ready);
        let t = bed.begin(Part::Queue);
        bed.engaged(t, Engagement::Alerting);
        bed.pass(30);
        assert_eq!(bed.unanswered().len(), n);
    }
    assert_eq!(bed.state(), State::Offline);
    assert!(bed.path().contains(&State::SignedOut));
    assert!(bed.seen.contains(&Output::Alert(Alert::MobileMisses)));
    assert!(!bed.path().contains(&State::Break));
}

/// 41: a device that fails before it alerts is no fault of the agent's.
// accept: domain-model M32
#[test]
fn a_device_that_fails_before_it_alerts() {
    for late in [false, true] {
        let mut bed = Bed::ready(CentreSettings::default());
        let t = bed.begin(Part::Queue);
        if late {
            bed.pass(10);
        } else {
            bed.fact(t, Fact::DeviceFailed);
        }
        assert_eq!(bed.state(), State::Ready);
        assert_eq!(bed.unanswered(), [Unanswered::Device]);
        assert!(bed.agent.overlays().device_lost && !bed.agent.is_offerable());
        let mut registers = bed.agent.clone();
        registers.handle(Input::DeviceUp, bed.now).unwrap();
        assert!(registers.is_offerable());
        bed.pass(60);
        assert!(bed.agent.is_offerable(), "tried again after a minute");
    }
}

/// 43: what rings nothing yet may be turned away from.
// accept: domain-model M44
#[test]
fn a_reserved_agent_turns_to_something_else() {
    for (choice, after) in [
        (Choice::Break("tea".into()), State::Break),
        (Choice::NotReady(String::new()), State::NotReady),
        (Choice::SignOut, State::SignedOut),
    ] {
        let (mut bed, ticket) = in_state(State::Reserved, CentreSettings::default());
        bed.choose(choice);
        assert_eq!(bed.state(), after);
        assert_eq!(bed.unanswered(), [Unanswered::Withdrawn]);
        // What the call says afterwards is about nothing.
        bed.engaged(ticket.unwrap(), Engagement::Alerting);
        assert_eq!(bed.state(), after);
    }
    let (mut bed, _) = in_state(State::Reserved, CentreSettings::default());
    bed.begin(Part::Own);
    assert_eq!(bed.unanswered(), [Unanswered::Withdrawn]);
    assert_eq!(bed.state(), State::Reserved);
}

// accept: domain-model M27
#[test]
fn a_break_in_a_call_begins_after_it() {
    let (mut bed, ticket) = in_state(State::TalkIn, CentreSettings::default());
    bed.choose(Choice::Break("lunch".into()));
    assert_eq!(bed.state(), State::TalkIn);
    bed.fact(ticket.unwrap(), Fact::Ended);
    assert_eq!(bed.state(), State::WrapUp);
    bed.pass(15);
    assert_eq!((bed.state(), bed.agent.reason()), (State::Break, "lunch"));
    // K47: without the wrap-up.
    let skipping = CentreSettings {
        pending_skips_wrap_up: true,
        ..CentreSettings::default()
    };
    let (mut bed, ticket) = in_state(State::TalkIn, skipping);
    bed.choose(Choice::Break("lunch".into()));
    bed.fact(ticket.unwrap(), Fact::Ended);
    assert_eq!(bed.state(), State::Break);
    // Ready takes the wish back.
    let (mut bed, ticket) = in_state(State::TalkIn, skipping);
    bed.choose(Choice::SignOut);
    bed.choose(Choice::Ready);
    bed.fact(ticket.unwrap(), Fact::Ended);
    assert_eq!(bed.state(), State::WrapUp);
    // K42: an application that does not remember refuses.
    let strict = CentreSettings {
        pending_break: false,
        ..CentreSettings::default()
    };
    let (mut bed, _) = in_state(State::TalkIn, strict);
    assert!(bed.try_go(Input::Choose(Choice::Break("lunch".into()))).is_err());
}

// accept: domain-model M26
#[test]
fn sign_in_names_at_most_twenty_groups_and_one_that_it_has() {
    let sign_in = |groups: Vec<GroupId>| Input::SignIn {
        groups,
        mode: DeviceMode::Devices,
        choice: None,
    };
    let (mut bed, _) = in_state(State::SignedOut, CentreSettings::default());
    assert_eq!(bed.try_go(sign_in(groups(21))), Err(Refusal::Groups));
    assert_eq!(bed.try_go(sign_in(vec![GroupId(99)])), Err(Refusal::NoGroup));
    bed.go(sign_in(groups(20)));
    assert_eq!(bed.agent.groups().len(), 20);
}

/// 40: a reset frees an agent in any state.
// accept: domain-model M29
#[test]
fn a_reset_frees_the_agent() {
    for state in State::ALL {
        let (mut bed, ticket) = in_state(state, CentreSettings::default());
        bed.go(Input::Reset);
        let want = if state == State::Offline {
            State::Offline
        } else {
            State::SignedOut
        };
        assert_eq!(bed.state(), want, "{state:?}");
        let ends = |o: &Output| matches!(o, Output::End { ticket: t, cause: Cause::Admin } if Some(*t) == ticket);
        if state.is_engaged() && !matches!(state, State::Reserved | State::Ringing) {
            assert!(bed.seen.iter().any(ends), "{state:?}: its legs are ended");
        }
    }
}

/// 37 and 38: a connection that is lost ends the duty after the grace time, and not the call.
#[test]
fn a_lost_connection() {
    let (mut bed, _) = in_state(State::Ready, CentreSettings::default());
    bed.go(Input::Disconnected(PAGE));
    assert!(bed.agent.overlays().lost);
    bed.pass(59);
    bed.go(Input::Resumed(PAGE));
    bed.pass(600);
    assert_eq!(bed.state(), State::Ready);
    bed.go(Input::Disconnected(PAGE));
    bed.pass(60);
    assert_eq!(bed.state(), State::Offline);
    assert!(bed.path().ends_with(&[State::SignedOut, State::Offline]));

    let (mut bed, ticket) = in_state(State::TalkIn, CentreSettings::default());
    bed.go(Input::Disconnected(PAGE));
    bed.pass(3_600);
    assert_eq!(bed.state(), State::TalkIn, "the call goes on");
    bed.fact(ticket.unwrap(), Fact::Ended);
    assert_eq!(bed.state(), State::Offline);
}

/// K52, 63: a client of the same face takes the place of the older one; another face shares the duty.
// accept: domain-model I22, M54
#[test]
fn clients_share_a_duty_or_take_it_over() {
    let connect = |client| Input::Connect {
        client,
        needs_device: false,
    };
    let (mut bed, _) = in_state(State::TalkIn, CentreSettings::default());
    bed.go(connect(OTHER_FACE));
    assert!(!bed.seen.iter().any(|o| matches!(o, Output::Kicked(_))));
    // Only the device of the later one rings from now on, and whoever follows the agent is told; off duty all ring again.
    let later = Some(DeviceId(7));
    bed.go(Input::RingAt(later));
    let told = |o: &Output| matches!(o, Output::Changed(c) if c.overlays.device == later);
    assert!(bed.seen.last().is_some_and(told));
    assert_eq!(bed.agent.overlays().device, later);
    bed.go(connect(OTHER_PAGE));
    assert!(bed.seen.contains(&Output::Kicked(PAGE)));
    assert_eq!(bed.state(), State::TalkIn);
    let refuse = CentreSettings {
        second_sign_in: SecondSignIn::Refuse,
        ..CentreSettings::default()
    };
    let (mut bed, _) = in_state(State::TalkIn, refuse);
    assert_eq!(bed.try_go(connect(OTHER_PAGE)), Err(Refusal::Elsewhere));
    let (mut bed, ticket) = in_state(
        State::TalkIn,
        CentreSettings {
            second_sign_in: SecondSignIn::Break,
            ..CentreSettings::default()
        },
    );
    bed.go(connect(OTHER_PAGE));
    let ended = Output::End {
        ticket: ticket.unwrap(),
        cause: Cause::Admin,
    };
    assert!(bed.seen.contains(&ended));
}

/// 58: a device that is lost outside calls ends the duty in the end; inside, nothing happens (I38).
#[test]
fn a_lost_device() {
    let (mut bed, _) = in_state(State::Break, CentreSettings::default());
    bed.go(Input::DeviceLost);
    bed.pass(59);
    assert_eq!(bed.state(), State::Break);
    bed.pass(1);
    assert_eq!(bed.state(), State::SignedOut);
    let (mut bed, ticket) = in_state(State::TalkIn, CentreSettings::default());
    bed.go(Input::DeviceLost);
    bed.pass(600);
    assert_eq!(bed.state(), State::TalkIn);
    bed.fact(ticket.unwrap(), Fact::Ended);
    bed.pass(60);
    assert_eq!(bed.state(), State::SignedOut);
    // 57.
    let (mut bed, _) = in_state(State::Ringing, CentreSettings::default());
    bed.go(Input::DeviceLost);
    bed.pass(4);
    bed.go(Input::DeviceUp);
    bed.pass(10);
    assert_eq!(bed.state(), State::Ringing);
    bed.go(Input::DeviceLost);
    bed.pass(5);
    assert_eq!(bed.state(), State::Ready);
    assert_eq!(bed.unanswered(), [Unanswered::Device]);
}

/// I8: the states of a duty follow one another without a gap or an overlap.
// accept: domain-model I8
#[test]
fn states_partition_the_time() {
    let mut bed = Bed::ready(CentreSettings::default());
    for n in 0..50u64 {
        let t = bed.begin(if n % 3 == 0 { Part::Own } else { Part::Queue });
        bed.pass(n % 7);
        bed.engaged(t, Engagement::Alerting);
        bed.pass(n % 11);
        bed.engaged(t, Engagement::Talk(Variant::In));
        bed.pass(n);
        bed.fact(t, Fact::Ended);
        bed.pass(n % 20);
        if bed.state() != State::Ready {
            bed.choose(Choice::Ready);
        }
    }
    let mut at = (State::Offline, T0);
    let mut total = 0;
    for o in &bed.seen {
        if let Output::Changed(c) = o {
            assert_eq!(c.from, at.0, "no gap");
            assert!(c.at >= at.1, "no overlap");
            total += c.at.ms_since(at.1);
            at = (c.to, c.at);
        }
    }
    total += bed.now.ms_since(at.1);
    assert_eq!(total, bed.now.ms_since(T0));
}

/// 60: a restart in every state.
// accept: domain-model M41, I19
#[test]
fn a_restart_in_every_state() {
    for settings in profiles() {
        for state in State::ALL {
            let (old, _) = in_state(state, settings);
            let deadline = old.agent.keep().wrap_up_until;
            let mut bed = Bed::with(settings);
            bed.now = old.now.plus_ms(1_500);
            let out = bed.agent.restore(old.agent.keep(), bed.now);
            bed.seen.extend(out);
            let now = bed.state();
            assert!(
                bed.agent.ticket().is_none() && !now.is_engaged(),
                "{state:?} became {now:?}"
            );
            match state {
                State::Connecting => assert_eq!(now, State::Offline),
                s if !s.is_engaged() => assert_eq!(now, state),
                State::Reserved | State::Ringing | State::Answering => assert_eq!(now, State::Ready),
                _ => assert!(now.is_idle()),
            }
            if state == State::WrapUp {
                assert_eq!(bed.agent.keep().wrap_up_until, deadline, "the deadline is the old one");
            }
            sound(&bed.agent, &format!("{state:?}"));
            // The client comes back: the duty goes on. It does not: the duty is over.
            if now != State::Offline {
                assert!(bed.agent.overlays().lost, "{state:?}");
            }
            let mut gone = bed.agent.clone();
            while let Some(at) = gone.next_deadline() {
                gone.handle(Input::Tick, at).unwrap();
            }
            assert_eq!(gone.state(), State::Offline, "{state:?}");
            bed.go(Input::Connect {
                client: PAGE,
                needs_device: false,
            });
            bed.pass(600);
            assert_eq!(bed.state().is_off_duty(), state.is_off_duty(), "{state:?}");
        }
    }
}
