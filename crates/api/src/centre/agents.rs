//! Agents: who takes calls, each with skills, telephones, and the user that logs in as it.

use super::{OfApplication, WrapUp, application, group, shown_numbers};
use crate::applications::within;
use crate::desk::{Desk, Principal};
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Path, Query};
use serde::{Deserialize, Serialize};
use strowger_core::centre::resource::{Agent, AgentRole, MAX_LEVEL, Skill};
use strowger_core::{AgentId, ApplicationId, TenantId, UserId};
use strowger_store::config::Config;
use utoipa::ToSchema;

/// Most skill groups, devices and numbers of an agent.
const MOST: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = Agent)]
pub(crate) struct View {
    id: String,
    tenant: String,
    application: String,
    /// The user who logs in as it; `null` for a post that several people share.
    user: Option<String>,
    /// Name that it signs in with.
    login: String,
    name: String,
    /// Its internal number.
    extension: String,
    /// `agent`, `leader` or `admin`.
    role: &'static str,
    skills: Vec<SkillView>,
    /// Ids of its telephones and browsers.
    devices: Vec<String>,
    /// The telephone that rings while it works without a client.
    mobile: Option<String>,
    /// Numbers that its own calls may show.
    numbers: Vec<String>,
    /// `null` for the application's.
    wrap_up: Option<WrapUp>,
    /// Chats at once; `null` for the application's.
    chat_capacity: Option<u8>,
    disabled: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AgentSkill)]
pub(crate) struct SkillView {
    /// Id of the skill group.
    group: String,
    /// 1 to 10, higher is better.
    level: u8,
}

impl View {
    pub(crate) fn of(a: &Agent) -> View {
        View {
            id: a.id.to_string(),
            tenant: a.tenant.to_string(),
            application: a.application.to_string(),
            user: a.user.map(|u| u.to_string()),
            login: a.login.clone(),
            name: a.name.clone(),
            extension: a.extension.clone(),
            role: a.role.name(),
            skills: a
                .skills
                .iter()
                .map(|s| SkillView {
                    group: s.group.to_string(),
                    level: s.level,
                })
                .collect(),
            devices: a.devices.iter().map(ToString::to_string).collect(),
            mobile: a.mobile.as_ref().map(|n| n.as_str().to_owned()),
            numbers: a.numbers.iter().map(|n| n.as_str().to_owned()).collect(),
            wrap_up: a.wrap_up.map(WrapUp::of),
            chat_capacity: a.chat_capacity,
            disabled: a.disabled,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentSkillSet)]
pub(crate) struct SkillSet {
    /// Name or id of the skill group.
    group: String,
    /// 1 to 10, higher is better; 5 without it.
    level: Option<u8>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentCreate)]
pub(crate) struct Create {
    /// Name that it signs in with: 1 to 64 letters, digits or `.-_@+`.
    login: String,
    /// Name or id; needed if there are several.
    application: Option<String>,
    user: Option<String>,
    name: Option<String>,
    /// 2 to 8 digits; without it the next free one from 1001.
    extension: Option<String>,
    role: Option<String>,
    skills: Option<Vec<SkillSet>>,
    devices: Option<Vec<String>>,
    mobile: Option<String>,
    numbers: Option<Vec<String>>,
    wrap_up: Option<WrapUp>,
    chat_capacity: Option<u8>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AgentChange)]
pub(crate) struct Change {
    /// Name or id of a user; empty for none.
    user: Option<String>,
    name: Option<String>,
    extension: Option<String>,
    /// `agent`, `leader` or `admin`.
    role: Option<String>,
    /// Replaces the list.
    skills: Option<Vec<SkillSet>>,
    /// Names or ids of devices; replaces the list.
    devices: Option<Vec<String>>,
    /// Empty for none.
    mobile: Option<String>,
    /// Replaces the list.
    numbers: Option<Vec<String>>,
    wrap_up: Option<WrapUp>,
    chat_capacity: Option<u8>,
    /// Members that go back to the application's: `wrap_up`, `chat_capacity`.
    #[serde(default)]
    reset: Vec<String>,
    disabled: Option<bool>,
}

fn few<T>(member: &str, all: Vec<T>) -> Result<Vec<T>, Problem> {
    if all.len() > MOST {
        return Err(Problem::parameter(
            member,
            format!("{member} has at most {MOST} entries"),
        ));
    }
    Ok(all)
}

