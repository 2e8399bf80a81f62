//! The public vocabulary: commands, events, layouts, sounds, errors and configuration.

mod metrics;

pub use metrics::{DirectionMetrics, HistogramMetrics, Metrics, QualityMetrics, Scheduling, ShardMetrics};

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::tap::Tap;
use strowger_media_core::codec::Kind;
use strowger_media_core::listen::{FaxTone, Listen, Verdict};
use strowger_media_core::mixer::Gain;
use strowger_media_core::quality::OneWay;
use strowger_media_core::tone::Cadence;
use strowger_media_core::{g711, wav};

use crate::secure::Security;

/// The identity of a call in the media engine; minted above (the conversation id). Its hash selects the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(pub u128);

/// Process-level settings of the engine. `Config::default()` is a working loopback installation.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of shards (threads); 0 = one for every two processors, at least one.
    pub shards: usize,
    /// Pin each shard to one processor.
    pub pin: bool,
    /// The processors to pin to, shard by shard; empty = the last ones of the machine, downwards.
    pub processors: Vec<usize>,
    /// Ask for `SCHED_FIFO`, else for a negative nice value. Refusal is logged and shown in [`Metrics`], never fatal.
    pub realtime: bool,
    /// The local address that sockets are bound to.
    pub bind: IpAddr,
    /// The address that [`Handle::open_leg`](crate::Handle::open_leg) returns, for the SDP.
    pub advertised: IpAddr,
    /// UDP ports for leg pairs (RTP on the even port, RTCP on the next). Keep it outside the kernel's ephemeral range
    /// (`net.ipv4.ip_local_port_range`), else another socket may hold one of them.
    pub ports: RangeInclusive<u16>,
    /// Whether browsers can be connected. The WebRTC legs of a shard share one UDP port.
    pub webrtc: bool,
    /// The first of these ports, one a shard; `None` takes them from the beginning of `ports`.
    pub webrtc_port: Option<u16>,
    /// Full ICE: checks of our own, with a host candidate of `bind` and a server-reflexive one of `advertised`, for a
    /// server behind a translator. Otherwise lite ICE on `advertised`.
    pub full_ice: bool,
    /// How many bound pairs are kept ready ahead of demand.
    pub ready_pairs: usize,
    /// How long a closed pair stays bound and unused, so that late packets of the old call reach nobody.
    pub quarantine: Duration,
    /// Where finished recordings appear; created when absent. Unfinished ones carry the suffix `.part`.
    pub recording_dir: PathBuf,
    /// Capacity of each shard's command queue; beyond it [`MediaError::Overloaded`].
    pub command_queue: usize,
    /// Capacity, in chunks of 200 ms, of the queue to the recording writer; beyond it recorded audio becomes silence,
    /// which is counted and said in [`Event::RecordingFinished`].
    pub recording_queue: usize,
    /// [`Event::Inactive`] after this long without a packet on a leg that should receive.
    pub inactivity: Duration,
    /// Interval of RTCP reports per leg.
    pub rtcp_interval: Duration,
    /// Packets that reach a shard within this time share one wake-up: it bounds the delay that this adds. A packet that
    /// comes alone is relayed at once. Zero relays every packet at once, at two to three times the processor time while
    /// a shard is not full.
    pub coalesce: Duration,
    /// Send encoded silence to a configured leg that has nothing to hear. Default: send nothing.
    pub comfort_silence: bool,
    /// How much work the Opus encoder puts into a packet: 0 (cheapest) to 10 (best).
    pub opus_complexity: u8,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            shards: 0,
            pin: true,
            processors: Vec::new(),
            realtime: true,
            bind: IpAddr::from([127, 0, 0, 1]),
            advertised: IpAddr::from([127, 0, 0, 1]),
            ports: 20000..=29999,
            webrtc: true,
            webrtc_port: None,
            full_ice: false,
            ready_pairs: 64,
            quarantine: Duration::from_secs(2),
            recording_dir: PathBuf::from("recordings"),
            command_queue: 4096,
            recording_queue: 4096,
            inactivity: Duration::from_secs(60),
            rtcp_interval: Duration::from_secs(5),
            coalesce: Duration::from_micros(200),
            comfort_silence: false,
            opus_complexity: 5,
        }
    }
}

