//! Transfers between phones: blind, attended, picked up; with whoever hangs up in between.

mod exchange;
mod kit;

use exchange::{Exchange, Phone};
use strowger_core::event::Direction;
use strowger_core::{Cause, Role};
use strowger_sim::{Link, NodeId};
use strowger_sip_core::{Command, DialogHandle, SipEvent};

/// Anna has called Bert and they talk. Gives both phones and their handles of the call.
fn talk(x: &mut Exchange) -> ((NodeId, DialogHandle), (NodeId, DialogHandle)) {
    let a = x.phone("1001", Phone::Answers(50));
    let b = x.phone("1002", Phone::Answers(100));
    let at_a = x.call(a, "1002", vec![]);
    x.run(1_000);
    let at_b = x.called(b).expect("Bert was called");
    assert_eq!((x.convs[0].hears(0), x.convs[0].hears(1)), (vec![1], vec![0]));
    ((a, at_a), (b, at_b))
}

fn refer(x: &mut Exchange, (phone, handle): (NodeId, DialogHandle), to: String) {
    x.net.command(
        phone,
        Command::Refer {
            handle,
            refer_to: to,
            referred_by: Some("<sip:1002@10.0.0.1>".into()),
        },
    );
}

fn bye(x: &mut Exchange, (phone, handle): (NodeId, DialogHandle)) {
    x.net.command(phone, Command::Bye { handle, reason: None });
}

/// What a phone was told about its transfer: the answer, then each status and whether it was the last.
fn told(x: &Exchange, phone: NodeId) -> (Option<u16>, Vec<(u16, bool)>) {
    let mut answer = None;
    let mut progress = vec![];
    for e in x.net.events_of(phone) {
        match e {
            SipEvent::ReferResult { status, .. } => answer = Some(*status),
            SipEvent::ReferProgress { status, finished, .. } => progress.push((*status, *finished)),
            _ => {}
        }
    }
    (answer, progress)
}

// RFC 3515
#[test]
fn either_party_transfers_the_other_blind() {
    for by_caller in [false, true] {
        let mut x = Exchange::new(Link::CLEAN, 1);
        let (anna, bert) = talk(&mut x);
        let c = x.phone("1003", Phone::Answers(500));
        let (by, peer) = if by_caller { (anna, bert) } else { (bert, anna) };
        let (by_leg, peer_leg) = if by_caller { (0, 1) } else { (1, 0) };
        refer(&mut x, by, "sip:1003@10.0.0.1".into());
        x.run(300);
        assert!(
            x.convs[0].hears(0).is_empty() && x.convs[0].hears(1).is_empty(),
            "nobody hears the transferor"
        );
        x.run(1_000);
        let (answer, progress) = told(&x, by.0);
        assert_eq!(answer, Some(202));
        assert_eq!(progress, [(100, false), (180, false), (200, true)]);
        let conv = &x.convs[0];
        assert_eq!((conv.hears(peer_leg), conv.hears(2)), (vec![2], vec![peer_leg]));
        let record = conv.record();
        assert_eq!(
            record.legs[usize::from(by_leg)].end.map(|e| e.0),
            Some(Cause::Transferred)
        );
        let t = record.legs[2].transfer.expect("a transferred leg");
        assert_eq!((t.by.0, t.attended, t.result), (by_leg, false, Some(Ok(()))));
        assert_eq!(record.legs[2].role, Role::Third);
        let referred_by = x
            .net
            .events_of(c)
            .any(|e| matches!(e, SipEvent::Incoming(i) if i.message.value_by_name("Referred-By").is_some()));
        assert!(referred_by, "the new party learns who sent the call (RFC 3892)");
        bye(&mut x, peer);
        x.run(500);
        x.assert_clean();
    }
}

