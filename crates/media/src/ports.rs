//! The pool of bound port pairs: taking one costs a lock, binding happens ahead of demand on a thread of its own.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::api::MediaError;

/// Two bound, non-blocking sockets: RTP on an even port and RTCP on the next one.
pub(crate) struct Pair {
    pub(crate) port: u16,
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
}

#[derive(Default)]
struct Inner {
    unbound: VecDeque<u16>,
    ready: VecDeque<Pair>,
    quarantine: VecDeque<(Instant, Pair)>,
    used: usize,
    stopped: bool,
}

/// How many pairs are where.
pub(crate) struct PoolMetrics {
    pub(crate) total: usize,
    pub(crate) used: usize,
    pub(crate) quarantined: usize,
}

pub(crate) struct PortPool {
    bind: IpAddr,
    total: usize,
    keep_ready: usize,
    quarantine: Duration,
    inner: Mutex<Inner>,
    wake: Condvar,
}

/// Ports tried at once: a bind that fails costs a microsecond or two, and another process may hold a long row of ports.
const TRIES: usize = 256;
/// How often the helper looks at the quarantine.
const LOOK: Duration = Duration::from_millis(100);
/// Datagrams read from a socket before it is used again; more than a receive buffer of small packets holds.
const DRAIN: usize = 4096;

impl PortPool {
    pub(crate) fn new(
        bind: IpAddr,
        ports: &RangeInclusive<u16>,
        keep_ready: usize,
        quarantine: Duration,
    ) -> Result<PortPool, MediaError> {
        // The odd port of the last pair must be inside the range as well.
        let unbound: VecDeque<u16> = ports
            .clone()
            .filter(|p| p % 2 == 0 && *p > 0 && ports.contains(&p.saturating_add(1)))
            .collect();
        if unbound.is_empty() {
            let (from, to) = (ports.start(), ports.end());
            return Err(MediaError::Config(format!(
                "ports {from}-{to} hold no pair of an even and an odd port"
            )));
        }
        let total = unbound.len();
        let inner = Mutex::new(Inner {
            unbound,
            ..Inner::default()
        });
        let pool = PortPool {
            bind,
            total,
            keep_ready: keep_ready.min(total),
            quarantine,
            inner,
            wake: Condvar::new(),
        };
        pool.refill();
        Ok(pool)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The pool's state is consistent between any two statements, so a poisoned lock is as good as another.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take a bound pair.
    pub(crate) fn take(&self) -> Result<Pair, MediaError> {
        let ready = {
            let mut inner = self.lock();
            if inner.stopped {
                return Err(MediaError::Stopped);
            }
            if inner.ready.len() * 2 < self.keep_ready {
                self.wake.notify_one();
            }
            let ready = inner.ready.pop_front();
            inner.used += usize::from(ready.is_some());
            ready
        };
        if let Some(pair) = ready {
            return Ok(pair);
        }
        let pair = self.bind_one().ok_or(MediaError::PortsExhausted)?;
        self.lock().used += 1;
        Ok(pair)
    }

    /// Take the first port of a pair out of the pool, for as long as the engine lives.
    pub(crate) fn take_for_good(&self) -> Result<UdpSocket, MediaError> {
        let pair = self.take()?;
        self.lock().used -= 1;
        Ok(pair.rtp)
    }

    /// Give back a pair that was used: it rests in quarantine first.
    pub(crate) fn give_back(&self, pair: Pair) {
        let mut inner = self.lock();
        inner.used = inner.used.saturating_sub(1);
        inner.quarantine.push_back((Instant::now() + self.quarantine, pair));
    }

    /// Give back a pair that no packet was expected on.
    pub(crate) fn give_back_unused(&self, pair: Pair) {
        let mut inner = self.lock();
        inner.used = inner.used.saturating_sub(1);
        inner.ready.push_front(pair);
    }

    pub(crate) fn metrics(&self) -> PoolMetrics {
        let inner = self.lock();
        PoolMetrics {
            total: self.total,
            used: inner.used,
            quarantined: inner.quarantine.len(),
        }
    }

    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.wake.notify_all();
    }

    /// The helper thread's life: bind ahead of demand, release from quarantine. System calls are made without the lock,
    /// because shards wait for it.
    pub(crate) fn run(self: Arc<Self>) {
        loop {
            while let Some((pair, keep)) = self.released() {
                let port = pair.port;
                if keep {
                    drain(&pair.rtp);
                    drain(&pair.rtcp);
                    self.lock().ready.push_back(pair);
                } else {
                    drop(pair);
                    self.lock().unbound.push_back(port);
                }
            }
            self.refill();
            let inner = self.lock();
            if inner.stopped {
                return;
            }
            drop(self.wake.wait_timeout(inner, LOOK));
        }
    }

