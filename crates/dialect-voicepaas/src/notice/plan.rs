//! From request members to notice plans: every name resolved, every rule checked, before anything starts.

use super::code::{Failure, NoticeCode};
use super::params::{Content, Params, number, voice_name};
use super::project::ResultContext;
use crate::directory::{Account, Application, Directory};
use crate::http::Settings;
use std::collections::HashSet;
use strowger_core::call::{Callee, Item, NoticeBatch, NoticePlan, PartyPlan, Rules, Sound, Spoken, Target};
use strowger_core::event::{Created, Kind, RecordMode};
use strowger_core::resource::NoticeSettings;
use strowger_core::routing::Denied;
use strowger_core::spoken::{self, Language, Manner};
use strowger_core::{NoticeBatchId, Number};
use strowger_store::Throttle;

/// Shortest and longest verification code (C1).
const CODE_LENGTH: std::ops::RangeInclusive<usize> = 4..=8;
/// How often a verification code's script is heard (C3).
const CODE_ROUNDS: u32 = 3;
/// Times a callee may ring, in seconds.
const RING: std::ops::RangeInclusive<u32> = 5..=300;

/// What plans are made with.
pub(crate) struct Planner<'a> {
    pub directory: &'a dyn Directory,
    pub settings: &'a Settings,
    pub account: &'a Account,
    pub application: &'a Application,
}

/// A request without its callees.
pub(crate) struct Draft {
    head: Created,
    plan: NoticePlan,
}

impl Draft {
    /// The request's call to one callee.
    pub fn into_call(self, callee: Callee) -> (Created, NoticePlan) {
        let (mut head, mut plan) = (self.head, self.plan);
        head.dnis.clone_from(&callee.text);
        plan.party.target = Target::Number(callee.number);
        plan.party.text = callee.text;
        (head, plan)
    }

    /// The request's calls to many.
    pub fn into_batch(self, id: NoticeBatchId, callees: Vec<Callee>) -> NoticeBatch {
        NoticeBatch {
            id,
            head: self.head,
            plan: self.plan,
            callees,
        }
    }
}

