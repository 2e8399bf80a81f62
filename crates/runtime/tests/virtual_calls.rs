//! Whole calls in virtual time: the owner, the conversation machine and the SIP stacks of all parties.

mod kit;

use kit::{Party, Rig};
use strowger_core::call::{AddPlan, Command, PartyPlan, Prompt, Ringback, Target};
use strowger_core::event::RecordMode;
use strowger_core::{By, Cause, Fact, LegSeq, Number, Role};
use strowger_runtime::owner::{OwnerInput, recover};
use strowger_sim::Link;
use strowger_sip_core::{Command as Sip, EndCause, Interface, SipEvent, Stack, StackConfig, Transport};

fn rig(caller: Party, callee: Party) -> Rig {
    let mut rig = Rig::new(Link::CLEAN, 1);
    rig.party("1001", caller);
    rig.party("1002", callee);
    rig
}

fn ended_by(rig: &Rig) -> (Cause, By) {
    rig.record().end.expect("an end")
}

// accept: domain-model I4, I5, I6, I12, I18
// accept: voice-paas 101
#[test]
fn a_click_to_call_from_dial_to_record() {
    let mut rig = rig(Party::Answers(2_000, 0), Party::Answers(3_000, 10_000));
    rig.click(|_, _| {});
    rig.run(1_900);
    assert_eq!(
        rig.net.sent(rig.platform, "INVITE 1"),
        1,
        "the callee is not dialled before the caller answered"
    );
    rig.run(4_000);
    assert_eq!((rig.hears(0), rig.hears(1)), (vec![1], vec![0]));
    rig.run(11_000);
    rig.assert_clean();
    let record = rig.record();
    assert_eq!(ended_by(&rig), (Cause::Normal, By::Party(LegSeq(1), Role::Callee)));
    for leg in &record.legs {
        let stamps: Vec<_> = [Some(leg.start), leg.ring, leg.answer, leg.bridge, leg.stop]
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(stamps.len(), 5);
        assert!(stamps.is_sorted());
    }
    assert_eq!(record.legs[1].duration(), 10);
    let kinds = rig.kinds();
    let at = |k| kinds.iter().rposition(|x| *x == k).unwrap();
    assert!(at("leg.ended") < at("conversation.ended"));
}

#[test]
fn the_answer_is_committed_before_it_is_acknowledged() {
    let mut rig = rig(Party::Answers(100, 0), Party::Rings);
    rig.click(|_, _| {});
    rig.run(60);
    rig.frozen = true;
    rig.run(2_000);
    assert_eq!(
        rig.net.sent(rig.platform, "ACK 1"),
        0,
        "the far side must repeat its 200 until the commit"
    );
    assert!(rig.net.sent(kit_node(1), "200 INVITE 1") > 1);
}

fn kit_node(n: usize) -> strowger_sim::NodeId {
    strowger_sim::NodeId(n)
}

#[test]
fn each_refusal_of_the_caller_ends_the_call_before_the_callee_is_dialled() {
    for (party, cause) in [
        (Party::Refuses(486), Cause::Busy),
        (Party::Refuses(404), Cause::InvalidNumber),
        (Party::Refuses(603), Cause::Rejected),
        (Party::RingsThenRefuses(500, 480), Cause::NoAnswer),
        (Party::Refuses(480), Cause::Unregistered),
        (Party::Refuses(488), Cause::IncompatibleMedia),
        (Party::Refuses(503), Cause::NoRoute),
        (Party::Rings, Cause::NoAnswer),
        (Party::Silent, Cause::SetupTimeout),
    ] {
        let mut rig = rig(party.clone(), Party::Answers(1, 0));
        rig.click(|_, _| {});
        rig.run(125_000);
        rig.assert_clean();
        let record = rig.record();
        assert_eq!(record.end.map(|e| e.0), Some(cause), "{party:?}");
        assert_eq!(record.legs.len(), 1, "{party:?}");
    }
}

#[test]
fn the_caller_leaves_while_the_callee_rings() {
    let mut rig = rig(Party::Answers(100, 2_000), Party::Rings);
    rig.click(|_, _| {});
    rig.run(2_500);
    assert_eq!(
        rig.net.sent(rig.platform, "CANCEL 1"),
        1,
        "the callee leg is cancelled within a second"
    );
    rig.assert_clean();
    assert_eq!(ended_by(&rig), (Cause::Normal, By::Party(LegSeq(0), Role::Caller)));
    assert_eq!(rig.record().legs[1].end.unwrap().0, Cause::Cancelled);
}

