//! The real binary, started on a data folder of the test's own.

use crate::http::{self, Answer, Place};
use crate::wait;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long the server may take to start, recovery included.
const STARTING: Duration = Duration::from_secs(20);

/// The binary: `STROWGER_BIN`, else what is built in the target folder of this test, release before debug.
///
/// # Panics
/// If there is none.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("STROWGER_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().expect("a process knows its file");
    // target/<profile>/deps/<test>, or target/<profile>/<program>.
    let target = own.ancestors().find(|p| p.join("CACHEDIR.TAG").is_file());
    let target = target.expect("cargo marks its target folder");
    let candidates = ["release", "debug"].map(|profile| target.join(profile).join("strowger"));
    let found = candidates.iter().find(|p| p.is_file());
    found
        .unwrap_or_else(|| panic!("no binary at {candidates:?}: cargo build --release -p strowger-server"))
        .clone()
}

/// A UDP port on loopback that no other test has.
pub fn free_udp() -> u16 {
    free_both()
}

/// A TCP port on loopback that no other test has.
pub fn free_tcp() -> u16 {
    free_both()
}

/// A port on loopback that is free for UDP and TCP and that no other test has, in this process or another. It is below
/// the kernel's ephemeral range: a port in it may be given to any outgoing connection between this look and its use.
/// It is taken by listening on the TCP port after it for as long as the process lives.
///
/// # Panics
/// If there is none left.
pub fn free_both() -> u16 {
    static TAKEN: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    const FROM: u32 = 2_000;
    const PAIRS: u32 = 4_000;
    // Processes begin at different places, so that they seldom ask for each other's.
    let first = std::process::id().wrapping_mul(37) % PAIRS;
    for n in 0..PAIRS {
        let port = u16::try_from(FROM + 2 * ((first + n) % PAIRS)).expect("a port");
        let Ok(lock) = TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)) else {
            continue;
        };
        let at = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() {
            TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
            return port;
        }
    }
    panic!("no port is free")
}

/// First port of a range of `n` UDP ports that no other test has, in this process or another, below the kernel's
/// ephemeral range. A range is taken by listening on the TCP port with the number of its first port, for as long as the
/// process lives: no number of the range itself is used up, and a process that dies leaves nothing behind.
///
/// # Panics
/// If there is none left.
pub fn port_block(n: u16) -> u16 {
    static TAKEN: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    // Many small ranges (SIPp) and fewer large ones (servers).
    let (from, to, step) = if n <= 10 {
        (28_000, 32_000, 10)
    } else {
        (20_000, 28_000, 250.max(n + n % 2))
    };
    for base in (from..to - n).step_by(usize::from(step)) {
        let Ok(lock) = TcpListener::bind(("127.0.0.1", base)) else {
            continue;
        };
        if (base..base + n).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok()) {
            TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
            return base;
        }
    }
    panic!("no range of {n} ports is free");
}

/// What a test may choose about its server.
#[derive(Clone, Debug)]
pub struct Options {
    /// `storage.durability`.
    pub durability: &'static str,
    /// Number of media ports.
    pub media_ports: u16,
    /// The first of them; chosen if it is not given.
    pub first_port: Option<u16>,
    /// The port of SIP; chosen if it is not given.
    pub sip_port: Option<u16>,
    /// The address of its interface.
    pub address: IpAddr,
    /// The address that others are told.
    pub advertised: IpAddr,
    /// Lines of its section `[sip]`.
    pub sip: String,
    /// Lines of its section `[media]`.
    pub media: String,
    /// Sections put at the end of the configuration.
    pub more: String,
    /// Prefix of the command line: `taskset -c 0` pins the server.
    pub launcher: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: "process",
            media_ports: 200,
            first_port: None,
            sip_port: None,
            address: Ipv4Addr::LOCALHOST.into(),
            advertised: Ipv4Addr::LOCALHOST.into(),
            sip: String::new(),
            media: String::new(),
            more: String::new(),
            launcher: Vec::new(),
        }
    }
}

/// A running server.
pub struct Server {
    child: Option<Child>,
    folder: tempfile::TempDir,
    sip: SocketAddr,
    http: SocketAddr,
    options: Options,
}

