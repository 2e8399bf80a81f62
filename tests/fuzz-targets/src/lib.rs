//! What the fuzz targets do with their bytes, apart from libFuzzer: `fuzz/` runs these functions for hours, and a test
//! of this crate runs each for some seconds over the same seeds and over mutations of them.
//!
//! A target is a function that must return for any bytes, soon, without a panic; its assertions say what must hold.

mod api;
mod codec;
mod flows;
mod frame;
mod media;
pub mod mutate;
mod secure;
mod seeds;
mod sip;

/// One target.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name of the binary in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Digests any bytes.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets. A new one is added here and in `fuzz/`; a test compares the two.
pub const TARGETS: &[Target] = &[
    target("sip_message", sip::message, seeds::messages),
    target("sip_frame", frame::frame, seeds::pieces),
    target("sip_stack", sip::stack, seeds::streams),
    target("uri", sip::uri, seeds::uris),
    target("digest", sip::digest, seeds::credentials),
    target("registrar", sip::registrar, seeds::registrations),
    target("identity", sip::identity, seeds::identities),
    target("sdp", sip::sdp, seeds::descriptions),
    target("sdp_secure", secure::descriptions, secure::description_seeds),
    target("stun", sip::stun, seeds::stun),
    target("rtp", media::rtp, seeds::packets),
    target("rtcp", media::rtcp, seeds::reports),
    target("feedback", secure::feedback, secure::feedback_seeds),
    target("decode_opus", codec::opus, codec::opus_seeds),
    target("decode_g722", codec::g722, codec::g722_seeds),
    target("decode_g729", codec::g729, codec::g729_seeds),
    target("comfort_noise", codec::comfort_noise, codec::comfort_noise_seeds),
    target("wav", media::wav, seeds::sounds),
    target("number", media::number, seeds::numbers),
    target("spoken", media::spoken, seeds::spoken),
    target("import", media::import, seeds::audio_files),
    target("range", media::range, seeds::ranges),
    target("transcript", media::transcript, seeds::transcripts),
    target("flow", flows::flow, flows::seeds),
    target("regions", flows::regions, flows::region_seeds),
    target("events_message", strowger_api::fuzzing::events_message, api::messages),
    target("configuration", strowger_api::fuzzing::configuration, api::files),
    target("if_match", strowger_api::fuzzing::if_match, api::tags),
    target("cursor", strowger_api::fuzzing::cursor, api::cursors),
    target("webhook", strowger_api::fuzzing::webhook, api::webhooks),
    target("dial_link", strowger_dialect_voicepaas::fuzz_link, api::links),
];

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}

/// Runs the target of this name.
///
/// # Panics
/// If there is none, and where the target finds a fault.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|t| t.name == name);
    (target.expect("a target of this name").run)(bytes);
}
