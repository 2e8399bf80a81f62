//! A shard: one thread that owns sockets, legs and timers of its calls.
//!
//! The loop waits for packets, commands and the next due millisecond; handles what came; then runs what is due. Frames of
//! a call fall on one of 20 milliseconds (its phase), so that the work of many calls is spread evenly.

mod call;
mod coding;
mod digits;
mod leg;
mod link;
mod listening;
mod packet;
mod play;
mod quality;
mod shared;
mod tick;
mod video;

pub(crate) use shared::SharedPort;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use self::call::{Call, Recording};
use self::leg::{Configured, Leg, Legs};
use crate::api::{CallKey, Command, Config, Event, EventSink, LegConfig, RecordSpec, Scheduling};
use crate::latch::Latch;
use crate::ports::{Pair, PortPool};
use crate::queue::{LINGER, Message, Queue};
use crate::record::{Finishing, Recordings};
use crate::sys::{self, Epoll};

/// Length of a frame in ms.
const FRAME_PERIOD: u64 = 20;
/// Period in ms of the work that is not urgent: inactivity, digits without an end, reports.
const SLOW_PERIOD: u64 = 200;
/// Events taken by one wait. Small enough that due frames do not wait long behind packets.
const EVENTS: usize = 128;
const WAKE: u64 = u64::MAX;
const SHARED: u64 = u64::MAX - 1;
/// Largest datagram that is looked at: RTP audio stays below an Ethernet frame.
const MAX_DATAGRAM: usize = 2048;

/// What a shard is made of.
pub(crate) struct ShardParts {
    pub(crate) config: Arc<Config>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) sink: Arc<dyn EventSink>,
    pub(crate) pool: Arc<PortPool>,
    pub(crate) recordings: Recordings,
    /// The port of WebRTC legs, unless that is off.
    pub(crate) shared: Option<SharedPort>,
    pub(crate) processor: Option<usize>,
}

pub(crate) struct Shard {
    parts: ShardParts,
    epoll: Epoll,
    epoch: Instant,
    /// NTP time (32.32) at `epoch`.
    ntp_epoch: u64,
    legs: Legs,
    calls: HashMap<CallKey, Call>,
    /// Calls that make frames, by phase; all calls, by slow phase.
    fast: Vec<Vec<CallKey>>,
    slow: Vec<Vec<CallKey>>,
    /// The next millisecond to run.
    next_ms: u64,
    finishing: VecDeque<Finishing>,
    random: RandomState,
    random_count: u64,
    cname: String,
    board: shared::Switchboard,
    buffer: Box<[u8; MAX_DATAGRAM]>,
    /// Where transcoded payloads and reports are built.
    scratch: Vec<u8>,
}

