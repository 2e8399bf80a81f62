//! Settings and counters of a stack.

use super::Transport;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One local address that the stack may send from, and how the far side should see it.
#[derive(Debug, Clone)]
pub struct Interface {
    /// Protocol served there.
    pub transport: Transport,
    /// The bound address; it appears as `local` in [`Output::Send`] and must appear as `local` in [`Received`].
    pub local: SocketAddr,
    /// What is written into Via and Contact; `None` writes `local`.
    pub advertised: Option<SocketAddr>,
    /// Networks as address and prefix length (bits) whose peers reach `local` directly: they are told `local`, not
    /// `advertised`.
    pub local_networks: Vec<(IpAddr, u8)>,
}

impl Interface {
    /// An interface that everybody sees under its bound address.
    pub const fn new(transport: Transport, local: SocketAddr) -> Interface {
        Interface {
            transport,
            local,
            advertised: None,
            local_networks: Vec::new(),
        }
    }

    /// The address for Via and Contact of a message to `peer`. An unspecified bound address is never told to anybody
    /// while there is an advertised one.
    pub fn public(&self, peer: IpAddr) -> SocketAddr {
        match self.advertised {
            None => self.local,
            Some(_) if !self.local.ip().is_unspecified() && in_networks(&self.local_networks, peer) => self.local,
            Some(advertised) => advertised,
        }
    }
}

/// True if `ip` is inside one of `networks`, given as address and prefix length. An IPv4 address that is mapped into
/// IPv6 counts as the IPv4 address; a prefix that is longer than the address means the address itself.
pub fn in_networks(networks: &[(IpAddr, u8)], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks
        .iter()
        .any(|(network, prefix)| match (network.to_canonical(), ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(*prefix).min(32);
                (u64::from(network.to_bits()) >> shift) == (u64::from(ip.to_bits()) >> shift)
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let differ = network.to_bits() ^ ip.to_bits();
                differ.leading_zeros() >= u32::from(*prefix).min(128)
            }
            _ => false,
        })
}

/// The three base timers of RFC 3261 §17 (table 4), in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Timers {
    /// Round-trip estimate; 500 ms.
    pub t1: u64,
    /// Longest retransmission interval; 4 s.
    pub t2: u64,
    /// How long a message stays in the network; 5 s.
    pub t4: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            t1: 500_000,
            t2: 4_000_000,
            t4: 5_000_000,
        }
    }
}

/// Everything a stack must know before the first message.
#[derive(Clone)]
pub struct StackConfig {
    /// Secret that keys the hash behind derived identifiers and hash tables. Draw it at random per process.
    pub seed: [u8; 16],
    /// Local addresses; the first of a transport is the default one for it. Must not be empty.
    pub interfaces: Vec<Interface>,
    /// `User-Agent` in requests and `Server` in responses; empty writes none.
    pub product: String,
    /// User part of Contact; `None` writes none.
    pub contact_user: Option<String>,
    /// Base timers.
    pub timers: Timers,
    /// Dialogs and call attempts held at once; a new incoming call beyond this is refused with 503 and Retry-After.
    pub max_dialogs: usize,
    /// Transactions held at once; a new incoming transaction beyond this is refused with 503 and Retry-After.
    pub max_transactions: usize,
    /// Seconds in the Retry-After of refusals.
    pub retry_after: u32,
    /// Session timers (RFC 4028).
    pub session: SessionConfig,
    /// A request that is longer goes by TCP instead of UDP where a TCP interface exists, and by UDP again if that fails
    /// (RFC 3261 §18.1.1). Bytes.
    pub udp_limit: usize,
    /// Methods outside dialogs that the application answers itself, see [`SipEvent::Request`](super::SipEvent::Request);
    /// REGISTER for a registrar. All others are answered by the stack.
    pub outside: Vec<crate::Method>,
    /// Such requests held at once; more are refused with 503 and Retry-After.
    pub max_requests: usize,
}

