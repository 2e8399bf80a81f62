//! Every crossing on a bad network, hundreds of seeds each: both ends agree on how it ended, each handle gets exactly one
//! terminal event, and nothing is left in either stack.

use bytes::Bytes;
use std::collections::BTreeMap;
use strowger_sim::{Link, NodeId, SipNet};
use strowger_sip_core::*;

const MS: u64 = 1_000;
const S: u64 = 1_000_000;
/// Seeds of each plan; `STROWGER_SIM_SEEDS` asks for more.
fn seeds() -> u64 {
    std::env::var("STROWGER_SIM_SEEDS")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(500)
}
const ONE: DialogHandle = DialogHandle(1);

fn sdp() -> Option<Bytes> {
    Some(Bytes::from_static(b"v=0\r\n"))
}

fn respond(handle: DialogHandle, status: u16) -> Command {
    let sdp = if (200..300).contains(&status) { sdp() } else { None };
    Command::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: Vec::new(),
        sdp,
        reliable: false,
    }
}

fn bye(handle: DialogHandle) -> Command {
    Command::Bye { handle, reason: None }
}

/// A command and the time before which it is given, in µs.
type Step<C> = (C, u64);
type OfCaller = fn() -> Command;
type OfCallee = fn(DialogHandle) -> Command;

/// What A does and what B does, each after a delay that the seed chooses.
struct Plan {
    name: &'static str,
    /// B's final response and its latest time; `None` rings for ever.
    answer: Option<(u16, u64)>,
    /// Commands of A, each before the given time.
    caller: &'static [Step<OfCaller>],
    /// Commands of B after the call came in.
    callee: &'static [Step<OfCallee>],
    /// A plain end for those plans that would go on talking.
    hang_up_at: u64,
}

fn cancel_one() -> Command {
    Command::Cancel {
        handle: ONE,
        reason: None,
    }
}
fn abandon_one() -> Command {
    Command::Abandon { handle: ONE }
}
fn bye_one() -> Command {
    bye(ONE)
}
fn reinvite_one() -> Command {
    Command::ReInvite {
        handle: ONE,
        sdp: sdp(),
    }
}
fn reinvite(handle: DialogHandle) -> Command {
    Command::ReInvite { handle, sdp: sdp() }
}

const PLANS: &[Plan] = &[
    Plan {
        name: "normal",
        answer: Some((200, S)),
        caller: &[],
        callee: &[],
        hang_up_at: 40 * S,
    },
    Plan {
        name: "busy",
        answer: Some((486, S)),
        caller: &[],
        callee: &[],
        hang_up_at: 0,
    },
    Plan {
        name: "cancel",
        answer: None,
        caller: &[(cancel_one, 3 * S)],
        callee: &[],
        hang_up_at: 0,
    },
    Plan {
        name: "cancel/200",
        answer: Some((200, 400 * MS)),
        caller: &[(cancel_one, 400 * MS)],
        callee: &[],
        hang_up_at: 0,
    },
    Plan {
        name: "cancel/486",
        answer: Some((486, 400 * MS)),
        caller: &[(cancel_one, 400 * MS)],
        callee: &[],
        hang_up_at: 0,
    },
    Plan {
        name: "abandon/200",
        answer: Some((200, 400 * MS)),
        caller: &[(abandon_one, 200 * MS)],
        callee: &[],
        hang_up_at: 0,
    },
    Plan {
        name: "bye/bye",
        answer: Some((200, 10 * MS)),
        caller: &[(bye_one, 3 * S)],
        callee: &[(bye, 3 * S)],
        hang_up_at: 0,
    },
    Plan {
        name: "reinvite/reinvite",
        answer: Some((200, 10 * MS)),
        caller: &[(reinvite_one, 3 * S)],
        callee: &[(reinvite, 3 * S)],
        hang_up_at: 100 * S,
    },
    Plan {
        name: "reinvite/bye",
        answer: Some((200, 10 * MS)),
        caller: &[(reinvite_one, 2 * S)],
        callee: &[(bye, 2 * S)],
        hang_up_at: 0,
    },
    Plan {
        name: "answer/bye",
        answer: Some((200, 300 * MS)),
        caller: &[],
        callee: &[(bye, 900 * MS)],
        hang_up_at: 0,
    },
];

