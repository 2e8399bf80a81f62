//! Who hears whom in a contact centre, measured at the telephones while agents give commands: each party has a frequency of
//! its own, and so has the music.

use serde_json::{Value, json};
use strowger_tests::centre::Centre;
use strowger_tests::server::Options;
use strowger_tests::sound::now_ms;
use strowger_tests::voice::{MUSIC, Voice, music};

const CUSTOMER: f32 = 600.0;
const ANNA: f32 = 750.0;
const BEN: f32 = 900.0;
const LEA: f32 = 1100.0;
const ALL: [f32; 5] = [CUSTOMER, ANNA, BEN, LEA, MUSIC];

/// A centre whose music can be told from everything else.
fn centre(agents: &[&str]) -> (Centre, tempfile::TempDir) {
    let (sounds, more) = music();
    let options = Options {
        more,
        ..Options::default()
    };
    let settings = json!({ "wrap_up": "off" });
    let queue = json!({ "strategy": "sequential" });
    (Centre::start_at(options, agents, &settings, &queue), sounds)
}

fn act(centre: &Centre, agent: &str, action: &str) {
    centre.act(agent, &json!({ "action": action }));
}

fn to(agent: &str) -> Value {
    json!({ "agent": agent })
}

/// Music while the customer waits and is on hold; in a consultation each side hears its own; in a conference all hear all.
// accept: domain-model I13
#[test]
fn hold_consultation_and_conference() {
    let (mut centre, _sounds) = centre(&["anna", "ben"]);
    let mut customer = Voice::new(&centre.office, "customer", CUSTOMER, &ALL);
    let mut anna = Voice::new(&centre.office, "anna", ANNA, &ALL);
    let mut ben = Voice::new(&centre.office, "ben", BEN, &ALL);
    let waiting = customer.call_in();
    customer.hears("waiting", &[MUSIC]);
    centre.sign_in("anna");
    let talk = anna.accept();
    centre.wait_state("anna", "talk-in");
    customer.hears("in the talk", &[ANNA]);
    anna.hears("in the talk", &[CUSTOMER]);

    act(&centre, "anna", "hold");
    centre.wait_state("anna", "held");
    customer.hears("on hold", &[MUSIC]);
    anna.hears("holding", &[]);
    act(&centre, "anna", "retrieve");
    customer.hears("retrieved", &[ANNA]);
    anna.hears("retrieved", &[CUSTOMER]);

    act(&centre, "anna", "mute");
    customer.hears("anna is muted", &[]);
    anna.hears("muted", &[CUSTOMER]);
    act(&centre, "anna", "unmute");
    customer.hears("anna is not muted", &[ANNA]);

    centre.sign_in("ben");
    centre.act("anna", &json!({ "action": "consult", "to": to("ben") }));
    let mut help = ben.accept();
    centre.wait_state("anna", "consulting");
    let begun = now_ms();
    anna.hears("consulting", &[BEN]);
    ben.hears("consulted", &[ANNA]);
    customer.hears("waiting for the end of a consultation", &[MUSIC]);
    act(&centre, "anna", "swap");
    centre.wait_state("anna", "consult-swapped");
    anna.hears("swapped", &[CUSTOMER]);
    customer.hears("swapped", &[ANNA]);
    ben.hears("waiting, swapped", &[MUSIC]);
    act(&centre, "anna", "swap");
    anna.hears("swapped back", &[BEN]);
    customer.hears("swapped back", &[MUSIC]);
    assert_eq!(
        customer.heard_since(BEN, begun),
        0,
        "the customer hears nothing of a consultation"
    );
    assert_eq!(ben.heard_since(CUSTOMER, begun), 0);

    act(&centre, "anna", "merge");
    centre.wait_state("anna", "conference");
    anna.hears("in the conference", &[CUSTOMER, BEN]);
    ben.hears("in the conference", &[CUSTOMER, ANNA]);
    customer.hears("in the conference", &[ANNA, BEN]);
    // The first agent goes, and the two others talk on.
    act(&centre, "anna", "hang-up");
    anna.phone.hung_up(&talk);
    centre.wait_state("anna", "ready");
    customer.hears("left with the other agent", &[BEN]);
    ben.hears("left with the customer", &[CUSTOMER]);
    ben.phone.hang_up(&mut help);
    customer.phone.hung_up(&waiting);
    centre.wait_state("ben", "ready");
    centre.office.over("normal");
}

