//! A bucket: moto's S3 server, which speaks the protocol and keeps everything in memory. It checks no signatures.

use crate::http::{Place, request};
use crate::{peers, wait};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running S3 server with an empty bucket of the name `recordings`.
pub struct Bucket {
    child: Child,
    place: Place,
}

/// The program that `scripts/setup test` made.
fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    cache.join("strowger/s3/bin/moto_server")
}

impl Bucket {
    /// True if there is one; else false after a loud note.
    pub fn is_installed() -> bool {
        let there = program().is_file();
        if !there {
            peers::missing("moto_server", "scripts/setup test");
        }
        there
    }

    /// Starts it at this address.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(at: SocketAddr) -> Bucket {
        let child = Command::new(program())
            .args(["-H", &at.ip().to_string(), "-p", &at.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server that runs");
        let bucket = Bucket {
            child,
            place: Place::Tcp(at),
        };
        wait::until("a bucket", Duration::from_secs(30), Duration::from_millis(50), || {
            let made = request(&bucket.place, "PUT", "/recordings", &[], None).ok()?;
            (made.status == 200).then_some(())
        });
        bucket
    }

    /// Keys of what is in it.
    pub fn keys(&self) -> Vec<String> {
        let answer = request(&self.place, "GET", "/recordings?list-type=2", &[], None);
        let answer = answer
            .map(|a| String::from_utf8_lossy(&a.body).into_owned())
            .unwrap_or_default();
        let keys = answer.split("<Key>").skip(1).filter_map(|k| k.split_once("</Key>"));
        keys.map(|(key, _)| key.to_owned()).collect()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
