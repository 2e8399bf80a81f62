//! How many relayed G.711 calls one core carries: loss, added delay, processor time and memory per call.
//!
//! ```text
//! relaybench --calls 1000,1500,2000                     this engine, one shard on processor 0
//! relaybench --calls 200,400 --codec opus               the second party speaks another codec
//! relaybench --calls 500,1000,1500 --mixed              two calls make a conference of four
//! relaybench --calls 300,600 --webrtc                    both parties are browsers: ICE, DTLS and SRTP
//! relaybench --calls 1000 --record                       every call recorded
//! relaybench --calls 1000 --rtpengine 127.0.0.1:2223 --pid 4711      another relay, set up by its ng protocol; --codec too
//! relaybench --calls 1000 --addresses FILE [--pid 4711]              any relay: a line a call, "IP:PORT IP:PORT"
//! ```
//!
//! Both parties of every call send 50 packets a second from processor 1, evenly spread in time. The delay runs from
//! before the sending system call to the kernel's time stamp of the relayed packet, so that it holds nothing of how late
//! the generator looks at it. With another codec and in conferences payloads do not come back as they were sent: the columns
//! of the delay then hold how far the distance of two packets of a stream is from 20 ms. For `--addresses` the far side must be set up for the generator's sockets,
//! 127.0.0.1:39000 (first address of a line) and 127.0.0.1:39002 (second).

mod generator;
mod ng;
mod web;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use generator::{Generator, Outcome};
use strowger_media::*;
use strowger_media_core::codec::Kind;

/// Events do not matter here.
struct Ignore;

impl EventSink for Ignore {
    fn event(&self, _: CallKey, _: Event) {}
}

struct Options {
    calls: Vec<usize>,
    seconds: u64,
    record: bool,
    prompts: bool,
    second: Kind,
    mixed: bool,
    webrtc: bool,
    realtime: bool,
    coalesce_us: u64,
    rtpengine: Option<SocketAddr>,
    addresses: Option<String>,
    pid: Option<u32>,
}

fn options() -> Result<Options, String> {
    let mut o = Options {
        calls: vec![500],
        seconds: 10,
        record: false,
        prompts: false,
        second: Kind::Pcma,
        mixed: false,
        webrtc: false,
        realtime: true,
        coalesce_us: 200,
        rtpengine: None,
        addresses: None,
        pid: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
        let bad = |e: &dyn std::fmt::Display| format!("{name}: {e}");
        match name.as_str() {
            "--calls" => {
                let list: Result<_, _> = value()?.split(',').map(str::parse).collect();
                o.calls = list.map_err(|e| bad(&e))?;
            }
            "--seconds" => o.seconds = value()?.parse().map_err(|e| bad(&e))?,
            "--record" => o.record = true,
            "--prompts" => o.prompts = true,
            "--transcode" => o.second = Kind::Pcmu,
            "--codec" => {
                let name = value()?;
                let kind = Kind::ALL.into_iter().find(|k| k.name().eq_ignore_ascii_case(&name));
                o.second = kind.ok_or(format!("{name} is no codec here"))?;
            }
            "--mixed" => o.mixed = true,
            "--webrtc" => o.webrtc = true,
            "--coalesce-us" => o.coalesce_us = value()?.parse().map_err(|e| bad(&e))?,
            "--normal-priority" => o.realtime = false,
            "--rtpengine" => o.rtpengine = Some(value()?.parse().map_err(|e| bad(&e))?),
            "--addresses" => o.addresses = Some(value()?),
            "--pid" => o.pid = Some(value()?.parse().map_err(|e| bad(&e))?),
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(o)
}

fn main() {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("relaybench: {error}");
            std::process::exit(2);
        }
    };
    println!(
        "{:>6} {:>7} {:>7} {:>9} {:>9} {:>7} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8}",
        "calls",
        "load %",
        "carried",
        "sent",
        "received",
        "lost %",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "max us",
        "CPU %",
        "KB/call"
    );
    for &calls in &options.calls {
        let row = if let Some(ng) = options.rtpengine {
            let addresses = ng::set_up(ng, calls, generator::A, generator::B, options.second);
            let row = measure_other(&options, addresses);
            ng::tear_down(ng, calls);
            row
        } else if let Some(file) = &options.addresses {
            measure_other(&options, read_addresses(file, calls))
        } else if options.webrtc {
            measure_browsers(&options, calls)
        } else {
            measure_engine(&options, calls)
        };
        println!("{row}");
    }
}

