//! JsSIP and SIP.js, as published, in Chromium: registered over WSS, kept alive, back after a cut, refused in order where
//! their media is more than this version has.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::bed::CALLEE;
use strowger_tests::browser::{Browser, Tab, installed};
use strowger_tests::cable::Cable;
use strowger_tests::office::{Office, password};
use strowger_tests::party::{Ended, Party};
use strowger_tests::server::{Options, binary, port_block};
use strowger_tests::tls::Identity;
use strowger_tests::wait;

/// Both telephones.
const LIBRARIES: [&str; 2] = ["jssip", "sipjs"];
/// Time for a page on a machine that is busy with other tests.
const STEP: Duration = Duration::from_secs(40);
/// The shortest time that the server registers for.
const EXPIRES: u32 = 60;

/// An office that serves WSS, behind a cable.
struct Site {
    office: Office,
    cable: Cable,
    browser: Browser,
    /// Holds the certificate.
    _folder: tempfile::TempDir,
}

impl Site {
    fn start(names: &[&str]) -> Site {
        let folder = tempfile::tempdir().expect("a folder for certificates");
        let port = port_block(2) + 1;
        let sip = format!("wss_port = {port}\n{}", Identity::new().write(folder.path()));
        let options = Options {
            sip,
            ..Options::default()
        };
        Site {
            office: Office::start_with(options, names),
            cable: Cable::to(SocketAddr::from(([127, 0, 0, 1], port))),
            browser: Browser::start(),
            _folder: folder,
        }
    }

    fn open(&mut self, library: &str, user: &str) -> Tab {
        let settings = json!({
            "library": library,
            "server": format!("wss://localhost:{}", self.cable.address().port()),
            "uri": format!("sip:{user}@127.0.0.1"),
            "password": password(user),
            "expires": EXPIRES,
            "keepAlive": 2,
        });
        self.browser.open(&settings)
    }

    /// A tab with a registered telephone.
    fn registered(&mut self, library: &str, user: &str) -> Tab {
        let mark = self.browser.mark();
        let tab = self.open(library, user);
        self.browser.wait(tab, mark, "registered", STEP);
        tab
    }

    /// Waits until a device has so many bindings, all over WSS, and gives them back.
    fn bindings(&self, user: &str, n: usize) -> Vec<Value> {
        let every = Duration::from_millis(50);
        let found = wait::until(&format!("{n} bindings of {user}"), STEP, every, || {
            Some(self.office.bindings(user)).filter(|b| b.len() == n)
        });
        assert!(found.iter().all(|b| b["transport"] == "wss"), "{found:?}");
        found
    }

    /// What an operator sees.
    fn listed(&self) -> String {
        let list = Command::new(binary())
            .args(["--data", &self.office.bed.server.data().display().to_string()])
            .args(["registration", "list"])
            .env_remove("STROWGER_CONFIG")
            .output()
            .expect("the binary can be run");
        assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
        String::from_utf8_lossy(&list.stdout).into_owned()
    }
}

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

#[test]
fn a_browsers_call_gets_a_final_answer_with_the_reason() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&["jssip", "sipjs", "other"]);
    for library in LIBRARIES {
        let _other = site.registered("jssip", "other");
        let tab = site.registered(library, library);
        let mark = site.browser.mark();
        site.browser.call(tab, "call", &json!(["sip:other@127.0.0.1"]));
        let failed = site.browser.wait(tab, mark, "failed", STEP);
        // RFC 3261 section 21.4.26: 488 comes with a Warning that says what could not be agreed on.
        assert_eq!(
            (&failed["originator"], &failed["status"]),
            (&json!("remote"), &json!(488)),
            "{failed}"
        );
        assert!(
            failed["warning"].as_str().is_some_and(|w| w.starts_with("30")),
            "{failed}"
        );
        site.browser.close(_other);
    }
    // Nobody was rung for it, and no call was made of it.
    assert_eq!(site.office.ended(), Vec::<Value>::new());
}

#[test]
fn a_call_to_a_browser_that_cannot_take_it_ends_with_its_reason() {
    if !installed() {
        return;
    }
    let mut site = Site::start(&LIBRARIES);
    let far = Party::start(Law::A, None);
    let bed = &site.office.bed;
    bed.callee_at(far.address());
    // SIP.js says 480 of a description that its browser will not have.
    let refusals = [(488, "incompatible-media"), (480, "no-answer")];
    for (n, (library, (status, cause))) in LIBRARIES.into_iter().zip(refusals).enumerate() {
        let number = format!("0216100001{n}");
        let bed = &site.office.bed;
        bed.server
            .create("/numbers", &json!({ "number": number, "tenant": bed.tenant }));
        let route = json!({ "application": bed.app, "number": number, "target": { "device": library } });
        bed.server.create("/routes", &route);
        let tab = site.registered(library, library);
        let mark = site.browser.mark();
        let call = far.dial(site.office.bed.server.sip(), CALLEE, &number);
        // The contact is `*.invalid`: the INVITE came over the connection that it registered on.
        site.browser.wait_frames(tab, mark, "received", "INVITE ", 1, STEP);
        assert_eq!(call.wait_end(STEP).0, Ended::Refused(status));
        site.office.over(cause);
    }
}