/// Receives the engine's events. Called on shard and writer threads: it must return at once and must not block, for
/// example by pushing into a bounded channel with an overflow policy of its own.
pub trait EventSink: Send + Sync {
    /// One event of one call. Events of one leg come in order.
    fn event(&self, call: CallKey, event: Event);
}

/// Why the engine refused something.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The shard's command queue is full: refuse the call (503 with Retry-After) rather than wait.
    #[error("the media shard's command queue is full")]
    Overloaded,
    /// A WebRTC leg was asked for, and the configuration has it off.
    #[error("WebRTC is off: set webrtc = true under [media]")]
    WebRtcOff,
    /// The system has no randomness for keys.
    #[error("no random numbers for keys: {0}")]
    Random(String),
    /// Every port pair of the configured range is in use or in quarantine.
    #[error("no media port pair is free in the configured range")]
    PortsExhausted,
    /// The engine was shut down.
    #[error("the media engine has stopped")]
    Stopped,
    /// The configuration cannot work; the text names the key and what was expected.
    #[error("media configuration: {0}")]
    Config(String),
    /// An operating system call failed while starting.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

impl MediaError {
    /// A stable word for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            MediaError::Overloaded => "media_overloaded",
            MediaError::PortsExhausted => "media_ports_exhausted",
            MediaError::Stopped => "media_stopped",
            MediaError::WebRtcOff => "media_webrtc_off",
            MediaError::Random(_) => "media_random",
            MediaError::Config(_) => "media_config",
            MediaError::Io { .. } => "media_io",
        }
    }

    /// Whether the same request may succeed a little later (SIP: 503 with Retry-After instead of 500).
    pub fn retryable(&self) -> bool {
        matches!(self, MediaError::Overloaded | MediaError::PortsExhausted)
    }
}

/// What a payload is, as far as the engine needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecKind {
    /// G.711 µ-law, 8 kHz.
    Pcmu,
    /// G.711 A-law, 8 kHz.
    Pcma,
    /// G.722, 64 kbit/s. Its RTP clock is 8 kHz (RFC 3551 section 4.5.2).
    G722,
    /// G.729 with Annexes A and B.
    G729,
    /// Opus (RFC 7587), whose RTP clock is 48 kHz.
    Opus,
    /// Any other codec: relayed to a leg with the same name and clock, never decoded. It cannot hear prompts or be mixed.
    Opaque {
        /// Encoding name of the rtpmap, compared without case, with its parameters if they matter (`opus/48000/2`).
        name: Arc<str>,
        /// RTP clock in Hz.
        clock: u32,
    },
}

impl CodecKind {
    /// What an rtpmap names: encoding name in any case, clock in Hz, channels.
    pub fn named(name: &str, clock: u32, channels: u8) -> CodecKind {
        match Kind::named(name, clock, channels) {
            Some(Kind::Pcmu) => CodecKind::Pcmu,
            Some(Kind::Pcma) => CodecKind::Pcma,
            Some(Kind::G722) => CodecKind::G722,
            Some(Kind::G729) => CodecKind::G729,
            Some(Kind::Opus) => CodecKind::Opus,
            None => CodecKind::Opaque {
                name: name.to_ascii_lowercase().into(),
                clock,
            },
        }
    }

    /// The codec, if it can be decoded and encoded.
    pub fn coded(&self) -> Option<Kind> {
        match self {
            CodecKind::Pcmu => Some(Kind::Pcmu),
            CodecKind::Pcma => Some(Kind::Pcma),
            CodecKind::G722 => Some(Kind::G722),
            CodecKind::G729 => Some(Kind::G729),
            CodecKind::Opus => Some(Kind::Opus),
            CodecKind::Opaque { .. } => None,
        }
    }

    /// RTP timestamp units per second.
    pub fn clock(&self) -> u32 {
        match self {
            CodecKind::Opaque { clock, .. } => (*clock).max(1),
            known => known.coded().map_or(8000, Kind::clock),
        }
    }
}

/// The negotiated audio codec of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// The payload type that the far side asked for in its SDP: we send with it.
    pub payload_type_send: u8,
    /// The payload type that our SDP promised: the far side sends with it.
    pub payload_type_recv: u8,
    /// What the payload is.
    pub kind: CodecKind,
}