#[test]
fn a_blind_transfer_that_fails_gives_the_talk_back() {
    for (phone, status) in [
        (Phone::Refuses(300, 486), 486),
        (Phone::Refuses(300, 603), 603),
        (Phone::Rings, 480),
    ] {
        let mut x = Exchange::new(Link::CLEAN, 1);
        let (anna, bert) = talk(&mut x);
        x.phone("1003", phone);
        refer(&mut x, bert, "sip:1003@10.0.0.1".into());
        x.run(59_000);
        let failed = matches!(phone, Phone::Refuses(..));
        assert_eq!(
            told(&x, bert.0).1.last().copied(),
            Some(if failed { (status, true) } else { (180, false) })
        );
        x.run(3_000);
        let (_, progress) = told(&x, bert.0);
        // The subscription lasts 60 s, as long as the phone may ring: either end may come first.
        assert!(progress.last().is_some_and(|(_, finished)| *finished), "{progress:?}");
        assert_eq!((x.convs[0].hears(0), x.convs[0].hears(1)), (vec![1], vec![0]));
        assert_eq!(
            x.convs[0].record().legs[2].transfer.and_then(|t| t.result),
            Some(Err(status))
        );
        bye(&mut x, anna);
        x.run(500);
        x.assert_clean();
    }
}

#[test]
fn a_transfer_to_nobody_or_against_the_rules_is_refused() {
    for (to, status) in [
        ("sip:110@10.0.0.1", 403),
        ("sip:7777@10.0.0.1", 404),
        ("mailto:x@y", 404),
    ] {
        let mut x = Exchange::new(Link::CLEAN, 1);
        let (anna, bert) = talk(&mut x);
        refer(&mut x, bert, to.into());
        x.run(500);
        assert_eq!(told(&x, bert.0), (Some(status), vec![]), "{to}");
        assert_eq!((x.convs[0].hears(0), x.convs[0].record().legs.len()), (vec![1], 2));
        bye(&mut x, anna);
        x.run(500);
        x.assert_clean();
    }
}

#[test]
fn a_second_transfer_waits_for_the_first() {
    let mut x = Exchange::new(Link::CLEAN, 1);
    let (anna, bert) = talk(&mut x);
    x.phone("1003", Phone::Rings);
    refer(&mut x, bert, "sip:1003@10.0.0.1".into());
    x.run(300);
    refer(&mut x, anna, "sip:1003@10.0.0.1".into());
    x.run(300);
    assert_eq!(told(&x, anna.0).0, Some(491));
    bye(&mut x, anna);
    x.run(1_000);
    x.assert_clean();
}

#[test]
fn a_transferor_may_hang_up_at_any_time() {
    for after in (0..900).step_by(20) {
        let mut x = Exchange::new(Link::CLEAN, 1);
        let (anna, bert) = talk(&mut x);
        x.phone("1003", Phone::Answers(500));
        refer(&mut x, bert, "sip:1003@10.0.0.1".into());
        x.run(after);
        bye(&mut x, bert);
        x.run(2_000);
        let record = x.convs[0].record();
        if record.legs.len() == 3 {
            assert_eq!(
                (x.convs[0].hears(0), x.convs[0].hears(2)),
                (vec![2], vec![0]),
                "after {after}"
            );
        } else {
            assert!(record.ended_at.is_some(), "the BYE came first");
        }
        bye(&mut x, anna);
        x.run(1_000);
        x.assert_clean();
    }
}

/// Bert talks to Anna, then calls Carl; gives Bert's handle of the second call.
fn consult(x: &mut Exchange, bert: NodeId) -> (NodeId, DialogHandle) {
    let c = x.phone("1003", Phone::Answers(200));
    let second = x.call(bert, "1003", vec![]);
    x.run(1_000);
    assert_eq!((x.convs.len(), x.convs[1].hears(0)), (2, vec![1]));
    (c, second)
}

