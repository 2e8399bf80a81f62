//! What operators see of the running process and can do to it, apart from calls and stored resources: who is registered,
//! who is banned, which messages a call's dialogs exchanged, certificates.

use crate::calls;
use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, OfTenant, Path, Query};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use strowger_core::{AddressRange, ConversationId, NoticeBatchId, TenantId, TrunkId};
use utoipa::ToSchema;

/// A boxed answer of the process: most of these questions go to the thread that owns the signalling.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Longest ban that an operator can set, in seconds: 30 days.
const LONGEST_BAN: u32 = 30 * 86_400;

/// What operators see of the running process, apart from single calls ([`strowger_runtime::Calls`]).
pub trait Operations: Send + Sync {
    /// The conversations that have not ended.
    fn running(&self) -> Vec<ConversationId>;

    /// Health of a trunk by its OPTIONS; `None` if it is not checked or not yet known.
    fn trunk_healthy(&self, trunk: TrunkId) -> Option<bool>;

    /// State of our registration with a trunk's carrier, in a word or two; `None` if we do not register there.
    fn trunk_registration(&self, trunk: TrunkId) -> Option<String>;

    /// Why new calls are refused just now; an empty list means ready.
    fn not_ready(&self) -> Vec<String>;

    /// Figures for the metrics page.
    fn metrics(&self) -> Vec<crate::Metric>;

    /// The bindings of devices, of one tenant or of all.
    fn registrations(&self, tenant: Option<TenantId>) -> Reply<'_, Vec<RegistrationInfo>>;

    /// Removes all bindings of a device; answers how many there were.
    fn unregister<'a>(&'a self, tenant: TenantId, username: &'a str) -> Reply<'a, usize>;

    /// The bans in force, the newest first.
    fn bans(&self) -> Reply<'_, Vec<BanInfo>>;

    /// Ignores a source for so many seconds from now.
    fn ban(&self, source: IpAddr, seconds: u32) -> Reply<'_, ()>;

    /// Lifts a ban; `false` if there was none.
    fn unban(&self, source: IpAddr) -> Reply<'_, bool>;

    /// The SIP messages of a call's dialogs that are still kept, in order of time.
    fn ladder(&self, tenant: TenantId, conversation: ConversationId) -> Reply<'_, Vec<LadderStep>>;

    /// Reads the certificate files again; answers how many listeners use what was read. The error is a sentence, and the
    /// certificates before it stay in use.
    fn reload_certificates(&self) -> Reply<'_, Result<usize, String>>;

    /// Cancels a batch of notices: what has not begun is not called. False if there is nothing left to cancel. The error is
    /// a sentence.
    fn cancel_batch(&self, batch: NoticeBatchId) -> Reply<'_, Result<bool, String>>;
}

/// A binding of a device (RFC 3261 §10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationInfo {
    /// The device's tenant.
    pub tenant: TenantId,
    /// The device's user name.
    pub username: String,
    /// The contact URI.
    pub contact: String,
    /// The transport in lower case, such as `udp` or `wss`.
    pub transport: &'static str,
    /// Where the REGISTER came from.
    pub source: SocketAddr,
    /// What the device calls itself.
    pub user_agent: Option<String>,
    /// Seconds until it expires.
    pub expires_in: u32,
    /// True if requests to it go through an edge proxy (RFC 3327).
    pub path: bool,
}

/// A source that is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanInfo {
    /// An IPv4 address or an IPv6 /64.
    pub source: AddressRange,
    /// Seconds ago that it began.
    pub since_seconds: u64,
    /// Seconds until it ends.
    pub until_seconds: u64,
    /// Bans that the source had within memory, this one included.
    pub count: u32,
    /// Made by an operator.
    pub manual: bool,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To us.
    In,
    /// From us.
    Out,
}

/// A message of a call. It holds numbers: access to it is access to the call's data.
#[derive(Clone, PartialEq, Eq)]
pub struct LadderStep {
    /// Wall time, milliseconds since 1970.
    pub at_ms: i64,
    /// Which way it went.
    pub direction: Direction,
    /// The transport in lower case.
    pub transport: &'static str,
    /// Our address.
    pub local: SocketAddr,
    /// The other's.
    pub remote: SocketAddr,
    /// The whole message.
    pub text: String,
}

impl std::fmt::Debug for LadderStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "LadderStep({}, {:?}, {} bytes)",
            self.at_ms,
            self.direction,
            self.text.len()
        )
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Registration)]
pub(crate) struct RegistrationView {
    tenant: String,
    username: String,
    contact: String,
    transport: &'static str,
    source: String,
    user_agent: Option<String>,
    expires_in: u32,
    path: bool,
}

