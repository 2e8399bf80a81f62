//! The resource commands: each is a request and a way to show its answer.

use super::client::{Body, Failure, Request, escape, with_query};
use super::output::View;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

pub(super) fn get(path: impl Into<String>, view: View) -> Request {
    Request {
        method: "GET",
        path: path.into(),
        body: Body::Empty,
        view,
    }
}

pub(super) fn send(method: &'static str, path: impl Into<String>, body: serde_json::Value, view: View) -> Request {
    Request {
        method,
        path: path.into(),
        body: Body::Json(body),
        view,
    }
}

pub(super) fn remove(path: impl Into<String>, said: impl Into<String>) -> Request {
    Request {
        method: "DELETE",
        path: path.into(),
        body: Body::Empty,
        view: View::Said(said.into()),
    }
}

pub(super) fn listed(path: &str, of: &OfTenant, columns: &'static [(&'static str, &'static str)]) -> Request {
    get(
        with_query(path, &[("tenant", of.tenant.as_deref())]),
        View::Table(columns),
    )
}

pub(super) fn switch(path: String, disabled: bool) -> Request {
    let said = if disabled { "switched off" } else { "switched on" };
    send(
        "PATCH",
        path,
        json!({ "disabled": disabled }),
        View::Said(said.to_owned()),
    )
}

/// Whose things.
#[derive(Debug, Args)]
pub struct OfTenant {
    /// Tenant, by name or id; needed only if there are several
    #[arg(long)]
    pub(super) tenant: Option<String>,
}

/// One thing, by id.
#[derive(Debug, Args)]
pub struct Id {
    /// Its id, 32 hexadecimal digits
    pub(super) id: String,
}

/// `tenant`.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one is made for each run of the command")]
pub enum Tenant {
    /// List them
    #[command(after_help = "Example:\n  strowger tenant list")]
    List,
    /// Create one
    #[command(after_help = "Example:\n  strowger tenant create acme")]
    Create {
        /// Name
        name: String,
    },
    /// Change its domain, limits, opened prefixes, emergency trunk and where pushes may go
    #[command(
        after_help = "Examples:\n  strowger tenant set acme --open +1 --allow-push 10.0.0.0/8\n  \
        strowger tenant set acme --domain acme.voice.example --max-daily-spend 500000 --emergency-trunk carrier-a"
    )]
    Set {
        /// Name or id
        tenant: String,
        /// Prefixes of international or premium numbers that may be called; replaces the list
        #[arg(long = "open", value_name = "PREFIX")]
        open: Option<Vec<String>>,
        /// Private addresses that pushes may go to; replaces the list
        #[arg(long, value_name = "RANGE")]
        allow_push: Option<Vec<String>>,
        /// Concurrent conversations, 0 is no limit
        #[arg(long)]
        max_conversations: Option<u32>,
        /// New conversations per second, 0 is no limit
        #[arg(long)]
        max_rate: Option<u32>,
        /// What calls may cost in a day, in thousandths of a currency unit; 0 is no limit
        #[arg(long, value_name = "THOUSANDTHS")]
        max_daily_spend: Option<u64>,
        /// Minutes east of UTC of the zone in which its days begin
        #[arg(long, value_name = "MINUTES", allow_hyphen_values = true)]
        zone_minutes: Option<i32>,
        /// Host part of its telephones' addresses; empty for none
        #[arg(long, value_name = "HOST")]
        domain: Option<String>,
        /// The only trunk for calls to emergency numbers, by name or id; empty refuses them
        #[arg(long, value_name = "TRUNK")]
        emergency_trunk: Option<String>,
        /// An emergency number, instead of the usual ones; replaces the list
        #[arg(long = "emergency-number", value_name = "NUMBER")]
        emergency_numbers: Option<Vec<String>>,
        /// Country whose ringing, busy and congestion tones are played, such as GB; empty for the installation's
        #[arg(long, value_name = "COUNTRY")]
        tones: Option<String>,
        /// Tell why a call failed by a tone instead of words
        #[arg(long, value_name = "BOOL")]
        failure_tones: Option<bool>,
        /// Prompt for parties on hold; empty for the shipped music
        #[arg(long, value_name = "PROMPT")]
        hold_music: Option<String>,
    },
    /// Erase it: its key is destroyed, and nothing of it can ever be read again
    #[command(after_help = "Example:\n  strowger tenant erase acme --yes")]
    Erase {
        /// Name or id
        tenant: String,
        /// Say that you mean it
        #[arg(long, required = true)]
        yes: bool,
    },
}