/// A supervisor hears both and is heard by nobody, then by the agent alone, then by both, and has the call in the end.
// accept: domain-model I14
#[test]
fn listening_whispering_barging_and_taking_over() {
    let (mut centre, _sounds) = centre(&["anna", "lea"]);
    let mut customer = Voice::new(&centre.office, "customer", CUSTOMER, &ALL);
    let mut anna = Voice::new(&centre.office, "anna", ANNA, &ALL);
    let mut lea = Voice::new(&centre.office, "lea", LEA, &ALL);
    centre.sign_in("anna");
    let waiting = customer.call_in();
    let talk = anna.accept();
    centre.wait_state("anna", "talk-in");
    centre.sign_in("lea");
    centre.act("lea", &json!({ "action": "monitor", "agent": "anna" }));
    let mut post = lea.accept();
    centre.wait_state("lea", "monitoring");
    let begun = now_ms();
    lea.hears("listening", &[CUSTOMER, ANNA]);
    anna.hears("listened to", &[CUSTOMER]);
    customer.hears("listened to", &[ANNA]);
    assert_eq!(anna.heard_since(LEA, begun), 0, "a listener is not heard");

    act(&centre, "lea", "whisper");
    anna.hears("whispered to", &[CUSTOMER, LEA]);
    customer.hears("whispered past", &[ANNA]);
    lea.hears("whispering", &[CUSTOMER, ANNA]);
    act(&centre, "lea", "listen");
    anna.hears("listened to again", &[CUSTOMER]);
    assert_eq!(
        customer.heard_since(LEA, begun),
        0,
        "the customer hears nothing of a whisper"
    );

    act(&centre, "lea", "barge");
    anna.hears("joined", &[CUSTOMER, LEA]);
    customer.hears("joined", &[ANNA, LEA]);
    lea.hears("joined in", &[CUSTOMER, ANNA]);

    act(&centre, "lea", "take-over");
    anna.phone.hung_up(&talk);
    customer.hears("taken over", &[LEA]);
    lea.hears("taken over", &[CUSTOMER]);
    lea.phone.hang_up(&mut post);
    customer.phone.hung_up(&waiting);
    centre.wait_state("anna", "ready");
    centre.office.over("normal");
}

/// An agent's telephone asks a colleague on a second line and hands the customer over by REFER with Replaces: the same as
/// consulting and completing.
#[test]
fn a_telephone_hands_over_after_asking() {
    let (mut centre, _sounds) = centre(&["anna", "ben"]);
    let mut customer = Voice::new(&centre.office, "customer", CUSTOMER, &ALL);
    let mut anna = Voice::new(&centre.office, "anna", ANNA, &ALL);
    let mut ben = Voice::new(&centre.office, "ben", BEN, &ALL);
    centre.sign_in("anna");
    let mut waiting = customer.call_in();
    let mut first = anna.accept();
    centre.wait_state("anna", "talk-in");
    centre.sign_in("ben");
    let hold = anna.phone.sdp("sendonly");
    assert_eq!(
        anna.phone.ask(&mut first, "INVITE", "", Some(&hold)).status(),
        Some(200)
    );
    centre.wait_state("anna", "held");
    customer.hears("on hold", &[MUSIC]);
    let sdp = anna.phone.sdp("sendrecv");
    let mut second = anna.phone.invite("ben", "", &sdp);
    let help = ben.accept();
    anna.phone.response(&mut second, 200);
    centre.wait_state("ben", "talk-internal");
    assert_eq!(centre.duty("anna")["state"], "held");
    let replaces = second
        .replaces()
        .replace(';', "%3B")
        .replace('=', "%3D")
        .replace('@', "%40");
    let platform = centre.office.bed.server.sip();
    let refer = format!("Refer-To: <sip:ben@{platform}?Replaces={replaces}>\r\n");
    assert_eq!(anna.phone.ask(&mut first, "REFER", &refer, None).status(), Some(202));
    let told = loop {
        let notify = anna.phone.agree(&first, "NOTIFY");
        if notify.get("Subscription-State").starts_with("terminated") {
            break notify.body.trim().to_owned();
        }
    };
    assert_eq!(told, "SIP/2.0 200 OK");
    anna.phone.hung_up(&first);
    anna.phone.hung_up(&second);
    centre.wait_state("ben", "talk-in");
    centre.wait_state("anna", "ready");
    customer.hears("handed over", &[BEN]);
    ben.hears("handed over to", &[CUSTOMER]);
    customer.phone.hang_up(&mut waiting);
    ben.phone.hung_up(&help);
    centre.wait_state("ben", "ready");
    assert_eq!(centre.office.ended().len(), 2);
}
