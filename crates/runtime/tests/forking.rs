//! One leg that rings several devices: side by side, one group after another, and sent on by a device's 302.

mod kit;

use kit::{Party, Rig};
use strowger_core::call::Command;
use strowger_core::event::Via;
use strowger_core::{By, Cause, DeviceId, Fact, LegSeq, Role};
use strowger_runtime::owner::{OwnerInput, recover};
use strowger_sim::{Link, NodeId};
use strowger_sip_core::SipEvent;

/// A caller that answers at once, and a user with devices.
fn rig(devices: &[(u16, Party)]) -> (Rig, Vec<NodeId>) {
    let mut rig = Rig::new(Link::CLEAN, 1);
    rig.party("1001", Party::Answers(100, 0));
    let nodes = devices.iter().map(|(g, p)| rig.device("1002", *g, p.clone())).collect();
    (rig, nodes)
}

fn asked(rig: &Rig, node: NodeId) -> usize {
    rig.net
        .events_of(node)
        .filter(|e| matches!(e, SipEvent::Incoming(_)))
        .count()
}

fn over(rig: &Rig, node: NodeId) -> usize {
    rig.net.events_of(node).filter(|e| e.is_terminal()).count()
}

fn status(rig: &Rig, leg: usize) -> u16 {
    rig.record().legs[leg].sip_status
}

// accept: domain-model I15
#[test]
fn all_devices_of_a_group_ring_and_the_first_answer_takes_the_call() {
    let (mut rig, nodes) = rig(&[(0, Party::Rings), (0, Party::Answers(1_000, 5_000)), (0, Party::Rings)]);
    rig.click(|_, _| {});
    rig.run(500);
    assert!(nodes.iter().all(|n| asked(&rig, *n) == 1), "all ring at once");
    rig.run(2_000);
    for loser in [nodes[0], nodes[2]] {
        let elsewhere = rig.net.events_of(loser).any(|e| {
            matches!(e, SipEvent::CancelledByPeer { reasons } if reasons.iter().any(|r| {
                r.protocol == "SIP" && r.cause == Some(200) && r.text.as_deref() == Some("Call completed elsewhere")
            }))
        });
        assert!(elsewhere, "it learns that it missed nothing");
    }
    assert_eq!((rig.hears(0), rig.hears(1)), (vec![1], vec![0]));
    let record = rig.record();
    assert_eq!(record.legs.len(), 2, "one leg, however many devices");
    assert!(
        record.legs[1].open.is_empty(),
        "the journal knows that the losers are over"
    );
    rig.run(6_000);
    rig.assert_clean();
    let record = rig.record();
    assert_eq!(record.end, Some((Cause::Normal, By::Party(LegSeq(1), Role::Callee))));
    assert_eq!(record.legs[1].attempts.len(), 3);
}

// accept: domain-model I15
#[test]
fn answers_that_cross_are_ended_and_never_heard() {
    for gap in 0..24 {
        let second = Party::Answers(1_000 + gap * 5, 0);
        let (mut rig, nodes) = rig(&[(0, Party::Answers(1_000, 0)), (0, second)]);
        rig.click(|_, _| {});
        rig.run(3_000);
        let talking = nodes.iter().filter(|n| over(&rig, **n) == 0).count();
        assert_eq!(talking, 1, "gap {gap}:\n{}", rig.net.ladder());
        assert_eq!(rig.record().legs.len(), 2);
        rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
        rig.run(2_000);
        rig.assert_clean();
    }
}

#[test]
fn groups_ring_one_after_another() {
    let first = [(0, Party::Refuses(486)), (0, Party::RingsThenRefuses(500, 480))];
    let (mut rig, nodes) = rig(&[first[0].clone(), first[1].clone(), (1, Party::Answers(500, 0))]);
    rig.click(|_, _| {});
    rig.run(400);
    assert_eq!(asked(&rig, nodes[2]), 0, "the second group waits for the first");
    rig.run(2_000);
    assert_eq!((rig.hears(0), rig.hears(1)), (vec![1], vec![0]));
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    rig.assert_clean();
}