impl Tenant {
    /// The request.
    pub fn request(self) -> Request {
        match self {
            Tenant::List => get(
                "/tenants",
                View::Table(&[
                    ("NAME", "/name"),
                    ("ID", "/id"),
                    ("DOMAIN", "/domain"),
                    ("OPENED", "/opened_prefixes"),
                    ("OFF", "/disabled"),
                ]),
            ),
            Tenant::Create { name } => send("POST", "/tenants", json!({ "name": name }), View::Card),
            Tenant::Set {
                tenant,
                open,
                allow_push,
                max_conversations,
                max_rate,
                max_daily_spend,
                zone_minutes,
                domain,
                emergency_trunk,
                emergency_numbers,
                tones,
                failure_tones,
                hold_music,
            } => send(
                "PATCH",
                format!("/tenants/{}", escape(&tenant)),
                json!({
                    "opened_prefixes": open, "push_allowed": allow_push,
                    "max_conversations": max_conversations, "max_rate": max_rate,
                    "max_daily_spend": max_daily_spend, "zone_minutes": zone_minutes, "domain": domain,
                    "emergency": emergency_trunk, "emergency_numbers": emergency_numbers,
                    "tones": tones, "failure_tones": failure_tones, "hold_music": hold_music,
                }),
                View::Card,
            ),
            Tenant::Erase { tenant, .. } => remove(format!("/tenants/{}", escape(&tenant)), format!("{tenant} erased")),
        }
    }
}

/// `account`.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// List them
    #[command(after_help = "Example:\n  strowger account list")]
    List(OfTenant),
    /// Create one; its token is shown once
    #[command(after_help = "Example:\n  strowger account create crm")]
    Create {
        /// Name
        name: String,
        #[command(flatten)]
        of: OfTenant,
    },
    /// Change limits
    #[command(after_help = "Example:\n  strowger account set 0a1b…32 digits --max-daily-spend 100000")]
    Set {
        #[command(flatten)]
        id: Id,
        /// Concurrent conversations, 0 is no limit
        #[arg(long)]
        max_conversations: Option<u32>,
        /// New conversations per second, 0 is no limit
        #[arg(long)]
        max_rate: Option<u32>,
        /// What calls may cost in a day, in thousandths of a currency unit; 0 is no limit
        #[arg(long, value_name = "THOUSANDTHS")]
        max_daily_spend: Option<u64>,
    },
    /// Make a new token; the present ones stay valid for the overlap
    #[command(after_help = "Example:\n  strowger account rotate 0a1b…32 digits --overlap 86400")]
    Rotate {
        #[command(flatten)]
        id: Id,
        /// Seconds
        #[arg(long, default_value_t = 86_400)]
        overlap: u64,
    },
    /// Refuse its requests
    #[command(after_help = "Example:\n  strowger account disable 0a1b…32 digits")]
    Disable(Id),
    /// Accept its requests again
    #[command(after_help = "Example:\n  strowger account enable 0a1b…32 digits")]
    Enable(Id),
    /// Remove it
    #[command(after_help = "Example:\n  strowger account remove 0a1b…32 digits")]
    Remove(Id),
}

