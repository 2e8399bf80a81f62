//! baresip, a desk telephone that is not ours: one process with a folder, ports and an account of its own. It sends a tone
//! from a file and keeps what it hears in another one.

use crate::line::Line;
use crate::server::port_block;
use crate::sound::{Sound, tone, wav_file};
use crate::{peers, wait};
use serde_json::{Value, json};
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;
use strowger_media_core::wav;

/// Where Debian puts its modules.
const MODULES: &str = "/usr/lib/baresip/modules";
/// Time for what needs no timer, on a machine that is busy with other tests.
pub const STEP: Duration = Duration::from_secs(20);

/// A line of `[sip]` for baresip before version 2: it gives up on a challenge that names another hash anywhere.
pub const MD5_ALONE: &str = "digest = [\"MD5\"]\n";

/// What a baresip is to be.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// User name of its account.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Registrar and domain of its account.
    pub registrar: SocketAddr,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'a str,
    /// The one codec that it knows: `PCMA`, `PCMU`, `G722` or `opus`.
    pub codec: &'a str,
    /// Tone that it sends, in Hz.
    pub hz: f32,
    /// Whether it answers by itself.
    pub answers: bool,
    /// Seconds that it asks to be registered for.
    pub expires: u32,
    /// File with the authority of TLS servers.
    pub authority: Option<&'a Path>,
    /// More parameters of its account, such as `outbound="sip:127.0.0.1:5070;lr"`, separated by semicolons.
    pub account: String,
}