// RFC 3891
#[test]
fn an_attended_transfer_joins_two_conversations() {
    let mut x = Exchange::new(Link::CLEAN, 1);
    let (anna, bert) = talk(&mut x);
    let (carl, second) = consult(&mut x, bert.0);
    let replaces = x.replaces(bert.0, second);
    refer(&mut x, bert, replaces.in_uri("sip:1003@10.0.0.1"));
    x.run(1_500);
    assert_eq!(told(&x, bert.0).0, Some(202));
    assert_eq!(told(&x, bert.0).1.last().copied(), Some((200, true)));
    // Anna is joined to Carl through both conversations, and Bert has no call left.
    let (one, two) = (&x.convs[0], &x.convs[1]);
    assert_eq!((one.hears(0), one.hears(2)), (vec![2], vec![0]));
    assert_eq!((two.hears(1), two.hears(2)), (vec![2], vec![1]));
    let (had, over) = x.calls_of(bert.0);
    assert_eq!((had, over), (2, 2));
    let (r1, r2) = (one.record(), two.record());
    assert!(
        r1.legs[2]
            .transfer
            .is_some_and(|t| t.attended && t.result == Some(Ok(())))
    );
    assert_eq!(r1.legs[1].end.map(|e| e.0), Some(Cause::Transferred));
    assert_eq!(r2.legs[0].end.map(|e| e.0), Some(Cause::Transferred));
    assert_eq!(
        (r2.legs[2].replaces.map(|l| l.0), r2.legs[2].direction),
        (Some(0), Direction::Incoming)
    );
    // Whoever hangs up ends both.
    let at_carl = x.called(carl).unwrap();
    bye(&mut x, (carl, at_carl));
    x.run(1_000);
    x.assert_clean();
    let (had, over) = x.calls_of(anna.0);
    assert_eq!((had, over), (1, 1));
}

#[test]
fn an_attended_transfer_to_a_dialog_that_is_gone_gives_the_talk_back() {
    let mut x = Exchange::new(Link::CLEAN, 1);
    let (anna, bert) = talk(&mut x);
    let (_, second) = consult(&mut x, bert.0);
    let replaces = x.replaces(bert.0, second);
    bye(&mut x, (bert.0, second));
    x.run(500);
    refer(&mut x, bert, replaces.in_uri("sip:1003@10.0.0.1"));
    x.run(1_500);
    assert!(
        told(&x, bert.0)
            .1
            .last()
            .is_some_and(|(status, finished)| *status >= 400 && *finished)
    );
    assert_eq!((x.convs[0].hears(0), x.convs[0].hears(1)), (vec![1], vec![0]));
    bye(&mut x, anna);
    x.run(1_000);
    x.assert_clean();
}

#[test]
fn another_tenants_dialog_cannot_be_replaced() {
    let mut x = Exchange::new(Link::CLEAN, 1);
    let (anna, bert) = talk(&mut x);
    let stranger = x.phone("6666", Phone::Rings);
    x.tenant_of_incoming = 2;
    let value = x.replaces(bert.0, bert.1).value();
    let headers = vec![
        ("Replaces".to_owned(), value),
        ("Require".to_owned(), "replaces".to_owned()),
    ];
    x.call(stranger, "1002", headers);
    x.run(1_000);
    let refused = x
        .net
        .events_of(stranger)
        .any(|e| matches!(e, SipEvent::Failed(f) if f.status == 481));
    assert!(refused);
    assert_eq!((x.convs[0].hears(0), x.convs[0].record().legs.len()), (vec![1], 2));
    bye(&mut x, anna);
    x.run(1_000);
    x.assert_clean();
}

