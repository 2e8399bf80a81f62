//! Who may speak to us: a token bucket for every source, and bans for sources that guess passwords.
//!
//! A source is an IPv4 address or an IPv6 /64. What is remembered of sources has a fixed size, so a million of them cost
//! what ten cost; the sources that were not heard of for longest make room. Whoever is banned is to be ignored without
//! an answer, so that scanning costs us nothing and tells nothing.

mod sources;

use crate::api::Time;
use crate::keyed::{Keyed, KeyedMap};
use sources::Sources;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

const SECOND: u64 = 1_000_000;

/// An address block such as `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    addr: IpAddr,
    bits: u8,
}

impl Network {
    /// The block of `bits` leading bits around an address; more bits than the address has count as all of them.
    pub fn new(addr: IpAddr, bits: u8) -> Network {
        match canonical(addr) {
            IpAddr::V4(v4) => {
                let bits = bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                Network {
                    addr: Ipv4Addr::from(u32::from(v4) & mask).into(),
                    bits,
                }
            }
            IpAddr::V6(v6) => {
                let bits = bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                Network {
                    addr: Ipv6Addr::from(u128::from(v6) & mask).into(),
                    bits,
                }
            }
        }
    }

    /// What counts as one source: an IPv4 address, or the /64 of an IPv6 address, which one host can have to itself.
    pub fn of_source(addr: IpAddr) -> Network {
        match canonical(addr) {
            v4 @ IpAddr::V4(_) => Network::new(v4, 32),
            v6 @ IpAddr::V6(_) => Network::new(v6, 64),
        }
    }

    /// The first address of the block.
    pub fn address(&self) -> IpAddr {
        self.addr
    }

    /// How many leading bits are the same in all of it.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// True if the address is in the block.
    pub fn contains(&self, addr: IpAddr) -> bool {
        let addr = canonical(addr);
        addr.is_ipv4() == self.addr.is_ipv4() && Network::new(addr, self.bits).addr == self.addr
    }
}

/// An IPv4 address may come as IPv6 from a socket that serves both.
fn canonical(addr: IpAddr) -> IpAddr {
    addr.to_canonical()
}

/// The text is no address block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address or address/bits")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (addr, bits) = match text.split_once('/') {
            Some((addr, bits)) => (addr, Some(bits.parse::<u8>().map_err(|_| NetworkError)?)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| NetworkError)?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        match bits.unwrap_or(most) {
            bits if bits <= most => Ok(Network::new(addr, bits)),
            _ => Err(NetworkError),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.bits)
    }
}

/// The limits of a guard; times in seconds.
#[derive(Debug, Clone)]
pub struct GuardSettings {
    /// Messages a second that one source may send in the long run; 100. 0 sets no limit.
    pub rate: u32,
    /// Messages that it may send at once; 200.
    pub burst: u32,
    /// Failed authentications within [`GuardSettings::failure_window`] that lead to a ban; 10. 0 never bans.
    pub failures: u32,
    /// See [`GuardSettings::failures`]; 60. Windows begin with a failure and do not slide.
    pub failure_window: u32,
    /// Failed authentications within an hour that lead to a ban, for those who guess slowly; 100. 0 sets no limit.
    pub failures_an_hour: u32,
    /// By how much both limits grow for a source from which somebody has authenticated within the last hour: behind one
    /// address there may be an office with one badly configured telephone; 5.
    pub known_factor: u32,
    /// The first ban; 3,600. Each further one of the same source is twice as long.
    pub ban: u32,
    /// The longest ban; 86,400. A ban is remembered for as long after its end, to lengthen the next.
    pub longest_ban: u32,
    /// Sources that are remembered, rounded up to a power of two; 65,536 at 60 bytes each.
    pub max_sources: usize,
    /// Bans that are held; the one that ends first makes room; 16,384.
    pub max_bans: usize,
    /// Networks without limits and bans: trunks, our own proxies.
    pub exempt: Vec<Network>,
}

impl Default for GuardSettings {
    fn default() -> Self {
        GuardSettings {
            rate: 100,
            burst: 200,
            failures: 10,
            failure_window: 60,
            failures_an_hour: 100,
            known_factor: 5,
            ban: 3_600,
            longest_ban: 86_400,
            max_sources: 65_536,
            max_bans: 16_384,
            exempt: Vec::new(),
        }
    }
}

/// Whether a message is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// It is.
    Ok,
    /// The source sends too much: drop the message, or answer 503 with Retry-After before any state exists.
    Limited,
    /// The source is banned: drop the message without an answer, and close its connection.
    Banned,
}

/// A ban as the operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub source: Network,
    /// When it was made.
    pub since: Time,
    /// When it ends.
    pub until: Time,
    /// How many bans the source had within memory, this one included.
    pub count: u32,
    /// True if an operator made it.
    pub manual: bool,
}

/// Rates and bans. It has one owner and reads no clock.
pub struct Guard {
    settings: GuardSettings,
    seed: [u8; 16],
    sources: Sources,
    bans: KeyedMap<u128, Ban>,
    /// Bans by the time at which they are forgotten.
    forget: BTreeSet<(Time, u128)>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({} bans)", self.bans.len())
    }
}

impl Guard {
    /// A guard that knows nobody. `seed` keys its hash tables; draw it at random.
    pub fn new(seed: &[u8; 16], settings: GuardSettings) -> Guard {
        Guard {
            sources: Sources::new(settings.max_sources),
            settings,
            seed: *seed,
            bans: KeyedMap::default(),
            forget: BTreeSet::new(),
        }
    }

