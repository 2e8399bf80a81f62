//! WAV files: reading prompts, and the header of recordings.

use crate::g711;
use crate::resample::Halver;

/// Why a WAV file is not usable as a sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// Not RIFF/WAVE, or cut short before the audio.
    #[error("not a WAV file: {0}")]
    Malformed(&'static str),
    /// Only PCM 16 bit (1), A-law (6) and µ-law (7) are read.
    #[error("WAV format {format} with {bits} bits is not supported: use PCM 16 bit, A-law or µ-law")]
    Format {
        /// The format tag.
        format: u16,
        /// Bits per sample.
        bits: u16,
    },
    /// Only 8 and 16 kHz are read.
    #[error("a sample rate of {0} Hz is not supported: use 8000 or 16000")]
    Rate(u32),
    /// Only mono is read.
    #[error("{0} channels are not supported: use mono")]
    Channels(u16),
}

const FORMAT_EXTENSIBLE: u16 = 0xFFFE;

/// Decode a WAV file to 8 kHz mono samples; 16 kHz is filtered and halved. A `data` chunk that claims more than the file
/// holds (a recording cut short, or a stream with unknown length) is read to the end of the file.
///
/// # Errors
/// [`WavError`].
pub fn read(file: &[u8]) -> Result<Vec<i16>, WavError> {
    if file.len() < 12 || &file[..4] != b"RIFF" || &file[8..12] != b"WAVE" {
        return Err(WavError::Malformed("no RIFF/WAVE header"));
    }
    let mut rest = &file[12..];
    let mut format = None;
    while rest.len() >= 8 {
        let (head, body) = rest.split_at(8);
        let claimed = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let length = claimed.min(body.len());
        match &head[..4] {
            b"fmt " => format = Some(Format::parse(&body[..length])?),
            b"data" => {
                let format = format.ok_or(WavError::Malformed("data comes before fmt"))?;
                return Ok(format.decode(&body[..length]));
            }
            _ => {}
        }
        // Chunks are padded to an even length.
        rest = &body[(claimed.saturating_add(claimed & 1)).min(body.len())..];
    }
    Err(WavError::Malformed("no data chunk"))
}

#[derive(Clone, Copy)]
struct Format {
    tag: u16,
    rate: u32,
}

impl Format {
    fn parse(body: &[u8]) -> Result<Format, WavError> {
        if body.len() < 16 {
            return Err(WavError::Malformed("short fmt chunk"));
        }
        let u16_at = |i: usize| u16::from_le_bytes([body[i], body[i + 1]]);
        let mut tag = u16_at(0);
        if tag == FORMAT_EXTENSIBLE && body.len() >= 26 {
            tag = u16_at(24); // the first two octets of the sub-format GUID
        }
        let (channels, bits) = (u16_at(2), u16_at(14));
        let rate = u32::from_le_bytes([body[4], body[5], body[6], body[7]]);
        if channels != 1 {
            return Err(WavError::Channels(channels));
        }
        if !matches!((tag, bits), (1, 16) | (6 | 7, 8)) {
            return Err(WavError::Format { format: tag, bits });
        }
        if rate != 8000 && rate != 16000 {
            return Err(WavError::Rate(rate));
        }
        Ok(Format { tag, rate })
    }

    fn decode(self, data: &[u8]) -> Vec<i16> {
        let samples: Vec<i16> = match self.tag {
            6 => data.iter().map(|&o| g711::alaw_decode(o)).collect(),
            7 => data.iter().map(|&o| g711::ulaw_decode(o)).collect(),
            _ => data.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect(),
        };
        if self.rate == 16000 {
            Halver::convert(&samples)
        } else {
            samples
        }
    }
}

/// Length of [`header`].
pub const HEADER_LEN: usize = 44;

/// The header of a 16-bit PCM WAV file with `data_bytes` of audio. Written with 0 when a recording starts and again with
/// the final length at its end; lengths beyond the format's 4 GiB are limited to it.
pub fn header(channels: u16, rate: u32, data_bytes: u64) -> [u8; HEADER_LEN] {
    let data = u32::try_from(data_bytes).unwrap_or(u32::MAX).min(u32::MAX - 36);
    let block = channels * 2;
    let mut h = [0u8; HEADER_LEN];
    h[..4].copy_from_slice(b"RIFF");
    h[4..8].copy_from_slice(&(data + 36).to_le_bytes());
    h[8..16].copy_from_slice(b"WAVEfmt ");
    h[16..20].copy_from_slice(&16u32.to_le_bytes());
    h[20..22].copy_from_slice(&1u16.to_le_bytes());
    h[22..24].copy_from_slice(&channels.to_le_bytes());
    h[24..28].copy_from_slice(&rate.to_le_bytes());
    h[28..32].copy_from_slice(&(rate * u32::from(block)).to_le_bytes());
    h[32..34].copy_from_slice(&block.to_le_bytes());
    h[34..36].copy_from_slice(&16u16.to_le_bytes());
    h[36..40].copy_from_slice(b"data");
    h[40..44].copy_from_slice(&data.to_le_bytes());
    h
}