impl Account {
    /// The request.
    pub fn request(self) -> Request {
        match self {
            Account::List(of) => listed(
                "/accounts",
                &of,
                &[
                    ("ID", "/id"),
                    ("NAME", "/name"),
                    ("TENANT", "/tenant"),
                    ("OFF", "/disabled"),
                    ("TOKEN SINCE", "/tokens/0/created_at"),
                    ("UNTIL", "/tokens/0/expires_at"),
                ],
            ),
            Account::Create { name, of } => send(
                "POST",
                "/accounts",
                json!({ "name": name, "tenant": of.tenant }),
                View::Card,
            ),
            Account::Set {
                id,
                max_conversations,
                max_rate,
                max_daily_spend,
            } => send(
                "PATCH",
                format!("/accounts/{}", escape(&id.id)),
                json!({
                    "max_conversations": max_conversations, "max_rate": max_rate, "max_daily_spend": max_daily_spend,
                }),
                View::Card,
            ),
            Account::Rotate { id, overlap } => send(
                "POST",
                format!("/accounts/{}/tokens", escape(&id.id)),
                json!({ "overlap": overlap }),
                View::Card,
            ),
            Account::Disable(id) => switch(format!("/accounts/{}", escape(&id.id)), true),
            Account::Enable(id) => switch(format!("/accounts/{}", escape(&id.id)), false),
            Account::Remove(id) => remove(format!("/accounts/{}", escape(&id.id)), "removed"),
        }
    }
}