// accept: domain-model I15
#[test]
fn a_200_that_crosses_the_cancel_is_never_bridged() {
    for crossing in 0..40 {
        let mut rig = rig(Party::Answers(100, 0), Party::Answers(1_000, 0));
        rig.click(|_, _| {});
        rig.run(1_100 + crossing * 5);
        rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
        rig.run(5_000);
        rig.assert_clean();
        let record = rig.record();
        let callee = &record.legs[1];
        let cause = callee.end.unwrap().0;
        match callee.answer {
            Some(_) => assert_eq!(cause, Cause::Admin),
            None => {
                assert_eq!((cause, callee.bridge), (Cause::Cancelled, None));
                assert!(rig.hears(0).is_empty());
            }
        }
    }
}

#[test]
fn a_repeated_cancel_is_no_error_and_a_late_one_is_refused() {
    let mut rig = rig(Party::Answers(100, 0), Party::Answers(100, 0));
    rig.click(|_, _| {});
    rig.run(1_000);
    let cancel = || OwnerInput::Command(Command::Cancel { leg: None });
    assert!(rig.give(cancel()).reply.unwrap().is_ok());
    assert!(rig.give(cancel()).reply.unwrap().is_ok());
    rig.run(1_000);
    assert_eq!(rig.give(cancel()).reply, Some(Err(strowger_core::call::Refusal::Ended)));
    rig.assert_clean();
}

// accept: domain-model M52
#[test]
fn a_trunk_that_fails_is_followed_by_the_next_inside_the_same_leg() {
    for first in [Party::Refuses(503), Party::Silent, Party::Refuses(500)] {
        let mut rig = Rig::new(Link::CLEAN, 3);
        rig.party("1001", Party::Answers(100, 0));
        rig.party("1002", first.clone());
        rig.party("1002", Party::Answers(100, 2_000));
        rig.click(|_, _| {});
        rig.run(45_000);
        rig.assert_clean();
        let record = rig.record();
        assert_eq!(record.legs.len(), 2, "{first:?}");
        assert_eq!(record.legs[1].attempts.len(), 2);
        assert!(record.legs[1].attempts[0].1.is_some() && record.legs[1].attempts[1].1.is_none());
        assert_eq!(ended_by(&rig), (Cause::Normal, By::Party(LegSeq(1), Role::Callee)));
    }
}

#[test]
fn after_ringing_no_other_trunk_is_tried() {
    let mut rig = Rig::new(Link::CLEAN, 3);
    rig.party("1001", Party::Answers(100, 0));
    rig.party("1002", Party::RingsThenRefuses(1_000, 503));
    rig.party("1002", Party::Answers(100, 2_000));
    rig.click(|_, _| {});
    rig.run(10_000);
    rig.assert_clean();
    assert_eq!(rig.record().legs[1].attempts.len(), 1);
    assert_eq!(rig.record().end.unwrap().0, Cause::NoRoute);
}

// accept: domain-model I27
#[test]
fn a_full_trunk_is_passed_over_and_with_none_left_the_call_has_no_route() {
    let mut rig = Rig::new(Link::CLEAN, 3);
    let full = rig.party("1001", Party::Answers(100, 0));
    rig.world.full.lock().unwrap().push(full.0 as u128);
    rig.party("1002", Party::Answers(100, 0));
    rig.click(|_, _| {});
    rig.run(100);
    rig.assert_clean();
    assert_eq!(rig.record().end.unwrap().0, Cause::NoRoute);
    assert!(rig.world.claimed.lock().unwrap().is_empty());
}

