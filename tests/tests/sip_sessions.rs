//! Sessions that change: reliable provisional responses, UPDATE before and after the answer, glare, session timers, digits by
//! INFO.

use std::time::Duration;
use strowger_tests::msg::{Message, parameter};
use strowger_tests::office::{Office, password};
use strowger_tests::phone::{Phone, Talk};
use strowger_tests::script::{SDP, Script};
use strowger_tests::sipp::{Run, Sipp, installed};

/// alice calls bob with these header lines; his telephone rings.
fn calling(extra: &str) -> (Office, Phone, Talk, Phone, Message) {
    let office = Office::start(&["alice", "bob"]);
    let (alice, talk, bob, invite) = call_in(&office, extra);
    (office, alice, talk, bob, invite)
}

fn call_in(office: &Office, extra: &str) -> (Phone, Talk, Phone, Message) {
    let mut bob = office.registered("bob");
    let mut alice = office.phone("alice");
    let sdp = alice.sdp("sendrecv");
    let talk = alice.invite("bob", extra, &sdp);
    let invite = bob.ring();
    (alice, talk, bob, invite)
}

/// A call between alice and bob that is answered.
fn talking(extra: &str) -> (Office, Phone, Talk, Phone, Talk) {
    let (office, mut alice, mut talk, mut bob, invite) = calling(extra);
    let answered = bob.accept(&invite);
    alice.response(&mut talk, 200);
    (office, alice, talk, bob, answered)
}

