//! Agents, skill groups, queues and the settings of contact centres as they are stored.

use super::Id;
use crate::centre::{BreakReason, Centre};
use serde::{Deserialize, Serialize};
use strowger_core::centre::resource::{
    Agent, AgentLost, AgentRole, CentreSettings, ConsultFailure, NoAnswer, Overflow, Queue, SecondSignIn, Skill,
    SkillGroup, Strategy, WrapUp,
};
use strowger_core::{AgentId, ApplicationId, DeviceId, GroupId, Number, QueueId, TenantId, UserId};

fn texts(numbers: &[Number]) -> Vec<String> {
    numbers.iter().map(|n| n.as_str().to_owned()).collect()
}

fn numbers(texts: Vec<String>) -> Vec<Number> {
    texts.into_iter().map(Number::from_canonical).collect()
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DiskWrapUp {
    Off,
    Manual,
    Seconds(u32),
}

impl DiskWrapUp {
    fn of(w: WrapUp) -> DiskWrapUp {
        match w {
            WrapUp::Off => DiskWrapUp::Off,
            WrapUp::Manual => DiskWrapUp::Manual,
            WrapUp::Seconds(s) => DiskWrapUp::Seconds(s),
        }
    }

    fn wrap_up(self) -> WrapUp {
        match self {
            DiskWrapUp::Off => WrapUp::Off,
            DiskWrapUp::Manual => WrapUp::Manual,
            DiskWrapUp::Seconds(s) => WrapUp::Seconds(s),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct DiskAgent {
    id: Id,
    tenant: Id,
    application: Id,
    #[serde(default)]
    user: Option<Id>,
    login: String,
    name: String,
    extension: String,
    role: String,
    #[serde(default)]
    skills: Vec<(Id, u8)>,
    #[serde(default)]
    devices: Vec<Id>,
    #[serde(default)]
    mobile: Option<String>,
    #[serde(default)]
    numbers: Vec<String>,
    #[serde(default)]
    wrap_up: Option<DiskWrapUp>,
    #[serde(default)]
    chat_capacity: Option<u8>,
    #[serde(default)]
    disabled: bool,
}

impl DiskAgent {
    pub(super) fn of(a: &Agent) -> DiskAgent {
        DiskAgent {
            id: Id(a.id.0),
            tenant: Id(a.tenant.0),
            application: Id(a.application.0),
            user: a.user.map(|u| Id(u.0)),
            login: a.login.clone(),
            name: a.name.clone(),
            extension: a.extension.clone(),
            role: a.role.name().to_owned(),
            skills: a.skills.iter().map(|s| (Id(s.group.0), s.level)).collect(),
            devices: a.devices.iter().map(|d| Id(d.0)).collect(),
            mobile: a.mobile.as_ref().map(|n| n.as_str().to_owned()),
            numbers: texts(&a.numbers),
            wrap_up: a.wrap_up.map(DiskWrapUp::of),
            chat_capacity: a.chat_capacity,
            disabled: a.disabled,
        }
    }

    pub(super) fn agent(self) -> Option<Agent> {
        Some(Agent {
            id: AgentId(self.id.0),
            tenant: TenantId(self.tenant.0),
            application: ApplicationId(self.application.0),
            user: self.user.map(|u| UserId(u.0)),
            login: self.login,
            name: self.name,
            extension: self.extension,
            role: AgentRole::of_name(&self.role)?,
            skills: self
                .skills
                .into_iter()
                .map(|(g, level)| Skill {
                    group: GroupId(g.0),
                    level,
                })
                .collect(),
            devices: self.devices.into_iter().map(|d| DeviceId(d.0)).collect(),
            mobile: self.mobile.map(Number::from_canonical),
            numbers: numbers(self.numbers),
            wrap_up: self.wrap_up.map(DiskWrapUp::wrap_up),
            chat_capacity: self.chat_capacity,
            disabled: self.disabled,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct DiskGroup {
    id: Id,
    tenant: Id,
    application: Id,
    name: String,
    #[serde(default)]
    numbers: Vec<String>,
}

impl DiskGroup {
    pub(super) fn of(g: &SkillGroup) -> DiskGroup {
        DiskGroup {
            id: Id(g.id.0),
            tenant: Id(g.tenant.0),
            application: Id(g.application.0),
            name: g.name.clone(),
            numbers: texts(&g.numbers),
        }
    }

    pub(super) fn group(self) -> SkillGroup {
        SkillGroup {
            id: GroupId(self.id.0),
            tenant: TenantId(self.tenant.0),
            application: ApplicationId(self.application.0),
            name: self.name,
            numbers: numbers(self.numbers),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DiskOverflow {
    End,
    Queue(Id),
    Number(String),
}

/// Absent members take the core's defaults.
#[derive(Serialize, Deserialize)]
pub(super) struct DiskQueue {
    id: Id,
    tenant: Id,
    application: Id,
    name: String,
    group: Id,
    strategy: Option<String>,
    sticky_secs: Option<u32>,
    ring_secs: Option<u32>,
    max_wait_secs: Option<u32>,
    max_length: Option<u32>,
    #[serde(default)]
    overflow_unstaffed: bool,
    overflow: Option<DiskOverflow>,
    priority: Option<u8>,
    ageing_secs: Option<u32>,
    relax_secs: Option<u32>,
    music: Option<String>,
    announce_secs: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    callback_secs: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    callback_prompt: Option<String>,
    service_secs: Option<u32>,
    short_secs: Option<u32>,
}

impl DiskQueue {
    pub(super) fn of(q: &Queue) -> DiskQueue {
        DiskQueue {
            id: Id(q.id.0),
            tenant: Id(q.tenant.0),
            application: Id(q.application.0),
            name: q.name.clone(),
            group: Id(q.group.0),
            strategy: Some(q.strategy.name().to_owned()),
            sticky_secs: Some(q.sticky_secs),
            ring_secs: q.ring_secs,
            max_wait_secs: Some(q.max_wait_secs),
            max_length: Some(q.max_length),
            overflow_unstaffed: q.overflow_unstaffed,
            overflow: Some(match &q.overflow {
                Overflow::End => DiskOverflow::End,
                Overflow::Queue(id) => DiskOverflow::Queue(Id(id.0)),
                Overflow::Number(n) => DiskOverflow::Number(n.as_str().to_owned()),
            }),
            priority: Some(q.priority),
            ageing_secs: Some(q.ageing_secs),
            relax_secs: Some(q.relax_secs),
            music: q.music.clone(),
            announce_secs: Some(q.announce_secs),
            callback_secs: (q.callback_secs > 0).then_some(q.callback_secs),
            callback_prompt: q.callback_prompt.clone(),
            service_secs: Some(q.service_secs),
            short_secs: Some(q.short_secs),
        }
    }

    pub(super) fn queue(self) -> Option<Queue> {
        let default = Queue::new(
            QueueId(self.id.0),
            TenantId(self.tenant.0),
            ApplicationId(self.application.0),
            self.name,
            GroupId(self.group.0),
        );
        Some(Queue {
            strategy: match self.strategy {
                Some(name) => Strategy::of_name(&name)?,
                None => default.strategy,
            },
            sticky_secs: self.sticky_secs.unwrap_or(default.sticky_secs),
            ring_secs: self.ring_secs,
            max_wait_secs: self.max_wait_secs.unwrap_or(default.max_wait_secs),
            max_length: self.max_length.unwrap_or(default.max_length),
            overflow_unstaffed: self.overflow_unstaffed,
            overflow: match self.overflow {
                None | Some(DiskOverflow::End) => Overflow::End,
                Some(DiskOverflow::Queue(id)) => Overflow::Queue(QueueId(id.0)),
                Some(DiskOverflow::Number(n)) => Overflow::Number(Number::from_canonical(n)),
            },
            priority: self.priority.unwrap_or(default.priority),
            ageing_secs: self.ageing_secs.unwrap_or(default.ageing_secs),
            relax_secs: self.relax_secs.unwrap_or(default.relax_secs),
            music: self.music,
            announce_secs: self.announce_secs.unwrap_or(default.announce_secs),
            callback_secs: self.callback_secs.unwrap_or(default.callback_secs),
            callback_prompt: self.callback_prompt,
            service_secs: self.service_secs.unwrap_or(default.service_secs),
            short_secs: self.short_secs.unwrap_or(default.short_secs),
            ..default
        })
    }
}

/// Absent settings take the core's defaults, so that one that is new in this version has its default in centres that were
/// stored before.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct DiskCentreSettings {
    start_ready: Option<bool>,
    ring_secs: Option<u32>,
    dial_secs: Option<u32>,
    no_answer: Option<String>,
    wrap_up: Option<DiskWrapUp>,
    wrap_up_unanswered: Option<bool>,
    pending_skips_wrap_up: Option<bool>,
    return_to_break: Option<bool>,
    pending_break: Option<bool>,
    consult_failure: Option<String>,
    agent_lost: Option<String>,
    second_sign_in: Option<String>,
    grace_secs: Option<u32>,
    device_grace_secs: Option<u32>,
    exclusion_secs: Option<u32>,
    exclusion_alone_secs: Option<u32>,
    off_duty_calls: Option<bool>,
    chat_capacity: Option<u8>,
    chat_while_talking: Option<bool>,
    voice_during_chat: Option<bool>,
    training: Option<bool>,
    hang_up_inbound: Option<bool>,
    #[serde(default)]
    mask_numbers: Option<bool>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DiskCentre {
    application: Id,
    tenant: Id,
    #[serde(default)]
    settings: DiskCentreSettings,
    #[serde(default)]
    break_reasons: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    survey: Option<String>,
}

impl DiskCentre {
    pub(super) fn of(c: &Centre) -> DiskCentre {
        let s = &c.settings;
        DiskCentre {
            application: Id(c.application.0),
            tenant: Id(c.tenant.0),
            settings: DiskCentreSettings {
                start_ready: Some(s.start_ready),
                ring_secs: Some(s.ring_secs),
                dial_secs: Some(s.dial_secs),
                no_answer: Some(s.no_answer.name().to_owned()),
                wrap_up: Some(DiskWrapUp::of(s.wrap_up)),
                wrap_up_unanswered: Some(s.wrap_up_unanswered),
                pending_skips_wrap_up: Some(s.pending_skips_wrap_up),
                return_to_break: Some(s.return_to_break),
                pending_break: Some(s.pending_break),
                consult_failure: Some(s.consult_failure.name().to_owned()),
                agent_lost: Some(s.agent_lost.name().to_owned()),
                second_sign_in: Some(s.second_sign_in.name().to_owned()),
                grace_secs: Some(s.grace_secs),
                device_grace_secs: Some(s.device_grace_secs),
                exclusion_secs: Some(s.exclusion_secs),
                exclusion_alone_secs: Some(s.exclusion_alone_secs),
                off_duty_calls: Some(s.off_duty_calls),
                chat_capacity: Some(s.chat_capacity),
                chat_while_talking: Some(s.chat_while_talking),
                voice_during_chat: Some(s.voice_during_chat),
                training: Some(s.training),
                hang_up_inbound: Some(s.hang_up_inbound),
                mask_numbers: Some(s.mask_numbers),
            },
            break_reasons: c
                .break_reasons
                .iter()
                .map(|r| (r.code.clone(), r.name.clone()))
                .collect(),
            survey: c.survey.clone(),
        }
    }

    pub(super) fn centre(self) -> Option<Centre> {
        let (d, s) = (CentreSettings::default(), self.settings);
        let settings = CentreSettings {
            start_ready: s.start_ready.unwrap_or(d.start_ready),
            ring_secs: s.ring_secs.unwrap_or(d.ring_secs),
            dial_secs: s.dial_secs.unwrap_or(d.dial_secs),
            no_answer: s.no_answer.map_or(Some(d.no_answer), |n| NoAnswer::of_name(&n))?,
            wrap_up: s.wrap_up.map_or(d.wrap_up, DiskWrapUp::wrap_up),
            wrap_up_unanswered: s.wrap_up_unanswered.unwrap_or(d.wrap_up_unanswered),
            pending_skips_wrap_up: s.pending_skips_wrap_up.unwrap_or(d.pending_skips_wrap_up),
            return_to_break: s.return_to_break.unwrap_or(d.return_to_break),
            pending_break: s.pending_break.unwrap_or(d.pending_break),
            consult_failure: s
                .consult_failure
                .map_or(Some(d.consult_failure), |n| ConsultFailure::of_name(&n))?,
            agent_lost: s.agent_lost.map_or(Some(d.agent_lost), |n| AgentLost::of_name(&n))?,
            second_sign_in: s
                .second_sign_in
                .map_or(Some(d.second_sign_in), |n| SecondSignIn::of_name(&n))?,
            grace_secs: s.grace_secs.unwrap_or(d.grace_secs),
            device_grace_secs: s.device_grace_secs.unwrap_or(d.device_grace_secs),
            exclusion_secs: s.exclusion_secs.unwrap_or(d.exclusion_secs),
            exclusion_alone_secs: s.exclusion_alone_secs.unwrap_or(d.exclusion_alone_secs),
            off_duty_calls: s.off_duty_calls.unwrap_or(d.off_duty_calls),
            chat_capacity: s.chat_capacity.unwrap_or(d.chat_capacity),
            chat_while_talking: s.chat_while_talking.unwrap_or(d.chat_while_talking),
            voice_during_chat: s.voice_during_chat.unwrap_or(d.voice_during_chat),
            training: s.training.unwrap_or(d.training),
            hang_up_inbound: s.hang_up_inbound.unwrap_or(d.hang_up_inbound),
            mask_numbers: s.mask_numbers.unwrap_or(d.mask_numbers),
        };
        Some(Centre {
            application: ApplicationId(self.application.0),
            tenant: TenantId(self.tenant.0),
            settings,
            break_reasons: self
                .break_reasons
                .into_iter()
                .map(|(code, name)| BreakReason { code, name })
                .collect(),
            survey: self.survey,
        })
    }
}
