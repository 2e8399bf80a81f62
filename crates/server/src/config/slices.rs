//! The slices of the configuration: one struct and one reading function a module.

use super::reader::Section;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// `[server]`: the process.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Name of this node, in logs, ids of locks and alive stamps.
    pub node: String,
    /// Folder of the database, the lock, the admin socket and, unless set elsewhere, the recordings.
    pub data: PathBuf,
    /// How long a drain waits for calls to end by themselves before they are ended.
    pub drain: Duration,
}

impl Server {
    pub(super) fn read(s: Section<'_>) -> Server {
        let read = Server {
            node: s.parsed(
                "node",
                "node-1".to_owned(),
                "a name of 1 to 32 letters, digits and hyphens",
                |t| {
                    let good = (1..=32).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                    good.then(|| t.to_owned())
                },
            ),
            data: s.parsed("data", default_data(), "the path of a folder", path),
            drain: s.duration("drain", seconds(60), Duration::ZERO..=seconds(86_400)),
        };
        s.close();
        read
    }
}

/// `$XDG_DATA_HOME/strowger`, else `~/.local/share/strowger`, else `./strowger-data`.
fn default_data() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    match (absolute("XDG_DATA_HOME"), absolute("HOME")) {
        (Some(data), _) => data.join("strowger"),
        (None, Some(home)) => home.join(".local/share/strowger"),
        (None, None) => PathBuf::from("strowger-data"),
    }
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// Level, or a filter by module as `tracing-subscriber` understands it.
    pub filter: String,
    /// Form.
    pub format: LogFormat,
}

impl Log {
    pub(super) fn read(s: Section<'_>) -> Log {
        let read = Log {
            filter: s.parsed(
                "filter",
                "info".to_owned(),
                "a level (\"error\", \"warn\", \"info\", \"debug\", \"trace\") or a list such as \"info,strowger_sip=debug\"",
                |t| tracing_subscriber::EnvFilter::try_new(t).ok().map(|_| t.to_owned()).filter(|t| plausible_filter(t)),
            ),
            format: s.choice("format", LogFormat::Text, &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
        };
        s.close();
        read
    }
}

/// A bare word that is no level would be taken for a module's name and silence everything.
fn plausible_filter(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    !text.is_empty()
        && text.split(',').all(|part| match part.split_once('=') {
            Some((module, level)) => !module.trim().is_empty() && LEVELS.contains(&level.trim()),
            None => LEVELS.contains(&part.trim()),
        })
}

/// `[media]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// UDP ports for RTP and RTCP.
    pub ports: RangeInclusive<u16>,
    /// Threads of the media loop; 0 is one for every two processors.
    pub shards: usize,
    /// Ask the system for real-time priority; without the right to it the server runs on and says so.
    pub realtime: bool,
    /// Codecs that are offered to devices, and over trunks without a list of their own, most preferred first.
    pub codecs: Vec<String>,
    /// How much work the Opus encoder does: 0 (cheapest) to 10 (best).
    pub opus_complexity: u8,
    /// Connect browsers.
    pub webrtc: bool,
    /// The UDP port of browsers, one a thread of the loop from here on; 0 takes the first of `ports`.
    pub webrtc_port: u16,
    /// How long the talk of a browser is kept whose page is loaded again, or whose network is gone.
    pub browser_grace: Duration,
    /// Full ICE, with checks of our own, for a server behind a translator that maps no ports.
    pub full_ice: bool,
    /// STUN server, `host:port`, that is asked for the address to advertise.
    pub stun: Option<String>,
}

impl Media {
    pub(super) fn read(s: Section<'_>) -> Media {
        let known = |text: &str| strowger_runtime::owner::codec(text).map(|c| c.name);
        let listed = s.list("codecs", "one of opus, G722, PCMA, PCMU and G729", known);
        let default = ["opus", "G722", "PCMA", "PCMU"].map(str::to_owned).to_vec();
        let read = Media {
            codecs: if s.has("codecs") { listed } else { default },
            opus_complexity: s.integer("opus_complexity", 5, 0..=10, "0 is the cheapest, 10 the best") as u8,
            ports: s.parsed(
                "ports",
                20_000..=29_999,
                "an even first and an odd last port between 1024 and 65535, such as \"20000-29999\"",
                parse_ports,
            ),
            shards: s.integer("shards", 0, 0..=256, "threads, 0 is one for every two processors") as usize,
            realtime: s.boolean("realtime", true),
            webrtc: s.boolean("webrtc", true),
            webrtc_port: s.integer("webrtc_port", 0, 0..=65_535, "UDP port, 0 takes the first of \"ports\"") as u16,
            browser_grace: s.duration(
                "browser_grace",
                Duration::from_secs(20),
                Duration::from_secs(1)..=Duration::from_secs(300),
            ),
            full_ice: s.choice("ice", false, &[("lite", false), ("full", true)]),
            stun: s.optional(
                "stun",
                "host:port of a STUN server, such as \"stun.example.com:3478\"",
                |t| {
                    let (host, port) = t.rsplit_once(':')?;
                    let port = port.parse::<u16>().ok().filter(|p| *p != 0);
                    (!host.is_empty() && port.is_some()).then(|| t.to_owned())
                },
            ),
        };
        if read.webrtc_port != 0 && (read.webrtc_port < 1024 || read.ports.contains(&read.webrtc_port)) {
            s.problem(
                "webrtc_port",
                "it must be 0, or a port from 1024 that is not among \"ports\"".to_owned(),
            );
        }
        s.close();
        read
    }
}