/// Both of a SIPp call: alice by one script, bob by another one at a trunk.
fn sipp_call(office: &Office, caller: &Script, callee: &Script, change: impl Fn(Run<'_>) -> Run<'_>) -> [String; 2] {
    let b: Sipp = change(Run::script(callee)).listen();
    office.bed.callee_at(b.address());
    let secret = password("alice");
    let run = change(Run::script(caller).user("alice", &secret));
    let a = run.call(office.bed.server.sip(), "alice", "13900000002").succeed();
    [a, b.succeed()]
}

fn plain_caller() -> Script {
    Script::calling("call").signed_invite("").answered().pause(500).bye()
}

// RFC 3262
#[test]
fn sipp_rings_reliably_and_its_response_is_acknowledged() {
    if !installed() {
        return;
    }
    let mut office = Office::for_sipp(&["alice"]);
    let callee = Script::reliable("reliable-183").late_answer("").hung_up();
    sipp_call(&office, &plain_caller(), &callee, |run| run);
    office.over("normal");
}

// RFC 3262
#[test]
fn sipp_requires_reliable_responses_and_acknowledges_them() {
    if !installed() {
        return;
    }
    let mut office = Office::for_sipp(&["alice"]);
    let rack = "<action><ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"RSeq:\" check_it=\"true\" assign_to=\"rseq\"/></action>";
    let caller = Script::calling("requires-100rel")
        .signed_invite("Require: 100rel\n")
        .maybe(100)
        .dialog_with(180, rack)
        .inside("PRACK", "RAck: [$rseq] 2 INVITE\n", "")
        .response(200)
        .step("<recv response=\"200\"/>")
        .ack_of(2)
        .pause(300)
        .bye();
    let callee = Script::called("answer-later")
        .reply("180 Ringing", "", "", false)
        .pause(1_000)
        .reply("200 OK", "", SDP, true)
        .step("<recv request=\"ACK\" rtd=\"true\" crlf=\"true\"/>")
        .hung_up();
    sipp_call(&office, &caller, &callee, |run| run);
    office.over("normal");
}

// RFC 3262
#[test]
fn each_side_of_a_call_has_its_own_reliable_responses() {
    let (mut office, mut alice, mut talk, mut bob, invite) = calling("Require: 100rel\r\n");
    let reliable = invite.get("Supported").contains("100rel");
    assert!(reliable, "{invite:?}");
    bob.reply(&invite, "180 Ringing", "Require: 100rel\r\nRSeq: 9\r\n", None);
    let bobs = bob.talk_of(&invite);
    let prack = bob.agree(&bobs, "PRACK");
    assert_eq!(prack.get("RAck"), format!("9 {}", invite.get("CSeq")));
    let ringing = alice.response(&mut talk, 180);
    let rack = format!("RAck: {} {} INVITE\r\n", ringing.get("RSeq"), talk.cseq);
    assert!(ringing.get("Require").contains("100rel"), "{ringing:?}");
    assert_eq!(alice.ask(&mut talk, "PRACK", &rack, None).status(), Some(200));
    // A PRACK of nothing is refused.
    let nothing = "RAck: 4242 1 INVITE\r\n";
    assert_eq!(alice.ask(&mut talk, "PRACK", nothing, None).status(), Some(481));
    let answered = bob.accept(&invite);
    alice.response(&mut talk, 200);
    alice.hang_up(&mut talk);
    bob.hung_up(&answered);
    office.over("normal");
}

// RFC 3311
#[test]
fn sipp_updates_its_session_before_and_after_the_answer() {
    if !installed() {
        return;
    }
    let mut office = Office::for_sipp(&["alice"]);
    let callee = Script::reliable("updates")
        .inside("UPDATE", "", SDP)
        .response(200)
        .late_answer("")
        .inside("UPDATE", "", SDP)
        .step(&format!(
            "<recv response=\"200\">{}</recv>",
            Script::check("Content-Type", "application/sdp")
        ))
        .hung_up();
    let caller = Script::calling("call")
        .signed_invite("")
        .answered()
        .inside("UPDATE", "", SDP)
        .step(&format!(
            "<recv response=\"200\">{}</recv><Reference variables=\"seen\"/>",
            Script::check("Content-Type", "application/sdp")
        ))
        .pause(800)
        .bye();
    sipp_call(&office, &caller, &callee, |run| run);
    office.over("normal");
}

// RFC 3311
#[test]
fn a_caller_updates_its_session_before_the_answer() {
    let (mut office, mut alice, mut talk, mut bob, invite) = calling("Supported: 100rel\r\n");
    let sdp = bob.sdp("sendrecv");
    bob.reply(&invite, "183 Session Progress", "", Some(&sdp));
    bob.speak(&invite);
    let early = alice.response(&mut talk, 183);
    let rack = format!("RAck: {} {} INVITE\r\n", early.get("RSeq"), talk.cseq);
    assert_eq!(alice.ask(&mut talk, "PRACK", &rack, None).status(), Some(200));
    let sdp = alice.sdp("sendrecv");
    let answer = alice.ask(&mut talk, "UPDATE", "", Some(&sdp));
    assert_eq!(answer.status(), Some(200), "{answer:?}");
    assert!(answer.media().is_some(), "{answer:?}");
    let answered = bob.accept(&invite);
    alice.response(&mut talk, 200);
    alice.hang_up(&mut talk);
    bob.hung_up(&answered);
    office.over("normal");
}

// RFC 3264 section 8.4
#[test]
fn hold_by_update_shows_and_ends() {
    let (mut office, mut alice, mut talk, mut bob, bobs) = talking("");
    let state = |office: &Office| office.bed.server.open_calls()[0]["legs"][0]["state"].clone();
    for (direction, answer, shown) in [("sendonly", "recvonly", "held"), ("sendrecv", "sendrecv", "talking")] {
        let sdp = alice.sdp(direction);
        let ok = alice.ask(&mut talk, "UPDATE", "", Some(&sdp));
        assert_eq!(ok.media().map(|m| m.1), Some(answer), "{ok:?}");
        strowger_tests::wait::until(
            "the state",
            strowger_tests::party::SOON,
            Duration::from_millis(20),
            || (state(&office) == shown).then_some(()),
        );
    }
    alice.hang_up(&mut talk);
    bob.hung_up(&bobs);
    office.over("normal");
}

// RFC 3261 section 14
#[test]
fn reinvites_that_cross_are_refused_with_491_and_made_again() {
    let mut office = Office::start(&["alice", "bob", "carol"]);
    let mut bob = office.registered("bob");
    let mut carol = office.registered("carol");
    let mut alice = office.phone("alice");
    // Both have a codec that carol does not have and we cannot decode: the platform asks for another.
    let codecs = ["98 iLBC", "8 PCMA"];
    let sdp = alice.sdp_of(&codecs, "sendrecv");
    let mut talk = alice.invite("bob", "", &sdp);
    let invite = bob.ring();
    let sdp = bob.sdp_of(&["98 iLBC"], "sendrecv");
    bob.reply(&invite, "200 OK", "", Some(&sdp));
    let mut bobs = bob.talk_of(&invite);
    bob.request(&bobs, "ACK");
    alice.response(&mut talk, 200);
    // bob sends alice to carol, who knows A-law only.
    let refer = format!("Refer-To: <sip:carol@{}>\r\n", office.bed.server.sip());
    assert_eq!(bob.ask(&mut bobs, "REFER", &refer, None).status(), Some(202));
    let second = carol.ring();
    let carols = carol.accept(&second);
    let offer = alice.request(&talk, "INVITE");
    // alice changes her session in the same moment.
    let sdp = alice.sdp_of(&codecs, "sendrecv");
    alice.send(&mut talk, "INVITE", "", Some(&sdp));
    let refused = alice.response(&mut talk, 491);
    assert_eq!(refused.method(), "INVITE");
    alice.reply(&offer, "491 Request Pending", "", None);
    alice.request(&talk, "ACK");
    // The platform chose the Call-ID not; it comes back within 2 s, or within 4 s where it did (section 14.1).
    let again = alice.request(&talk, "INVITE");
    let sdp = alice.sdp("sendrecv");
    alice.reply(&again, "200 OK", "", Some(&sdp));
    alice.request(&talk, "ACK");
    let sdp = alice.sdp("sendrecv");
    assert_eq!(alice.ask(&mut talk, "INVITE", "", Some(&sdp)).status(), Some(200));
    let ended: Vec<Message> = vec![bob.request(&bobs, "BYE")];
    bob.reply(&ended[0], "200 OK", "", None);
    alice.hang_up(&mut talk);
    carol.hung_up(&carols);
    office.over("normal");
}

#[test]
fn digits_by_info_are_taken() {
    let (mut office, mut alice, mut talk, mut bob, bobs) = talking("");
    let relay = "Content-Type: application/dtmf-relay\r\n";
    let ok = alice.ask(&mut talk, "INFO", relay, Some("Signal=5\r\nDuration=160\r\n"));
    assert_eq!(ok.status(), Some(200), "{ok:?}");
    let ok = bob.ask(
        &mut bobs.clone(),
        "INFO",
        "Content-Type: application/dtmf\r\n",
        Some("7"),
    );
    assert_eq!(ok.status(), Some(200), "{ok:?}");
    alice.hang_up(&mut talk);
    bob.hung_up(&bobs);
    office.over("normal");
}

/// A server that asks for the shortest session interval.
fn brief(names: &[&str]) -> Office {
    Office::for_sipp_with("session_expires = 90\n", names)
}

// RFC 4028 section 10
#[test]
fn sipp_that_refreshes_no_more_is_hung_up_on() {
    if !installed() {
        return;
    }
    let mut office = brief(&["alice"]);
    let caller = Script::calling("no-refresh")
        .signed_invite("Supported: timer\nSession-Expires: 90;refresher=uac\n")
        .maybe(100)
        .maybe(180)
        .answered()
        .hung_up();
    // The callee has no session timers: the platform asks it for a sign of life by itself (section 7.2).
    let callee = Script::called("answers")
        .accept()
        .request("INVITE")
        .agree("", SDP)
        .request("ACK")
        .hung_up();
    let seen = sipp_call(&office, &caller, &callee, patient);
    assert!(seen[0].contains("Session-Expires: 90;refresher=uac"), "{}", seen[0]);
    office.over("network-lost");
}

fn patient(run: Run<'_>) -> Run<'_> {
    Run {
        patience: Duration::from_secs(120),
        ..run
    }
}

// RFC 4028 section 7.4
#[test]
fn sipp_refreshes_its_session_and_has_it_refreshed() {
    if !installed() {
        return;
    }
    let mut office = brief(&["alice"]);
    // alice refreshes by herself, early; the callee asks the platform to, which it does after half the interval.
    let caller = Script::calling("refreshes")
        .signed_invite("Supported: timer\nSession-Expires: 90;refresher=uac\n")
        .answered()
        .pause(20_000)
        .inside("UPDATE", "Supported: timer\nSession-Expires: 90;refresher=uac\n", "")
        .step(&format!(
            "<recv response=\"200\">{}</recv><Reference variables=\"seen\"/>",
            Script::check("Session-Expires", "90;refresher=uac")
        ))
        .hung_up();
    let callee = Script::called("is-refreshed")
        .reply(
            "200 OK",
            "Require: timer\nSession-Expires: 90;refresher=uac\nAllow: INVITE,ACK,BYE,CANCEL,UPDATE\n",
            SDP,
            true,
        )
        .step("<recv request=\"ACK\" rtd=\"true\" crlf=\"true\"/>")
        .request("UPDATE")
        .agree("Require: timer\nSession-Expires: 90;refresher=uac\n", "")
        .bye();
    let seen = sipp_call(&office, &caller, &callee, patient);
    assert!(seen[1].contains("UPDATE sip:"), "{}", seen[1]);
    office.over("normal");
}

// RFC 4028 section 6
#[test]
fn an_interval_too_brief_is_refused_with_422() {
    let office = brief(&["alice", "bob"]);
    let mut alice = office.phone("alice");
    let sdp = alice.sdp("sendrecv");
    let mut talk = alice.invite("bob", "Supported: timer\r\nSession-Expires: 30\r\n", &sdp);
    let refused = alice.response(&mut talk, 422);
    assert_eq!(refused.get("Min-SE"), "90", "{refused:?}");
    assert_eq!(parameter(refused.get("From"), "tag"), parameter(&talk.ours, "tag"));
}
