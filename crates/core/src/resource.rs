//! Tenant resources as the machines see them: settings of an application, prompts, trunks, routes.

use crate::address::AddressRange;
use crate::id::{AgentId, ApplicationId, DeviceId, QueueId, RouteId, RoutingId, TenantId, TrunkId};
use crate::number::Number;
use crate::spoken::Language;
use std::net::SocketAddr;

/// Settings of an application, with names; seeded from a profile when the application is created. The core never asks
/// which dialect the application speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplicationSettings {
    /// Seconds a dialled party may ring.
    pub ring_timeout: u32,
    /// Seconds without a packet after which a leg counts as dead.
    pub media_timeout: u32,
    /// Zone of displayed times, minutes east of UTC.
    pub zone_minutes: i32,
    /// Number shown to called parties when the request names none.
    pub default_cli: Option<Number>,
    /// Where call records go when the request names no URL.
    pub record_url: Option<String>,
    /// Length limit of the integrator's data in bytes.
    pub user_data_limit: usize,
    /// Accept any UTF-8 in the integrator's data, not only letters, digits, `_` and `-`.
    pub user_data_any: bool,
    /// Report a leg that we cancelled as `failed` instead of `canceled`.
    pub strict_causes: bool,
    /// Seconds that the first publication of a record waits for its recording.
    pub record_wait: u32,
    /// Call records that are pushed in one request, as an array; 0 pushes each for itself.
    pub record_batch_size: u32,
    /// Seconds that a call record waits for others before a request with fewer is sent.
    pub record_batch_seconds: u32,
    /// Origins of pages that may read the answers to dial links, such as `https://crm.example.com`.
    pub link_origins: Vec<String>,
    /// The form of its recordings.
    pub recording: RecordingSettings,
    /// Concurrent conversations of the application; 0 is no limit.
    pub max_conversations: u32,
    /// New conversations per second; 0 is no limit.
    pub max_rate: u32,
    /// What click-to-call does when a machine answers; it waits for no beep.
    pub answer: AnswerRule,
    /// Of voice notices and verification codes.
    pub notices: NoticeSettings,
}

/// What a call of the platform does when a machine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnMachine {
    /// Nobody listens who has answered.
    #[default]
    Ignore,
    /// It is told in the record and the events, and nothing else happens. A notice hangs up on a fax machine.
    Tell,
    /// It hangs up.
    HangUp,
    /// A notice begins anew when the machine records. It hangs up on a fax machine.
    AwaitBeep,
}

impl OnMachine {
    /// All of them.
    pub const ALL: [OnMachine; 4] = [
        OnMachine::Ignore,
        OnMachine::Tell,
        OnMachine::HangUp,
        OnMachine::AwaitBeep,
    ];

    /// As the API, the command line and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            OnMachine::Ignore => "ignore",
            OnMachine::Tell => "tell",
            OnMachine::HangUp => "hang-up",
            OnMachine::AwaitBeep => "await-beep",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<OnMachine> {
        OnMachine::ALL.into_iter().find(|o| o.name() == name)
    }
}

/// What is done when a machine answers, and from when on it counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerRule {
    /// What is done.
    pub on_machine: OnMachine,
    /// Verdicts that are less sure (0-100) are told, and nothing is done.
    pub least_confidence: u8,
}

impl Default for AnswerRule {
    /// Nobody listens. A party that says nothing at all is taken for a machine with 55: not enough to hang up on it.
    fn default() -> Self {
        AnswerRule {
            on_machine: OnMachine::Ignore,
            least_confidence: 60,
        }
    }
}

/// Settings of an application's voice notices and verification codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeSettings {
    /// Where results go when the request names no URL.
    pub result_url: Option<String>,
    /// Language of spoken data when the request names none.
    pub language: Language,
    /// Seconds that a callee may ring when the request does not say.
    pub ring_timeout: u32,
    /// Seconds from the answer to the forced end.
    pub max_seconds: u32,
    /// Seconds that a key may come after the last item.
    pub key_seconds: u32,
    /// The first key closes the window, whatever it means.
    pub strict_keys: bool,
    /// Read a Chinese 1 among digits as 一 and not as 幺.
    pub plain_one: bool,
    /// Length limit of the integrator's data in bytes.
    pub user_data_limit: usize,
    /// A display number that is not the application's is a wrong parameter, and not a call that could not be started.
    pub foreign_cli_invalid: bool,
    /// A verification code's request without a required member is malformed, and not a wrong parameter.
    pub code_missing_malformed: bool,
    /// Verification codes to one number in a minute; 0 is no limit.
    pub codes_per_minute: u32,
    /// Verification codes to one number in an hour; 0 is no limit.
    pub codes_per_hour: u32,
    /// Verification codes to one number in a day; 0 is no limit.
    pub codes_per_day: u32,
    /// What is done when a machine answers.
    pub answer: AnswerRule,
}

