//! JsSIP and SIP.js, as published, in Chromium: calls with sound, measured at both ends.

use serde_json::json;
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::baresip::{wait_hears, wait_silent};
use strowger_tests::bed::CALLEE;
use strowger_tests::browser::{Tab, installed};
use strowger_tests::coturn::{self, Coturn};
use strowger_tests::party::{Ended, Party};
use strowger_tests::site::{LIBRARIES, STEP, Site};
use strowger_tests::sound::{tone, wav_file};
use strowger_tests::wait;

/// The browser's tone.
const PAGE: f32 = 1000.0;
/// The other side's.
const FAR: f32 = 1500.0;
/// The platform's music.
const MUSIC: f32 = 440.0;

/// Waits until a page hears a tone.
fn page_hears(site: &mut Site, tab: Tab, hz: f32) {
    let mark = site.browser.mark();
    site.browser.call(tab, "hear", &json!([hz]));
    site.browser.wait(tab, mark, "heard", STEP);
}

/// Waits until a page hears nothing.
fn page_silent(site: &mut Site, tab: Tab) {
    let mark = site.browser.mark();
    site.browser.call(tab, "silence", &json!([]));
    site.browser.wait(tab, mark, "silent", STEP);
}

/// Calls a function of a page's telephone and waits for what it reports.
fn make(site: &mut Site, tab: Tab, method: &str, arguments: &serde_json::Value, event: &str) {
    let mark = site.browser.mark();
    site.browser.call(tab, method, arguments);
    site.browser.wait(tab, mark, event, STEP);
}

#[test]
fn browsers_and_telephones_hear_each_other_whoever_calls() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&LIBRARIES);
    let far = Party::start(Law::A, Some(FAR));
    site.office.bed.callee_at(far.address());
    for (n, library) in LIBRARIES.into_iter().enumerate() {
        let tab = site.registered_with(library, library, &json!({ "tone": PAGE }));
        // The browser calls and hangs up.
        let mark = site.browser.mark();
        site.browser
            .call(tab, "call", &json!([format!("sip:{CALLEE}@127.0.0.1")]));
        let call = far.nth_call(2 * n);
        call.answer();
        site.browser.wait(tab, mark, "accepted", STEP);
        wait_hears(&call.line(), PAGE);
        page_hears(&mut site, tab, FAR);
        make(&mut site, tab, "hangUp", &json!([]), "ended");
        assert_eq!(call.wait_end(STEP).0, Ended::Bye);
        site.office.over("normal");
        // The telephone calls and hangs up. The contact is `*.invalid`: the INVITE comes over its connection.
        let number = format!("0216100001{n}");
        let bed = &site.office.bed;
        bed.server
            .create("/numbers", &json!({ "number": number, "tenant": bed.tenant }));
        let route = json!({ "application": bed.app, "number": number, "target": { "device": library } });
        bed.server.create("/routes", &route);
        let mark = site.browser.mark();
        let call = far.dial(site.office.bed.server.sip(), CALLEE, &number);
        site.browser.wait(tab, mark, "confirmed", STEP);
        wait_hears(&call.line(), PAGE);
        page_hears(&mut site, tab, FAR);
        call.hang_up();
        site.browser.wait(tab, mark, "ended", STEP);
        site.office.over("normal");
        site.browser.close(tab);
    }
}

/// A browser's call to [`CALLEE`] that is answered.
fn talk(site: &mut Site, far: &Party, tab: Tab, n: usize) -> strowger_tests::party::Call {
    let mark = site.browser.mark();
    site.browser
        .call(tab, "call", &json!([format!("sip:{CALLEE}@127.0.0.1")]));
    let call = far.nth_call(n);
    call.answer();
    site.browser.wait(tab, mark, "accepted", STEP);
    wait_hears(&call.line(), PAGE);
    page_hears(site, tab, FAR);
    call
}

#[test]
fn a_browser_holds_presses_keys_and_changes_its_network() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&LIBRARIES);
    let far = Party::start(Law::A, Some(FAR));
    site.office.bed.callee_at(far.address());
    for (n, library) in LIBRARIES.into_iter().enumerate() {
        let tab = site.registered_with(library, library, &json!({ "tone": PAGE }));
        let call = talk(&mut site, &far, tab, n);
        // On hold the far side hears the music of the platform, not the page, and the page hears nothing.
        make(&mut site, tab, "hold", &json!([]), "holding");
        wait_silent(&call.line(), PAGE);
        page_silent(&mut site, tab);
        make(&mut site, tab, "retrieve", &json!([]), "retrieved");
        wait_hears(&call.line(), PAGE);
        page_hears(&mut site, tab, FAR);
        // Keys by RFC 4733 and by INFO: each press comes once.
        site.browser.call(tab, "press", &json!(["12#", "RFC2833"]));
        wait::until("three keys", STEP, Duration::from_millis(50), || {
            (call.line().digits() == "12#").then_some(())
        });
        site.browser.call(tab, "press", &json!(["7", "INFO"]));
        wait::until("one more", STEP, Duration::from_millis(50), || {
            (call.line().digits() == "12#7").then_some(())
        });
        // ICE restarts: new credentials on both sides, and the talk goes on.
        make(&mut site, tab, "restart", &json!([]), "restarted");
        wait_hears(&call.line(), PAGE);
        page_hears(&mut site, tab, FAR);
        call.hang_up();
        site.office.over("normal");
        site.browser.close(tab);
    }
}

