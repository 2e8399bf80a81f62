//! The test kit against itself: two parties, and a receiver of pushes, without a server between them.

use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::http::{Place, request};
use strowger_tests::party::{Ended, Party, SOON};
use strowger_tests::push::{Behaviour, Receiver};
use strowger_tests::wait;

#[test]
fn two_parties_talk_and_hear_each_other() {
    let callee = Party::start(Law::A, Some(750.0));
    let caller = Party::start(Law::Mu, Some(600.0));
    let a = caller.dial(callee.address(), "100", "200");
    let b = callee.first_call();
    assert_eq!(b.numbers(), ("200".to_owned(), "100".to_owned()));
    b.ring();
    a.wait_response("INVITE", 180, SOON);
    b.answer();
    for (line, hz) in [(a.line(), 750.0), (b.line(), 600.0)] {
        wait::until("the tone", SOON, Duration::from_millis(20), || {
            line.hears(hz).then_some(())
        });
    }
    a.line().press("4*");
    wait::until("the digits", SOON, Duration::from_millis(20), || {
        (b.line().digits() == "4*").then_some(())
    });
    b.reinvite("sendonly");
    a.hang_up();
    assert_eq!(b.wait_end(SOON).0, Ended::Bye);
    a.wait_response("BYE", 200, SOON);
    assert!(a.line().heard().heard_ms(750.0) > 200);
    assert_eq!(a.line().heard().heard_ms(600.0), 0, "nobody hears oneself");
}

#[test]
fn refusals_and_cancellations_are_seen_by_both() {
    let callee = Party::start(Law::A, None);
    let caller = Party::start(Law::A, None);
    let a = caller.dial(callee.address(), "100", "200");
    callee.first_call().refuse("486 Busy Here");
    assert_eq!(a.wait_end(SOON).0, Ended::Refused(486));
    let a = caller.dial(callee.address(), "100", "200");
    let b = callee.nth_call(1);
    b.ring();
    a.wait_response("INVITE", 180, SOON);
    a.cancel();
    assert_eq!(b.wait_end(SOON).0, Ended::Cancelled);
    assert_eq!(a.wait_end(SOON).0, Ended::Refused(487));
}

#[test]
fn the_receiver_keeps_what_it_gets_and_behaves_as_told() {
    let receiver = Receiver::start();
    receiver.behave("/no", Behaviour::Status(500));
    let place = Place::Tcp(receiver.url("")[7..].parse().unwrap());
    let post = |path: &str| {
        request(&place, "POST", path, &[("X-A", "b")], Some(b"{\"n\":1}"))
            .unwrap()
            .status
    };
    assert_eq!((post("/yes"), post("/no")), (200, 500));
    let all = receiver.all();
    assert_eq!(all[0].json()["n"], 1);
    assert_eq!(all[0].header("x-a"), Some("b"));
    assert_eq!((all[0].accepted, all[1].accepted), (true, false));
}