impl Default for NoticeSettings {
    fn default() -> Self {
        NoticeSettings {
            result_url: None,
            language: Language::Chinese,
            ring_timeout: 60,
            max_seconds: 600,
            key_seconds: 5,
            strict_keys: false,
            plain_one: false,
            user_data_limit: 1024,
            foreign_cli_invalid: false,
            code_missing_malformed: false,
            codes_per_minute: 1,
            codes_per_hour: 5,
            codes_per_day: 10,
            answer: AnswerRule::default(),
        }
    }
}

impl Default for ApplicationSettings {
    fn default() -> Self {
        ApplicationSettings {
            ring_timeout: 120,
            media_timeout: 60,
            zone_minutes: 480,
            default_cli: None,
            record_url: None,
            user_data_limit: 256,
            user_data_any: false,
            strict_causes: false,
            record_wait: 60,
            record_batch_size: 0,
            record_batch_seconds: 10,
            link_origins: Vec::new(),
            recording: RecordingSettings::default(),
            max_conversations: 0,
            max_rate: 0,
            answer: AnswerRule::default(),
            notices: NoticeSettings::default(),
        }
    }
}

/// The form of an application's recordings, and how long they are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordingSettings {
    /// Opus in Ogg instead of WAV: a fifth of the size.
    pub compressed: bool,
    /// Both sides in one channel instead of one each.
    pub mixed: bool,
    /// What is said while a key is down is silence: card numbers and codes that are keyed in stay out of the file.
    pub hide_digits: bool,
    /// Days after the end of its conversation at which a file is deleted; 0 keeps it.
    pub days: u32,
}

/// How a trunk lets us in.
#[derive(Clone, PartialEq, Eq)]
pub enum TrunkAuth {
    /// By our address; calls from its addresses are the carrier's.
    Address,
    /// By digest credentials when challenged.
    Digest {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
}

impl std::fmt::Debug for TrunkAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TrunkAuth::Address => "Address",
            TrunkAuth::Digest { .. } => "Digest(…)",
        })
    }
}

/// A rule that rewrites a called number for a trunk: the first whose prefix matches the canonical number applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixRule {
    /// Prefix of the canonical number, empty for all.
    pub prefix: String,
    /// Characters taken off the front.
    pub strip: u8,
    /// Text put in front.
    pub prepend: String,
    /// False refuses the number on this trunk.
    pub allow: bool,
    /// Thousandths of a currency unit a minute of talk over this trunk costs; counted against daily caps of spending.
    pub price: u32,
}

/// The transport of requests to a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TrunkTransport {
    /// Datagrams; requests larger than the path's limit go by TCP (RFC 3261 §18.1.1).
    #[default]
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl TrunkTransport {
    /// All, in the order of [`TrunkTransport::name`]'s documentation.
    pub const ALL: [TrunkTransport; 3] = [TrunkTransport::Udp, TrunkTransport::Tcp, TrunkTransport::Tls];

    /// `udp`, `tcp` or `tls`.
    pub const fn name(self) -> &'static str {
        match self {
            TrunkTransport::Udp => "udp",
            TrunkTransport::Tcp => "tcp",
            TrunkTransport::Tls => "tls",
        }
    }

    /// The port that an address without one means: 5061 for TLS, else 5060 (RFC 3261 §19.1.2).
    pub const fn default_port(self) -> u16 {
        match self {
            TrunkTransport::Udp | TrunkTransport::Tcp => 5060,
            TrunkTransport::Tls => 5061,
        }
    }
}

/// That we register with a carrier (RFC 3261 §10.2), so that it knows where to send calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registering {
    /// Seconds that we ask for; the carrier may grant fewer.
    pub expires: u32,
    /// User part of our contact; the digest user name if `None`.
    pub contact_user: Option<String>,
}

/// What a trunk is told and believed of who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkIdentity {
    /// True if P-Asserted-Identity from it is believed (RFC 3325).
    pub trusted: bool,
    /// P-Asserted-Identity that it gets.
    pub asserted: Asserted,
    /// What it gets of a caller's wish for privacy.
    pub privacy: PrivacyTo,
    /// How it is told that a call was diverted.
    pub diversion: DiversionTo,
}

impl Default for TrunkIdentity {
    fn default() -> Self {
        TrunkIdentity {
            trusted: true,
            asserted: Asserted::Pass,
            privacy: PrivacyTo::Pass,
            diversion: DiversionTo::Remove,
        }
    }
}

