//! Audio files as the engine's samples: WAV, MP3, Ogg with Vorbis or Opus, decoded once when they are taken in.
//!
//! The files come from customers. Memory is bounded by [`Limits::millis`] and by the file itself, and time by the bytes
//! that a file may have and by [`Limits::time`]; nothing is decoded on a thread that calls wait for.

mod rate;

use rate::Converter;
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};
use strowger_media_core::codec;
use strowger_media_core::g711::Law;
use symphonia::core::audio::{AudioBufferRef, SampleBuffer};
use symphonia::core::codecs::{CODEC_TYPE_NULL, CODEC_TYPE_OPUS, CodecParameters, DecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::probe::Hint;

/// What is taken in.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest sound in milliseconds; it takes 16 bytes of memory each.
    pub millis: u64,
    /// Longest time that decoding may take.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            millis: 30 * 60_000,
            time: Duration::from_secs(60),
        }
    }
}

/// A file's sound in the engine's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// 8 kHz, mono.
    pub samples: Vec<i16>,
    /// What the file was.
    pub container: Container,
    /// Its sample rate in Hz.
    pub rate: u32,
    /// Its channels, 1 or 2; two are mixed.
    pub channels: u16,
}

impl Imported {
    /// As a WAV file: PCM 16 bit, 8 kHz, mono.
    pub fn to_wav(&self) -> Vec<u8> {
        to_wav(&self.samples)
    }

    /// Length in milliseconds, rounded down.
    pub fn millis(&self) -> u64 {
        self.samples.len() as u64 / 8
    }
}

/// Samples at 8 kHz as a WAV file: PCM 16 bit, mono.
pub fn to_wav(samples: &[i16]) -> Vec<u8> {
    let mut file = strowger_media_core::wav::header(1, 8000, samples.len() as u64 * 2).to_vec();
    file.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    file
}

/// Kinds of files that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// RIFF WAVE: PCM, A-law or µ-law.
    Wav,
    /// MPEG audio layer III.
    Mp3,
    /// Ogg with Vorbis or Opus.
    Ogg,
}

impl Container {
    /// Name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Container::Wav => "WAV",
            Container::Mp3 => "MP3",
            Container::Ogg => "Ogg",
        }
    }
}