/// Reads a range of media ports, `20000-29999`.
pub fn parse_ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
    // RTP takes an even port and RTCP the next (RFC 3550 §11).
    (first >= 1024 && first < last && first % 2 == 0 && last % 2 == 1).then_some(first..=last)
}

/// `[http]`: the listener that the dialects, health and metrics are served on.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Address and port.
    pub listen: SocketAddr,
    /// The URL that integrators reach it by, for links in pushes and records; made from `listen` if absent.
    pub public_url: Option<String>,
    /// Largest request body in bytes.
    pub body_limit: usize,
    /// Requests per second of an API key or user that has no limit of its own; 0 is no limit.
    pub api_rate: u32,
}

impl Http {
    pub(super) fn read(s: Section<'_>) -> Http {
        let read = Http {
            listen: s.parsed(
                "listen",
                SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
                "an address and port, such as \"127.0.0.1:8080\"",
                |t| t.parse().ok(),
            ),
            public_url: s.optional(
                "public_url",
                "a URL without a path, such as \"https://voice.example.com\"",
                |t| {
                    let rest = t.strip_prefix("http://").or(t.strip_prefix("https://"))?;
                    let host = rest.strip_suffix('/').unwrap_or(rest);
                    let good = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
                    good.then(|| t.trim_end_matches('/').to_owned())
                },
            ),
            body_limit: s.integer("body_limit", 256 << 10, 1024..=64 << 20, "bytes") as usize,
            api_rate: s.integer("api_rate", 50, 0..=100_000, "requests per second") as u32,
        };
        s.close();
        read
    }

    /// The URL that links begin with.
    pub fn base_url(&self) -> String {
        self.public_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", self.listen))
    }
}

/// What "stored" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Synced to the disk: survives a loss of power.
    Power,
    /// Handed to the system: survives the death of the process.
    Process,
}

/// `[storage]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// What "stored" means.
    pub durability: Durability,
    /// Batches that may wait for the writer; above it new calls are refused.
    pub queue: usize,
    /// Free space in MiB below which new calls are refused.
    pub min_free_mb: u64,
    /// Days that finished pushes and the journals of closed conversations are kept; records stay.
    pub keep_days: u64,
    /// Days that rows of the audit log are kept.
    pub audit_days: u64,
}

impl Storage {
    pub(super) fn read(s: Section<'_>) -> Storage {
        let read = Storage {
            durability: s.choice(
                "durability",
                Durability::Power,
                &[("power", Durability::Power), ("process", Durability::Process)],
            ),
            queue: s.integer("queue", 8192, 64..=1_000_000, "batches") as usize,
            min_free_mb: s.integer("min_free_mb", 256, 0..=1_000_000, "MiB"),
            keep_days: s.integer("keep_days", 180, 1..=3650, "days"),
            audit_days: s.integer("audit_days", 400, 1..=36_500, "days"),
        };
        s.close();
        read
    }
}

/// Where the master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeySource {
    /// A file with 64 hexadecimal digits.
    File(PathBuf),
    /// An environment variable with 64 hexadecimal digits.
    Environment(String),
}

/// `[keys]`: secrets are stored encrypted under this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Where it comes from; `None` is the file `master.key` in the data folder, made at the first start.
    pub master_key: Option<MasterKeySource>,
}

impl Keys {
    pub(super) fn read(s: Section<'_>) -> Keys {
        let file = s.optional("master_key_file", "the path of a file", path);
        let variable = s.optional("master_key_env", "the name of an environment variable", |t| {
            let good = !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            good.then(|| t.to_owned())
        });
        if file.is_some() && variable.is_some() {
            s.problem(
                "master_key_env",
                "the key comes from one place; remove this or master_key_file".to_owned(),
            );
        }
        s.close();
        Keys {
            master_key: file
                .map(MasterKeySource::File)
                .or(variable.map(MasterKeySource::Environment)),
        }
    }
}

