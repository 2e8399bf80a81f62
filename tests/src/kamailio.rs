//! Kamailio as an edge proxy: it puts itself into Path and Record-Route with flow tokens (RFC 5626), and knows nothing but
//! where the platform is.

use crate::server::port_block;
use crate::{peers, wait};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const STARTING: Duration = Duration::from_secs(30);

/// A running Kamailio.
pub struct Kamailio {
    child: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

/// Where Debian puts its modules.
fn modules() -> String {
    format!("/usr/lib/{}-linux-gnu/kamailio/modules/", std::env::consts::ARCH)
}

/// It is no command of ordinary users, whose PATH may lack its folder.
fn program() -> &'static Path {
    Path::new("/usr/sbin/kamailio")
}

/// Whether Kamailio is there; otherwise the test is to be skipped.
pub fn installed() -> bool {
    let flows = Path::new(&modules()).join("outbound.so").is_file();
    if flows && program().is_file() {
        return true;
    }
    peers::missing("kamailio", "apt-get install kamailio kamailio-outbound-modules");
    false
}

impl Kamailio {
    /// In front of this platform, over UDP and TCP at one port.
    ///
    /// # Panics
    /// If it does not start; what it says is shown.
    pub fn before(platform: SocketAddr) -> Kamailio {
        let folder = tempfile::Builder::new()
            .prefix("strowger-kamailio-")
            .tempdir()
            .expect("a folder for Kamailio");
        let address = SocketAddr::from(([127, 0, 0, 1], port_block(2) + 1));
        let file = folder.path().join("kamailio.cfg");
        std::fs::write(&file, configuration(platform, address)).expect("the folder takes a file");
        let log = std::fs::File::create(folder.path().join("log")).expect("the folder takes a file");
        let mut child = Command::new(program())
            .args(["-DD", "-E", "-m", "32", "-M", "4", "-f"])
            .arg(&file)
            .arg("-w")
            .arg(folder.path())
            .arg("-Y")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("Kamailio can be run");
        let shown = folder.path().join("log");
        let answered = UdpSocket::bind("127.0.0.1:0").expect("a port on loopback");
        let every = Duration::from_millis(100);
        answered.set_read_timeout(Some(every)).expect("a timeout above zero");
        let me = answered.local_addr().expect("a bound socket has an address");
        let ping = format!(
            "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKup\r\nFrom: <sip:up@{me}>;tag=up\r\n\
             To: <sip:{address}>\r\nCall-ID: up@{me}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\nContent-Length: 0\r\n\r\n"
        );
        wait::until("Kamailio to answer", STARTING, Duration::from_millis(20), || {
            if let Ok(Some(status)) = child.try_wait() {
                let log = std::fs::read_to_string(&shown).unwrap_or_default();
                panic!("Kamailio ended with {status}:\n{log}");
            }
            let _ = answered.send_to(ping.as_bytes(), address);
            answered.recv(&mut [0; 2048]).ok()
        });
        Kamailio { child, folder, address }
    }

    /// Where telephones find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged: a line for each request that it passed on.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap_or_default()).into_owned()
    }
}

fn configuration(platform: SocketAddr, address: SocketAddr) -> String {
    let place = modules();
    let modules = [
        "tm", "sl", "outbound", "rr", "path", "pv", "textops", "siputils", "maxfwd", "xlog", "stun",
    ];
    let modules: String = modules.iter().map(|m| format!("loadmodule \"{m}.so\"\n")).collect();
    format!(
        r#"#!KAMAILIO
debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
listen=udp:{address}
listen=tcp:{address}
mpath="{place}"
{modules}
modparam("outbound", "flow_token_secret", "a secret of the tests")
# Flow tokens for every telephone, not only for those that speak outbound.
modparam("outbound", "force_outbound_flag", 1)
modparam("path", "use_received", 1)
modparam("rr", "append_fromtag", 1)
modparam("rr", "enable_double_rr", 1)

request_route {{
    if (!mf_process_maxfwd_header("70")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    # Inside a dialog, and towards a telephone: as the route says. A telephone's own outbound proxy is a Route without a user.
    if (has_totag() || $(route_uri{{uri.user}}) != "") {{
        if (!loose_route()) {{
            if (is_method("ACK") && t_check_trans()) {{
                t_relay();
                exit;
            }}
            xlog("L_WARN", "no route: $rm $ru from $si:$sp\n");
            if (!is_method("ACK")) sl_send_reply("404", "No Route");
            exit;
        }}
        if (!has_totag() && is_method("INVITE")) record_route();
        xlog("L_WARN", "inside: $rm $pr\n");
        t_relay();
        exit;
    }}
    # From a telephone: the token names the flow that it came on. Towards one, the token of its Path is kept.
    setflag(1);
    remove_hf("Route");
    if (is_method("REGISTER")) {{
        add_path();
    }} else {{
        record_route();
    }}
    $du = "sip:{platform}";
    xlog("L_WARN", "outside: $rm $pr\n");
    t_relay();
}}
"#
    )
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // SAFETY: kill() with the id of a child that has not been waited for touches no memory. It ends its own children.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while std::time::Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                break;
            }
            wait::pause(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- Kamailio ----\n{}", self.log());
        }
    }
}
