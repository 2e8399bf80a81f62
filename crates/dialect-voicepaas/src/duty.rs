//! Agents' states as the browser telephone of this dialect shows them (voice-paas 14.4, 14.6; domain-model §4.3), and which
//! kinds of legs a call has for it (14.5): pure functions of an agent's log and of the call record.

use strowger_core::centre::agent::{Change, Part, State};
use strowger_core::event::{Direction, Kind, Outcome};
use strowger_core::{AgentId, ConversationRecord, LegSeq};

/// The reason that the core gives an agent which let a call ring out.
const NO_ANSWER: &str = "no answer";

/// `data.workStatus` of `initial`: 0 off duty, 1 ready, 2 not ready. `before` is the state before a reservation.
pub const fn work_status(state: State, before: State) -> u8 {
    match state {
        State::Offline | State::Connecting | State::SignedOut => 0,
        State::SignedIn | State::Break | State::NotReady | State::WrapUp => 2,
        State::Reserved => match before {
            State::Reserved => 1,
            other => work_status(other, other),
        },
        _ => 1,
    }
}

/// The canonical state of a word and a cause of this dialect; `None` for words that it does not know.
pub fn state_of(work_status: &str, pause_cause: &str) -> Option<State> {
    match (work_status, pause_cause) {
        ("ready", _) => Some(State::Ready),
        ("pause", "wrapup") => Some(State::WrapUp),
        ("pause", "no-answer") => Some(State::NotReady),
        ("pause", _) => Some(State::Break),
        _ => None,
    }
}

/// One `onStatusEvent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusEvent {
    /// `login`, `logout`, `ready`, `autoReady`, `pause` or `completed`.
    pub name: &'static str,
    /// `ready`, `pause`, or empty for `login` and `logout`.
    pub work_status: &'static str,
    /// Why paused, or why ready.
    pub cause: String,
    /// Seconds of wrap-up, with `wrapup`.
    pub wrap_up: Option<u64>,
}

/// The events of a log. While an agent is in a call it is shown as before, so a call makes no event until it is over.
pub fn status_events(log: &[Change]) -> Vec<StatusEvent> {
    let mut events = Vec::new();
    let mut shown: Option<(&'static str, String)> = None;
    let mut until = None;
    for change in log {
        let event = |name, work_status, cause: &str| StatusEvent {
            name,
            work_status,
            cause: cause.to_owned(),
            wrap_up: None,
        };
        let made = match change.to {
            State::SignedIn => {
                shown = None;
                Some(event("login", "", ""))
            }
            s if s.is_off_duty() => {
                let was_on = !change.from.is_off_duty();
                shown = None;
                was_on.then(|| event("logout", "", ""))
            }
            State::Ready if change.from == State::WrapUp && until.is_some_and(|u| change.at >= u) => {
                Some(event("autoReady", "ready", "wrapup"))
            }
            State::Ready => Some(event("ready", "ready", "")),
            State::NotReady if change.reason == NO_ANSWER => Some(event("pause", "pause", "no-answer")),
            State::Break | State::NotReady => Some(event("pause", "pause", &change.reason)),
            State::WrapUp => Some(StatusEvent {
                wrap_up: change.until.map(|u| u.ms_since(change.at) / 1000),
                ..event("completed", "pause", "wrapup")
            }),
            _ => None,
        };
        until = change.until;
        let Some(made) = made else { continue };
        let now = (made.work_status, made.cause.clone());
        let same = shown
            .as_ref()
            .is_some_and(|(w, c)| *w == now.0 && (*w == "ready" || *c == now.1));
        if !made.work_status.is_empty() {
            shown = Some(now);
        }
        if !same {
            events.push(made);
        }
    }
    events
}

/// `callType`: 1 dial-in, 2 back-end outbound, 3 dialled on the telephone, 4 by a click; `None` for what a browser telephone
/// never sees, and for calls between agents, which the dialect does not know. Calls of kind 2 are not made yet.
pub fn call_type(record: &ConversationRecord) -> Option<u8> {
    let dialled = record.legs.first().is_some_and(|l| l.direction == Direction::Incoming);
    match record.head.kind {
        Kind::Inbound => Some(1),
        Kind::Outbound if dialled => Some(3),
        Kind::Outbound | Kind::ClickToCall | Kind::Callback => Some(4),
        Kind::Internal | Kind::Notice | Kind::Captcha => None,
    }
}

/// Whether a `callSubtype` occurs with a `callType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occurs {
    /// In every such call.
    Always,
    /// It may.
    Sometimes,
    /// Never.
    Never,
}