    /// Replaces limits and exemptions; what is known of sources stays. The table of sources keeps its size.
    pub fn reconfigure(&mut self, settings: GuardSettings) {
        self.settings = settings;
    }

    fn key(&self, source: Network) -> u128 {
        let keyed = Keyed::new(&self.seed);
        match source.addr {
            IpAddr::V4(v4) => keyed.field(&v4.octets()),
            IpAddr::V6(v6) => keyed.field(&v6.octets()[..8]),
        }
        .finish()
    }

    fn is_exempt(&self, addr: IpAddr) -> bool {
        self.settings.exempt.iter().any(|network| network.contains(addr))
    }

    /// Takes a token for one message of the source. Call it for what makes work: requests outside a dialog, new
    /// connections.
    pub fn admit(&mut self, source: IpAddr, now: Time) -> Admit {
        if self.is_exempt(source) {
            return Admit::Ok;
        }
        let key = self.key(Network::of_source(source));
        if self.bans.get(&key).is_some_and(|ban| ban.until > now) {
            return Admit::Banned;
        }
        let (rate, burst) = (self.settings.rate, self.settings.burst);
        if rate == 0 || self.sources.get(key, now, burst).take(rate, burst, now) {
            Admit::Ok
        } else {
            Admit::Limited
        }
    }

    /// True if the source is banned now. Takes no token: for messages inside a dialog and for keep-alives.
    pub fn is_banned(&self, source: IpAddr, now: Time) -> bool {
        let key = self.key(Network::of_source(source));
        !self.is_exempt(source) && self.bans.get(&key).is_some_and(|ban| ban.until > now)
    }

    /// A request of the source carried wrong credentials; one without credentials does not count. Returns the ban if
    /// this was one too many.
    pub fn failed(&mut self, source: IpAddr, now: Time) -> Option<Ban> {
        if self.is_exempt(source) || self.settings.failures == 0 {
            return None;
        }
        let network = Network::of_source(source);
        let key = self.key(network);
        let entry = self.sources.get(key, now, self.settings.burst);
        if !entry.fail(&self.settings, now) {
            return None;
        }
        entry.forgive();
        let count = self.bans.get(&key).map_or(0, |ban| ban.count);
        let seconds = u64::from(self.settings.ban)
            .saturating_mul(1 << count.min(30))
            .min(u64::from(self.settings.longest_ban));
        let ban = Ban {
            source: network,
            since: now,
            until: now.plus(seconds * SECOND),
            count: count.saturating_add(1),
            manual: false,
        };
        self.hold(key, ban, now);
        Some(ban)
    }

    /// Somebody authenticated from the source.
    pub fn succeeded(&mut self, source: IpAddr, now: Time) {
        if !self.is_exempt(source) {
            let key = self.key(Network::of_source(source));
            self.sources.get(key, now, self.settings.burst).succeed(now);
        }
    }

    /// Bans a source by hand, `seconds` long from now. An exempt source stays exempt.
    pub fn ban(&mut self, source: IpAddr, seconds: u32, now: Time) -> Ban {
        let network = Network::of_source(source);
        let key = self.key(network);
        let count = self.bans.get(&key).map_or(0, |ban| ban.count);
        let ban = Ban {
            source: network,
            since: now,
            until: now.plus(u64::from(seconds) * SECOND),
            count: count.saturating_add(1),
            manual: true,
        };
        self.hold(key, ban, now);
        ban
    }

    /// Lifts a ban and forgets its history; `false` if there was none.
    pub fn unban(&mut self, source: IpAddr, now: Time) -> bool {
        let key = self.key(Network::of_source(source));
        self.sources.get(key, now, self.settings.burst).forgive();
        match self.bans.remove(&key) {
            Some(ban) => {
                self.forget.remove(&(self.memory(&ban), key));
                ban.until > now
            }
            None => false,
        }
    }

    /// The bans in force, the newest first.
    pub fn list(&self, now: Time) -> Vec<Ban> {
        let mut bans: Vec<Ban> = self.bans.values().filter(|ban| ban.until > now).copied().collect();
        bans.sort_by_key(|ban| (std::cmp::Reverse(ban.since), ban.source));
        bans
    }

    /// Bans held, those in memory only included: never more than [`GuardSettings::max_bans`].
    pub fn held(&self) -> usize {
        self.bans.len()
    }

    fn memory(&self, ban: &Ban) -> Time {
        // Computed from the ban alone, so that it can be found again; a changed setting only leaves an entry that is
        // swept when its time comes.
        ban.until.plus(ban.until.since(ban.since).max(3_600 * SECOND))
    }

    fn hold(&mut self, key: u128, ban: Ban, now: Time) {
        while let Some((at, old)) = self.forget.first().copied().filter(|(at, _)| *at <= now) {
            self.forget.remove(&(at, old));
            self.bans.remove(&old);
        }
        if let Some(old) = self.bans.remove(&key) {
            self.forget.remove(&(self.memory(&old), key));
        }
        while self.bans.len() >= self.settings.max_bans.max(1) {
            let Some((_, oldest)) = self.forget.pop_first() else {
                break;
            };
            self.bans.remove(&oldest);
        }
        self.forget.insert((self.memory(&ban), key));
        self.bans.insert(key, ban);
    }
}

#[cfg(test)]
mod tests;