/// 32 bytes from 64 hexadecimal digits.
fn master_key(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut key = [0; 32];
    for (i, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(key)
}

const KEY_FORM: &str = "expected 64 hexadecimal digits (make one with: openssl rand -hex 32)";

/// The master key in a file; the error is a sentence without the content.
pub fn read_master_key_file(path: &Path) -> Result<[u8; 32], String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    master_key(&text).ok_or_else(|| format!("{} holds no key: {KEY_FORM}", path.display()))
}

/// The master key in an environment variable; the error is a sentence without the content.
pub fn read_master_key_environment(name: &str) -> Result<[u8; 32], String> {
    let text = std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?;
    master_key(&text).ok_or_else(|| format!("the environment variable {name} holds no key: {KEY_FORM}"))
}

/// `[limits]`: above them new calls are refused, and nothing that was accepted is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Concurrent conversations of the whole process.
    pub conversations: usize,
}

impl Limits {
    pub(super) fn read(s: Section<'_>) -> Limits {
        let read = Limits {
            conversations: s.integer("conversations", 20_000, 1..=1_000_000, "concurrent conversations") as usize,
        };
        s.close();
        read
    }
}

/// `[push]`: status pushes and call records to the integrators' URLs.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// Deliveries under way at once.
    pub concurrency: usize,
    /// Of these, to one host.
    pub per_host: usize,
    /// Time for one attempt, from connecting to the end of the answer.
    pub timeout: Duration,
}

impl Push {
    pub(super) fn read(s: Section<'_>) -> Push {
        let read = Push {
            concurrency: s.integer("concurrency", 256, 1..=10_000, "deliveries at once") as usize,
            per_host: s.integer("per_host", 32, 1..=10_000, "deliveries at once to one host") as usize,
            timeout: s.duration("timeout", 10 * SECOND, SECOND..=120 * SECOND),
        };
        if read.per_host > read.concurrency {
            s.problem(
                "per_host",
                format!("{} is more than push.concurrency ({})", read.per_host, read.concurrency),
            );
        }
        s.close();
        read
    }
}

/// Language of the prompts that the platform plays by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Mandarin.
    Zh,
    /// English.
    En,
}

/// `[sounds]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sounds {
    /// Folder whose files replace the shipped ones of the same path.
    pub folder: Option<PathBuf>,
    /// Language of prompts that nobody chose.
    pub language: Language,
    /// Country (ISO 3166-1 alpha-2) whose supervisory tones are played.
    pub tones: String,
    /// Where spoken units come from that the folder does not have.
    pub missing_units: MissingUnits,
}

/// Where spoken units come from that the folder of recordings does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingUnits {
    /// From the binary.
    Shipped,
    /// The engine of `[speech.synthesis]` says them.
    Spoken,
}

/// Two letters, capitals.
fn country(text: &str) -> Option<String> {
    let letters = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    letters.then(|| text.to_ascii_uppercase())
}

impl Sounds {
    pub(super) fn read(s: Section<'_>) -> Sounds {
        let read = Sounds {
            folder: s.optional("folder", "the path of a folder", path),
            language: s.choice("language", Language::Zh, &[("zh", Language::Zh), ("en", Language::En)]),
            tones: s.parsed(
                "tones",
                "CN".to_owned(),
                "a country's two letters, such as \"CN\"",
                country,
            ),
            missing_units: s.choice(
                "missing_units",
                MissingUnits::Shipped,
                &[("shipped", MissingUnits::Shipped), ("spoken", MissingUnits::Spoken)],
            ),
        };
        s.close();
        read
    }
}

/// `[routing]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// Table of the regions of numbers: lines of `beginning,province,city`.
    pub regions: Option<PathBuf>,
}

impl Routing {
    pub(super) fn read(s: Section<'_>) -> Routing {
        let read = Routing {
            regions: s.optional("regions", "the path of a file", path),
        };
        s.close();
        read
    }
}

/// `[prompts]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompts {
    /// A new prompt is played only after somebody has approved it.
    pub approval: bool,
    /// Longest prompt.
    pub max_length: Duration,
}

impl Prompts {
    pub(super) fn read(s: Section<'_>) -> Prompts {
        let read = Prompts {
            approval: s.boolean("approval", false),
            max_length: s.duration(
                "max_length",
                Duration::from_secs(1800),
                Duration::from_secs(1)..=Duration::from_secs(7200),
            ),
        };
        s.close();
        read
    }
}
