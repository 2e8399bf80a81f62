//! A process dies at any moment of a call. Its successor has the last snapshot that was written down, and nothing else:
//! whatever it was, the far side is not left in a call with nobody.

use bytes::Bytes;
use std::cell::RefCell;
use std::rc::Rc;
use strowger_sim::{Link, SipNet};
use strowger_sip_core::*;

const MS: u64 = 1_000;
const S: u64 = 1_000_000;
const ONE: DialogHandle = DialogHandle(1);

fn respond(handle: DialogHandle, status: u16) -> Command {
    let sdp = (status == 200).then(|| Bytes::from_static(b"v=0\r\n"));
    Command::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: Vec::new(),
        sdp,
        reliable: false,
    }
}

/// The caller writes its snapshot down before the INVITE leaves and before the ACK leaves; writing takes 5 ms.
fn run(seed: u64, loss: u32) {
    let mut net = SipNet::new(seed, if loss == 0 { Link::CLEAN } else { Link::lossy(loss) });
    let (a, b) = (net.add_node(), net.add_node());
    let mut times = net.rng().clone();
    let (rings, answers) = (times.below(500 * MS), times.below(1_500 * MS));
    net.script(b, move |handle, event| match event {
        SipEvent::Incoming(_) => vec![(rings, respond(handle, 180)), (rings + answers, respond(handle, 200))],
        _ => Vec::new(),
    });
    let invite = Invite {
        ack: AckMode::OnCommand,
        ..net.invite(a, b, 1)
    };
    let journal = Rc::new(RefCell::new(DialogSnapshot::Inviting(invite.snapshot())));
    let written = journal.clone();
    let died = Rc::new(RefCell::new(false));
    let dead = died.clone();
    net.script(a, move |handle, event| match event {
        SipEvent::Answered { snapshot, .. } if !*dead.borrow() => {
            *written.borrow_mut() = DialogSnapshot::Confirmed((**snapshot).clone());
            vec![(5 * MS, Command::Ack { handle, sdp: None })]
        }
        _ => Vec::new(),
    });
    net.command(a, Command::Invite(Box::new(invite)));
    net.run_for(times.below(3 * S));
    *died.borrow_mut() = true;
    net.restart(a);
    net.run_for(times.below(2 * S));
    let restarted = net.now();
    let snapshot = Box::new(journal.borrow().clone());
    let confirmed = matches!(*snapshot, DialogSnapshot::Confirmed(_));
    net.command(
        a,
        Command::Import {
            snapshot,
            credentials: None,
        },
    );
    if confirmed {
        net.command(
            a,
            Command::Bye {
                handle: ONE,
                reason: None,
            },
        );
    }
    let quiet = net.run_to_quiet();
    let context = || {
        format!(
            "seed {seed} loss {loss} confirmed {confirmed} restarted {restarted:?}\n{}",
            net.ladder()
        )
    };
    assert!(quiet, "{}", context());
    let count = |node, wanted: fn(&SipEvent) -> bool| net.events_of(node).filter(|e| wanted(e)).count();
    let incoming = count(b, |e| matches!(e, SipEvent::Incoming(_)));
    assert_eq!(count(b, SipEvent::is_terminal), incoming, "{}", context());
    let end = net
        .events()
        .iter()
        .filter(|e| e.node == b && e.event.is_terminal())
        .map(|e| e.at)
        .max();
    assert!(end.is_none_or(|at| at <= restarted.plus(70 * S)), "{}", context());
    let ends = net
        .events()
        .iter()
        .filter(|e| e.node == a && e.at >= restarted && e.event.is_terminal())
        .count();
    assert_eq!(ends, 1, "{}", context());
}

#[test]
fn on_a_clean_network() {
    for seed in 0..500 {
        run(seed, 0);
    }
}

#[test]
fn on_a_network_that_loses_messages() {
    for seed in 0..500 {
        run(seed, 50);
    }
}