    /// A pair whose quarantine has ended, and whether it is kept bound: after a peak, descriptors go back to the system.
    fn released(&self) -> Option<(Pair, bool)> {
        let mut inner = self.lock();
        let now = Instant::now();
        inner.quarantine.front().filter(|(until, _)| *until <= now)?;
        let (_, pair) = inner.quarantine.pop_front()?;
        Some((pair, inner.ready.len() < 4 * self.keep_ready.max(16)))
    }

    fn refill(&self) {
        while self.lock().ready.len() < self.keep_ready {
            let Some(pair) = self.bind_one() else { return };
            self.lock().ready.push_back(pair);
        }
    }

    /// Bind the next free pair; a port that somebody else holds goes to the end of the line.
    fn bind_one(&self) -> Option<Pair> {
        for _ in 0..TRIES {
            let port = self.lock().unbound.pop_front()?;
            match bind_pair(self.bind, port) {
                Ok(pair) => return Some(pair),
                Err(_) => self.lock().unbound.push_back(port),
            }
        }
        None
    }
}

fn bind_pair(bind: IpAddr, port: u16) -> std::io::Result<Pair> {
    let rtp = UdpSocket::bind(SocketAddr::new(bind, port))?;
    let rtcp = UdpSocket::bind(SocketAddr::new(bind, port + 1))?;
    rtp.set_nonblocking(true)?;
    rtcp.set_nonblocking(true)?;
    crate::sys::never_fragment(&rtp);
    Ok(Pair { port, rtp, rtcp })
}

fn drain(socket: &UdpSocket) {
    let mut octet = [0u8; 1];
    for _ in 0..DRAIN {
        if socket.recv(&mut octet).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn pairs_are_even_and_odd_and_run_out() {
        let (block, _lock) = crate::testkit::port_block();
        let first = block.start() + 1;
        let pool = PortPool::new(LOOPBACK, &(first..=first + 5), 1, Duration::from_secs(9)).unwrap();
        let a = pool.take().unwrap();
        let b = pool.take().unwrap();
        assert_eq!((a.port % 2, b.port % 2), (0, 0));
        assert_eq!(a.rtcp.local_addr().unwrap().port(), a.port + 1);
        assert!(matches!(pool.take(), Err(MediaError::PortsExhausted)));
        // A used pair rests; one that was never used is ready at once.
        pool.give_back(a);
        assert!(matches!(pool.take(), Err(MediaError::PortsExhausted)));
        let port = b.port;
        pool.give_back_unused(b);
        assert_eq!(pool.take().unwrap().port, port);
    }

    #[test]
    fn after_quarantine_the_pair_is_empty() {
        let (block, _lock) = crate::testkit::port_block();
        let first = *block.start();
        let pool = PortPool::new(LOOPBACK, &(first..=first + 1), 1, Duration::from_millis(1)).unwrap();
        let pool = Arc::new(pool);
        let helper = std::thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.run()
        });
        let pair = pool.take().unwrap();
        let port = pair.port;
        pool.give_back(pair);
        let late = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        late.send_to(b"late", (LOOPBACK, port)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        let again = loop {
            match pool.take() {
                Ok(pair) => break pair,
                Err(_) if Instant::now() < deadline => std::thread::yield_now(),
                Err(e) => panic!("{e}"),
            }
        };
        assert!(
            again.rtp.recv(&mut [0; 16]).is_err(),
            "the late packet reached the next call"
        );
        pool.stop();
        helper.join().unwrap();
    }

    #[test]
    fn ports_that_others_hold_are_passed_over() {
        let (block, _lock) = crate::testkit::port_block();
        let first = *block.start();
        let held: Vec<UdpSocket> = (first..first + 30)
            .step_by(2)
            .map(|port| UdpSocket::bind((LOOPBACK, port)).unwrap())
            .collect();
        let pool = PortPool::new(LOOPBACK, &(first..=first + 31), 1, Duration::ZERO).unwrap();
        assert_eq!(pool.take().unwrap().port, first + 30);
        assert!(matches!(pool.take(), Err(MediaError::PortsExhausted)));
        drop(held);
        assert!(pool.take().is_ok());
    }

    #[test]
    fn a_range_without_a_pair_is_a_configuration_error() {
        assert!(PortPool::new(LOOPBACK, &(19_021..=19_022), 1, Duration::ZERO).is_err());
    }
}
