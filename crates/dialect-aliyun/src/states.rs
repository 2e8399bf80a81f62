//! Agents' states as the hotline SDKs and the workbench SDK show them.
//!
//! The two number their states alike up to 4 and differently from there on (K1): each has its own table. What an agent's log says
//! becomes what a client is told by [`hotline`] and [`workbench`], which are the same for the same log.

use strowger_core::centre::agent::{Change, State};

/// The status number of the older hotline SDK; `None` for a supervisor that listens, which it does not know.
pub const fn hotline_number(state: State) -> Option<i8> {
    Some(match state {
        State::Monitoring => return None,
        State::Offline | State::Connecting => -1,
        State::SignedOut => 1,
        State::SignedIn => 2,
        State::Ready | State::Reserved => 3,
        State::Break | State::NotReady => 4,
        State::Releasing => 5,
        State::WrapUp => 6,
        State::Ringing => 7,
        State::Answering => 8,
        State::Dialing => 9,
        State::TalkIn => 10,
        State::TalkOut => 11,
        State::TalkInternal => 12,
        State::TalkConsulted => 13,
        State::Held => 14,
        State::ConsultDialing => 16,
        State::Consulting | State::ConsultSwapped => 17,
        State::ConsultRetrieving => 18,
        State::Conference => 19,
    })
}

/// The call code of the newer hotline SDK; `None` where only the basic code is told.
pub const fn hotline_event(state: State) -> Option<&'static str> {
    Some(match state {
        State::Offline | State::Connecting | State::Monitoring => return None,
        State::SignedOut => "AgentCheckout",
        State::SignedIn => "AgentCheckin",
        State::Ready | State::Reserved => "AgentReady",
        State::Break | State::NotReady => "AgentBreak",
        State::Ringing => "AgentRinging",
        State::Answering => "AgentCallAnswerRequest",
        State::Dialing => "AgentCallDialOut",
        State::TalkIn => "AgentCallInboundEstablish",
        State::TalkOut => "AgentCallOutBoundEstablish",
        State::TalkInternal => "AgentCallInternalBoundEstablish",
        State::TalkConsulted => "AgentCallConsultEstablish",
        State::Held => "AgentCallHeld",
        State::ConsultDialing => "AgentCallConferenceWaitAnswer",
        State::Consulting | State::ConsultSwapped => "AgentCallThirdConsult",
        State::ConsultRetrieving => "AgentThirdRetrieveRequest",
        State::Conference => "AgentCallConference",
        State::Releasing => "AgentCallRelease",
        State::WrapUp => "AgentAcw",
    })
}

/// The coarse code of the hotline SDKs: what an agent does outside calls as itself, every call as one.
pub const fn hotline_basic(state: State) -> &'static str {
    match state {
        State::Offline | State::Connecting | State::SignedOut => "AgentCheckout",
        State::SignedIn => "AgentCheckin",
        State::Ready | State::Reserved => "AgentReady",
        State::Break | State::NotReady => "AgentBreak",
        State::WrapUp => "AgentAcw",
        _ => "AgentBusyForCall",
    }
}

/// The status code of the workbench SDK. An agent that takes no calls by choice is ready with the outbound-only flag, unless it is
/// in a training.
pub const fn workbench_code(state: State, training: bool) -> i8 {
    match state {
        State::Offline => -1,
        State::Connecting => 0,
        State::SignedOut => 1,
        State::SignedIn => 2,
        State::NotReady if training => 4,
        State::Ready | State::NotReady | State::Reserved => 3,
        State::Break => 4,
        State::Releasing | State::WrapUp => 5,
        State::Ringing | State::Answering => 6,
        State::Dialing => 8,
        State::TalkIn => 9,
        State::TalkOut => 10,
        State::TalkInternal => 11,
        State::Held => 12,
        State::ConsultDialing => 16,
        State::Consulting | State::ConsultRetrieving => 17,
        State::ConsultSwapped => 18,
        State::Conference => 19,
        State::TalkConsulted => 20,
        State::Monitoring => 21,
    }
}