#[test]
fn hold_by_the_device_in_every_spelling_gives_the_other_side_music() {
    for (spelling, body) in [
        ("sendonly", kit::party_sdp(kit_node(2), 2, "sendonly")),
        ("inactive", kit::party_sdp(kit_node(2), 2, "inactive")),
        ("0.0.0.0", {
            let text = String::from_utf8(kit::party_sdp(kit_node(2), 2, "sendrecv").to_vec()).unwrap();
            text.replace("c=IN IP4 10.0.0.3", "c=IN IP4 0.0.0.0").into()
        }),
        ("port 0", {
            let text = String::from_utf8(kit::party_sdp(kit_node(2), 2, "sendrecv").to_vec()).unwrap();
            let (before, line) = text.split_once("m=audio ").unwrap();
            let (_, rest) = line.split_once(' ').unwrap();
            format!("{before}m=audio 0 {rest}").into()
        }),
    ] {
        let mut rig = rig(Party::Answers(100, 0), Party::Answers(100, 0));
        rig.click(|_, _| {});
        rig.run(1_000);
        let callee = rig.net.events().iter().find(|l| l.node == kit_node(2)).unwrap().handle;
        rig.net.command(
            kit_node(2),
            Sip::ReInvite {
                handle: callee,
                sdp: Some(body),
            },
        );
        rig.run(500);
        assert!(
            rig.plays(0) && rig.hears(0).is_empty(),
            "{spelling}: music for the caller"
        );
        assert!(rig.record().legs[1].held);
        let back = kit::party_sdp(kit_node(2), 3, "sendrecv");
        rig.net.command(
            kit_node(2),
            Sip::ReInvite {
                handle: callee,
                sdp: Some(back),
            },
        );
        rig.run(500);
        assert_eq!((rig.hears(0), rig.plays(0)), (vec![1], false), "{spelling}: talk again");
        rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
        rig.run(1_000);
        rig.assert_clean();
    }
}

#[test]
fn a_reinvite_without_an_offer_gets_one_and_its_answer_counts() {
    let mut rig = rig(Party::Answers(100, 0), Party::Answers(100, 0));
    rig.click(|_, _| {});
    rig.run(1_000);
    let callee = rig.net.events().iter().find(|l| l.node == kit_node(2)).unwrap().handle;
    rig.net.command(
        kit_node(2),
        Sip::ReInvite {
            handle: callee,
            sdp: None,
        },
    );
    rig.run(200);
    let offered = rig.net.events().iter().any(|l| {
        l.node == kit_node(2)
            && matches!(
                &l.event,
                SipEvent::ReInviteAnswered {
                    sdp: Some(_),
                    ack_needed: true
                }
            )
    });
    assert!(offered, "our 200 carries an offer");
    let answer = kit::party_sdp(kit_node(2), 2, "sendonly");
    rig.net.command(
        kit_node(2),
        Sip::Ack {
            handle: callee,
            sdp: Some(answer),
        },
    );
    rig.run(200);
    assert!(rig.record().legs[1].held, "the answer in the ACK put us on hold");
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    rig.assert_clean();
}

#[test]
fn both_hang_up_at_once() {
    for offset in 0..8 {
        let mut rig = rig(Party::Answers(100, 1_340 + offset * 5), Party::Answers(200, 1_100));
        rig.click(|_, _| {});
        rig.run(5_000);
        rig.assert_clean();
        let record = rig.record();
        assert_eq!(record.end.unwrap().0, Cause::Normal);
        for leg in &record.legs {
            assert_eq!(leg.end.unwrap().0, Cause::Normal);
        }
    }
}

#[test]
fn an_incoming_call_is_answered_when_its_target_answers() {
    let mut rig = Rig::new(Link::CLEAN, 5);
    let caller = rig.net.add_node();
    rig.party("1002", Party::Answers(2_000, 3_000));
    let invite = rig.net.invite(caller, rig.platform, 7);
    rig.net.command(caller, Sip::Invite(Box::new(invite)));
    rig.run(100);
    rig.forward("1002");
    rig.run(1_000);
    let heard = |rig: &Rig, status| {
        rig.net
            .events_of(caller)
            .any(|e| matches!(e, SipEvent::Provisional { status: s, .. } if *s == status))
    };
    assert!(heard(&rig, 180));
    rig.run(2_000);
    assert!(
        rig.net
            .events_of(caller)
            .any(|e| matches!(e, SipEvent::Answered { .. }))
    );
    assert_eq!((rig.hears(0), rig.hears(1)), (vec![1], vec![0]));
    rig.run(5_000);
    assert!(
        rig.net
            .events_of(caller)
            .any(|e| matches!(e, SipEvent::ByeReceived { .. }))
    );
    rig.assert_clean();
}