/// What a trunk gets of the identity that we know (RFC 3325).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Asserted {
    /// Nothing.
    Remove,
    /// What is known.
    #[default]
    Pass,
    /// This URI, for trunks that want their main number there.
    Set(String),
}

/// What a trunk gets of a caller's wish for privacy (RFC 3323, RFC 3325).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum PrivacyTo {
    /// It is trusted to keep it: the asserted identity goes along, From is anonymous.
    #[default]
    Pass,
    /// It is not: nothing tells who calls.
    Enforce,
    /// The wish is not passed on and the caller is shown: emergency services.
    Remove,
}

/// How a trunk is told that a call was diverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DiversionTo {
    /// Not at all.
    #[default]
    Remove,
    /// As Diversion (RFC 5806).
    Diversion,
    /// As History-Info (RFC 7044).
    HistoryInfo,
}

/// How digits are sent to a trunk or a device. What comes from it is understood in every way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DigitsBy {
    /// As telephone events where they were negotiated, else as tones.
    #[default]
    Auto,
    /// As telephone events (RFC 4733), or not at all.
    Rfc4733,
    /// As SIP INFO with `application/dtmf-relay`.
    Info,
    /// As tones in the sound.
    Inband,
}

impl DigitsBy {
    /// All of them.
    pub const ALL: [DigitsBy; 4] = [DigitsBy::Auto, DigitsBy::Rfc4733, DigitsBy::Info, DigitsBy::Inband];

    /// As the API, the command line and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            DigitsBy::Auto => "auto",
            DigitsBy::Rfc4733 => "rfc4733",
            DigitsBy::Info => "info",
            DigitsBy::Inband => "inband",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<DigitsBy> {
        DigitsBy::ALL.into_iter().find(|d| d.name() == name)
    }
}

/// What a trunk is offered and what is taken from it: RTP, or SRTP with keys in the description (RFC 4568).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TrunkSrtp {
    /// RTP is offered. Keys that the carrier offers by itself are taken.
    #[default]
    Off,
    /// RTP with keys beside it: SRTP if the carrier has it.
    Optional,
    /// SRTP and nothing else, both ways.
    Required,
}

impl TrunkSrtp {
    /// All of them.
    pub const ALL: [TrunkSrtp; 3] = [TrunkSrtp::Off, TrunkSrtp::Optional, TrunkSrtp::Required];

    /// As the API, the command line and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            TrunkSrtp::Off => "off",
            TrunkSrtp::Optional => "optional",
            TrunkSrtp::Required => "required",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<TrunkSrtp> {
        TrunkSrtp::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// A trunk to a carrier.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Id.
    pub id: TrunkId,
    /// The tenant that it belongs to; `None` for one of the platform's.
    pub tenant: Option<TenantId>,
    /// Name, for people.
    pub name: String,
    /// Where requests go. Exactly one of this and `server` is set.
    pub address: Option<SocketAddr>,
    /// The host name where requests go, with `:port` if it is not to be found by NAPTR and SRV (RFC 3263).
    pub server: Option<String>,
    /// How requests go there.
    pub transport: TrunkTransport,
    /// With TLS: the server's certificate must be valid for its name.
    pub verify: bool,
    /// Host part of the Request-URI and To; the server or the address if empty.
    pub domain: String,
    /// Source addresses that count as this carrier, besides `address`.
    pub sources: Vec<AddressRange>,
    /// Authentication.
    pub auth: TrunkAuth,
    /// We register there; `None` for a carrier that knows our address.
    pub register: Option<Registering>,
    /// What it is told and believed of who calls.
    pub identity: TrunkIdentity,
    /// Codec names in order of preference.
    pub codecs: Vec<String>,
    /// Whether its media is encrypted.
    pub srtp: TrunkSrtp,
    /// How it is sent digits.
    pub dtmf: DigitsBy,
    /// Concurrent calls; 0 is no limit.
    pub max_channels: u32,
    /// New calls per second; 0 is no limit.
    pub max_rate: u32,
    /// Lower is tried first; equals share.
    pub priority: u16,
    /// Seconds between OPTIONS; 0 switches health checks off.
    pub options_interval: u32,
    /// Number rules; an empty list allows every number unchanged.
    pub rules: Vec<PrefixRule>,
    /// Out of service by hand.
    pub disabled: bool,
}

impl Trunk {
    /// A platform's trunk over UDP without name, domain, limits and rules, in service, asked for its health every 30
    /// seconds. `address` may be set or, in place of it, [`Trunk::server`].
    pub fn new(id: TrunkId, address: Option<SocketAddr>) -> Trunk {
        Trunk {
            id,
            tenant: None,
            name: String::new(),
            address,
            server: None,
            transport: TrunkTransport::Udp,
            verify: true,
            domain: String::new(),
            sources: Vec::new(),
            auth: TrunkAuth::Address,
            register: None,
            identity: TrunkIdentity::default(),
            codecs: Vec::new(),
            srtp: TrunkSrtp::Off,
            dtmf: DigitsBy::Auto,
            max_channels: 0,
            max_rate: 0,
            priority: 10,
            options_interval: 30,
            rules: Vec::new(),
            disabled: false,
        }
    }

