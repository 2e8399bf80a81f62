//! The settings of an application's contact centre, and why its agents may be on break.

use super::{WrapUp, application};
use crate::applications::within;
use crate::desk::Desk;
use crate::error::Problem;
use crate::request::{self, Answer, Body, Path};
use serde::{Deserialize, Serialize};
use strowger_core::centre::resource::{AgentLost, CentreSettings, ConsultFailure, NoAnswer, SecondSignIn};
use strowger_core::route::ItemKind;
use strowger_store::centre::{BreakReason, Centre};
use strowger_store::config::Config;
use utoipa::ToSchema;

/// Most break reasons of an application.
const MOST_REASONS: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = Centre)]
pub(crate) struct View {
    application: String,
    tenant: String,
    settings: SettingsView,
    break_reasons: Vec<Reason>,
    /// The flow that a customer goes into whose agent has hung up; null without one.
    survey: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BreakReason)]
pub(crate) struct Reason {
    /// As commands and events write it: 1 to 32 letters, digits, `-` or `_`.
    code: String,
    /// For people.
    name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CentreSettings)]
pub(crate) struct SettingsView {
    start_ready: bool,
    ring_secs: u32,
    dial_secs: u32,
    /// `break`, `ready` or `not-ready`.
    no_answer: &'static str,
    wrap_up: WrapUp,
    wrap_up_unanswered: bool,
    pending_skips_wrap_up: bool,
    return_to_break: bool,
    pending_break: bool,
    /// `retrieve` or `stay-held`.
    consult_failure: &'static str,
    /// `requeue-front` or `end`.
    agent_lost: &'static str,
    /// `refuse`, `take-over` or `break`.
    second_sign_in: &'static str,
    grace_secs: u32,
    device_grace_secs: u32,
    exclusion_secs: u32,
    exclusion_alone_secs: u32,
    off_duty_calls: bool,
    chat_capacity: u8,
    chat_while_talking: bool,
    voice_during_chat: bool,
    training: bool,
    hang_up_inbound: bool,
    mask_numbers: bool,
}

impl View {
    pub(crate) fn of(c: &Centre) -> View {
        let s = &c.settings;
        View {
            application: c.application.to_string(),
            tenant: c.tenant.to_string(),
            settings: SettingsView {
                start_ready: s.start_ready,
                ring_secs: s.ring_secs,
                dial_secs: s.dial_secs,
                no_answer: s.no_answer.name(),
                wrap_up: WrapUp::of(s.wrap_up),
                wrap_up_unanswered: s.wrap_up_unanswered,
                pending_skips_wrap_up: s.pending_skips_wrap_up,
                return_to_break: s.return_to_break,
                pending_break: s.pending_break,
                consult_failure: s.consult_failure.name(),
                agent_lost: s.agent_lost.name(),
                second_sign_in: s.second_sign_in.name(),
                grace_secs: s.grace_secs,
                device_grace_secs: s.device_grace_secs,
                exclusion_secs: s.exclusion_secs,
                exclusion_alone_secs: s.exclusion_alone_secs,
                off_duty_calls: s.off_duty_calls,
                chat_capacity: s.chat_capacity,
                chat_while_talking: s.chat_while_talking,
                voice_during_chat: s.voice_during_chat,
                training: s.training,
                hang_up_inbound: s.hang_up_inbound,
                mask_numbers: s.mask_numbers,
            },
            break_reasons: c
                .break_reasons
                .iter()
                .map(|r| Reason {
                    code: r.code.clone(),
                    name: r.name.clone(),
                })
                .collect(),
            survey: c.survey.clone(),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CentreChange)]
pub(crate) struct Change {
    #[serde(default)]
    settings: SettingsChange,
    /// Replaces the list.
    break_reasons: Option<Vec<Reason>>,
    /// A flow of the application that a customer goes into whose agent has hung up, by name; empty for none.
    survey: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CentreSettingsChange)]