#[test]
fn an_incoming_late_offer_is_answered_with_an_offer() {
    let mut rig = Rig::new(Link::CLEAN, 5);
    let caller = rig.net.add_node();
    rig.party("1002", Party::Answers(500, 3_000));
    let mut invite = rig.net.invite(caller, rig.platform, 7);
    invite.sdp = None;
    let handle = invite.handle;
    rig.net.script(
        caller,
        Box::new(move |h, e: &SipEvent| match e {
            SipEvent::Answered {
                ack_needed: true,
                sdp: Some(_),
                ..
            } if h == handle => {
                vec![(
                    0,
                    Sip::Ack {
                        handle: h,
                        sdp: Some(kit::party_sdp(kit_node(1), 1, "sendrecv")),
                    },
                )]
            }
            _ => vec![],
        }),
    );
    rig.net.command(caller, Sip::Invite(Box::new(invite)));
    rig.run(100);
    rig.forward("1002");
    rig.run(5_000);
    rig.assert_clean();
    let configured = rig
        .media
        .iter()
        .any(|c| matches!(c, strowger_media::Command::Configure { leg: 0, .. }));
    assert!(configured, "the answer in the ACK configured the caller's media");
    assert_eq!(rig.record().end.unwrap().0, Cause::Normal);
}

#[test]
fn a_caller_that_cancels_takes_the_target_with_it() {
    let mut rig = Rig::new(Link::CLEAN, 5);
    let caller = rig.net.add_node();
    let callee = rig.party("1002", Party::Rings);
    let invite = rig.net.invite(caller, rig.platform, 7);
    let handle = invite.handle;
    rig.net.command(caller, Sip::Invite(Box::new(invite)));
    rig.run(100);
    rig.forward("1002");
    rig.run(500);
    rig.net.command(caller, Sip::Cancel { handle, reason: None });
    rig.run(1_000);
    assert!(
        rig.net
            .events_of(callee)
            .any(|e| matches!(e, SipEvent::CancelledByPeer { .. }))
    );
    rig.assert_clean();
    assert_eq!(ended_by(&rig), (Cause::Cancelled, By::Party(LegSeq(0), Role::Caller)));
}

#[test]
fn a_failed_target_gives_the_caller_its_status() {
    for status in [486, 404, 603, 480] {
        let mut rig = Rig::new(Link::CLEAN, 5);
        let caller = rig.net.add_node();
        rig.party("1002", Party::Refuses(status));
        let invite = rig.net.invite(caller, rig.platform, 7);
        rig.net.command(caller, Sip::Invite(Box::new(invite)));
        rig.run(100);
        rig.forward("1002");
        rig.run(1_000);
        let got = rig.net.events_of(caller).find_map(|e| match e {
            SipEvent::Failed(f) => Some(f.status),
            _ => None,
        });
        assert_eq!(got, Some(status));
        rig.assert_clean();
    }
}

#[test]
fn a_third_party_joins_and_leaves() {
    let mut rig = rig(Party::Answers(100, 0), Party::Answers(100, 0));
    rig.party("1003", Party::Answers(500, 3_000));
    rig.click(|_, _| {});
    rig.run(1_000);
    let party = PartyPlan {
        target: Target::Number(Number::from_canonical("1003")),
        text: "1003".into(),
        cli: None,
    };
    let plan = AddPlan {
        party,
        greeting: None,
        ringback: Ringback::Transparent,
        caller_voice: None,
        callee_voice: Some(Prompt {
            name: "p".into(),
            millis: 1000,
        }),
        record: true,
        ring_timeout: 120,
    };
    let reply = rig
        .give(OwnerInput::Command(Command::Add(Box::new(plan))))
        .reply
        .unwrap()
        .unwrap();
    assert_eq!(reply.leg, Some(LegSeq(2)));
    rig.run(300);
    assert!(rig.plays(0) && !rig.plays(1), "only the host hears the ringback");
    rig.run(800);
    assert!(
        rig.plays(2) && rig.hears(2).is_empty(),
        "a private prompt before it joins"
    );
    rig.run(1_000);
    let sorted = |mut v: Vec<u16>| {
        v.sort_unstable();
        v
    };
    assert_eq!(sorted(rig.hears(2)), [0, 1]);
    assert_eq!(sorted(rig.hears(0)), [1, 2]);
    rig.run(3_000);
    assert_eq!((rig.hears(0), rig.hears(1)), (vec![1], vec![0]));
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    rig.assert_clean();
    assert_eq!(rig.record().recordings.len(), 1);
}