fn read_addresses(file: &str, calls: usize) -> Vec<(SocketAddr, SocketAddr)> {
    let text = std::fs::read_to_string(file).expect("the file of addresses");
    let pair = |line: &str| {
        let mut words = line.split_whitespace().map(|w| w.parse().expect("IP:PORT"));
        (
            words.next().expect("a first address"),
            words.next().expect("a second address"),
        )
    };
    text.lines()
        .filter(|l| !l.trim().is_empty())
        .take(calls)
        .map(pair)
        .collect()
}

fn measure_other(options: &Options, addresses: Vec<(SocketAddr, SocketAddr)>) -> String {
    let mut generator = Generator::reserve(addresses.len(), options.second, options.second != Kind::Pcma);
    generator.set_addresses(addresses);
    generator.run(Duration::from_secs(2));
    let before = options.pid.map(process_cpu);
    let outcome = generator.run(Duration::from_secs(options.seconds));
    let cpu = options.pid.zip(before).map(|(pid, before)| process_cpu(pid) - before);
    row(&outcome, cpu, options.seconds, None)
}

fn measure_engine(options: &Options, calls: usize) -> String {
    let dir = std::env::temp_dir().join("relaybench-recordings");
    let config = Config {
        shards: 1,
        processors: vec![0],
        recording_dir: dir.clone(),
        realtime: options.realtime,
        coalesce: Duration::from_micros(options.coalesce_us),
        command_queue: 65_536,
        // Four ports a call, below those of the generator.
        ports: 10_000..=38_999,
        ..Config::default()
    };
    let engine = Engine::start(config, Arc::new(Ignore)).expect("the engine");
    let handle = engine.handle();
    // The generator's own memory is there before the measurement begins.
    let mut generator = Generator::reserve(calls, options.second, options.mixed || options.second != Kind::Pcma);
    let memory = resident();
    let sound = Arc::new(Sound::from_samples(vec![1000; 8000]));
    let addresses = (0..calls).map(|n| open(&handle, n, options, &sound)).collect();
    generator.set_addresses(addresses);
    generator.run(Duration::from_secs(2));
    let cpu = thread_cpu("media-0");
    let outcome = generator.run(Duration::from_secs(options.seconds));
    let cpu = thread_cpu("media-0") - cpu;
    let per_call = (resident().saturating_sub(memory)) as f64 / calls as f64;
    let metrics = handle.metrics();
    let shard = &metrics.shards[0];
    let row = row(&outcome, Some(cpu), options.seconds, Some(per_call));
    eprintln!(
        "# {:?}, worst frame lateness {} us, frames skipped {}, send errors {}, silenced {} ms",
        shard.scheduling,
        shard.worst_lateness_us,
        shard.frames_skipped,
        shard.send_errors,
        metrics.recording_silenced_ms
    );
    engine.shutdown();
    // Left over from `--record` only; nothing depends on it.
    let _ = std::fs::remove_dir_all(dir);
    row
}

fn measure_browsers(options: &Options, calls: usize) -> String {
    let config = Config {
        shards: 1,
        processors: vec![0],
        realtime: options.realtime,
        coalesce: Duration::from_micros(options.coalesce_us),
        command_queue: 65_536,
        recording_dir: std::env::temp_dir().join("relaybench-recordings"),
        ..Config::default()
    };
    let engine = Engine::start(config, Arc::new(Ignore)).expect("the engine");
    let handle = engine.handle();
    let mut browsers = web::Browsers::reserve(calls);
    for n in 0..calls {
        let call = CallKey(n as u128);
        let command = |c| handle.command(call, c).expect("room in the queue");
        for leg in [0, 1] {
            let ours = handle.open_webrtc(call, leg).expect("WebRTC");
            let agreed = browsers.open(&ours);
            let config = LegConfig {
                security: Security::WebRtc(Arc::new(agreed)),
                remote: generator::A,
                codec: Codec::pcma(),
                dtmf: None,
                dtmf_clock: 0,
                ptime_ms: 20,
                send: true,
                recv: true,
            };
            command(Command::Configure { leg, config });
        }
        let hears = |leg: u16| LegLayout {
            leg,
            hears: vec![(1 - leg, Gain::UNITY)],
            play: None,
        };
        command(Command::Layout(Layout {
            legs: vec![hears(0), hears(1)],
            announce: None,
        }));
    }
    browsers.connect();
    browsers.run(Duration::from_secs(2));
    let cpu = thread_cpu("media-0");
    let outcome = browsers.run(Duration::from_secs(options.seconds));
    let cpu = thread_cpu("media-0") - cpu;
    let row = row(&outcome, Some(cpu), options.seconds, None);
    let metrics = handle.metrics();
    eprintln!("# send errors {}", metrics.shards[0].send_errors);
    engine.shutdown();
    row
}

