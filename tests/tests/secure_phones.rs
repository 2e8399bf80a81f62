//! baresip with SRTP (RFC 4568): keys in the descriptions, sound measured both ways, whoever calls.

use serde_json::json;
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::baresip::{Baresip, MD5_ALONE, Setup, installed, wait_hears};
use strowger_tests::bed::CALLEE;
use strowger_tests::office::{Office, password};
use strowger_tests::party::Party;
use strowger_tests::server::Options;
use strowger_tests::wait;

/// The telephone's tone.
const PHONE: f32 = 1000.0;
/// The other side's.
const FAR: f32 = 750.0;
/// A number of the platform that rings the telephone.
const LINE: &str = "02161000009";

/// A telephone with this encryption calls, and is called with this setting of its device.
fn talks(encryption: &str, media: &str) {
    if !installed() {
        return;
    }
    let options = Options {
        sip: MD5_ALONE.into(),
        ..Options::default()
    };
    let mut office = Office::start_with(options, &["alice"]);
    let far = Party::start(Law::Mu, Some(FAR));
    office.bed.callee_at(far.address());
    let server = &office.bed.server;
    server.create("/numbers", &json!({ "number": LINE, "tenant": office.bed.tenant }));
    let route = json!({ "application": office.bed.app, "number": LINE, "target": { "device": "alice" } });
    server.create("/routes", &route);
    server
        .admin("PATCH", "/devices/alice", Some(&json!({ "media": media })))
        .json();
    let mut alice = Baresip::start(&Setup {
        user: "alice",
        password: &password("alice"),
        registrar: server.sip(),
        transport: "udp",
        codec: "PCMA",
        hz: PHONE,
        answers: true,
        expires: 60,
        authority: None,
        account: format!("mediaenc={encryption}"),
    });
    alice.wait_registered();
    alice.dial(CALLEE);
    let call = far.first_call();
    call.answer();
    wait_hears(&call.line(), PHONE);
    // What it hears is in its files only, and those are named by the second.
    wait::pause(Duration::from_millis(1_100));
    call.hang_up();
    office.over("normal");
    let call = far.dial(office.bed.server.sip(), CALLEE, LINE);
    wait_hears(&call.line(), PHONE);
    // What it hears is in its files only.
    wait::pause(Duration::from_millis(800));
    call.hang_up();
    office.over("normal");
    // It heard the far side in both calls.
    drop(far);
    let heard = alice.heard();
    assert_eq!(heard.len(), 2, "two calls");
    assert!(heard.iter().all(|sound| sound.heard_ms(FAR) > 200), "{encryption}");
}

#[test]
fn a_telephone_that_insists_on_srtp() {
    talks("srtp-mand", "srtp");
}

#[test]
fn a_telephone_that_may_do_without() {
    talks("srtp", "srtp-optional");
}
