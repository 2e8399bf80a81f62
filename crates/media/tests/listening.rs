//! Who hears whom, by audio probe: talk, hold, consultation, listening in, whispering, barging in, muting, private prompts.
//! Each party says a tone of its own, and each party's ears are measured after every change of the layout.

mod common;

use common::*;
use strowger_media::testkit::Peer;
use strowger_media::*;
use strowger_media_core::codec::Kind;

const CUSTOMER: u16 = 0;
const AGENT: u16 = 1;
const OTHER: u16 = 2;
const TONES: [u16; 3] = [600, 1000, 1600];
const MUSIC: u16 = 2100;
const PROMPT: u16 = 2500;

struct Room {
    bench: Bench,
    peers: Vec<Peer>,
}

impl Room {
    /// A customer on a carrier's leg, an agent and a third party (a supervisor, or who is consulted) with browsers' codecs.
    fn start() -> Room {
        let bench = Bench::start();
        let kinds = [Kind::Pcma, Kind::Opus, Kind::G722];
        let peers: Vec<Peer> = kinds.iter().map(|&k| Peer::with_codec(k, 20)).collect();
        for (leg, peer) in peers.iter().enumerate() {
            let address = bench.leg(leg as u16, peer);
            peer.say(TONES[leg], address);
        }
        Room { bench, peers }
    }

    /// Ears of a party: exactly these tones, and none of all the others. `None`: it is sent nothing at all.
    fn assert_hears(&self, leg: u16, present: Option<&[u16]>) {
        let peer = &self.peers[usize::from(leg)];
        let Some(present) = present else {
            // What was on its way has arrived when another party has got ten packets more.
            peer.forget();
            let other = &self.peers[usize::from((leg + 1) % 3)];
            other.wait_packets(10);
            let late = peer.received().len();
            assert!(late <= 2, "leg {leg} is sent {late} packets");
            return;
        };
        let all = TONES.iter().chain(&[MUSIC, PROMPT]);
        let absent: Vec<u16> = all.copied().filter(|hz| !present.contains(hz)).collect();
        peer.wait_hears_only(present, &absent);
    }
}

fn music(leg: u16) -> LegLayout {
    plays(leg, tone(77, Cadence::sine(MUSIC, -16.0)))
}

#[test]
fn talk_and_mute() {
    let room = Room::start();
    room.bench
        .layout(vec![hears(CUSTOMER, &[AGENT]), hears(AGENT, &[CUSTOMER])]);
    room.assert_hears(CUSTOMER, Some(&[TONES[1]]));
    room.assert_hears(AGENT, Some(&[TONES[0]]));
    room.assert_hears(OTHER, None);
    // The agent mutes itself: nobody hears it, it hears on.
    room.bench.layout(vec![
        LegLayout {
            leg: CUSTOMER,
            hears: vec![(AGENT, Gain::MUTE)],
            play: None,
        },
        hears(AGENT, &[CUSTOMER]),
    ]);
    room.assert_hears(AGENT, Some(&[TONES[0]]));
    room.peers[0].forget();
    room.assert_hears(CUSTOMER, None);
}

