//! `agent`, `group`, `queue` and `centre`: the resources of a contact centre.

use super::client::{Failure, Request, escape, with_query};
use super::output::View;
use super::resources::{get, remove, send, switch};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Of which application.
#[derive(Debug, Args)]
pub struct OfApplication {
    /// Application, by name or id; needed only if there are several
    #[arg(long)]
    application: Option<String>,
}

fn listed(path: &str, of: &OfApplication, columns: &'static [(&'static str, &'static str)]) -> Request {
    get(
        with_query(path, &[("application", of.application.as_deref())]),
        View::Table(columns),
    )
}

/// `off`, `manual` or seconds.
fn wrap_up(text: &str) -> Result<Value, Failure> {
    match text {
        "off" | "manual" => Ok(json!(text)),
        seconds => seconds
            .parse::<u32>()
            .map(|s| json!({ "seconds": s }))
            .map_err(|_| Failure::Usage("--wrap-up is off, manual, or a number of seconds".to_owned())),
    }
}

/// `GROUP` or `GROUP=LEVEL`.
fn skills(texts: Option<Vec<String>>) -> Result<Option<Vec<Value>>, Failure> {
    let read = |text: String| match text.rsplit_once('=') {
        None => Ok(json!({ "group": text })),
        Some((group, level)) => level
            .parse::<u8>()
            .map(|l| json!({ "group": group, "level": l }))
            .map_err(|_| Failure::Usage("--skill is a group, or GROUP=LEVEL with a level from 1 to 10".to_owned())),
    };
    texts.map(|all| all.into_iter().map(read).collect()).transpose()
}

/// What an agent is made of.
#[derive(Debug, Args)]
pub struct AgentSettings {
    /// User who logs in as it, by name or id; empty for none
    #[arg(long)]
    user: Option<String>,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Internal number, 2 to 8 digits
    #[arg(long)]
    extension: Option<String>,
    /// agent, leader or admin
    #[arg(long)]
    role: Option<String>,
    /// Skill group with a level from 1 to 10; may be given several times, and replaces the list
    #[arg(long = "skill", value_name = "GROUP=LEVEL")]
    skills: Option<Vec<String>>,
    /// Telephone, by user name or id; may be given several times, and replaces the list
    #[arg(long = "device", value_name = "DEVICE")]
    devices: Option<Vec<String>>,
    /// Telephone that rings while it works without a client; empty for none
    #[arg(long, value_name = "NUMBER")]
    mobile: Option<String>,
    /// After-call work: off, manual, or seconds
    #[arg(long, value_name = "HOW")]
    wrap_up: Option<String>,
}

impl AgentSettings {
    fn json(self) -> Result<Value, Failure> {
        Ok(json!({
            "user": self.user, "name": self.name, "extension": self.extension, "role": self.role,
            "skills": skills(self.skills)?, "devices": self.devices, "mobile": self.mobile,
            "wrap_up": self.wrap_up.as_deref().map(wrap_up).transpose()?,
        }))
    }
}

/// One, by name or id.
#[derive(Debug, Args)]
pub struct Which {
    /// Name or id
    name: String,
}

/// `agent`.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "made once a command")]
pub enum Agent {
    /// List them
    #[command(after_help = "Example:\n  strowger agent list")]
    List(OfApplication),
    /// Add one
    #[command(
        after_help = "Example:\n  strowger agent add li --user li.wei@example.com --device desk-1 --skill sales=8"
    )]
    Add {
        /// Name that it signs in with
        login: String,
        #[command(flatten)]
        settings: AgentSettings,
        #[command(flatten)]
        of: OfApplication,
    },
    /// Show one
    #[command(after_help = "Example:\n  strowger agent show li")]
    Show(Which),
    /// Change one
    #[command(after_help = "Example:\n  strowger agent set li --skill sales=9 --skill support=3 --wrap-up manual")]
    Set {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        settings: AgentSettings,
    },
    /// Offer it nothing
    #[command(after_help = "Example:\n  strowger agent disable li")]
    Disable(Which),
    /// Let it work again
    #[command(after_help = "Example:\n  strowger agent enable li")]
    Enable(Which),
    /// Remove it
    #[command(after_help = "Example:\n  strowger agent remove li")]
    Remove(Which),
}

