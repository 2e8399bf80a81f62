//! The configuration file: what belongs to the process. Tenant resources are in the database.
//!
//! Each part of the server has its own slice, read by its own function. Every key has a default that works, so no file
//! is needed to start. A wrong file is reported whole: file, line, column, what was expected.

mod reader;
mod recording;
mod signalling;
mod slices;
mod speech;
mod turn;

pub use reader::{Problem, nearest, parse_duration, show_duration};
pub use recording::{Bucket, Recording, RecordingStore};
pub use signalling::{ClientCertificates, Dns, Guard, Hep, Interface, Ladder, Sip};
pub use slices::{
    Durability, Http, Keys, Language, Limits, Log, LogFormat, MasterKeySource, Media, MissingUnits, Prompts, Push,
    Routing, Server, Sounds, Storage, parse_ports, read_master_key_environment, read_master_key_file,
};
pub use speech::{Recognition, Speech, Synthesis, SynthesisEngine};
pub use turn::Turn;

use reader::{Reader, Section};
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// Where the configuration is looked for when the command line names no file.
pub const DEFAULT_FILE: &str = "/etc/strowger/strowger.toml";

/// The whole configuration, one slice a module.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The process.
    pub server: Server,
    /// Logging.
    pub log: Log,
    /// The network interfaces that signalling and media use, at least one; see [`Config::interface`].
    pub interfaces: Vec<Interface>,
    /// SIP.
    pub sip: Sip,
    /// Rates and bans.
    pub guard: Guard,
    /// Export of SIP messages.
    pub hep: Hep,
    /// SIP messages kept for operators.
    pub ladder: Ladder,
    /// Name servers.
    pub dns: Dns,
    /// Media.
    pub media: Media,
    /// STUN and TURN servers.
    pub turn: Turn,
    /// The HTTP listener of the dialects.
    pub http: Http,
    /// Storage.
    pub storage: Storage,
    /// Secrets.
    pub keys: Keys,
    /// Overload.
    pub limits: Limits,
    /// Outgoing pushes.
    pub push: Push,
    /// Recordings.
    pub recording: Recording,
    /// Prompts that the platform plays by itself.
    pub sounds: Sounds,
    /// Where numbers are from.
    pub routing: Routing,
    /// Uploaded prompts.
    pub prompts: Prompts,
    /// Engines that speak and listen.
    pub speech: Speech,
}

impl Default for Config {
    fn default() -> Self {
        match parse("built-in defaults", "") {
            (config, problems) if problems.is_empty() => config,
            (_, problems) => unreachable!("the defaults are valid: {problems:?}"),
        }
    }
}

impl Config {
    /// The first interface, which gives the node its name in URIs of its own.
    pub fn interface(&self) -> &Interface {
        // There is always one: without any in the file, reading makes one.
        &self.interfaces[0]
    }
}