#[test]
fn a_group_rings_only_as_long_as_it_may() {
    let (mut rig, nodes) = rig(&[(0, Party::Rings), (0, Party::Rings), (1, Party::Answers(500, 0))]);
    for way in rig.world.devices.get_mut("1002").unwrap() {
        way.ring_secs = 10;
    }
    rig.click(|_, _| {});
    rig.run(9_000);
    assert_eq!(asked(&rig, nodes[2]), 0);
    rig.run(3_000);
    assert_eq!(
        (over(&rig, nodes[0]), over(&rig, nodes[1])),
        (1, 1),
        "they ring no more"
    );
    assert_eq!((rig.hears(0), rig.hears(1)), (vec![1], vec![0]));
    assert!(rig.record().legs[1].open.is_empty());
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    rig.assert_clean();
}

#[test]
fn the_last_group_rings_until_the_leg_may_ring_no_more() {
    let (mut rig, _) = rig(&[(0, Party::Rings), (1, Party::Rings)]);
    for way in rig.world.devices.get_mut("1002").unwrap() {
        way.ring_secs = 5;
    }
    rig.click(|_, plan| plan.ring_timeout = 30);
    rig.run(29_000);
    assert!(rig.record().end.is_none());
    rig.run(3_000);
    rig.assert_clean();
    assert_eq!(rig.record().end.unwrap().0, Cause::NoAnswer);
}

// RFC 3261 §16.7
#[test]
fn the_best_failure_of_all_devices_is_told() {
    for (parties, expected) in [
        (vec![Party::Refuses(503), Party::RingsThenRefuses(300, 486)], 486),
        (vec![Party::RingsThenRefuses(300, 480), Party::Refuses(484)], 484),
        (vec![Party::Refuses(486), Party::Silent], 486),
        (vec![Party::Refuses(500), Party::Refuses(503)], 500),
    ] {
        let devices: Vec<_> = parties.iter().map(|p| (0, p.clone())).collect();
        let (mut rig, _) = rig(&devices);
        rig.click(|_, _| {});
        rig.run(40_000);
        rig.assert_clean();
        assert_eq!(status(&rig, 1), expected, "{parties:?}");
    }
}

#[test]
fn a_6xx_ends_all_of_it_at_once() {
    let (mut rig, nodes) = rig(&[
        (0, Party::Rings),
        (0, Party::RingsThenRefuses(500, 603)),
        (1, Party::Rings),
    ]);
    rig.click(|_, _| {});
    rig.run(3_000);
    rig.assert_clean();
    assert_eq!((status(&rig, 1), rig.record().end.unwrap().0), (603, Cause::Rejected));
    assert_eq!((over(&rig, nodes[0]), asked(&rig, nodes[2])), (1, 0));
}

#[test]
fn the_first_early_media_is_heard_until_another_device_answers() {
    let (mut rig, nodes) = rig(&[(0, Party::EarlyMedia(200, 60_000)), (0, Party::EarlyMedia(400, 1_000))]);
    rig.click(|_, _| {});
    let heard = |rig: &Rig| {
        rig.media.iter().rev().find_map(|c| match c {
            strowger_media::Command::Configure { leg: 1, config } => Some(config.remote),
            _ => None,
        })
    };
    rig.run(1_200);
    let addr = |n: NodeId| std::net::SocketAddr::from(([10, 0, 0, n.0 as u8 + 1], 4000));
    assert_eq!(heard(&rig), Some(addr(nodes[0])), "the second one is not heard");
    rig.run(1_500);
    assert_eq!(heard(&rig), Some(addr(nodes[1])), "the one that answered is");
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    rig.assert_clean();
}

#[test]
fn when_the_device_that_is_heard_refuses_another_one_is_heard() {
    let devices = [
        (0, Party::EarlyThenRefuses(200, 600, 486)),
        (0, Party::EarlyMedia(400, 9_000)),
    ];
    let (mut rig, nodes) = rig(&devices);
    rig.click(|_, _| {});
    rig.run(700);
    let heard = |rig: &Rig| {
        rig.media.iter().rev().find_map(|c| match c {
            strowger_media::Command::Configure { leg: 1, config } => Some(config.remote),
            _ => None,
        })
    };
    let addr = |n: NodeId| std::net::SocketAddr::from(([10, 0, 0, n.0 as u8 + 1], 4000));
    assert_eq!(heard(&rig), Some(addr(nodes[0])));
    rig.run(500);
    assert_eq!(heard(&rig), Some(addr(nodes[1])));
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    rig.assert_clean();
}

#[test]
fn giving_the_call_up_stops_every_device() {
    for at in (0..1_400).step_by(35) {
        let (mut rig, nodes) = rig(&[(0, Party::Rings), (0, Party::Answers(1_000, 0)), (0, Party::Rings)]);
        rig.click(|_, _| {});
        rig.run(120 + at);
        rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
        rig.run(3_000);
        rig.assert_clean();
        for n in nodes {
            assert_eq!(asked(&rig, n), over(&rig, n), "at {at}");
        }
    }
}

