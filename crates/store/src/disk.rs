//! Resources as they are stored: JSON with types of its own, sealed with the owner's key.
//!
//! A member that is added later gets a default here. Text forms: ids 32 hexadecimal digits, addresses and numbers as
//! they are written.

mod centre;
mod identity;
mod routing;
mod trunk;
mod webhook;

use crate::config::{
    Account, AddressRange, Application, DeviceEntry, Prompt, PromptState, Resource, Secret, Tenant, TenantSounds, Token,
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use strowger_core::resource::{
    AnswerRule, ApplicationSettings, Device, DeviceMedia, NoticeSettings, OnMachine, OwnedNumber, RecordingSettings,
    Route, RouteTarget,
};
use strowger_core::spoken::Language;
use strowger_core::{
    AccountId, AgentId, ApplicationId, DeviceId, Number, QueueId, RouteId, RoutingId, Stamp, TenantId, TrunkId,
};

use centre::{DiskAgent, DiskCentre, DiskGroup, DiskQueue};
use identity::{DiskKey, DiskUser};
use routing::DiskRouting;
use trunk::DiskTrunk;
use webhook::DiskWebhook;

/// A 128-bit id as 32 hexadecimal digits.
struct Id(u128);

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&TenantId(self.0))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Id, D::Error> {
        let text = String::deserialize(d)?;
        text.parse::<TenantId>()
            .map(|t| Id(t.0))
            .map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "resource", rename_all = "snake_case")]
#[allow(
    clippy::large_enum_variant,
    reason = "built and consumed once per administrative request"
)]
enum Disk {
    Tenant(DiskTenant),
    Account(DiskAccount),
    Application(DiskApplication),
    Trunk(DiskTrunk),
    Number(DiskNumber),
    Route(DiskRoute),
    Device(DiskDevice),
    Prompt(DiskPrompt),
    User(DiskUser),
    Key(DiskKey),
    Webhook(DiskWebhook),
    Agent(DiskAgent),
    Group(DiskGroup),
    Queue(DiskQueue),
    Centre(DiskCentre),
    Routing(DiskRouting),
}

#[derive(Serialize, Deserialize)]
struct DiskTenant {
    id: Id,
    name: String,
    #[serde(default)]
    push_allowed: Vec<String>,
    #[serde(default)]
    opened_prefixes: Vec<String>,
    #[serde(default)]
    max_conversations: u32,
    #[serde(default)]
    max_rate: u32,
    #[serde(default)]
    max_daily_spend: u64,
    #[serde(default)]
    zone_minutes: Option<i32>,
    #[serde(default)]
    domain: Option<String>,
    #[serde(default)]
    emergency: Option<Id>,
    #[serde(default)]
    emergency_numbers: Vec<String>,
    #[serde(default)]
    tones: Option<String>,
    #[serde(default)]
    failure_tones: bool,
    #[serde(default)]
    hold_music: Option<String>,
    #[serde(default)]
    disabled: bool,
}

#[derive(Serialize, Deserialize)]
struct DiskAccount {
    id: Id,
    tenant: Id,
    name: String,
    tokens: Vec<DiskToken>,
    #[serde(default)]
    max_conversations: u32,
    #[serde(default)]
    max_rate: u32,
    #[serde(default)]
    max_daily_spend: u64,
    #[serde(default)]
    disabled: bool,
}

