//! The address that far sides are told: the configured one until another one is found.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::secure::LocalCandidate;

/// Read by the media loop without waiting for anybody.
#[derive(Debug)]
pub(crate) struct Advertised {
    configured: IpAddr,
    /// An IPv4 address; 0 is none. Translators that move are those of IPv4.
    found: AtomicU32,
}

impl Advertised {
    pub(crate) fn new(configured: IpAddr) -> Advertised {
        Advertised {
            configured,
            found: AtomicU32::new(0),
        }
    }

    pub(crate) fn get(&self) -> IpAddr {
        match self.found.load(Ordering::Relaxed) {
            0 => self.configured,
            bits => Ipv4Addr::from_bits(bits).into(),
        }
    }

    /// Without effect where the configured address is one of IPv6.
    pub(crate) fn set(&self, found: Ipv4Addr) {
        if self.configured.is_ipv4() {
            self.found.store(found.to_bits(), Ordering::Relaxed);
        }
    }

    /// What browsers are told of a socket of ours.
    pub(crate) fn candidates(&self, local: SocketAddr, full_ice: bool) -> Vec<LocalCandidate> {
        let advertised = SocketAddr::new(self.get(), local.port());
        // Browsers of the same network may come to the address itself.
        let behind = !local.ip().is_unspecified() && local.ip() != advertised.ip();
        let mut candidates = Vec::with_capacity(2);
        if behind {
            candidates.push(LocalCandidate {
                address: local,
                base: None,
            });
        }
        candidates.push(LocalCandidate {
            address: advertised,
            base: (behind && full_ice).then_some(local),
        });
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_found_takes_the_place_of_the_configured_one() {
        let advertised = Advertised::new("192.0.2.1".parse().unwrap());
        let local: SocketAddr = "10.0.0.1:20000".parse().unwrap();
        let told = |a: &Advertised| a.candidates(local, true).iter().map(|c| c.address).collect::<Vec<_>>();
        assert_eq!(told(&advertised), [local, "192.0.2.1:20000".parse().unwrap()]);
        advertised.set(Ipv4Addr::new(198, 51, 100, 7));
        assert_eq!(told(&advertised), [local, "198.51.100.7:20000".parse().unwrap()]);
        // No translator is left: one candidate.
        advertised.set(Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(told(&advertised), [local]);
        let sixth = Advertised::new("2001:db8::1".parse().unwrap());
        sixth.set(Ipv4Addr::new(198, 51, 100, 7));
        assert_eq!(sixth.get(), "2001:db8::1".parse::<IpAddr>().unwrap());
    }
}
