//! The rows of reports and the formulas over them (docs/reports.md).

use crate::centre::agent::State;

/// A share in tenths of a percent, rounded half up; `None` of nothing.
pub fn per_mille(part: u64, whole: u64) -> Option<u32> {
    let rounded = |w: u64| (u128::from(part) * 2000 + u128::from(w)) / (u128::from(w) * 2);
    (whole > 0).then(|| rounded(whole).min(u128::from(u32::MAX)) as u32)
}

/// A mean in milliseconds, rounded half up; `None` of nothing.
pub fn mean(sum_ms: u64, count: u64) -> Option<u64> {
    (count > 0).then(|| (sum_ms + count / 2) / count)
}

/// A queue, or all of them, in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueRow {
    /// Calls that entered.
    pub offered: u64,
    /// Of those, calls that an agent took.
    pub answered: u64,
    /// Of those, calls that were taken within the queue's threshold.
    pub in_time: u64,
    /// Calls whose caller left, short ones apart.
    pub abandoned: u64,
    /// Calls whose caller left before the threshold of short ones.
    pub short: u64,
    /// Calls that had waited too long.
    pub timed_out: u64,
    /// Calls that found the queue full.
    pub full: u64,
    /// Calls that found nobody on duty.
    pub unstaffed: u64,
    /// Calls whose caller chose to be called back.
    pub callbacks: u64,
    /// Calls that a command took elsewhere.
    pub moved: u64,
    /// How long the answered ones waited, together.
    pub wait_answered_ms: u64,
    /// How long the abandoned ones waited, together; short ones left out.
    pub wait_abandoned_ms: u64,
    /// The longest wait of a call that is no longer waiting.
    pub longest_wait_ms: u64,
    /// Parts of agents in calls of the queue.
    pub handled: u64,
    /// Their talk, together: from taking the call to leaving it, hold left out.
    pub talk_ms: u64,
    /// Their hold, together.
    pub hold_ms: u64,
    /// Their wrap-up, together.
    pub wrap_ms: u64,
    /// Parts that ended by a transfer.
    pub transfers: u64,
    /// Offers that nobody answered in time (RONA).
    pub missed: u64,
    /// Offers that were turned down.
    pub rejected: u64,
}

impl QueueRow {
    /// Calls that left the queue in some way, short abandons left out: what service level and abandonment are shares of.
    pub const fn decided(&self) -> u64 {
        self.answered + self.abandoned + self.timed_out + self.full + self.unstaffed + self.callbacks + self.moved
    }

    /// Calls that entered and are still waiting.
    pub const fn waiting(&self) -> u64 {
        self.offered.saturating_sub(self.decided() + self.short)
    }

    /// Service level in tenths of a percent: in time, of those decided.
    pub fn service_level(&self) -> Option<u32> {
        per_mille(self.in_time, self.decided())
    }

    /// Abandonment in tenths of a percent: abandoned, of those decided.
    pub fn abandonment(&self) -> Option<u32> {
        per_mille(self.abandoned, self.decided())
    }

    /// Average speed of answer: the mean wait of the answered calls, in milliseconds.
    pub fn asa_ms(&self) -> Option<u64> {
        mean(self.wait_answered_ms, self.answered)
    }

    /// Mean time to abandon in milliseconds.
    pub fn to_abandon_ms(&self) -> Option<u64> {
        mean(self.wait_abandoned_ms, self.abandoned)
    }

    /// Average handling time: talk, hold and wrap-up of a part, in milliseconds.
    pub fn aht_ms(&self) -> Option<u64> {
        mean(self.talk_ms + self.hold_ms + self.wrap_ms, self.handled)
    }

    /// Adds another row of the same interval, or of a neighbouring one.
    pub fn merge(&mut self, other: &QueueRow) {
        let longest = self.longest_wait_ms.max(other.longest_wait_ms);
        for (sum, more) in [
            (&mut self.offered, other.offered),
            (&mut self.answered, other.answered),
            (&mut self.in_time, other.in_time),
            (&mut self.abandoned, other.abandoned),
            (&mut self.short, other.short),
            (&mut self.timed_out, other.timed_out),
            (&mut self.full, other.full),
            (&mut self.unstaffed, other.unstaffed),
            (&mut self.callbacks, other.callbacks),
            (&mut self.moved, other.moved),
            (&mut self.wait_answered_ms, other.wait_answered_ms),
            (&mut self.wait_abandoned_ms, other.wait_abandoned_ms),
            (&mut self.handled, other.handled),
            (&mut self.talk_ms, other.talk_ms),
            (&mut self.hold_ms, other.hold_ms),
            (&mut self.wrap_ms, other.wrap_ms),
            (&mut self.transfers, other.transfers),
            (&mut self.missed, other.missed),
            (&mut self.rejected, other.rejected),
        ] {
            *sum += more;
        }
        self.longest_wait_ms = longest;
    }
}