impl Server {
    /// Starts the binary on a new folder and free ports, and waits until it is ready.
    ///
    /// # Panics
    /// If it does not start; its log is shown.
    pub fn start(options: Options) -> Server {
        let folder = tempfile::Builder::new()
            .prefix("strowger-test-")
            .tempdir()
            .expect("a folder for the test");
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Server {
            child: None,
            folder,
            sip: address(options.sip_port.unwrap_or_else(free_both)),
            http: address(free_tcp()),
            options,
        };
        std::fs::write(server.path("strowger.toml"), server.configuration()).expect("the folder takes a file");
        server.launch();
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self) -> String {
        let chosen = self.options.first_port;
        let first = chosen.unwrap_or_else(|| port_block(self.options.media_ports));
        let last = first + self.options.media_ports - 1;
        format!(
            "[server]\ndata = \"{}\"\ndrain = \"2s\"\n[log]\nfilter = \"info\"\n[[interface]]\naddress = \"{}\"\n\
             advertised = \"{}\"\n[sip]\nport = {}\n{}[media]\nports = \"{first}-{last}\"\nshards = 1\n{}[http]\nlisten = \"{}\"\n\
             [storage]\ndurability = \"{}\"\n{}\n",
            self.data().display(),
            self.options.address,
            self.options.advertised,
            self.sip.port(),
            self.options.sip,
            self.options.media,
            self.http,
            self.options.durability,
            self.options.more
        )
    }

    /// Starts the binary again on the same folder.
    ///
    /// # Panics
    /// If it runs already, or does not start.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let open = || {
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.path("log"))
        };
        let log = open().expect("the folder takes a file");
        let mut words: Vec<String> = self.options.launcher.clone();
        words.push(binary().display().to_string());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .arg("serve")
            .arg("--config")
            .arg(self.path("strowger.toml"));
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        self.child = Some(command.spawn().expect("the binary can be run"));
        wait::until("the server to be ready", STARTING, Duration::from_millis(10), || {
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                panic!("the server ended with {status}:\n{}", self.log());
            }
            // Over the socket, which is reached from every network; the one of HTTP is served last.
            let admin = Place::Unix(socket(&self.data()));
            let answer = http::request(&admin, "GET", "/ready", &[], None).ok()?;
            let served = self.options.address != IpAddr::from(Ipv4Addr::LOCALHOST)
                || http::request(&Place::Tcp(self.http), "GET", "/health", &[], None).is_ok();
            (answer.status == 200 && served).then_some(())
        });
    }

    /// Where it listens for SIP.
    pub fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// Where it listens for HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Its process id.
    ///
    /// # Panics
    /// If it does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running server").id()
    }

    /// Everything that it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Sends it a SIGKILL without waiting; [`Server::kill_9`] follows.
    pub fn signal_9(&self) {
        signal(self.child.as_ref().expect("a running server"), libc::SIGKILL);
    }

    /// Ends it at once, as a crash would.
    pub fn kill_9(&mut self) {
        let mut child = self.child.take().expect("a running server");
        child.kill().expect("our own child can be killed");
        child.wait().expect("our own child can be waited for");
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Panics
    /// If it does not end well within its time for draining.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("a running server");
        signal(&child, libc::SIGTERM);
        let status = wait::until(
            "the server to stop",
            Duration::from_secs(15),
            Duration::from_millis(10),
            || child.try_wait().expect("our own child can be waited for"),
        );
        assert!(
            status.success() || status.signal() == Some(libc::SIGTERM),
            "the server ended with {status}:\n{}",
            self.log()
        );
    }

    /// A request to the admin API.
    pub fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(|b| b.to_string().into_bytes());
        self.admin_raw(method, path, "application/json", body.as_deref())
    }

    /// A request to the admin API with any body.
    pub fn admin_raw(&self, method: &str, path: &str, kind: &str, body: Option<&[u8]>) -> Answer {
        let place = Place::Unix(socket(&self.data()));
        let path = format!("/api/v1{path}");
        http::request(&place, method, &path, &[("Content-Type", kind)], body)
            .unwrap_or_else(|e| panic!("{method} {path}: {e}\n{}", self.log()))
    }

    /// Makes a resource and gives back how the server sees it.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn create(&self, path: &str, body: &Value) -> Value {
        let answer = self.admin("POST", path, Some(body));
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 201, "POST {path} {body}: {text}");
        answer.json()
    }

    /// Open conversations, as the admin API shows them.
    pub fn open_calls(&self) -> Vec<Value> {
        let answer = self.admin("GET", "/calls", None);
        answer.json()["items"].as_array().cloned().unwrap_or_default()
    }
}

/// The admin socket of a data folder.
fn socket(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

fn signal(child: &Child, number: libc::c_int) {
    // SAFETY: kill() with the id of a child that has not been waited for touches no memory.
    let done = unsafe { libc::kill(child.id() as libc::pid_t, number) };
    assert_eq!(done, 0, "our own child can be signalled");
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("---- the server's log ----\n{}", self.log());
        }
    }
}