impl Codec {
    /// PCMU with its static payload type 0 (RFC 3551).
    pub fn pcmu() -> Codec {
        Codec {
            payload_type_send: 0,
            payload_type_recv: 0,
            kind: CodecKind::Pcmu,
        }
    }

    /// PCMA with its static payload type 8 (RFC 3551).
    pub fn pcma() -> Codec {
        Codec {
            payload_type_send: 8,
            payload_type_recv: 8,
            kind: CodecKind::Pcma,
        }
    }
}

/// What was negotiated for one leg. The same value again disturbs nothing; it only lets another source be latched, once the
/// present one has been silent for 100 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegConfig {
    /// The far side's RTP address from its SDP; RTCP goes to the next port. A WebRTC leg goes where ICE says.
    pub remote: SocketAddr,
    /// How the packets are protected.
    pub security: Security,
    /// The audio codec.
    pub codec: Codec,
    /// RFC 4733 payload types `(send, receive)` when telephone-event was negotiated.
    pub dtmf: Option<(u8, u8)>,
    /// The clock of its rtpmap in Hz, in which durations count; 0 means that of the codec.
    pub dtmf_clock: u32,
    /// The packet time that the far side asked for, in ms (10-60); 20 when it did not say.
    pub ptime_ms: u8,
    /// We may send: the far side's direction is `sendrecv` or `recvonly`.
    pub send: bool,
    /// We expect to receive: the far side's direction is `sendrecv` or `sendonly`. While false, packets are dropped and
    /// inactivity is not reported.
    pub recv: bool,
}

/// How digits are sent to a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigitsBy {
    /// As telephone events (RFC 4733) where they were negotiated, else as tones.
    #[default]
    Auto,
    /// As telephone events, or not at all.
    Events,
    /// By signalling: each becomes an [`Event::DigitToSignal`].
    Signalling,
    /// As tones in the sound, whatever was negotiated.
    Tones,
}

/// Clock of all video in Hz.
pub const VIDEO_CLOCK: u32 = 90_000;

/// What was negotiated for the video of a WebRTC leg. It is passed on to the legs that hear this one and that have an encoding
/// in common with it, and is never decoded. A leg gets the pictures of the first leg that it hears and that has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video {
    /// Encodings, most preferred first.
    pub codecs: Vec<VideoCodec>,
    /// Header extensions (RFC 8285): number and URI.
    pub extensions: Vec<(u8, String)>,
    /// The source of the packets that the leg is sent. Another one begins a new stream.
    pub ssrc: u32,
    /// The source of their repetitions (RFC 4588).
    pub rtx_ssrc: u32,
    /// We may send.
    pub send: bool,
    /// We expect to receive.
    pub recv: bool,
}

/// An encoding of a leg's video: payload types of packets and of their repetitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoCodec {
    /// What it is: packets go to legs that have the same text.
    pub encoding: String,
    /// With which we send: the far side's.
    pub send: (u8, Option<u8>),
    /// With which we receive: ours.
    pub receive: (u8, Option<u8>),
}

