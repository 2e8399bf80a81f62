//! One call for several places: devices side by side and one after the other, several early dialogs and answers of one
//! INVITE, calls that a device sends on.

use serde_json::{Value, json};
use std::time::Duration;
use strowger_tests::msg::{Message, parameter};
use strowger_tests::office::{Office, password};
use strowger_tests::phone::{Phone, Talk};
use strowger_tests::script::Script;
use strowger_tests::server::free_udp;
use strowger_tests::sipp::{Run, installed};

/// alice calls bob, whose telephones ring as they registered: with these parameters of the Contact each.
fn ringing(contacts: &[&str]) -> (Office, Phone, Talk, Vec<Phone>) {
    let office = Office::start(&["alice", "bob"]);
    let phones: Vec<Phone> = contacts
        .iter()
        .map(|parameters| {
            let mut phone = office.phone("bob");
            phone.register(3_600, parameters);
            phone
        })
        .collect();
    let mut alice = office.phone("alice");
    let sdp = alice.sdp("sendrecv");
    let talk = alice.invite("bob", "", &sdp);
    (office, alice, talk, phones)
}

/// Waits for the CANCEL of an INVITE, answers both, and gives back the CANCEL.
fn cancelled(phone: &mut Phone, invite: &Message) -> Message {
    let talk = phone.talk_of(invite);
    let cancel = phone.agree(&talk, "CANCEL");
    phone.reply(invite, "487 Request Terminated", "", None);
    phone.request(&talk, "ACK");
    cancel
}

#[test]
fn both_devices_ring_one_answers_and_the_other_is_told_so() {
    let (mut office, mut alice, mut talk, mut bobs) = ringing(&["", ""]);
    let invites: Vec<Message> = bobs.iter_mut().map(Phone::ring).collect();
    for (bob, invite) in bobs.iter_mut().zip(&invites) {
        bob.reply(invite, "180 Ringing", "", None);
    }
    alice.response(&mut talk, 180);
    let answered = bobs[1].accept(&invites[1]);
    alice.response(&mut talk, 200);
    let cancel = cancelled(&mut bobs[0], &invites[0]);
    // RFC 3326: the telephone must not show a call missed that was answered elsewhere.
    assert!(
        cancel.get("Reason").starts_with("SIP") && cancel.get("Reason").contains("cause=200"),
        "{cancel:?}"
    );
    alice.hang_up(&mut talk);
    bobs[1].hung_up(&answered);
    let call = office.over("normal");
    assert_eq!(call["legs"].as_array().map(Vec::len), Some(2), "{call}");
}

/// The value of a quoted parameter of a Contact in an answer to REGISTER.
fn granted(contact: &str, name: &str) -> String {
    let from = contact
        .find(&format!("{name}=\""))
        .unwrap_or_else(|| panic!("no {name} in {contact}"))
        + name.len()
        + 2;
    contact[from..].split('"').next().unwrap_or_default().to_owned()
}

#[test]
fn a_gruu_rings_the_one_telephone_that_it_names() {
    let mut office = Office::start(&["alice", "bob"]);
    let mut bobs = Vec::new();
    let mut gruus = Vec::new();
    for n in 1..3 {
        let mut phone = office.phone("bob");
        let instance = format!(";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000{n}>\"");
        let answer = phone.register(3_600, &instance);
        // The answer lists all bindings; ours is the one with our instance.
        let own = answer
            .all("Contact")
            .flat_map(|v| v.split(",<").map(str::to_owned).collect::<Vec<_>>())
            .find(|c| c.contains(&format!("00000000000{n}>")))
            .expect("our own binding");
        gruus.push([granted(&own, "pub-gruu"), granted(&own, "temp-gruu")]);
        bobs.push(phone);
    }
    let mut alice = office.phone("alice");
    for gruu in &gruus[1] {
        let sdp = alice.sdp("sendrecv");
        let mut talk = alice.invite_uri(gruu, "", &sdp);
        let invite = bobs[1].ring();
        let answered = bobs[1].accept(&invite);
        alice.response(&mut talk, 200);
        alice.hang_up(&mut talk);
        bobs[1].hung_up(&answered);
        office.over("normal");
        let heard = bobs[0].rest();
        assert!(heard.is_empty(), "the other one stays quiet: {heard:?}");
    }
}

