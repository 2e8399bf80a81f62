//! Debian's coturn, a TURN server whose credentials expire.

use crate::server::port_block;
use crate::{peers, wait};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const STARTING: Duration = Duration::from_secs(30);
/// Ports that it relays through.
const RELAYED: u16 = 20;

/// A running coturn.
pub struct Coturn {
    child: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

/// Whether coturn is there; otherwise the test is to be skipped.
pub fn installed() -> bool {
    peers::find("turnserver", "coturn").is_some()
}

impl Coturn {
    /// On loopback, for whoever has credentials made with this secret.
    ///
    /// # Panics
    /// If it does not start; what it says is shown.
    pub fn start(secret: &str) -> Coturn {
        let folder = tempfile::Builder::new()
            .prefix("strowger-coturn-")
            .tempdir()
            .expect("a folder for coturn");
        let address = SocketAddr::from(([127, 0, 0, 1], port_block(2) + 1));
        let first = port_block(RELAYED);
        let place = folder.path().display();
        // Its command line would be in everybody's list of processes. Peers on loopback are refused unless they are allowed,
        // and they are allowed only without its own command line.
        let configuration = format!(
            "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nlistening-port={}\nmin-port={first}\nmax-port={}\n\
             use-auth-secret\nstatic-auth-secret={secret}\nrealm=strowger.test\nfingerprint\nallow-loopback-peers\nno-cli\n\
             no-tls\nno-dtls\nuserdb={place}/users\npidfile={place}/pid\nlog-file=stdout\nsimple-log\nverbose\n",
            address.port(),
            first + RELAYED - 1,
        );
        let file = folder.path().join("turnserver.conf");
        std::fs::write(&file, configuration).expect("the folder takes a file");
        let log = std::fs::File::create(folder.path().join("log")).expect("the folder takes a file");
        let mut child = Command::new("turnserver")
            .arg("-c")
            .arg(&file)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("coturn can be run");
        let shown = folder.path().join("log");
        wait::until("coturn to listen", STARTING, Duration::from_millis(20), || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("coturn ended with {status}:\n{}", read(&shown));
            }
            TcpStream::connect(address).is_ok().then_some(())
        });
        Coturn { child, folder, address }
    }

    /// As a STUN server alone, on an address of another network: the words before run it there.
    ///
    /// # Panics
    /// If it does not start.
    pub fn stun(launcher: &[String], address: Ipv4Addr) -> Coturn {
        let folder = tempfile::Builder::new()
            .prefix("strowger-stun-")
            .tempdir()
            .expect("a folder for coturn");
        let address = SocketAddr::from((address, 3478));
        let log = std::fs::File::create(folder.path().join("log")).expect("the folder takes a file");
        let mut child = Command::new(&launcher[0])
            .args(&launcher[1..])
            .args([
                "turnserver",
                "-n",
                "--stun-only",
                "--no-auth",
                "--no-cli",
                "--no-tls",
                "--no-dtls",
                "--simple-log",
            ])
            .args([
                "--log-file=stdout",
                "--verbose",
                &format!("--listening-ip={}", address.ip()),
            ])
            .arg(format!("--userdb={}", folder.path().join("users").display()))
            .arg(format!("--pidfile={}", folder.path().join("pid").display()))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("coturn can be run");
        let shown = folder.path().join("log");
        wait::until("coturn to listen", STARTING, Duration::from_millis(20), || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("coturn ended with {status}:\n{}", read(&shown));
            }
            read(&shown).contains("IPv4. UDP listener opened").then_some(())
        });
        Coturn { child, folder, address }
    }

    /// What pages are told.
    pub fn uri(&self) -> String {
        format!("turn:{}?transport=udp", self.address)
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- coturn ----\n{}", self.log());
        }
    }
}
