//! What a client of the newer hotline SDK may press: the enable flags of each status (aliyun-hotline 7.3).
//!
//! They are narrower than what the core accepts (domain-model §4.4). What a flag hides is refused through this dialect, so
//! the flags are what the server accepts here (I23).

use strowger_core::centre::agent::{State, Verb};

/// The buttons, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Button {
    /// `checkinEnable`.
    CheckIn,
    /// `checkoutEnable`.
    CheckOut,
    /// `readyEnable`.
    Ready,
    /// `breakEnable`.
    Break,
    /// `trainEnable`.
    Train,
    /// `callAnswerEnable`.
    Answer,
    /// `callHangupEnable`.
    HangUp,
    /// `callDialEnable`.
    Dial,
    /// `callHoldEnable`.
    Hold,
    /// `callRetrieveEnable`.
    Retrieve,
    /// `callDeflectEnable`.
    Deflect,
}

impl Button {
    /// All of them, in the order of the table.
    pub const ALL: [Button; 11] = [
        Button::CheckIn,
        Button::CheckOut,
        Button::Ready,
        Button::Break,
        Button::Train,
        Button::Answer,
        Button::HangUp,
        Button::Dial,
        Button::Hold,
        Button::Retrieve,
        Button::Deflect,
    ];

    /// The member of the published object.
    pub const fn key(self) -> &'static str {
        match self {
            Button::CheckIn => "checkinEnable",
            Button::CheckOut => "checkoutEnable",
            Button::Ready => "readyEnable",
            Button::Break => "breakEnable",
            Button::Train => "trainEnable",
            Button::Answer => "callAnswerEnable",
            Button::HangUp => "callHangupEnable",
            Button::Dial => "callDialEnable",
            Button::Hold => "callHoldEnable",
            Button::Retrieve => "callRetrieveEnable",
            Button::Deflect => "callDeflectEnable",
        }
    }

    /// What the core is asked when it is pressed.
    pub const fn verb(self) -> Verb {
        match self {
            Button::CheckIn => Verb::SignIn,
            Button::CheckOut => Verb::SignOut,
            Button::Ready => Verb::Ready,
            Button::Break => Verb::Break,
            Button::Train => Verb::Train,
            Button::Answer => Verb::Answer,
            Button::HangUp => Verb::HangUp,
            Button::Dial => Verb::Dial,
            Button::Hold => Verb::Hold,
            Button::Retrieve => Verb::Retrieve,
            Button::Deflect => Verb::Transfer,
        }
    }
}

/// True if a client may press `button` in `state`. `before` is the state before a reservation, which is shown while it
/// lasts (43); `training`: the instance has a training rest type.
pub const fn is_enabled(state: State, before: State, training: bool, button: Button) -> bool {
    use Button as B;
    use State as S;
    match state {
        S::Offline | S::Connecting | S::Monitoring | S::Releasing | S::ConsultRetrieving => false,
        S::Reserved if matches!(before, S::Reserved) => false,
        S::Reserved => is_enabled(before, before, training, button),
        S::SignedOut => matches!(button, B::CheckIn),
        S::SignedIn | S::WrapUp => match button {
            B::CheckOut | B::Ready | B::Break | B::Dial => true,
            B::Train => training,
            _ => false,
        },
        S::Ready => match button {
            B::CheckOut | B::Break | B::Dial => true,
            B::Train => training,
            _ => false,
        },
        S::Break | S::NotReady => match button {
            B::CheckOut | B::Ready | B::Dial => true,
            B::Train => training,
            _ => false,
        },
        S::Ringing => matches!(button, B::Answer | B::HangUp),
        S::Answering | S::Dialing | S::TalkConsulted => matches!(button, B::HangUp),
        S::TalkIn | S::TalkOut => matches!(button, B::HangUp | B::Hold | B::Deflect),
        S::TalkInternal => matches!(button, B::HangUp | B::Hold),
        S::Held | S::ConsultDialing | S::Consulting | S::ConsultSwapped | S::Conference => {
            matches!(button, B::HangUp | B::Retrieve)
        }
    }
}

/// `agentStatusChangeEnable`: any of check-out, ready and break.
pub fn may_change_status(state: State, before: State) -> bool {
    [Button::CheckOut, Button::Ready, Button::Break]
        .into_iter()
        .any(|b| is_enabled(state, before, false, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use State as S;
    use strowger_core::centre::agent::allows;

    fn row(state: State) -> String {
        let flags = Button::ALL.map(|b| {
            if is_enabled(state, S::Ready, false, b) {
                'x'
            } else {
                '-'
            }
        });
        flags.iter().collect()
    }

    // accept: domain-model M8
    #[test]
    fn flags_are_those_of_table_7_3_and_never_more_than_the_core_accepts() {
        // in out ready break train answer hangup dial hold retrieve deflect
        for (states, want) in [
            (&[S::SignedOut][..], "x----------"),
            (&[S::SignedIn, S::WrapUp], "-xxx---x---"),
            (&[S::Ready, S::Reserved], "-x-x---x---"),
            (&[S::Break, S::NotReady], "-xx----x---"),
            (&[S::Releasing, S::ConsultRetrieving], "-----------"),
            (&[S::Ringing], "-----xx----"),
            (&[S::Answering, S::Dialing, S::TalkConsulted], "------x----"),
            (&[S::TalkIn, S::TalkOut], "------x-x-x"),
            (&[S::TalkInternal], "------x-x--"),
            (
                &[
                    S::Held,
                    S::ConsultDialing,
                    S::Consulting,
                    S::ConsultSwapped,
                    S::Conference,
                ],
                "------x--x-",
            ),
            (&[S::Offline, S::Connecting, S::Monitoring], "-----------"),
        ] {
            for s in states {
                assert_eq!(row(*s), want, "{s:?}");
            }
        }
        for state in State::ALL.into_iter().filter(|s| *s != S::Reserved) {
            for button in Button::ALL {
                let shown = is_enabled(state, state, true, button);
                assert!(!shown || allows(state, button.verb()), "{state:?} {}", button.key());
            }
        }
    }

    #[test]
    fn a_reserved_agent_is_shown_as_before() {
        for before in [S::SignedIn, S::Ready, S::Break, S::WrapUp] {
            for b in Button::ALL {
                assert_eq!(
                    is_enabled(S::Reserved, before, true, b),
                    is_enabled(before, before, true, b)
                );
            }
        }
        assert!(may_change_status(S::Reserved, S::Ready) && !may_change_status(S::TalkIn, S::Ready));
        assert!(is_enabled(S::Ready, S::Ready, true, Button::Train));
        assert!(!is_enabled(S::TalkIn, S::Ready, true, Button::Train));
    }
}
