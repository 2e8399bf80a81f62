//! Sessions: what an agent's client hears of an offer that came to nothing, and how a session ended, for the web SDK (`closeBy`)
//! and for the client SDKs (`onEnded`).

use serde_json::{Value, json};
use strowger_core::centre::acd::Queued;
use strowger_core::centre::agent::Unanswered;
use strowger_core::chat;
use strowger_core::{By, Cause, ConversationId, Role};

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseBy {
    /// The customer.
    Client,
    /// An agent.
    Seat,
    /// The platform, or an administrator.
    Admin,
    /// A clock.
    Timer,
}

impl CloseBy {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            CloseBy::Client => "client",
            CloseBy::Seat => "seat",
            CloseBy::Admin => "admin",
            CloseBy::Timer => "timer",
        }
    }
}

const fn is_agent(by: By) -> bool {
    matches!(by, By::Party(_, Role::Agent | Role::Supervisor))
}

/// Who ended a call; `None` where the session goes on with another agent, or another leg.
pub const fn close_by(cause: Cause, by: By) -> Option<CloseBy> {
    Some(match cause {
        Cause::Transferred | Cause::Redirected | Cause::AnsweredElsewhere => return None,
        Cause::Normal | Cause::Cancelled => match by {
            By::Party(..) if is_agent(by) => CloseBy::Seat,
            By::Party(..) => CloseBy::Client,
            By::Timer => CloseBy::Timer,
            _ => CloseBy::Admin,
        },
        Cause::NoAnswer | Cause::SetupTimeout | Cause::MaxDuration | Cause::QueueTimeout => CloseBy::Timer,
        Cause::Busy
        | Cause::Rejected
        | Cause::AbandonedIvr
        | Cause::AbandonedQueue
        | Cause::AbandonedRinging
        | Cause::CallbackAccepted
        | Cause::VoicemailLeft => CloseBy::Client,
        Cause::Unregistered
        | Cause::InvalidNumber
        | Cause::Forbidden
        | Cause::NoRoute
        | Cause::IncompatibleMedia
        | Cause::MediaFailure
        | Cause::NetworkLost
        | Cause::QueueFull
        | Cause::Admin
        | Cause::AnsweredByMachine
        | Cause::AnsweredByFax
        | Cause::SystemError
        | Cause::Failed => CloseBy::Admin,
    })
}

/// `sessionEnded` of a call. The reasons are told for `admin` only: the canonical cause, and the SIP status or the Q.850 cause.
pub fn call_ended(id: ConversationId, cause: Cause, by: By, sip_status: u16, q850: u8) -> Option<Value> {
    let close_by = close_by(cause, by)?;
    let mut event = json!({ "sessionId": crate::ids::session_id(id), "closeBy": close_by.name() });
    if close_by == CloseBy::Admin {
        event["mainReason"] = json!(cause.name());
        let sub = if sip_status > 0 { sip_status } else { u16::from(q850) };
        if sub > 0 {
            event["subReason"] = json!(sub.to_string());
        }
    }
    Some(event)
}

/// `sessionEnded` of a chat: without reasons, whoever ended it.
pub fn chat_ended(id: ConversationId, by: chat::CloseBy) -> Value {
    let close_by = match by {
        chat::CloseBy::Client => CloseBy::Client,
        chat::CloseBy::Seat => CloseBy::Seat,
        chat::CloseBy::Admin => CloseBy::Admin,
        chat::CloseBy::Timer => CloseBy::Timer,
    };
    json!({ "sessionId": crate::ids::session_id(id), "closeBy": close_by.name() })
}

/// Why a session ended, for the client SDKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// A fault of the system.
    Error,
    /// Nobody answered, or the time was up.
    Timeout,
    /// This side hung up.
    LocalBye,
    /// The far side hung up.
    RemoteBye,
    /// The far side gave up before the answer, or another one answered.
    RemoteCancel,
    /// The far side refused.
    Rejected,
}

impl EndReason {
    /// Its number in the SDKs' enumeration.
    pub const fn number(self) -> u8 {
        match self {
            EndReason::Error => 0,
            EndReason::Timeout => 1,
            EndReason::LocalBye => 3,
            EndReason::RemoteBye => 4,
            EndReason::RemoteCancel => 6,
            EndReason::Rejected => 7,
        }
    }
}

