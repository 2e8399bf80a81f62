//! A translator that maps no UDP ports, between a server and everybody else: three network namespaces of Linux, and nftables.
//!
//! ```text
//! server 10.77.0.2 --- 10.77.0.1 translator 198.51.100.1 --- 198.51.100.9 browsers
//! ```

use crate::peers;
use std::net::Ipv4Addr;
use std::process::Command;

/// The server behind it.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// What the world sees of the server.
pub const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// The host between two translators.
pub const WORLD: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 20);

/// Namespaces, taken away when it is dropped.
pub struct Nat {
    name: String,
}

/// Whether this process may make namespaces; otherwise the test is to be skipped.
pub fn possible() -> bool {
    // SAFETY: geteuid() has no arguments and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    let tools = [("ip", "iproute2"), ("nft", "nftables")].iter();
    let there = tools.filter(|(p, package)| peers::find(p, package).is_some()).count() == 2;
    let trial = format!("strowger-try-{}", std::process::id());
    let done = root && there && run(&["ip", "netns", "add", &trial]) && run(&["ip", "netns", "del", &trial]);
    if there && !done {
        peers::missing(
            "a network namespace",
            "run the tests as root, outside of a container that forbids it",
        );
    }
    done
}

fn run(words: &[&str]) -> bool {
    let output = Command::new(words[0]).args(&words[1..]).output();
    let output = output.expect("a system's tool can be run");
    if !output.status.success() {
        eprintln!("{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

impl Nat {
    /// With this TCP port of the server open to the world, for signalling, and nothing else.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn start(signalling: u16) -> Nat {
        let nat = Nat {
            name: format!("strowger-{}", std::process::id()),
        };
        let [s, n, p] = ["s", "n", "p"].map(|part| nat.part(part));
        let rules = format!(
            "table ip t {{\n\
             chain out {{ type nat hook postrouting priority 100; oifname \"outer\" masquerade; }}\n\
             chain in {{ type nat hook prerouting priority -100; iifname \"outer\" tcp dport {signalling} dnat to {SERVER}; }}\n\
             chain own {{ type filter hook input priority 0; iifname \"outer\" meta l4proto udp drop; }}\n\
             chain through {{ type filter hook forward priority 0; policy drop; ct state established,related accept; \
             iifname \"inner\" accept; iifname \"outer\" tcp dport {signalling} accept; }}\n}}\n"
        );
        let steps = [
            format!("ip netns add {s}"),
            format!("ip netns add {n}"),
            format!("ip netns add {p}"),
            format!("ip link add eth0 netns {s} type veth peer name inner netns {n}"),
            format!("ip link add eth0 netns {p} type veth peer name outer netns {n}"),
            format!("ip -n {s} addr add {SERVER}/24 dev eth0"),
            format!("ip -n {n} addr add 10.77.0.1/24 dev inner"),
            format!("ip -n {n} addr add {PUBLIC}/24 dev outer"),
            format!("ip -n {p} addr add 198.51.100.9/24 dev eth0"),
        ];
        let up = [
            (&s, "lo"),
            (&s, "eth0"),
            (&n, "lo"),
            (&n, "inner"),
            (&n, "outer"),
            (&p, "lo"),
            (&p, "eth0"),
        ];
        let up = up.map(|(place, link)| format!("ip -n {place} link set {link} up"));
        let rest = [
            format!("ip -n {s} route add default via 10.77.0.1"),
            format!("ip netns exec {n} sysctl -qw net.ipv4.ip_forward=1"),
        ];
        for step in steps.iter().chain(&up).chain(&rest) {
            let words: Vec<&str> = step.split(' ').collect();
            assert!(run(&words), "{step}");
        }
        assert!(run(&["ip", "netns", "exec", &n, "nft", &rules]), "{rules}");
        nat
    }

    /// The same with a second translator, in front of the browsers, and a host in the world between both, where a STUN server
    /// can listen.
    ///
    /// ```text
    /// server 10.77.0.2 --- 198.51.100.1 --- world 198.51.100.20 --- 198.51.100.9 --- browsers 10.88.0.2
    /// ```
    ///
    /// # Panics
    /// If the system refuses.
    pub fn start_two(signalling: u16) -> Nat {
        let nat = Nat::start(signalling);
        let [n, p, w, b] = ["n", "p", "w", "b"].map(|part| nat.part(part));
        // The place of the browsers becomes their translator. What comes unasked is dropped, as home routers do: an answer to
        // it would take the port that the browser's own packets are to leave from.
        let rules = "table ip t {\n\
             chain out { type nat hook postrouting priority 100; oifname \"eth0\" masquerade; }\n\
             chain own { type filter hook input priority 0; iifname \"eth0\" meta l4proto udp drop; }\n\
             chain through { type filter hook forward priority 0; policy drop; ct state established,related accept; \
             iifname \"inner\" accept; }\n}\n";
        let steps = [
            format!("ip netns add {w}"),
            format!("ip netns add {b}"),
            // The link between both translators goes by way of the world.
            format!("ip -n {n} link del outer"),
            format!("ip link add left netns {w} type veth peer name outer netns {n}"),
            format!("ip link add right netns {w} type veth peer name eth0 netns {p}"),
            format!("ip -n {w} link add world type bridge"),
            format!("ip -n {w} link set left master world"),
            format!("ip -n {w} link set right master world"),
            format!("ip -n {w} addr add {WORLD}/24 dev world"),
            format!("ip -n {n} addr add {PUBLIC}/24 dev outer"),
            format!("ip -n {p} addr add 198.51.100.9/24 dev eth0"),
            format!("ip link add eth0 netns {b} type veth peer name inner netns {p}"),
            format!("ip -n {p} addr add 10.88.0.1/24 dev inner"),
            format!("ip -n {b} addr add 10.88.0.2/24 dev eth0"),
        ];
        let links = [
            (&w, "lo"),
            (&w, "left"),
            (&w, "right"),
            (&w, "world"),
            (&n, "outer"),
            (&p, "eth0"),
            (&p, "inner"),
            (&b, "lo"),
            (&b, "eth0"),
        ];
        let up = links.map(|(place, link)| format!("ip -n {place} link set {link} up"));
        let rest = [
            format!("ip -n {b} route add default via 10.88.0.1"),
            format!("ip netns exec {p} sysctl -qw net.ipv4.ip_forward=1"),
        ];
        for step in steps.iter().chain(&up).chain(&rest) {
            let words: Vec<&str> = step.split(' ').collect();
            assert!(run(&words), "{step}");
        }
        assert!(run(&["ip", "netns", "exec", &p, "nft", rules]), "{rules}");
        nat
    }

    fn part(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    fn runs_in(&self, part: &str) -> Vec<String> {
        ["ip", "netns", "exec", &self.part(part)].map(str::to_owned).to_vec()
    }

    /// What runs a program behind the translator of the server.
    pub fn inside(&self) -> Vec<String> {
        self.runs_in("s")
    }

    /// What runs a program in the world, where the browsers are if there is one translator.
    pub fn outside(&self) -> Vec<String> {
        self.runs_in("p")
    }

    /// What runs a program behind the second translator.
    pub fn beyond(&self) -> Vec<String> {
        self.runs_in("b")
    }

    /// What runs a program between both translators.
    pub fn between(&self) -> Vec<String> {
        self.runs_in("w")
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        for part in ["s", "n", "p", "w", "b"] {
            let name = self.part(part);
            if std::path::Path::new("/run/netns").join(&name).exists() {
                run(&["ip", "netns", "del", &name]);
            }
        }
    }
}
