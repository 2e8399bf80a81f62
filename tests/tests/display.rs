//! Which number outgoing calls of a contact centre show, as the called party sees it on the wire.

use serde_json::{Value, json};
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::bed::{CALLEE, CALLEE_CLI, CALLER_CLI, DEFAULT_CLI};
use strowger_tests::centre::{Centre, EVERY, STEP};
use strowger_tests::party::{Call, Party};
use strowger_tests::phone::{Phone, Talk};
use strowger_tests::server::Options;
use strowger_tests::wait;

const WAIT: Duration = Duration::from_secs(10);

/// Of the callee's city, of its province, of elsewhere, and of an agent.
const CITY: &str = "075526000001";
const PROVINCE: &str = "02026000001";
const ELSEWHERE: &str = "01026000001";
const OWN: &str = "01026000002";
/// Where calls come in that overflow.
const SPILL: &str = "02161000008";

const REGIONS: &str = "86139,广东省,深圳市\n8675526,广东省,深圳市\n862026,广东省,广州市\n861026,北京市,北京市\n";

struct Scene {
    centre: Centre,
    user: Party,
    calls: usize,
    _folder: tempfile::TempDir,
}

/// A talk of an agent with the callee.
struct Talking {
    agent: &'static str,
    talk: Talk,
    call: Call,
}

impl Scene {
    fn start() -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let regions = folder.path().join("regions.csv");
        std::fs::write(&regions, REGIONS).expect("a file");
        let options = Options {
            more: format!("[routing]\nregions = {:?}\n", regions.display().to_string()),
            ..Options::default()
        };
        let off = json!({ "wrap_up": "off" });
        let centre = Centre::start_at(options, &["anna", "ben"], &off, &json!({}));
        let user = Party::start(Law::A, None);
        centre.office.bed.callee_at(user.address());
        let (server, tenant) = (&centre.office.bed.server, &centre.office.bed.tenant);
        for number in [CITY, PROVINCE, ELSEWHERE, OWN, SPILL] {
            server.create("/numbers", &json!({ "number": number, "tenant": tenant }));
        }
        Scene {
            centre,
            user,
            calls: 0,
            _folder: folder,
        }
    }

    /// Makes a pool of display numbers, or another one of it.
    fn pool(&self, name: &str, definition: &Value) {
        let change = json!({ "definition": definition });
        let (status, _) = self.centre.ask("PATCH", &format!("/display-pools/{name}"), &change);
        if status != 200 {
            let body = json!({ "name": name, "application": self.centre.office.bed.app, "definition": definition });
            self.centre.office.bed.server.create("/display-pools", &body);
        }
    }

    /// The next call that the callee gets, and the number that it shows.
    fn shown(&mut self) -> (Call, String) {
        let call = self.user.nth_call(self.calls);
        self.calls += 1;
        let (_, from) = call.numbers();
        (call, from)
    }

    /// An agent calls the callee, which answers; the number that it saw.
    fn dial(&mut self, agent: &'static str, phone: &mut Phone, from: Option<&str>) -> (Talking, String) {
        let action = json!({ "action": "dial", "to": { "number": CALLEE }, "from": from });
        self.centre.act(agent, &action);
        let invite = phone.ring();
        let talk = phone.accept(&invite);
        let (call, shown) = self.shown();
        call.answer();
        self.centre.wait_state(agent, "talk-out");
        (Talking { agent, talk, call }, shown)
    }

    /// Ends a talk, and waits until the call is over for the server too: until then it shows its number.
    fn over(&self, phone: &mut Phone, talking: Talking) {
        let server = &self.centre.office.bed.server;
        let open = server.open_calls().len();
        talking.call.hang_up();
        phone.hung_up(&talking.talk);
        self.centre.wait_state(talking.agent, "ready");
        wait::until("a call less", STEP, EVERY, || {
            (server.open_calls().len() < open).then_some(())
        });
    }
}

/// True if a party saw this number, however the country was written.
fn is(shown: &str, number: &str) -> bool {
    shown.ends_with(&number[1..])
}