/// Reads a configuration text. The configuration is usable only if there are no problems.
pub fn parse(file: &str, text: &str) -> (Config, Vec<Problem>) {
    let reader = Reader::new(file, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for e in &errors {
        reader.problem(e.span(), format!("not TOML: {}", e.message().replace('\n', "; ")));
    }
    let config = {
        let root = Section::root(&reader, document.get_ref());
        let config = Config {
            server: Server::read(root.section("server")),
            log: Log::read(root.section("log")),
            interfaces: Interface::read_all(&root),
            sip: Sip::read(root.section("sip")),
            guard: Guard::read(root.section("guard")),
            hep: Hep::read(root.section("hep")),
            ladder: Ladder::read(root.section("ladder")),
            dns: Dns::read(root.section("dns")),
            media: Media::read(root.section("media")),
            turn: Turn::read(root.section("turn")),
            http: Http::read(root.section("http")),
            storage: Storage::read(root.section("storage")),
            keys: Keys::read(root.section("keys")),
            limits: Limits::read(root.section("limits")),
            push: Push::read(root.section("push")),
            recording: Recording::read(root.section("recording")),
            sounds: Sounds::read(root.section("sounds")),
            routing: Routing::read(root.section("routing")),
            prompts: Prompts::read(root.section("prompts")),
            speech: Speech::read(root.section("speech")),
        };
        // After a syntax error the tables may be incomplete; what they seem to lack or hold would only mislead.
        check_together(&config, &root);
        root.close();
        config
    };
    let mut problems = reader.into_problems();
    if !errors.is_empty() {
        problems.retain(|p| p.message.starts_with("not TOML"));
    }
    (config, problems)
}

/// Checks that concern two slices.
fn check_together(config: &Config, root: &Section<'_>) {
    let media = root.section("media");
    if config.media.ports.contains(&config.sip.port) {
        media.problem(
            "ports",
            format!(
                "the range contains the SIP port {}; choose another range",
                config.sip.port
            ),
        );
    }
    if config.media.stun.is_some() {
        let interface = config.interface();
        if interface.advertised != interface.address {
            media.problem(
                "stun",
                "interface.advertised is set already; leave one of them out".to_owned(),
            );
        } else if !interface.address.is_ipv4() {
            media.problem(
                "stun",
                "it finds IPv4 addresses; the first [[interface]] has none".to_owned(),
            );
        }
    }
    if config.sounds.missing_units == MissingUnits::Spoken && config.speech.synthesis.engine == SynthesisEngine::None {
        root.section("sounds").problem(
            "missing_units",
            "\"spoken\" needs an engine; set speech.synthesis.engine".to_owned(),
        );
    }
    let http = config.http.listen;
    let meets = |i: &Interface| i.address == http.ip() || i.address.is_unspecified() || http.ip().is_unspecified();
    if let Some((key, port)) = config
        .sip
        .stream_ports()
        .into_iter()
        .find(|(_, port)| *port == http.port())
        && config.interfaces.iter().any(meets)
    {
        root.section("http")
            .problem("listen", format!("TCP port {port} is sip.{key} already"));
    }
}

/// Finds and reads the configuration: the file named, else the one at [`DEFAULT_FILE`] if it exists, else the defaults.
/// The second value is the file that was read.
pub fn load(named: Option<&Path>) -> Result<(Config, Option<PathBuf>), Vec<Problem>> {
    let path = match named {
        Some(path) => path.to_owned(),
        None if Path::new(DEFAULT_FILE).exists() => PathBuf::from(DEFAULT_FILE),
        None => return Ok((Config::default(), None)),
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|e| {
        let message = match e.kind() {
            std::io::ErrorKind::NotFound => "the file does not exist".to_owned(),
            std::io::ErrorKind::InvalidData => "the file is not UTF-8 text".to_owned(),
            _ => format!("the file cannot be read: {e}"),
        };
        vec![Problem {
            file: name.clone(),
            place: None,
            message,
        }]
    })?;
    let (config, problems) = parse(&name, &text);
    if problems.is_empty() {
        Ok((config, Some(path)))
    } else {
        Err(problems)
    }
}

/// Checks what the configuration points at: folders, key files, addresses. Done before a start and by `check-config`.
pub fn check_surroundings(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |file: &str, message: String| {
        problems.push(Problem {
            file: file.to_owned(),
            place: None,
            message,
        });
    };
    if let Some(MasterKeySource::File(path)) = &config.keys.master_key
        && let Err(why) = slices::read_master_key_file(path)
    {
        add("keys.master_key_file", why);
    }
    if let Some(MasterKeySource::Environment(name)) = &config.keys.master_key
        && let Err(why) = slices::read_master_key_environment(name)
    {
        add("keys.master_key_env", why);
    }
    if let Some(folder) = &config.sounds.folder
        && !folder.is_dir()
    {
        add("sounds.folder", format!("{} is not a folder", folder.display()));
    }
    if let Some(file) = &config.routing.regions
        && !file.is_file()
    {
        add("routing.regions", format!("{} is not a file", file.display()));
    }
    for interface in &config.interfaces {
        if let Err(e) = std::net::UdpSocket::bind((interface.address, 0)) {
            add(
                "interface.address",
                format!("{} is not an address of this machine: {e}", interface.address),
            );
        }
    }
    for (key, file, holds) in [
        ("sip.certificate", &config.sip.certificate, "CERTIFICATE"),
        ("sip.key", &config.sip.key, "PRIVATE KEY"),
        ("sip.client_ca", &config.sip.client_ca, "CERTIFICATE"),
        ("sip.verify_ca", &config.sip.verify_ca, "CERTIFICATE"),
    ] {
        let Some(path) = file else { continue };
        match std::fs::read_to_string(path) {
            Err(e) => add(key, format!("{} cannot be read: {e}", path.display())),
            Ok(pem) if !pem.contains(&format!("{holds}-----")) => {
                add(key, format!("{} has no PEM block {holds:?}", path.display()))
            }
            Ok(_) => {}
        }
    }
    problems
}