/// What an agent's client is told of the end of its session.
pub const fn end_reason(cause: Cause, by: By) -> EndReason {
    match cause {
        Cause::Normal | Cause::Transferred | Cause::VoicemailLeft | Cause::CallbackAccepted => {
            if is_agent(by) {
                EndReason::LocalBye
            } else {
                EndReason::RemoteBye
            }
        }
        Cause::Cancelled if is_agent(by) => EndReason::LocalBye,
        Cause::Cancelled
        | Cause::AnsweredElsewhere
        | Cause::AbandonedIvr
        | Cause::AbandonedQueue
        | Cause::AbandonedRinging => EndReason::RemoteCancel,
        Cause::NoAnswer | Cause::SetupTimeout | Cause::MaxDuration | Cause::QueueTimeout => EndReason::Timeout,
        Cause::Busy | Cause::Rejected => EndReason::Rejected,
        Cause::Admin | Cause::AnsweredByMachine | Cause::AnsweredByFax => EndReason::RemoteBye,
        Cause::Unregistered
        | Cause::InvalidNumber
        | Cause::Forbidden
        | Cause::NoRoute
        | Cause::IncompatibleMedia
        | Cause::MediaFailure
        | Cause::NetworkLost
        | Cause::Redirected
        | Cause::QueueFull
        | Cause::SystemError
        | Cause::Failed => EndReason::Error,
    }
}

