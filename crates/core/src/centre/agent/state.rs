//! The states of an agent (domain-model §4.1) and what each allows (§4.4).

/// Where an agent stands. The data of a state (reasons, deadlines, the call) is kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// No client, not on duty.
    Offline,
    /// A client is there, its device is registering.
    Connecting,
    /// A client is there, not on duty.
    SignedOut,
    /// On duty, and has not chosen what to do.
    SignedIn,
    /// May be offered calls.
    Ready,
    /// On a break.
    Break,
    /// Takes no calls by choice.
    NotReady,
    /// Assigned to one call; nothing has rung yet.
    Reserved,
    /// An offer rings.
    Ringing,
    /// Answered, no media yet.
    Answering,
    /// A call of its own is being set up.
    Dialing,
    /// Talks, and was called.
    TalkIn,
    /// Talks, and has called.
    TalkOut,
    /// Talks to another agent.
    TalkInternal,
    /// Talks to another agent who asked for help.
    TalkConsulted,
    /// The other party is on hold.
    Held,
    /// A party is on hold, a third is called.
    ConsultDialing,
    /// A party is on hold, talks to a third.
    Consulting,
    /// The third is on hold, talks to the first party again.
    ConsultSwapped,
    /// The first party is being taken back.
    ConsultRetrieving,
    /// Three or more talk.
    Conference,
    /// Listens to another agent's call.
    Monitoring,
    /// The call is over, its leg is being ended.
    Releasing,
    /// After-call work.
    WrapUp,
}

impl State {
    /// All of them, in the order of domain-model §4.1.
    pub const ALL: [State; 24] = [
        State::Offline,
        State::Connecting,
        State::SignedOut,
        State::SignedIn,
        State::Ready,
        State::Break,
        State::NotReady,
        State::Reserved,
        State::Ringing,
        State::Answering,
        State::Dialing,
        State::TalkIn,
        State::TalkOut,
        State::TalkInternal,
        State::TalkConsulted,
        State::Held,
        State::ConsultDialing,
        State::Consulting,
        State::ConsultSwapped,
        State::ConsultRetrieving,
        State::Conference,
        State::Monitoring,
        State::Releasing,
        State::WrapUp,
    ];

    /// As journalled, and shown by the native API.
    pub const fn name(self) -> &'static str {
        match self {
            State::Offline => "offline",
            State::Connecting => "connecting",
            State::SignedOut => "signed-out",
            State::SignedIn => "signed-in",
            State::Ready => "ready",
            State::Break => "break",
            State::NotReady => "not-ready",
            State::Reserved => "reserved",
            State::Ringing => "ringing",
            State::Answering => "answering",
            State::Dialing => "dialing",
            State::TalkIn => "talk-in",
            State::TalkOut => "talk-out",
            State::TalkInternal => "talk-internal",
            State::TalkConsulted => "talk-consulted",
            State::Held => "held",
            State::ConsultDialing => "consult-dialing",
            State::Consulting => "consulting",
            State::ConsultSwapped => "consult-swapped",
            State::ConsultRetrieving => "consult-retrieving",
            State::Conference => "conference",
            State::Monitoring => "monitoring",
            State::Releasing => "releasing",
            State::WrapUp => "wrap-up",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|s| s.name() == name)
    }

    /// On duty and in no call: exactly these are left by the agent's own word (I2).
    pub const fn is_idle(self) -> bool {
        matches!(
            self,
            State::SignedIn | State::Ready | State::Break | State::NotReady | State::WrapUp
        )
    }

    /// A participation in a call is open.
    pub const fn is_engaged(self) -> bool {
        !self.is_idle() && !self.is_off_duty()
    }

    /// Not on duty.
    pub const fn is_off_duty(self) -> bool {
        matches!(self, State::Offline | State::Connecting | State::SignedOut)
    }

    /// Hears, and is heard by, at least one party.
    pub const fn is_talking(self) -> bool {
        matches!(
            self,
            State::TalkIn
                | State::TalkOut
                | State::TalkInternal
                | State::TalkConsulted
                | State::Consulting
                | State::ConsultSwapped
                | State::Conference
        )
    }

    /// A talk of two that is the agent's own: T* of domain-model §4.1.
    pub const fn is_own_talk(self) -> bool {
        matches!(self, State::TalkIn | State::TalkOut | State::TalkInternal)
    }
}

/// What a participation looks like from the agent's side: what the conversation says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engagement {
    /// The agent's device alerts.
    Alerting,
    /// The device answered, media is not up yet.
    Answering,
    /// A call of its own: its own device, or the other party, is being called.
    Dialing,
    /// Talks with one party.
    Talk(Variant),
    /// The other party is on hold.
    Held,
    /// A third party is being called.
    ConsultDialing,
    /// Talks with the third party.
    Consulting,
    /// Talks with the first party, the third one waits.
    Swapped,
    /// The first party is being taken back.
    Retrieving,
    /// Three or more talk.
    Conference,
    /// Listens in.
    Monitoring,
    /// Its leg is being ended.
    Releasing,
}

