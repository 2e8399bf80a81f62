//! Queues: calls that wait for the agents of a skill group.

use super::{OfApplication, application, group};
use crate::applications::within;
use crate::desk::Desk;
use crate::error::Problem;
use crate::request::{self, Answer, Body, Path, Query};
use serde::{Deserialize, Serialize};
use strowger_core::centre::resource::{Overflow as CoreOverflow, Queue, Strategy};
use strowger_core::{ApplicationId, QueueId};
use strowger_store::config::Config;
use utoipa::ToSchema;

/// Where a call goes that its queue does not keep: `"end"`, `{"queue": …}` or `{"number": …}`.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Overflow {
    /// It ends.
    End,
    /// To another queue of the application, by name or id; as answered, the id.
    Queue(String),
    /// To a number.
    Number(String),
}

#[derive(Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct View {
    id: String,
    tenant: String,
    application: String,
    name: String,
    /// Id of the skill group whose agents are offered its calls.
    group: String,
    /// `most-skilled`, `longest-idle`, `round-robin`, `fewest-calls`, `sequential` or `ring-all`.
    strategy: &'static str,
    sticky_secs: u32,
    ring_secs: Option<u32>,
    max_wait_secs: u32,
    max_length: u32,
    overflow_unstaffed: bool,
    overflow: Overflow,
    priority: u8,
    ageing_secs: u32,
    relax_secs: u32,
    music: Option<String>,
    announce_secs: u32,
    callback_secs: u32,
    callback_prompt: Option<String>,
    service_secs: u32,
    short_secs: u32,
}

impl View {
    pub(crate) fn of(q: &Queue) -> View {
        View {
            id: q.id.to_string(),
            tenant: q.tenant.to_string(),
            application: q.application.to_string(),
            name: q.name.clone(),
            group: q.group.to_string(),
            strategy: q.strategy.name(),
            sticky_secs: q.sticky_secs,
            ring_secs: q.ring_secs,
            max_wait_secs: q.max_wait_secs,
            max_length: q.max_length,
            overflow_unstaffed: q.overflow_unstaffed,
            overflow: match &q.overflow {
                CoreOverflow::End => Overflow::End,
                CoreOverflow::Queue(id) => Overflow::Queue(id.to_string()),
                CoreOverflow::Number(n) => Overflow::Number(n.as_str().to_owned()),
            },
            priority: q.priority,
            ageing_secs: q.ageing_secs,
            relax_secs: q.relax_secs,
            music: q.music.clone(),
            announce_secs: q.announce_secs,
            callback_secs: q.callback_secs,
            callback_prompt: q.callback_prompt.clone(),
            service_secs: q.service_secs,
            short_secs: q.short_secs,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QueueCreate)]
pub(crate) struct Create {
    name: String,
    /// Name or id; needed if there are several.
    application: Option<String>,
    /// Name or id of the skill group whose agents are offered its calls.
    group: String,
    #[serde(default)]
    settings: Settings,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QueueChange)]
pub(crate) struct Change {
    name: Option<String>,
    group: Option<String>,
    #[serde(default)]
    settings: Settings,
}

impl Change {
    pub(crate) fn apply(self, q: &mut Queue, config: &Config) -> Result<(), Problem> {
        if let Some(text) = &self.name {
            q.name = request::name("name", text)?;
        }
        if let Some(text) = &self.group {
            q.group = group(config, q.application, text)?.id;
        }
        self.settings.apply(q, config)
    }
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QueueSettings)]
pub(crate) struct Settings {
    strategy: Option<String>,
    /// The agent that had this caller's last call comes first while it is free; seconds since that call, 0 switches it off.
    sticky_secs: Option<u32>,
    /// Seconds that an agent is rung, 5 to 300; 0 for the application's.
    ring_secs: Option<u32>,
    /// Seconds that a call may wait; 0 is no limit.
    max_wait_secs: Option<u32>,
    /// Calls that may wait; 0 is no limit.
    max_length: Option<u32>,
    /// A call that finds nobody on duty overflows at once.
    overflow_unstaffed: Option<bool>,
    overflow: Option<Overflow>,
    /// 0 to 9, higher is sooner.
    priority: Option<u8>,
    /// Seconds of waiting that raise a call's priority by one; 0 never.
    ageing_secs: Option<u32>,
    /// Seconds of waiting that lower the level demanded by one; 0 never.
    relax_secs: Option<u32>,
    /// Prompt that is played while a call waits; empty for the hold music.
    music: Option<String>,
    /// Seconds between announcements of place and wait; 0 announces nothing.
    announce_secs: Option<u32>,
    /// Seconds of waiting after which a caller is offered that it be called back, by `callback_prompt` and the key 1; 0 never.
    callback_secs: Option<u32>,
    /// Prompt that offers it; empty for none, and then it is not offered.
    callback_prompt: Option<String>,
    /// Seconds within which an answer counts for the service level.
    service_secs: Option<u32>,
    /// A caller that leaves earlier counts as a short abandon.
    short_secs: Option<u32>,
}