pub(crate) struct SettingsChange {
    /// An agent that signs in without saying how is ready at once.
    start_ready: Option<bool>,
    /// An agent is rung for so long, 5 to 300.
    ring_secs: Option<u32>,
    /// A dialled party is rung for so long, 5 to 300.
    dial_secs: Option<u32>,
    /// After an offer that rang out: `break`, `ready` or `not-ready`.
    no_answer: Option<String>,
    wrap_up: Option<WrapUp>,
    /// An outgoing call that nobody answered is followed by wrap-up too.
    wrap_up_unanswered: Option<bool>,
    /// A break or sign-out asked for in a call begins at its end and not after the wrap-up.
    pending_skips_wrap_up: Option<bool>,
    /// After a call placed from a break the agent is on break again.
    return_to_break: Option<bool>,
    /// A break asked for in a call is remembered; otherwise refused.
    pending_break: Option<bool>,
    /// Third party fails in a consultation: `retrieve` or `stay-held`.
    consult_failure: Option<String>,
    /// Agent lost in an inbound talk: `requeue-front` or `end`.
    agent_lost: Option<String>,
    /// Sign-in from a second client in a call: `refuse`, `take-over` or `break`.
    second_sign_in: Option<String>,
    /// Client connection lost: this long until the duty ends.
    grace_secs: Option<u32>,
    /// Device lost: this long until the duty ends.
    device_grace_secs: Option<u32>,
    /// A missed call is not offered to the same agent again for so long.
    exclusion_secs: Option<u32>,
    /// As above, for the only agent on duty.
    exclusion_alone_secs: Option<u32>,
    /// An agent's device may call, and be called, off duty.
    off_duty_calls: Option<bool>,
    /// Chats at once.
    chat_capacity: Option<u8>,
    /// New chats while the agent is in a call or wraps up.
    chat_while_talking: Option<bool>,
    /// Calls while chats are open.
    voice_during_chat: Option<bool>,
    /// There is a training state beside break.
    training: Option<bool>,
    /// Agents may hang up incoming calls.
    hang_up_inbound: Option<bool>,
    /// Agents' clients and devices see customers' numbers masked, and call back with a token.
    mask_numbers: Option<bool>,
}

impl Change {
    pub(crate) fn apply(self, c: &mut Centre, config: &Config) -> Result<(), Problem> {
        self.settings.apply(&mut c.settings)?;
        if let Some(flow) = self.survey {
            if !flow.is_empty() && config.routing().named(c.application, ItemKind::Flow, &flow).is_none() {
                return Err(Problem::not_found("flow", format!("{flow:?}")));
            }
            c.survey = (!flow.is_empty()).then_some(flow);
        }
        if let Some(all) = self.break_reasons {
            c.break_reasons = reasons(all)?;
        }
        Ok(())
    }
}

fn word<T: Copy>(member: &str, all: &[T], name: impl Fn(T) -> &'static str, text: &str) -> Result<T, Problem> {
    all.iter().copied().find(|v| name(*v) == text).ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|v| name(*v)).collect();
        Problem::parameter(member, format!("{member} is one of {}", known.join(", ")))
    })
}

