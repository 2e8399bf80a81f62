//! SIPp, the SIP peer that is not ours. The scenarios are in `tests/sipp/`, one file a behaviour.

use crate::script::Script;
use crate::server::{free_tcp, free_udp, port_block};
use crate::{peers, wait, workspace};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running SIPp.
pub struct Sipp {
    child: Child,
    scenario: String,
    address: SocketAddr,
    folder: tempfile::TempDir,
    patience: Duration,
}

/// How a SIPp is run.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// Name of the file in `tests/sipp/`, without `.xml`.
    pub scenario: &'a str,
    /// Calls after which it ends.
    pub calls: u32,
    /// Calls that it makes at once, as the calling party.
    pub at_once: u32,
    /// Milliseconds for the scenario's pauses.
    pub pause: u32,
    /// Per cent of packets that it loses, both ways.
    pub lost: u32,
    /// Time for all.
    pub patience: Duration,
    /// What it goes by in place of a file.
    pub script: Option<&'a Script>,
    /// UDP or TCP port; chosen if it is 0.
    pub port: u16,
    /// Over TCP, in place of UDP.
    pub tcp: bool,
    /// Its name, and its password for challenges.
    pub user: (&'a str, &'a str),
    /// Goes on after a message that comes before its time, and takes it when it is sent again. Without this SIPp gives a
    /// call up over a BYE that follows a NOTIFY too closely for it.
    pub patient: bool,
    /// Keywords of the scenario's own.
    pub keys: &'a [(&'a str, &'a str)],
}

impl<'a> Run<'a> {
    /// One call of this scenario.
    pub fn of(scenario: &'a str) -> Run<'a> {
        Run {
            scenario,
            calls: 1,
            at_once: 1,
            pause: 300,
            lost: 0,
            patience: Duration::from_secs(25),
            script: None,
            port: 0,
            tcp: false,
            user: ("sipp", "none"),
            patient: false,
            keys: &[],
        }
    }

    /// One call of a scenario that is put together from steps.
    pub fn script(script: &'a Script) -> Run<'a> {
        Run {
            script: Some(script),
            ..Run::of(&script.name)
        }
    }

    /// As this device.
    pub fn user(self, name: &'a str, password: &'a str) -> Run<'a> {
        Run {
            user: (name, password),
            ..self
        }
    }

    /// As the called party: waits for calls.
    pub fn listen(&self) -> Sipp {
        self.start(None)
    }

    /// As the calling party: `from` calls `to` at the platform.
    pub fn call(&self, platform: SocketAddr, from: &str, to: &str) -> Sipp {
        self.start(Some((platform, from, to)))
    }

    fn start(&self, call: Option<(SocketAddr, &str, &str)>) -> Sipp {
        let folder = tempfile::tempdir().expect("a folder for SIPp");
        let port = match self.port {
            0 if self.tcp => free_tcp(),
            0 => free_udp(),
            chosen => chosen,
        };
        let file = match self.script {
            Some(script) => {
                let file = folder.path().join("scenario.xml");
                std::fs::write(&file, script.xml()).expect("the folder takes a file");
                file
            }
            None => workspace().join("tests/sipp").join(format!("{}.xml", self.scenario)),
        };
        assert!(file.is_file(), "no scenario {}", file.display());
        let mut command = Command::new("sipp");
        command.current_dir(folder.path()).arg("-sf").arg(file);
        let number = |n: u32| n.to_string();
        command.args(["-i", "127.0.0.1", "-p", &number(port.into())]);
        command.args([
            "-mp",
            &number(port_block(8).into()),
            "-m",
            &number(self.calls),
            "-d",
            &number(self.pause),
        ]);
        let seconds = number(self.patience.as_secs() as u32);
        command.args(["-timeout", &seconds, "-timeout_error", "-nostdin"]);
        command.args([
            "-trace_err",
            "-error_file",
            "errors",
            "-trace_msg",
            "-message_file",
            "messages",
        ]);
        let (name, password) = self.user;
        command.args(["-key", "user", name, "-au", name, "-ap", password]);
        for (key, value) in self.keys {
            command.args(["-key", key, value]);
        }
        if self.patient {
            command.arg("-nd");
        }
        if self.tcp {
            command.args(["-t", "t1"]);
        }
        if self.lost > 0 {
            command.args(["-lost", &number(self.lost)]);
        }
        if let Some((platform, from, to)) = call {
            let at_once = number(self.at_once);
            // SIPp signs the address of the platform unless it is told the Request-URI.
            if self.script.is_some_and(|s| !s.xml().contains("REGISTER sip:")) {
                command.args(["-auth_uri", &format!("{to}@{platform}")]);
            }
            command.args(["-key", "from", from, "-s", to, "-l", &at_once, &platform.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("SIPp can be run");
        if call.is_none() {
            // SIPp does not say when it listens; its port is taken then.
            wait::until(
                "SIPp to listen",
                Duration::from_secs(5),
                Duration::from_millis(5),
                || {
                    let taken = match self.tcp {
                        true => std::net::TcpListener::bind(("127.0.0.1", port)).is_err(),
                        false => std::net::UdpSocket::bind(("127.0.0.1", port)).is_err(),
                    };
                    taken.then_some(())
                },
            );
        }
        Sipp {
            child,
            scenario: self.scenario.to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            folder,
            patience: self.patience,
        }
    }
}

/// Whether SIPp is there; otherwise the test is to be skipped.
pub fn installed() -> bool {
    peers::find("sipp", "sip-tester").is_some()
}

impl Sipp {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn shows(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }

    /// The messages that it has seen so far.
    pub fn messages(&self) -> String {
        self.shows("messages")
    }

    /// Waits until all its calls have gone by the scenario.
    ///
    /// # Panics
    /// If one has not; what SIPp reports is shown.
    pub fn succeed(mut self) -> String {
        let end = Instant::now() + self.patience + Duration::from_secs(5);
        let status = wait::until("SIPp to end", end - Instant::now(), Duration::from_millis(10), || {
            self.child.try_wait().expect("our own child can be waited for")
        });
        assert!(
            status.success(),
            "SIPp {} ended with {status}\n{}\n{}",
            self.scenario,
            self.shows("errors"),
            self.messages()
        );
        self.messages()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "---- SIPp {} ----\n{}\n{}",
                self.scenario,
                self.shows("errors"),
                self.messages()
            );
        }
    }
}