pub(crate) async fn registrations(api: Desk, Query(of): Query<OfTenant>) -> Answer {
    let tenant = of.resolve(&api)?;
    let mut all = api.operations.registrations(tenant).await;
    all.sort_by(|a, b| (a.tenant, &a.username, &a.contact).cmp(&(b.tenant, &b.username, &b.contact)));
    request::list(all.into_iter().map(|r| RegistrationView {
        tenant: r.tenant.to_string(),
        username: r.username,
        contact: r.contact,
        transport: r.transport,
        source: r.source.to_string(),
        user_agent: r.user_agent,
        expires_in: r.expires_in,
        path: r.path,
    }))
}

#[derive(Serialize, ToSchema)]
#[schema(as = RegistrationsRemoved)]
pub(crate) struct Removed {
    removed: usize,
}

pub(crate) async fn unregister(api: Desk, Path(username): Path<String>, Query(of): Query<OfTenant>) -> Answer {
    let tenant = request::tenant(&api.config(), of.tenant.as_deref())?;
    match api.operations.unregister(tenant, &username).await {
        0 => Err(Problem::not_found("registration of", format!("{username:?}"))),
        removed => request::ok(Removed { removed }),
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Ban)]
pub(crate) struct BanView {
    source: String,
    since_seconds: u64,
    until_seconds: u64,
    count: u32,
    manual: bool,
}

pub(crate) async fn bans(api: Desk) -> Answer {
    let all = api.operations.bans().await;
    request::list(all.into_iter().map(|b| BanView {
        source: match b.source.single() {
            Some(ip) => ip.to_string(),
            None => b.source.to_string(),
        },
        since_seconds: b.since_seconds,
        until_seconds: b.until_seconds,
        count: b.count,
        manual: b.manual,
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BanCreate)]
pub(crate) struct BanRequest {
    source: String,
    #[serde(default = "an_hour")]
    seconds: u32,
}

fn an_hour() -> u32 {
    3600
}

fn source(text: &str) -> Result<IpAddr, Problem> {
    text.parse()
        .map_err(|_| Problem::parameter("source", "source is an IP address, such as 192.0.2.7 or 2001:db8::7"))
}

pub(crate) async fn ban(api: Desk, Body(ban): Body<BanRequest>) -> Answer {
    let source = source(&ban.source)?;
    if !(1..=LONGEST_BAN).contains(&ban.seconds) {
        return Err(Problem::parameter(
            "seconds",
            format!("seconds is 1 to {LONGEST_BAN} (30 days)"),
        ));
    }
    api.operations.ban(source, ban.seconds).await;
    request::done()
}

pub(crate) async fn unban(api: Desk, Path(text): Path<String>) -> Answer {
    // The list shows an IPv6 source as its /64, which is also a way to name it here.
    let ip = match text.parse::<AddressRange>() {
        Ok(range) => range.address,
        Err(_) => source(&text)?,
    };
    if api.operations.unban(ip).await {
        request::done()
    } else {
        Err(Problem::not_found("ban of", ip))
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LadderStep)]
pub(crate) struct StepView {
    at_ms: i64,
    at: String,
    direction: &'static str,
    transport: &'static str,
    local: String,
    remote: String,
    text: String,
}

pub(crate) async fn ladder(api: Desk, Path(id): Path<String>) -> Answer {
    let id = request::id("conversation", &id)?;
    let tenant = calls::find(&api, id).await?.head.tenant;
    let mut steps = api.operations.ladder(tenant, id).await;
    steps.sort_by_key(|s| s.at_ms);
    request::list(steps.into_iter().map(|s| StepView {
        at_ms: s.at_ms,
        at: crate::rfc3339(strowger_core::Stamp(s.at_ms)),
        direction: match s.direction {
            Direction::In => "in",
            Direction::Out => "out",
        },
        transport: s.transport,
        local: s.local.to_string(),
        remote: s.remote.to_string(),
        text: s.text,
    }))
}

#[derive(Serialize, ToSchema)]
#[schema(as = CertificatesReloaded)]
pub(crate) struct Reloaded {
    listeners: usize,
}

pub(crate) async fn reload_certificates(api: Desk) -> Answer {
    match api.operations.reload_certificates().await {
        Ok(listeners) => request::ok(Reloaded { listeners }),
        Err(why) => Err(Problem::new(Code::BadCertificate, why)),
    }
}