/// How a talk came about (the variants of T* and TCON).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// It was called, or took a call over.
    In,
    /// It called.
    Out,
    /// With another agent.
    Internal,
    /// Another agent asked it for help.
    Consulted,
}

impl Engagement {
    /// All of them.
    pub const ALL: [Engagement; 15] = [
        Engagement::Alerting,
        Engagement::Answering,
        Engagement::Dialing,
        Engagement::Talk(Variant::In),
        Engagement::Talk(Variant::Out),
        Engagement::Talk(Variant::Internal),
        Engagement::Talk(Variant::Consulted),
        Engagement::Held,
        Engagement::ConsultDialing,
        Engagement::Consulting,
        Engagement::Swapped,
        Engagement::Retrieving,
        Engagement::Conference,
        Engagement::Monitoring,
        Engagement::Releasing,
    ];

    /// As journalled, and shown by the native API: the name of the state that shows it.
    pub const fn name(self) -> &'static str {
        self.state().name()
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<Engagement> {
        Engagement::ALL.into_iter().find(|e| e.name() == name)
    }

    /// The state that shows it.
    pub const fn state(self) -> State {
        match self {
            Engagement::Alerting => State::Ringing,
            Engagement::Answering => State::Answering,
            Engagement::Dialing => State::Dialing,
            Engagement::Talk(Variant::In) => State::TalkIn,
            Engagement::Talk(Variant::Out) => State::TalkOut,
            Engagement::Talk(Variant::Internal) => State::TalkInternal,
            Engagement::Talk(Variant::Consulted) => State::TalkConsulted,
            Engagement::Held => State::Held,
            Engagement::ConsultDialing => State::ConsultDialing,
            Engagement::Consulting => State::Consulting,
            Engagement::Swapped => State::ConsultSwapped,
            Engagement::Retrieving => State::ConsultRetrieving,
            Engagement::Conference => State::Conference,
            Engagement::Monitoring => State::Monitoring,
            Engagement::Releasing => State::Releasing,
        }
    }

    /// True once a party can be heard: what is rung or dialled has become a talk.
    pub const fn is_talk(self) -> bool {
        !matches!(
            self,
            Engagement::Alerting
                | Engagement::Answering
                | Engagement::Dialing
                | Engagement::Monitoring
                | Engagement::Releasing
        )
    }
}

/// What an agent, or a supervisor on its behalf, may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Go on duty.
    SignIn,
    /// Go off duty.
    SignOut,
    /// Take calls.
    Ready,
    /// A break, or another reason of one.
    Break,
    /// No calls by choice.
    NotReady,
    /// A training, where there is one.
    Train,
    /// After-call work by command.
    AfterCall,
    /// Outbound only, or not any more.
    CallOnly,
    /// Answer the offer.
    Answer,
    /// Reject the offer, or hang up.
    HangUp,
    /// Place a call.
    Dial,
    /// Put the other party on hold.
    Hold,
    /// Take it back; in a consultation, give the third up; in a conference, drop it.
    Retrieve,
    /// Hand the call over blindly.
    Transfer,
    /// Ask a third party.
    Consult,
    /// Hand the call over to the third party.
    Complete,
    /// Change between first and third party.
    Swap,
    /// Let all three talk.
    Merge,
    /// Not be heard, or be heard again.
    Mute,
    /// Send digits.
    Digits,
    /// Listen to, or whisper into, another agent's call.
    Monitor,
    /// Talk in the call that it listens to.
    Barge,
    /// Have that call for itself.
    TakeOver,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 23] = [
        Verb::SignIn,
        Verb::SignOut,
        Verb::Ready,
        Verb::Break,
        Verb::NotReady,
        Verb::Train,
        Verb::AfterCall,
        Verb::CallOnly,
        Verb::Answer,
        Verb::HangUp,
        Verb::Dial,
        Verb::Hold,
        Verb::Retrieve,
        Verb::Transfer,
        Verb::Consult,
        Verb::Complete,
        Verb::Swap,
        Verb::Merge,
        Verb::Mute,
        Verb::Digits,
        Verb::Monitor,
        Verb::Barge,
        Verb::TakeOver,
    ];

    /// As the native API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Verb::SignIn => "sign-in",
            Verb::SignOut => "sign-out",
            Verb::Ready => "ready",
            Verb::Break => "break",
            Verb::NotReady => "not-ready",
            Verb::Train => "train",
            Verb::AfterCall => "after-call",
            Verb::CallOnly => "call-only",
            Verb::Answer => "answer",
            Verb::HangUp => "hang-up",
            Verb::Dial => "dial",
            Verb::Hold => "hold",
            Verb::Retrieve => "retrieve",
            Verb::Transfer => "transfer",
            Verb::Consult => "consult",
            Verb::Complete => "complete",
            Verb::Swap => "swap",
            Verb::Merge => "merge",
            Verb::Mute => "mute",
            Verb::Digits => "digits",
            Verb::Monitor => "monitor",
            Verb::Barge => "barge",
            Verb::TakeOver => "take-over",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<Verb> {
        Verb::ALL.into_iter().find(|v| v.name() == name)
    }
}