// RFC 3891 §7: call pick-up.
#[test]
fn a_call_that_rings_elsewhere_is_picked_up() {
    let mut x = Exchange::new(Link::CLEAN, 1);
    let a = x.phone("1001", Phone::Rings);
    let b = x.phone("1002", Phone::Rings);
    let other = x.phone("1004", Phone::Rings);
    let at_a = x.call(a, "1002", vec![]);
    x.run(500);
    // The colleague learns of the dialog by other means (RFC 4235); its names are those of Bert's early dialog.
    let at_b = x.called(b).unwrap();
    let mut replaces = x.replaces(b, at_b);
    replaces.early_only = true;
    let headers = vec![
        ("Replaces".to_owned(), replaces.value()),
        ("Require".to_owned(), "replaces".to_owned()),
    ];
    x.call(other, "1002", headers);
    x.run(1_000);
    assert_eq!(
        (x.convs[0].hears(0), x.convs[0].hears(2)),
        (vec![2], vec![0]),
        "{}",
        x.net.ladder()
    );
    assert!(
        x.net
            .events_of(b)
            .any(|e| matches!(e, SipEvent::CancelledByPeer { .. }))
    );
    assert!(x.net.events_of(a).any(|e| matches!(e, SipEvent::Answered { .. })));
    let record = x.convs[0].record();
    assert_eq!(record.legs[1].end.map(|e| e.0), Some(Cause::AnsweredElsewhere));
    bye(&mut x, (a, at_a));
    x.run(1_000);
    x.assert_clean();
}

// accept: domain-model I3, I19
#[test]
fn killed_at_any_moment_of_a_transfer_nobody_is_left_in_a_call() {
    for attended in [false, true] {
        for killed_at in (0..700).step_by(15) {
            let mut x = Exchange::new(Link::CLEAN, 1);
            let (anna, bert) = talk(&mut x);
            let (carl, uri) = if attended {
                let (carl, second) = consult(&mut x, bert.0);
                (carl, x.replaces(bert.0, second).in_uri("sip:1003@10.0.0.1"))
            } else {
                let carl = x.phone("1003", Phone::Answers(300));
                (carl, "sip:1003@10.0.0.1".to_owned())
            };
            refer(&mut x, bert, uri);
            x.run(killed_at);
            x.die_and_recover();
            for conv in &x.convs {
                let record = conv.record();
                assert!(record.ended_at.is_some());
                let unsettled = |l: &strowger_core::record::LegRecord| l.transfer.is_some_and(|t| t.result.is_none());
                assert!(!record.legs.iter().any(unsettled), "a transfer without a result");
            }
            for phone in [anna.0, bert.0, carl] {
                let (had, over) = x.calls_of(phone);
                assert_eq!(had, over, "killed at {killed_at} ms:\n{}", x.net.ladder());
            }
        }
    }
}