impl Settings {
    fn apply(self, q: &mut Queue, config: &Config) -> Result<(), Problem> {
        if let Some(text) = &self.strategy {
            q.strategy = Strategy::of_name(text).ok_or_else(|| {
                let known: Vec<&str> = Strategy::ALL.iter().map(|s| s.name()).collect();
                Problem::parameter("settings.strategy", format!("strategy is one of {}", known.join(", ")))
            })?;
        }
        if let Some(n) = self.ring_secs {
            q.ring_secs = match n {
                0 => None,
                n => Some(within("settings.ring_secs", n, 5, 300)?),
            };
        }
        for (member, asked, setting, most) in [
            ("sticky_secs", self.sticky_secs, &mut q.sticky_secs, 31_536_000),
            ("max_wait_secs", self.max_wait_secs, &mut q.max_wait_secs, 86_400),
            ("max_length", self.max_length, &mut q.max_length, 100_000),
            ("ageing_secs", self.ageing_secs, &mut q.ageing_secs, 86_400),
            ("relax_secs", self.relax_secs, &mut q.relax_secs, 86_400),
            ("announce_secs", self.announce_secs, &mut q.announce_secs, 3600),
            ("callback_secs", self.callback_secs, &mut q.callback_secs, 86_400),
            ("service_secs", self.service_secs, &mut q.service_secs, 3600),
            ("short_secs", self.short_secs, &mut q.short_secs, 600),
        ] {
            if let Some(n) = asked {
                *setting = within(&format!("settings.{member}"), n, 0, most)?;
            }
        }
        if let Some(n) = self.priority {
            q.priority = within("settings.priority", n, 0, 9)?;
        }
        q.overflow_unstaffed = self.overflow_unstaffed.unwrap_or(q.overflow_unstaffed);
        if let Some(overflow) = self.overflow {
            q.overflow = match overflow {
                Overflow::End => CoreOverflow::End,
                Overflow::Number(text) => CoreOverflow::Number(request::number("settings.overflow.number", &text)?),
                Overflow::Queue(text) => {
                    let next = of_application(config, q.application, &text)?.id;
                    if next == q.id {
                        return Err(Problem::parameter(
                            "settings.overflow.queue",
                            "a queue cannot overflow into itself",
                        ));
                    }
                    CoreOverflow::Queue(next)
                }
            };
        }
        if let Some(name) = self.music {
            if !name.is_empty() && config.prompt(q.tenant, q.application, &name).is_none() {
                return Err(Problem::not_found("prompt", format!("{name:?}")));
            }
            q.music = (!name.is_empty()).then_some(name);
        }
        if let Some(name) = self.callback_prompt {
            if !name.is_empty() && config.prompt(q.tenant, q.application, &name).is_none() {
                return Err(Problem::not_found("prompt", format!("{name:?}")));
            }
            q.callback_prompt = (!name.is_empty()).then_some(name);
        }
        if q.callback_secs > 0 && q.callback_prompt.is_none() {
            return Err(Problem::parameter(
                "settings.callback_prompt",
                "callback_secs needs a callback_prompt, which says to callers that 1 has them called back",
            ));
        }
        Ok(())
    }
}

fn of_application<'c>(config: &'c Config, application: ApplicationId, text: &str) -> Result<&'c Queue, Problem> {
    let by_id = text.parse::<QueueId>().ok();
    let fits = |q: &Queue| q.application == application && (Some(q.id) == by_id || q.name == text);
    let found = config.centre().queues().find(|q| fits(q));
    found
        .map(|q| q.as_ref())
        .ok_or_else(|| Problem::not_found("queue", format!("{text:?}")))
}

/// A queue by id, or by name if only one can be meant.
fn find(api: &Desk, text: &str) -> Result<Queue, Problem> {
    let config = api.config();
    let by_id = text.parse::<QueueId>().ok().and_then(|id| config.centre().queue(id));
    let mut named = config.centre().queues().filter(|q| q.name == text);
    let found = match (by_id, named.next(), named.next()) {
        (Some(queue), _, _) | (None, Some(queue), None) => queue,
        (None, Some(_), Some(_)) => {
            return Err(Problem::parameter(
                "queue",
                format!("several applications have a queue {text:?}; name it by its id"),
            ));
        }
        _ => return Err(Problem::not_found("queue", format!("{text:?}"))),
    };
    Ok(Queue::clone(found))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<OfApplication>) -> Answer {
    let only = asked.resolve(&api)?;
    let config = api.config();
    let queues = config
        .centre()
        .queues()
        .filter(|q| only.is_none_or(|id| q.application == id));
    asked.page(queues.map(|q| (q.id.to_string(), View::of(q))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let queue = find(&api, &id)?;
    let view = View::of(&queue);
    api.shown(queue, view)
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let config = api.config();
    let application = application(&config, create.application.as_deref())?;
    let group = group(&config, application.id, &create.group)?.id;
    let name = request::name("name", &create.name)?;
    let id = QueueId(request::mint(&api)?);
    let mut queue = Queue::new(id, application.tenant, application.id, name, group);
    create.settings.apply(&mut queue, &config)?;
    let view = View::of(&queue);
    api.create(queue, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let config = api.config();
    let mut queue = find(&api, &id)?;
    api.expects(&queue)?;
    change.apply(&mut queue, &config)?;
    let view = View::of(&queue);
    api.replace(queue, view).await
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let queue = find(&api, &id)?;
    api.remove(&queue).await
}
