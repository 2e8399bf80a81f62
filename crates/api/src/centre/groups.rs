//! Skill groups.

use super::{OfApplication, application, shown_numbers};
use crate::desk::Desk;
use crate::error::Problem;
use crate::request::{self, Answer, Body, Path, Query};
use serde::{Deserialize, Serialize};
use strowger_core::GroupId;
use strowger_core::centre::resource::SkillGroup;
use strowger_store::config::Config;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = SkillGroup)]
pub(crate) struct View {
    id: String,
    tenant: String,
    application: String,
    name: String,
    /// Numbers that calls of its agents may show.
    numbers: Vec<String>,
}

impl View {
    pub(crate) fn of(g: &SkillGroup) -> View {
        View {
            id: g.id.to_string(),
            tenant: g.tenant.to_string(),
            application: g.application.to_string(),
            name: g.name.clone(),
            numbers: g.numbers.iter().map(|n| n.as_str().to_owned()).collect(),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SkillGroupCreate)]
pub(crate) struct Create {
    name: String,
    /// Name or id; needed if there are several.
    application: Option<String>,
    #[serde(default)]
    numbers: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SkillGroupChange)]
pub(crate) struct Change {
    name: Option<String>,
    /// Replaces the list.
    numbers: Option<Vec<String>>,
}

impl Change {
    pub(crate) fn apply(self, g: &mut SkillGroup, config: &Config) -> Result<(), Problem> {
        if let Some(text) = &self.name {
            g.name = request::name("name", text)?;
        }
        if let Some(numbers) = &self.numbers {
            g.numbers = shown_numbers(config, g.tenant, numbers)?;
        }
        Ok(())
    }
}

/// A skill group by id, or by name if only one can be meant.
pub(crate) fn find(api: &Desk, text: &str) -> Result<SkillGroup, Problem> {
    let config = api.config();
    let by_id = text.parse::<GroupId>().ok().and_then(|id| config.centre().group(id));
    let mut named = config.centre().groups().filter(|g| g.name == text);
    let found = match (by_id, named.next(), named.next()) {
        (Some(group), _, _) | (None, Some(group), None) => group,
        (None, Some(_), Some(_)) => {
            return Err(Problem::parameter(
                "group",
                format!("several applications have a skill group {text:?}; name it by its id"),
            ));
        }
        _ => return Err(Problem::not_found("skill group", format!("{text:?}"))),
    };
    Ok(SkillGroup::clone(found))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<OfApplication>) -> Answer {
    let only = asked.resolve(&api)?;
    let config = api.config();
    let groups = config
        .centre()
        .groups()
        .filter(|g| only.is_none_or(|id| g.application == id));
    asked.page(groups.map(|g| (g.id.to_string(), View::of(g))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let group = find(&api, &id)?;
    let view = View::of(&group);
    api.shown(group, view)
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let config = api.config();
    let application = application(&config, create.application.as_deref())?;
    let group = SkillGroup {
        id: GroupId(request::mint(&api)?),
        tenant: application.tenant,
        application: application.id,
        name: request::name("name", &create.name)?,
        numbers: shown_numbers(&config, application.tenant, &create.numbers)?,
    };
    let view = View::of(&group);
    api.create(group, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut group = find(&api, &id)?;
    api.expects(&group)?;
    change.apply(&mut group, &api.config())?;
    let view = View::of(&group);
    api.replace(group, view).await
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let group = find(&api, &id)?;
    api.remove(&group).await
}