#[derive(Serialize, Deserialize)]
struct DiskToken {
    secret: String,
    created_at: i64,
    #[serde(default)]
    expires_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct DiskApplication {
    id: Id,
    tenant: Id,
    #[serde(default)]
    account: Option<Id>,
    name: String,
    profile: String,
    settings: DiskSettings,
    #[serde(default)]
    push_secret: Option<String>,
    #[serde(default)]
    disabled: bool,
}

/// Absent members take the core's defaults, so that a setting that is new in this version has its default in
/// applications that were stored before.
#[derive(Default, Serialize, Deserialize)]
struct DiskSettings {
    ring_timeout: Option<u32>,
    media_timeout: Option<u32>,
    zone_minutes: Option<i32>,
    default_cli: Option<String>,
    record_url: Option<String>,
    user_data_limit: Option<usize>,
    user_data_any: Option<bool>,
    strict_causes: Option<bool>,
    record_wait: Option<u32>,
    record_batch_size: Option<u32>,
    record_batch_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    link_origins: Vec<String>,
    #[serde(default)]
    recording_compressed: bool,
    #[serde(default)]
    recording_mixed: bool,
    #[serde(default)]
    recording_hide_digits: bool,
    #[serde(default)]
    recording_days: u32,
    max_conversations: Option<u32>,
    max_rate: Option<u32>,
    on_machine: Option<String>,
    machine_confidence: Option<u8>,
    #[serde(default)]
    notices: DiskNotices,
}

/// As [`DiskSettings`]: absent members take the defaults.
#[derive(Default, Serialize, Deserialize)]
struct DiskNotices {
    result_url: Option<String>,
    language: Option<String>,
    ring_timeout: Option<u32>,
    max_seconds: Option<u32>,
    key_seconds: Option<u32>,
    strict_keys: Option<bool>,
    plain_one: Option<bool>,
    user_data_limit: Option<usize>,
    foreign_cli_invalid: Option<bool>,
    code_missing_malformed: Option<bool>,
    codes_per_minute: Option<u32>,
    codes_per_hour: Option<u32>,
    codes_per_day: Option<u32>,
    on_machine: Option<String>,
    machine_confidence: Option<u8>,
}

/// The rule that was stored, or the default.
pub(crate) fn answer_from(on_machine: Option<&str>, least_confidence: Option<u8>) -> AnswerRule {
    let default = AnswerRule::default();
    AnswerRule {
        on_machine: on_machine.and_then(OnMachine::of_name).unwrap_or(default.on_machine),
        least_confidence: least_confidence.unwrap_or(default.least_confidence),
    }
}

fn notices_to(s: &NoticeSettings) -> DiskNotices {
    DiskNotices {
        result_url: s.result_url.clone(),
        language: Some(s.language.code().to_owned()),
        ring_timeout: Some(s.ring_timeout),
        max_seconds: Some(s.max_seconds),
        key_seconds: Some(s.key_seconds),
        strict_keys: Some(s.strict_keys),
        plain_one: Some(s.plain_one),
        user_data_limit: Some(s.user_data_limit),
        foreign_cli_invalid: Some(s.foreign_cli_invalid),
        code_missing_malformed: Some(s.code_missing_malformed),
        codes_per_minute: Some(s.codes_per_minute),
        codes_per_hour: Some(s.codes_per_hour),
        codes_per_day: Some(s.codes_per_day),
        on_machine: Some(s.answer.on_machine.name().to_owned()),
        machine_confidence: Some(s.answer.least_confidence),
    }
}

fn notices_from(d: DiskNotices) -> NoticeSettings {
    let default = NoticeSettings::default();
    NoticeSettings {
        result_url: d.result_url,
        language: d
            .language
            .and_then(|code| Language::from_code(&code))
            .unwrap_or(default.language),
        ring_timeout: d.ring_timeout.unwrap_or(default.ring_timeout),
        max_seconds: d.max_seconds.unwrap_or(default.max_seconds),
        key_seconds: d.key_seconds.unwrap_or(default.key_seconds),
        strict_keys: d.strict_keys.unwrap_or(default.strict_keys),
        plain_one: d.plain_one.unwrap_or(default.plain_one),
        user_data_limit: d.user_data_limit.unwrap_or(default.user_data_limit),
        foreign_cli_invalid: d.foreign_cli_invalid.unwrap_or(default.foreign_cli_invalid),
        code_missing_malformed: d.code_missing_malformed.unwrap_or(default.code_missing_malformed),
        codes_per_minute: d.codes_per_minute.unwrap_or(default.codes_per_minute),
        codes_per_hour: d.codes_per_hour.unwrap_or(default.codes_per_hour),
        codes_per_day: d.codes_per_day.unwrap_or(default.codes_per_day),
        answer: answer_from(d.on_machine.as_deref(), d.machine_confidence),
    }
}

#[derive(Serialize, Deserialize)]
struct DiskNumber {
    number: String,
    tenant: Id,
    applications: Vec<Id>,
    outgoing: bool,
    incoming: bool,
}

#[derive(Serialize, Deserialize)]
struct DiskRoute {
    id: Id,
    application: Id,
    number: String,
    target: DiskTarget,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DiskTarget {
    Number(String),
    Device(Id),
    Trunk(Id),
    Queue(Id),
    Agent(Id),
    Flow(Id),
    Plan(Id),
}

#[derive(Serialize, Deserialize)]
struct DiskDevice {
    id: Id,
    tenant: Id,
    username: String,
    #[serde(default)]
    contact: Option<SocketAddr>,
    #[serde(default)]
    application: Option<Id>,
    #[serde(default)]
    cli: Option<String>,
    #[serde(default)]
    media: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    dtmf: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    disabled: bool,
}

#[derive(Serialize, Deserialize)]
struct DiskPrompt {
    tenant: Id,
    #[serde(default)]
    application: Option<Id>,
    name: String,
    duration_ms: u64,
    file: String,
    checksum: String,
    state: DiskPromptState,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DiskPromptState {
    Ready,
    Pending,
    Failed,
    Rejected,
}

fn secret(s: &Secret) -> String {
    s.expose().to_owned()
}

fn settings_to(s: &ApplicationSettings) -> DiskSettings {
    DiskSettings {
        ring_timeout: Some(s.ring_timeout),
        media_timeout: Some(s.media_timeout),
        zone_minutes: Some(s.zone_minutes),
        default_cli: s.default_cli.as_ref().map(|n| n.as_str().to_owned()),
        record_url: s.record_url.clone(),
        user_data_limit: Some(s.user_data_limit),
        user_data_any: Some(s.user_data_any),
        strict_causes: Some(s.strict_causes),
        record_wait: Some(s.record_wait),
        record_batch_size: Some(s.record_batch_size),
        record_batch_seconds: Some(s.record_batch_seconds),
        link_origins: s.link_origins.clone(),
        recording_compressed: s.recording.compressed,
        recording_mixed: s.recording.mixed,
        recording_hide_digits: s.recording.hide_digits,
        recording_days: s.recording.days,
        max_conversations: Some(s.max_conversations),
        max_rate: Some(s.max_rate),
        on_machine: Some(s.answer.on_machine.name().to_owned()),
        machine_confidence: Some(s.answer.least_confidence),
        notices: notices_to(&s.notices),
    }
}

fn settings_from(d: DiskSettings) -> ApplicationSettings {
    let default = ApplicationSettings::default();
    ApplicationSettings {
        ring_timeout: d.ring_timeout.unwrap_or(default.ring_timeout),
        media_timeout: d.media_timeout.unwrap_or(default.media_timeout),
        zone_minutes: d.zone_minutes.unwrap_or(default.zone_minutes),
        default_cli: d.default_cli.map(Number::from_canonical),
        record_url: d.record_url,
        user_data_limit: d.user_data_limit.unwrap_or(default.user_data_limit),
        user_data_any: d.user_data_any.unwrap_or(default.user_data_any),
        strict_causes: d.strict_causes.unwrap_or(default.strict_causes),
        record_wait: d.record_wait.unwrap_or(default.record_wait),
        record_batch_size: d.record_batch_size.unwrap_or(default.record_batch_size),
        record_batch_seconds: d.record_batch_seconds.unwrap_or(default.record_batch_seconds),
        link_origins: d.link_origins,
        recording: RecordingSettings {
            compressed: d.recording_compressed,
            mixed: d.recording_mixed,
            hide_digits: d.recording_hide_digits,
            days: d.recording_days,
        },
        max_conversations: d.max_conversations.unwrap_or(default.max_conversations),
        max_rate: d.max_rate.unwrap_or(default.max_rate),
        answer: answer_from(d.on_machine.as_deref(), d.machine_confidence),
        notices: notices_from(d.notices),
    }
}

fn to_disk(resource: &Resource) -> Disk {
    match resource {
        Resource::Tenant(t) => Disk::Tenant(DiskTenant {
            id: Id(t.id.0),
            name: t.name.clone(),
            push_allowed: t.push_allowed.iter().map(AddressRange::to_string).collect(),
            opened_prefixes: t.opened_prefixes.clone(),
            max_conversations: t.max_conversations,
            max_rate: t.max_rate,
            max_daily_spend: t.max_daily_spend,
            zone_minutes: Some(t.zone_minutes),
            domain: t.domain.clone(),
            emergency: t.emergency.map(|t| Id(t.0)),
            emergency_numbers: t.emergency_numbers.clone(),
            tones: t.sounds.tones.clone(),
            failure_tones: t.sounds.failure_tones,
            hold_music: t.sounds.hold_music.clone(),
            disabled: t.disabled,
        }),
        Resource::Account(a) => Disk::Account(DiskAccount {
            id: Id(a.id.0),
            tenant: Id(a.tenant.0),
            name: a.name.clone(),
            tokens: a
                .tokens
                .iter()
                .map(|t| DiskToken {
                    secret: secret(&t.secret),
                    created_at: t.created_at.0,
                    expires_at: t.expires_at.map(|e| e.0),
                })
                .collect(),
            max_conversations: a.max_conversations,
            max_rate: a.max_rate,
            max_daily_spend: a.max_daily_spend,
            disabled: a.disabled,
        }),
        Resource::Application(a) => Disk::Application(DiskApplication {
            id: Id(a.id.0),
            tenant: Id(a.tenant.0),
            account: a.account.map(|a| Id(a.0)),
            name: a.name.clone(),
            profile: a.profile.clone(),
            settings: settings_to(&a.settings),
            push_secret: a.push_secret.as_ref().map(secret),
            disabled: a.disabled,
        }),
        Resource::Trunk(t) => Disk::Trunk(DiskTrunk::of(t)),
        Resource::User(u) => Disk::User(DiskUser::of(u)),
        Resource::Key(k) => Disk::Key(DiskKey::of(k)),
        Resource::Webhook(w) => Disk::Webhook(DiskWebhook::of(w)),
        Resource::Agent(a) => Disk::Agent(DiskAgent::of(a)),
        Resource::Group(g) => Disk::Group(DiskGroup::of(g)),
        Resource::Queue(q) => Disk::Queue(DiskQueue::of(q)),
        Resource::Centre(c) => Disk::Centre(DiskCentre::of(c)),
        Resource::Routing(r) => Disk::Routing(DiskRouting::of(r)),
        Resource::Number(n) => Disk::Number(DiskNumber {
            number: n.number.as_str().to_owned(),
            tenant: Id(n.tenant.0),
            applications: n.applications.iter().map(|a| Id(a.0)).collect(),
            outgoing: n.outgoing,
            incoming: n.incoming,
        }),
        Resource::Route(r) => Disk::Route(DiskRoute {
            id: Id(r.id.0),
            application: Id(r.application.0),
            number: r.number.as_str().to_owned(),
            target: match &r.target {
                RouteTarget::Number(n) => DiskTarget::Number(n.as_str().to_owned()),
                RouteTarget::Device(d) => DiskTarget::Device(Id(d.0)),
                RouteTarget::Trunk(t) => DiskTarget::Trunk(Id(t.0)),
                RouteTarget::Queue(q) => DiskTarget::Queue(Id(q.0)),
                RouteTarget::Agent(a) => DiskTarget::Agent(Id(a.0)),
                RouteTarget::Flow(f) => DiskTarget::Flow(Id(f.0)),
                RouteTarget::Plan(p) => DiskTarget::Plan(Id(p.0)),
            },
        }),
        Resource::Device(d) => Disk::Device(DiskDevice {
            id: Id(d.device.id.0),
            tenant: Id(d.device.tenant.0),
            username: d.device.username.clone(),
            contact: d.device.contact,
            application: d.device.application.map(|a| Id(a.0)),
            cli: d.device.cli.as_ref().map(|n| n.as_str().to_owned()),
            media: d.device.media.name().to_owned(),
            dtmf: trunk::digits_name(d.device.dtmf),
            password: d.password.as_ref().map(secret),
            disabled: d.disabled,
        }),
        Resource::Prompt(p) => Disk::Prompt(DiskPrompt {
            tenant: Id(p.tenant.0),
            application: p.application.map(|a| Id(a.0)),
            name: p.name.clone(),
            duration_ms: p.duration_ms,
            file: p.file.clone(),
            checksum: p.checksum.clone(),
            state: match p.state {
                PromptState::Ready => DiskPromptState::Ready,
                PromptState::Pending => DiskPromptState::Pending,
                PromptState::Failed => DiskPromptState::Failed,
                PromptState::Rejected => DiskPromptState::Rejected,
            },
        }),
    }
}

fn from_disk(disk: Disk) -> Option<Resource> {
    Some(match disk {
        Disk::Tenant(t) => Resource::Tenant(Tenant {
            id: TenantId(t.id.0),
            name: t.name,
            push_allowed: t.push_allowed.iter().map(|r| r.parse().ok()).collect::<Option<_>>()?,
            opened_prefixes: t.opened_prefixes,
            max_conversations: t.max_conversations,
            max_rate: t.max_rate,
            max_daily_spend: t.max_daily_spend,
            zone_minutes: t.zone_minutes.unwrap_or(480),
            domain: t.domain,
            emergency: t.emergency.map(|t| TrunkId(t.0)),
            emergency_numbers: t.emergency_numbers,
            sounds: TenantSounds {
                tones: t.tones,
                failure_tones: t.failure_tones,
                hold_music: t.hold_music,
            },
            disabled: t.disabled,
        }),
        Disk::Account(a) => Resource::Account(Account {
            id: AccountId(a.id.0),
            tenant: TenantId(a.tenant.0),
            name: a.name,
            tokens: a
                .tokens
                .into_iter()
                .map(|t| Token {
                    secret: Secret::new(t.secret),
                    created_at: Stamp(t.created_at),
                    expires_at: t.expires_at.map(Stamp),
                })
                .collect(),
            max_conversations: a.max_conversations,
            max_rate: a.max_rate,
            max_daily_spend: a.max_daily_spend,
            disabled: a.disabled,
        }),
        Disk::Application(a) => Resource::Application(Application {
            id: ApplicationId(a.id.0),
            tenant: TenantId(a.tenant.0),
            account: a.account.map(|a| AccountId(a.0)),
            name: a.name,
            profile: a.profile,
            settings: settings_from(a.settings),
            push_secret: a.push_secret.map(Secret::new),
            disabled: a.disabled,
        }),
        Disk::Trunk(t) => Resource::Trunk(t.trunk()?),
        Disk::User(u) => Resource::User(u.user()?),
        Disk::Key(k) => Resource::Key(k.key()?),
        Disk::Webhook(w) => Resource::Webhook(w.webhook()),
        Disk::Agent(a) => Resource::Agent(a.agent()?),
        Disk::Group(g) => Resource::Group(g.group()),
        Disk::Queue(q) => Resource::Queue(q.queue()?),
        Disk::Centre(c) => Resource::Centre(c.centre()?),
        Disk::Routing(r) => Resource::Routing(r.item()?),
        Disk::Number(n) => Resource::Number(OwnedNumber {
            number: Number::from_canonical(n.number),
            tenant: TenantId(n.tenant.0),
            applications: n.applications.into_iter().map(|a| ApplicationId(a.0)).collect(),
            outgoing: n.outgoing,
            incoming: n.incoming,
        }),
        Disk::Route(r) => Resource::Route(Route {
            id: RouteId(r.id.0),
            application: ApplicationId(r.application.0),
            number: Number::from_canonical(r.number),
            target: match r.target {
                DiskTarget::Number(n) => RouteTarget::Number(Number::from_canonical(n)),
                DiskTarget::Device(d) => RouteTarget::Device(DeviceId(d.0)),
                DiskTarget::Trunk(t) => RouteTarget::Trunk(TrunkId(t.0)),
                DiskTarget::Queue(q) => RouteTarget::Queue(QueueId(q.0)),
                DiskTarget::Agent(a) => RouteTarget::Agent(AgentId(a.0)),
                DiskTarget::Flow(f) => RouteTarget::Flow(RoutingId(f.0)),
                DiskTarget::Plan(p) => RouteTarget::Plan(RoutingId(p.0)),
            },
        }),
        Disk::Device(d) => Resource::Device(DeviceEntry {
            device: Device {
                id: DeviceId(d.id.0),
                tenant: TenantId(d.tenant.0),
                username: d.username,
                contact: d.contact,
                application: d.application.map(|a| ApplicationId(a.0)),
                cli: d.cli.map(Number::from_canonical),
                media: DeviceMedia::of_name(&d.media).unwrap_or_default(),
                dtmf: trunk::digits_of(&d.dtmf),
            },
            password: d.password.map(Secret::new),
            disabled: d.disabled,
        }),
        Disk::Prompt(p) => Resource::Prompt(Prompt {
            tenant: TenantId(p.tenant.0),
            application: p.application.map(|a| ApplicationId(a.0)),
            name: p.name,
            duration_ms: p.duration_ms,
            file: p.file,
            checksum: p.checksum,
            state: match p.state {
                DiskPromptState::Ready => PromptState::Ready,
                DiskPromptState::Pending => PromptState::Pending,
                DiskPromptState::Failed => PromptState::Failed,
                DiskPromptState::Rejected => PromptState::Rejected,
            },
        }),
    })
}

/// The stored form of a resource, in clear.
pub(crate) fn encode(resource: &Resource) -> Vec<u8> {
    // Plain structs of strings and numbers: writing them into memory cannot fail.
    serde_json::to_vec(&to_disk(resource)).unwrap_or_default()
}

/// Reads the stored form; `None` if this version cannot.
pub(crate) fn decode(json: &[u8]) -> Option<Resource> {
    serde_json::from_slice(json).ok().and_then(from_disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resources as the first version wrote them.
    #[test]
    fn old_resources_load_with_the_defaults_of_what_is_new() {
        let id = "00000000000000000000000000000007";
        let read = |json: String| decode(json.as_bytes()).expect("an old resource loads");
        let tenant = read(format!(
            r#"{{"resource":"tenant","id":"{id}","name":"t","disabled":false}}"#
        ));
        assert_eq!(tenant, Resource::Tenant(Tenant::new(TenantId(7), "t")));
        let account = read(format!(
            r#"{{"resource":"account","id":"{id}","tenant":"{id}","name":"a","tokens":[]}}"#
        ));
        assert_eq!(account, Resource::Account(Account::new(AccountId(7), TenantId(7), "a")));
        let device = read(format!(
            r#"{{"resource":"device","id":"{id}","tenant":"{id}","username":"d","contact":null,"disabled":false}}"#
        ));
        let Resource::Device(entry) = device else {
            panic!("a device")
        };
        assert_eq!(entry.device, Device::new(DeviceId(7), TenantId(7), "d"));
    }
}