fn merged(mut body: Value, more: &[(&str, Option<String>)]) -> Value {
    for (member, value) in more {
        body[*member] = json!(value);
    }
    body
}

impl Agent {
    /// The request.
    pub fn request(self) -> Result<Request, Failure> {
        let path = |w: &Which| format!("/agents/{}", escape(&w.name));
        Ok(match self {
            Agent::List(of) => listed(
                "/agents",
                &of,
                &[
                    ("LOGIN", "/login"),
                    ("NAME", "/name"),
                    ("EXTENSION", "/extension"),
                    ("ROLE", "/role"),
                    ("SKILLS", "/skills"),
                    ("OFF", "/disabled"),
                    ("ID", "/id"),
                ],
            ),
            Agent::Add { login, settings, of } => {
                let more = [("login", Some(login)), ("application", of.application)];
                send("POST", "/agents", merged(settings.json()?, &more), View::Card)
            }
            Agent::Show(which) => get(path(&which), View::Card),
            Agent::Set { which, settings } => send("PATCH", path(&which), settings.json()?, View::Card),
            Agent::Disable(which) => switch(path(&which), true),
            Agent::Enable(which) => switch(path(&which), false),
            Agent::Remove(which) => remove(path(&which), "removed"),
        })
    }
}

/// `group`.
#[derive(Debug, Subcommand)]
pub enum Group {
    /// List them
    #[command(after_help = "Example:\n  strowger group list")]
    List(OfApplication),
    /// Add one
    #[command(after_help = "Example:\n  strowger group add sales --number 01062345678")]
    Add {
        /// Name
        name: String,
        /// Number that calls of its agents may show; may be given several times
        #[arg(long = "number", value_name = "NUMBER")]
        numbers: Option<Vec<String>>,
        #[command(flatten)]
        of: OfApplication,
    },
    /// Its agents, with their levels
    #[command(after_help = "Example:\n  strowger group members sales")]
    Members(Which),
    /// Make an agent a member, or give it another level
    #[command(after_help = "Example:\n  strowger group join sales li --level 8")]
    Join {
        #[command(flatten)]
        which: Which,
        /// Agent, by login or id
        agent: String,
        /// 1 to 10, higher is better
        #[arg(long, default_value_t = 5)]
        level: u8,
    },
    /// Take an agent out
    #[command(after_help = "Example:\n  strowger group leave sales li")]
    Leave {
        #[command(flatten)]
        which: Which,
        /// Agent, by login or id
        agent: String,
    },
    /// Remove one that has no members and no queue
    #[command(after_help = "Example:\n  strowger group remove sales")]
    Remove(Which),
}

impl Group {
    /// The request.
    pub fn request(self) -> Request {
        let path = |w: &Which| format!("/groups/{}", escape(&w.name));
        let member = |w: &Which, agent: &str| format!("{}/members/{}", path(w), escape(agent));
        match self {
            Group::List(of) => listed(
                "/groups",
                &of,
                &[("NAME", "/name"), ("NUMBERS", "/numbers"), ("ID", "/id")],
            ),
            Group::Add { name, numbers, of } => send(
                "POST",
                "/groups",
                json!({ "name": name, "numbers": numbers, "application": of.application }),
                View::Card,
            ),
            Group::Members(which) => get(
                format!("{}/members", path(&which)),
                View::Table(&[("LOGIN", "/login"), ("NAME", "/name"), ("LEVEL", "/level")]),
            ),
            Group::Join { which, agent, level } => {
                let said = View::Said(format!("{agent} is in {} with level {level}", which.name));
                send("PUT", member(&which, &agent), json!({ "level": level }), said)
            }
            Group::Leave { which, agent } => remove(member(&which, &agent), "removed"),
            Group::Remove(which) => remove(path(&which), "removed"),
        }
    }
}

