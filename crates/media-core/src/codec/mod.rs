//! Codecs: one trait to decode, one to encode, and what the engine must know of each codec's packets.
//!
//! Everything inside is 8 kHz mono, so that no sample is converted on the way from a telephone to a telephone: libopus and
//! G.722 are run at that rate. RTP counts otherwise: Opus with 48 kHz (RFC 7587 section 4.1), G.722 with 8 kHz although it
//! samples at 16 (RFC 3551 section 4.5.2).
//!
//! A decoder belongs to one stream, an encoder to one receiver; both keep state. Neither panics, whatever it is given.

mod g711;
mod g722;
mod g729;
mod opus;

use crate::g711::Law;

/// Most samples that one packet decodes to: 120 ms, the longest that Opus allows (RFC 6716 section 3.2.5).
pub const MAX_PACKET_SAMPLES: usize = 960;

/// Largest payload that an encoder here makes: 60 ms of G.711.
pub const MAX_PAYLOAD: usize = 480;

/// The audio codecs that can be decoded and encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s; its lower half band is what is mixed.
    G722,
    /// G.729 with Annexes A and B read, Annex A written.
    G729,
    /// Opus (RFC 6716).
    Opus,
}

/// How an encoder is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderSettings {
    /// Opus: 0 (cheapest) to 10 (best).
    pub complexity: u8,
    /// Opus: bits per second, 6,000-64,000.
    pub bitrate: u32,
}

impl Default for EncoderSettings {
    fn default() -> Self {
        EncoderSettings {
            complexity: 5,
            bitrate: 20_000,
        }
    }
}

/// Why a coder could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {codec} coder could not be made: {reason}")]
pub struct CodecError {
    /// Encoding name.
    pub codec: &'static str,
    /// What the codec's library says.
    pub reason: String,
}

/// Decodes payloads in the order of their timestamps.
pub trait Decoder: Send {
    /// Append the payload's samples to `out`; nothing when it cannot be decoded.
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>);

    /// How many samples a payload decodes to; 0 when that cannot be told.
    fn samples(&self, payload: &[u8]) -> usize;

    /// Append `samples` made up for what is lost. False: the codec cannot, and the caller repeats and fades.
    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) -> bool {
        let _ = (samples, out);
        false
    }

    /// Append `samples` made up for what is lost, with the help of the packet that follows the gap: forward error
    /// correction. The following packet is decoded as usual afterwards. False: the codec cannot.
    fn recover(&mut self, following: &[u8], samples: usize, out: &mut Vec<i16>) -> bool {
        let _ = (following, samples, out);
        false
    }

    /// The last payload said that the sender pauses (silence suppression): what [`Decoder::conceal`] makes up is its noise.
    fn pausing(&self) -> bool {
        false
    }
}

/// Encodes the packets of one stream.
pub trait Encoder: Send {
    /// Encode one packet's samples into the front of `out` and return its length in bytes; 0 when nothing can be sent.
    /// The number of samples is 8 times a packet time that [`Kind::packet_ms`] gave.
    fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize;

    /// The receiver reports this loss, in percent: codecs with forward error correction use it from 1 % on.
    fn expect_loss(&mut self, percent: u8) {
        let _ = percent;
    }
}

impl Kind {
    /// All of them, the best sounding first.
    pub const ALL: [Kind; 5] = [Kind::Opus, Kind::G722, Kind::Pcma, Kind::Pcmu, Kind::G729];

    /// The codec of an rtpmap: encoding name in any case, clock in Hz, channels. Opus is always written with two
    /// channels (RFC 7587 section 7).
    pub fn named(name: &str, clock: u32, channels: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| {
            let channels_fit = match k {
                Kind::Opus => channels == 2,
                _ => channels <= 1,
            };
            channels_fit && k.clock() == clock && k.name().eq_ignore_ascii_case(name)
        })
    }

    /// Encoding name of the rtpmap.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Pcmu => "PCMU",
            Kind::Pcma => "PCMA",
            Kind::G722 => "G722",
            Kind::G729 => "G729",
            Kind::Opus => "opus",
        }
    }

    /// RTP timestamp units per second.
    pub const fn clock(self) -> u32 {
        match self {
            Kind::Opus => 48_000,
            _ => 8_000,
        }
    }

    /// Whether a payload holds digital silence, as a muted device sends; `None` where only decoding can tell, and in the
    /// pauses of discontinuous transmission, in which a party merely listens.
    pub fn is_silence(self, payload: &[u8]) -> Option<bool> {
        match self {
            _ if payload.is_empty() => None,
            // The two codes on both sides of zero, with both signs: up to 8 of 32,767.
            Kind::Pcma => Some(payload.iter().all(|&b| matches!(b, 0xD5 | 0x55))),
            Kind::Pcmu => Some(payload.iter().all(|&b| b & 0x7E == 0x7E)),
            Kind::Opus if payload.len() <= 2 => None,
            // A CELT frame with its silence flag (RFC 6716 section 4.3): what browsers send for a muted track.
            Kind::Opus => Some(payload.len() == 3 && payload[0] & 0x80 != 0 && payload[1..] == [0xFF, 0xFE]),
            Kind::G722 | Kind::G729 => None,
        }
    }

    /// RTP timestamp units per sample of ours.
    pub const fn units_per_sample(self) -> u32 {
        self.clock() / crate::RATE
    }

    /// The companding law, if it is G.711.
    pub const fn law(self) -> Option<Law> {
        match self {
            Kind::Pcmu => Some(Law::Mu),
            Kind::Pcma => Some(Law::A),
            _ => None,
        }
    }

    /// How long a payload lasts, in our samples (8 kHz); 0 when that cannot be told.
    pub fn samples(self, payload: &[u8]) -> usize {
        match self {
            Kind::Pcmu | Kind::Pcma | Kind::G722 => payload.len(),
            Kind::G729 => g729::samples(payload),
            Kind::Opus => opus::samples(payload),
        }
    }

    /// The packet time in ms that is sent when the far side asks for `wanted`: 10-60 in steps of 10; Opus has no frames of
    /// 30 and 50 ms, so it takes the next shorter.
    pub fn packet_ms(self, wanted: u8) -> u8 {
        let tens = wanted.clamp(10, 60) / 10;
        match (self, tens) {
            (Kind::Opus, 3) => 20,
            (Kind::Opus, 5) => 40,
            (_, tens) => tens * 10,
        }
    }

    /// A decoder for a new stream.
    ///
    /// # Errors
    /// [`CodecError`] when the library has no memory.
    pub fn decoder(self) -> Result<Box<dyn Decoder>, CodecError> {
        Ok(match self {
            Kind::Pcmu => Box::new(Law::Mu),
            Kind::Pcma => Box::new(Law::A),
            Kind::G722 => Box::new(g722::Decoder::new()),
            Kind::G729 => Box::new(g729::Decoder::new()),
            Kind::Opus => Box::new(opus::Decoder::new()?),
        })
    }

    /// An encoder for a new stream.
    ///
    /// # Errors
    /// [`CodecError`] when the library has no memory or refuses a setting.
    pub fn encoder(self, settings: EncoderSettings) -> Result<Box<dyn Encoder>, CodecError> {
        Ok(match self {
            Kind::Pcmu => Box::new(Law::Mu),
            Kind::Pcma => Box::new(Law::A),
            Kind::G722 => Box::new(g722::Encoder::new()),
            Kind::G729 => Box::new(g729::Encoder::new()),
            Kind::Opus => Box::new(opus::Encoder::new(settings)?),
        })
    }
}

