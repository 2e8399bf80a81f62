//! A process is killed in the middle of calls, and another one under the same address goes on with their dialogs. Both
//! far sides are SIPp, which knows nothing of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use strowger_tests::server::free_udp;
use strowger_tests::sipp::{Run, Sipp, installed};
use strowger_tests::wait;

const CALLS: u32 = 5;

/// A node, killed when it is dropped.
struct Node(Child);

impl Node {
    fn start(listen: SocketAddr, to: SocketAddr, journal: &Path) -> Node {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sip_node"))
            .args([
                &listen.to_string(),
                "--to",
                &to.to_string(),
                "--session",
                "4",
                "--journal",
            ])
            .arg(journal)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("our own program can be run");
        let mut first = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output)
            .read_line(&mut first)
            .expect("the node says something");
        assert!(first.starts_with("ready "), "{first}");
        Node(child)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets calls through one process, kills it, starts its successor, and sees all of them end by the scenarios.
fn take_over(caller: &str, callee: &str) {
    if !installed() {
        return;
    }
    let run = |scenario| Run {
        calls: CALLS,
        at_once: CALLS,
        ..Run::of(scenario)
    };
    let folder = tempfile::tempdir().expect("a folder");
    let journal = folder.path().join("journal");
    let listen = SocketAddr::from(([127, 0, 0, 1], free_udp()));
    let callee: Sipp = run(callee).listen();
    let first = Node::start(listen, callee.address(), &journal);
    let caller = run(caller).call(listen, "caller", "callee");
    let patience = Duration::from_secs(15);
    wait::until("every call to be talking", patience, Duration::from_millis(10), || {
        let text = std::fs::read_to_string(&journal).unwrap_or_default();
        (text.matches("\"talking\"").count() == CALLS as usize).then_some(())
    });
    drop(first);
    let second = Node::start(listen, callee.address(), &journal);
    for seen in [caller.succeed(), callee.succeed()] {
        assert!(!seen.contains("SIP/2.0 481"), "{seen}");
    }
    wait::until("every call to be over", patience, Duration::from_millis(10), || {
        let text = std::fs::read_to_string(&journal).unwrap_or_default();
        (text.matches("\"ended\"").count() == CALLS as usize).then_some(())
    });
    drop(second);
}

#[test]
fn the_caller_hangs_up_at_the_successor() {
    take_over("uac-takeover-bye", "uas-takeover-wait");
}

#[test]
fn the_callee_hangs_up_at_the_successor() {
    take_over("uac-takeover-wait", "uas-takeover-bye");
}

#[test]
fn both_sides_hold_at_the_successor() {
    take_over("uac-takeover-hold", "uas-takeover-hold");
}

#[test]
fn the_successor_and_the_far_sides_refresh_the_session() {
    take_over("uac-takeover-refresh", "uas-takeover-refresh");
}
