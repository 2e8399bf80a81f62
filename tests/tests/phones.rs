//! Desk telephones that are not ours, baresip: registered over every transport, calling and called, with sound measured
//! both ways.

use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use strowger_media_core::g711::Law;
use strowger_tests::baresip::{Baresip, MD5_ALONE, STEP, Setup, installed, wait_hears, wait_silent};
use strowger_tests::bed::CALLEE;
use strowger_tests::office::{Office, password};
use strowger_tests::party::{Ended, Party};
use strowger_tests::server::{Options, port_block};
use strowger_tests::sound::Sound;
use strowger_tests::tls::Identity;
use strowger_tests::wait;

/// The telephone's tone.
const PHONE: f32 = 1000.0;
/// The other side's.
const FAR: f32 = 750.0;
/// A number of the platform that rings the telephone.
const LINE: &str = "02161000009";

/// An office that serves TLS beside UDP and TCP.
struct Site {
    office: Office,
    folder: tempfile::TempDir,
    tls: SocketAddr,
}

impl Site {
    fn start(names: &[&str]) -> Site {
        let folder = tempfile::tempdir().expect("a folder for certificates");
        let port = port_block(2) + 1;
        let sip = format!("{MD5_ALONE}tls_port = {port}\n{}", Identity::new().write(folder.path()));
        let options = Options {
            sip,
            ..Options::default()
        };
        Site {
            office: Office::start_with(options, names),
            folder,
            tls: ([127, 0, 0, 1], port).into(),
        }
    }

    fn authority(&self) -> std::path::PathBuf {
        self.folder.path().join("tls.crt")
    }

    /// A baresip of this device, registered.
    fn phone(&self, user: &str, transport: &str, codec: &str, hz: f32) -> Baresip {
        let authority = self.authority();
        let secret = password(user);
        let phone = Baresip::start(&self.setup(user, &secret, transport, codec, hz, &authority));
        phone.wait_registered();
        let bindings = self.office.bindings(user);
        assert_eq!(bindings.len(), 1, "{bindings:?}");
        assert_eq!(bindings[0]["transport"], transport, "{bindings:?}");
        phone
    }

    fn setup<'a>(
        &self,
        user: &'a str,
        password: &'a str,
        transport: &'a str,
        codec: &'a str,
        hz: f32,
        authority: &'a Path,
    ) -> Setup<'a> {
        Setup {
            user,
            password,
            registrar: if transport == "tls" {
                self.tls
            } else {
                self.office.bed.server.sip()
            },
            transport,
            codec,
            hz,
            answers: true,
            expires: 60,
            authority: Some(authority),
            account: String::new(),
        }
    }

    /// Calls to [`LINE`] ring this device.
    fn route_line(&self, user: &str) {
        let bed = &self.office.bed;
        bed.server
            .create("/numbers", &json!({ "number": LINE, "tenant": bed.tenant }));
        let route = json!({ "application": bed.app, "number": LINE, "target": { "device": user } });
        bed.server.create("/routes", &route);
    }
}

/// Milliseconds of a tone in a recording.
fn heard(sound: &Sound, hz: f32) -> usize {
    sound.heard_ms(hz)
}

/// A telephone on this transport calls and is called, holds and is held; each side hangs up once.
fn talks(transport: &str) {
    if !installed() {
        return;
    }
    let mut site = Site::start(&["alice"]);
    let far = Party::start(Law::Mu, Some(FAR));
    site.office.bed.callee_at(far.address());
    site.route_line("alice");
    let mut alice = site.phone("alice", transport, "PCMA", PHONE);

    // The telephone calls, holds, takes back and hangs up.
    let mark = alice.mark();
    alice.dial(CALLEE);
    let b = far.first_call();
    b.ring();
    alice.wait_event(mark, "CALL_RINGING");
    b.answer();
    alice.wait_event(mark, "CALL_ESTABLISHED");
    wait_hears(&b.line(), PHONE);
    // What the telephone has heard is measured when the call is over: it is to be a second at least.
    wait::pause(Duration::from_secs(1));
    alice.command("hold", "");
    wait_silent(&b.line(), PHONE);
    alice.command("resume", "");
    wait_hears(&b.line(), PHONE);
    alice.command("hangup", "");
    assert_eq!(b.wait_end(STEP).0, Ended::Bye);
    site.office.over("normal");

    // It is called, held and taken back; the far side hangs up.
    let mark = alice.mark();
    let a = far.dial(site.office.bed.server.sip(), CALLEE, LINE);
    alice.wait_event(mark, "CALL_ESTABLISHED");
    wait_hears(&a.line(), PHONE);
    a.reinvite("sendonly");
    wait_silent(&a.line(), PHONE);
    a.reinvite("sendrecv");
    wait_hears(&a.line(), PHONE);
    wait::pause(Duration::from_secs(1));
    a.hang_up();
    alice.wait_event(mark, "CALL_CLOSED");
    site.office.over("normal");

    let sounds = wait::until("two recordings", STEP, Duration::from_millis(50), || {
        Some(alice.heard()).filter(|s| s.len() == 2)
    });
    for (n, sound) in sounds.iter().enumerate() {
        let (ours, theirs) = (heard(sound, PHONE), heard(sound, FAR));
        assert!(
            theirs >= 900 && ours == 0,
            "call {n}: {theirs} ms of {FAR} Hz, {ours} ms of its own"
        );
    }
    // It says good-bye in order.
    alice.command("quit", "");
    wait::until("no binding", STEP, Duration::from_millis(20), || {
        site.office.bindings("alice").is_empty().then_some(())
    });
}

#[test]
fn baresip_talks_over_udp() {
    talks("udp");
}

#[test]
fn baresip_talks_over_tcp() {
    talks("tcp");
}

#[test]
fn baresip_talks_over_tls() {
    talks("tls");
}

#[test]
fn two_telephones_on_different_transports_and_codecs_hear_each_other() {
    two_telephones("PCMA", "PCMU");
}

#[test]
fn two_telephones_of_which_one_has_opus_alone_hear_each_other() {
    two_telephones("opus", "PCMA");
}

#[test]
fn two_telephones_of_which_one_has_g722_alone_hear_each_other() {
    two_telephones("PCMU", "G722");
}

fn two_telephones(first: &str, second: &str) {
    if !installed() {
        return;
    }
    let mut site = Site::start(&["alice", "bob"]);
    let mut alice = site.phone("alice", "tls", first, PHONE);
    let mut bob = site.phone("bob", "udp", second, FAR);
    for called_ends in [true, false] {
        let marks = (alice.mark(), bob.mark());
        alice.dial("bob");
        alice.wait_event(marks.0, "CALL_ESTABLISHED");
        bob.wait_event(marks.1, "CALL_ESTABLISHED");
        wait::pause(Duration::from_millis(1500));
        let ends = if called_ends { &mut bob } else { &mut alice };
        ends.command("hangup", "");
        let other = if called_ends {
            (&alice, marks.0)
        } else {
            (&bob, marks.1)
        };
        other.0.wait_event(other.1, "CALL_CLOSED");
        site.office.over("normal");
    }
    for (phone, own, others) in [(&alice, PHONE, FAR), (&bob, FAR, PHONE)] {
        for sound in phone.heard() {
            let (ours, theirs) = (heard(&sound, own), heard(&sound, others));
            assert!(
                theirs >= 1000 && ours == 0,
                "{theirs} ms of {others} Hz, {ours} ms of its own {own} Hz"
            );
        }
        assert_eq!(phone.heard().len(), 2);
    }
}
