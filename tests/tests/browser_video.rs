//! Video between browsers: passed on as they agree, counted in decoded pictures on the page that sees them.

use serde_json::{Value, json};
use strowger_media_core::g711::Law;
use strowger_tests::baresip::wait_hears;
use strowger_tests::bed::CALLEE;
use strowger_tests::browser::{Tab, installed};
use strowger_tests::party::Party;
use strowger_tests::site::{LIBRARIES, STEP, Site};

/// Pictures that must come: more than one at the beginning.
const PICTURES: u32 = 20;

/// Waits until a page has decoded some more pictures.
fn sees(site: &mut Site, tab: Tab) -> Value {
    let mark = site.browser.mark();
    site.browser.call(tab, "see", &json!([PICTURES]));
    site.browser.wait(tab, mark, "seen", STEP)
}

/// Waits until a page gets no pictures any more.
fn sees_nothing(site: &mut Site, tab: Tab) {
    let mark = site.browser.mark();
    site.browser.call(tab, "blind", &json!([]));
    site.browser.wait(tab, mark, "blind", STEP);
}

fn hears(site: &mut Site, tab: Tab, hz: u32) {
    let mark = site.browser.mark();
    site.browser.call(tab, "hear", &json!([hz]));
    site.browser.wait(tab, mark, "heard", STEP);
}

/// Calls a function of a page's telephone and waits for what it reports.
fn make(site: &mut Site, tab: Tab, method: &str, event: &str) {
    let mark = site.browser.mark();
    site.browser.call(tab, method, &json!([]));
    site.browser.wait(tab, mark, event, STEP);
}

/// One page calls the other, which answers.
fn talk(site: &mut Site, caller: Tab, called: (&str, Tab)) {
    let mark = site.browser.mark();
    let to = json!([format!("sip:{}@127.0.0.1", called.0)]);
    site.browser.call(caller, "call", &to);
    site.browser.wait(called.1, mark, "confirmed", STEP);
    site.browser.wait(caller, mark, "accepted", STEP);
}

#[test]
fn browsers_see_each_other_whoever_wrote_their_telephones() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&["caller", "jssip", "sipjs"]);
    for (from, to) in [("jssip", "jssip"), ("jssip", "sipjs"), ("sipjs", "jssip")] {
        let caller = site.registered_with(from, "caller", &json!({ "tone": 1000, "video": true }));
        let called = site.registered_with(to, to, &json!({ "tone": 1500, "video": true }));
        talk(&mut site, caller, (to, called));
        sees(&mut site, called);
        sees(&mut site, caller);
        hears(&mut site, called, 1000);
        hears(&mut site, caller, 1500);
        make(&mut site, caller, "hangUp", "ended");
        site.office.over("normal");
        site.browser.close(caller);
        site.browser.close(called);
    }
}

#[test]
fn every_encoding_is_passed_on() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&["caller", "called"]);
    let called = site.registered_with("jssip", "called", &json!({ "video": true }));
    for codec in ["VP8", "VP9", "AV1", "H264"] {
        let caller = site.registered_with("jssip", "caller", &json!({ "video": true, "codec": codec }));
        talk(&mut site, caller, ("called", called));
        for tab in [called, caller] {
            let seen = sees(&mut site, tab);
            assert_eq!(seen["codec"], format!("video/{codec}"));
        }
        make(&mut site, caller, "hangUp", "ended");
        site.office.over("normal");
        site.browser.close(caller);
    }
}

#[test]
fn hold_stops_the_pictures_and_retrieving_brings_them_back() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&["caller", "called"]);
    let caller = site.registered_with("jssip", "caller", &json!({ "video": true }));
    let called = site.registered_with("jssip", "called", &json!({ "video": true }));
    talk(&mut site, caller, ("called", called));
    sees(&mut site, called);
    sees(&mut site, caller);
    make(&mut site, caller, "hold", "holding");
    sees_nothing(&mut site, called);
    sees_nothing(&mut site, caller);
    make(&mut site, caller, "retrieve", "retrieved");
    sees(&mut site, called);
    sees(&mut site, caller);
    make(&mut site, caller, "hangUp", "ended");
}

#[test]
fn a_screen_is_shown_in_a_running_talk_and_taken_back() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&["caller", "called"]);
    let caller = site.registered_with("jssip", "caller", &json!({ "tone": 1000 }));
    let called = site.registered_with("jssip", "called", &json!({ "tone": 1500 }));
    talk(&mut site, caller, ("called", called));
    hears(&mut site, called, 1000);
    for (shows, sees_it) in [(caller, called), (called, caller), (caller, called)] {
        make(&mut site, shows, "share", "shared");
        let seen = sees(&mut site, sees_it);
        assert!(seen["width"].as_u64().is_some_and(|w| w <= 480), "{seen}");
        make(&mut site, shows, "unshare", "unshared");
        sees_nothing(&mut site, sees_it);
        hears(&mut site, called, 1000);
        hears(&mut site, caller, 1500);
    }
    make(&mut site, called, "hangUp", "ended");
}

#[test]
fn who_has_no_video_gets_the_sound_alone() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&LIBRARIES);
    let far = Party::start(Law::A, Some(1500.0));
    site.office.bed.callee_at(far.address());
    for (n, library) in LIBRARIES.into_iter().enumerate() {
        let tab = site.registered_with(library, library, &json!({ "tone": 1000, "video": true }));
        let mark = site.browser.mark();
        let to = json!([format!("sip:{CALLEE}@127.0.0.1")]);
        site.browser.call(tab, "call", &to);
        let call = far.nth_call(n);
        call.answer();
        site.browser.wait(tab, mark, "accepted", STEP);
        wait_hears(&call.line(), 1000.0);
        hears(&mut site, tab, 1500);
        call.hang_up();
        site.browser.wait(tab, mark, "ended", STEP);
        site.browser.close(tab);
    }
}
