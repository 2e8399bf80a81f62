//! Files of every kind that is read, and of some that are not.
//!
//! The files in `tests/files` are half a second of a 1 kHz tone at 0.3 of full scale, stereo ones with 2 kHz on the right,
//! made by ffmpeg: `-f lavfi -i "aevalsrc=0.3*sin(2*PI*1000*t):d=0.5:s=44100"`.

use std::io::Cursor;
use std::time::Duration;
use strowger_media_core::{g711, probe};
use strowger_speech::import::{Container, ImportError, Imported, Limits, import};

const MP3: &[u8] = include_bytes!("files/tone.mp3");
const STEREO_MP3: &[u8] = include_bytes!("files/stereo.mp3");
const VORBIS: &[u8] = include_bytes!("files/vorbis.ogg");
const OPUS: &[u8] = include_bytes!("files/opus.ogg");
const STEREO_OPUS: &[u8] = include_bytes!("files/opus-stereo.ogg");

fn read(file: &[u8]) -> Result<Imported, ImportError> {
    import(Cursor::new(file.to_vec()), Limits::default())
}

fn refused(file: &[u8]) -> String {
    read(file).expect_err("a refusal").to_string()
}

/// A WAV file with these fields, and whatever data.
fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut f = b"RIFF".to_vec();
    f.extend((36 + data.len() as u32).to_le_bytes());
    f.extend(b"WAVEfmt \x10\0\0\0");
    f.extend(tag.to_le_bytes());
    f.extend(channels.to_le_bytes());
    f.extend(rate.to_le_bytes());
    f.extend((rate * u32::from(block)).to_le_bytes());
    f.extend(block.to_le_bytes());
    f.extend(bits.to_le_bytes());
    f.extend(b"data");
    f.extend((data.len() as u32).to_le_bytes());
    f.extend(data);
    f
}

fn sine(hz: f64, rate: u32) -> impl Iterator<Item = f64> {
    let step = std::f64::consts::TAU * hz / f64::from(rate);
    (0..rate / 2).map(move |i| 0.3 * (step * f64::from(i)).sin())
}

fn pcm16(value: f64) -> i16 {
    (value * 32767.0) as i16
}

/// A value of -1.0 to 1.0 as the octets of a coding.
type Encode = fn(f64) -> Vec<u8>;

/// Half a second, with the tone at the level that it was made with.
fn is_the_tone(sound: &Imported, hz: f32, level: f32) {
    let ms = sound.samples.len() / 8;
    assert!((480..=560).contains(&ms), "{ms} ms");
    let middle = &sound.samples[1200..3200];
    let measured = probe::level(middle, hz);
    assert!(
        (measured - level).abs() < 1.0,
        "{hz} Hz at {measured} dBFS, not {level}"
    );
}

#[test]
fn wav_of_every_coding_rate_and_number_of_channels() {
    for rate in [8000, 11_025, 16_000, 22_050, 44_100, 48_000] {
        let codings: [(u16, u16, Encode); 6] = [
            (1, 8, |v| vec![(v * 127.0 + 128.0) as u8]),
            (1, 16, |v| pcm16(v).to_le_bytes().to_vec()),
            (1, 24, |v| ((v * 8_388_607.0) as i32).to_le_bytes()[..3].to_vec()),
            (3, 32, |v| (v as f32).to_le_bytes().to_vec()),
            (6, 8, |v| vec![g711::alaw_encode(pcm16(v))]),
            (7, 8, |v| vec![g711::ulaw_encode(pcm16(v))]),
        ];
        for (tag, bits, encode) in codings {
            let mono: Vec<u8> = sine(1000.0, rate).flat_map(encode).collect();
            let sound = read(&wav(tag, 1, rate, bits, &mono)).unwrap_or_else(|e| panic!("{tag} {bits} {rate}: {e}"));
            assert_eq!((sound.container, sound.rate, sound.channels), (Container::Wav, rate, 1));
            is_the_tone(&sound, 1000.0, -10.5);
            let stereo: Vec<u8> = sine(1000.0, rate)
                .zip(sine(2000.0, rate))
                .flat_map(|(l, r)| [encode(l), encode(r)].concat())
                .collect();
            let sound = read(&wav(tag, 2, rate, bits, &stereo)).unwrap();
            assert_eq!(sound.channels, 2);
            is_the_tone(&sound, 1000.0, -16.5);
            is_the_tone(&sound, 2000.0, -16.5);
        }
    }
}