/// Turns RTP timestamps of another clock into our sample count, across the wrap of both.
#[derive(Clone, Debug)]
pub struct Timescale {
    units: u32,
    last: Option<u32>,
    extended: i64,
}

impl Timescale {
    /// For a stream with so many timestamp units per sample of ours; 0 counts as 1.
    pub fn new(units_per_sample: u32) -> Timescale {
        Timescale {
            units: units_per_sample.max(1),
            last: None,
            extended: 0,
        }
    }

    /// The timestamp in samples, modulo 2^32.
    #[inline]
    pub fn samples(&mut self, timestamp: u32) -> u32 {
        if self.units == 1 {
            return timestamp;
        }
        self.extended = match self.last {
            None => i64::from(timestamp),
            Some(last) => self
                .extended
                .wrapping_add(i64::from(timestamp.wrapping_sub(last) as i32)),
        };
        self.last = Some(timestamp);
        self.extended.div_euclid(i64::from(self.units)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rtpmaps() {
        assert_eq!(Kind::named("OPUS", 48_000, 2), Some(Kind::Opus));
        assert_eq!(Kind::named("opus", 48_000, 1), None);
        assert_eq!(Kind::named("g722", 8_000, 1), Some(Kind::G722));
        assert_eq!(Kind::named("G722", 16_000, 1), None);
        assert_eq!(Kind::named("pcma", 8_000, 0), Some(Kind::Pcma));
        assert_eq!(Kind::named("PCMA", 16_000, 1), None);
        assert_eq!(Kind::named("iLBC", 8_000, 1), None);
    }

    #[test]
    fn digital_silence_is_told_from_sound_and_from_pauses() {
        for (kind, silence, sound) in [(Kind::Pcma, 0xD5, 0xD4), (Kind::Pcmu, 0xFF, 0x00)] {
            let mut encoded = [0; 160];
            let settings = EncoderSettings::default();
            let length = kind.encoder(settings).unwrap().encode(&[0; 160], &mut encoded);
            assert_eq!(kind.is_silence(&encoded[..length]), Some(true), "{kind:?}");
            encoded[80] = sound;
            assert_eq!(kind.is_silence(&encoded[..length]), Some(false), "{kind:?}");
            assert_eq!((kind.is_silence(&[silence]), kind.is_silence(&[])), (Some(true), None));
        }
        assert_eq!(Kind::Opus.is_silence(&[0xF8, 0xFF, 0xFE]), Some(true));
        assert_eq!(Kind::Opus.is_silence(&[0xF8, 0x12, 0x34, 0x56]), Some(false));
        assert_eq!(Kind::Opus.is_silence(&[0xF8]), None, "discontinuous transmission");
        assert_eq!(Kind::G722.is_silence(&[0; 160]), None);
    }

    #[test]
    fn packet_times_that_can_be_sent() {
        let times = |k: Kind| [0, 10, 15, 20, 30, 40, 50, 60, 200].map(|ms| k.packet_ms(ms));
        assert_eq!(times(Kind::Pcma), [10, 10, 10, 20, 30, 40, 50, 60, 60]);
        assert_eq!(times(Kind::Opus), [10, 10, 10, 20, 20, 40, 40, 60, 60]);
    }

    #[test]
    fn timestamps_of_a_faster_clock_survive_both_wraps() {
        let mut scale = Timescale::new(6);
        let start = u32::MAX - 3_000;
        let first = scale.samples(start);
        for packet in 1..100_000u32 {
            let samples = scale.samples(start.wrapping_add(packet.wrapping_mul(960)));
            assert_eq!(samples.wrapping_sub(first), packet.wrapping_mul(160));
            // One that comes late is where it belongs.
            let late = scale.samples(start.wrapping_add((packet - 1).wrapping_mul(960)));
            assert_eq!(samples.wrapping_sub(late), 160);
        }
    }
}