impl Shard {
    pub(crate) fn new(parts: ShardParts) -> io::Result<Shard> {
        let epoll = Epoll::new()?;
        epoll.add(parts.queue.wake.raw(), WAKE)?;
        if let Some(port) = &parts.shared {
            epoll.add(port.socket.as_raw_fd(), SHARED)?;
        }
        let random = RandomState::new();
        let unix = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        // NTP counts from 1900.
        let seconds = (unix.as_secs() + 2_208_988_800) << 32;
        let cname = format!("{:016x}@strowger", random.hash_one(0u64));
        Ok(Shard {
            parts,
            epoll,
            epoch: Instant::now(),
            ntp_epoch: seconds | ((u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000),
            legs: Legs::default(),
            calls: HashMap::new(),
            fast: vec![Vec::new(); FRAME_PERIOD as usize],
            slow: vec![Vec::new(); SLOW_PERIOD as usize],
            next_ms: 0,
            finishing: VecDeque::new(),
            random,
            random_count: 0,
            cname,
            board: shared::Switchboard::default(),
            buffer: Box::new([0; MAX_DATAGRAM]),
            scratch: Vec::with_capacity(MAX_DATAGRAM),
        })
    }

    /// Microseconds of the shard's own monotonic clock.
    fn now(&self) -> u64 {
        self.epoch.elapsed().as_micros() as u64
    }

    fn ntp(&self, now: u64) -> u64 {
        self.ntp_epoch
            .wrapping_add(((u128::from(now) << 32) / 1_000_000) as u64)
    }

    /// Unpredictable starting values (RFC 3550 sections 5.1 and 8).
    fn random(&mut self) -> u64 {
        self.random_count += 1;
        self.random.hash_one(self.random_count)
    }

    /// The thread's life.
    pub(crate) fn run(mut self) {
        self.prepare_thread();
        let queue = Arc::clone(&self.parts.queue);
        let mut events = sys::epoll_events(EVENTS);
        let mut messages = VecDeque::new();
        let mut began = 0;
        // Commands have come, and more are looked for without a wake-up until `look_at`.
        let (mut lingers, mut look_at) = (false, 0);
        loop {
            let timeout = match self.timeout() {
                due @ (0 | 1) => due,
                _ if lingers => 1,
                due => due,
            };
            let ready = self.epoll.wait(&mut events, timeout);
            let (mut woken, mut packets) = (false, false);
            for event in &events[..ready] {
                match event.u64 {
                    WAKE => woken = true,
                    SHARED => {
                        packets = true;
                        self.on_shared();
                    }
                    token => {
                        packets = true;
                        let (slot, generation) = ((token & 0xFFFF_FFFF) as u32 >> 1, (token >> 32) as u32);
                        if token & 1 == 0 {
                            self.on_rtp(slot, generation)
                        } else {
                            self.on_rtcp(slot, generation)
                        }
                    }
                }
            }
            if woken {
                queue.wake.clear();
            }
            if woken || queue.is_pending() || (lingers && self.now() >= look_at) {
                let stop = queue.take(&mut messages);
                lingers = !messages.is_empty();
                look_at = self.now() + LINGER.as_micros() as u64;
                for (call, message) in messages.drain(..) {
                    self.on_message(call, message);
                }
                if stop {
                    break;
                }
            }
            self.run_timers();
            self.run_due();
            // Commands need no rest: their senders gather them by themselves.
            if packets {
                began = self.rest(began);
            }
        }
        let calls: Vec<CallKey> = self.calls.keys().copied().collect();
        for call in calls {
            self.close_call(call);
        }
        for finishing in self.finishing.drain(..) {
            finishing.wait(&self.parts.recordings);
        }
    }

    /// After a round that began at `began`: rest until the coalescing time is over, so that packets that come close
    /// together share a wake-up. Returns the beginning of the next round.
    fn rest(&self, began: u64) -> u64 {
        let coalesce = self.parts.config.coalesce.as_micros() as u64;
        let now = self.now();
        let passed = now.saturating_sub(began);
        if passed >= coalesce {
            return now;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the shard's own thread rests for less than a packet's jitter"
        )]
        std::thread::sleep(Duration::from_micros(coalesce - passed));
        self.now()
    }

    fn prepare_thread(&self) {
        let processor = self.parts.processor.filter(|&p| {
            let pinned = sys::pin_to(p);
            if !pinned {
                tracing::warn!(processor = p, "a media shard could not be pinned to its processor");
            }
            pinned
        });
        sys::reduce_timer_slack();
        let scheduling = if self.parts.config.realtime {
            sys::request_scheduling()
        } else {
            Scheduling::Normal
        };
        self.parts.queue.counters.set_scheduling(scheduling, processor);
        match scheduling {
            Scheduling::Normal if self.parts.config.realtime => tracing::warn!(
                "a media shard runs at normal priority: grant CAP_SYS_NICE, else audio is delayed under load"
            ),
            scheduling => tracing::info!(?scheduling, ?processor, "media shard started"),
        }
    }