#[test]
fn plain_8_khz_is_taken_over_as_it_is() {
    let samples: Vec<i16> = sine(440.0, 8000).map(pcm16).collect();
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let sound = read(&wav(1, 1, 8000, 16, &data)).unwrap();
    assert_eq!(sound.samples, samples);
    assert_eq!(read(&sound.to_wav()).unwrap(), sound);
    // What a streaming writer leaves behind: lengths that nobody filled in.
    for unknown in [0u32, u32::MAX] {
        let mut endless = wav(1, 1, 8000, 16, &data);
        endless[4..8].copy_from_slice(&unknown.to_le_bytes());
        endless[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&endless).unwrap().samples, samples);
    }
}

#[test]
fn mp3_vorbis_and_opus() {
    for (file, container, rate) in [
        (MP3, Container::Mp3, 44_100),
        (VORBIS, Container::Ogg, 48_000),
        (OPUS, Container::Ogg, 48_000),
    ] {
        let sound = read(file).unwrap();
        assert_eq!((sound.container, sound.rate, sound.channels), (container, rate, 1));
        is_the_tone(&sound, 1000.0, -10.5);
    }
    for (file, container, rate) in [
        (STEREO_MP3, Container::Mp3, 32_000),
        (STEREO_OPUS, Container::Ogg, 48_000),
    ] {
        let sound = read(file).unwrap();
        assert_eq!((sound.container, sound.rate, sound.channels), (container, rate, 2));
        is_the_tone(&sound, 1000.0, -16.5);
        is_the_tone(&sound, 2000.0, -16.5);
    }
}

#[test]
fn refusals_say_what_the_file_is_and_what_to_send() {
    assert!(refused(include_bytes!("files/tone.flac")).starts_with("it is a FLAC file; send WAV"));
    assert!(refused(include_bytes!("files/tone.m4a")).starts_with("it is an MP4 or M4A file"));
    assert!(refused(b"hello, this is no sound").contains("no audio file of a known format"));
    assert!(refused(b"").contains("no sound"));
    assert!(refused(&wav(1, 1, 8000, 16, &[])).contains("no sound"));
    assert!(refused(&wav(1, 1, 96_000, 16, &[0; 4000])).contains("96000 Hz; 8000 to 48000"));
    assert!(refused(&wav(1, 1, 6000, 16, &[0; 4000])).contains("6000 Hz"));
    assert!(refused(&wav(1, 4, 8000, 16, &[0; 4000])).contains("4 channels"));
    let adpcm = refused(&wav(0x31, 1, 8000, 8, &[0; 4000]));
    assert!(adpcm.contains("the WAV file holds"), "{adpcm}");
}

#[test]
fn a_sound_that_is_too_long_is_refused_before_it_fills_memory() {
    let second = wav(1, 1, 8000, 16, &[0; 32_000]);
    let limits = Limits {
        millis: 1500,
        time: Duration::from_secs(60),
    };
    let error = import(Cursor::new(second), limits).expect_err("a refusal");
    assert!(matches!(error, ImportError::TooLong(1500)), "{error}");
    let hurried = Limits {
        time: Duration::ZERO,
        ..Limits::default()
    };
    let error = import(Cursor::new(MP3.to_vec()), hurried).expect_err("a refusal");
    assert!(matches!(error, ImportError::TooSlow(_)), "{error}");
}

#[test]
fn damaged_and_cut_files_are_answered() {
    for file in [MP3, VORBIS, OPUS, STEREO_OPUS] {
        for cut in (0..file.len()).step_by(331) {
            let _ = read(&file[..cut]);
            let mut flipped = file.to_vec();
            flipped[cut] ^= 0x55;
            let _ = read(&flipped);
        }
    }
}