impl SettingsChange {
    fn apply(self, s: &mut CentreSettings) -> Result<(), Problem> {
        for (member, asked, setting, least, most) in [
            ("ring_secs", self.ring_secs, &mut s.ring_secs, 5, 300),
            ("dial_secs", self.dial_secs, &mut s.dial_secs, 5, 300),
            ("grace_secs", self.grace_secs, &mut s.grace_secs, 0, 3600),
            (
                "device_grace_secs",
                self.device_grace_secs,
                &mut s.device_grace_secs,
                0,
                3600,
            ),
            ("exclusion_secs", self.exclusion_secs, &mut s.exclusion_secs, 0, 3600),
            (
                "exclusion_alone_secs",
                self.exclusion_alone_secs,
                &mut s.exclusion_alone_secs,
                0,
                3600,
            ),
        ] {
            if let Some(n) = asked {
                *setting = within(&format!("settings.{member}"), n, least, most)?;
            }
        }
        if let Some(t) = &self.no_answer {
            s.no_answer = word("settings.no_answer", &NoAnswer::ALL, NoAnswer::name, t)?;
        }
        if let Some(t) = &self.consult_failure {
            s.consult_failure = word(
                "settings.consult_failure",
                &ConsultFailure::ALL,
                ConsultFailure::name,
                t,
            )?;
        }
        if let Some(t) = &self.agent_lost {
            s.agent_lost = word("settings.agent_lost", &AgentLost::ALL, AgentLost::name, t)?;
        }
        if let Some(t) = &self.second_sign_in {
            s.second_sign_in = word("settings.second_sign_in", &SecondSignIn::ALL, SecondSignIn::name, t)?;
        }
        if let Some(w) = self.wrap_up {
            s.wrap_up = w.read("settings.wrap_up")?;
        }
        if let Some(n) = self.chat_capacity {
            s.chat_capacity = within("settings.chat_capacity", n, 0, 50)?;
        }
        for (asked, setting) in [
            (self.start_ready, &mut s.start_ready),
            (self.wrap_up_unanswered, &mut s.wrap_up_unanswered),
            (self.pending_skips_wrap_up, &mut s.pending_skips_wrap_up),
            (self.return_to_break, &mut s.return_to_break),
            (self.pending_break, &mut s.pending_break),
            (self.off_duty_calls, &mut s.off_duty_calls),
            (self.chat_while_talking, &mut s.chat_while_talking),
            (self.voice_during_chat, &mut s.voice_during_chat),
            (self.training, &mut s.training),
            (self.hang_up_inbound, &mut s.hang_up_inbound),
            (self.mask_numbers, &mut s.mask_numbers),
        ] {
            *setting = asked.unwrap_or(*setting);
        }
        Ok(())
    }
}

fn reasons(all: Vec<Reason>) -> Result<Vec<BreakReason>, Problem> {
    if all.len() > MOST_REASONS {
        return Err(Problem::parameter(
            "break_reasons",
            format!("there are at most {MOST_REASONS} break reasons"),
        ));
    }
    let mut read: Vec<BreakReason> = Vec::new();
    for r in all {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !(1..=32).contains(&r.code.len()) || !r.code.bytes().all(good) {
            return Err(Problem::parameter(
                "break_reasons.code",
                "the code of a break reason has 1 to 32 letters, digits, '-' or '_'",
            ));
        }
        if read.iter().any(|o| o.code == r.code) {
            return Err(Problem::parameter(
                "break_reasons.code",
                format!("the break reason {:?} is named twice", r.code),
            ));
        }
        read.push(BreakReason {
            name: request::name("break_reasons.name", &r.name)?,
            code: r.code,
        });
    }
    Ok(read)
}

/// The centre of an application as it is stored, or with defaults.
fn find(api: &Desk, text: &str) -> Result<Centre, Problem> {
    let config = api.config();
    let application = application(&config, Some(text))?;
    let stored = config.centre().centre(application.id);
    Ok(stored.map_or_else(|| Centre::new(application.id, application.tenant), |c| Centre::clone(c)))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let centre = find(&api, &id)?;
    let view = View::of(&centre);
    api.shown(centre, view)
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut centre = find(&api, &id)?;
    api.expects(&centre)?;
    change.apply(&mut centre, &api.config())?;
    let view = View::of(&centre);
    api.replace(centre, view).await
}

/// Back to the defaults.
pub(crate) async fn reset(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let centre = find(&api, &id)?;
    if api.config().centre().centre(centre.application).is_none() {
        return Err(Problem::not_found("setting of its own of", format!("{id:?}")));
    }
    api.remove(&centre).await
}