/// The matrix of §4.4: what a state allows by itself. Settings and overlays narrow or widen it; see
/// [`super::Agent::check`]. A reserved agent is judged by the state before.
pub const fn allows(state: State, verb: Verb) -> bool {
    use State as S;
    match verb {
        Verb::SignIn => matches!(state, S::SignedOut),
        Verb::SignOut | Verb::Dial | Verb::CallOnly => state.is_idle(),
        Verb::Ready => matches!(state, S::SignedIn | S::Break | S::NotReady | S::WrapUp),
        Verb::Break | Verb::NotReady | Verb::Train => state.is_idle(),
        // Ready agents only (59).
        Verb::AfterCall => matches!(state, S::Ready),
        Verb::Answer => matches!(state, S::Ringing),
        Verb::HangUp => match state {
            S::Ringing | S::Answering | S::Dialing | S::Held | S::ConsultDialing | S::Conference | S::Monitoring => {
                true
            }
            _ => state.is_talking(),
        },
        Verb::Hold => state.is_own_talk(),
        Verb::Retrieve => matches!(
            state,
            S::Held | S::ConsultDialing | S::Consulting | S::ConsultSwapped | S::Conference
        ),
        Verb::Transfer | Verb::Consult => state.is_own_talk() || matches!(state, S::Held),
        // Semi-attended from CDI by 51.
        Verb::Complete => matches!(state, S::ConsultDialing | S::Consulting | S::ConsultSwapped),
        Verb::Swap | Verb::Merge => matches!(state, S::Consulting | S::ConsultSwapped),
        Verb::Mute => state.is_talking() || matches!(state, S::Held),
        Verb::Digits => state.is_talking(),
        Verb::Monitor => matches!(state, S::Ready | S::Break | S::NotReady),
        Verb::Barge => matches!(state, S::Monitoring),
        // From a conference only for a supervisor that barged in, which the conversation knows.
        Verb::TakeOver => matches!(state, S::Monitoring | S::Conference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for s in State::ALL {
            assert_eq!(State::of_name(s.name()), Some(s));
        }
        for v in Verb::ALL {
            assert_eq!(Verb::of_name(v.name()), Some(v));
        }
    }

    #[test]
    fn every_state_is_one_of_off_duty_idle_engaged() {
        for s in State::ALL {
            let kinds = [s.is_off_duty(), s.is_idle(), s.is_engaged()];
            assert_eq!(kinds.iter().filter(|k| **k).count(), 1, "{s:?}");
        }
        for e in Engagement::ALL {
            assert!(e.state().is_engaged(), "{e:?}");
        }
    }

    /// The rows of §4.4, column by column: checkin checkout ready break answer hangup dial hold retrieve deflect.
    #[test]
    fn the_matrix_is_that_of_the_specification() {
        use State as S;
        let row = |s| {
            let columns = [
                Verb::SignIn,
                Verb::SignOut,
                Verb::Ready,
                Verb::Break,
                Verb::Answer,
                Verb::HangUp,
                Verb::Dial,
                Verb::Hold,
                Verb::Retrieve,
                Verb::Transfer,
            ];
            columns
                .map(|v| if allows(s, v) { 'x' } else { '-' })
                .iter()
                .collect::<String>()
        };
        for (states, want) in [
            (&[S::Offline, S::Connecting][..], "----------"),
            (&[S::SignedOut], "x---------"),
            (&[S::SignedIn], "-xxx--x---"),
            (&[S::Ready], "-x-x--x---"),
            (&[S::Break, S::NotReady, S::WrapUp], "-xxx--x---"),
            (&[S::Ringing], "----xx----"),
            (
                &[S::Answering, S::Dialing, S::TalkConsulted, S::Monitoring],
                "-----x----",
            ),
            (&[S::TalkIn, S::TalkOut, S::TalkInternal], "-----x-x-x"),
            (&[S::Held], "-----x--xx"),
            (
                &[S::ConsultDialing, S::Consulting, S::ConsultSwapped, S::Conference],
                "-----x--x-",
            ),
            (&[S::Releasing, S::ConsultRetrieving], "----------"),
        ] {
            for s in states {
                assert_eq!(row(*s), want, "{s:?}");
            }
        }
        for s in [S::Consulting, S::ConsultSwapped] {
            assert!(allows(s, Verb::Complete), "deflect is complete here");
        }
    }
}