fn level(level: Option<u8>) -> Result<u8, Problem> {
    within("level", level.unwrap_or(5), 1, MAX_LEVEL)
}

fn user(config: &Config, tenant: TenantId, text: &str) -> Result<Option<UserId>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let by_id = text.parse::<UserId>().ok().and_then(|id| config.user(id));
    let found = by_id
        .filter(|u| u.tenant == tenant)
        .or(config.user_by_name(tenant, text));
    found
        .map(|u| Some(u.id))
        .ok_or_else(|| Problem::not_found("user", format!("{text:?}")))
}

impl Change {
    pub(crate) fn apply(self, a: &mut Agent, config: &Config) -> Result<(), Problem> {
        if let Some(text) = &self.user {
            a.user = user(config, a.tenant, text)?;
        }
        if let Some(text) = &self.name {
            a.name = request::name("name", text)?;
        }
        if let Some(text) = self.extension {
            if !(2..=8).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Problem::parameter("extension", "extension has 2 to 8 digits"));
            }
            a.extension = text;
        }
        if let Some(text) = &self.role {
            a.role =
                AgentRole::of_name(text).ok_or_else(|| Problem::parameter("role", "role is agent, leader or admin"))?;
        }
        if let Some(skills) = self.skills {
            a.skills.clear();
            for s in few("skills", skills)? {
                let id = group(config, a.application, &s.group)?.id;
                if a.level(id).is_some() {
                    return Err(Problem::parameter("skills", "a skill group is named twice"));
                }
                a.skills.push(Skill {
                    group: id,
                    level: level(s.level)?,
                });
            }
        }
        if let Some(devices) = self.devices {
            a.devices.clear();
            for text in few("devices", devices)? {
                let by_id = text.parse().ok().and_then(|id| config.device(id));
                let found = by_id
                    .filter(|d| d.device.tenant == a.tenant)
                    .or_else(|| config.device_by_name(a.tenant, &text))
                    .ok_or_else(|| Problem::not_found("device", format!("{text:?}")))?;
                if !a.devices.contains(&found.device.id) {
                    a.devices.push(found.device.id);
                }
            }
        }
        if let Some(text) = &self.mobile {
            a.mobile = match text.as_str() {
                "" => None,
                text => Some(request::number("mobile", text)?),
            };
        }
        if let Some(numbers) = self.numbers {
            a.numbers = shown_numbers(config, a.tenant, &few("numbers", numbers)?)?;
        }
        if let Some(w) = self.wrap_up {
            a.wrap_up = Some(w.read("wrap_up")?);
        }
        if let Some(n) = self.chat_capacity {
            a.chat_capacity = Some(within("chat_capacity", n, 0, 50)?);
        }
        for member in &self.reset {
            match member.as_str() {
                "wrap_up" => a.wrap_up = None,
                "chat_capacity" => a.chat_capacity = None,
                _ => {
                    return Err(Problem::parameter("reset", "reset names wrap_up or chat_capacity"));
                }
            }
        }
        a.disabled = self.disabled.unwrap_or(a.disabled);
        Ok(())
    }
}

/// The name that an agent signs in with.
pub(crate) fn checked_login(text: &str) -> Result<&str, Problem> {
    let login = text.trim();
    let good = |c: char| c.is_alphanumeric() || ".-_@+".contains(c);
    if !(1..=64).contains(&login.chars().count()) || !login.chars().all(good) {
        return Err(Problem::parameter(
            "login",
            "login has 1 to 64 letters, digits, '.', '-', '_', '@' or '+'",
        ));
    }
    Ok(login)
}

/// The smallest free extension from 1001.
pub(crate) fn free_extension(config: &Config, application: ApplicationId) -> String {
    let taken: std::collections::HashSet<&str> = config
        .centre()
        .agents()
        .filter(|a| a.application == application)
        .map(|a| a.extension.as_str())
        .collect();
    let mut all = (1001u32..99_999_999).map(|n| n.to_string());
    all.find(|n| !taken.contains(n.as_str())).unwrap_or_default()
}