/// What the time of an agent is divided into. Every state is in exactly one (I8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Not on duty.
    OffDuty,
    /// On duty, nothing chosen yet.
    SignedIn,
    /// May be offered calls.
    Ready,
    /// On a break.
    Break,
    /// Takes no calls by choice.
    NotReady,
    /// An offer is on its way or rings.
    Ringing,
    /// A call of its own is being set up.
    Dialing,
    /// Talks, alone with one party, with a third, or in a conference.
    Talking,
    /// The other party is on hold.
    Holding,
    /// Listens to another agent's call.
    Monitoring,
    /// After-call work, and the moments until a call is cleared.
    WrapUp,
}

impl Slot {
    /// How many there are.
    pub const COUNT: usize = 11;
    /// All, in the order of [`AgentRow::state_ms`].
    pub const ALL: [Slot; Slot::COUNT] = [
        Slot::OffDuty,
        Slot::SignedIn,
        Slot::Ready,
        Slot::Break,
        Slot::NotReady,
        Slot::Ringing,
        Slot::Dialing,
        Slot::Talking,
        Slot::Holding,
        Slot::Monitoring,
        Slot::WrapUp,
    ];

    /// Where the time of a state belongs.
    pub const fn of(state: State) -> Slot {
        match state {
            State::Offline | State::Connecting | State::SignedOut => Slot::OffDuty,
            State::SignedIn => Slot::SignedIn,
            State::Ready => Slot::Ready,
            State::Break => Slot::Break,
            State::NotReady => Slot::NotReady,
            State::Reserved | State::Ringing | State::Answering => Slot::Ringing,
            State::Dialing => Slot::Dialing,
            State::TalkIn
            | State::TalkOut
            | State::TalkInternal
            | State::TalkConsulted
            | State::Consulting
            | State::ConsultSwapped
            | State::ConsultRetrieving
            | State::Conference => Slot::Talking,
            State::Held | State::ConsultDialing => Slot::Holding,
            State::Monitoring => Slot::Monitoring,
            State::Releasing | State::WrapUp => Slot::WrapUp,
        }
    }

    /// The word of tables and boards.
    pub const fn name(self) -> &'static str {
        match self {
            Slot::OffDuty => "off_duty",
            Slot::SignedIn => "signed_in",
            Slot::Ready => "ready",
            Slot::Break => "break",
            Slot::NotReady => "not_ready",
            Slot::Ringing => "ringing",
            Slot::Dialing => "dialing",
            Slot::Talking => "talking",
            Slot::Holding => "holding",
            Slot::Monitoring => "monitoring",
            Slot::WrapUp => "wrap_up",
        }
    }
}

/// An agent in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentRow {
    /// Calls offered to it.
    pub offers: u64,
    /// Calls that it placed.
    pub placed: u64,
    /// Calls, of both kinds, in which it talked.
    pub handled: u64,
    /// Offers that it let run out (RONA).
    pub missed: u64,
    /// Offers that it turned down.
    pub rejected: u64,
    /// Calls that it transferred.
    pub transfers: u64,
    /// Talk, hold left out.
    pub talk_ms: u64,
    /// Hold.
    pub hold_ms: u64,
    /// Wrap-up of these calls.
    pub wrap_ms: u64,
    /// Time in each slot, in the order of [`Slot::ALL`].
    pub state_ms: [u64; Slot::COUNT],
}

impl AgentRow {
    /// Time in a slot.
    pub const fn time_ms(&self, slot: Slot) -> u64 {
        self.state_ms[slot as usize]
    }

    /// Time on duty: all but off duty.
    pub fn duty_ms(&self) -> u64 {
        self.state_ms.iter().sum::<u64>() - self.time_ms(Slot::OffDuty)
    }

    /// Time with calls: offers, set-up, talk, hold and wrap-up. Monitoring is not the agent's own work with customers.
    pub fn busy_ms(&self) -> u64 {
        let slots = [Slot::Ringing, Slot::Dialing, Slot::Talking, Slot::Holding, Slot::WrapUp];
        slots.into_iter().map(|s| self.time_ms(s)).sum()
    }

    /// Occupancy in tenths of a percent: the time with calls, of that and the time ready for them.
    pub fn occupancy(&self) -> Option<u32> {
        per_mille(self.busy_ms(), self.busy_ms() + self.time_ms(Slot::Ready))
    }

    /// Average handling time in milliseconds.
    pub fn aht_ms(&self) -> Option<u64> {
        mean(self.talk_ms + self.hold_ms + self.wrap_ms, self.handled)
    }
}

/// A number in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumberRow {
    /// Calls to it.
    pub incoming: u64,
    /// Calls that showed it.
    pub outgoing: u64,
    /// Of both, those in which a person talked.
    pub answered: u64,
    /// Of both, those that ended without.
    pub unanswered: u64,
    /// From the beginning to the answer, together.
    pub wait_ms: u64,
    /// From the answer to the end, together.
    pub talk_ms: u64,
}

impl NumberRow {
    /// Calls that are not over and not answered.
    pub const fn open(&self) -> u64 {
        (self.incoming + self.outgoing).saturating_sub(self.answered + self.unanswered)
    }

    /// The mean time to the answer, in milliseconds.
    pub fn to_answer_ms(&self) -> Option<u64> {
        mean(self.wait_ms, self.answered)
    }

    /// The mean talk, in milliseconds.
    pub fn talk_mean_ms(&self) -> Option<u64> {
        mean(self.talk_ms, self.answered)
    }
}
