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

/// The status word with the chat slot counted (domain-model C7): busy in a call, and busy with as many chats as the agent may have.
pub const fn status_with_chats(state: State, call_only: bool, chats: u32, capacity: u8) -> &'static str {
    if !state.is_off_duty() && capacity > 0 && chats >= capacity as u32 {
        return "busy";
    }
    status(state, call_only)
}

/// The words of clients' commands, as choices of an agent; `stopNotReady` is a command of its own, and `busy` is never chosen.
pub const fn state_of_command(word: &str) -> Option<State> {
    match word.as_bytes() {
        b"free" => Some(State::Ready),
        b"rest" => Some(State::Break),
        b"arrange" => Some(State::WrapUp),
        b"notReady" => Some(State::NotReady),
        _ => None,
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

    /// Every state has one word; only `busy` stands for states that the source does not tell apart, `offline` for those without a
    /// duty, and `notReady` for the moment before the first choice.
    // accept: domain-model M1, M2
    #[test]
    fn words_merge_only_what_the_source_merges() {
        let of = |word: &str| -> Vec<State> {
            let all = State::ALL.into_iter().filter(|s| *s != S::Reserved);
            all.filter(|s| status(*s, false) == word).collect()
        };
        assert_eq!(of("free"), [S::Ready]);
        assert_eq!(of("rest"), [S::Break]);
        assert_eq!(of("arrange"), [S::WrapUp]);
        assert_eq!(of("notReady"), [S::SignedIn, S::NotReady]);
        assert!(of("offline").iter().all(|s| s.is_off_duty()) && of("offline").len() == 3);
        assert!(of("busy").iter().all(|s| s.is_engaged()));
        for word in ["free", "rest", "arrange", "notReady"] {
            let state = state_of_command(word).unwrap();
            assert_eq!(status(state, false), word);
        }
        assert_eq!(state_of_command("busy"), None);
    }

    // accept: domain-model M47
    #[test]
    fn chats_make_an_agent_busy_when_there_is_room_for_no_more() {
        for (chats, want) in [(0, "free"), (1, "free"), (4, "free"), (5, "busy"), (6, "busy")] {
            assert_eq!(status_with_chats(S::Ready, false, chats, 5), want);
        }
        assert_eq!(status_with_chats(S::Break, false, 1, 5), "rest");
        assert_eq!(status_with_chats(S::TalkIn, false, 0, 5), "busy");
        assert_eq!(
            status_with_chats(S::Ready, false, 0, 0),
            "free",
            "one that takes no chats is not busy with them"
        );
        assert_eq!(status_with_chats(S::SignedOut, false, 5, 5), "offline");
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
