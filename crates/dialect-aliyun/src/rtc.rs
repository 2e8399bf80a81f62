//! End codes of the real-time communication SDKs: what each side of a call is told (aliyun-rtc 10.1, 10.3).

use strowger_core::{By, Cause, Role};

/// Which end of the call is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who called.
    Caller,
    /// Who was called.
    Callee,
}

impl Side {
    /// True if this side is the party that ended it.
    const fn is(self, by: By) -> bool {
        matches!(
            (self, by),
            (Side::Caller, By::Party(_, Role::Caller | Role::Customer))
                | (Side::Callee, By::Party(_, Role::Callee | Role::Agent | Role::Third))
        )
    }
}

/// The code that one side is told at the end of a call. `answered`: this side's call had been answered.
///
/// Where the sources name no code for a side, it is the one that the other side is told.
pub const fn end_code(cause: Cause, by: By, side: Side, answered: bool) -> u32 {
    let own = side.is(by);
    match (cause, side) {
        (Cause::Normal | Cause::Transferred | Cause::VoicemailLeft | Cause::CallbackAccepted, _) => {
            if own {
                2_000_000
            } else {
                2_000_099
            }
        }
        (Cause::MaxDuration | Cause::Admin | Cause::AnsweredByMachine | Cause::AnsweredByFax, _) => 2_000_099,
        (Cause::Cancelled | Cause::AbandonedIvr | Cause::AbandonedQueue | Cause::AbandonedRinging, Side::Caller) => {
            2_000_000
        }
        (Cause::Cancelled | Cause::AbandonedIvr | Cause::AbandonedQueue | Cause::AbandonedRinging, Side::Callee) => {
            2_000_107
        }
        (Cause::Rejected, Side::Caller) => 2_000_106,
        (Cause::Rejected, Side::Callee) => 2_000_000,
        (Cause::NoAnswer | Cause::SetupTimeout | Cause::QueueTimeout, Side::Caller) => 2_000_108,
        (Cause::NoAnswer | Cause::SetupTimeout | Cause::QueueTimeout, Side::Callee) => 2_000_103,
        (Cause::Busy | Cause::QueueFull, _) => 2_000_109,
        (Cause::Unregistered, _) => 2_000_104,
        (Cause::AnsweredElsewhere | Cause::Redirected, _) => 2_000_132,
        (Cause::InvalidNumber, _) => 3_100_020,
        (Cause::Forbidden, _) => 3_100_007,
        (Cause::IncompatibleMedia, Side::Callee) => 2_000_110,
        (Cause::IncompatibleMedia, Side::Caller) => 3_100_021,
        (Cause::MediaFailure, _) if answered => 3_900_000,
        (Cause::MediaFailure, _) => 2_000_102,
        (Cause::NetworkLost, _) => 2_000_121,
        (Cause::NoRoute | Cause::Failed, _) => 3_000_000,
        (Cause::SystemError, _) => 3_999_999,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::LegSeq;

    const CALLER: By = By::Party(LegSeq(0), Role::Caller);
    const CALLEE: By = By::Party(LegSeq(1), Role::Callee);

    // accept: domain-model M16
    #[test]
    fn each_side_is_told_its_code() {
        for (cause, by, answered, caller, callee) in [
            (Cause::Cancelled, CALLER, false, 2_000_000, 2_000_107),
            (Cause::Rejected, CALLEE, false, 2_000_106, 2_000_000),
            (Cause::NoAnswer, By::Timer, false, 2_000_108, 2_000_103),
            (Cause::Normal, CALLER, true, 2_000_000, 2_000_099),
            (Cause::Normal, CALLEE, true, 2_000_099, 2_000_000),
            (Cause::MaxDuration, By::Timer, true, 2_000_099, 2_000_099),
            (Cause::Admin, By::Supervisor, true, 2_000_099, 2_000_099),
        ] {
            let told = [Side::Caller, Side::Callee].map(|side| end_code(cause, by, side, answered));
            assert_eq!(told, [caller, callee], "{cause:?}");
        }
        assert_eq!(end_code(Cause::Busy, CALLEE, Side::Caller, false), 2_000_109);
        assert_eq!(
            end_code(Cause::Unregistered, By::System, Side::Caller, false),
            2_000_104
        );
        // Of several that ring, one answers: the others are told so.
        assert_eq!(
            end_code(Cause::AnsweredElsewhere, CALLEE, Side::Callee, false),
            2_000_132
        );
        assert_eq!(
            end_code(Cause::MediaFailure, By::Network, Side::Caller, false),
            2_000_102
        );
        assert_eq!(
            end_code(Cause::MediaFailure, By::Network, Side::Caller, true),
            3_900_000
        );
    }

    #[test]
    fn every_cause_has_a_code_of_the_documented_ranges() {
        for cause in Cause::ALL {
            for by in [
                CALLER,
                CALLEE,
                By::Supervisor,
                By::Api,
                By::Timer,
                By::Network,
                By::System,
            ] {
                for side in [Side::Caller, Side::Callee] {
                    for answered in [false, true] {
                        let code = end_code(cause, by, side, answered);
                        assert!((2_000_000..=4_200_000).contains(&code), "{cause:?} {code}");
                    }
                }
            }
        }
    }
}
