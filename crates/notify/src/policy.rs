//! Which addresses a tenant's pushes may go to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use strowger_store::config::AddressRange;

/// A tenant's rule: public addresses always, special ones if they are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Special addresses that are allowed.
    pub allowed: Vec<AddressRange>,
}

impl Policy {
    /// True if a connection to `ip` may be made.
    pub fn allows(&self, ip: IpAddr) -> bool {
        !is_special(ip) || self.allowed.iter().any(|range| range.contains(ip))
    }
}

/// True for an address that is not a host on the public network: this host, private and shared networks, link-local
/// ones (where clouds keep their metadata), documentation, multicast and reserved ranges (RFC 6890), and IPv6 forms
/// that carry such an IPv4 address inside.
pub fn is_special(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

fn special_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    a == 0
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18)
        || a >= 224
}

fn special_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let tail = |hi: u16, lo: u16| special_v4(Ipv4Addr::from(u32::from(hi) << 16 | u32::from(lo)));
    match s {
        // Unspecified, loopback, and IPv4-compatible addresses.
        [0, 0, 0, 0, 0, 0, ..] => true,
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) are as good as the address inside.
        [0x64, 0xff9b, 0, 0, 0, 0, hi, lo] => tail(hi, lo),
        [0x64, 0xff9b, ..] => true,
        [0x2002, hi, lo, ..] => tail(hi, lo),
        // Teredo and the other protocol assignments, and documentation.
        [0x2001, b, ..] if b < 0x200 || b == 0xdb8 => true,
        // Discard-only.
        [0x100, 0, 0, 0, ..] => true,
        // Unique-local, link-local, site-local, multicast.
        [a, ..] => a & 0xfe00 == 0xfc00 || a & 0xffc0 == 0xfe80 || a & 0xffc0 == 0xfec0 || a >= 0xff00,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses() {
        for ip in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.5",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "100::1",
        ] {
            assert!(is_special(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "1.1.1.1",
            "100.128.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "2606:4700::1",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert!(!is_special(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn the_list_opens_what_it_names() {
        let policy = Policy {
            allowed: vec!["10.1.0.0/16".parse().unwrap()],
        };
        assert!(policy.allows("10.1.0.9".parse().unwrap()));
        assert!(policy.allows("::ffff:10.1.0.9".parse().unwrap()));
        assert!(!policy.allows("10.2.0.9".parse().unwrap()));
        assert!(policy.allows("1.1.1.1".parse().unwrap()));
    }
}
