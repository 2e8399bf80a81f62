//! SRTP with keys in the descriptions between two platforms: each is the other one's carrier.

use serde_json::{Value, json};
use strowger_media_core::g711::Law;
use strowger_tests::baresip::wait_hears;
use strowger_tests::bed::{Bed, CALLEE, PUSHED, THIRD};
use strowger_tests::party::{Ended, Party, SOON};

const NEAR: f32 = 700.0;
const FAR: f32 = 1100.0;

/// A platform with a caller, and one behind its trunk `callee` that sends the call on to somebody.
struct Two {
    near: Bed,
    far: Bed,
    caller: Party,
    called: Party,
}

fn set(bed: &Bed, trunk: &str, srtp: &str) {
    let answer = bed
        .server
        .admin("PATCH", &format!("/trunks/{trunk}"), Some(&json!({ "srtp": srtp })));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.json()["srtp"], srtp);
}

impl Two {
    /// With these settings of the trunk to the far side, and of the far side's trunk to the near one.
    fn start(near_srtp: &str, far_srtp: &str) -> Two {
        let (near, far) = (Bed::start(), Bed::start());
        let (caller, called) = (Party::start(Law::A, Some(NEAR)), Party::start(Law::A, Some(FAR)));
        near.caller_at(caller.address());
        near.callee_at(far.server.sip());
        set(&near, "callee", near_srtp);
        far.trunk("near", near.server.sip(), "+86136");
        // Keys make an INVITE longer than a datagram should be: it comes over TCP, from another port.
        let sources = json!({ "sources": ["127.0.0.1"] });
        far.server.admin("PATCH", "/trunks/near", Some(&sources)).json();
        set(&far, "near", far_srtp);
        far.third_at(called.address());
        far.route(CALLEE, THIRD);
        Two {
            near,
            far,
            caller,
            called,
        }
    }

    /// The descriptions between the two, as the near one's operator sees them.
    fn descriptions(&self, sid: &str) -> String {
        let ladder = self
            .near
            .server
            .admin("GET", &format!("/calls/{}/ladder", &sid[2..]), None)
            .json();
        let far = self.far.server.sip().to_string();
        let steps = ladder["items"].as_array().cloned().unwrap_or_default();
        let between = steps.iter().filter(|s| s["remote"] == far.as_str());
        let texts: Vec<&str> = between.filter_map(|s| s["text"].as_str()).collect();
        texts.join("\n")
    }

    /// Both sides hear each other; gives the descriptions back.
    fn talk(&self) -> String {
        let sid = self.near.click(&json!({}));
        let a = self.caller.first_call();
        a.answer();
        let b = self.called.first_call();
        b.answer();
        wait_hears(&a.line(), FAR);
        wait_hears(&b.line(), NEAR);
        let said = self.descriptions(&sid);
        a.hang_up();
        assert_eq!(b.wait_end(SOON).0, Ended::Bye);
        self.near.over(&sid, PUSHED);
        said
    }
}

#[test]
fn a_trunk_that_wants_keys_gets_nothing_else() {
    let two = Two::start("required", "required");
    let said = two.talk();
    assert!(said.contains("RTP/SAVP") && !said.contains("RTP/AVP"), "{said}");
    assert_eq!(
        said.matches("a=crypto:").count(),
        7,
        "six offered, one answered: {said}"
    );
}

#[test]
fn a_trunk_that_may_do_without_takes_them_where_they_are() {
    let two = Two::start("optional", "off");
    let said = two.talk();
    assert!(said.contains("RTP/AVP") && !said.contains("RTP/SAVP"), "{said}");
    assert_eq!(said.matches("a=crypto:").count(), 7, "{said}");
}

#[test]
fn calls_without_keys_are_refused_by_who_wants_them() {
    let two = Two::start("off", "required");
    let sid = two.near.click(&json!({}));
    let a = two.caller.first_call();
    a.answer();
    assert_eq!(a.wait_end(SOON).0, Ended::Bye);
    let leg: Value = two.near.show(&sid)["legs"][1].clone();
    assert_eq!(leg["sip_status"], 488, "{leg}");
    assert!(two.called.calls().is_empty(), "nobody was rung");
}

#[test]
fn another_word_is_refused() {
    let bed = Bed::start();
    bed.callee_at("127.0.0.1:9".parse().expect("an address"));
    let wrong = bed
        .server
        .admin("PATCH", "/trunks/callee", Some(&json!({ "srtp": "sometimes" })));
    assert_eq!((wrong.status, &wrong.json()["parameter"]), (400, &json!("srtp")));
}