// accept: domain-model I3, I19
#[test]
fn killed_at_any_moment_every_far_side_is_released_and_the_log_is_closed() {
    for killed_at in (0..4_000).step_by(55) {
        let mut rig = rig(Party::Answers(1_000, 0), Party::Answers(1_000, 0));
        rig.click(|head, _| head.record = RecordMode::FromAnswer);
        rig.run(killed_at);
        // The process is gone: its stack, its timers, its media. What it had committed is the log.
        rig.owner = None;
        rig.net.restart(rig.platform);
        rig.handles.clear();
        let mut record = rig.record();
        let last = record.last_at;
        let mut n = 1 << 40;
        let closing = recover::close(
            &mut record,
            Some(rig.now()),
            || {
                n += 1;
                strowger_sip_core::DialogHandle(n)
            },
            |recording| Fact::RecordingFailed {
                recording,
                reason: "gone".into(),
            },
            |_| None,
        );
        rig.events.extend(closing.events);
        for command in closing.commands {
            rig.net.command(rig.platform, command);
        }
        rig.run(5_000);
        let folded = rig.record();
        assert_eq!(folded, record);
        assert!(folded.ended_at.is_some() && !folded.recording_pending());
        assert!(folded.legs.iter().all(|l| l.stop.unwrap() >= last));
        assert_eq!(folded.end.unwrap(), (Cause::SystemError, By::System));
        assert!(
            rig.net.run_to_quiet(),
            "killed at {killed_at} ms:\n{}",
            rig.net.ladder()
        );
        for party in [kit_node(1), kit_node(2)] {
            let events: Vec<_> = rig.net.events_of(party).collect();
            let came = events.iter().filter(|e| matches!(e, SipEvent::Incoming(_))).count();
            let over = events.iter().filter(|e| e.is_terminal()).count();
            assert_eq!(came, over, "killed at {killed_at} ms: a party still holds a call");
            let gave_up = events.iter().any(|e| {
                matches!(
                    e,
                    SipEvent::NoAck
                        | SipEvent::Ended {
                            cause: EndCause::NoAck | EndCause::PeerLost
                        }
                )
            });
            assert!(
                !gave_up,
                "killed at {killed_at} ms: a party had to find out by its own timers"
            );
        }
    }
}

#[test]
fn a_lossy_network_changes_nothing_but_time() {
    for seed in 0..60 {
        let mut rig = Rig::new(Link::lossy(150), seed);
        rig.party("1001", Party::Answers(1_000, 0));
        rig.party("1002", Party::Answers(1_000, 5_000));
        rig.click(|_, _| {});
        rig.run(60_000);
        rig.assert_clean();
        let record = rig.record();
        assert_eq!(record.legs.len(), 2, "seed {seed}");
        assert_eq!(
            ended_by(&rig),
            (Cause::Normal, By::Party(LegSeq(1), Role::Callee)),
            "seed {seed}"
        );
    }
}

#[test]
fn a_leg_that_is_given_up_tries_no_other_trunk() {
    for first in [Party::Silent, Party::Refuses(503)] {
        for cancelled_at in [1_000, 2_500, 3_900, 4_100] {
            let mut rig = Rig::new(Link::CLEAN, 3);
            rig.party("1001", Party::Answers(100, 0));
            rig.party("1002", first.clone());
            rig.party("1002", Party::Rings);
            rig.click(|_, _| {});
            rig.run(150 + cancelled_at);
            let open = rig.net.sent(rig.platform, "INVITE 1");
            rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
            let dialled = rig.record().legs.get(1).map_or(0, |l| l.attempts.len());
            rig.run(10_000);
            let record = rig.record();
            assert!(record.ended_at.is_some());
            assert_eq!(record.legs[1].attempts.len(), dialled, "{first:?} at {cancelled_at}");
            // A silent trunk gets its INVITE repeated; no other party gets a new one.
            let ringing = rig
                .net
                .events_of(kit_node(3))
                .filter(|e| matches!(e, SipEvent::Incoming(_)))
                .count();
            let over = rig.net.events_of(kit_node(3)).filter(|e| e.is_terminal()).count();
            assert_eq!(ringing, over, "{first:?} at {cancelled_at}: {open} INVITEs before");
        }
    }
}