#[test]
fn sipp_answers_on_one_of_two_devices() {
    if !installed() {
        return;
    }
    let mut office = Office::for_sipp(&["alice", "bob"]);
    let platform = office.bed.server.sip();
    let secret = password("bob");
    let register = Script::calling("register")
        .register("Contact: <sip:bob@[local_ip]:[local_port]>;expires=600\n")
        .challenged(false)
        .register("Contact: <sip:bob@[local_ip]:[local_port]>;expires=600\n")
        .response(200);
    let ports = [free_udp(), free_udp()];
    for port in ports {
        let run = Run {
            port,
            ..Run::script(&register).user("bob", &secret)
        };
        run.call(platform, "bob", "bob").succeed();
    }
    let answers = Run {
        port: ports[0],
        ..Run::of("uas-answer")
    };
    let rings = Run {
        port: ports[1],
        ..Run::of("uas-no-answer")
    };
    let (answers, rings) = (answers.listen(), rings.listen());
    let caller = Script::calling("call").signed_invite("").answered().pause(300).bye();
    let secret = password("alice");
    let run = Run::script(&caller).user("alice", &secret);
    run.call(platform, "alice", "bob").succeed();
    answers.succeed();
    let seen = rings.succeed();
    assert!(seen.contains("CANCEL sip:") && seen.contains("cause=200"), "{seen}");
    office.over("normal");
}

#[test]
fn one_device_is_busy_and_the_other_answers() {
    let (mut office, mut alice, mut talk, mut bobs) = ringing(&["", ""]);
    let invites: Vec<Message> = bobs.iter_mut().map(Phone::ring).collect();
    bobs[0].reply(&invites[0], "486 Busy Here", "", None);
    let busy = bobs[0].talk_of(&invites[0]);
    bobs[0].request(&busy, "ACK");
    bobs[1].reply(&invites[1], "180 Ringing", "", None);
    alice.response(&mut talk, 180);
    let mut answered = bobs[1].accept(&invites[1]);
    alice.response(&mut talk, 200);
    bobs[1].hang_up(&mut answered);
    alice.hung_up(&talk);
    office.over("normal");
}

#[test]
fn a_device_that_declines_for_all_ends_the_call() {
    let (mut office, mut alice, mut talk, mut bobs) = ringing(&["", ""]);
    let invites: Vec<Message> = bobs.iter_mut().map(Phone::ring).collect();
    bobs[1].reply(&invites[1], "180 Ringing", "", None);
    alice.response(&mut talk, 180);
    bobs[0].reply(&invites[0], "603 Decline", "", None);
    cancelled(&mut bobs[1], &invites[1]);
    alice.response(&mut talk, 603);
    office.over("rejected");
}

#[test]
fn both_devices_are_busy() {
    let (mut office, mut alice, mut talk, mut bobs) = ringing(&["", ""]);
    for bob in &mut bobs {
        let invite = bob.ring();
        bob.reply(&invite, "486 Busy Here", "", None);
    }
    alice.response(&mut talk, 486);
    office.over("busy");
}

#[test]
fn devices_of_lower_preference_ring_when_those_before_them_refuse() {
    let (mut office, mut alice, mut talk, mut bobs) = ringing(&[";q=0.2", ";q=0.9", ";q=0.5"]);
    let first = bobs[1].ring();
    assert!(bobs[0].rest_for(Duration::from_millis(200)).is_empty());
    assert!(bobs[2].rest().is_empty());
    bobs[1].reply(&first, "480 Temporarily Unavailable", "", None);
    let second = bobs[2].ring();
    assert!(bobs[0].rest_for(Duration::from_millis(200)).is_empty());
    bobs[2].reply(&second, "486 Busy Here", "", None);
    let third = bobs[0].ring();
    let answered = bobs[0].accept(&third);
    alice.response(&mut talk, 200);
    alice.hang_up(&mut talk);
    bobs[0].hung_up(&answered);
    office.over("normal");
}

#[test]
fn a_caller_who_gives_up_stops_every_device() {
    let (mut office, mut alice, mut talk, mut bobs) = ringing(&["", ""]);
    let invites: Vec<Message> = bobs.iter_mut().map(Phone::ring).collect();
    for (bob, invite) in bobs.iter_mut().zip(&invites) {
        bob.reply(invite, "180 Ringing", "", None);
    }
    alice.response(&mut talk, 180);
    alice.cancel(&talk);
    for (bob, invite) in bobs.iter_mut().zip(&invites) {
        cancelled(bob, invite);
    }
    alice.response(&mut talk, 487);
    office.over("cancelled");
}

#[test]
fn early_media_of_several_devices_gives_way_to_the_one_that_answers() {
    let (mut office, mut alice, mut talk, mut bobs) = ringing(&["", ""]);
    let invites: Vec<Message> = bobs.iter_mut().map(Phone::ring).collect();
    for (bob, invite) in bobs.iter_mut().zip(&invites) {
        let sdp = bob.sdp("sendrecv");
        bob.reply(invite, "183 Session Progress", "", Some(&sdp));
        bob.speak(invite);
    }
    let early = alice.response(&mut talk, 183);
    assert!(early.media().is_some(), "{early:?}");
    let answered = bobs[1].accept(&invites[1]);
    let ok = alice.response(&mut talk, 200);
    // To the caller it is one call at one address, whoever is heard.
    assert_eq!(ok.media().map(|m| m.0), early.media().map(|m| m.0));
    cancelled(&mut bobs[0], &invites[0]);
    alice.hang_up(&mut talk);
    bobs[1].hung_up(&answered);
    office.over("normal");
}

