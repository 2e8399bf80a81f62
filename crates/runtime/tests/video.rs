//! Video between two browsers: what one changes the other is asked about, and whatever it says, the first one is answered.

mod exchange;
mod kit;

use exchange::{Exchange, Phone};
use strowger_media::Command as MediaCommand;
use strowger_runtime::owner::WayMedia;
use strowger_sim::{Link, NodeId};
use strowger_sip_core::sdp::{self, Session};
use strowger_sip_core::{Command, DialogHandle, SipEvent};

/// A browser's description, with video that flows so or without any.
fn page(node: usize, version: u32, video: Option<&str>) -> bytes::Bytes {
    let transport = format!(
        "a=ice-ufrag:page{node}\r\na=ice-pwd:0123456789abcdef012345\r\na=fingerprint:sha-256 4A:AD\r\na=setup:active\r\n\
         a=rtcp-mux\r\n"
    );
    let group = if video.is_some() { "0 1" } else { "0" };
    let picture = video.map(|direction| {
        format!(
            "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n{transport}a=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n\
             a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na={direction}\r\n"
        )
    });
    format!(
        "v=0\r\no=- 7 {version} IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=group:BUNDLE {group}\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 8\r\n{transport}a=mid:0\r\na=sendrecv\r\n{}",
        picture.unwrap_or_default()
    )
    .into()
}

struct Talk {
    x: Exchange,
    caller: (NodeId, DialogHandle),
}

/// One calls the other; both begin without video unless the descriptions have it.
fn talk(callee: Phone, offer: Option<&str>, answer: Option<&str>) -> Talk {
    let mut x = Exchange::new(Link::CLEAN, 1);
    let a = x.phone_with("1001", Phone::Answers(50), page(1, 1, offer));
    x.phone_with("1002", callee, page(2, 1, answer));
    x.world
        .devices
        .values_mut()
        .flatten()
        .for_each(|way| way.media = WayMedia::WebRtc);
    let handle = x.call(a, "1002", vec![]);
    x.run(1_000);
    Talk { x, caller: (a, handle) }
}

impl Talk {
    /// The caller offers anew; gives back what it is answered.
    fn change(&mut self, version: u32, video: Option<&str>) -> Session {
        let (node, handle) = self.caller;
        let sdp = Some(page(1, version, video));
        let before = self.answers(node).len();
        self.x.net.command(node, Command::ReInvite { handle, sdp });
        self.x.run(2_000);
        let answers = self.answers(node);
        assert_eq!(answers.len(), before + 1, "one answer");
        answers.into_iter().next_back().expect("an answer")
    }

    fn answers(&self, node: NodeId) -> Vec<Session> {
        let events = self.x.net.events_of(node);
        let bodies = events.filter_map(|e| match e {
            SipEvent::ReInviteAnswered { sdp: Some(body), .. } => Some(body),
            _ => None,
        });
        bodies.map(|body| sdp::parse(body).expect("a description")).collect()
    }

    /// What the engine was told last of a leg's video: whether we send, and receive.
    fn video(&self, of: u16) -> Option<(bool, bool)> {
        let told = self.x.media.iter().rev().find_map(|c| match c {
            MediaCommand::Video { leg, video } if *leg == of => Some(video.as_ref()),
            _ => None,
        });
        told.flatten().map(|v| (v.send, v.recv))
    }
}

fn port(session: &Session) -> Option<u16> {
    session.media.iter().find(|m| m.kind == "video").map(|m| m.port)
}

#[test]
fn both_see_each_other_from_the_beginning() {
    let talk = talk(Phone::Answers(100), Some("sendrecv"), Some("sendrecv"));
    assert_eq!([talk.video(0), talk.video(1)], [Some((true, true)); 2]);
}

#[test]
fn who_only_looks_sends_nothing() {
    let talk = talk(Phone::Answers(100), Some("sendrecv"), Some("recvonly"));
    assert_eq!(
        [talk.video(0), talk.video(1)],
        [Some((false, true)), Some((true, false))]
    );
}

#[test]
fn video_is_added_and_taken_back_with_the_others_word() {
    let mut talk = talk(Phone::Answers(100), None, Some("sendrecv"));
    assert_eq!([talk.video(0), talk.video(1)], [None; 2], "nobody offered any");
    let answer = talk.change(2, Some("sendrecv"));
    assert!(port(&answer).is_some_and(|p| p != 0), "{answer}");
    assert_eq!([talk.video(0), talk.video(1)], [Some((true, true)); 2]);
    // The same again asks nobody.
    talk.change(3, Some("sendrecv"));
    let answer = talk.change(4, None);
    assert_eq!(port(&answer), None);
    assert_eq!(talk.video(0), None);
}

#[test]
fn a_partner_that_refuses_leaves_the_sound() {
    let mut talk = talk(Phone::Stubborn(100), None, Some("sendrecv"));
    let answer = talk.change(2, Some("sendrecv"));
    assert_eq!((port(&answer), answer.media[0].port != 0), (Some(0), true), "{answer}");
    assert_eq!([talk.video(0), talk.video(1)], [None; 2]);
    // It is not held against the next offer.
    let answer = talk.change(3, None);
    assert!(answer.media[0].port != 0);
}

#[test]
fn a_partner_without_video_leaves_the_sound() {
    let mut talk = talk(Phone::Answers(100), None, None);
    let answer = talk.change(2, Some("sendrecv"));
    assert_eq!((port(&answer), answer.media[0].port != 0), (Some(0), true), "{answer}");
}
