//! Agents' states as the web SDK shows them.

use strowger_core::centre::agent::{Change, State};

/// The status word. `call_only` is the overlay of an agent that takes no inbound calls although it is ready.
pub const fn status(state: State, call_only: bool) -> &'static str {
    match state {
        State::Offline | State::Connecting | State::SignedOut => "offline",
        State::SignedIn | State::NotReady => "notReady",
        State::Ready | State::Reserved if call_only => "notReady",
        State::Ready | State::Reserved => "free",
        State::Break => "rest",
        State::WrapUp => "arrange",
        _ => "busy",
    }
}

/// What happens to a call, as a client hears of it (K48: chats have events of their own).
pub const fn call_event(change: &Change) -> Option<&'static str> {
    match (change.from, change.to) {
        (_, State::Ringing) => Some("callIn"),
        (_, State::Dialing) if !change.from.is_talking() => Some("callOuted"),
        (State::Dialing, State::TalkOut) => Some("calloutAccepted"),
        (State::Answering | State::Ringing | State::Reserved, State::TalkIn | State::TalkInternal) => {
            Some("userAccessed")
        }
        (from, State::Releasing) if from.is_engaged() => Some("sessionEnded"),
        (State::Ringing | State::Answering, to) if !to.is_engaged() => Some("sessionEnded"),
        _ => None,
    }
}

/// The status words that a client is shown of a log: each once, in order. A reserved agent is shown as before.
pub fn statuses(log: &[Change]) -> Vec<&'static str> {
    let mut words: Vec<&'static str> = Vec::new();
    for change in log.iter().filter(|c| c.to != State::Reserved) {
        let word = status(change.to, change.overlays.call_only);
        if words.last() != Some(&word) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use State as S;
    use strowger_core::Stamp;
    use strowger_core::centre::agent::Overlays;

    fn log(path: &[State]) -> Vec<Change> {
        path.windows(2)
            .map(|w| Change {
                from: w[0],
                to: w[1],
                reason: String::new(),
                until: None,
                overlays: Overlays::default(),
                at: Stamp(0),
            })
            .collect()
    }

    // accept: domain-model M9
    #[test]
    fn an_inbound_call() {
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
        let log = log(&path);
        assert_eq!(statuses(&log), ["free", "busy", "arrange", "free"]);
        let events: Vec<_> = log.iter().filter_map(call_event).collect();
        assert_eq!(events, ["callIn", "userAccessed", "sessionEnded"]);
        let words = ["offline", "notReady", "free", "rest", "arrange", "busy"];
        assert!(State::ALL.iter().all(|s| words.contains(&status(*s, false))));
        assert_eq!(status(S::Ready, true), "notReady");
    }

    #[test]
    fn an_outbound_call() {
        let path = [
            S::SignedIn,
            S::Ready,
            S::Reserved,
            S::Dialing,
            S::TalkOut,
            S::Releasing,
            S::Ready,
        ];
        let log = log(&path);
        assert_eq!(statuses(&log), ["free", "busy", "free"]);
        let events: Vec<_> = log.iter().filter_map(call_event).collect();
        assert_eq!(events, ["callOuted", "calloutAccepted", "sessionEnded"]);
    }
}
