//! Recordings whose process died before they were finished.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use strowger_media_core::{FRAME, wav};

use super::ogg;
use super::writer::{end_wav, publish, say};

/// A recording that was completed after the death of the process that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Its final path.
    pub path: PathBuf,
    /// Length in ms.
    pub millis: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole file.
    pub sha256: [u8; 32],
}

/// Completes the recording whose file name begins with `prefix` in a recording folder: an unfinished one gets its header
/// and its final name, one that had just been finished is measured. What was not yet handed to the disk is missing.
/// Blocks on the disk.
///
/// # Errors
/// What is wrong, for the operator: no such file, no whole frame in it, or the system's reason.
pub fn salvage(dir: &Path, prefix: &str) -> Result<Salvaged, String> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("cannot read the recording folder: {e}"))?;
    let named = |e: &std::fs::DirEntry| e.file_name().to_string_lossy().starts_with(prefix);
    let found = entries.filter_map(Result::ok).find(named).map(|e| e.path());
    let found = found.ok_or("nothing of it reached the disk")?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&found)
        .map_err(|e| format!("cannot open the file: {e}"))?;
    let path = match found.extension() {
        Some(end) if end == "part" => found.with_extension(""),
        _ => found.clone(),
    };
    let (millis, bytes) = match path.extension() {
        Some(end) if end == "ogg" => ogg::cut(&mut file)?,
        _ => cut_wav(&mut file)?,
    };
    if millis == 0 {
        return Err("nothing of it reached the disk".into());
    }
    let sha256 = publish(&mut file, &found, &path)?;
    Ok(Salvaged {
        path,
        millis,
        bytes,
        sha256,
    })
}

/// Ends a WAV file after its last whole frame; its length in ms and bytes.
fn cut_wav(file: &mut File) -> Result<(u64, u64), String> {
    let length = file.metadata().map_err(say("measure the file"))?.len();
    let mut header = [0u8; wav::HEADER_LEN];
    if length < header.len() as u64 {
        return Ok((0, 0));
    }
    file.seek(SeekFrom::Start(0)).map_err(say("seek"))?;
    file.read_exact(&mut header).map_err(say("read the header"))?;
    // Octet 22 of a canonical header: the number of channels.
    let channels = u16::from_le_bytes([header[22], header[23]]).clamp(1, 2);
    let frame = FRAME as u64 * 2 * u64::from(channels);
    let frames = (length - wav::HEADER_LEN as u64) / frame;
    if frames > 0 {
        end_wav(file, channels, frames * frame)?;
    }
    Ok((frames * 20, frames * frame + wav::HEADER_LEN as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_media_core::RATE;

    /// Bytes of one stereo frame of 20 ms.
    const FRAME_BYTES: u64 = FRAME as u64 * 4;

    #[test]
    fn a_recording_whose_writer_died_is_completed_up_to_its_last_whole_frame() {
        let dir = tempfile::tempdir().unwrap();
        assert!(salvage(dir.path(), "REab").unwrap_err().contains("nothing"));
        let mut torn = wav::header(2, RATE, 0).to_vec();
        torn.extend(vec![1; 3 * FRAME_BYTES as usize + 17]);
        std::fs::write(dir.path().join("REabcd.wav.part"), &torn).unwrap();
        let saved = salvage(dir.path(), "REab").unwrap();
        assert_eq!(saved.path, dir.path().join("REabcd.wav"));
        assert_eq!((saved.millis, saved.bytes), (60, 44 + 3 * FRAME_BYTES));
        let (left, _) = wav::read_stereo(&std::fs::read(&saved.path).unwrap()).unwrap();
        assert_eq!(left.len(), 3 * FRAME);
        // The process may also have died between the rename and the report.
        assert_eq!(salvage(dir.path(), "REab").unwrap(), saved);
        std::fs::write(dir.path().join("REempty.wav.part"), &torn[..44]).unwrap();
        assert!(salvage(dir.path(), "REempty").is_err());
    }
}