    /// Milliseconds until something is due; at most one frame, which also bounds how long a finishing recording waits.
    fn timeout(&self) -> i32 {
        let Some(at) = self.board.next() else {
            return self.frame_timeout();
        };
        let until = at.saturating_sub(self.now()).div_ceil(1000) as i32;
        match self.frame_timeout() {
            // Deadlines are left of calls that are over.
            -1 => until,
            frame => frame.min(until),
        }
    }

    fn frame_timeout(&self) -> i32 {
        let now = self.now();
        for ms in self.next_ms..self.next_ms + FRAME_PERIOD {
            let due = !self.fast[(ms % FRAME_PERIOD) as usize].is_empty()
                || !self.slow[(ms % SLOW_PERIOD) as usize].is_empty();
            if due {
                return (ms * 1000).saturating_sub(now).div_ceil(1000) as i32;
            }
        }
        if !self.calls.is_empty() || !self.finishing.is_empty() {
            FRAME_PERIOD as i32
        } else if self.parts.queue.may_sleep() {
            -1
        } else {
            0
        }
    }

    /// Run the milliseconds that have come. After a long absence each phase is run once; the calls themselves know how
    /// many frames they owe.
    fn run_due(&mut self) {
        let ms_now = self.now() / 1000;
        if ms_now < self.next_ms {
            return;
        }
        let from = self.next_ms.max((ms_now + 1).saturating_sub(SLOW_PERIOD));
        self.next_ms = ms_now + 1;
        for ms in from..=ms_now {
            if ms + FRAME_PERIOD > ms_now {
                self.run_frames(ms);
            }
            self.run_slow(ms);
        }
        if !self.finishing.is_empty() {
            let recordings = &self.parts.recordings;
            self.finishing = self.finishing.drain(..).filter_map(|f| f.retry(recordings)).collect();
        }
    }

    fn on_message(&mut self, call: CallKey, message: Message) {
        match message {
            Message::Open { leg, pair } => self.open_leg(call, leg, Some(pair)),
            Message::OpenShared { leg } => {
                if self.calls.get(&call).is_none_or(|c| c.slot(leg).is_none()) {
                    self.open_leg(call, leg, None);
                }
            }
            Message::Command(command) => self.on_command(call, command),
        }
    }

    fn on_command(&mut self, key: CallKey, command: Command) {
        let Some(call) = self.calls.get_mut(&key) else {
            // Normal when commands cross the end of a call.
            tracing::debug!("a media command for a call that is not open");
            return;
        };
        match command {
            Command::Configure { leg, config } => self.configure(key, leg, config),
            Command::Video { leg, video } => self.configure_video(key, leg, video),
            Command::Layout(layout) => {
                call.set_layout(layout);
                self.replan(key);
            }
            Command::SendDtmf {
                leg,
                digits,
                duration_ms,
            } => {
                self.send_dtmf(key, leg, &digits, duration_ms);
            }
            Command::DigitsBy { leg, by } => self.digits_by(key, leg, by),
            Command::Pressed {
                leg,
                digit,
                duration_ms,
            } => self.on_signalled(key, leg, digit, duration_ms),
            Command::Listen { leg, listen } => self.listen(key, leg, listen),
            Command::Record(spec) => self.record(key, spec),
            Command::StopRecord => {
                self.stop_recording(key);
                self.replan(key);
            }
            Command::Tap(tap) => {
                call.tap = Some(tap);
                self.replan(key);
            }
            Command::CloseLeg { leg } => {
                self.close_leg(key, leg);
                if self.calls.get(&key).is_some_and(|c| c.legs.is_empty()) {
                    self.close_call(key);
                } else {
                    self.replan(key);
                }
            }
            Command::CloseCall => self.close_call(key),
        }
    }