impl Planner<'_> {
    fn notices(&self) -> &NoticeSettings {
        &self.application.settings.notices
    }

    /// The one callee of `to`.
    pub fn callee(&self, p: &Params) -> Result<Callee, Failure> {
        let text = p.required("to")?;
        Ok(Callee {
            number: number("to", text, self.settings.plan)?,
            text: text.to_owned(),
            closed: false,
        })
    }

    /// The callees of a batch (§3): elements between ASCII commas, each once. One that is no number refuses the whole
    /// request; one that may not be called is reported when its turn comes.
    pub fn callees(&self, p: &Params) -> Result<Vec<Callee>, Failure> {
        let text = p.required("to")?;
        let mut seen = HashSet::new();
        let mut callees = Vec::new();
        for (n, element) in text.split(',').enumerate() {
            let element = element.trim();
            if element.is_empty() || !seen.insert(element) {
                continue;
            }
            let name = format!("to, element {}", n + 1);
            let number = number(&name, element, self.settings.plan)?;
            callees.push(Callee {
                closed: self.may_call(&number).is_err(),
                number,
                text: element.to_owned(),
            });
        }
        let most = self.settings.max_numbers;
        if callees.is_empty() || callees.len() > most {
            return Err(Failure::invalid("to", format_args!("must have 1 to {most} numbers")));
        }
        Ok(callees)
    }

    /// How often a verification code may be sent to a number (§1.6).
    pub fn throttle(&self, number: &Number) -> Option<Throttle> {
        let s = self.notices();
        let limits: Vec<(u64, u32)> = [
            (60_000, s.codes_per_minute),
            (3_600_000, s.codes_per_hour),
            (86_400_000, s.codes_per_day),
        ]
        .into_iter()
        .filter(|(_, most)| *most > 0)
        .collect();
        (!limits.is_empty()).then(|| Throttle {
            name: format!("captcha {}", number.as_str()),
            at: self.directory.now(),
            limits,
        })
    }

    /// A `VoiceNotices` request (§2.1). `to` was read before: the first member that is wrong is named in the order of
    /// the specification's table.
    pub fn notice(&self, p: &Params, requestid: Option<&str>) -> Result<Draft, Failure> {
        let cli = self.read_cli(p)?;
        let contents = p.contents(self.settings.max_contents)?;
        let user_data = p.user_data(self.notices().user_data_limit)?;
        let language = p.language()?.unwrap_or(self.notices().language);
        let items = contents
            .iter()
            .map(|c| self.item(c, language))
            .collect::<Result<Vec<_>, _>>()?;
        let rules = Rules {
            rounds: p.integer("times", 1, 3)?.unwrap_or(Rules::default().rounds),
            finish: p.key("finishkey")?,
            repeat: p.key("repeatkey")?,
            strict: self.notices().strict_keys,
            window_ms: self.notices().key_seconds.saturating_mul(1000),
            ..Rules::default()
        };
        let finish_voice = match p.text("finishvoice")? {
            Some(name) => Some(self.voice("finishvoice", name)?),
            None => None,
        };
        let plan = NoticePlan {
            party: party(cli.as_ref()),
            items,
            rules,
            // It is heard after the finish key or not at all.
            finish_voice: finish_voice.filter(|_| rules.finish.is_some()),
            ring_timeout: self.ring_timeout(p)?,
            max_secs: self.notices().max_seconds,
            answer: self.notices().answer,
        };
        self.draft(p, Kind::Notice, user_data, cli, plan, requestid)
    }

    /// A `VoiceCaptchas` request (§7).
    pub fn captcha(&self, p: &Params) -> Result<Draft, Failure> {
        let code = p.required("code")?;
        if !CODE_LENGTH.contains(&code.chars().count()) || !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Failure::invalid("code", "must be 4 to 8 digits and English letters"));
        }
        let cli = self.read_cli(p)?;
        let language = p.language()?.unwrap_or(Language::Chinese);
        let user_data = p.user_data(self.notices().user_data_limit)?;
        let code = Spoken {
            kind: spoken::Kind::Digits,
            text: code.to_owned(),
            language,
            manner: self.manner(),
            code: true,
        };
        let code = code.into_item().map_err(|e| Failure::invalid("code", e))?;
        let plan = NoticePlan {
            party: party(cli.as_ref()),
            items: vec![code],
            rules: Rules {
                rounds: CODE_ROUNDS,
                ..Rules::default()
            },
            finish_voice: None,
            ring_timeout: self.ring_timeout(p)?,
            max_secs: self.notices().max_seconds,
            answer: self.notices().answer,
        };
        self.draft(p, Kind::Captcha, user_data, cli, plan, None)
    }

    fn draft(
        &self,
        p: &Params,
        kind: Kind,
        user_data: String,
        cli: Option<(Number, String)>,
        plan: NoticePlan,
        requestid: Option<&str>,
    ) -> Result<Draft, Failure> {
        let url = p.url("callbackurl")?.or(self.notices().result_url.as_deref());
        let context = ResultContext {
            application: self.application.id,
            requestid: requestid.unwrap_or_default().to_owned(),
            zone_minutes: self.application.settings.zone_minutes,
            keys: kind == Kind::Notice,
        };
        let subscriptions = url.map(|url| context.subscription(url)).into_iter().collect();
        self.may_show(cli.as_ref())?;
        let head = Created {
            tenant: self.account.tenant,
            application: self.application.id,
            account: Some(self.account.id),
            kind,
            ani: cli.map(|(_, text)| text).unwrap_or_default(),
            dnis: String::new(),
            user_data,
            max_duration: None,
            record: RecordMode::None,
            subscriptions,
        };
        Ok(Draft { head, plan })
    }

    /// One item of `contents` (§5).
    fn item(&self, content: &Content<'_>, language: Language) -> Result<Item, Failure> {
        let name = |member: &str| format!("contents[{}].{member}", content.index);
        if content.kind == "voice" {
            return self.voice(&name("content"), content.text);
        }
        let kind = spoken::Kind::from_name(content.kind)
            .ok_or_else(|| Failure::invalid(&name("type"), "must be voice, time, money, number or digits"))?;
        let spoken = Spoken {
            kind,
            text: content.text.to_owned(),
            language,
            manner: self.manner(),
            code: false,
        };
        spoken.into_item().map_err(|e| Failure::invalid(&name("content"), e))
    }

    fn manner(&self) -> Manner {
        Manner {
            yao: !self.notices().plain_one,
            ..Manner::default()
        }
    }

    fn voice(&self, member: &str, name: &str) -> Result<Item, Failure> {
        let name = voice_name(member, name)?;
        let (tenant, application) = (self.account.tenant, self.application.id);
        let prompt = self.directory.prompt(tenant, application, name);
        let prompt = prompt.ok_or_else(|| Failure::invalid(member, "there is no such voice file"))?;
        Ok(Item {
            sound: Sound::Prompt(prompt.name),
            millis: prompt.millis,
        })
    }

    fn ring_timeout(&self, p: &Params) -> Result<u32, Failure> {
        let asked = p.integer("ringtimeout", *RING.start(), *RING.end())?;
        Ok(asked.unwrap_or(self.notices().ring_timeout))
    }

    /// The display number of the request, or the application's default.
    fn read_cli(&self, p: &Params) -> Result<Option<(Number, String)>, Failure> {
        match p.text("from")? {
            Some(text) => Ok(Some((number("from", text, self.settings.plan)?, text.to_owned()))),
            None => {
                let default = self.application.settings.default_cli.as_ref();
                Ok(default.map(|n| (n.clone(), n.as_str().to_owned())))
            }
        }
    }

    /// The default is checked like a number of the request: it may have been taken from the application since.
    fn may_show(&self, cli: Option<&(Number, String)>) -> Result<(), Failure> {
        let Some((number, _)) = cli else { return Ok(()) };
        let (tenant, application) = (self.account.tenant, self.application.id);
        if self.directory.may_show(tenant, application, number) {
            return Ok(());
        }
        let code = if self.notices().foreign_cli_invalid {
            NoticeCode::Parameter
        } else {
            NoticeCode::Refused
        };
        Err(Failure::new(
            code,
            "invalid from: the display number is not the application's",
        ))
    }

    /// Whether the toll rules open a number.
    pub fn may_call(&self, number: &Number) -> Result<(), Failure> {
        let tenant = self.account.tenant;
        let toll = self.directory.toll(tenant);
        toll.permitted(number, self.settings.plan).map_err(|denied| {
            Failure::refused(match denied {
                Denied::International => "international numbers are closed for this tenant",
                Denied::Premium => "premium numbers are closed for this tenant",
                Denied::Emergency => {
                    tracing::error!(%tenant, "a notice to an emergency number was refused");
                    "emergency numbers cannot be reached through this service"
                }
            })
        })
    }
}

/// The party of a draft, whose number is filled in for each call.
fn party(cli: Option<&(Number, String)>) -> PartyPlan {
    PartyPlan {
        target: Target::Number(Number::from_canonical("")),
        text: String::new(),
        cli: cli.map(|(_, text)| text.clone()),
    }
}
