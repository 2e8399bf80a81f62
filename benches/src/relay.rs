//! Relayed G.711 calls on one core, beside Debian's rtpengine in the same run: both are driven by the media crate's
//! generator, `examples/relaybench`.

use crate::process::pinned;
use std::path::PathBuf;
use std::process::{Command, Stdio};
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

/// Prints both tables.
pub fn run(seconds: u32, ours: &[u32], theirs: &[u32]) {
    let Some(program) = program() else {
        println!("relaybench could not be built: no figures of relayed calls");
        return;
    };
    let seconds = seconds.to_string();
    println!("this engine, one shard on processor 0:");
    let _ = Command::new(&program)
        .args(["--calls", &numbers(ours), "--seconds", &seconds])
        .status();
    let Some(rtpengine) = peers::find("rtpengine", "rtpengine-daemon") else {
        return;
    };
    let mut words = pinned(0);
    words.push(rtpengine.display().to_string());
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["-f", "-E", "-t", "-1", "-i", "127.0.0.1", "-n", "127.0.0.1:2223"]);
    command.args([
        "-m",
        "10000",
        "-M",
        "38000",
        "--num-threads=1",
        "--media-num-threads=1",
        "-L",
        "3",
    ]);
    command
        .arg("--config-file=none")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        println!("rtpengine could not be started");
        return;
    };
    // It says nothing when it listens; a second is ample.
    wait::pause(Duration::from_secs(1));
    println!(
        "rtpengine {} in userspace, one worker on processor 0:",
        version(&rtpengine)
    );
    let pid = child.id().to_string();
    let other = ["--rtpengine", "127.0.0.1:2223", "--pid", &pid, "--seconds", &seconds];
    let _ = Command::new(&program)
        .args(["--calls", &numbers(theirs)])
        .args(other)
        .status();
    let _ = child.kill();
    let _ = child.wait();
}

/// Prints the tables of calls that are decoded: Opus to G.711, and conferences of four.
pub fn decoded(seconds: u32, transcoded: &[u32], mixed: &[u32]) {
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

fn version(program: &std::path::Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split_whitespace()
        .find(|w| w.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or("?")
        .to_owned()
}