/// What the agent of an offer hears of it when a queue's fact comes: the event and, for an end, who ended it.
pub const fn offer_event(what: &Queued) -> Option<(&'static str, Option<CloseBy>)> {
    match what {
        Queued::Offered(_) => Some(("callIn", None)),
        // It rang out: the call goes on to somebody else, and this is its last event here.
        Queued::Returned(_, Unanswered::Expired) => Some(("autoTransfer", None)),
        Queued::Returned(_, Unanswered::Rejected) => Some(("sessionEnded", Some(CloseBy::Seat))),
        Queued::Returned(_, Unanswered::Device | Unanswered::Media | Unanswered::Withdrawn) => {
            Some(("sessionEnded", Some(CloseBy::Admin)))
        }
        Queued::Entered { .. } | Queued::Left(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::centre::acd::{Acd, Enqueue, Input, Output, Setup};
    use strowger_core::centre::agent::{self, Choice, Client, DeviceMode, Engagement, Fact};
    use strowger_core::centre::resource::{Agent, CentreSettings, NoAnswer, Queue, Skill};
    use strowger_core::{AgentId, ApplicationId, GroupId, LegSeq, QueueId, Stamp, TenantId};

    const CUSTOMER: By = By::Party(LegSeq(0), Role::Customer);
    const AGENT: By = By::Party(LegSeq(1), Role::Agent);
    const EVERYBODY: [By; 7] = [
        CUSTOMER,
        AGENT,
        By::Supervisor,
        By::Api,
        By::Timer,
        By::Network,
        By::System,
    ];
    const ID: ConversationId = ConversationId(9 << 16);

    // accept: domain-model M11
    #[test]
    fn a_session_says_who_ended_it_and_only_the_platform_says_why() {
        for (cause, by, want) in [
            (Cause::Normal, CUSTOMER, "client"),
            (Cause::AbandonedRinging, CUSTOMER, "client"),
            (Cause::Busy, CUSTOMER, "client"),
            (Cause::Normal, AGENT, "seat"),
            (Cause::Cancelled, AGENT, "seat"),
            (Cause::Admin, By::Supervisor, "admin"),
            (Cause::NoRoute, By::Network, "admin"),
            (Cause::MaxDuration, By::Timer, "timer"),
            (Cause::NoAnswer, By::Timer, "timer"),
        ] {
            let event = call_ended(ID, cause, by, 503, 34).unwrap();
            assert_eq!(event["closeBy"], want, "{cause:?}");
            let told = want == "admin";
            assert_eq!(event.get("mainReason").is_some(), told, "{event}");
            assert_eq!(event.get("subReason").is_some(), told, "{event}");
        }
        let carrier = call_ended(ID, Cause::NoRoute, By::Network, 503, 34).unwrap();
        assert_eq!(
            (&carrier["mainReason"], &carrier["subReason"]),
            (&json!("no-route"), &json!("503"))
        );
        let lost = call_ended(ID, Cause::NetworkLost, By::Network, 0, 41).unwrap();
        assert_eq!(lost["subReason"], "41");
        // Chats have no reasons, even where the platform ended them.
        for by in chat::CloseBy::ALL {
            let event = chat_ended(ID, *by);
            assert_eq!(event["closeBy"], by.name());
            assert!(event.get("mainReason").is_none());
        }
        // Every end has one of the four; a session that goes on elsewhere has none.
        for cause in Cause::ALL {
            for by in EVERYBODY {
                let goes_on = matches!(cause, Cause::Transferred | Cause::Redirected | Cause::AnsweredElsewhere);
                assert_eq!(close_by(cause, by).is_none(), goes_on, "{cause:?}");
            }
        }
    }

    // accept: domain-model M12
    #[test]
    fn client_sdks_are_told_why() {
        for (cause, by, want) in [
            (Cause::SystemError, By::System, EndReason::Error),
            (Cause::NoAnswer, By::Timer, EndReason::Timeout),
            (Cause::MaxDuration, By::Timer, EndReason::Timeout),
            (Cause::Normal, AGENT, EndReason::LocalBye),
            (Cause::Cancelled, AGENT, EndReason::LocalBye),
            (Cause::Normal, CUSTOMER, EndReason::RemoteBye),
            (Cause::Normal, By::System, EndReason::RemoteBye),
            (Cause::Busy, CUSTOMER, EndReason::Rejected),
            (Cause::Rejected, CUSTOMER, EndReason::Rejected),
            (Cause::AbandonedRinging, CUSTOMER, EndReason::RemoteCancel),
            (Cause::AnsweredElsewhere, AGENT, EndReason::RemoteCancel),
        ] {
            assert_eq!(end_reason(cause, by), want, "{cause:?}");
        }
        let mut seen: Vec<u8> = Cause::ALL
            .iter()
            .flat_map(|c| EVERYBODY.map(|by| end_reason(*c, by).number()))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [0, 1, 3, 4, 6, 7]);
    }

    // accept: domain-model M10
    #[test]
    fn an_offer_that_rings_out_moves_on() {
        let (tenant, app) = (TenantId(1), ApplicationId(1));
        let one = |n: u128| Agent {
            skills: vec![Skill {
                group: GroupId(1),
                level: 5,
            }],
            ..Agent::new(AgentId(n), tenant, app, format!("a{n}"))
        };
        let settings = CentreSettings {
            no_answer: NoAnswer::Ready,
            ..CentreSettings::default()
        };
        let mut acd = Acd::new(1);
        let mut now = Stamp(1_000_000);
        let mut heard: Vec<(u128, &'static str)> = Vec::new();
        let mut rung = None;
        let mut go = |acd: &mut Acd, input: Input, now: Stamp| {
            for output in acd.handle(input, now).unwrap() {
                match output {
                    Output::Offer(offer) => rung = Some(offer.ticket),
                    Output::Queue(fact) => {
                        let (Queued::Offered(agent) | Queued::Returned(agent, _)) = fact.what else {
                            continue;
                        };
                        heard.extend(offer_event(&fact.what).map(|(name, _)| (agent.0, name)));
                    }
                    _ => {}
                }
            }
            rung
        };
        let setup = Setup {
            applications: vec![(app, settings)],
            agents: vec![one(1), one(2)],
            queues: vec![Queue::new(QueueId(1), tenant, app, "q", GroupId(1))],
        };
        go(&mut acd, Input::Configure(Box::new(setup)), now);
        for n in [1, 2] {
            let client = Client { id: n, face: 0 };
            let connect = agent::Input::Connect {
                client,
                needs_device: false,
            };
            go(&mut acd, Input::Agent(AgentId(n), connect), now);
            let sign_in = agent::Input::SignIn {
                groups: Vec::new(),
                mode: DeviceMode::Devices,
                choice: Some(Choice::Ready),
            };
            go(&mut acd, Input::Agent(AgentId(n), sign_in), now);
            now = now.plus_secs(1);
        }
        let call = Enqueue {
            conversation: ID,
            queue: QueueId(1),
            caller: String::new(),
            priority: None,
            since: None,
            front: false,
            not: None,
        };
        let ticket = go(&mut acd, Input::Enqueue(call), now).unwrap();
        go(&mut acd, Input::Fact(ticket, Fact::Engaged(Engagement::Alerting)), now);
        now = now.plus_secs(30);
        let second = go(&mut acd, Input::Tick, now).unwrap();
        assert_ne!(ticket, second);
        go(&mut acd, Input::Fact(second, Fact::Rejected), now);
        // The first is free and is not offered the same call at once.
        assert!(acd.agent(AgentId(1)).is_some_and(|a| a.is_offerable()));
        assert_eq!(
            heard,
            [(1, "callIn"), (1, "autoTransfer"), (2, "callIn"), (2, "sessionEnded"),]
        );
    }
}
