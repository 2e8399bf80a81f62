//! From request members to plans of the core: every name resolved, every rule checked, before anything starts.

use crate::auth::Caller;
use crate::code::{Code, Failure};
use crate::directory::Directory;
use crate::http::Settings;
use crate::params::{Params, invalid, number};
use crate::project::{SubscriptionContext, batching};
use strowger_core::call::{AddPlan, ClickPlan, PartyPlan, Prompt, Ringback, Target};
use strowger_core::event::{Created, Kind, RecordMode};
use strowger_core::routing::Denied;
use strowger_core::{ConversationId, Number};

/// Seconds that an added party may ring when the request does not say (voice-paas §10).
const ADD_TIMEOUT: u32 = 120;

/// What plans are made with.
pub(crate) struct Planner<'a> {
    pub directory: &'a dyn Directory,
    pub settings: &'a Settings,
    pub caller: &'a Caller,
    /// The label of the API version in the URL, echoed in pushes.
    pub version: &'a str,
}

/// Names of sounds in a request, found only after the numbers are known to be good (the order of checks).
struct Sounds<'a> {
    greeting: Option<&'a str>,
    custom: bool,
    ringback: Option<&'a str>,
    fail: Option<&'a str>,
    callee: Option<&'a str>,
    caller: Option<&'a str>,
}

impl<'a> Sounds<'a> {
    /// Mode 0 ignores the two sounds of mode 1, whatever they say (line 109).
    fn read(p: &'a Params) -> Result<Sounds<'a>, Failure> {
        let greeting = p.sound("greetVoice")?;
        // The source's running text spells the member with an underscore (D14).
        let mode = if p.has("ringbackMode") {
            "ringbackMode"
        } else {
            "ringback_mode"
        };
        let custom = match p.integer(mode)? {
            None | Some(0) => false,
            Some(1) => true,
            Some(_) => return Err(invalid(mode, "must be 0 or 1")),
        };
        Ok(Sounds {
            greeting,
            custom,
            ringback: if custom { p.sound("ringbackVoice")? } else { None },
            fail: if custom { p.sound("failVoice")? } else { None },
            callee: p.sound("calleeVoice")?,
            caller: p.sound("callerVoice")?,
        })
    }
}

impl Planner<'_> {
    /// A `click2call` (voice-paas §8.1).
    pub fn click(&self, p: &Params) -> Result<(Created, ClickPlan), Failure> {
        let app = &self.caller.application.settings;
        let (caller_text, callee_text) = (p.required("caller")?, p.required("callee")?);
        let caller = number("caller", caller_text, self.settings.plan)?;
        let callee = number("callee", callee_text, self.settings.plan)?;
        let caller_cli = self.read_cli(p, "callerCli")?;
        let callee_cli = self.read_cli(p, "calleeCli")?;
        let sounds = Sounds::read(p)?;
        let user_data = p.user_data(app.user_data_limit, app.user_data_any)?;
        let status_url = p.url("statusUrl")?;
        let cdr_url = p.url("cdrUrl")?.or(app.record_url.as_deref());
        let record = match p.integer("record")? {
            None | Some(0) => RecordMode::None,
            Some(1) => RecordMode::FromRinging,
            Some(2) => RecordMode::FromAnswer,
            Some(_) => return Err(invalid("record", "must be 0, 1 or 2")),
        };
        let max_duration = match p.integer("maxDuration")? {
            Some(0) => {
                return Err(invalid(
                    "maxDuration",
                    "must be at least 1 second; leave it out for no limit",
                ));
            }
            other => other,
        };
        let last_minute = p.sound("lastMinVoice")?;

        if caller == callee {
            return Err(Failure::plain(Code::CallerEqualsCallee));
        }
        let caller_cli = self.owned_cli("callerCli", caller_cli)?;
        let callee_cli = self.owned_cli("calleeCli", callee_cli)?;
        let greeting = self.find("greetVoice", sounds.greeting)?;
        let ringback = self.ringback(&sounds)?;
        let callee_voice = self.find("calleeVoice", sounds.callee)?;
        let caller_voice = self.find("callerVoice", sounds.caller)?;
        let last_minute = self.find("lastMinVoice", last_minute)?;
        self.may_call("caller", &caller)?;
        self.may_call("callee", &callee)?;

        let plan = ClickPlan {
            caller: party(caller, caller_text, caller_cli),
            callee: party(callee, callee_text, callee_cli),
            greeting,
            ringback,
            caller_voice,
            callee_voice,
            last_minute,
            ring_timeout: app.ring_timeout,
            record_wait: app.record_wait,
            answer: app.answer,
        };
        let context = SubscriptionContext {
            account: Some(self.caller.account.id),
            application: self.caller.application.id,
            version: self.version.to_owned(),
            zone_minutes: app.zone_minutes,
            strict_causes: app.strict_causes,
            recording_base: self.settings.recording_base.clone(),
            batch: batching(app),
        };
        let head = Created {
            tenant: self.caller.account.tenant,
            application: self.caller.application.id,
            account: Some(self.caller.account.id),
            kind: Kind::ClickToCall,
            ani: caller_text.to_owned(),
            dnis: callee_text.to_owned(),
            user_data,
            max_duration,
            record,
            subscriptions: context.subscriptions(status_url, cdr_url),
        };
        Ok((head, plan))
    }