#[test]
fn without_room_on_another_trunk_a_silent_attempt_goes_on() {
    let mut rig = Rig::new(Link::CLEAN, 3);
    rig.party("1001", Party::Answers(100, 0));
    rig.party("1002", Party::Silent);
    let full = rig.party("1002", Party::Answers(100, 0));
    rig.world.full.lock().unwrap().push(full.0 as u128);
    rig.click(|_, _| {});
    rig.run(40_000);
    rig.assert_clean();
    assert_eq!(rig.record().end.unwrap().0, Cause::SetupTimeout);
    assert_eq!(rig.record().legs[1].attempts.len(), 1);
}

#[test]
fn a_cancel_that_crosses_our_answer_hangs_up() {
    let mut rig = Rig::new(Link::CLEAN, 5);
    let caller = rig.net.add_node();
    rig.party("1002", Party::Answers(500, 0));
    let invite = rig.net.invite(caller, rig.platform, 7);
    let handle = invite.handle;
    rig.net.command(caller, Sip::Invite(Box::new(invite)));
    rig.run(100);
    rig.forward("1002");
    rig.run(300);
    // The answer is decided and its commit takes a while; meanwhile the caller gives up.
    rig.hold_back = true;
    rig.run(300);
    rig.net.command(caller, Sip::Cancel { handle, reason: None });
    rig.run(100);
    rig.hold_back = false;
    rig.run(3_000);
    rig.assert_clean();
    let record = rig.record();
    assert_eq!(record.end, Some((Cause::Normal, By::Party(LegSeq(0), Role::Caller))));
    assert!(record.legs[1].stop.unwrap().ms_since(record.legs[0].stop.unwrap()) < 1_000);
}

/// Who has no session timers.
#[derive(Clone, Copy, PartialEq)]
enum Without {
    Nobody,
    Callee,
    Us,
}

/// A talk in which the callee holds.
fn held(without: Without) -> Rig {
    let mut rig = rig(Party::Answers(100, 0), Party::Answers(100, 0));
    let node = match without {
        Without::Nobody => None,
        Without::Callee => Some(kit_node(2)),
        Without::Us => Some(rig.platform),
    };
    if let Some(node) = node {
        let interface = Interface::new(Transport::Udp, rig.net.addr(node));
        let mut config = StackConfig::new([7; 16], interface);
        config.session.enabled = false;
        *rig.net.stack(node) = Stack::new(config);
    }
    rig.click(|_, _| {});
    rig.run(1_000);
    let callee = rig.net.events().iter().find(|l| l.node == kit_node(2)).unwrap().handle;
    let sdp = Some(kit::party_sdp(kit_node(2), 2, "sendonly"));
    rig.net.command(kit_node(2), Sip::ReInvite { handle: callee, sdp });
    rig.run(1_000);
    assert!(rig.record().legs[1].held);
    rig
}

#[test]
fn a_hold_is_not_kept_for_ever() {
    let mut rig = held(Without::Us);
    let due = rig.owner.as_ref().and_then(|o| o.machine().next_deadline()).unwrap();
    assert_eq!(due.1, strowger_core::call::Deadline::Hold(LegSeq(1)));
    let owner = rig.owner.as_mut().unwrap();
    let turn = owner.handle(OwnerInput::Tick, &rig.world, due.0);
    assert!(turn.events.iter().any(|e| matches!(
        e.fact,
        Fact::Ending {
            cause: Cause::MediaFailure,
            by: By::Timer
        }
    )));
}

// RFC 4028
#[test]
fn a_hold_under_a_session_timer_lasts_while_the_device_is_there() {
    // A device that knows nothing of them is asked for signs of life by us.
    for without in [Without::Nobody, Without::Callee] {
        let mut rig = held(without);
        let owner = rig.owner.as_ref().unwrap();
        assert_eq!(owner.machine().next_deadline(), None, "the session timer watches it");
        // The device is gone without a word: the session is not refreshed and ends.
        rig.net.lose_if(|p| p.from == kit_node(2) || p.to == Some(kit_node(2)));
        rig.run(1_900_000);
        // Without session timers the device never learns that its talk is over.
        if without == Without::Nobody {
            rig.assert_clean();
        }
        assert_eq!(rig.record().legs[1].end.unwrap().0, Cause::NetworkLost);
    }
}

