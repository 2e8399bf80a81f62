//! Settings of an application's voice notices and verification codes.

use crate::applications::{url, within};
use crate::error::Problem;
use serde::{Deserialize, Serialize};
use strowger_core::resource::{AnswerRule, NoticeSettings, OnMachine};
use strowger_core::spoken::Language;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = NoticeSettings)]
pub(crate) struct View {
    result_url: Option<String>,
    language: &'static str,
    ring_timeout: u32,
    max_seconds: u32,
    key_seconds: u32,
    strict_keys: bool,
    plain_one: bool,
    user_data_limit: usize,
    foreign_cli_invalid: bool,
    code_missing_malformed: bool,
    codes_per_minute: u32,
    codes_per_hour: u32,
    codes_per_day: u32,
    /// What a notice does when a machine answers: `ignore` (nobody listens), `tell`, `hang-up`, `await-beep`.
    on_machine: &'static str,
    /// Less sure verdicts (0-100) are told, and nothing is done.
    machine_confidence: u8,
}

impl View {
    pub(crate) fn of(s: &NoticeSettings) -> View {
        View {
            result_url: s.result_url.clone(),
            language: s.language.code(),
            ring_timeout: s.ring_timeout,
            max_seconds: s.max_seconds,
            key_seconds: s.key_seconds,
            strict_keys: s.strict_keys,
            plain_one: s.plain_one,
            user_data_limit: s.user_data_limit,
            foreign_cli_invalid: s.foreign_cli_invalid,
            code_missing_malformed: s.code_missing_malformed,
            codes_per_minute: s.codes_per_minute,
            codes_per_hour: s.codes_per_hour,
            codes_per_day: s.codes_per_day,
            on_machine: s.answer.on_machine.name(),
            machine_confidence: s.answer.least_confidence,
        }
    }
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NoticeSettingsChange)]
pub(crate) struct Change {
    result_url: Option<String>,
    language: Option<String>,
    ring_timeout: Option<u32>,
    max_seconds: Option<u32>,
    key_seconds: Option<u32>,
    strict_keys: Option<bool>,
    plain_one: Option<bool>,
    user_data_limit: Option<usize>,
    foreign_cli_invalid: Option<bool>,
    code_missing_malformed: Option<bool>,
    codes_per_minute: Option<u32>,
    codes_per_hour: Option<u32>,
    codes_per_day: Option<u32>,
    on_machine: Option<String>,
    machine_confidence: Option<u8>,
}

/// Changes what is done when a machine answers, as far as it is asked for.
pub(crate) fn answer(
    rule: &mut AnswerRule,
    prefix: &str,
    on_machine: Option<&str>,
    confidence: Option<u8>,
    of: &[OnMachine],
) -> Result<(), Problem> {
    if let Some(name) = on_machine {
        let member = format!("{prefix}.on_machine");
        rule.on_machine = OnMachine::of_name(name).filter(|o| of.contains(o)).ok_or_else(|| {
            let names: Vec<&str> = of.iter().map(|o| o.name()).collect();
            Problem::parameter(&member, format!("{member} is one of {}", names.join(", ")))
        })?;
    }
    if let Some(v) = confidence {
        rule.least_confidence = within(&format!("{prefix}.machine_confidence"), v, 0, 100)?;
    }
    Ok(())
}

impl Change {
    pub(crate) fn apply(self, s: &mut NoticeSettings) -> Result<(), Problem> {
        // An empty text takes the setting away.
        if let Some(v) = self.result_url {
            s.result_url = if v.is_empty() {
                None
            } else {
                Some(url("settings.notices.result_url", v)?)
            };
        }
        if let Some(v) = self.language {
            let member = "settings.notices.language";
            s.language =
                Language::from_code(&v).ok_or_else(|| Problem::parameter(member, format!("{member} is zh or en")))?;
        }
        if let Some(v) = self.ring_timeout {
            s.ring_timeout = within("settings.notices.ring_timeout", v, 5, 300)?;
        }
        if let Some(v) = self.max_seconds {
            s.max_seconds = within("settings.notices.max_seconds", v, 10, 3600)?;
        }
        if let Some(v) = self.key_seconds {
            s.key_seconds = within("settings.notices.key_seconds", v, 1, 60)?;
        }
        if let Some(v) = self.user_data_limit {
            s.user_data_limit = within("settings.notices.user_data_limit", v, 0, 65_536)?;
        }
        s.strict_keys = self.strict_keys.unwrap_or(s.strict_keys);
        s.plain_one = self.plain_one.unwrap_or(s.plain_one);
        s.foreign_cli_invalid = self.foreign_cli_invalid.unwrap_or(s.foreign_cli_invalid);
        s.code_missing_malformed = self.code_missing_malformed.unwrap_or(s.code_missing_malformed);
        for (member, asked, setting) in [
            ("codes_per_minute", self.codes_per_minute, &mut s.codes_per_minute),
            ("codes_per_hour", self.codes_per_hour, &mut s.codes_per_hour),
            ("codes_per_day", self.codes_per_day, &mut s.codes_per_day),
        ] {
            if let Some(v) = asked {
                *setting = within(&format!("settings.notices.{member}"), v, 0, 1000)?;
            }
        }
        answer(
            &mut s.answer,
            "settings.notices",
            self.on_machine.as_deref(),
            self.machine_confidence,
            &OnMachine::ALL,
        )
    }
}