    fn open_leg(&mut self, key: CallKey, number: u16, pair: Option<Pair>) {
        let random = [self.random(), self.random()];
        let now = self.now();
        if !self.calls.contains_key(&key) {
            let slow_phase = random[1] % SLOW_PERIOD;
            let call = Call::new(key, random[0] % FRAME_PERIOD, slow_phase);
            if self.calls.is_empty() {
                // Nothing was due while there were no calls.
                self.next_ms = now / 1000;
            }
            self.slow[slow_phase as usize].push(key);
            self.calls.insert(key, call);
        }
        let open = self.calls.get(&key).and_then(|c| c.slot(number));
        // A leg of the shared port gets a pair besides: it may ring at a telephone too.
        if let Some(slot) = open.filter(|&slot| self.legs.get(slot).is_some_and(|l| l.pair.is_none())) {
            if let (Some(pair), Some(leg)) = (pair, self.legs.get_mut(slot)) {
                leg.pair = Some(pair);
                self.watch(slot);
            }
            return;
        }
        self.close_leg(key, number);
        let (slot, _) = self.legs.insert(Leg::new(key, number, pair, now, random));
        self.watch(slot);
        if let Some(call) = self.calls.get_mut(&key) {
            call.legs.push((number, slot));
        }
        self.count();
    }

    /// Watches the sockets of a leg, if it has any.
    fn watch(&self, slot: u32) {
        let Some(pair) = self.legs.get(slot).and_then(|l| l.pair.as_ref()) else {
            return;
        };
        let token = u64::from(self.legs.generation(slot)) << 32 | u64::from(slot) << 1;
        let watched = self
            .epoll
            .add(pair.rtp.as_raw_fd(), token)
            .and_then(|()| self.epoll.add(pair.rtcp.as_raw_fd(), token | 1));
        if let Err(error) = watched {
            tracing::error!(%error, "the sockets of a media leg cannot be watched; it will be silent");
        }
    }

    fn count(&self) {
        let counters = &self.parts.queue.counters;
        counters.calls.store(self.calls.len() as u64, Relaxed);
        counters.legs.store(self.legs.len() as u64, Relaxed);
    }

    fn configure(&mut self, key: CallKey, number: u16, config: LegConfig) {
        let now = self.now();
        let spread = self.random() % 1_000;
        let interval = self.parts.config.rtcp_interval.as_micros() as u64;
        let Some(leg) = self
            .calls
            .get(&key)
            .and_then(|c| c.slot(number))
            .and_then(|s| self.legs.get_mut(s))
        else {
            tracing::warn!(leg = number, "a configuration for a media leg that is not open");
            return;
        };
        let latch = match leg.configured.take() {
            Some(before) => {
                let mut latch = before.latch;
                latch.reconfigure(config.remote, now);
                latch
            }
            None => {
                // The first report comes after half an interval to a whole one (RFC 3550 section 6.2).
                leg.reports.due = now + interval / 2 + interval / 2 * spread / 1_000;
                Latch::new(config.remote)
            }
        };
        let security = config.security.clone();
        let configured = Configured::new(config, latch, now);
        leg.dtmf_in.set_clock(configured.dtmf_clock);
        leg.configured = Some(configured);
        if let Some(slot) = self.calls.get(&key).and_then(|c| c.slot(number)) {
            self.secure(slot, &security);
        }
        self.start_waiting_recording(key);
        self.replan(key);
    }

    fn record(&mut self, key: CallKey, spec: RecordSpec) {
        if let Some(call) = self.calls.get_mut(&key)
            && let Recording::Running {
                id,
                left,
                hide_digits,
                pause,
                ..
            } = &mut call.recording
            && *id == spec.id
        {
            (*left, *hide_digits, *pause) = (spec.left, spec.hide_digits, spec.pause);
            self.replan(key);
            return;
        }
        let same = |r: &Recording| matches!(r, Recording::Waiting(waiting) if waiting.id == spec.id);
        if !self.calls.get(&key).is_some_and(|call| same(&call.recording)) {
            self.stop_recording(key);
        }
        if let Some(call) = self.calls.get_mut(&key) {
            call.recording = Recording::Waiting(spec);
        }
        self.start_waiting_recording(key);
        self.replan(key);
    }