fn open(handle: &Handle, n: usize, options: &Options, sound: &Arc<Sound>) -> (SocketAddr, SocketAddr) {
    // In a conference two calls share a room.
    let (call, base) = if options.mixed {
        (CallKey(n as u128 / 2), 2 * (n as u16 % 2))
    } else {
        (CallKey(n as u128), 0)
    };
    let mut address = [generator::A; 2];
    for (side, remote) in [(0, generator::A), (1, generator::B)] {
        let leg = base + side;
        address[usize::from(side)] = handle.open_leg(call, leg).expect("a port pair");
        let kind = if side == 1 { options.second } else { Kind::Pcma };
        let payload_type = generator::payload_type(kind);
        let channels = if kind == Kind::Opus { 2 } else { 1 };
        let codec = Codec {
            payload_type_send: payload_type,
            payload_type_recv: payload_type,
            kind: CodecKind::named(kind.name(), kind.clock(), channels),
        };
        let config = LegConfig {
            security: Default::default(),
            remote,
            codec,
            dtmf: None,
            dtmf_clock: 0,
            ptime_ms: 20,
            send: true,
            recv: true,
        };
        handle
            .command(call, Command::Configure { leg, config })
            .expect("room in the queue");
    }
    let play = options.prompts.then(|| Play {
        id: 1,
        sound: SoundRef::Sound(Arc::clone(sound)),
        repeat: true,
        recorded: false,
        lead_in_ms: 0,
    });
    let members = base + 2;
    let leg = |leg| LegLayout {
        leg,
        hears: (0..members).filter(|&l| l != leg).map(|l| (l, Gain::UNITY)).collect(),
        play: play.clone(),
    };
    let layout = Layout {
        legs: (0..members).map(leg).collect(),
        announce: None,
    };
    handle
        .command(call, Command::Layout(layout))
        .expect("room in the queue");
    if options.record {
        let spec = RecordSpec {
            id: n as u128,
            stem: format!("call-{n}"),
            left: 0,
            ..RecordSpec::default()
        };
        handle.command(call, Command::Record(spec)).expect("room in the queue");
    }
    (address[0], address[1])
}

fn row(outcome: &Outcome, cpu: Option<Duration>, seconds: u64, memory: Option<f64>) -> String {
    let share = cpu.map_or("-".into(), |c| {
        format!("{:.1}", 100.0 * c.as_secs_f64() / seconds as f64)
    });
    let memory = memory.map_or("-".into(), |m| format!("{m:.1}"));
    format!(
        "{:>6} {:>7.1} {:>7.0} {:>9} {:>9} {:>7.3} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8}",
        outcome.calls,
        100.0 * outcome.load,
        outcome.carried,
        outcome.sent,
        outcome.received,
        100.0 * (1.0 - outcome.received as f64 / outcome.sent.max(1) as f64),
        outcome.percentile(0.5),
        outcome.percentile(0.99),
        outcome.percentile(0.999),
        outcome.percentile(1.0),
        share,
        memory
    )
}

/// Processor time of the thread with this name in this process.
fn thread_cpu(name: &str) -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
    let nanos = tasks.flatten().find_map(|task| {
        let comm = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        (comm.trim() == name).then(|| stat.split(' ').next().and_then(|n| n.parse().ok()))?
    });
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Processor time of all threads of another process.
fn process_cpu(pid: u32) -> Duration {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Duration::ZERO;
    };
    let nanos = |task: std::fs::DirEntry| -> Option<u64> {
        std::fs::read_to_string(task.path().join("schedstat"))
            .ok()?
            .split(' ')
            .next()?
            .parse()
            .ok()
    };
    Duration::from_nanos(tasks.flatten().filter_map(nanos).sum())
}

/// Resident memory of this process in KB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}