/// What a shard is asked to do with a call.
#[derive(Clone, Debug)]
pub enum Command {
    /// Set a leg's far side, codec and directions. May come again at any time (re-INVITE); a new source address may be
    /// latched only after it. A leg that was not opened is ignored with a warning.
    Configure {
        /// The leg.
        leg: u16,
        /// Its negotiated media.
        config: LegConfig,
    },
    /// Set the video of a leg, or take it away. It follows the leg's [`Command::Configure`].
    Video {
        /// The leg.
        leg: u16,
        /// Its negotiated video.
        video: Option<Video>,
    },
    /// Replace the call's layout: who hears whom and what is played.
    Layout(Layout),
    /// Send digits to a leg, one after another with a pause between them, in place of its sound: as RFC 4733 events where
    /// telephone-event was negotiated, else as tones. Digits already on their way are finished first. On a leg with
    /// neither (an opaque codec), or above 64 digits waiting, [`Event::DtmfFailed`].
    SendDtmf {
        /// The leg that receives the digits.
        leg: u16,
        /// `0-9 * # A-D`; other characters are skipped.
        digits: String,
        /// Length of each digit in ms, 40-5000.
        duration_ms: u16,
    },
    /// How digits are sent to a leg from now on; [`DigitsBy::Auto`] unless this comes.
    DigitsBy {
        /// The leg.
        leg: u16,
        /// How.
        by: DigitsBy,
    },
    /// A digit that the far side of a leg pressed came by signalling (SIP INFO): send it on to those who hear the leg. It is
    /// not reported back, and the same press heard as event or tone as well is sent once.
    Pressed {
        /// The leg whose far side pressed it.
        leg: u16,
        /// `0-9 * # A-D`.
        digit: char,
        /// How long it was pressed.
        duration_ms: u32,
    },
    /// Listen in on a party: replaces what was listened for before on this leg. What was asked for already goes on
    /// undisturbed. While anything is wanted, the leg's sound is decoded; on a leg with an opaque codec nothing is heard.
    Listen {
        /// The leg whose sound is listened to.
        leg: u16,
        /// What for; the default is nothing.
        listen: Listen,
    },
    /// Begin a recording of the call. It starts when its left leg is configured. One recording a call at a time: another
    /// one finishes the first; the same id again moves the running one to another left leg, pauses it or lets it go on. A left leg that is closed
    /// leaves silence behind, not an end.
    Record(RecordSpec),
    /// Finish the recording, if any; [`Event::RecordingFinished`] follows when the file is complete.
    StopRecord,
    /// Copy what every leg says into a tap, until its reader is dropped or the call ends; a second tap takes the place of the
    /// first. Legs with an opaque codec are not heard. What the parties receive does not change.
    Tap(Tap),
    /// Close a leg and give its ports back; [`Event::LegClosed`] follows. A call whose last leg closes is closed.
    CloseLeg {
        /// The leg.
        leg: u16,
    },
    /// Close every leg, finish the recording and forget the call.
    CloseCall,
}

/// Who hears whom, and what is played to whom, in one call. A leg that is not named hears nothing.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// One entry for each leg that hears something.
    pub legs: Vec<LegLayout>,
    /// Mixed to every leg with a non-empty `hears` relation, for example the last-minute announcement. It is recorded.
    /// Legs with an opaque codec go on being relayed and do not hear it.
    /// [`Event::AnnounceFinished`] follows at its end.
    pub announce: Option<Play>,
}

/// What one leg hears.
#[derive(Clone, Debug, Default)]
pub struct LegLayout {
    /// The leg that hears.
    pub leg: u16,
    /// The legs it hears, each with a gain. Naming itself has no effect.
    pub hears: Vec<(u16, Gain)>,
    /// A sound for this leg, mixed with what it hears.
    pub play: Option<Play>,
}

/// One sound being played. Identity is `id`: a layout that names the same id lets it go on undisturbed (also when it
/// has ended already); another id starts from its beginning.
#[derive(Clone, Debug)]
pub struct Play {
    /// Chosen by the caller, unique among the plays of the leg (or of the announcements) of the call.
    pub id: u32,
    /// What is played.
    pub sound: SoundRef,
    /// Start again at the end, without [`Event::PlayFinished`].
    pub repeat: bool,
    /// Whether a recording of the call contains it. An announcement is recorded whatever this says.
    pub recorded: bool,
    /// Silence before its first sample, in ms; not repeated.
    pub lead_in_ms: u32,
}

/// A sound: samples that were decoded once, or a generated tone.
#[derive(Clone, Debug)]
pub enum SoundRef {
    /// Shared decoded sound.
    Sound(Arc<Sound>),
    /// A tone with its cadence. A cadence that ends (a beep) finishes the play; one that cycles plays until replaced.
    Tone(Cadence),
}

/// A sound in the forms in which legs need it. Build it once and share it.
pub struct Sound {
    pcm: Box<[i16]>,
    alaw: Box<[u8]>,
    ulaw: Box<[u8]>,
}

impl Sound {
    /// From linear samples, 8 kHz mono.
    pub fn from_samples(pcm: Vec<i16>) -> Sound {
        let alaw = pcm.iter().map(|&s| g711::alaw_encode(s)).collect();
        let ulaw = pcm.iter().map(|&s| g711::ulaw_encode(s)).collect();
        Sound {
            pcm: pcm.into_boxed_slice(),
            alaw,
            ulaw,
        }
    }

    /// From a WAV file's bytes: 8 or 16 kHz, mono, PCM16, A-law or µ-law.
    ///
    /// # Errors
    /// What is wrong with the file, or which of its properties is not supported.
    pub fn from_wav(file: &[u8]) -> Result<Sound, wav::WavError> {
        Ok(Sound::from_samples(wav::read(file)?))
    }