#[test]
fn a_proxy_that_forks_brings_several_early_dialogs_and_a_second_answer_is_hung_up() {
    let (mut office, mut alice, mut talk, mut bobs) = ringing(&[""]);
    let proxy = &mut bobs[0];
    let invite = proxy.ring();
    for tag in ["left", "right"] {
        let sdp = proxy.sdp("sendrecv");
        proxy.reply_tagged(&invite, "183 Session Progress", tag, "", Some(&sdp));
    }
    proxy.reply_tagged(&invite, "180 Ringing", "third", "", None);
    alice.response(&mut talk, 180);
    let sdp = proxy.sdp("sendrecv");
    proxy.reply_tagged(&invite, "200 OK", "right", "", Some(&sdp));
    let ack = proxy.request(&proxy.talk_of(&invite), "ACK");
    assert_eq!(parameter(ack.get("To"), "tag"), Some("right"));
    proxy.reply_tagged(&invite, "200 OK", "left", "", Some(&sdp));
    let of_left = |method: &'static str| {
        move |m: &Message| m.method() == method && parameter(m.get("To"), "tag") == Some("left") && m.status().is_none()
    };
    proxy.take("the ACK of the second answer", of_left("ACK"));
    let bye = proxy.take("the BYE of the second answer", of_left("BYE"));
    proxy.reply(&bye, "200 OK", "", None);
    alice.response(&mut talk, 200);
    alice.hang_up(&mut talk);
    let bye = proxy.request(&proxy.talk_of(&invite), "BYE");
    assert_eq!(parameter(bye.get("To"), "tag"), Some("right"));
    proxy.reply(&bye, "200 OK", "", None);
    office.over("normal");
}

/// bob's telephone sends alice's call on to `contact`; the trunk for numbers that begin with 138 has this policy. Gives back
/// the telephones of alice, with her call, and of the carrier.
fn sent_on(contact: &str, policy: &Value) -> (Office, Phone, Talk, Phone) {
    let office = Office::start(&["alice", "bob"]);
    let mut bob = office.registered("bob");
    let carrier = Phone::udp(office.bed.server.sip(), "carrier", "");
    office.bed.caller_at(carrier.address());
    let set = office.bed.server.admin("PATCH", "/trunks/caller", Some(policy));
    assert_eq!(set.status, 200, "{}", String::from_utf8_lossy(&set.body));
    let mut alice = office.phone("alice");
    let sdp = alice.sdp("sendrecv");
    let talk = alice.invite("bob", "", &sdp);
    let invite = bob.ring();
    let contact = contact.replace("HOST", &office.bed.server.sip().to_string());
    let contact = format!("Contact: <{contact}>\r\n");
    bob.put(&invite.answer("302 Moved Temporarily", Some("b"), &contact, None));
    bob.request(&bob.talk_of(&invite), "ACK");
    (office, alice, talk, carrier)
}

#[test]
fn a_device_sends_its_call_on_and_the_carrier_is_told_who_did() {
    for (policy, told, untold) in [
        ("diversion", "Diversion", "History-Info"),
        ("history-info", "History-Info", "Diversion"),
    ] {
        let (mut office, mut alice, mut talk, mut carrier) =
            sent_on("sip:13800000001@HOST", &json!({ "diversion": policy }));
        let invite = carrier.ring();
        assert!(invite.uri().starts_with("sip:"), "{invite:?}");
        assert!(invite.get(told).contains("sip:bob@"), "{policy}: {invite:?}");
        assert_eq!(invite.get(untold), "", "{policy}: {invite:?}");
        let mut answered = carrier.accept(&invite);
        alice.response(&mut talk, 200);
        carrier.hang_up(&mut answered);
        alice.hung_up(&talk);
        office.over("normal");
    }
    let (mut office, mut alice, mut talk, mut carrier) =
        sent_on("sip:13800000001@HOST", &json!({ "diversion": "remove" }));
    let invite = carrier.ring();
    assert_eq!(
        (invite.get("Diversion"), invite.get("History-Info")),
        ("", ""),
        "{invite:?}"
    );
    carrier.reply(&invite, "486 Busy Here", "", None);
    alice.response(&mut talk, 486);
    office.over("busy");
}

#[test]
fn no_device_sends_a_call_where_its_tenant_may_not_call() {
    let open = json!({ "rules": [{ "prefix": "", "allow": true }] });
    for contact in ["sip:+442071838750@HOST", "sip:13800000001@203.0.113.9"] {
        let (mut office, mut alice, mut talk, mut carrier) = sent_on(contact, &open);
        alice.response(&mut talk, 480);
        assert!(carrier.rest().is_empty(), "{contact}: {:?}", carrier.rest());
        let all = office.ended();
        assert_eq!(all.len(), 1, "{all:?}");
    }
}
