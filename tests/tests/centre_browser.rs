//! JsSIP in Chromium as an agent's device: a call of the queue from the ringing to the wrap-up, heard at every telephone.

use serde_json::json;
use std::time::Duration;
use strowger_tests::browser::{Browser, Tab, installed};
use strowger_tests::centre::Centre;
use strowger_tests::site::{STEP, Site};
use strowger_tests::voice::{MUSIC, Voice, music};
use strowger_tests::wait;

const CUSTOMER: f32 = 600.0;
/// The page's tone.
const PAGE: f32 = 1000.0;
const BEN: f32 = 1500.0;
/// What the menu says.
const MENU: f32 = 1800.0;
const ALL: [f32; 5] = [CUSTOMER, PAGE, BEN, MENU, MUSIC];
/// The number that leads to the menu.
const FRONT: &str = "02161000010";

fn page_hears(browser: &mut Browser, tab: Tab, hz: f32) {
    let mark = browser.mark();
    browser.call(tab, "hear", &json!([hz]));
    browser.wait(tab, mark, "heard", STEP);
}

fn page_silent(browser: &mut Browser, tab: Tab) {
    let mark = browser.mark();
    browser.call(tab, "silence", &json!([]));
    browser.wait(tab, mark, "silent", STEP);
}

/// A menu in front of the queue: key 1 leads there.
fn menu(centre: &Centre) {
    let bed = &centre.office.bed;
    bed.prompt("menu", MENU, 400);
    let flow = json!({
        "start": "menu",
        "nodes": {
            "menu": {
                "type": "menu", "say": [{ "prompt": "menu" }],
                "choices": [{ "key": "1", "label": "sales", "next": "queue" }],
                "tries": { "count": 3, "wait_ms": 10_000 },
                "failed": "bye",
            },
            "queue": { "type": "queue", "queue": "sales", "failed": "bye" },
            "bye": { "type": "hang_up" },
        }
    });
    let flow = json!({ "name": "main", "application": bed.app, "flow": flow, "publish": true });
    bed.server.create("/flows", &flow);
    bed.server
        .create("/numbers", &json!({ "number": FRONT, "tenant": bed.tenant }));
    let route = json!({ "application": bed.app, "number": FRONT, "target": { "flow": "main" } });
    bed.server.create("/routes", &route);
}

/// Number, menu, queue, the page rings and answers, hold, a consultation with a desk telephone, hand-over, wrap-up.
#[test]
fn an_agent_works_in_a_page() {
    if !installed() {
        return;
    }
    let (_sounds, more) = music();
    let mut site = Site::start_configured("", &more, &["anna", "ben", "customer", "other"]);
    let anna = site.registered_with("jssip", "anna", &json!({ "tone": PAGE, "manual": true }));
    let Site {
        office, mut browser, ..
    } = site;
    let settings = json!({ "wrap_up": { "seconds": 1 } });
    let mut centre = Centre::furnish(
        office,
        &["anna", "ben"],
        &settings,
        &json!({ "strategy": "sequential" }),
    );
    let mut customer = Voice::new(&centre.office, "customer", CUSTOMER, &ALL);
    let mut ben = Voice::new(&centre.office, "ben", BEN, &ALL);
    menu(&centre);
    let waiting = customer.call(FRONT);
    wait::until("the menu", STEP, Duration::from_millis(20), || {
        customer.line.hears(MENU).then_some(())
    });
    customer.line.press("1");
    customer.hears("waiting", &[MUSIC]);

    let mark = browser.mark();
    centre.sign_in("anna");
    browser.wait(anna, mark, "ringing", STEP);
    centre.wait_state("anna", "ringing");
    browser.call(anna, "answer", &json!([]));
    browser.wait(anna, mark, "confirmed", STEP);
    centre.wait_state("anna", "talk-in");
    customer.hears("in the talk", &[PAGE]);
    page_hears(&mut browser, anna, CUSTOMER);

    centre.act("anna", &json!({ "action": "hold" }));
    centre.wait_state("anna", "held");
    customer.hears("on hold", &[MUSIC]);
    page_silent(&mut browser, anna);
    centre.act("anna", &json!({ "action": "retrieve" }));
    customer.hears("retrieved", &[PAGE]);
    page_hears(&mut browser, anna, CUSTOMER);

    centre.sign_in("ben");
    centre.act("anna", &json!({ "action": "consult", "to": { "agent": "ben" } }));
    let mut help = ben.accept();
    centre.wait_state("anna", "consulting");
    page_hears(&mut browser, anna, BEN);
    ben.hears("consulted", &[PAGE]);
    customer.hears("waiting for the end of the consultation", &[MUSIC]);

    let mark = browser.mark();
    centre.act("anna", &json!({ "action": "complete" }));
    browser.wait(anna, mark, "ended", STEP);
    centre.wait_state("anna", "wrap-up");
    centre.wait_state("ben", "talk-in");
    customer.hears("handed over", &[BEN]);
    ben.hears("handed over", &[CUSTOMER]);
    ben.phone.hang_up(&mut help);
    customer.phone.hung_up(&waiting);
    centre.wait_state("anna", "ready");
    centre.office.over("normal");
}