// accept: domain-model I3, I19
#[test]
fn killed_at_any_moment_every_device_stops_ringing() {
    for killed_at in (0..2_500).step_by(45) {
        let devices = [(0, Party::Rings), (0, Party::Answers(1_000, 0)), (0, Party::Rings)];
        let (mut rig, nodes) = rig(&devices);
        rig.click(|_, _| {});
        rig.run(killed_at);
        rig.owner = None;
        rig.net.restart(rig.platform);
        rig.handles.clear();
        let mut record = rig.record();
        let mut n = 1 << 40;
        let handle = || {
            n += 1;
            strowger_sip_core::DialogHandle(n)
        };
        let gone = |recording| Fact::RecordingFailed {
            recording,
            reason: "gone".into(),
        };
        let closing = recover::close(&mut record, Some(rig.now()), handle, gone, |_| None);
        rig.events.extend(closing.events);
        for command in closing.commands {
            rig.net.command(rig.platform, command);
        }
        rig.run(5_000);
        assert!(rig.record().ended_at.is_some());
        assert!(
            rig.net.run_to_quiet(),
            "killed at {killed_at} ms:\n{}",
            rig.net.ladder()
        );
        for n in nodes {
            assert_eq!(
                asked(&rig, n),
                over(&rig, n),
                "killed at {killed_at} ms:\n{}",
                rig.net.ladder()
            );
        }
    }
}

#[test]
fn a_device_forwards_its_call_and_the_leg_goes_on_there() {
    for code in [300, 301, 302] {
        let (mut rig, nodes) = rig(&[(0, Party::Diverts(500, code, &["sip:1003@10.0.0.1"]))]);
        let third = rig.party("1003", Party::Answers(500, 0));
        rig.click(|_, _| {});
        rig.run(3_000);
        assert_eq!((rig.hears(0), rig.hears(1)), (vec![1], vec![0]));
        let record = rig.record();
        let leg = &record.legs[1];
        let by = Via::Device(DeviceId(nodes[0].0 as u128));
        assert_eq!((record.legs.len(), leg.attempts[0]), (2, (by, Some(code))));
        assert_eq!(leg.diverted, [(by, "sip:1003@10.0.0.1".to_owned())]);
        let told = rig
            .net
            .events_of(third)
            .any(|e| matches!(e, SipEvent::Incoming(i) if i.message.value_by_name("Diversion").is_some()));
        assert!(told, "the new party learns who diverted");
        rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
        rig.run(1_000);
        rig.assert_clean();
    }
}

#[test]
fn the_others_of_a_group_ring_on_while_one_forwards() {
    let (mut rig, nodes) = rig(&[
        (0, Party::Diverts(300, 302, &["sip:1003@10.0.0.1"])),
        (0, Party::Answers(2_000, 0)),
    ]);
    let third = rig.party("1003", Party::Rings);
    rig.click(|_, _| {});
    rig.run(1_500);
    assert_eq!((asked(&rig, third), over(&rig, nodes[1])), (1, 0));
    rig.run(1_500);
    assert_eq!((over(&rig, third), rig.hears(0)), (1, vec![1]));
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    rig.assert_clean();
}

#[test]
fn a_call_is_not_forwarded_where_it_may_not_go_nor_in_circles() {
    for (code, to) in [
        (302, "sip:110@10.0.0.1"),
        (302, "sip:nobody@elsewhere.example"),
        (302, "sip:1002@10.0.0.1"),
        (305, "sip:1003@10.0.0.1"),
    ] {
        let contacts: &'static [&'static str] = Box::leak(Box::new([to]));
        let (mut rig, _) = rig(&[(0, Party::Diverts(100, code, contacts))]);
        let third = rig.party("1003", Party::Rings);
        rig.click(|_, _| {});
        rig.run(2_000);
        rig.assert_clean();
        assert_eq!((asked(&rig, third), status(&rig, 1)), (0, code), "{to}");
        assert!(rig.record().legs[1].diverted.is_empty());
    }
}