/// Phones that offer a codec and A-law; one of them answers with the codec only.
fn with_codec(node: usize, payload_type: u8, codec: &str) -> bytes::Bytes {
    let n = node + 1;
    format!(
        "v=0\r\no=- 7 1 IN IP4 10.0.0.{n}\r\ns=-\r\nc=IN IP4 10.0.0.{n}\r\nt=0 0\r\nm=audio 4000 RTP/AVP {payload_type} 8\r\n\
         a=rtpmap:{payload_type} {codec}/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    )
    .into()
}

/// Two phones that talk with a codec, and one that has G.711 only, to which the talk is handed over.
fn two_codecs(payload_type: u8, codec: &str) -> (Exchange, (NodeId, DialogHandle), (NodeId, DialogHandle)) {
    let mut x = Exchange::new(Link::CLEAN, 1);
    let a = x.phone_with("1001", Phone::Answers(50), with_codec(1, payload_type, codec));
    let both = String::from_utf8(with_codec(2, payload_type, codec).to_vec()).unwrap();
    let only = both.replace(&format!("{payload_type} 8"), &payload_type.to_string());
    let b = x.phone_with("1002", Phone::Answers(100), only.into());
    x.phone("1003", Phone::Answers(100));
    let at_a = x.call(a, "1002", vec![]);
    x.run(1_000);
    let at_b = x.called(b).unwrap();
    let agreed = |leg| x.convs[0].codecs[&leg].to_ascii_lowercase();
    assert!(agreed(0).contains(&codec.to_ascii_lowercase()) && agreed(1) == agreed(0));
    (x, (a, at_a), (b, at_b))
}

#[test]
fn a_party_whose_codec_we_can_decode_keeps_it() {
    let (mut x, anna, bert) = two_codecs(18, "G729");
    x.net.script(
        anna.0,
        Box::new(|_, e: &SipEvent| match e {
            SipEvent::ReInviteReceived { .. } => panic!("nothing is asked of a party that can be transcoded"),
            _ => vec![],
        }),
    );
    refer(&mut x, bert, "sip:1003@10.0.0.1".into());
    x.run(1_500);
    assert_eq!((x.convs[0].hears(0), x.convs[0].hears(2)), (vec![2], vec![0]));
    assert_eq!(
        (x.convs[0].codecs[&2].as_str(), x.convs[0].codecs[&0].as_str()),
        ("Pcma", "G729")
    );
    bye(&mut x, anna);
    x.run(500);
    x.assert_clean();
}

#[test]
fn a_party_whose_codec_the_new_one_lacks_is_asked_for_another() {
    let (mut x, anna, bert) = two_codecs(97, "iLBC");
    // What Anna's phone answers an offer with.
    let script = move |handle, e: &SipEvent| match e {
        SipEvent::ReInviteReceived { sdp: Some(_) } => {
            vec![(0, respond(handle, 200, Some(kit::party_sdp(anna.0, 2, "sendrecv"))))]
        }
        _ => vec![],
    };
    x.net.script(anna.0, Box::new(script));
    refer(&mut x, bert, "sip:1003@10.0.0.1".into());
    x.run(1_500);
    assert_eq!((x.convs[0].hears(0), x.convs[0].hears(2)), (vec![2], vec![0]));
    assert_eq!(
        (x.convs[0].codecs[&2].as_str(), x.convs[0].codecs[&0].as_str()),
        ("Pcma", "Pcma")
    );
    bye(&mut x, anna);
    x.run(500);
    x.assert_clean();
}

// RFC 3261 §14.1
#[test]
fn an_offer_that_is_refused_for_the_moment_is_made_again() {
    let (mut x, anna, bert) = two_codecs(97, "iLBC");
    let mut asked = 0;
    let script = move |handle, e: &SipEvent| match e {
        SipEvent::ReInviteReceived { sdp: Some(_) } => {
            asked += 1;
            let busy = asked == 1;
            let sdp = (!busy).then(|| kit::party_sdp(anna.0, 2, "sendrecv"));
            vec![(0, respond(handle, if busy { 491 } else { 200 }, sdp))]
        }
        _ => vec![],
    };
    x.net.script(anna.0, Box::new(script));
    refer(&mut x, bert, "sip:1003@10.0.0.1".into());
    x.run(500);
    assert!(
        x.convs[0].codecs[&0].contains("ilbc"),
        "refused: the session is as it was"
    );
    x.run(5_000);
    assert_eq!(x.convs[0].codecs[&0], "Pcma");
    bye(&mut x, anna);
    x.run(500);
    x.assert_clean();
}

fn respond(handle: DialogHandle, status: u16, sdp: Option<bytes::Bytes>) -> Command {
    Command::Respond {
        handle,
        status,
        reason_phrase: None,
        headers: vec![],
        sdp,
        reliable: false,
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

/// Three phones, two calls, and eight things that any of them may do at any time.
fn anything(seed: u64, link: Link) -> Seen {
    let mut dice = Dice(seed);
    let mut x = Exchange::new(link, seed);
    let (anna, bert) = talk_or_not(&mut x);
    let phone = match dice.roll(3) {
        0 => Phone::Answers(dice.roll(400)),
        1 => Phone::Refuses(dice.roll(400), 486),
        _ => Phone::Answers(30),
    };
    let c = x.phone("1003", phone);
    let second = x.call(bert.0, "1003", vec![]);
    x.run(dice.roll(900));
    let known = x
        .net
        .events()
        .iter()
        .any(|l| l.node == bert.0 && l.handle == second && matches!(l.event, SipEvent::Answered { .. }));
    for _ in 0..8 {
        match dice.roll(9) {
            0 => refer(&mut x, bert, "sip:1003@10.0.0.1".into()),
            1 => refer(&mut x, anna, "sip:1003@10.0.0.1".into()),
            2 | 3 if known => {
                let uri = x.replaces(bert.0, second).in_uri("sip:1003@10.0.0.1");
                refer(&mut x, bert, uri);
            }
            4 if known => {
                let uri = x.replaces(bert.0, bert.1).in_uri("sip:1001@10.0.0.1");
                refer(&mut x, (bert.0, second), uri);
            }
            5 if dice.roll(4) == 0 => bye(&mut x, bert),
            6 if dice.roll(4) == 0 => bye(&mut x, anna),
            7 if dice.roll(4) == 0 => bye(&mut x, (bert.0, second)),
            8 => {
                if let Some(at_c) = x.called(c) {
                    match dice.roll(3) {
                        0 => refer(&mut x, (c, at_c), "sip:1001@10.0.0.1".into()),
                        1 => bye(&mut x, (c, at_c)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        x.run(dice.roll(250));
    }
    x.run(70_000);
    for n in 0..x.convs.len() {
        let cancel = strowger_core::call::Command::Cancel { leg: None };
        x.give(n, strowger_runtime::owner::OwnerInput::Command(cancel));
    }
    x.run(3_000);
    x.assert_clean();
    let mut seen = Seen::default();
    for leg in x.convs.iter().flat_map(|c| c.record().legs) {
        match leg.transfer.map(|t| (t.attended, t.result)) {
            Some((false, Some(Ok(())))) => seen.blind += 1,
            Some((true, Some(Ok(())))) => seen.attended += 1,
            Some(_) => seen.failed += 1,
            None => {}
        }
        seen.replaced += usize::from(leg.replaces.is_some());
    }
    seen
}

/// What came of it all.
#[derive(Default, Debug)]
struct Seen {
    blind: usize,
    attended: usize,
    failed: usize,
    replaced: usize,
}

impl std::iter::Sum for Seen {
    fn sum<I: Iterator<Item = Seen>>(all: I) -> Seen {
        all.fold(Seen::default(), |a, b| Seen {
            blind: a.blind + b.blind,
            attended: a.attended + b.attended,
            failed: a.failed + b.failed,
            replaced: a.replaced + b.replaced,
        })
    }
}

impl Seen {
    /// The dice have shown every side.
    fn everything(&self) {
        assert!(
            self.blind > 10 && self.attended > 10 && self.failed > 10 && self.replaced > 10,
            "{self:?}"
        );
    }
}

fn talk_or_not(x: &mut Exchange) -> ((NodeId, DialogHandle), (NodeId, DialogHandle)) {
    let a = x.phone("1001", Phone::Answers(50));
    let b = x.phone("1002", Phone::Answers(100));
    let at_a = x.call(a, "1002", vec![]);
    for _ in 0..100 {
        x.run(100);
        if let Some(at_b) = x.called(b) {
            return ((a, at_a), (b, at_b));
        }
    }
    panic!("Bert was not called");
}

#[test]
fn whatever_phones_do_there_is_one_record_and_no_leg_left() {
    (0..300)
        .map(|seed| anything(seed, Link::CLEAN))
        .sum::<Seen>()
        .everything();
}

#[test]
fn whatever_phones_do_over_a_bad_network_there_is_one_record_and_no_leg_left() {
    let seeds = 10_000..10_400;
    seeds
        .map(|seed| anything(seed, Link::lossy(100)))
        .sum::<Seen>()
        .everything();
}
