//! JsSIP and SIP.js, as published, in Chromium: registered over WSS, kept alive, back after a cut.

use serde_json::json;
use std::time::Duration;
use strowger_tests::browser::installed;
use strowger_tests::site::{EXPIRES, LIBRARIES, STEP, Site};
use strowger_tests::wait;

#[test]
fn browser_telephones_register_over_wss_and_sign_off() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&LIBRARIES);
    for library in LIBRARIES {
        let tab = site.registered(library, library);
        let bindings = site.bindings(library, 1);
        let contact = bindings[0]["contact"].as_str().expect("a contact");
        // Nothing but the connection leads there (RFC 7118 section 5.2.1).
        assert!(contact.contains(".invalid"), "{contact}");
        let listed = site.listed();
        assert!(listed.contains(library) && listed.contains("wss"), "{listed}");
        let mark = site.browser.mark();
        site.browser.call(tab, "unregister", &json!([]));
        site.browser.wait(tab, mark, "unregistered", STEP);
        site.bindings(library, 0);
    }
}

#[test]
fn a_second_tab_does_not_throw_the_first_one_out() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&["desk"]);
    let first = site.registered("jssip", "desk");
    let second = site.registered("sipjs", "desk");
    let third = site.registered("jssip", "desk");
    site.bindings("desk", 3);
    // Each signs off for itself, and a tab that is closed takes its own binding along.
    let mark = site.browser.mark();
    site.browser.call(second, "unregister", &json!([]));
    site.browser.wait(second, mark, "unregistered", STEP);
    site.bindings("desk", 2);
    site.browser.close(third);
    site.bindings("desk", 1);
    let mark = site.browser.mark();
    site.browser.call(first, "ping", &json!([]));
    site.browser.wait_frames(first, mark, "received", PONG, 1, STEP);
}

/// How the driver shows the answer to a keep-alive: a CRLF.
const PONG: &str = "\"\\r\\n\"";

#[test]
fn browser_telephones_stay_registered_and_their_keep_alives_are_answered() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&LIBRARIES);
    let mark = site.browser.mark();
    let tabs = LIBRARIES.map(|library| site.registered(library, library));
    for tab in tabs {
        site.browser.call(tab, "ping", &json!([]));
        site.browser.wait_frames(tab, mark, "received", PONG, 1, STEP);
    }
    // SIP.js sends its own every two seconds.
    site.browser.wait_frames(tabs[1], mark, "received", PONG, 4, STEP);
    // Both refresh before their time is over, on the connection that they have: two REGISTERs, of which the first was
    // challenged, and at least one more.
    let beyond = Duration::from_secs(u64::from(EXPIRES) + 30);
    for tab in tabs {
        site.browser.wait_frames(tab, mark, "sent", "REGISTER ", 3, beyond);
    }
    let every = Duration::from_millis(100);
    for library in LIBRARIES {
        wait::until(&format!("a refreshed binding of {library}"), STEP, every, || {
            let left = site.office.bindings(library).first()?["expires_in"].as_u64()?;
            (left > 20).then_some(())
        });
    }
    assert_eq!(site.cable.connections(), 2, "nobody had to connect again");
    for tab in tabs {
        let events = site.browser.events(tab, mark);
        assert!(events.iter().all(|e| e["event"] != "disconnected"), "{events:?}");
    }
}

#[test]
fn browser_telephones_are_back_after_a_cut_and_after_a_restart() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&LIBRARIES);
    let tabs = LIBRARIES.map(|library| site.registered(library, library));
    let sources = LIBRARIES.map(|library| site.bindings(library, 1)[0]["source"].clone());
    // The connection breaks.
    let mark = site.browser.mark();
    site.cable.cut();
    for (library, tab) in LIBRARIES.into_iter().zip(tabs) {
        site.browser.wait(tab, mark, "disconnected", STEP);
        site.browser.wait(tab, mark, "registered", STEP);
        // The new binding is alone: the old one went with its connection.
        let source = site.bindings(library, 1)[0]["source"].clone();
        assert!(!sources.contains(&source), "{source} is of the old connection");
    }
    // The server itself goes away and comes back, without a memory of who was registered.
    for crash in [false, true] {
        let mark = site.browser.mark();
        if crash {
            site.office.bed.server.kill_9();
        } else {
            site.office.bed.server.stop();
        }
        for tab in tabs {
            site.browser.wait(tab, mark, "disconnected", STEP);
        }
        site.office.bed.server.launch();
        for (library, tab) in LIBRARIES.into_iter().zip(tabs) {
            site.browser.wait(tab, mark, "registered", STEP);
            site.bindings(library, 1);
        }
    }
}
