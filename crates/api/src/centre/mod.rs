//! Resources of contact centres: agents, skill groups with their members, queues, settings and break reasons.

pub(crate) mod agents;
pub(crate) mod callbacks;
pub(crate) mod chats;
pub(crate) mod duty;
pub(crate) mod groups;
pub(crate) mod party;
mod push;
pub(crate) mod queues;
pub(crate) mod settings;

pub(crate) use push::agent_data;
pub use push::follow;

use crate::desk::Desk;
use crate::error::Problem;
use crate::request;
use serde::{Deserialize, Serialize};
use strowger_core::centre::resource::{SkillGroup, WrapUp as CoreWrapUp};
use strowger_core::{ApplicationId, GroupId, Number, TenantId};
use strowger_store::config::{Application, Config};
use utoipa::{IntoParams, ToSchema};

/// After-call work: `"off"`, `"manual"` or `{"seconds": 15}`.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum WrapUp {
    /// None.
    Off,
    /// Until the agent says so.
    Manual,
    /// For this many seconds, at most an hour.
    Seconds(u32),
}

impl WrapUp {
    pub fn of(w: CoreWrapUp) -> WrapUp {
        match w {
            CoreWrapUp::Off => WrapUp::Off,
            CoreWrapUp::Manual => WrapUp::Manual,
            CoreWrapUp::Seconds(s) => WrapUp::Seconds(s),
        }
    }

    pub fn read(self, member: &str) -> Result<CoreWrapUp, Problem> {
        match self {
            WrapUp::Off => Ok(CoreWrapUp::Off),
            WrapUp::Manual => Ok(CoreWrapUp::Manual),
            WrapUp::Seconds(s) if (1..=3600).contains(&s) => Ok(CoreWrapUp::Seconds(s)),
            WrapUp::Seconds(_) => Err(Problem::parameter(
                member,
                format!("{member} is \"off\", \"manual\", or {{\"seconds\": 1 to 3600}}"),
            )),
        }
    }
}

/// Restricts a list to an application.
#[derive(Deserialize, IntoParams)]
pub(crate) struct OfApplication {
    /// Only of this application, by name or id.
    pub application: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Items of a page, 1 to 1000; 1000 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

impl OfApplication {
    pub fn resolve(&self, api: &Desk) -> Result<Option<ApplicationId>, Problem> {
        let config = api.config();
        let named = self.application.as_deref();
        named.map(|text| Ok(application(&config, Some(text))?.id)).transpose()
    }

    pub fn page<T: Serialize>(self, items: impl IntoIterator<Item = (String, T)>) -> request::Answer {
        request::page(self.after.as_deref(), self.limit, items)
    }
}

/// The application that a text means, by id or name; without one the only one that can be seen.
pub(crate) fn application<'c>(config: &'c Config, named: Option<&str>) -> Result<&'c Application, Problem> {
    let mut all = config.applications();
    match named {
        Some(text) => {
            let mut found = all.filter(|a| a.name == text || a.id.to_string() == text);
            match (found.next(), found.next()) {
                (Some(only), None) => Ok(only),
                (Some(_), Some(_)) => Err(Problem::parameter(
                    "application",
                    format!("several applications have the name {text:?}; name it by its id"),
                )),
                _ => Err(Problem::not_found("application", format!("{text:?}"))),
            }
        }
        None => match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Problem::parameter(
                "application",
                "name the application, by name or id; there is none, or more than one",
            )),
        },
    }
}

/// A skill group of an application, by id or name.
pub(crate) fn group<'c>(config: &'c Config, application: ApplicationId, text: &str) -> Result<&'c SkillGroup, Problem> {
    let by_id = text.parse::<GroupId>().ok();
    let fits = |g: &SkillGroup| g.application == application && (Some(g.id) == by_id || g.name == text);
    let found = config.centre().groups().find(|g| fits(g));
    found
        .map(|g| g.as_ref())
        .ok_or_else(|| Problem::not_found("skill group", format!("{text:?}")))
}

/// Numbers of the tenant that calls may show.
fn shown_numbers(config: &Config, tenant: TenantId, texts: &[String]) -> Result<Vec<Number>, Problem> {
    let read = |text: &String| {
        let number = request::number("numbers", text)?;
        match config.number(&number) {
            Some(n) if n.tenant == tenant && n.outgoing => Ok(number),
            _ => Err(Problem::parameter(
                "numbers",
                "one of the numbers is not the tenant's, or may not be shown; see: strowger number list",
            )),
        }
    };
    texts.iter().map(read).collect()
}
