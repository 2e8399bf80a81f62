//! Decoders of codecs, and their seeds.

use std::hint::black_box;
use strowger_media_core::codec::{EncoderSettings, Kind, MAX_PAYLOAD};
use strowger_media_core::tone::{Cadence, ToneGenerator};

/// Opus packets: see [`decode`].
pub fn opus(data: &[u8]) {
    decode(Kind::Opus, data);
}

/// G.722 packets: see [`decode`].
pub fn g722(data: &[u8]) {
    decode(Kind::G722, data);
}

/// G.729 packets: see [`decode`].
pub fn g729(data: &[u8]) {
    decode(Kind::G729, data);
}

/// Any stream of packets gives samples, no more than a packet may last, and what is made up has the length that was asked
/// for. Each packet is a byte for its length, then its payload; a length of 0 is a lost packet.
fn decode(kind: Kind, mut data: &[u8]) {
    let Ok(mut decoder) = kind.decoder() else { return };
    let mut out = Vec::new();
    while let Some((&length, rest)) = data.split_first() {
        let (payload, rest) = rest.split_at(usize::from(length).min(rest.len()));
        data = rest;
        out.clear();
        if payload.is_empty() {
            let following = data.get(1..).unwrap_or_default();
            if !decoder.recover(following, 160, &mut out) {
                out.clear();
                decoder.conceal(160, &mut out);
            }
            assert!(out.is_empty() || out.len() == 160);
        } else {
            decoder.decode(payload, &mut out);
            assert!(out.len() <= strowger_media_core::codec::MAX_PACKET_SAMPLES);
            assert!(out.is_empty() || out.len() == decoder.samples(payload), "{}", out.len());
        }
        black_box(&out);
    }
}

/// Any payload describes noise or nothing.
pub fn comfort_noise(data: &[u8]) {
    let Some(mut noise) = strowger_media_core::comfort::ComfortNoise::parse(data) else {
        assert!(data.is_empty());
        return;
    };
    let mut out = [0; 800];
    noise.fill(&mut out);
    black_box(out);
}

/// Streams of a codec: half a second of a tone in packets of 20 and of 40 ms, each behind its length, every tenth lost.
fn packets_of(kind: Kind) -> Vec<Vec<u8>> {
    let stream = |samples: usize| {
        let mut encoder = kind.encoder(EncoderSettings::default()).expect("an encoder");
        let mut tone = ToneGenerator::new(Cadence::sine(700, -10.0));
        let mut out = Vec::new();
        for i in 0..4000 / samples {
            let (mut frame, mut payload) = (vec![0; samples], [0; MAX_PAYLOAD]);
            tone.fill(&mut frame);
            let length = encoder.encode(&frame, &mut payload);
            match u8::try_from(length) {
                Ok(octet) if i % 10 != 9 => {
                    out.push(octet);
                    out.extend_from_slice(&payload[..length]);
                }
                _ => out.push(0),
            }
        }
        out
    };
    vec![stream(160), stream(320)]
}

pub fn opus_seeds() -> Vec<Vec<u8>> {
    let mut all = packets_of(Kind::Opus);
    // Discontinuous transmission, and several frames a packet.
    all.push(vec![1, 0x08, 0, 2, 0x08, 0x00, 0, 3, 0x0B, 0x01, 0xFF]);
    all
}

pub fn g722_seeds() -> Vec<Vec<u8>> {
    packets_of(Kind::G722)
}

pub fn g729_seeds() -> Vec<Vec<u8>> {
    let mut all = packets_of(Kind::G729);
    // A silence descriptor, alone and after a frame, and packets that are missing in the pause.
    all.push(vec![
        2, 0x07, 0xD6, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x11, 0x22, 0,
    ]);
    all
}

pub fn comfort_noise_seeds() -> Vec<Vec<u8>> {
    vec![vec![60], vec![40, 100, 150, 127], vec![0; 30]]
}
