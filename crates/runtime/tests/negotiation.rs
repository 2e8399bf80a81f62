//! Which codecs two parties end up with: no transcoding where one would do, and transcoding where none would.

mod exchange;
mod kit;

use exchange::{Exchange, Phone};
use strowger_core::event::Fact;
use strowger_media::{Command as MediaCommand, Event as MediaEvent};
use strowger_runtime::owner::OwnerInput;
use strowger_sim::{Link, NodeId};
use strowger_sip_core::sdp::{self, Session};
use strowger_sip_core::{Command, DialogHandle, SipEvent};

const ALL: [&str; 5] = ["opus", "G722", "PCMA", "PCMU", "G729"];

/// A phone's description: `lines` are formats, with what an rtpmap says for those that need one.
fn description(node: usize, formats: &[(u8, &str)]) -> bytes::Bytes {
    let n = node + 1;
    let types: Vec<String> = formats.iter().map(|f| f.0.to_string()).collect();
    let maps: String = formats
        .iter()
        .map(|(pt, map)| format!("a=rtpmap:{pt} {map}\r\n"))
        .collect();
    format!(
        "v=0\r\no=- 7 1 IN IP4 10.0.0.{n}\r\ns=-\r\nc=IN IP4 10.0.0.{n}\r\nt=0 0\r\nm=audio 4000 RTP/AVP {}\r\n{maps}",
        types.join(" ")
    )
    .into()
}

const OPUS: (u8, &str) = (107, "opus/48000/2");
const G722: (u8, &str) = (9, "G722/8000");
const PCMA: (u8, &str) = (8, "PCMA/8000");
const PCMU: (u8, &str) = (0, "PCMU/8000");
const EVENTS: (u8, &str) = (101, "telephone-event/8000");
const WIDE_EVENTS: (u8, &str) = (102, "telephone-event/48000");

struct Talk {
    x: Exchange,
    caller: (NodeId, DialogHandle),
    /// What the callee was offered, and what the caller was answered.
    offered: Session,
    answered: Session,
}

fn talk(ours: &[&'static str], caller: &[(u8, &str)], callee: &[(u8, &str)]) -> Talk {
    let mut x = Exchange::new(Link::CLEAN, 1);
    x.world.codecs = ours.to_vec();
    let a = x.phone_with("1001", Phone::Answers(50), description(1, caller));
    let b = x.phone_with("1002", Phone::Answers(100), description(2, callee));
    let handle = x.call(a, "1002", vec![]);
    x.run(1_000);
    let parsed = |body: &Option<bytes::Bytes>| sdp::parse(body.as_ref().expect("a description")).unwrap();
    let offered = x.net.events_of(b).find_map(|e| match e {
        SipEvent::Incoming(invite) => Some(parsed(&invite.sdp)),
        _ => None,
    });
    let answered = x.net.events_of(a).find_map(|e| match e {
        SipEvent::Answered { sdp, .. } => Some(parsed(sdp)),
        _ => None,
    });
    Talk {
        offered: offered.expect("an INVITE"),
        answered: answered.expect("an answer"),
        x,
        caller: (a, handle),
    }
}

impl Talk {
    fn codecs(&self) -> (&str, &str) {
        let codecs = &self.x.convs[0].codecs;
        (&codecs[&0], &codecs[&1])
    }
}

fn formats(session: &Session) -> Vec<String> {
    let codecs = session.media[0].codecs();
    codecs.iter().map(|c| format!("{}/{}", c.name, c.clock_rate)).collect()
}

#[test]
fn the_callees_codec_is_answered_to_a_caller_that_has_it_too() {
    let talk = talk(&ALL, &[OPUS, PCMU, PCMA, EVENTS], &[PCMA, EVENTS]);
    assert_eq!(talk.codecs(), ("Pcma", "Pcma"));
    // One codec only: the caller may send any that is answered at any time.
    assert_eq!(formats(&talk.answered), ["PCMA/8000", "telephone-event/8000"]);
}

#[test]
fn parties_without_a_codec_in_common_are_transcoded() {
    let talk = talk(&ALL, &[OPUS, WIDE_EVENTS], &[PCMA, EVENTS]);
    assert_eq!(talk.codecs(), ("Opus", "Pcma"));
    assert_eq!(formats(&talk.answered), ["opus/48000", "telephone-event/48000"]);
    assert_eq!(
        formats(&talk.offered),
        [
            "opus/48000",
            "G722/8000",
            "PCMA/8000",
            "PCMU/8000",
            "G729/8000",
            "telephone-event/48000",
            "telephone-event/8000"
        ]
    );
    let audio = &talk.offered.media[0];
    let types: Vec<u8> = audio.codecs().iter().map(|c| c.payload_type).collect();
    let mut distinct = types.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), types.len(), "{types:?}");
}