/// Session timers (RFC 4028).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionConfig {
    /// Seconds that are asked for and accepted at most; 1800.
    pub expires: u32,
    /// Shortest interval that is accepted, in seconds; 90 is the least that the RFC allows.
    pub min_se: u32,
    /// False neither asks for a session interval nor agrees to one.
    pub enabled: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        SessionConfig {
            expires: 1800,
            min_se: 90,
            enabled: true,
        }
    }
}

impl StackConfig {
    /// Defaults for one interface: no product token, RFC timers, 100,000 dialogs and 1,000,000 transactions.
    pub fn new(seed: [u8; 16], interface: Interface) -> StackConfig {
        StackConfig {
            seed,
            interfaces: vec![interface],
            product: String::new(),
            contact_user: None,
            timers: Timers::default(),
            max_dialogs: 100_000,
            max_transactions: 1_000_000,
            retry_after: 5,
            session: SessionConfig::default(),
            udp_limit: 1300,
            outside: Vec::new(),
            max_requests: 10_000,
        }
    }
}

impl fmt::Debug for StackConfig {
    /// Leaves the seed out: whoever knows it can predict tags.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackConfig")
            .field("interfaces", &self.interfaces)
            .field("product", &self.product)
            .finish()
    }
}

/// Digest credentials of a trunk or account. `Debug` shows neither part.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name as the challenger knows it.
    pub username: String,
    /// Shared secret.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// Whether new calls are taken in; see [`Stack::set_overload`](crate::Stack::set_overload).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overload {
    /// Every call is taken in.
    #[default]
    Accept,
    /// New INVITEs outside a dialog get 503 with Retry-After before any state exists; all else goes on.
    Refuse {
        /// Seconds in Retry-After.
        retry_after: u32,
    },
}

/// Sizes and counters, for metrics and for tests that nothing leaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StackStats {
    /// Calls and dialogs held.
    pub dialogs: usize,
    /// Transactions held, those that only absorb repetitions included.
    pub transactions: usize,
    /// Entries of the indexes by which messages find both; several a call.
    pub index_entries: usize,
    /// Datagrams that were dropped because nothing could be answered.
    pub dropped: u64,
    /// Messages repeated by timers.
    pub retransmitted: u64,
    /// Repeated messages received and absorbed.
    pub absorbed: u64,
    /// New calls refused with 503.
    pub refused: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_near_sees_the_bound_address() {
        let mut interface = Interface::new(Transport::Udp, "10.0.0.5:5060".parse().unwrap());
        let sees = |interface: &Interface, peer: &str| interface.public(peer.parse().unwrap()).to_string();
        assert_eq!(sees(&interface, "203.0.113.1"), "10.0.0.5:5060");
        interface.advertised = Some("198.51.100.1:5070".parse().unwrap());
        interface.local_networks = vec![
            ("10.0.0.0".parse().unwrap(), 8),
            ("2001:db8:1::".parse().unwrap(), 48),
            ("192.0.2.7".parse().unwrap(), 32),
        ];
        for (peer, expected) in [
            ("10.255.0.1", "10.0.0.5:5060"),
            ("::ffff:10.1.2.3", "10.0.0.5:5060"),
            ("11.0.0.1", "198.51.100.1:5070"),
            ("192.0.2.7", "10.0.0.5:5060"),
            ("192.0.2.6", "198.51.100.1:5070"),
            ("2001:db8:1:ffff::1", "10.0.0.5:5060"),
            ("2001:db8:2::1", "198.51.100.1:5070"),
        ] {
            assert_eq!(sees(&interface, peer), expected, "{peer}");
        }
        interface.local_networks = vec![("0.0.0.0".parse().unwrap(), 0)];
        assert_eq!(sees(&interface, "203.0.113.1"), "10.0.0.5:5060");
        interface.local.set_ip("0.0.0.0".parse().unwrap());
        assert_eq!(sees(&interface, "203.0.113.1"), "198.51.100.1:5070");
    }
}