/// Settings of a queue.
#[derive(Debug, Args)]
pub struct QueueSettings {
    /// most-skilled, longest-idle, round-robin, fewest-calls, sequential or ring-all
    #[arg(long)]
    strategy: Option<String>,
    /// Seconds that an agent is rung; 0 for the application's
    #[arg(long, value_name = "SECONDS")]
    ring: Option<u32>,
    /// Seconds that a call may wait; 0 is no limit
    #[arg(long, value_name = "SECONDS")]
    max_wait: Option<u32>,
    /// Calls that may wait; 0 is no limit
    #[arg(long, value_name = "NUMBER")]
    max_length: Option<u32>,
    /// 0 to 9, higher is sooner
    #[arg(long)]
    priority: Option<u8>,
    /// Where a call goes that it does not keep: end, queue:NAME or number:NUMBER
    #[arg(long, value_name = "WHERE")]
    overflow: Option<String>,
    /// A call that finds nobody on duty overflows at once
    #[arg(long, value_name = "BOOL")]
    overflow_unstaffed: Option<bool>,
    /// Seconds since a caller's last call within which its agent comes first; 0 never
    #[arg(long, value_name = "SECONDS")]
    sticky: Option<u32>,
    /// Prompt that is played while a call waits; empty for the hold music
    #[arg(long, value_name = "PROMPT")]
    music: Option<String>,
    /// Seconds between announcements of place and wait; 0 announces nothing
    #[arg(long, value_name = "SECONDS")]
    announce: Option<u32>,
    /// Seconds of waiting after which a caller is offered that it be called back; 0 never
    #[arg(long, value_name = "SECONDS")]
    callback: Option<u32>,
    /// Prompt that offers it: press 1 to be called back
    #[arg(long, value_name = "PROMPT")]
    callback_prompt: Option<String>,
    /// Seconds within which an answer counts for the service level
    #[arg(long, value_name = "SECONDS")]
    service: Option<u32>,
}

impl QueueSettings {
    fn json(self) -> Result<Value, Failure> {
        let overflow = match self.overflow.as_deref().map(|t| (t, t.split_once(':'))) {
            None => Value::Null,
            Some(("end", _)) => json!("end"),
            Some((_, Some(("queue", name)))) => json!({ "queue": name }),
            Some((_, Some(("number", number)))) => json!({ "number": number }),
            Some(_) => {
                return Err(Failure::Usage(
                    "--overflow is end, queue:NAME or number:NUMBER".to_owned(),
                ));
            }
        };
        Ok(json!({
            "strategy": self.strategy, "ring_secs": self.ring, "max_wait_secs": self.max_wait,
            "max_length": self.max_length, "priority": self.priority, "overflow": overflow,
            "overflow_unstaffed": self.overflow_unstaffed, "sticky_secs": self.sticky, "music": self.music,
            "announce_secs": self.announce, "callback_secs": self.callback, "callback_prompt": self.callback_prompt, "service_secs": self.service,
        }))
    }
}

/// `queue`.
#[derive(Debug, Subcommand)]
pub enum Queue {
    /// List them
    #[command(after_help = "Example:\n  strowger queue list")]
    List(OfApplication),
    /// Add one
    #[command(after_help = "Example:\n  strowger queue add sales --group sales --strategy longest-idle --max-wait 300")]
    Add {
        /// Name
        name: String,
        /// Skill group whose agents are offered its calls
        #[arg(long)]
        group: String,
        #[command(flatten)]
        settings: QueueSettings,
        #[command(flatten)]
        of: OfApplication,
    },
    /// Show one
    #[command(after_help = "Example:\n  strowger queue show sales")]
    Show(Which),
    /// Change one
    #[command(after_help = "Example:\n  strowger queue set sales --overflow number:13800000009")]
    Set {
        #[command(flatten)]
        which: Which,
        /// Skill group whose agents are offered its calls
        #[arg(long)]
        group: Option<String>,
        #[command(flatten)]
        settings: QueueSettings,
    },
    /// Remove it
    #[command(after_help = "Example:\n  strowger queue remove sales")]
    Remove(Which),
}

