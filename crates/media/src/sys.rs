//! The few system calls that the standard library does not offer. All `unsafe` code of the crate is here.
//!
//! Every function checks the system's answer; descriptors are owned and closed on drop.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::api::Scheduling;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// An epoll instance.
pub(crate) struct Epoll {
    fd: OwnedFd,
}

/// Room for what one wait returns.
pub(crate) type EpollEvents = Vec<libc::epoll_event>;

pub(crate) fn epoll_events(capacity: usize) -> EpollEvents {
    vec![libc::epoll_event { events: 0, u64: 0 }; capacity]
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers; the returned descriptor is new and owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Epoll { fd })
    }

    /// Watch a descriptor for input. Level-triggered: a call's socket nearly always holds exactly one packet, so one
    /// receive per wake-up is enough, where edge-triggered watching would need a second one that finds nothing.
    pub(crate) fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: token,
        };
        // SAFETY: `event` lives for the duration of the call; both descriptors are open.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) }).map(drop)
    }

    /// Stop watching.
    pub(crate) fn remove(&self, fd: RawFd) -> io::Result<()> {
        // SAFETY: a null event is allowed for removal since Linux 2.6.9.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) }).map(drop)
    }

    /// Wait up to `timeout_ms` and return how many of `events` were filled; an interrupted wait counts as none.
    pub(crate) fn wait(&self, events: &mut EpollEvents, timeout_ms: i32) -> usize {
        let capacity = i32::try_from(events.len()).unwrap_or(i32::MAX);
        // SAFETY: the pointer and the capacity describe the vector's initialised elements.
        let n = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), events.as_mut_ptr(), capacity, timeout_ms) };
        usize::try_from(n).unwrap_or(0)
    }
}

/// Wakes a shard out of its wait.
pub(crate) struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    pub(crate) fn new() -> io::Result<EventFd> {
        // SAFETY: no pointers; the returned descriptor is new and owned by nobody else.
        let fd = unsafe { check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))? };
        // SAFETY: as above.
        Ok(EventFd {
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
        })
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Wake. The only possible failure is a counter that is full, which means awake already.
    pub(crate) fn signal(&self) {
        let one = 1u64;
        // SAFETY: the pointer describes 8 readable octets.
        unsafe { libc::write(self.fd.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Take back all wake-ups so far.
    pub(crate) fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: the pointer describes 8 writable octets.
        unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

/// Send with the "don't fragment" bit and without path MTU discovery: audio packets are far smaller than any MTU, and the
/// kernel then spends nothing on choosing an IP identification (3 % of relaying). No effect on IPv6; a refusal costs only
/// that.
pub(crate) fn never_fragment(socket: &std::net::UdpSocket) {
    let probe = libc::IP_PMTUDISC_PROBE;
    // SAFETY: the pointer and the length describe one integer.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            (&raw const probe).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

/// Ask for large buffers of a socket that many legs share. The system gives at most its own limit
/// (`net.core.rmem_max`); what does not fit is lost, as in any network.
pub(crate) fn enlarge_buffers(socket: &std::net::UdpSocket) {
    let size: libc::c_int = 4 << 20;
    for option in [libc::SO_RCVBUF, libc::SO_SNDBUF] {
        // SAFETY: the pointer and the length describe one integer.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const size).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }
}

const FIFO_PRIORITY: i32 = 10;
const NICE: i32 = -15;

/// Ask for real-time scheduling of the calling thread, else for a negative nice value; returns what was granted.
pub(crate) fn request_scheduling() -> Scheduling {
    // SAFETY: the parameter structure is plain integers, for which zero is a valid value.
    let mut parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    parameter.sched_priority = FIFO_PRIORITY;
    // SAFETY: 0 names the calling thread; the pointer is valid for the call.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &parameter) } == 0 {
        return Scheduling::Fifo(FIFO_PRIORITY);
    }
    if request_nice(NICE) {
        return Scheduling::Nice(NICE);
    }
    Scheduling::Normal
}

/// Ask for a nice value of the calling thread; false when the system refuses.
pub(crate) fn request_nice(nice: i32) -> bool {
    // SAFETY: no pointers; 0 names the calling thread on Linux.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) == 0 }
}

/// Let timers of the calling thread expire on time instead of up to 50 µs later (no effect under `SCHED_FIFO`).
pub(crate) fn reduce_timer_slack() {
    // SAFETY: this operation takes one integer.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize) };
}

/// Pin the calling thread to one processor; false when the system refuses.
pub(crate) fn pin_to(processor: usize) -> bool {
    if processor >= 8 * size_of::<libc::cpu_set_t>() {
        return false;
    }
    // SAFETY: a CPU set is a bit mask, for which zero is a valid value; the index is within it, see above.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) == 0
    }
}

/// Raise the soft limit of open descriptors to the hard limit and return it.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointers are valid for the calls.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return 0;
        }
        let raised = libc::rlimit {
            rlim_cur: limit.rlim_max,
            rlim_max: limit.rlim_max,
        };
        if limit.rlim_cur < limit.rlim_max && libc::setrlimit(libc::RLIMIT_NOFILE, &raised) == 0 {
            return raised.rlim_cur;
        }
    }
    limit.rlim_cur
}