#[test]
fn a_chain_of_forwarding_ends_after_five() {
    let mut rig = Rig::new(Link::CLEAN, 1);
    rig.party("1001", Party::Answers(100, 0));
    for n in 2..9u16 {
        let to: &'static str = Box::leak(format!("sip:100{}@10.0.0.1", n + 1).into_boxed_str());
        let contacts: &'static [&'static str] = Box::leak(Box::new([to]));
        rig.device(&format!("100{n}"), 0, Party::Diverts(50, 302, contacts));
    }
    rig.click(|_, _| {});
    rig.run(5_000);
    rig.assert_clean();
    assert_eq!(rig.record().legs[1].diverted.len(), 5);
    assert_eq!(rig.record().legs[1].attempts.len(), 6);
}

#[test]
fn several_contacts_are_tried_in_their_order() {
    let contacts: &[&str] = &["sip:1003@10.0.0.1", "sip:1004@10.0.0.1"];
    let (mut rig, _) = rig(&[(0, Party::Diverts(100, 302, contacts))]);
    rig.device("1003", 0, Party::Refuses(486));
    let last = rig.party("1004", Party::Answers(300, 0));
    rig.click(|_, _| {});
    rig.run(2_000);
    assert_eq!((asked(&rig, last), rig.hears(0)), (1, vec![1]));
    rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
    rig.run(1_000);
    rig.assert_clean();
}

#[test]
fn a_lossy_network_rings_and_stops_every_device() {
    for seed in 0..30 {
        let mut rig = Rig::new(Link::lossy(150), seed);
        rig.party("1001", Party::Answers(500, 0));
        let devices: Vec<_> = [
            Party::Rings,
            Party::Answers(3_000, 4_000),
            Party::Diverts(700, 302, &["sip:1003@10.0.0.1"]),
        ]
        .into_iter()
        .map(|p| rig.device("1002", 0, p))
        .collect();
        let third = rig.party("1003", Party::Rings);
        rig.click(|_, _| {});
        rig.run(60_000);
        rig.assert_clean();
        for n in devices.into_iter().chain([third]) {
            assert_eq!(asked(&rig, n), over(&rig, n), "seed {seed}");
        }
        assert_eq!(rig.record().end.unwrap().0, Cause::Normal, "seed {seed}");
    }
}

/// Small, fast and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

// accept: domain-model I15, I18
#[test]
fn whatever_devices_do_one_of_them_talks_or_none_and_all_others_stop() {
    let mut talked = 0;
    for seed in 0..500 {
        let mut dice = Dice(seed);
        let link = if seed % 3 == 0 { Link::lossy(100) } else { Link::CLEAN };
        let mut rig = Rig::new(link, seed);
        rig.party("1001", Party::Answers(100, 0));
        let third = rig.party("1003", Party::Answers(dice.roll(500), 0));
        let mut nodes = vec![third];
        for _ in 0..=dice.roll(4) {
            let party = match dice.roll(7) {
                0 => Party::Rings,
                1 => Party::Refuses(486),
                2 => Party::RingsThenRefuses(dice.roll(900), 480 + dice.roll(2) as u16 * 123),
                3 => Party::Diverts(dice.roll(600), 302, &["sip:1003@10.0.0.1"]),
                4 => Party::Silent,
                5 => Party::EarlyThenRefuses(dice.roll(300), dice.roll(600), 503),
                _ => Party::Answers(dice.roll(1_500), 0),
            };
            nodes.push(rig.device("1002", dice.roll(3) as u16, party));
        }
        for way in rig.world.devices.get_mut("1002").unwrap() {
            way.ring_secs = (dice.roll(3) * 4) as u16;
        }
        rig.click(|_, plan| plan.ring_timeout = 40);
        rig.run(100 + dice.roll(2_000));
        if dice.roll(4) == 0 {
            rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
        }
        rig.run(90_000);
        let answered = rig.record().legs.get(1).is_some_and(|l| l.answer.is_some());
        if rig.record().end.is_none() {
            talked += 1;
            let live = nodes.iter().filter(|n| asked(&rig, **n) > over(&rig, **n)).count();
            assert!(answered && live == 1, "seed {seed}: {live} talk\n{}", rig.net.ladder());
            assert!(
                rig.record().legs[1]
                    .open
                    .iter()
                    .all(|(_, d)| d.destination.contains("192.0.2.1")),
                "seed {seed}"
            );
            rig.give(OwnerInput::Command(Command::Cancel { leg: None }));
            rig.run(2_000);
        }
        rig.assert_clean();
        for n in nodes {
            assert_eq!(asked(&rig, n), over(&rig, n), "seed {seed}\n{}", rig.net.ladder());
        }
    }
    assert!(talked > 100, "{talked}");
}