/// The label of a workbench code.
pub const fn workbench_label(code: i8) -> &'static str {
    match code {
        -1..=1 => "off",
        2 => "logIn",
        3 => "ready",
        4 => "break",
        6 => "callComing",
        8 => "dialingCall",
        9..=12 => "inCall",
        21 => "monitoring",
        _ => "other",
    }
}

/// How a call ended for an agent, as the workbench's `onHangUp` tells it; `None` where nothing was hung up.
pub const fn workbench_hang_up(change: &Change) -> Option<&'static str> {
    match (change.from, change.to) {
        (State::Ringing | State::Answering, to) if !to.is_engaged() || matches!(to, State::Releasing) => {
            Some("ringing")
        }
        (State::Dialing, State::Releasing) => Some("dialing"),
        (State::TalkOut, State::Releasing) => Some("outbound"),
        (from, State::Releasing) if from.is_talking() || matches!(from, State::Held) => Some("inbound"),
        _ => None,
    }
}

/// What a client is shown of a log: each code once, in order. A reserved agent is shown as before.
fn shown(log: &[Change], code: impl Fn(&Change, Option<i8>) -> Vec<i8>) -> Vec<i8> {
    let mut codes: Vec<i8> = Vec::new();
    for change in log.iter().filter(|c| c.to != State::Reserved) {
        for code in code(change, codes.last().copied()) {
            if codes.last() != Some(&code) {
                codes.push(code);
            }
        }
    }
    codes
}

/// The numbers that the older hotline SDK shows of a log.
pub fn hotline(log: &[Change]) -> Vec<i8> {
    shown(log, |c, _| hotline_number(c.to).into_iter().collect())
}

