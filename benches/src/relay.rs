//! Relayed G.711 calls on one core, beside Debian's rtpengine in the same run: both are driven by the media crate's
//! generator, `examples/relaybench`.

use crate::process::pinned;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use strowger_tests::{peers, wait, workspace};

/// The generator's program; built now if it is not there.
fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let path = own.parent()?.join("examples/relaybench");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = own.parent()?.parent()?;
    let mut command = Command::new(cargo);
    command.current_dir(workspace()).env("CARGO_TARGET_DIR", target);
    command.args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "-p",
        "strowger-media",
        "--example",
        "relaybench",
    ]);
    let built = command.status().is_ok_and(|s| s.success());
    (built && path.is_file()).then_some(path)
}

fn numbers(calls: &[u32]) -> String {
    calls.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// Debian's rtpengine on processor 0, as long as this lives.
struct Rtpengine {
    child: Child,
    version: String,
}

impl Rtpengine {
    fn start() -> Option<Rtpengine> {
        let program = peers::find("rtpengine", "rtpengine-daemon")?;
        let mut words = pinned(0);
        words.push(program.display().to_string());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(["-f", "-E", "-t", "-1", "-i", "127.0.0.1", "-n", CONTROL])
            .args(["-m", "10000", "-M", "38000", "-L", "3"])
            .args(["--num-threads=1", "--media-num-threads=1", "--config-file=none"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            println!("rtpengine could not be started");
            return None;
        };
        // It says nothing when it listens; a second is ample.
        wait::pause(Duration::from_secs(1));
        Some(Rtpengine {
            child,
            version: version(&program),
        })
    }

    /// Lets the generator drive it.
    fn drive(&self, generator: &Path, calls: &[u32], seconds: &str, more: &[&str]) {
        let pid = self.child.id().to_string();
        let _ = Command::new(generator)
            .args(["--calls", &numbers(calls), "--seconds", seconds])
            .args(["--rtpengine", CONTROL, "--pid", &pid])
            .args(more)
            .status();
    }
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where rtpengine takes commands.
const CONTROL: &str = "127.0.0.1:2223";

/// Prints the tables of relayed calls: ours, ours with every call recorded, and rtpengine's.
pub fn run(seconds: u32, ours: &[u32], recorded: &[u32], theirs: &[u32]) {
    let Some(program) = program() else {
        println!("relaybench could not be built: no figures of relayed calls");
        return;
    };
    let seconds = seconds.to_string();
    println!("this engine, one shard on processor 0:");
    let _ = Command::new(&program)
        .args(["--calls", &numbers(ours), "--seconds", &seconds])
        .status();
    println!(
        "the same with every call recorded (stereo WAV), without and with in turn; writing is on threads of its own:"
    );
    for calls in recorded {
        for more in [&[][..], &["--record"]] {
            let _ = Command::new(&program)
                .args(["--calls", &calls.to_string(), "--seconds", &seconds])
                .args(more)
                .status();
        }
    }
    let Some(rtpengine) = Rtpengine::start() else { return };
    println!(
        "rtpengine {} in userspace, one worker on processor 0:",
        rtpengine.version
    );
    rtpengine.drive(&program, theirs, &seconds, &[]);
}

/// Prints the tables of calls that are decoded: Opus to G.711, beside rtpengine, and conferences of four.
pub fn decoded(seconds: u32, transcoded: &[u32], theirs: &[u32], mixed: &[u32]) {
    let Some(program) = program() else {
        println!("relaybench could not be built: no figures of decoded calls");
        return;
    };
    let seconds = seconds.to_string();
    println!("Opus to G.711 at complexity 5, one shard on processor 0; the delays are deviations from 20 ms:");
    let _ = Command::new(&program)
        .args([
            "--calls",
            &numbers(transcoded),
            "--seconds",
            &seconds,
            "--codec",
            "opus",
        ])
        .status();
    if let Some(rtpengine) = Rtpengine::start() {
        println!(
            "rtpengine {}, the same streams, libopus as it sets it up:",
            rtpengine.version
        );
        rtpengine.drive(&program, theirs, &seconds, &["--codec", "opus"]);
    }
    println!("conferences of four G.711 legs (two calls a room):");
    let _ = Command::new(&program)
        .args(["--calls", &numbers(mixed), "--seconds", &seconds, "--mixed"])
        .status();
}

/// Prints the table of calls between browsers.
pub fn browsers(seconds: u32, calls: &[u32]) {
    let Some(program) = program() else {
        println!("relaybench could not be built: no figures of browsers' calls");
        return;
    };
    println!("calls between two browsers (DTLS-SRTP, two WebRTC legs each), one shard on processor 0:");
    let _ = Command::new(&program)
        .args([
            "--calls",
            &numbers(calls),
            "--seconds",
            &seconds.to_string(),
            "--webrtc",
        ])
        .status();
}

fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split_whitespace()
        .find(|w| w.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or("?")
        .to_owned()
}