/// An agent by id, or by login if only one can be meant.
pub(crate) fn find(api: &Desk, text: &str) -> Result<Agent, Problem> {
    let config = api.config();
    if let Some(agent) = text.parse::<AgentId>().ok().and_then(|id| config.centre().agent(id)) {
        return Ok(Agent::clone(agent));
    }
    let mut named = config.centre().agents().filter(|a| a.login == text);
    let found = match (named.next(), named.next()) {
        (Some(agent), None) => agent,
        (Some(_), Some(_)) => {
            return Err(Problem::parameter(
                "agent",
                format!("several applications have an agent {text:?}; name it by its id"),
            ));
        }
        _ => return Err(Problem::not_found("agent", format!("{text:?}"))),
    };
    Ok(Agent::clone(found))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<OfApplication>) -> Answer {
    let only = asked.resolve(&api)?;
    let config = api.config();
    let agents = config
        .centre()
        .agents()
        .filter(|a| only.is_none_or(|id| a.application == id));
    asked.page(agents.map(|a| (a.id.to_string(), View::of(a))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let agent = find(&api, &id)?;
    let view = View::of(&agent);
    api.shown(agent, view)
}

/// The agent that the user who asks is bound to.
pub(crate) async fn own(api: Desk) -> Answer {
    let Principal::User { id, .. } = &api.principal else {
        return Err(Problem::new(Code::Forbidden, "this is for users"));
    };
    let config = api.config();
    let agent = config.centre().agents().find(|a| a.user == Some(*id)).cloned();
    let agent = agent.ok_or_else(|| {
        Problem::new(
            Code::NotFound,
            "you are no agent; have an administrator bind one to you: strowger agent set AGENT --user NAME",
        )
    })?;
    let view = View::of(&agent);
    api.shown(Agent::clone(&agent), view)
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let _one = api.changing.lock().await;
    let config = api.config();
    let application = application(&config, create.application.as_deref())?;
    let login = checked_login(&create.login)?;
    let id = AgentId(request::mint(&api)?);
    let mut agent = Agent::new(id, application.tenant, application.id, login);
    agent.extension = free_extension(&config, application.id);
    let change = Change {
        user: create.user,
        name: create.name,
        extension: create.extension,
        role: create.role,
        skills: create.skills,
        devices: create.devices,
        mobile: create.mobile,
        numbers: create.numbers,
        wrap_up: create.wrap_up,
        chat_capacity: create.chat_capacity,
        ..Change::default()
    };
    change.apply(&mut agent, &config)?;
    let view = View::of(&agent);
    api.create(agent, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut agent = find(&api, &id)?;
    api.expects(&agent)?;
    change.apply(&mut agent, &api.config())?;
    let view = View::of(&agent);
    api.replace(agent, view).await
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let agent = find(&api, &id)?;
    api.remove(&agent).await
}

/// A member of a skill group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupMember)]
pub(crate) struct Member {
    /// Id of the agent.
    agent: String,
    login: String,
    name: String,
    level: u8,
}

pub(crate) async fn members(api: Desk, Path(id): Path<String>) -> Answer {
    let group = super::groups::find(&api, &id)?;
    let config = api.config();
    let members = config.centre().agents().filter_map(|a| {
        Some(Member {
            agent: a.id.to_string(),
            login: a.login.clone(),
            name: a.name.clone(),
            level: a.level(group.id)?,
        })
    });
    request::list(members)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GroupMemberSet)]
pub(crate) struct MemberSet {
    /// 1 to 10, higher is better; 5 without it.
    level: Option<u8>,
}

/// Makes an agent a member, or gives it another level.
pub(crate) async fn set_member(
    api: Desk,
    Path((id, agent)): Path<(String, String)>,
    Body(set): Body<MemberSet>,
) -> Answer {
    let _one = api.changing.lock().await;
    let group = super::groups::find(&api, &id)?;
    let mut agent = find(&api, &agent)?;
    if agent.application != group.application {
        return Err(Problem::not_found(
            "agent",
            format!("{:?} in the group's application", agent.login),
        ));
    }
    let level = level(set.level)?;
    agent.skills.retain(|s| s.group != group.id);
    agent.skills.push(Skill { group: group.id, level });
    if agent.skills.len() > MOST {
        return Err(Problem::parameter(
            "group",
            format!("an agent is in at most {MOST} skill groups"),
        ));
    }
    let view = View::of(&agent);
    api.replace(agent, view).await
}

pub(crate) async fn remove_member(api: Desk, Path((id, agent)): Path<(String, String)>) -> Answer {
    let _one = api.changing.lock().await;
    let group = super::groups::find(&api, &id)?;
    let mut agent = find(&api, &agent)?;
    if agent.level(group.id).is_none() {
        return Err(Problem::not_found("member", format!("{:?} of the group", agent.login)));
    }
    agent.skills.retain(|s| s.group != group.id);
    api.store.put(agent).await?;
    request::done()
}