/// The matrix of voice-paas 14.5.
pub const fn occurs(call_type: u8, subtype: u8) -> Occurs {
    match (call_type, subtype) {
        (3 | 4, 1) | (1 | 2, 2) => Occurs::Always,
        (4, 2) | (1..=4, 3..=5) => Occurs::Sometimes,
        _ => Occurs::Never,
    }
}

/// What a leg is to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Who sees it.
    pub agent: AgentId,
    /// Which leg.
    pub leg: LegSeq,
    /// `callSubtype`: 1 call to the user, 2 call to the agent, 3 transfer, 4 consult in, 5 consult out.
    pub subtype: u8,
    /// `coAgentNo`: the other agent of a transfer or a consultation.
    pub with: Option<AgentId>,
}

/// The legs of a call as its agents' browser telephones see them, in the order in which they began.
pub fn seen(record: &ConversationRecord) -> Vec<Seen> {
    let Some(call_type) = call_type(record) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (n, part) in record.parts.iter().enumerate() {
        // Whoever had the call before: the newest part that had been accepted by then.
        let before = record.parts[..n]
            .iter()
            .rev()
            .find(|p| p.accepted.is_some() && p.agent != part.agent);
        let one = |subtype, with| Seen {
            agent: part.agent,
            leg: part.leg,
            subtype,
            with,
        };
        match part.kind {
            Part::Queue | Part::Direct | Part::OffDuty => {
                match before.filter(|p| p.outcome == Some(Outcome::Transferred)) {
                    Some(other) => all.push(one(3, Some(other.agent))),
                    None if occurs(call_type, 2) != Occurs::Never => all.push(one(2, None)),
                    None => {}
                }
            }
            Part::Consult => {
                let other = before.map(|p| p.agent);
                all.push(one(4, other));
                if let Some(other) = other {
                    all.push(Seen {
                        agent: other,
                        leg: part.leg,
                        subtype: 5,
                        with: Some(part.agent),
                    });
                }
            }
            Part::Own => {
                if call_type == 4 {
                    all.push(one(2, None));
                }
                let user = record
                    .legs
                    .iter()
                    .find(|l| l.seq != part.leg && l.direction == Direction::Outgoing);
                all.extend(user.map(|leg| Seen {
                    agent: part.agent,
                    leg: leg.seq,
                    subtype: 1,
                    with: None,
                }));
            }
            Part::Monitor => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use State as S;
    use strowger_core::centre::agent::{Engagement, Overlays, Variant};
    use strowger_core::event::{Created, RecordMode};
    use strowger_core::{ApplicationId, ConversationId, Event, Fact, QueueId, Role, Stamp, TenantId};

    fn change(from: State, to: State, reason: &str, at: i64, until: Option<i64>) -> Change {
        Change {
            from,
            to,
            reason: reason.into(),
            until: until.map(|u| Stamp(u * 1000)),
            overlays: Overlays::default(),
            at: Stamp(at * 1000),
        }
    }

    fn told(log: &[Change]) -> Vec<(&'static str, &'static str, String)> {
        let all = status_events(log).into_iter();
        all.map(|e| (e.name, e.work_status, e.cause)).collect()
    }

    /// Each state has one number; those that share one are told apart by the cause, except what the source itself merges.
    // accept: domain-model M1, M2
    #[test]
    fn numbers_and_causes_tell_states_apart() {
        for s in State::ALL.into_iter().filter(|s| *s != S::Reserved) {
            let want = match s {
                s if s.is_off_duty() => 0,
                S::SignedIn | S::Break | S::NotReady | S::WrapUp => 2,
                _ => 1,
            };
            assert_eq!(work_status(s, s), want, "{s:?}");
            assert_eq!(work_status(S::Reserved, s), want);
        }
        for (word, cause, state) in [
            ("ready", "", S::Ready),
            ("ready", "wrapup", S::Ready),
            ("pause", "wrapup", S::WrapUp),
            ("pause", "no-answer", S::NotReady),
            ("pause", "wc", S::Break),
        ] {
            assert_eq!(state_of(word, cause), Some(state));
            let reason = if state == S::NotReady { NO_ANSWER } else { cause };
            let log = [change(S::SignedIn, state, reason, 1, None)];
            if cause != "wrapup" || state == S::WrapUp {
                assert_eq!(told(&log)[0].1, word);
                assert_eq!(told(&log)[0].2, cause);
            }
        }
        assert_eq!(state_of("busy", ""), None);
    }

    #[test]
    fn a_shift_as_its_events() {
        let log = [
            change(S::SignedOut, S::SignedIn, "", 0, None),
            change(S::SignedIn, S::Ready, "", 0, None),
            change(S::Ready, S::Reserved, "", 5, None),
            change(S::Reserved, S::Ringing, "", 5, None),
            change(S::Ringing, S::TalkIn, "", 8, None),
            change(S::TalkIn, S::Releasing, "", 30, None),
            change(S::Releasing, S::WrapUp, "", 30, Some(45)),
            change(S::WrapUp, S::Ready, "", 45, None),
            change(S::Ready, S::Ringing, "", 50, None),
            change(S::Ringing, S::Ready, "", 52, None),
            change(S::Ready, S::Ringing, "", 60, None),
            change(S::Ringing, S::NotReady, NO_ANSWER, 90, None),
            change(S::NotReady, S::Break, "wc", 95, None),
            change(S::Break, S::SignedOut, "", 99, None),
        ];
        let want = [
            ("login", "", ""),
            ("ready", "ready", ""),
            ("completed", "pause", "wrapup"),
            ("autoReady", "ready", "wrapup"),
            ("pause", "pause", "no-answer"),
            ("pause", "pause", "wc"),
            ("logout", "", ""),
        ];
        let seen = told(&log);
        let seen: Vec<_> = seen.iter().map(|(n, w, c)| (*n, *w, c.as_str())).collect();
        assert_eq!(seen, want);
        assert_eq!(status_events(&log)[2].wrap_up, Some(15));
        // Cut short by hand: it is not automatic.
        let mut early = log[..8].to_vec();
        early[7].at = Stamp(40_000);
        assert_eq!(told(&early)[3].0, "ready");
    }

    struct Bed(ConversationRecord);

    impl Bed {
        fn new(kind: Kind) -> Bed {
            let created = Fact::Created(Box::new(Created {
                tenant: TenantId(1),
                application: ApplicationId(1),
                account: None,
                kind,
                ani: String::new(),
                dnis: String::new(),
                user_data: String::new(),
                max_duration: None,
                record: RecordMode::None,
                subscriptions: Vec::new(),
            }));
            let first = Event {
                conversation: ConversationId(1 << 16),
                seq: 1,
                at: Stamp(0),
                fact: created,
            };
            Bed(ConversationRecord::open(&first).unwrap())
        }

        fn go(&mut self, fact: Fact) {
            let event = Event {
                conversation: self.0.id,
                seq: self.0.seq + 1,
                at: self.0.last_at.plus_secs(1),
                fact,
            };
            self.0.apply(&event).unwrap();
        }

        fn leg(&mut self, direction: Direction, role: Role) -> LegSeq {
            let leg = LegSeq(self.0.legs.len() as u16);
            let (from, to) = (String::new(), String::new());
            self.go(Fact::LegCreated {
                leg,
                role,
                direction,
                from,
                to,
            });
            leg
        }

        fn part(&mut self, agent: u128, leg: LegSeq, kind: Part, queue: Option<QueueId>) -> u16 {
            let part = self.0.parts.len() as u16;
            self.go(Fact::PartBegan {
                part,
                agent: AgentId(agent),
                leg,
                kind,
                queue,
            });
            part
        }

        fn talks(&mut self, part: u16) {
            let engagement = Engagement::Talk(Variant::In);
            self.go(Fact::PartEngaged { part, engagement });
        }

        fn pairs(&self) -> Vec<(u8, u8)> {
            let call_type = call_type(&self.0).unwrap();
            seen(&self.0).iter().map(|s| (call_type, s.subtype)).collect()
        }
    }

    // accept: domain-model M15
    #[test]
    fn pairs_of_type_and_subtype_are_those_of_the_matrix() {
        let out = Direction::Outgoing;
        // Dialled in, asked, handed over.
        let mut bed = Bed::new(Kind::Inbound);
        bed.leg(Direction::Incoming, Role::Customer);
        let leg = bed.leg(out, Role::Agent);
        let a = bed.part(1, leg, Part::Queue, Some(QueueId(1)));
        bed.talks(a);
        let leg = bed.leg(out, Role::Agent);
        let b = bed.part(2, leg, Part::Consult, None);
        bed.talks(b);
        let outcome = Outcome::Transferred;
        bed.go(Fact::PartEnded { part: a, outcome });
        assert_eq!(bed.pairs(), [(1, 2), (1, 4), (1, 5)]);
        assert_eq!(seen(&bed.0)[1].with, Some(AgentId(1)));
        assert_eq!(seen(&bed.0)[2].with, Some(AgentId(2)));
        let leg = bed.leg(out, Role::Agent);
        bed.go(Fact::PartEnded { part: b, outcome });
        bed.part(3, leg, Part::Direct, None);
        assert_eq!(bed.pairs().last(), Some(&(1, 3)));
        // Offered to one who does not answer, then to another: no transfer.
        let mut missed = Bed::new(Kind::Inbound);
        missed.leg(Direction::Incoming, Role::Customer);
        let leg = missed.leg(out, Role::Agent);
        let a = missed.part(1, leg, Part::Queue, Some(QueueId(1)));
        let outcome = Outcome::Expired;
        missed.go(Fact::PartEnded { part: a, outcome });
        let leg = missed.leg(out, Role::Agent);
        missed.part(2, leg, Part::Queue, Some(QueueId(1)));
        assert_eq!(missed.pairs(), [(1, 2), (1, 2)]);
        // By a click: the own telephone first, then the user.
        let mut click = Bed::new(Kind::Outbound);
        let leg = click.leg(out, Role::Agent);
        click.part(1, leg, Part::Own, None);
        click.leg(out, Role::Callee);
        assert_eq!(click.pairs(), [(4, 2), (4, 1)]);
        // On the telephone: only the user.
        let mut dialled = Bed::new(Kind::Outbound);
        let leg = dialled.leg(Direction::Incoming, Role::Agent);
        dialled.part(1, leg, Part::Own, None);
        dialled.leg(out, Role::Callee);
        assert_eq!(dialled.pairs(), [(3, 1)]);
        for bed in [bed, missed, click, dialled] {
            let pairs = bed.pairs();
            let call_type = pairs[0].0;
            assert!(pairs.iter().all(|(t, s)| occurs(*t, *s) != Occurs::Never), "{pairs:?}");
            for s in 1..=5 {
                let always = occurs(call_type, s) == Occurs::Always;
                assert!(!always || pairs.contains(&(call_type, s)), "{pairs:?}");
            }
        }
        let never: Vec<(u8, u8)> = (1..=4)
            .flat_map(|t| (1..=5).map(move |s| (t, s)))
            .filter(|(t, s)| occurs(*t, *s) == Occurs::Never)
            .collect();
        assert_eq!(never, [(1, 1), (2, 1), (3, 2)]);
        assert_eq!(call_type(&Bed::new(Kind::Notice).0), None);
    }
}