    /// Host part of the Request-URI and To of requests to it: its domain, else its server, else its address.
    pub fn host(&self) -> String {
        if !self.domain.is_empty() {
            return self.domain.clone();
        }
        match (&self.server, self.address) {
            (Some(server), _) => server.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => String::new(),
        }
    }

    /// True if a request from this address is the carrier's, by its configured addresses alone. What its server's name
    /// resolves to is not known here.
    pub fn is_source(&self, source: SocketAddr) -> bool {
        if self.sources.iter().any(|range| range.contains(source.ip())) {
            return true;
        }
        self.address.is_some_and(|address| {
            // Several carriers may share an address on one machine (a lab does); then the port tells them apart.
            address == source || (self.sources.is_empty() && address.ip() == source.ip() && !source.ip().is_loopback())
        })
    }
}

/// A number of the installation.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedNumber {
    /// The number.
    pub number: Number,
    /// Owner.
    pub tenant: TenantId,
    /// Applications that may show it; empty for all of the tenant's.
    pub applications: Vec<ApplicationId>,
    /// May be shown to called parties.
    pub outgoing: bool,
    /// May be called.
    pub incoming: bool,
}

/// Where a static route sends a call.
#[derive(Clone, Debug, PartialEq)]
pub enum RouteTarget {
    /// To a number over the trunks.
    Number(Number),
    /// To a device.
    Device(DeviceId),
    /// To this trunk and no other, with the number that was called as the trunk's rules write it: a telephone system
    /// behind a trunk.
    Trunk(TrunkId),
    /// To whoever serves a queue.
    Queue(QueueId),
    /// To an agent.
    Agent(AgentId),
    /// Into an IVR flow of the application.
    Flow(RoutingId),
    /// Where the rules of a plan of the application say.
    Plan(RoutingId),
}

/// A static route: calls to a number go to a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Id.
    pub id: RouteId,
    /// The application that the calls are accounted to.
    pub application: ApplicationId,
    /// The number called.
    pub number: Number,
    /// Where it goes.
    pub target: RouteTarget,
}

/// What a device is offered when it is called. What it offers itself is taken in any of these forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceMedia {
    /// What its connection suggests: WebRTC over WebSocket, SRTP beside RTP over TLS, RTP otherwise.
    #[default]
    Auto,
    /// RTP.
    Rtp,
    /// RTP with keys beside it: SRTP if the device has it (RFC 4568).
    SrtpOptional,
    /// SRTP and nothing else.
    Srtp,
    /// ICE and DTLS, as browsers have it.
    WebRtc,
}

impl DeviceMedia {
    /// All of them.
    pub const ALL: [DeviceMedia; 5] = [
        DeviceMedia::Auto,
        DeviceMedia::Rtp,
        DeviceMedia::SrtpOptional,
        DeviceMedia::Srtp,
        DeviceMedia::WebRtc,
    ];

    /// As the API, the command line and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            DeviceMedia::Auto => "auto",
            DeviceMedia::Rtp => "rtp",
            DeviceMedia::SrtpOptional => "srtp-optional",
            DeviceMedia::Srtp => "srtp",
            DeviceMedia::WebRtc => "webrtc",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<DeviceMedia> {
        DeviceMedia::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// A telephone with a fixed contact address.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Id.
    pub id: DeviceId,
    /// Owner.
    pub tenant: TenantId,
    /// User part of its address of record.
    pub username: String,
    /// Where it is, if it does not register.
    pub contact: Option<SocketAddr>,
    /// The application that calls from it are accounted to; `None` for the tenant's only one.
    pub application: Option<ApplicationId>,
    /// The number that its outward calls show; `None` for the application's.
    pub cli: Option<Number>,
    /// What it is offered when it is called.
    pub media: DeviceMedia,
    /// How it is sent digits.
    pub dtmf: DigitsBy,
}

impl Device {
    /// A device without a fixed address, application and number.
    pub fn new(id: DeviceId, tenant: TenantId, username: impl Into<String>) -> Device {
        Device {
            id,
            tenant,
            username: username.into(),
            contact: None,
            application: None,
            cli: None,
            media: DeviceMedia::Auto,
            dtmf: DigitsBy::Auto,
        }
    }
}
