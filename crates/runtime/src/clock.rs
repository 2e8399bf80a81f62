//! The clock of a conversation: wall time once, then monotonic time (domain-model I30).

use strowger_core::Stamp;
use tokio::time::Instant;

/// One conversation's clock. A step of the wall clock during a call does not reach it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Stamp,
    started: Instant,
}

impl Clock {
    /// Starts a clock at the present wall time.
    pub fn start() -> Clock {
        Clock::at(wall_now())
    }

    /// Starts a clock at a given wall time.
    pub fn at(wall: Stamp) -> Clock {
        Clock {
            wall,
            started: Instant::now(),
        }
    }

    /// Now.
    pub fn now(&self) -> Stamp {
        self.wall.plus_ms(self.started.elapsed().as_millis() as u64)
    }

    /// The monotonic moment of a stamp of this clock.
    pub fn instant(&self, stamp: Stamp) -> Instant {
        self.started + std::time::Duration::from_millis(stamp.ms_since(self.wall))
    }
}

/// The wall time.
pub fn wall_now() -> Stamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Stamp(since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    // accept: domain-model I30
    #[tokio::test(start_paused = true)]
    async fn stamps_follow_monotonic_time_whatever_the_wall_clock_does() {
        let wall = Stamp(1_000_000);
        let clock = Clock::at(wall);
        tokio::time::advance(std::time::Duration::from_secs(90)).await;
        // The wall clock of the machine has nothing to do with 1970; only the start and the elapsed time count.
        assert_eq!(clock.now(), wall.plus_secs(90));
        assert_eq!(clock.instant(clock.now()), Instant::now());
    }
}