// accept: voice-paas 180
#[test]
fn named_then_own_then_the_groups_by_city_province_and_limits() {
    let mut scene = Scene::start();
    let mut anna = scene.centre.office.registered("anna");
    let mut ben = scene.centre.office.registered("ben");
    scene.centre.sign_in("anna");
    scene.centre.sign_in("ben");
    // Nothing is bound: the application's number.
    let (talking, shown) = scene.dial("anna", &mut anna, None);
    assert!(is(&shown, DEFAULT_CLI), "{shown}");
    scene.over(&mut anna, talking);

    // The callee's city, and while that is full the callee's province.
    let numbers = json!([
        { "number": ELSEWHERE }, { "number": PROVINCE, "daily": 1 }, { "number": CITY, "at_once": 1 },
    ]);
    let mut front = json!({ "numbers": numbers, "selection": "region", "groups": ["sales"], "own_first": false });
    scene.pool("front", &front);
    let (of_anna, shown) = scene.dial("anna", &mut anna, None);
    assert!(is(&shown, CITY), "{shown}");
    let (of_ben, shown) = scene.dial("ben", &mut ben, None);
    assert!(is(&shown, PROVINCE), "{shown}");
    scene.over(&mut ben, of_ben);
    // The province's number had its one call of the day.
    let (of_ben, shown) = scene.dial("ben", &mut ben, None);
    assert!(is(&shown, ELSEWHERE), "{shown}");
    scene.over(&mut ben, of_ben);
    let full = json!({ "action": "dial", "to": { "number": CALLEE }, "from": CITY });
    let (status, refusal) = scene.centre.ask("POST", "/agents/ben/actions", &full);
    assert_eq!((status, &refusal["code"]), (429, &json!("call.limit")), "{refusal}");
    // A call that is over shows its number no more.
    scene.over(&mut anna, of_anna);
    let (of_ben, shown) = scene.dial("ben", &mut ben, None);
    assert!(is(&shown, CITY), "{shown}");
    scene.over(&mut ben, of_ben);

    // An agent's own number, where its group allows that.
    assert_eq!(
        scene
            .centre
            .ask("PATCH", "/agents/anna", &json!({ "numbers": [OWN] }))
            .0,
        200
    );
    let (talking, shown) = scene.dial("anna", &mut anna, None);
    assert!(is(&shown, CITY), "{shown}");
    scene.over(&mut anna, talking);
    front["own_first"] = json!(true);
    scene.pool("front", &front);
    let (talking, shown) = scene.dial("anna", &mut anna, None);
    assert!(is(&shown, OWN), "{shown}");
    scene.over(&mut anna, talking);
    // Also where the agent dials at its telephone.
    let sdp = anna.sdp("sendrecv");
    let mut talk = anna.invite(CALLEE, "", &sdp);
    let (call, shown) = scene.shown();
    assert!(is(&shown, OWN), "{shown}");
    call.answer();
    anna.response(&mut talk, 200);
    call.hang_up();
    anna.hung_up(&talk);
    scene.centre.wait_state("anna", "ready");

    // The one that is named goes before all; one that is not the agent's is refused.
    let (talking, shown) = scene.dial("anna", &mut anna, Some(ELSEWHERE));
    assert!(is(&shown, ELSEWHERE), "{shown}");
    scene.over(&mut anna, talking);
    let foreign = json!({ "action": "dial", "to": { "number": CALLEE }, "from": CALLER_CLI });
    let (status, refusal) = scene.centre.ask("POST", "/agents/anna/actions", &foreign);
    assert_eq!((status, &refusal["parameter"]), (400, &json!("from")), "{refusal}");
    let inside = json!({ "action": "dial", "to": { "agent": "ben" }, "from": OWN });
    assert_eq!(scene.centre.ask("POST", "/agents/anna/actions", &inside).0, 400);
    assert_eq!(scene.centre.duty("anna")["state"], "ready", "a refusal reserves nobody");
}

#[test]
fn a_call_that_a_queue_sends_on_shows_a_number_of_all_calls() {
    let mut scene = Scene::start();
    scene.pool("all", &json!({ "numbers": [{ "number": CALLEE_CLI }] }));
    scene.pool(
        "front",
        &json!({ "numbers": [{ "number": CITY }], "groups": ["sales"] }),
    );
    let app = &scene.centre.office.bed.app;
    let server = &scene.centre.office.bed.server;
    server.create("/groups", &json!({ "name": "nobody", "application": app }));
    let settings = json!({ "overflow": { "number": CALLEE }, "overflow_unstaffed": true });
    let queue = json!({ "name": "spill", "application": app, "group": "nobody", "settings": settings });
    server.create("/queues", &queue);
    let route = json!({ "application": app, "number": SPILL, "target": { "queue": "spill" } });
    server.create("/routes", &route);
    let mut customer = scene.centre.office.registered("customer");
    let sdp = customer.sdp("sendrecv");
    let mut talk = customer.invite(SPILL, "", &sdp);
    customer.response(&mut talk, 200);
    let (call, shown) = scene.shown();
    assert!(is(&shown, CALLEE_CLI), "{shown}");
    call.answer();
    call.hang_up();
    call.wait_end(WAIT);
    customer.hung_up(&talk);
}