/// `application`.
#[derive(Debug, Subcommand)]
pub enum Application {
    /// List them
    #[command(after_help = "Example:\n  strowger application list")]
    List(OfTenant),
    /// Show one with its settings
    #[command(after_help = "Example:\n  strowger application show 0a1b…32 digits")]
    Show(Id),
    /// Create one
    #[command(after_help = "Example:\n  strowger application create crm --record-url https://crm.example.com/cdr")]
    Create {
        /// Name
        name: String,
        #[command(flatten)]
        of: OfTenant,
        /// The only account that may use it
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// Named settings to begin with
        #[arg(long)]
        profile: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Change settings
    #[command(after_help = "Example:\n  strowger application set 0a1b…32 digits --ring-timeout 45")]
    Set {
        #[command(flatten)]
        id: Id,
        #[command(flatten)]
        settings: Settings,
    },
    /// Refuse its calls
    #[command(after_help = "Example:\n  strowger application disable 0a1b…32 digits")]
    Disable(Id),
    /// Accept its calls again
    #[command(after_help = "Example:\n  strowger application enable 0a1b…32 digits")]
    Enable(Id),
    /// Remove it
    #[command(after_help = "Example:\n  strowger application remove 0a1b…32 digits")]
    Remove(Id),
}

/// Settings of an application.
#[derive(Debug, Args)]
pub struct Settings {
    /// Seconds that a party may ring
    #[arg(long, value_name = "SECONDS")]
    ring_timeout: Option<u32>,
    /// Number shown to called parties when the request names none; empty for none
    #[arg(long, value_name = "NUMBER")]
    default_cli: Option<String>,
    /// Where call records go when the request names no URL; empty for nowhere
    #[arg(long, value_name = "URL")]
    record_url: Option<String>,
    /// Call records pushed in one request, as an array: 1 to 100; 0 pushes each for itself
    #[arg(long, value_name = "NUMBER")]
    record_batch_size: Option<u32>,
    /// Seconds that a call record waits for others before a request with fewer is sent
    #[arg(long, value_name = "SECONDS")]
    record_batch_seconds: Option<u32>,
    /// Whether recordings are Opus in Ogg (6 KB a second in stereo) instead of WAV (32 KB)
    #[arg(long, value_name = "BOOL")]
    recording_compressed: Option<bool>,
    /// Whether recordings mix both sides in one channel
    #[arg(long, value_name = "BOOL")]
    recording_mixed: Option<bool>,
    /// Whether recordings are silent while a key is down
    #[arg(long, value_name = "BOOL")]
    recording_hide_digits: Option<bool>,
    /// Days after which recordings are deleted; 0 keeps them
    #[arg(long, value_name = "DAYS")]
    recording_days: Option<u32>,
    /// Minutes east of UTC of displayed times
    #[arg(long, value_name = "MINUTES", allow_hyphen_values = true)]
    zone_minutes: Option<i32>,
    /// Concurrent conversations, 0 is no limit
    #[arg(long)]
    max_conversations: Option<u32>,
    /// New conversations per second, 0 is no limit
    #[arg(long)]
    max_rate: Option<u32>,
    /// What click-to-call does when an answering machine answers: ignore, tell, hang-up
    #[arg(long, value_name = "WHAT")]
    on_machine: Option<String>,
    /// Surer than this (0-100) it must be a machine
    #[arg(long, value_name = "PERCENT")]
    machine_confidence: Option<u8>,
    #[command(flatten)]
    notices: NoticeSettings,
    /// Signs its pushes (HMAC-SHA-256); empty for unsigned
    #[arg(long, value_name = "SECRET")]
    push_secret: Option<String>,
}

/// Settings of an application's voice notices and verification codes.
#[derive(Debug, Args)]
pub struct NoticeSettings {
    /// Where results of voice notices go when the request names no URL; empty for nowhere
    #[arg(long, value_name = "URL")]
    notice_url: Option<String>,
    /// Language of spoken data when the request names none: zh or en
    #[arg(long, value_name = "LANGUAGE")]
    notice_language: Option<String>,
    /// Seconds that a callee of a voice notice may ring
    #[arg(long, value_name = "SECONDS")]
    notice_ring_timeout: Option<u32>,
    /// Seconds from the answer to the forced end of a voice notice
    #[arg(long, value_name = "SECONDS")]
    notice_max_seconds: Option<u32>,
    /// Seconds that a key may come after the last item
    #[arg(long, value_name = "SECONDS")]
    notice_key_seconds: Option<u32>,
    /// The first key closes the window, whatever it means
    #[arg(long, value_name = "BOOL")]
    notice_strict_keys: Option<bool>,
    /// Read a Chinese 1 among digits as yi and not as yao
    #[arg(long, value_name = "BOOL")]
    notice_plain_one: Option<bool>,
    /// Answer a display number that is not the application's with -4 and not with -5
    #[arg(long, value_name = "BOOL")]
    notice_foreign_cli_invalid: Option<bool>,
    /// Answer a verification code without a required member with -2 and not with -4
    #[arg(long, value_name = "BOOL")]
    code_missing_malformed: Option<bool>,
    /// What a notice does when an answering machine answers: ignore, tell, hang-up, await-beep
    #[arg(long, value_name = "WHAT")]
    notice_on_machine: Option<String>,
    /// Surer than this (0-100) it must be a machine
    #[arg(long, value_name = "PERCENT")]
    notice_machine_confidence: Option<u8>,
    /// Verification codes to one number in a minute, 0 is no limit
    #[arg(long, value_name = "NUMBER")]
    codes_per_minute: Option<u32>,
    /// Verification codes to one number in an hour, 0 is no limit
    #[arg(long, value_name = "NUMBER")]
    codes_per_hour: Option<u32>,
    /// Verification codes to one number in a day, 0 is no limit
    #[arg(long, value_name = "NUMBER")]
    codes_per_day: Option<u32>,
}

impl NoticeSettings {
    fn json(&self) -> serde_json::Value {
        json!({
            "result_url": self.notice_url, "language": self.notice_language, "ring_timeout": self.notice_ring_timeout,
            "max_seconds": self.notice_max_seconds, "key_seconds": self.notice_key_seconds,
            "strict_keys": self.notice_strict_keys, "plain_one": self.notice_plain_one,
            "foreign_cli_invalid": self.notice_foreign_cli_invalid,
            "code_missing_malformed": self.code_missing_malformed, "codes_per_minute": self.codes_per_minute,
            "codes_per_hour": self.codes_per_hour, "codes_per_day": self.codes_per_day,
            "on_machine": self.notice_on_machine, "machine_confidence": self.notice_machine_confidence,
        })
    }
}

impl Settings {
    fn json(&self) -> serde_json::Value {
        json!({
            "ring_timeout": self.ring_timeout, "default_cli": self.default_cli, "record_url": self.record_url,
            "record_batch_size": self.record_batch_size, "record_batch_seconds": self.record_batch_seconds,
            "recording_compressed": self.recording_compressed, "recording_mixed": self.recording_mixed,
            "recording_hide_digits": self.recording_hide_digits, "recording_days": self.recording_days,
            "zone_minutes": self.zone_minutes, "max_conversations": self.max_conversations, "max_rate": self.max_rate,
            "on_machine": self.on_machine, "machine_confidence": self.machine_confidence,
            "notices": self.notices.json(),
        })
    }
}

impl Application {
    /// The request.
    pub fn request(self) -> Request {
        let path = |id: &Id| format!("/applications/{}", escape(&id.id));
        match self {
            Application::List(of) => listed(
                "/applications",
                &of,
                &[
                    ("ID", "/id"),
                    ("NAME", "/name"),
                    ("PROFILE", "/profile"),
                    ("TENANT", "/tenant"),
                    ("OFF", "/disabled"),
                ],
            ),
            Application::Show(id) => get(path(&id), View::Card),
            Application::Create {
                name,
                of,
                account,
                profile,
                settings,
            } => send(
                "POST",
                "/applications",
                json!({
                    "name": name, "tenant": of.tenant, "account": account, "profile": profile,
                    "settings": settings.json(), "push_secret": settings.push_secret,
                }),
                View::Card,
            ),
            Application::Set { id, settings } => send(
                "PATCH",
                path(&id),
                json!({ "settings": settings.json(), "push_secret": settings.push_secret }),
                View::Card,
            ),
            Application::Disable(id) => switch(path(&id), true),
            Application::Enable(id) => switch(path(&id), false),
            Application::Remove(id) => remove(path(&id), "removed"),
        }
    }
}

/// `prompt`.
#[derive(Debug, Subcommand)]
pub enum Prompt {
    /// List them
    #[command(after_help = "Example:\n  strowger prompt list")]
    List(OfTenant),
    /// Upload a WAV, MP3 or Ogg file (Vorbis or Opus), 8 to 48 kHz. One of the same name is replaced
    #[command(after_help = "Example:\n  strowger prompt upload welcome.wav welcome.wav")]
    Upload {
        /// Name, as requests write it
        name: String,
        /// The file
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Remove one
    #[command(after_help = "Example:\n  strowger prompt remove welcome.wav")]
    Remove {
        /// Name
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Have a text said by the configured synthesiser, and keep it as a prompt
    #[command(after_help = "Example:\n  strowger prompt speak parcel 'Your parcel has arrived.' --language en")]
    Speak {
        /// Name, as requests write it
        name: String,
        /// What is said
        text: String,
        /// zh or en
        #[arg(long, default_value = "zh")]
        language: String,
        /// A voice of the synthesiser, by its name for it
        #[arg(long)]
        voice: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Let a prompt be played that waits for approval or was rejected
    #[command(after_help = "Example:\n  strowger prompt approve welcome.wav")]
    Approve {
        /// Name
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Keep a prompt from being played; running calls play it to its end
    #[command(after_help = "Example:\n  strowger prompt reject welcome.wav")]
    Reject {
        /// Name
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Whose prompt.
#[derive(Debug, Args)]
pub struct Place {
    /// Tenant, by name or id; needed only if there are several
    #[arg(long)]
    tenant: Option<String>,
    /// For this application only, by id
    #[arg(long, value_name = "ID")]
    application: Option<String>,
}

impl Prompt {
    /// The request; reads the file.
    pub fn request(self) -> Result<Request, Failure> {
        let path = |path: &str, name: Option<&str>, place: &Place| {
            with_query(
                path,
                &[
                    ("name", name),
                    ("tenant", place.tenant.as_deref()),
                    ("application", place.application.as_deref()),
                ],
            )
        };
        Ok(match self {
            Prompt::List(of) => listed(
                "/prompts",
                &of,
                &[
                    ("NAME", "/name"),
                    ("MILLISECONDS", "/duration_ms"),
                    ("STATE", "/state"),
                    ("APPLICATION", "/application"),
                    ("TENANT", "/tenant"),
                ],
            ),
            Prompt::Upload { name, file, place } => {
                let bytes = std::fs::read(&file)
                    .map_err(|e| Failure::Usage(format!("{} cannot be read: {e}", file.display())))?;
                Request {
                    method: "POST",
                    path: path("/prompts", Some(&name), &place),
                    body: Body::File(bytes),
                    view: View::Card,
                }
            }
            Prompt::Speak {
                name,
                text,
                language,
                voice,
                place,
            } => send(
                "POST",
                "/speech/prompts",
                json!({
                    "name": name, "text": text, "language": language, "voice": voice, "tenant": place.tenant,
                    "application": place.application,
                }),
                View::Card,
            ),
            Prompt::Approve { name, place } => {
                review(path(&format!("/prompts/{}", escape(&name)), None, &place), "ready")
            }
            Prompt::Reject { name, place } => {
                review(path(&format!("/prompts/{}", escape(&name)), None, &place), "rejected")
            }
            Prompt::Remove { name, place } => remove(
                path(&format!("/prompts/{}", escape(&name)), None, &place),
                format!("{name} removed"),
            ),
        })
    }
}

fn review(path: String, state: &str) -> Request {
    send("PATCH", path, json!({ "state": state }), View::Card)
}

/// `delivery`.
#[derive(Debug, Subcommand)]
pub enum Delivery {
    /// List them, newest first
    #[command(after_help = "Example:\n  strowger delivery list --state dead")]
    List {
        #[command(flatten)]
        of: OfTenant,
        /// ready, waiting, delivered or dead
        #[arg(long)]
        state: Option<String>,
        /// Of this conversation, by id
        #[arg(long, value_name = "ID")]
        conversation: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Send again: deliveries, the records of conversations, or the records of a span of time
    #[command(after_help = "Examples:\n  strowger delivery repush --delivery 17 --delivery 18\n  \
        strowger delivery repush --from 2026-01-31T00:00:00Z --to 2026-02-01T00:00:00Z")]
    Repush {
        #[command(flatten)]
        of: OfTenant,
        /// A delivery, by id
        #[arg(long = "delivery", value_name = "ID", conflicts_with_all = ["conversations", "from"])]
        deliveries: Option<Vec<u64>>,
        /// The records of a conversation, by id
        #[arg(long = "conversation", value_name = "ID", conflicts_with = "from")]
        conversations: Option<Vec<String>>,
        /// Records of conversations that started at or after this time (UTC)
        #[arg(long, value_name = "TIME", requires = "to")]
        from: Option<String>,
        /// … and before this time
        #[arg(long, value_name = "TIME", requires = "from")]
        to: Option<String>,
    },
}

impl Delivery {
    /// The request.
    pub fn request(self) -> Request {
        match self {
            Delivery::List {
                of,
                state,
                conversation,
                limit,
            } => get(
                with_query(
                    "/deliveries",
                    &[
                        ("tenant", of.tenant.as_deref()),
                        ("state", state.as_deref()),
                        ("conversation", conversation.as_deref()),
                        ("limit", Some(&limit.to_string())),
                    ],
                ),
                View::Table(&[
                    ("ID", "/id"),
                    ("STATE", "/state"),
                    ("TOPIC", "/topic"),
                    ("ATTEMPTS", "/attempts"),
                    ("QUEUED", "/queued_at"),
                    ("NEXT", "/next_at"),
                    ("URL", "/url"),
                    ("ERROR", "/last_error"),
                    ("CONVERSATION", "/conversation"),
                ]),
            ),
            Delivery::Repush {
                of,
                deliveries,
                conversations,
                from,
                to,
            } => send(
                "POST",
                "/deliveries/repush",
                json!({
                    "tenant": of.tenant, "deliveries": deliveries, "conversations": conversations,
                    "from": from, "to": to,
                }),
                View::Card,
            ),
        }
    }
}

/// `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// File to write; it must not exist
    file: PathBuf,
}

impl Backup {
    /// The request.
    pub fn request(self) -> Request {
        // The server may run in another folder.
        let path = std::path::absolute(&self.file).unwrap_or(self.file);
        send("POST", "/backup", json!({ "path": path }), View::Card)
    }
}