#[test]
fn the_callers_codec_is_offered_first_and_ours_behind_it() {
    let talk = talk(&ALL, &[PCMU, EVENTS], &[G722, EVENTS]);
    assert_eq!(formats(&talk.offered)[..3], ["PCMU/8000", "opus/48000", "G722/8000"]);
    assert_eq!(talk.codecs(), ("Pcmu", "G722"));
    let opus = talk.offered.media[0].codecs().into_iter().find(|c| c.name == "opus");
    let opus = opus.expect("opus is offered");
    assert_eq!((opus.channels, opus.clock_rate), (2, 48_000));
    assert!(opus.fmtp.unwrap().contains("useinbandfec=1"));
}

#[test]
fn what_is_not_configured_is_not_offered_but_a_caller_that_has_nothing_else_is_understood() {
    let talk = talk(&["PCMA", "PCMU"], &[OPUS], &[PCMA]);
    // Its own codec is offered on, in case the callee has it.
    assert_eq!(formats(&talk.offered)[..3], ["opus/48000", "PCMA/8000", "PCMU/8000"]);
    assert_eq!(talk.codecs(), ("Opus", "Pcma"));
}

#[test]
fn a_codec_that_nobody_can_decode_is_relayed_or_the_call_is_refused() {
    let both = talk(&ALL, &[(97, "iLBC/8000"), PCMA], &[(97, "iLBC/8000")]);
    assert!(
        both.codecs().0.contains("ilbc") && both.codecs().1.contains("ilbc"),
        "{:?}",
        both.codecs()
    );
    assert_eq!(formats(&both.answered)[..1], ["iLBC/8000"]);
}

#[test]
fn a_reinvite_keeps_the_codec_that_is_in_use() {
    let mut talk = talk(&ALL, &[OPUS, PCMA, EVENTS], &[PCMA, EVENTS]);
    assert_eq!(talk.codecs().0, "Pcma");
    let (node, handle) = talk.caller;
    // The phone lists everything again, as phones do.
    let sdp = Some(description(1, &[OPUS, PCMA, EVENTS]));
    talk.x.net.command(node, Command::ReInvite { handle, sdp });
    talk.x.run(1_000);
    assert_eq!(talk.codecs(), ("Pcma", "Pcma"));
    // And then only the other one.
    let sdp = Some(description(1, &[OPUS, EVENTS]));
    talk.x.net.command(node, Command::ReInvite { handle, sdp });
    talk.x.run(1_000);
    assert_eq!(talk.codecs(), ("Opus", "Pcma"));
}

// accept: voice-paas 54, 55
#[test]
fn digits_by_info_are_passed_on_and_counted_once() {
    let mut talk = talk(&ALL, &[PCMA], &[PCMA, EVENTS]);
    let listens = |x: &Exchange, leg: u16| {
        x.media
            .iter()
            .any(|c| matches!(c, MediaCommand::Listen { leg: l, listen } if *l == leg && listen.digits))
    };
    assert!(listens(&talk.x, 0), "without events its sound is listened to");
    assert!(!listens(&talk.x, 1));
    let (node, handle) = talk.caller;
    let info = |talk: &mut Talk, body: &'static str| {
        talk.x.net.command(
            node,
            Command::Info {
                handle,
                content_type: "application/dtmf-relay".into(),
                body: body.into(),
            },
        );
        talk.x.run(200);
    };
    info(&mut talk, "Signal=5\r\nDuration=120\r\n");
    // The same press, heard as a tone.
    let tone = MediaEvent::Dtmf {
        leg: 0,
        digit: '5',
        duration_ms: 120,
    };
    talk.x.give(0, OwnerInput::Media(tone));
    info(&mut talk, "Signal=6\r\nDuration=120\r\n");
    let pressed: Vec<char> = talk
        .x
        .media
        .iter()
        .filter_map(|c| match c {
            MediaCommand::Pressed { leg: 0, digit, .. } => Some(*digit),
            _ => None,
        })
        .collect();
    assert_eq!(pressed, ['5', '6']);
    let facts = talk.x.convs[0]
        .events
        .iter()
        .filter(|e| matches!(e.fact, Fact::Digit { .. }));
    assert_eq!(facts.count(), 2);
}
