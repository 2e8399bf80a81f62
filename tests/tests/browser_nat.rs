//! Browsers and a server behind a translator that maps no ports for media: full ICE opens the way from inside.

use serde_json::{Value, json};
use strowger_tests::browser::{Browser, Tab, installed};
use strowger_tests::coturn::{self, Coturn};
use strowger_tests::nat::{self, Nat};
use strowger_tests::office::{Office, password};
use strowger_tests::server::{Options, port_block};
use strowger_tests::site::STEP;
use strowger_tests::tls::Identity;

fn open(browser: &mut Browser, port: u16, user: &str, hz: u32, stun: &Value) -> Tab {
    let settings: Value = json!({
        "library": "jssip", "server": format!("wss://{}:{port}", nat::PUBLIC), "uri": format!("sip:{user}@{}", nat::PUBLIC),
        "password": password(user), "expires": 60, "keepAlive": 2, "tone": hz, "iceServers": stun,
    });
    let mark = browser.mark();
    let tab = browser.open(&settings);
    browser.wait(tab, mark, "registered", STEP);
    tab
}

#[test]
fn a_server_behind_a_translator_opens_the_way_by_its_own_checks() {
    if !installed() || !nat::possible() {
        return;
    }
    let port = port_block(2) + 1;
    let nat = Nat::start(port);
    let folder = tempfile::tempdir().expect("a folder for certificates");
    let options = Options {
        sip: format!("wss_port = {port}\n{}", Identity::new().write(folder.path())),
        media: "ice = \"full\"\n".into(),
        address: nat::SERVER.into(),
        advertised: nat::PUBLIC.into(),
        launcher: nat.inside(),
        ..Options::default()
    };
    let mut office = Office::start_with(options, &["caller", "called"]);
    // Pages that may use the microphone name their addresses; the tests' pages do not ask for it.
    let mut browser = Browser::start_in(&nat.outside(), "--disable-features=WebRtcHideLocalIpsWithMdns");
    let caller = open(&mut browser, port, "caller", 1000, &json!([]));
    let called = open(&mut browser, port, "called", 1500, &json!([]));
    let mark = browser.mark();
    browser.call(caller, "call", &json!([format!("sip:called@{}", nat::PUBLIC)]));
    browser.wait(called, mark, "confirmed", STEP);
    browser.wait(caller, mark, "accepted", STEP);
    for (tab, hz) in [(called, 1000), (caller, 1500)] {
        browser.call(tab, "hear", &json!([hz]));
        browser.wait(tab, mark, "heard", STEP);
    }
    // Twice the same way: another restart of the checks, another mapping.
    let mark = browser.mark();
    browser.call(caller, "restart", &json!([]));
    browser.wait(caller, mark, "restarted", STEP);
    browser.call(caller, "hear", &json!([1500]));
    browser.wait(caller, mark, "heard", STEP);
    browser.call(caller, "hangUp", &json!([]));
    browser.wait(called, mark, "ended", STEP);
    office.over("normal");
}

#[test]
fn two_translators_are_opened_from_both_sides_with_addresses_that_stun_has_found() {
    if !installed() || !nat::possible() || !coturn::installed() {
        return;
    }
    let port = port_block(2) + 1;
    let nat = Nat::start_two(port);
    let stun = Coturn::stun(&nat.between(), nat::WORLD);
    let folder = tempfile::tempdir().expect("a folder for certificates");
    let options = Options {
        sip: format!("wss_port = {port}\n{}", Identity::new().write(folder.path())),
        media: format!("ice = \"full\"\nstun = \"{}:3478\"\n", nat::WORLD),
        address: nat::SERVER.into(),
        // Not told: it is found.
        advertised: nat::SERVER.into(),
        launcher: nat.inside(),
        ..Options::default()
    };
    let mut office = Office::start_with(options, &["caller", "called"]);
    let mut browser = Browser::start_in(&nat.beyond(), "--disable-features=WebRtcHideLocalIpsWithMdns");
    let servers = json!([{ "urls": format!("stun:{}:3478", nat::WORLD) }]);
    let caller = open(&mut browser, port, "caller", 1000, &servers);
    let called = open(&mut browser, port, "called", 1500, &servers);
    let mark = browser.mark();
    browser.call(caller, "call", &json!([format!("sip:called@{}", nat::PUBLIC)]));
    browser.wait(called, mark, "confirmed", STEP);
    browser.wait(caller, mark, "accepted", STEP);
    for (tab, hz) in [(called, 1000), (caller, 1500)] {
        browser.call(tab, "hear", &json!([hz]));
        browser.wait(tab, mark, "heard", STEP);
    }
    assert!(!stun.log().is_empty());
    browser.call(caller, "hangUp", &json!([]));
    browser.wait(called, mark, "ended", STEP);
    office.over("normal");
}