impl Queue {
    /// The request.
    pub fn request(self) -> Result<Request, Failure> {
        let path = |w: &Which| format!("/queues/{}", escape(&w.name));
        Ok(match self {
            Queue::List(of) => listed(
                "/queues",
                &of,
                &[
                    ("NAME", "/name"),
                    ("STRATEGY", "/strategy"),
                    ("MAX WAIT", "/max_wait_secs"),
                    ("OVERFLOW", "/overflow"),
                    ("PRIORITY", "/priority"),
                    ("ID", "/id"),
                ],
            ),
            Queue::Add {
                name,
                group,
                settings,
                of,
            } => send(
                "POST",
                "/queues",
                json!({ "name": name, "group": group, "application": of.application, "settings": settings.json()? }),
                View::Card,
            ),
            Queue::Show(which) => get(path(&which), View::Card),
            Queue::Set { which, group, settings } => send(
                "PATCH",
                path(&which),
                json!({ "group": group, "settings": settings.json()? }),
                View::Card,
            ),
            Queue::Remove(which) => remove(path(&which), "removed"),
        })
    }
}

/// `centre`.
#[derive(Debug, Subcommand)]
pub enum Centre {
    /// Show the settings of an application's contact centre, and its break reasons
    #[command(after_help = "Example:\n  strowger centre show sales")]
    Show(Which),
    /// Change settings
    #[command(
        after_help = "Example:\n  strowger centre set sales no_answer=ready ring_secs=20 wrap_up=manual\n\n\
        The settings are named in docs/centre.md."
    )]
    Set {
        #[command(flatten)]
        which: Which,
        /// Settings to change
        #[arg(value_name = "NAME=VALUE", required = true)]
        settings: Vec<String>,
    },
    /// Replace the break reasons
    #[command(after_help = "Example:\n  strowger centre break-reasons sales lunch=Lunch meeting=Meeting")]
    BreakReasons {
        #[command(flatten)]
        which: Which,
        /// Code and name of each
        #[arg(value_name = "CODE=NAME")]
        reasons: Vec<String>,
    },
    /// Go back to the defaults
    #[command(after_help = "Example:\n  strowger centre reset sales")]
    Reset(Which),
}

impl Centre {
    /// The request.
    pub fn request(self) -> Result<Request, Failure> {
        let path = |w: &Which| format!("/applications/{}/centre", escape(&w.name));
        let pair = |text: &str| match text.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(Failure::Usage(format!("{text:?} is not NAME=VALUE"))),
        };
        Ok(match self {
            Centre::Show(which) => get(path(&which), View::Card),
            Centre::Set { which, settings } => {
                let mut body = json!({});
                for text in &settings {
                    let (name, value) = pair(text)?;
                    body[&name] = match (name.as_str(), value.as_str()) {
                        ("wrap_up", how) => wrap_up(how)?,
                        (_, "true") => json!(true),
                        (_, "false") => json!(false),
                        (_, text) => text.parse::<u32>().map_or_else(|_| json!(text), |n| json!(n)),
                    };
                }
                send("PATCH", path(&which), json!({ "settings": body }), View::Card)
            }
            Centre::BreakReasons { which, reasons } => {
                let all: Vec<Value> = reasons
                    .iter()
                    .map(|r| pair(r).map(|(code, name)| json!({ "code": code, "name": name })))
                    .collect::<Result<_, _>>()?;
                send("PATCH", path(&which), json!({ "break_reasons": all }), View::Card)
            }
            Centre::Reset(which) => remove(path(&which), "the defaults hold again"),
        })
    }
}