    /// An `addCall` (voice-paas §10).
    pub fn add(&self, p: &Params) -> Result<AddPlan, Failure> {
        let text = p.required("callee")?;
        let callee = number("callee", text, self.settings.plan)?;
        let cli = self.read_cli(p, "calleeCli")?;
        let sounds = Sounds::read(p)?;
        let record = p.switch("record")?;
        let ring_timeout = match p.integer("timeout")? {
            None => ADD_TIMEOUT,
            Some(0) => return Err(invalid("timeout", "must be at least 1 second")),
            Some(n) => n,
        };

        let cli = self.owned_cli("calleeCli", cli)?;
        let greeting = self.find("greetVoice", sounds.greeting)?;
        let ringback = self.ringback(&sounds)?;
        let callee_voice = self.find("calleeVoice", sounds.callee)?;
        let caller_voice = self.find("callerVoice", sounds.caller)?;
        self.may_call("callee", &callee)?;
        Ok(AddPlan {
            party: party(callee, text, cli),
            greeting,
            ringback,
            caller_voice,
            callee_voice,
            record,
            ring_timeout,
        })
    }

    /// A display number of the request, or the application's default.
    fn read_cli(&self, p: &Params, name: &'static str) -> Result<Option<(Number, String)>, Failure> {
        match p.text(name)? {
            Some(text) => Ok(Some((number(name, text, self.settings.plan)?, text.to_owned()))),
            None => Ok(self
                .caller
                .application
                .settings
                .default_cli
                .as_ref()
                .map(|n| (n.clone(), n.as_str().to_owned()))),
        }
    }

    /// The default is checked like a number of the request: it may have been taken from the application since.
    fn owned_cli(&self, name: &str, cli: Option<(Number, String)>) -> Result<Option<String>, Failure> {
        let Some((number, text)) = cli else { return Ok(None) };
        let (tenant, application) = (self.caller.account.tenant, self.caller.application.id);
        if self.directory.may_show(tenant, application, &number) {
            Ok(Some(text))
        } else {
            Err(Failure::about(Code::DisplayNumberNotOwned, name))
        }
    }

    fn find(&self, name: &str, sound: Option<&str>) -> Result<Option<Prompt>, Failure> {
        let Some(sound) = sound else { return Ok(None) };
        let (tenant, application) = (self.caller.account.tenant, self.caller.application.id);
        self.directory
            .prompt(tenant, application, sound)
            .map(Some)
            .ok_or_else(|| Failure::about(Code::VoiceFileNotFound, name))
    }

    fn ringback(&self, sounds: &Sounds<'_>) -> Result<Ringback, Failure> {
        if !sounds.custom {
            return Ok(Ringback::Transparent);
        }
        Ok(Ringback::Custom {
            voice: self.find("ringbackVoice", sounds.ringback)?,
            fail: self.find("failVoice", sounds.fail)?,
        })
    }

    fn may_call(&self, name: &str, number: &Number) -> Result<(), Failure> {
        let tenant = self.caller.account.tenant;
        let toll = self.directory.toll(tenant);
        toll.permitted(number, self.settings.plan).map_err(|denied| {
            let why = match denied {
                Denied::International => "international numbers are closed for this tenant",
                Denied::Premium => "premium numbers are closed for this tenant",
                Denied::Emergency => {
                    tracing::error!(%tenant, "a call to an emergency number was refused: its tenant has no emergency trunk");
                    "emergency numbers cannot be reached through this service"
                }
            };
            Failure::about(Code::NumberNotPermitted, format!("{name}: {why}"))
        })
    }
}

fn party(number: Number, text: &str, cli: Option<String>) -> PartyPlan {
    PartyPlan {
        target: Target::Number(number),
        text: text.to_owned(),
        cli,
    }
}

/// The leg that a `cancelCall` names beside its conversation (extension member `callSid`).
pub(crate) fn leg_of(p: &Params, conversation: ConversationId) -> Result<Option<strowger_core::LegSeq>, Failure> {
    let Some(text) = p.text("callSid")? else {
        return Ok(None);
    };
    match crate::ids::resolve_sid(text) {
        Some((id, Some(leg))) if id == conversation => Ok(Some(leg)),
        _ => Err(invalid("callSid", "is no leg of this conversation")),
    }
}