#[test]
fn browsers_talk_to_each_other_and_ring_beside_a_desk_telephone() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&["caller", "jssip", "sipjs"]);
    let caller = site.registered_with("jssip", "caller", &json!({ "tone": PAGE }));
    for library in LIBRARIES {
        let called = site.registered_with(library, library, &json!({ "tone": FAR }));
        let (mark, to) = (site.browser.mark(), json!([format!("sip:{library}@127.0.0.1")]));
        site.browser.call(caller, "call", &to);
        site.browser.wait(called, mark, "confirmed", STEP);
        site.browser.wait(caller, mark, "accepted", STEP);
        page_hears(&mut site, called, PAGE);
        page_hears(&mut site, caller, FAR);
        let mark = site.browser.mark();
        site.browser.call(called, "hangUp", &json!([]));
        site.browser.wait(caller, mark, "ended", STEP);
        site.office.over("normal");
        site.browser.close(called);
    }
    // The same user has a desk telephone: both ring, each with a description of its own, and the browser answers.
    let called = site.registered_with("jssip", "jssip", &json!({ "tone": FAR, "manual": true }));
    let mut desk = site.office.registered("jssip");
    let mark = site.browser.mark();
    site.browser.call(caller, "call", &json!(["sip:jssip@127.0.0.1"]));
    let rung = desk.ring();
    desk.reply(&rung, "180 Ringing", "", None);
    assert!(
        rung.body.contains("RTP/AVP") && !rung.body.contains("ice-ufrag"),
        "{}",
        rung.body
    );
    site.browser.wait(called, mark, "ringing", STEP);
    site.browser.call(called, "answer", &json!([]));
    let cancel = desk.take("a CANCEL", |m| m.method() == "CANCEL");
    desk.reply(&cancel, "200 OK", "", None);
    desk.reply(&rung, "487 Request Terminated", "", None);
    site.browser.wait(caller, mark, "accepted", STEP);
    page_hears(&mut site, called, PAGE);
    page_hears(&mut site, caller, FAR);
    make(&mut site, caller, "hangUp", &json!([]), "ended");
    site.office.ended();
}

#[test]
fn a_talk_survives_that_its_page_is_loaded_again() {
    if !installed() {
        return;
    }
    // Music that can be told from everything else.
    let sounds = tempfile::tempdir().expect("a folder for sounds");
    let music = wav_file(&tone(MUSIC, Duration::from_secs(3)));
    std::fs::write(sounds.path().join("hold.wav"), music).expect("the folder takes a file");
    let more = format!("[sounds]\nfolder = {:?}\n", sounds.path().display().to_string());
    let mut site = Site::start_configured("", &more, &LIBRARIES);
    let far = Party::start(Law::A, Some(FAR));
    site.office.bed.callee_at(far.address());
    for (n, library) in LIBRARIES.into_iter().enumerate() {
        let settings = json!({ "tone": PAGE });
        let tab = site.registered_with(library, library, &settings);
        let call = talk(&mut site, &far, tab, n);
        let mark = site.browser.mark();
        site.reload(tab, library, library, &settings);
        // The far side is still in the talk: it hears music, and not the page.
        wait_silent(&call.line(), PAGE);
        wait_hears(&call.line(), MUSIC);
        assert_eq!(call.ended(), None);
        site.browser.call(tab, "comeBack", &json!([]));
        site.browser.wait(tab, mark, "accepted", STEP);
        wait_hears(&call.line(), PAGE);
        wait_silent(&call.line(), MUSIC);
        page_hears(&mut site, tab, FAR);
        call.hang_up();
        site.browser.wait(tab, mark, "ended", STEP);
        // One conversation with three legs: the page's first one was replaced.
        let mut all = site.office.ended();
        assert_eq!(all.len(), 1, "{all:?}");
        let legs = all.remove(0)["legs"].as_array().map(Vec::len);
        assert_eq!(legs, Some(3));
        site.browser.close(tab);
    }
}

#[test]
fn a_browser_that_does_not_come_back_is_given_up() {
    if !installed() {
        return;
    }
    let mut site = Site::start_with("browser_grace = \"2s\"\n", &["page"]);
    let far = Party::start(Law::A, Some(FAR));
    site.office.bed.callee_at(far.address());
    let tab = site.registered_with("jssip", "page", &json!({ "tone": PAGE }));
    let call = talk(&mut site, &far, tab, 0);
    site.browser.close(tab);
    assert_eq!(call.wait_end(STEP).0, Ended::Bye);
    assert_eq!(site.office.ended().len(), 1);
}

#[test]
fn a_page_that_reaches_a_relay_alone_is_heard() {
    if !installed() || !coturn::installed() {
        return;
    }
    let turn = Coturn::start("north");
    let more = format!("[turn]\nservers = [{:?}]\nsecret = \"north\"\n", turn.uri());
    let mut site = Site::start_configured("", &more, &LIBRARIES);
    let far = Party::start(Law::A, Some(FAR));
    site.office.bed.callee_at(far.address());
    for (n, library) in LIBRARIES.into_iter().enumerate() {
        let settings = json!({ "tone": PAGE, "iceServers": site.ice_servers(library), "relayOnly": true });
        let tab = site.registered_with(library, library, &settings);
        let call = talk(&mut site, &far, tab, n);
        let mark = site.browser.mark();
        site.browser.call(tab, "stats", &json!([]));
        let stats = site.browser.wait(tab, mark, "stats", STEP);
        assert_eq!(stats["local"], "relay", "{stats}");
        call.hang_up();
        site.browser.wait(tab, mark, "ended", STEP);
        site.office.over("normal");
        site.browser.close(tab);
    }
}