// accept: domain-model I13
#[test]
fn a_held_party_hears_music_and_never_the_consultation() {
    let room = Room::start();
    room.bench
        .layout(vec![hears(CUSTOMER, &[AGENT]), hears(AGENT, &[CUSTOMER])]);
    room.assert_hears(CUSTOMER, Some(&[TONES[1]]));
    // Hold: the customer has music, the agent talks to the one it consults.
    room.bench
        .layout(vec![music(CUSTOMER), hears(AGENT, &[OTHER]), hears(OTHER, &[AGENT])]);
    room.assert_hears(CUSTOMER, Some(&[MUSIC]));
    room.assert_hears(AGENT, Some(&[TONES[2]]));
    room.assert_hears(OTHER, Some(&[TONES[1]]));
    // Swapped: now the consulted one is held.
    room.bench
        .layout(vec![hears(CUSTOMER, &[AGENT]), hears(AGENT, &[CUSTOMER]), music(OTHER)]);
    room.assert_hears(OTHER, Some(&[MUSIC]));
    room.assert_hears(CUSTOMER, Some(&[TONES[1]]));
    room.assert_hears(AGENT, Some(&[TONES[0]]));
    // Retrieved as a conference of three.
    room.bench.layout(vec![
        hears(CUSTOMER, &[AGENT, OTHER]),
        hears(AGENT, &[CUSTOMER, OTHER]),
        hears(OTHER, &[CUSTOMER, AGENT]),
    ]);
    room.assert_hears(CUSTOMER, Some(&[TONES[1], TONES[2]]));
    room.assert_hears(AGENT, Some(&[TONES[0], TONES[2]]));
    room.assert_hears(OTHER, Some(&[TONES[0], TONES[1]]));
}

// accept: domain-model I14
#[test]
fn a_silent_monitor_hears_both_and_is_never_audible() {
    let room = Room::start();
    room.bench
        .layout(vec![hears(CUSTOMER, &[AGENT]), hears(AGENT, &[CUSTOMER])]);
    room.assert_hears(CUSTOMER, Some(&[TONES[1]]));
    room.bench.layout(vec![
        hears(CUSTOMER, &[AGENT]),
        hears(AGENT, &[CUSTOMER]),
        hears(OTHER, &[CUSTOMER, AGENT]),
    ]);
    room.assert_hears(OTHER, Some(&[TONES[0], TONES[1]]));
    room.assert_hears(CUSTOMER, Some(&[TONES[1]]));
    room.assert_hears(AGENT, Some(&[TONES[0]]));
    // Whisper: the agent hears the supervisor, the customer does not.
    room.bench.layout(vec![
        hears(CUSTOMER, &[AGENT]),
        hears(AGENT, &[CUSTOMER, OTHER]),
        hears(OTHER, &[CUSTOMER, AGENT]),
    ]);
    room.assert_hears(AGENT, Some(&[TONES[0], TONES[2]]));
    room.assert_hears(CUSTOMER, Some(&[TONES[1]]));
    // Barge in: all hear all.
    room.bench.layout(vec![
        hears(CUSTOMER, &[AGENT, OTHER]),
        hears(AGENT, &[CUSTOMER, OTHER]),
        hears(OTHER, &[CUSTOMER, AGENT]),
    ]);
    room.assert_hears(CUSTOMER, Some(&[TONES[1], TONES[2]]));
    room.assert_hears(AGENT, Some(&[TONES[0], TONES[2]]));
    // And silent again.
    room.bench.layout(vec![
        hears(CUSTOMER, &[AGENT]),
        hears(AGENT, &[CUSTOMER]),
        hears(OTHER, &[CUSTOMER, AGENT]),
    ]);
    room.assert_hears(CUSTOMER, Some(&[TONES[1]]));
    room.assert_hears(AGENT, Some(&[TONES[0]]));
    room.assert_hears(OTHER, Some(&[TONES[0], TONES[1]]));
}

#[test]
fn a_private_prompt_and_a_muted_party_of_a_conference() {
    let room = Room::start();
    // The third party is heard by nobody; the agent has a prompt of its own.
    room.bench.layout(vec![
        hears(CUSTOMER, &[AGENT]),
        LegLayout {
            play: Some(tone(5, Cadence::sine(PROMPT, -16.0))),
            ..hears(AGENT, &[CUSTOMER])
        },
        hears(OTHER, &[CUSTOMER, AGENT]),
    ]);
    room.assert_hears(AGENT, Some(&[TONES[0], PROMPT]));
    room.assert_hears(CUSTOMER, Some(&[TONES[1]]));
    room.assert_hears(OTHER, Some(&[TONES[0], TONES[1]]));
}