/// Split the audio of a stereo 16-bit file into its two channels; for tests and tools.
///
/// # Errors
/// [`WavError`] when it is not one.
pub fn read_stereo(file: &[u8]) -> Result<(Vec<i16>, Vec<i16>), WavError> {
    if file.len() < HEADER_LEN || &file[..4] != b"RIFF" || &file[36..40] != b"data" {
        return Err(WavError::Malformed("not a plain PCM WAV file"));
    }
    let channels = u16::from_le_bytes([file[22], file[23]]);
    if channels != 2 {
        return Err(WavError::Channels(channels));
    }
    let length = u32::from_le_bytes([file[40], file[41], file[42], file[43]]) as usize;
    let data = &file[HEADER_LEN..];
    let frames = data[..length.min(data.len())].chunks_exact(4);
    Ok(frames
        .map(|f| (i16::from_le_bytes([f[0], f[1]]), i16::from_le_bytes([f[2], f[3]])))
        .unzip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe;

    fn file(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut f = header(channels, rate, data.len() as u64).to_vec();
        f[20..22].copy_from_slice(&tag.to_le_bytes());
        f[34..36].copy_from_slice(&bits.to_le_bytes());
        f.extend_from_slice(data);
        f
    }

    fn sine(hz: f64, rate: f64, n: usize) -> Vec<i16> {
        (0..n)
            .map(|i| (10000.0 * (std::f64::consts::TAU * hz * i as f64 / rate).sin()) as i16)
            .collect()
    }

    #[test]
    fn reads_the_three_encodings() {
        let samples = sine(440.0, 8000.0, 800);
        let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        assert_eq!(read(&file(1, 1, 8000, 16, &bytes)).unwrap(), samples);
        let alaw: Vec<u8> = samples.iter().map(|&s| g711::alaw_encode(s)).collect();
        assert!(probe::level(&read(&file(6, 1, 8000, 8, &alaw)).unwrap(), 440.0) > -11.0);
        let ulaw: Vec<u8> = samples.iter().map(|&s| g711::ulaw_encode(s)).collect();
        assert!(probe::level(&read(&file(7, 1, 8000, 8, &ulaw)).unwrap(), 440.0) > -11.0);
    }

    #[test]
    fn sixteen_kilohertz_is_filtered_and_halved() {
        let bytes = |hz| {
            sine(hz, 16000.0, 16000)
                .iter()
                .flat_map(|s| s.to_le_bytes())
                .collect::<Vec<_>>()
        };
        let low = read(&file(1, 1, 16000, 16, &bytes(1000.0))).unwrap();
        assert_eq!(low.len(), 8000);
        assert!(
            (probe::level(&low, 1000.0) + 10.3).abs() < 0.5,
            "{}",
            probe::level(&low, 1000.0)
        );
        // 6 kHz would fold back to 2 kHz without the filter.
        let high = read(&file(1, 1, 16000, 16, &bytes(6000.0))).unwrap();
        assert!(probe::level(&high, 2000.0) < -60.0, "{}", probe::level(&high, 2000.0));
    }

    #[test]
    fn says_what_is_not_supported() {
        assert_eq!(read(&file(1, 2, 8000, 16, &[0; 8])), Err(WavError::Channels(2)));
        assert_eq!(read(&file(1, 1, 44100, 16, &[0; 8])), Err(WavError::Rate(44100)));
        assert_eq!(
            read(&file(3, 1, 8000, 32, &[0; 8])),
            Err(WavError::Format { format: 3, bits: 32 })
        );
        assert_eq!(read(b"RIFF"), Err(WavError::Malformed("no RIFF/WAVE header")));
    }

    #[test]
    fn any_prefix_and_any_flipped_octet_is_an_answer_and_no_panic() {
        let good = file(1, 1, 8000, 16, &[1; 64]);
        for length in 0..good.len() {
            let _ = read(&good[..length]);
            let _ = read_stereo(&good[..length]);
        }
        for position in 0..HEADER_LEN {
            for value in [0u8, 1, 0x7F, 0xFF] {
                let mut bad = good.clone();
                bad[position] = value;
                let _ = read(&bad);
            }
        }
    }

    #[test]
    fn stereo_header_round_trips() {
        let mut f = header(2, 8000, 8).to_vec();
        for v in [1i16, -1, 2, -2] {
            f.extend_from_slice(&v.to_le_bytes());
        }
        assert_eq!(read_stereo(&f).unwrap(), (vec![1, 2], vec![-1, -2]));
        assert_eq!(header(2, 8000, u64::MAX)[40..44], (u32::MAX - 36).to_le_bytes());
    }
}
