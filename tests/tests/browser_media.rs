//! JsSIP and SIP.js, as published, in Chromium: calls with sound, measured at both ends.

use serde_json::json;
use strowger_media_core::g711::Law;
use strowger_tests::baresip::wait_hears;
use strowger_tests::bed::CALLEE;
use strowger_tests::browser::{Tab, installed};
use strowger_tests::party::{Ended, Party};
use strowger_tests::site::{LIBRARIES, STEP, Site};

/// The browser's tone.
const PAGE: f32 = 1000.0;
/// The other side's.
const FAR: f32 = 1500.0;

/// Waits until a page hears a tone.
fn page_hears(site: &mut Site, tab: Tab, hz: f32) {
    let mark = site.browser.mark();
    site.browser.call(tab, "hear", &json!([hz]));
    site.browser.wait(tab, mark, "heard", STEP);
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