/// The codes that the workbench shows of a log. A consultation is preceded by the hold that it begins with, and a retrieval shows no
/// new talk with the third.
pub fn workbench(log: &[Change]) -> Vec<i8> {
    shown(log, |c, last| match c.to {
        State::ConsultDialing if c.from.is_own_talk() => vec![12, 16],
        State::ConsultRetrieving => last.into_iter().collect(),
        to => vec![workbench_code(to, false)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use State as S;
    use std::collections::BTreeMap;
    use strowger_core::Stamp;
    use strowger_core::centre::agent::Overlays;

    fn log(path: &[State]) -> Vec<Change> {
        let mut at = Stamp(0);
        let pairs = path.windows(2);
        pairs
            .map(|w| {
                at = at.plus_secs(1);
                Change {
                    from: w[0],
                    to: w[1],
                    reason: String::new(),
                    until: None,
                    overlays: Overlays::default(),
                    at,
                }
            })
            .collect()
    }

    /// Each canonical state has one code, and each code of the sources is some state's.
    // accept: domain-model M1, M2
    #[test]
    fn tables_merge_only_what_the_sources_merge() {
        let inverse = |code: &dyn Fn(State) -> Option<i8>| {
            let mut all: BTreeMap<i8, Vec<State>> = BTreeMap::new();
            for s in State::ALL.into_iter().filter(|s| *s != S::Reserved) {
                if let Some(code) = code(s) {
                    all.entry(code).or_default().push(s);
                }
            }
            all.retain(|_, states| states.len() > 1);
            all.into_values().collect::<Vec<_>>()
        };
        assert_eq!(
            inverse(&hotline_number),
            [
                vec![S::Offline, S::Connecting],
                vec![S::Break, S::NotReady],
                vec![S::Consulting, S::ConsultSwapped],
            ]
        );
        assert_eq!(
            inverse(&|s| Some(workbench_code(s, false))),
            [
                vec![S::Ready, S::NotReady],
                vec![S::Releasing, S::WrapUp],
                vec![S::Ringing, S::Answering],
                vec![S::Consulting, S::ConsultRetrieving],
            ]
        );
        let all = |code: &dyn Fn(State) -> Option<i8>| {
            let codes: std::collections::BTreeSet<i8> = State::ALL.into_iter().filter_map(code).collect();
            codes.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(
            all(&hotline_number),
            [-1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19]
        );
        assert_eq!(
            all(&|s| Some(workbench_code(s, false))),
            [-1, 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 16, 17, 18, 19, 20, 21]
        );
        // The words of the newer hotline SDK say the same as the numbers of the older one, as far as it has words.
        for a in State::ALL {
            for b in State::ALL {
                let (x, y) = (hotline_event(a), hotline_event(b));
                if x.is_some() && y.is_some() {
                    assert_eq!(x == y, hotline_number(a) == hotline_number(b), "{a:?} {b:?}");
                }
            }
        }
        for s in State::ALL {
            let label = workbench_label(workbench_code(s, false));
            assert_eq!(label == "off", s.is_off_duty(), "{s:?}");
            assert_eq!(
                hotline_basic(s) == "AgentBusyForCall",
                s.is_engaged() && s != S::Reserved,
                "{s:?}"
            );
        }
    }

    // accept: domain-model M3
    #[test]
    fn workbench_inbound_with_a_hold() {
        let path = [
            S::SignedIn,
            S::Ready,
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
        assert_eq!(workbench(&log(&path)), [3, 6, 9, 12, 9, 5, 3]);
    }

    // accept: domain-model M4
    #[test]
    fn workbench_consultation_and_hand_over() {
        let path = [
            S::Answering,
            S::TalkIn,
            S::ConsultDialing,
            S::Consulting,
            S::Releasing,
            S::WrapUp,
            S::Ready,
        ];
        assert_eq!(workbench(&log(&path)), [9, 12, 16, 17, 5, 3]);
        // M35: a third party that is given up from ringing never shows as a talk.
        let given_up = [S::TalkIn, S::ConsultDialing, S::ConsultRetrieving, S::TalkIn];
        assert_eq!(workbench(&log(&given_up)), [12, 16, 9]);
    }

    // accept: domain-model M5
    #[test]
    fn workbench_customer_leaves_in_a_consultation() {
        let before = [S::Held, S::ConsultDialing, S::Dialing, S::TalkOut];
        assert_eq!(workbench(&log(&before)), [16, 8, 10]);
        let after = [S::ConsultDialing, S::Consulting, S::TalkOut];
        assert_eq!(workbench(&log(&after)), [17, 10]);
    }

    // accept: domain-model M6
    #[test]
    fn hotline_inbound() {
        let path = [
            S::SignedIn,
            S::Ready,
            S::Reserved,
            S::Ringing,
            S::Answering,
            S::TalkIn,
            S::Releasing,
            S::WrapUp,
            S::Ready,
        ];
        assert_eq!(hotline(&log(&path)), [3, 7, 8, 10, 5, 6, 3]);
    }

    // accept: domain-model M7
    #[test]
    fn hotline_outbound() {
        let path = [
            S::SignedIn,
            S::Ready,
            S::Reserved,
            S::Dialing,
            S::TalkOut,
            S::Releasing,
            S::WrapUp,
            S::Ready,
        ];
        assert_eq!(hotline(&log(&path)), [3, 9, 11, 5, 6, 3]);
        // The newer SDK has a word for each of them.
        assert!(path.iter().all(|s| hotline_event(*s).is_some()));
    }

    // accept: domain-model M13
    #[test]
    fn workbench_tells_how_a_call_ended() {
        let told = |path: &[State]| log(path).iter().filter_map(workbench_hang_up).collect::<Vec<_>>();
        assert_eq!(told(&[S::Reserved, S::Ringing, S::Break]), ["ringing"]);
        assert_eq!(told(&[S::Reserved, S::Dialing, S::Releasing, S::Ready]), ["dialing"]);
        assert_eq!(told(&[S::TalkIn, S::Held, S::Releasing, S::WrapUp]), ["inbound"]);
        assert_eq!(told(&[S::Dialing, S::TalkOut, S::Releasing, S::WrapUp]), ["outbound"]);
        assert!(told(&[S::Ready, S::Break, S::Ready]).is_empty());
    }
}