    /// Linear samples at 8 kHz.
    pub fn pcm(&self) -> &[i16] {
        &self.pcm
    }

    /// The same, A-law encoded.
    pub fn alaw(&self) -> &[u8] {
        &self.alaw
    }

    /// The same, µ-law encoded.
    pub fn ulaw(&self) -> &[u8] {
        &self.ulaw
    }

    /// Length in milliseconds, rounded down.
    pub fn millis(&self) -> u64 {
        self.pcm.len() as u64 / 8
    }
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sound").field("millis", &self.millis()).finish()
    }
}

/// What to record. The file is `<recording_dir>/<stem>.<extension>`, 8 kHz.
#[derive(Clone, Debug, Default)]
pub struct RecordSpec {
    /// Chosen by the caller; comes back in [`Event::RecordingFinished`].
    pub id: u128,
    /// File name without folder and extension: letters, digits, `-`, `_` and `.`; anything else is refused.
    pub stem: String,
    /// The leg whose own voice is the left channel. The right channel is what it hears from people, the plays to it
    /// that have `recorded`, and the announcement.
    pub left: u16,
    /// The file's format. A running recording keeps its own.
    pub format: RecordFormat,
    /// Its channels. A running recording keeps its own.
    pub channels: RecordChannels,
    /// What a side says while it presses a digit is silence in the file.
    pub hide_digits: bool,
    /// The recording waits.
    pub pause: Option<Pause>,
}

/// The format of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordFormat {
    /// WAV, 16-bit PCM: 32 KB a second in stereo.
    #[default]
    Wav,
    /// Opus in Ogg (RFC 7845): 6 KB a second in stereo.
    OggOpus,
}

impl RecordFormat {
    /// The file name's extension.
    pub const fn extension(self) -> &'static str {
        match self {
            RecordFormat::Wav => "wav",
            RecordFormat::OggOpus => "ogg",
        }
    }
}

/// The channels of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordChannels {
    /// Two: see [`RecordSpec::left`].
    #[default]
    Stereo,
    /// One, both sides mixed.
    Mono,
}

/// How a recording waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The file leaves the time out.
    Cut,
    /// The file holds silence for the time, so that its clock stays that of the call.
    Mask,
}