/// Why a file cannot be played. Each text completes "the file cannot be played: ".
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The first bytes are those of no format that is read.
    #[error("{0}; send WAV, MP3 or Ogg (Vorbis or Opus)")]
    Format(&'static str),
    /// The container is read, what is inside is not.
    #[error("the {} file holds {what}, which is not read; send PCM, A-law, µ-law, MP3, Vorbis or Opus", .container.name())]
    Coding {
        /// What the file is.
        container: Container,
        /// What is inside.
        what: String,
    },
    /// A sample rate outside 8 to 48 kHz.
    #[error("its sample rate is {0} Hz; 8000 to 48000 are read")]
    Rate(u32),
    /// More than two channels, or none.
    #[error("it has {0} channels; mono and stereo are read")]
    Channels(usize),
    /// There is nothing to hear.
    #[error("it holds no sound")]
    Empty,
    /// Longer than allowed.
    #[error("it lasts longer than {} seconds; shorten it", .0 / 1000)]
    TooLong(u64),
    /// The data is not what its header says.
    #[error("it is damaged after {at_ms} ms: {why}")]
    Damaged {
        /// How much could be read.
        at_ms: u64,
        /// What the decoder says.
        why: String,
    },
    /// The file could not be read at all.
    #[error("it could not be read: {0}")]
    Io(#[from] std::io::Error),
    /// Decoding took longer than allowed.
    #[error("decoding it took longer than {} seconds", .0.as_secs())]
    TooSlow(Duration),
}

/// Undecodable packets that are passed over. Cut MP3 files begin with some, since their frames lean on earlier ones.
const TOLERATED: u32 = 8;

/// Reads a file and converts it to the engine's form. Blocks, and may use a processor for seconds: not for a thread that
/// others wait for.
///
/// # Errors
/// [`ImportError`], in words that its sender can act on.
pub fn import<S>(mut source: S, limits: Limits) -> Result<Imported, ImportError>
where
    S: Read + Seek + Send + Sync + 'static,
{
    let begun = Instant::now();
    let container = recognise(&mut source)?;
    let length = source.seek(SeekFrom::End(0))?;
    let mut patches = Vec::new();
    if container == Container::Wav {
        let wav = Wav::scan(&mut source, length)?;
        if let Some(law) = wav.law {
            return wav.g711(law, source, limits);
        }
        patches = wav.patches;
    }
    source.seek(SeekFrom::Start(0))?;
    let source = Source {
        inner: source,
        length,
        at: 0,
        patches,
    };
    let mut reader = open(source, container)?;
    let track = reader
        .tracks()
        .iter()
        .find(|t| t.codec_params.codec != CODEC_TYPE_NULL)
        .ok_or_else(|| ImportError::Coding {
            container,
            what: "no audio track".into(),
        })?;
    let (id, params) = (track.id, track.codec_params.clone());
    let mut decoder = Decoder::new(container, &params)?;
    let mut sink = Sink::new(limits);
    let mut bad = 0;
    loop {
        if begun.elapsed() > limits.time {
            return Err(ImportError::TooSlow(limits.time));
        }
        let packet = match reader.next_packet() {
            Ok(packet) => packet,
            Err(Error::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(Error::IoError(e)) => return Err(e.into()),
            // A chained Ogg stream: what follows is another sound.
            Err(Error::ResetRequired) => break,
            Err(e) => return Err(sink.damaged(&e)),
        };
        if packet.track_id() != id {
            continue;
        }
        match decoder.decode(&packet, &mut sink) {
            Ok(()) => {}
            Err(Failure::Packet(_)) if bad < TOLERATED => bad += 1,
            Err(Failure::Packet(why)) => return Err(sink.damaged(&why)),
            Err(Failure::Refused(error)) => return Err(error),
        }
    }
    let (rate, channels) = decoder.form(&sink);
    let samples = sink.finish();
    if samples.is_empty() {
        return Err(ImportError::Empty);
    }
    Ok(Imported {
        samples,
        container,
        rate,
        channels,
    })
}

/// What the first bytes say. The prober of the decoding library would search a megabyte for anything that looks like MP3.
fn recognise(source: &mut impl Read) -> Result<Container, ImportError> {
    let mut head = [0; 12];
    let mut filled = 0;
    while filled < head.len() {
        match source.read(&mut head[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    match &head[..filled] {
        [] => Err(ImportError::Empty),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => Ok(Container::Wav),
        [b'O', b'g', b'g', b'S', ..] => Ok(Container::Ogg),
        // An ID3 tag, or the frame sync of layer III.
        [b'I', b'D', b'3', ..] => Ok(Container::Mp3),
        [0xff, second, ..] if second & 0xe6 == 0xe2 => Ok(Container::Mp3),
        [b'f', b'L', b'a', b'C', ..] => Err(ImportError::Format("it is a FLAC file")),
        [b'R', b'F', b'6', b'4', ..] => Err(ImportError::Format("it is an RF64 file")),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Err(ImportError::Format("it is an MP4 or M4A file")),
        [b'#', b'!', b'A', b'M', b'R', ..] => Err(ImportError::Format("it is an AMR file")),
        [0x30, 0x26, 0xb2, 0x75, ..] => Err(ImportError::Format("it is a Windows Media file")),
        [0xff, second, ..] if second & 0xf0 == 0xf0 => {
            Err(ImportError::Format("it is an AAC or MPEG layer I or II file"))
        }
        _ => Err(ImportError::Format("it is no audio file of a known format")),
    }
}

/// Chunks of a WAV file that are looked at.
const CHUNKS: usize = 1000;

/// Where things are in a WAV file.
#[derive(Default)]
struct Wav {
    /// The lengths of the file and of its audio as the file's own length makes them, by their places: streaming writers
    /// leave 0 or all ones behind, and cut files promise more than they hold.
    patches: Vec<(u64, [u8; 4])>,
    /// G.711, which the decoding library reads from some writers' files only.
    law: Option<Law>,
    channels: u16,
    rate: u32,
    /// Offset and length of the audio.
    data: (u64, u64),
}

impl Wav {
    fn scan(source: &mut (impl Read + Seek), length: u64) -> Result<Wav, ImportError> {
        let bytes = |length: u64| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let mut wav = Wav {
            patches: vec![(4, bytes(length.saturating_sub(8)))],
            ..Wav::default()
        };
        let mut at = 12;
        for _ in 0..CHUNKS {
            let mut head = [0; 8];
            source.seek(SeekFrom::Start(at))?;
            match source.read_exact(&mut head) {
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
                done => done?,
            }
            let claimed = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
            let left = length.saturating_sub(at + 8);
            match &head[..4] {
                b"fmt " if claimed >= 16 && left >= 16 => wav.form(source)?,
                b"data" => {
                    if claimed > left {
                        wav.patches.push((at + 4, bytes(left)));
                    }
                    wav.data = (at + 8, claimed.min(left));
                }
                _ => {}
            }
            // Chunks are padded to an even length.
            at += 8 + claimed + claimed % 2;
        }
        Ok(wav)
    }

    fn form(&mut self, source: &mut impl Read) -> Result<(), ImportError> {
        let mut f = [0; 16];
        source.read_exact(&mut f)?;
        self.law = match (u16::from_le_bytes([f[0], f[1]]), u16::from_le_bytes([f[14], f[15]])) {
            (6, 8) => Some(Law::A),
            (7, 8) => Some(Law::Mu),
            _ => None,
        };
        self.channels = u16::from_le_bytes([f[2], f[3]]);
        self.rate = u32::from_le_bytes([f[4], f[5], f[6], f[7]]);
        Ok(())
    }

    fn g711(&self, law: Law, mut source: impl Read + Seek, limits: Limits) -> Result<Imported, ImportError> {
        let channels = usize::from(self.channels);
        if !(1..=2).contains(&channels) {
            return Err(ImportError::Channels(channels));
        }
        source.seek(SeekFrom::Start(self.data.0))?;
        let mut source = source.take(self.data.1);
        let mut sink = Sink::new(limits);
        let mut octets = Vec::new();
        loop {
            octets.clear();
            if source.by_ref().take(8192).read_to_end(&mut octets)? == 0 {
                break;
            }
            let frames = octets.chunks_exact(channels);
            let sum = |f: &[u8]| f.iter().map(|&o| f32::from(law.decode(o))).sum::<f32>();
            sink.mono(self.rate, frames.map(|f| sum(f) / channels as f32 / 32768.0))?;
        }
        let samples = sink.finish();
        if samples.is_empty() {
            return Err(ImportError::Empty);
        }
        Ok(Imported {
            samples,
            container: Container::Wav,
            rate: self.rate,
            channels: self.channels,
        })
    }
}

/// A file that knows its length.
struct Source<S> {
    inner: S,
    length: u64,
    at: u64,
    /// What is read at some offsets in place of what is there.
    patches: Vec<(u64, [u8; 4])>,
}

impl<S: Read> Read for Source<S> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buf)?;
        for (offset, octets) in &self.patches {
            for (offset, octet) in (*offset..).zip(octets) {
                let place = offset.checked_sub(self.at).and_then(|i| usize::try_from(i).ok());
                if let Some(place) = place.and_then(|i| buf[..count].get_mut(i)) {
                    *place = *octet;
                }
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl<S: Seek> Seek for Source<S> {
    fn seek(&mut self, pos: SeekFrom) -> std::io::Result<u64> {
        self.at = self.inner.seek(pos)?;
        Ok(self.at)
    }
}

impl<S: Read + Seek + Send + Sync> MediaSource for Source<S> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}

fn open<S>(source: Source<S>, container: Container) -> Result<Box<dyn FormatReader>, ImportError>
where
    S: Read + Seek + Send + Sync + 'static,
{
    let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    let mut hint = Hint::new();
    hint.with_extension(match container {
        Container::Wav => "wav",
        Container::Mp3 => "mp3",
        Container::Ogg => "ogg",
    });
    // Pictures and texts in tags are of no use here.
    let small = symphonia::core::meta::Limit::Maximum(64 * 1024);
    let metadata = MetadataOptions {
        limit_metadata_bytes: small,
        limit_visual_bytes: small,
    };
    let probed = symphonia::default::get_probe().format(&hint, stream, &FormatOptions::default(), &metadata);
    match probed {
        Ok(probed) => Ok(probed.format),
        Err(Error::IoError(e)) if e.kind() != std::io::ErrorKind::UnexpectedEof => Err(e.into()),
        Err(Error::Unsupported(what)) => Err(ImportError::Coding {
            container,
            what: what.into(),
        }),
        Err(e) => Err(ImportError::Damaged {
            at_ms: 0,
            why: e.to_string(),
        }),
    }
}

/// Why a packet brought nothing.
enum Failure {
    /// The packet alone is bad.
    Packet(Error),
    /// The whole file is refused.
    Refused(ImportError),
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Failure {
        Failure::Refused(error)
    }
}

/// libopus for Opus, which the decoding library does not have; all else is its own.
enum Decoder {
    Opus {
        inner: Box<dyn codec::Decoder>,
        /// Samples at 8 kHz that are not heard (RFC 7845 section 4.2).
        skip: usize,
        channels: u16,
        samples: Vec<i16>,
    },
    Other(Box<dyn symphonia::core::codecs::Decoder>),
}

impl Decoder {
    fn new(container: Container, params: &CodecParameters) -> Result<Decoder, ImportError> {
        let coding = |what: String| ImportError::Coding { container, what };
        if params.codec == CODEC_TYPE_OPUS {
            // RFC 7845 section 5.1: channels at 9, pre-skip at 10, mapping family at 18.
            let head = params.extra_data.as_deref().unwrap_or_default();
            let (Some(&channels), Some(skip), Some(&family)) = (head.get(9), head.get(10..12), head.get(18)) else {
                return Err(coding("Opus without its header".into()));
            };
            if !(1..=2).contains(&channels) {
                return Err(ImportError::Channels(channels.into()));
            }
            if family > 1 {
                return Err(coding(format!("Opus of channel mapping family {family}")));
            }
            return Ok(Decoder::Opus {
                inner: codec::Kind::Opus.decoder().map_err(|e| coding(e.to_string()))?,
                skip: usize::from(u16::from_le_bytes([skip[0], skip[1]])) / 6,
                channels: channels.into(),
                samples: Vec::with_capacity(codec::MAX_PACKET_SAMPLES),
            });
        }
        let inner = symphonia::default::get_codecs()
            .make(params, &DecoderOptions::default())
            .map_err(|e| coding(format!("a coding of its own ({e})")))?;
        Ok(Decoder::Other(inner))
    }

    fn decode(&mut self, packet: &symphonia::core::formats::Packet, sink: &mut Sink) -> Result<(), Failure> {
        match self {
            Decoder::Opus {
                inner, skip, samples, ..
            } => {
                samples.clear();
                inner.decode(packet.buf(), samples);
                if samples.is_empty() {
                    return Err(Failure::Packet(Error::DecodeError("an Opus packet is bad")));
                }
                let heard = (*skip).min(samples.len());
                *skip -= heard;
                sink.mono(8000, samples[heard..].iter().map(|&s| f32::from(s) / 32768.0))?;
            }
            Decoder::Other(inner) => {
                let audio = inner.decode(packet).map_err(Failure::Packet)?;
                sink.audio(&audio)?;
            }
        }
        Ok(())
    }

    /// Sample rate and channels of the file.
    fn form(&self, sink: &Sink) -> (u32, u16) {
        match self {
            Decoder::Opus { channels, .. } => (48_000, *channels),
            Decoder::Other(_) => (sink.rate, sink.channels),
        }
    }
}

/// Takes decoded audio of any rate, and keeps it in the engine's form.
struct Sink {
    limits: Limits,
    rate: u32,
    channels: u16,
    converter: Option<Converter>,
    interleaved: Vec<f32>,
    out: Vec<i16>,
}

impl Sink {
    fn new(limits: Limits) -> Sink {
        Sink {
            limits,
            rate: 0,
            channels: 0,
            converter: None,
            interleaved: Vec::new(),
            out: Vec::new(),
        }
    }

    fn damaged(&self, why: &Error) -> ImportError {
        ImportError::Damaged {
            at_ms: self.out.len() as u64 / 8,
            why: why.to_string(),
        }
    }

    fn audio(&mut self, audio: &AudioBufferRef<'_>) -> Result<(), ImportError> {
        let spec = *audio.spec();
        let channels = spec.channels.count();
        if !(1..=2).contains(&channels) {
            return Err(ImportError::Channels(channels));
        }
        if audio.frames() == 0 {
            return Ok(());
        }
        self.channels = channels as u16;
        let mut buffer = SampleBuffer::<f32>::new(audio.capacity() as u64, spec);
        buffer.copy_interleaved_ref(audio.clone());
        let mut interleaved = std::mem::take(&mut self.interleaved);
        interleaved.clear();
        interleaved.extend_from_slice(buffer.samples());
        let mono = interleaved
            .chunks_exact(channels)
            .map(|f| f.iter().sum::<f32>() / channels as f32);
        let done = self.mono(spec.rate, mono);
        self.interleaved = interleaved;
        done
    }

    fn mono(&mut self, rate: u32, samples: impl Iterator<Item = f32>) -> Result<(), ImportError> {
        if !(8000..=48_000).contains(&rate) {
            return Err(ImportError::Rate(rate));
        }
        if self.rate != rate {
            if let Some(converter) = self.converter.take() {
                converter.finish(&mut self.out);
            }
            self.rate = rate;
            self.converter = Some(Converter::new(rate));
        }
        if let Some(converter) = &mut self.converter {
            converter.convert(samples, &mut self.out);
        }
        if self.out.len() as u64 / 8 > self.limits.millis {
            return Err(ImportError::TooLong(self.limits.millis));
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<i16> {
        if let Some(converter) = self.converter.take() {
            converter.finish(&mut self.out);
        }
        self.out
    }
}
