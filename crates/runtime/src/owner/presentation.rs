//! How a trunk is told who calls, and who sent the call on before it came here.

use super::{Incoming, Way};
use crate::switch::user_of;
use strowger_sip_core::Party;
use strowger_sip_core::identity::{self, Diverted, Presented, Privacy, TrunkPolicy};

/// What a call that came in says of its caller.
#[derive(Clone, Debug, Default)]
pub struct Presentation {
    /// The user part of the caller's identity, also if it must not be shown.
    user: Option<String>,
    display: Option<String>,
    privacy: Privacy,
    hidden: bool,
    diverted: Vec<Diverted>,
}

impl Presentation {
    /// Reads it from an INVITE.
    pub fn of(incoming: &Incoming) -> Presentation {
        let message = &incoming.invite.message;
        let caller = identity::caller(message, incoming.trusted);
        Presentation {
            user: caller.identity.as_ref().and_then(|p| user_of(&p.uri)),
            display: caller.identity.and_then(|p| p.display).filter(|_| !caller.hidden),
            privacy: caller.privacy,
            hidden: caller.hidden,
            diverted: if incoming.trusted {
                identity::diversions(message)
            } else {
                Vec::new()
            },
        }
    }
}

/// Adds the header fields that a trunk's policy asks for and returns the From of the INVITE. `shown` is the address with
/// the number to show, `anonymous` is set if there is none.
pub(super) fn write(
    call: Option<&Presentation>,
    shown: Party,
    anonymous: bool,
    way: &Way,
    policy: &TrunkPolicy,
    host: &str,
    headers: &mut Vec<(String, String)>,
) -> Party {
    let nobody = Presentation::default();
    let call = call.unwrap_or(&nobody);
    // A number that the conversation chose to show stands before the one that the call came with: it is ours to use.
    let identity = match (&call.user, anonymous) {
        (_, false) => Some(shown.clone()),
        (Some(user), true) => Some(Party::new(format!("sip:{user}@{host}"))),
        (None, true) => None,
    };
    let written = identity::present(
        &Presented {
            from: Party {
                display: call.display.clone(),
                ..shown
            },
            identity,
            privacy: call.privacy,
            hidden: call.hidden || anonymous,
            diverted: call.diverted.clone(),
            target: way.uri.clone(),
        },
        policy,
    );
    headers.extend(written.headers);
    written.from
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::TrunkId;
    use strowger_core::event::Via;
    use strowger_sip_core::Target;
    use strowger_sip_core::identity::{AssertPolicy, PrivacyPolicy};

    fn written(call: Option<&Presentation>, anonymous: bool, policy: &TrunkPolicy) -> (String, Vec<(String, String)>) {
        let target = Target::udp(([192, 0, 2, 1], 5060).into());
        let way = Way::new(Via::Trunk(TrunkId(1)), target, "sip:13900000002@192.0.2.1");
        let mut headers = Vec::new();
        let user = if anonymous { "anonymous" } else { "02150000001" };
        let shown = Party::new(format!("sip:{user}@pbx.example"));
        let from = write(call, shown, anonymous, &way, policy, "pbx.example", &mut headers);
        (from.uri, headers)
    }

    #[test]
    fn a_trunk_is_told_the_number_and_a_hidden_caller_only_if_it_keeps_the_secret() {
        let pass = TrunkPolicy {
            assert: AssertPolicy::Pass,
            privacy: PrivacyPolicy::Pass,
            ..TrunkPolicy::default()
        };
        let (from, headers) = written(None, false, &pass);
        assert_eq!(from, "sip:02150000001@pbx.example");
        assert_eq!(
            headers,
            [("P-Asserted-Identity".into(), "<sip:02150000001@pbx.example>".into())]
        );

        let hidden = Presentation {
            user: Some("13800000001".into()),
            hidden: true,
            ..Presentation::default()
        };
        let (from, headers) = written(Some(&hidden), true, &pass);
        assert_eq!(from, "sip:anonymous@anonymous.invalid");
        assert!(
            headers
                .iter()
                .any(|(n, v)| n == "P-Asserted-Identity" && v.contains("13800000001"))
        );
        assert!(headers.contains(&("Privacy".into(), "id".into())));

        let enforce = TrunkPolicy {
            privacy: PrivacyPolicy::Enforce,
            ..pass
        };
        let (_, headers) = written(Some(&hidden), true, &enforce);
        assert!(!headers.iter().any(|(_, v)| v.contains("13800000001")));
    }
}