/// What happened in a call.
#[derive(Clone, Debug)]
pub enum Event {
    /// A play without `repeat` ended by itself.
    PlayFinished {
        /// The leg it was played to.
        leg: u16,
        /// The play's id.
        id: u32,
    },
    /// The layout's announcement ended by itself.
    AnnounceFinished {
        /// The play's id.
        id: u32,
    },
    /// A play cannot be heard because the leg's codec is opaque to the engine.
    PlayFailed {
        /// The leg.
        leg: u16,
        /// The play's id.
        id: u32,
    },
    /// A digit was pressed by the far side of a leg: once per press, when it ends, whether it came as telephone event, as
    /// tone (while [`Command::Listen`] asks for digits) or as both.
    Dtmf {
        /// The leg.
        leg: u16,
        /// `0-9 * # A-D`.
        digit: char,
        /// How long it was pressed.
        duration_ms: u32,
    },
    /// A digit for a leg that gets them by signalling ([`DigitsBy::Signalling`]): the caller sends it.
    DigitToSignal {
        /// The leg that is to get it.
        leg: u16,
        /// `0-9 * # A-D`.
        digit: char,
        /// How long it was pressed.
        duration_ms: u16,
    },
    /// Digits could not be sent: there is neither telephone-event nor a codec for tones, or too many are waiting.
    DtmfFailed {
        /// The leg.
        leg: u16,
    },
    /// The digits of all [`Command::SendDtmf`] of a leg so far have been sent.
    DtmfSent {
        /// The leg.
        leg: u16,
    },
    /// The party of a leg that is listened to began or ended to talk.
    Voice {
        /// The leg.
        leg: u16,
        /// It talks.
        talking: bool,
    },
    /// Who has answered on a leg that is listened to: once for each [`Command::Listen`] that asks for it.
    Answered {
        /// The leg.
        leg: u16,
        /// A person or a machine, and how sure that is.
        verdict: Verdict,
    },
    /// A fax machine is heard on a leg that is listened to.
    Fax {
        /// The leg.
        leg: u16,
        /// The machine that called, or the one that was called.
        tone: FaxTone,
    },
    /// A beep is over on a leg that is listened to: an answering machine records from now on.
    Beep {
        /// The leg.
        leg: u16,
    },
    /// Nothing was received for [`Config::inactivity`] on a leg that should receive. Once per `Configure`.
    Inactive {
        /// The leg.
        leg: u16,
    },
    /// A WebRTC leg has a path and keys: media can flow.
    TransportConnected {
        /// The leg.
        leg: u16,
    },
    /// Nothing is heard from the far side of a WebRTC leg any more; it may come back.
    TransportLost {
        /// The leg.
        leg: u16,
    },
    /// The far side of a WebRTC leg is heard again.
    TransportFound {
        /// The leg.
        leg: u16,
    },
    /// A WebRTC leg cannot get keys, or its far side ended the session: it stays silent until it is configured anew.
    TransportFailed {
        /// The leg.
        leg: u16,
        /// What went wrong, in words.
        why: &'static str,
    },
    /// The first packet that was accepted on a leg.
    FirstPacket {
        /// The leg.
        leg: u16,
    },
    /// A recording is complete: its header is final, it is on the disk and has its final name; or it failed.
    RecordingFinished {
        /// [`RecordSpec::id`].
        id: u128,
        /// The finished file; on failure the `.part` file if one exists.
        path: PathBuf,
        /// Length in ms.
        millis: u64,
        /// Length of the file in bytes.
        bytes: u64,
        /// SHA-256 of the whole file.
        sha256: Option<[u8; 32]>,
        /// Milliseconds of audio that were replaced by silence because the disk could not keep up.
        silenced_ms: u64,
        /// What went wrong, if anything; a recording with an error may still be usable up to `millis`.
        error: Option<String>,
    },
    /// One side of a leg hears nothing, for this reason in two report intervals. Told again only after both ways worked.
    OneWay {
        /// The leg.
        leg: u16,
        /// The likely cause.
        cause: OneWay,
    },
    /// A leg was closed; its totals.
    LegClosed {
        /// The leg.
        leg: u16,
        /// Its totals.
        stats: LegStats,
    },
}

/// Totals of one leg, from its opening to its closing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LegStats {
    /// RTP packets accepted.
    pub packets_in: u64,
    /// Payload bytes accepted.
    pub bytes_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Payload bytes sent.
    pub bytes_out: u64,
    /// Packets that never arrived (RFC 3550 A.3); duplicates can make it negative there, here it stops at 0.
    pub lost_in: u64,
    /// Packets that the far side reported as lost, from its last RTCP report.
    pub lost_out: Option<u32>,
    /// Interarrival jitter in ms (RFC 3550 A.8), its last value.
    pub jitter_ms: f64,
    /// The highest value of `jitter_ms`.
    pub max_jitter_ms: f64,
    /// From opening the leg to the first accepted packet.
    pub first_packet: Option<Duration>,
    /// From opening the leg to the last accepted packet.
    pub last_packet: Option<Duration>,
    /// Packets dropped because they came from an address other than the latched one.
    pub discarded_source: u64,
    /// Packets dropped because they were not RTP, or had a payload type that was not negotiated.
    pub discarded_invalid: u64,
    /// Round trip from RTCP (RFC 3550 6.4.1), the last value.
    pub round_trip: Option<Duration>,
    /// The highest interarrival jitter that the far side reported, in ms.
    pub far_jitter_ms: f64,
    /// Mean opinion scores of what we heard, `(mean, worst)` over the report intervals (ITU-T G.107).
    pub mos_in: Option<(f32, f32)>,
    /// Of what the far side heard, as far as it reported.
    pub mos_out: Option<(f32, f32)>,
    /// The address that packets were accepted from.
    pub source: Option<SocketAddr>,
    /// Of its pictures, if there were any.
    pub video: Option<VideoStats>,
}

/// Totals of a leg's video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoStats {
    /// RTP packets received, repetitions left out.
    pub packets_in: u64,
    /// RTP packets sent, repetitions left out.
    pub packets_out: u64,
    /// Packets that never arrived.
    pub lost_in: u64,
    /// Key frames that the far side was asked for.
    pub key_frames_asked: u32,
    /// Key frames that the far side asked for.
    pub key_frames_wanted: u32,
}
