//! Ogg Opus files (RFC 7845): a fifth of a WAV file's size, and complete up to their last page whenever the writer dies.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use ::ogg::writing::{PacketWriteEndInfo, PacketWriter};
use ::opus::{Application, Bitrate, Channels, Encoder};
use strowger_media_core::{FRAME, RATE};

use super::writer::say;

/// Granule positions count 48 kHz, whatever the encoder's rate (RFC 7845 section 4).
const GRANULES_A_FRAME: u64 = 960;
/// A page a second: as much is lost when the process dies.
const FRAMES_A_PAGE: u64 = 50;
/// One logical stream a file.
const SERIAL: u32 = 1;
/// Enough that the two sides do not leak into each other.
const BITS_PER_SECOND_A_CHANNEL: i32 = 24_000;
/// No packet of 20 ms is longer (RFC 6716 section 3.2.1: 1,275 octets a frame and channel pair).
const MAX_PACKET: usize = 1500;

/// A file being written.
pub(super) struct OpusFile {
    writer: PacketWriter<'static, BufWriter<File>>,
    encoder: Encoder,
    channels: usize,
    /// Samples at 48 kHz that a decoder drops at the beginning.
    skip: u64,
    frames: u64,
    /// Held back, because the last packet is marked as such.
    last: Option<Vec<u8>>,
}

fn failed(error: ::opus::Error) -> String {
    format!("cannot encode: {}", error.description())
}

impl OpusFile {
    /// Writes the two headers.
    pub(super) fn begin(file: File, channels: usize) -> Result<OpusFile, String> {
        let kind = if channels == 1 {
            Channels::Mono
        } else {
            Channels::Stereo
        };
        let mut encoder = Encoder::new(RATE, kind, Application::Audio).map_err(failed)?;
        let bits = BITS_PER_SECOND_A_CHANNEL * channels as i32;
        encoder.set_bitrate(Bitrate::Bits(bits)).map_err(failed)?;
        encoder.set_complexity(5).map_err(failed)?;
        let skip = u64::try_from(encoder.get_lookahead().map_err(failed)?).unwrap_or(0) * u64::from(48_000 / RATE);
        let mut writer = PacketWriter::new(BufWriter::new(file));
        let mut put = |packet: Vec<u8>| {
            writer
                .write_packet(packet, SERIAL, PacketWriteEndInfo::EndPage, 0)
                .map_err(say("write the header"))
        };
        let mut head = b"OpusHead\x01".to_vec();
        head.push(channels as u8);
        head.extend((skip as u16).to_le_bytes());
        head.extend(RATE.to_le_bytes());
        head.extend([0, 0, 0]); // no gain, mapping family 0
        put(head)?;
        let mut tags = b"OpusTags".to_vec();
        tags.extend(8u32.to_le_bytes());
        tags.extend(b"Strowger");
        tags.extend(0u32.to_le_bytes());
        put(tags)?;
        Ok(OpusFile {
            writer,
            encoder,
            channels,
            skip,
            frames: 0,
            last: None,
        })
    }

    /// Adds whole frames of 20 ms.
    pub(super) fn append(&mut self, samples: &[i16]) -> Result<(), String> {
        for frame in samples.chunks_exact(FRAME * self.channels) {
            self.encode(frame)?;
        }
        Ok(())
    }

    fn encode(&mut self, frame: &[i16]) -> Result<(), String> {
        let mut packet = vec![0; MAX_PACKET];
        let length = self.encoder.encode(frame, &mut packet).map_err(failed)?;
        packet.truncate(length);
        let page_ends = self.frames.is_multiple_of(FRAMES_A_PAGE);
        let info = if page_ends {
            PacketWriteEndInfo::EndPage
        } else {
            PacketWriteEndInfo::NormalPacket
        };
        if let Some(last) = self.last.replace(packet) {
            let position = self.frames * GRANULES_A_FRAME;
            self.writer
                .write_packet(last, SERIAL, info, position)
                .map_err(say("write"))?;
            if page_ends {
                self.writer.inner_mut().flush().map_err(say("write"))?;
            }
        }
        self.frames += 1;
        Ok(())
    }

    /// Ends the stream: the encoder's delay is flushed, and the last position cuts what is beyond the audio.
    pub(super) fn end(mut self) -> Result<(File, u64), String> {
        let audio = self.frames * GRANULES_A_FRAME;
        let silence = vec![0; FRAME * self.channels];
        self.encode(&silence)?;
        let last = self.last.take().unwrap_or_default();
        self.writer
            .write_packet(last, SERIAL, PacketWriteEndInfo::EndStream, audio + self.skip)
            .map_err(say("write"))?;
        let file = self
            .writer
            .into_inner()
            .into_inner()
            .map_err(|e| format!("cannot write: {}", e.error()))?;
        let bytes = file.metadata().map_err(say("measure the file"))?.len();
        Ok((file, bytes))
    }
}