    /// Start the recording that waits for its left leg, if that leg is configured now.
    fn start_waiting_recording(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Recording::Waiting(spec) = &call.recording else {
            return;
        };
        let left = spec.left;
        let Some(configured) = call
            .slot(left)
            .and_then(|s| self.legs.get(s))
            .and_then(|l| l.configured.as_ref())
        else {
            return;
        };
        let id = spec.id;
        let error = if configured.coded.is_none() {
            "the leg's codec cannot be decoded"
        } else if let Some(recorder) = self.parts.recordings.begin(key, spec) {
            call.recording = Recording::Running {
                id,
                recorder,
                left,
                hide_digits: spec.hide_digits,
                pause: spec.pause,
            };
            return;
        } else {
            "the file stem is not a plain file name"
        };
        call.recording = Recording::None;
        self.recording_failed(key, id, error);
    }

    fn recording_failed(&self, key: CallKey, id: u128, error: &str) {
        let event = Event::RecordingFinished {
            id,
            path: std::path::PathBuf::new(),
            millis: 0,
            bytes: 0,
            sha256: None,
            silenced_ms: 0,
            error: Some(error.to_owned()),
        };
        self.parts.sink.event(key, event);
    }

    fn stop_recording(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        match std::mem::replace(&mut call.recording, Recording::None) {
            Recording::None => {}
            Recording::Waiting(spec) => self.recording_failed(key, spec.id, "the leg was never connected"),
            Recording::Running { recorder, .. } => self.finishing.extend(recorder.finish()),
        }
    }

    /// Derive the plan anew and start or stop making frames.
    fn replan(&mut self, key: CallKey) {
        let now_ms = self.now() / 1000;
        let Some(call) = self.calls.get_mut(&key) else { return };
        let frames = call.plan(&mut self.legs, &self.parts.config, &self.parts.sink);
        let list = &mut self.fast[call.phase as usize];
        match (frames, call.last_frame) {
            (true, None) => {
                // The frame that falls on the present millisecond or before it belongs to the past.
                call.last_frame = Some((now_ms + FRAME_PERIOD - call.phase) / FRAME_PERIOD);
                list.push(key);
            }
            (false, Some(_)) => {
                call.last_frame = None;
                list.retain(|k| *k != key);
            }
            _ => {}
        }
        self.ask_for_pictures(key);
    }

    fn close_leg(&mut self, key: CallKey, number: u16) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(at) = call.legs.iter().position(|l| l.0 == number) else {
            return;
        };
        let (_, slot) = call.legs.swap_remove(at);
        // No other leg may relay to the slot once it belongs to somebody else.
        if let Some(call) = self.calls.get(&key) {
            for &(_, other) in &call.legs {
                if let Some(leg) = self.legs.get_mut(other) {
                    leg.routes.retain(|r| r.target != slot);
                }
            }
        }
        self.assess(slot, true);
        self.send_report(slot, true);
        self.unshare(slot);
        let Some(leg) = self.legs.remove(slot) else { return };
        let stats = leg.totals();
        if let Some(pair) = leg.pair {
            // Failure would mean that it was never watched; either way no event comes from it any more.
            let _ = self.epoll.remove(pair.rtp.as_raw_fd());
            let _ = self.epoll.remove(pair.rtcp.as_raw_fd());
            self.parts.pool.give_back(pair);
        }
        self.parts.sink.event(key, Event::LegClosed { leg: number, stats });
        self.count();
    }

    fn close_call(&mut self, key: CallKey) {
        self.stop_recording(key);
        let Some(call) = self.calls.get(&key) else { return };
        let numbers: Vec<u16> = call.legs.iter().map(|l| l.0).collect();
        for number in numbers {
            self.close_leg(key, number);
        }
        if let Some(call) = self.calls.remove(&key) {
            self.slow[call.slow_phase as usize].retain(|k| *k != key);
            if call.last_frame.is_some() {
                self.fast[call.phase as usize].retain(|k| *k != key);
            }
        }
        self.count();
    }
}