fn run(plan: &Plan, seed: u64, link: Link) {
    let mut net = SipNet::new(seed, link);
    let (a, b) = (net.add_node(), net.add_node());
    let mut times = net.rng().clone();
    let answer = plan.answer.map(|(status, latest)| (times.below(latest), status));
    let callee: Vec<_> = plan
        .callee
        .iter()
        .map(|(command, latest)| (600 * MS + times.below(*latest), *command))
        .collect();
    let has_reinvites = plan.name.starts_with("reinvite");
    net.script(b, move |handle, event| match event {
        SipEvent::Incoming(_) => {
            let mut todo = vec![(0, respond(handle, 180))];
            todo.extend(answer.map(|(delay, status)| (delay, respond(handle, status))));
            todo.extend(callee.iter().map(|(delay, command)| (*delay, command(handle))));
            todo
        }
        SipEvent::ReInviteReceived { .. } => vec![(20 * MS, respond(handle, 200))],
        _ => Vec::new(),
    });
    net.script(a, move |handle, event| match event {
        SipEvent::ReInviteReceived { .. } => vec![(20 * MS, respond(handle, 200))],
        SipEvent::ReInviteFailed {
            retry_in: Some(wait), ..
        } if has_reinvites => vec![(*wait, reinvite_one())],
        _ => Vec::new(),
    });
    let invite = net.invite(a, b, 1);
    net.command(a, Command::Invite(Box::new(invite)));
    for (command, latest) in plan.caller {
        let delay = times.below(*latest);
        net.after(delay, a, command());
    }
    if plan.hang_up_at > 0 {
        net.after(plan.hang_up_at, a, bye_one());
    }
    net.run_for(400 * S);
    // A call whose CANCEL was lost for good rings until the callee's own timer.
    let ringing: Vec<DialogHandle> = open_handles(&net, b);
    for handle in ringing {
        net.command(b, bye(handle));
    }
    let quiet = net.run_to_quiet();
    let context = || {
        format!(
            "{} seed {seed}\n{}\n{:#?}",
            plan.name,
            net.ladder(),
            net.events()
                .iter()
                .map(|e| (e.at.0, e.node, &e.event))
                .collect::<Vec<_>>()
        )
    };
    assert!(quiet, "something is left: {}", context());
    check_terminal_events(&net, &context);
    agree(&net, a, b, &context);
}

fn open_handles(net: &SipNet, node: NodeId) -> Vec<DialogHandle> {
    let mut open = Vec::new();
    for logged in net.events().iter().filter(|e| e.node == node) {
        if matches!(logged.event, SipEvent::Incoming(_)) {
            open.push(logged.handle);
        } else if logged.event.is_terminal() {
            open.retain(|h| *h != logged.handle);
        }
    }
    open
}

/// Exactly one terminal event a handle, and nothing but refused commands after it.
fn check_terminal_events(net: &SipNet, context: &dyn Fn() -> String) {
    let mut ended: BTreeMap<(NodeId, DialogHandle), bool> = BTreeMap::new();
    for logged in net.events() {
        if matches!(logged.event, SipEvent::CommandRefused { .. }) {
            continue;
        }
        let over = ended.entry((logged.node, logged.handle)).or_insert(false);
        assert!(!*over, "an event after the end: {}", context());
        *over = logged.event.is_terminal();
    }
    assert!(ended.values().all(|over| *over), "no terminal event: {}", context());
}

/// If one side was in a conversation, so was the other, but for a caller that had given up before it knew.
fn agree(net: &SipNet, a: NodeId, b: NodeId, context: &dyn Fn() -> String) {
    let answered = net.events_of(a).any(|e| matches!(e, SipEvent::Answered { .. }));
    let acknowledged = net.events_of(b).any(|e| matches!(e, SipEvent::AckReceived { .. }));
    let gave_up = net.events_of(a).any(|e| {
        matches!(
            e,
            SipEvent::Ended {
                cause: EndCause::Cancelled { .. } | EndCause::Abandoned { .. }
            }
        ) || matches!(e, SipEvent::Failed(_))
    });
    assert!(!(answered && gave_up), "answered after giving up: {}", context());
    if acknowledged {
        assert!(
            answered || gave_up,
            "only the callee was in a conversation: {}",
            context()
        );
    }
    if answered && !acknowledged {
        // The callee saw no ACK: it must have ended the dialog itself, or seen the BYE first.
        let ended = net.events_of(b).any(|e| {
            matches!(
                e,
                SipEvent::NoAck | SipEvent::ByeReceived { .. } | SipEvent::Ended { .. }
            )
        });
        assert!(ended, "the callee still waits: {}", context());
    }
}

#[test]
fn clean_network() {
    for plan in PLANS {
        for seed in 0..seeds() {
            run(plan, seed, Link::CLEAN);
        }
    }
}

#[test]
fn five_percent_loss() {
    for plan in PLANS {
        for seed in 0..seeds() {
            run(plan, seed, Link::lossy(50));
        }
    }
}

#[test]
fn thirty_percent_loss() {
    for plan in PLANS {
        for seed in 0..seeds() {
            run(plan, seed, Link::lossy(300));
        }
    }
}

#[test]
fn a_seed_replays_exactly() {
    let ladder = |seed| {
        let mut net = SipNet::new(seed, Link::lossy(300));
        let (a, b) = (net.add_node(), net.add_node());
        net.script(b, |handle, event| match event {
            SipEvent::Incoming(_) => vec![(S, respond(handle, 200))],
            _ => Vec::new(),
        });
        let invite = net.invite(a, b, 1);
        net.command(a, Command::Invite(Box::new(invite)));
        net.after(10 * S, a, bye_one());
        net.run_to_quiet();
        net.ladder()
    };
    assert_eq!(ladder(3), ladder(3));
    assert_ne!(ladder(3), ladder(4));
}