/// Cuts a file after its last whole page; the length of its audio in ms, and of the file in bytes.
pub(super) fn cut(file: &mut File) -> Result<(u64, u64), String> {
    const HEADER: usize = 27;
    file.seek(SeekFrom::Start(0)).map_err(say("seek"))?;
    let mut reader = BufReader::new(&mut *file);
    let (mut end, mut position, mut skip) = (0u64, 0u64, 0u64);
    let mut header = [0u8; HEADER];
    let mut lengths = [0u8; 255];
    loop {
        if reader.read_exact(&mut header).is_err() || &header[..4] != b"OggS" {
            break;
        }
        let lengths = &mut lengths[..usize::from(header[26])];
        if reader.read_exact(lengths).is_err() {
            break;
        }
        let body: u64 = lengths.iter().map(|&l| u64::from(l)).sum();
        let mut page = Vec::new();
        let read = reader.by_ref().take(body).read_to_end(&mut page).map_err(say("read"))?;
        if (read as u64) < body {
            break;
        }
        if let (0, Some(&[low, high])) = (end, page.get(10..12)) {
            skip = u64::from(u16::from_le_bytes([low, high]));
        }
        end += (HEADER + lengths.len()) as u64 + body;
        let granule = u64::from_le_bytes(header[6..14].try_into().unwrap_or_default());
        if granule != u64::MAX {
            position = granule;
        }
    }
    drop(reader);
    file.set_len(end).map_err(say("cut the file"))?;
    Ok((position.saturating_sub(skip) / 48, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::ogg::PacketReader;
    use std::f64::consts::TAU;
    use strowger_media_core::probe;

    /// Left and right of a file, decoded at 8 kHz with the beginning dropped, as a player does.
    fn decode(file: &[u8]) -> (Vec<i16>, Vec<i16>) {
        let mut packets = PacketReader::new(std::io::Cursor::new(file));
        let head = packets.read_packet_expected().unwrap().data;
        assert_eq!((&head[..9], head[9]), (&b"OpusHead\x01"[..], 2));
        let skip = usize::from(u16::from_le_bytes([head[10], head[11]])) / 6;
        assert!(packets.read_packet_expected().unwrap().data.starts_with(b"OpusTags"));
        let mut decoder = ::opus::Decoder::new(RATE, Channels::Stereo).unwrap();
        let (mut left, mut right, mut end) = (Vec::new(), Vec::new(), 0);
        while let Some(packet) = packets.read_packet().unwrap() {
            let mut out = [0i16; FRAME * 2];
            let n = decoder.decode(&packet.data, &mut out, false).unwrap();
            assert_eq!(n, FRAME);
            left.extend(out.iter().step_by(2));
            right.extend(out.iter().skip(1).step_by(2));
            end = packet.absgp_page() as usize / 6;
        }
        let cut = |side: Vec<i16>| side[skip..end.min(side.len())].to_vec();
        (cut(left), cut(right))
    }

    fn written(seconds: usize) -> (tempfile::NamedTempFile, u64) {
        let named = tempfile::NamedTempFile::new().unwrap();
        let mut file = OpusFile::begin(named.reopen().unwrap(), 2).unwrap();
        let tone = |hertz: f64, n: usize| (8000.0 * (TAU * hertz * n as f64 / 8000.0).sin()) as i16;
        for second in 0..seconds {
            let samples: Vec<i16> = (0..8000)
                .map(|n| second * 8000 + n)
                .flat_map(|n| [tone(400.0, n), tone(1000.0, n)])
                .collect();
            file.append(&samples).unwrap();
        }
        let (_, bytes) = file.end().unwrap();
        (named, bytes)
    }

    #[test]
    fn both_sides_are_heard_apart_and_the_length_is_exact() {
        let (named, bytes) = written(3);
        let file = std::fs::read(named.path()).unwrap();
        assert_eq!(file.len() as u64, bytes);
        assert!(bytes < 3 * 8_000, "{bytes} octets for three seconds");
        let (left, right) = decode(&file);
        assert_eq!((left.len(), right.len()), (24_000, 24_000));
        let level = |side: &[i16], hertz| probe::level(&side[4000..20_000], hertz);
        for (side, own, other) in [(&left, 400.0, 1000.0), (&right, 1000.0, 400.0)] {
            assert!((level(side, own) + 12.2).abs() < 1.5, "{}", level(side, own));
            assert!(level(side, own) - level(side, other) > 30.0, "{}", level(side, other));
        }
    }

    #[test]
    fn a_file_that_was_cut_anywhere_is_good_up_to_its_last_page() {
        let (named, bytes) = written(3);
        let whole = std::fs::read(named.path()).unwrap();
        for length in [whole.len(), whole.len() - 1, whole.len() * 2 / 3, 200, 60, 3, 0] {
            let mut file = named.reopen().unwrap();
            std::fs::write(named.path(), &whole[..length]).unwrap();
            let (millis, left) = cut(&mut file).unwrap();
            assert!(left <= length as u64 && millis <= 3000, "{length}: {millis} ms");
            assert!(millis + 1020 >= 3000 * length as u64 / bytes, "{length}: {millis} ms");
            if millis > 0 {
                let decoded = decode(&std::fs::read(named.path()).unwrap()).0.len() as u64;
                assert_eq!(decoded / 8, millis, "{length}");
            }
        }
    }
}