#[derive(Default)]
struct State {
    /// Everything that it has said about itself, oldest first.
    events: Vec<Value>,
    /// Answers to commands, in order.
    answers: Vec<Value>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A running baresip.
pub struct Baresip {
    child: Child,
    folder: tempfile::TempDir,
    control: TcpStream,
    shared: Arc<Shared>,
}

/// Whether baresip is there; otherwise the test is to be skipped.
pub fn installed() -> bool {
    peers::find("baresip", "baresip-core").is_some()
}

impl Baresip {
    /// Starts one and waits until it takes commands.
    ///
    /// # Panics
    /// If it does not start; what it says is shown.
    pub fn start(setup: &Setup<'_>) -> Baresip {
        let folder = tempfile::Builder::new()
            .prefix("strowger-baresip-")
            .tempdir()
            .expect("a folder for baresip");
        // The block's first TCP port is its lock: SIP takes the second, with TLS on the third, commands the fourth.
        let ports = port_block(10);
        let write = |name: &str, text: &[u8]| {
            std::fs::write(folder.path().join(name), text).expect("the folder takes a file");
        };
        write("tone.wav", &wav_file(&tone(setup.hz, Duration::from_secs(60))));
        write("config", configuration(setup, folder.path(), ports).as_bytes());
        write("accounts", account(setup).as_bytes());
        write("contacts", b"");
        let log = std::fs::File::create(folder.path().join("log")).expect("the folder takes a file");
        let child = Command::new("baresip")
            .arg("-f")
            .arg(folder.path())
            .args(["-s", "-v"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("baresip can be run");
        let at = SocketAddr::from(([127, 0, 0, 1], ports + 3));
        let every = Duration::from_millis(10);
        let control = wait::until("baresip to take commands", STEP, every, || TcpStream::connect(at).ok());
        let shared = Arc::new(Shared::default());
        let (stream, heard) = (control.try_clone().expect("a second handle"), Arc::clone(&shared));
        std::thread::spawn(move || heard.listen(stream));
        Baresip {
            child,
            folder,
            control,
            shared,
        }
    }

    /// A command of baresip's menu, such as `dial`; it must be understood.
    pub fn command(&mut self, command: &str, parameters: &str) {
        let before = self.shared.lock().answers.len();
        let text = json!({ "command": command, "params": parameters }).to_string();
        write!(self.control, "{}:{text},", text.len()).expect("baresip takes commands");
        let answer = self.shared.wait(&format!("baresip's answer to {command}"), |s| {
            s.answers.get(before).cloned()
        });
        assert_eq!(answer["ok"], true, "{command} {parameters}: {answer}");
    }

    /// How many events there have been: a mark for [`Baresip::wait_event`].
    pub fn mark(&self) -> usize {
        self.shared.lock().events.len()
    }

    /// Waits for an event of this type after a mark.
    pub fn wait_event(&self, mark: usize, kind: &str) -> Value {
        self.shared.wait(&format!("baresip's {kind}"), |s| {
            s.events[mark..].iter().find(|e| e["type"] == kind).cloned()
        })
    }

    /// Waits until it is registered. It may be before anybody can listen to its events, so its own log tells.
    pub fn wait_registered(&self) {
        wait::until("baresip to be registered", STEP, Duration::from_millis(20), || {
            self.log().contains(" binding]").then_some(())
        });
    }

    /// Calls a name or number at its registrar.
    pub fn dial(&mut self, to: &str) {
        self.command("dial", to);
    }

    /// Everything that it has printed: its SIP messages among it.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap_or_default()).into_owned()
    }

    /// What it has heard, one sound for each call that is over.
    pub fn heard(&self) -> Vec<Sound> {
        let entries = std::fs::read_dir(self.folder.path()).expect("its folder");
        let dumps = entries.flatten().map(|e| e.path());
        let mut dumps: Vec<PathBuf> = dumps.filter(|p| p.to_string_lossy().ends_with("-dec.wav")).collect();
        dumps.sort();
        let sounds = dumps.iter().map(|path| {
            let file = std::fs::read(path).expect("a recording");
            let samples = at_8_khz(&file).unwrap_or_else(|| panic!("{}: not a recording", path.display()));
            Sound { from_ms: 0, samples }
        });
        sounds.collect()
    }
}

/// The samples of a recording at 8 kHz; wider codecs are recorded at their own rate, of which each sample here is the mean of
/// what it stands for.
fn at_8_khz(file: &[u8]) -> Option<Vec<i16>> {
    if let Ok(samples) = wav::read(file) {
        return Some(samples);
    }
    let format = file.windows(4).position(|w| w == b"fmt ")? + 8;
    let word = |at: usize| Some(u16::from_le_bytes([*file.get(at)?, *file.get(at + 1)?]));
    let channels = usize::from(word(format + 2)?);
    let rate = usize::from(word(format + 4)?);
    let data = file.windows(4).position(|w| w == b"data")? + 8;
    let samples: Vec<i16> = file
        .get(data..)?
        .as_chunks()
        .0
        .iter()
        .map(|c| i16::from_le_bytes(*c))
        .collect();
    let mean = |span: &[i16]| (span.iter().map(|&s| i64::from(s)).sum::<i64>() / span.len() as i64) as i16;
    Some(samples.chunks_exact(channels * rate / 8000).map(mean).collect())
}

/// Waits until a line hears a frequency.
pub fn wait_hears(line: &Line, hz: f32) {
    let every = Duration::from_millis(20);
    wait::until(&format!("{hz} Hz"), STEP, every, || line.hears(hz).then_some(()));
}

/// Waits until a line has heard nothing of a frequency for 200 ms.
pub fn wait_silent(line: &Line, hz: f32) {
    let every = Duration::from_millis(20);
    wait::until(&format!("no {hz} Hz"), STEP, every, || (!line.hears(hz)).then_some(()));
}

fn configuration(setup: &Setup<'_>, folder: &Path, ports: u16) -> String {
    let at = folder.display();
    let (sip, control, first, last) = (ports + 1, ports + 3, ports + 4, ports + 9);
    let authority = setup.authority.map(|a| format!("sip_cafile {}\n", a.display()));
    let modules = ["g711.so", "g722.so", "opus.so", "aufile.so", "sndfile.so", "srtp.so"];
    let modules = modules.map(|m| format!("module {m}\n"));
    format!(
        "poll_method epoll\nsip_listen 127.0.0.1:{sip}\nnet_interface 127.0.0.1\n{}\
         audio_source aufile,{at}/tone.wav\naudio_alert aufile,{at}/tone.wav\nausrc_srate 8000\nauplay_srate 8000\n\
         ausrc_channels 1\nauplay_channels 1\nopus_stereo no\nopus_sprop_stereo no\nrtp_ports {first}-{last}\nsnd_path {at}\nmodule_path {MODULES}\n{}\
         module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{control}\n",
        authority.unwrap_or_default(),
        modules.concat()
    )
}

fn account(setup: &Setup<'_>) -> String {
    let answers = if setup.answers { "auto" } else { "manual" };
    let more = if setup.account.is_empty() { "" } else { ";" };
    format!(
        "<sip:{}@{};transport={}>;auth_pass={};regint={};audio_codecs={};answermode={answers}{more}{}\n",
        setup.user, setup.registrar, setup.transport, setup.password, setup.expires, setup.codec, setup.account
    )
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A wait that fails panics with the lock held; the events are whole all the same.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn wait<T>(&self, what: &str, mut found: impl FnMut(&State) -> Option<T>) -> T {
        let found = |s: &mut State| {
            let t = found(s);
            assert!(t.is_some() || !s.closed, "baresip ended while a test waited for {what}");
            t
        };
        wait::on(&self.changed, self.lock(), what, STEP, found)
    }

    /// Reads netstrings of JSON until the connection ends.
    fn listen(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some(message) = netstring(&mut stream) {
            let Ok(value) = serde_json::from_slice::<Value>(&message) else {
                continue;
            };
            let mut state = self.lock();
            if value["event"] == true {
                state.events.push(value);
            } else {
                state.answers.push(value);
            }
            self.changed.notify_all();
        }
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

/// `LENGTH:OCTETS,`; nothing at the end of the stream.
fn netstring(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut octet = [0];
    let mut length = 0_usize;
    loop {
        stream.read_exact(&mut octet).ok()?;
        match octet[0] {
            b':' => break,
            digit @ b'0'..=b'9' => length = length.checked_mul(10)?.checked_add(usize::from(digit - b'0'))?,
            _ => return None,
        }
    }
    let mut octets = vec![0; length.min(1 << 20) + 1];
    stream.read_exact(&mut octets).ok()?;
    octets.pop();
    Some(octets)
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- baresip ----\n{}", self.log());
        }
    }
}