#[test]
fn a_recording_goes_on_when_the_caller_leaves_a_talk_of_three() {
    let mut rig = rig(Party::Answers(100, 3_000), Party::Answers(100, 0));
    rig.party("1003", Party::Answers(100, 0));
    rig.click(|head, _| head.record = RecordMode::FromAnswer);
    rig.run(1_000);
    let plan = AddPlan {
        party: PartyPlan {
            target: Target::Number(Number::from_canonical("1003")),
            text: "1003".into(),
            cli: None,
        },
        greeting: None,
        ringback: Ringback::Transparent,
        caller_voice: None,
        callee_voice: None,
        record: true,
        ring_timeout: 120,
    };
    rig.give(OwnerInput::Command(Command::Add(Box::new(plan))))
        .reply
        .unwrap()
        .unwrap();
    rig.run(4_000);
    assert_eq!(rig.record().legs[0].end.unwrap().0, Cause::Normal);
    let recorded: Vec<(u128, u16)> = rig
        .media
        .iter()
        .filter_map(|c| match c {
            strowger_media::Command::Record(spec) => Some((spec.id, spec.left)),
            _ => None,
        })
        .collect();
    assert_eq!(
        recorded,
        [(kit::ID.0, 0), (kit::ID.0, 1)],
        "one recording, moved to the callee"
    );
    let stopped = |rig: &Rig| {
        rig.media
            .iter()
            .filter(|c| matches!(c, strowger_media::Command::StopRecord))
            .count()
    };
    assert_eq!(stopped(&rig), 0);
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    assert_eq!(stopped(&rig), 1);
    rig.assert_clean();
}

#[test]
fn a_sound_that_vanished_does_not_stop_the_call() {
    let mut rig = rig(Party::Answers(100, 0), Party::Answers(100, 1_000));
    rig.click(|_, plan| {
        plan.greeting = Some(Prompt {
            name: "missing".into(),
            millis: 60_000,
        })
    });
    rig.run(3_000);
    rig.assert_clean();
    assert_eq!(rig.record().end.unwrap().0, Cause::Normal);
}

/// A call of a tenant with one-way audio says so in its record, with each cause once, and only once it was answered.
#[test]
fn one_way_audio_is_a_fact_of_its_leg() {
    use strowger_core::event::OneWay;
    use strowger_media::{Event as MediaEvent, OneWay as Cause};
    let found = |leg, cause| OwnerInput::Media(MediaEvent::OneWay { leg, cause });
    let mut rig = rig(Party::Answers(100, 0), Party::Answers(5_000, 0));
    rig.click(|_, _| {});
    rig.run(1_000);
    // The callee rings: nothing is missed of it yet.
    rig.give(found(1, Cause::NothingIn));
    assert!(rig.record().legs[1].one_way.is_empty());
    rig.run(6_000);
    for cause in Cause::ALL.into_iter().chain(Cause::ALL) {
        rig.give(found(1, cause));
    }
    let record = rig.record();
    assert_eq!(record.legs[1].one_way, OneWay::ALL);
    assert!(record.legs[0].one_way.is_empty());
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    rig.assert_clean();
}

/// A leg whose trunk wants digits as INFO gets them so.
#[test]
fn digits_leave_as_info_where_the_trunk_wants_that() {
    use strowger_core::resource::DigitsBy;
    use strowger_media::{Command as MediaCommand, DigitsBy as MediaBy, Event as MediaEvent};
    let mut rig = rig(Party::Answers(100, 0), Party::Answers(100, 0));
    rig.world.digits = DigitsBy::Info;
    rig.click(|_, _| {});
    rig.run(2_000);
    let told = |leg: u16| {
        let is_it =
            |c: &MediaCommand| matches!(c, MediaCommand::DigitsBy { leg: l, by: MediaBy::Signalling } if *l == leg);
        rig.media.iter().any(is_it)
    };
    assert!(told(0) && told(1));
    rig.give(OwnerInput::Media(MediaEvent::DigitToSignal {
        leg: 1,
        digit: '#',
        duration_ms: 200,
    }));
    rig.run(1_000);
    let mut infos = rig.net.events().iter().filter_map(|l| match &l.event {
        SipEvent::InfoReceived { content_type, body } => Some((content_type.clone(), body.clone())),
        _ => None,
    });
    let (kind, body) = infos.next().expect("an INFO");
    assert_eq!(kind, "application/dtmf-relay");
    assert_eq!(&body[..], b"Signal=#\r\nDuration=200\r\n");
    assert!(infos.next().is_none(), "only the one who wants it");
}
