//! A batch of notices as it is stored: JSON with types of its own, sealed with the owner's key.
//!
//! Spoken items are kept as their texts and are spoken anew when the batch is read, so that no list of units has to fit
//! the units of a later version.

use crate::codec;
use serde::{Deserialize, Serialize};
use strowger_core::call::{Callee, Item, KeyRule, NoticeBatch, NoticePlan, PartyPlan, Rules, Sound, Spoken, Target};
use strowger_core::spoken::{Currency, Kind, Language, Manner};
use strowger_core::{ConversationId, Event, Fact, NoticeBatchId, Number, Stamp};

#[derive(Serialize, Deserialize)]
struct DiskBatch {
    v: u32,
    /// A `conversation.created` event, in the journal's own encoding.
    head: String,
    plan: DiskPlan,
    callees: Vec<DiskCallee>,
}

#[derive(Serialize, Deserialize)]
struct DiskCallee {
    number: String,
    text: String,
    #[serde(default)]
    closed: bool,
}

#[derive(Serialize, Deserialize)]
struct DiskPlan {
    cli: Option<String>,
    items: Vec<DiskItem>,
    finish_voice: Option<DiskItem>,
    rounds: u32,
    finish: Option<String>,
    repeat: Option<String>,
    most_repeats: u32,
    strict: bool,
    lead_in_ms: u32,
    item_gap_ms: u32,
    round_gap_ms: u32,
    window_ms: u32,
    ring_timeout: u32,
    max_secs: u32,
    #[serde(default)]
    on_machine: Option<String>,
    #[serde(default)]
    machine_confidence: Option<u8>,
}

#[derive(Serialize, Deserialize)]
struct DiskItem {
    #[serde(flatten)]
    sound: DiskSound,
    millis: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DiskSound {
    Prompt(String),
    Spoken(DiskSpoken),
}

#[derive(Serialize, Deserialize)]
struct DiskSpoken {
    kind: String,
    text: String,
    language: String,
    yao: bool,
    currency: String,
    digit_pause: u16,
    group_pause: u16,
}

const VERSION: u32 = 1;

const CURRENCIES: [(Currency, &str); 4] = [
    (Currency::Yuan, "yuan"),
    (Currency::Dollar, "dollar"),
    (Currency::Euro, "euro"),
    (Currency::Pound, "pound"),
];

fn key_text(rule: KeyRule) -> String {
    match rule {
        KeyRule::Any => "any".to_owned(),
        KeyRule::Only(key) => key.to_string(),
    }
}

fn item_to(item: &Item) -> Option<DiskItem> {
    let sound = match &item.sound {
        Sound::Prompt(name) => DiskSound::Prompt(name.clone()),
        // A verification code goes to one number, and is stored nowhere.
        Sound::Spoken(s) if s.code => return None,
        Sound::Spoken(s) => DiskSound::Spoken(DiskSpoken {
            kind: s.kind.name().to_owned(),
            text: s.text.clone(),
            language: s.language.code().to_owned(),
            yao: s.manner.yao,
            currency: CURRENCIES
                .iter()
                .find(|(c, _)| *c == s.manner.currency)
                .map_or("yuan", |(_, name)| name)
                .to_owned(),
            digit_pause: s.manner.digit_pause,
            group_pause: s.manner.group_pause,
        }),
        Sound::Builtin(_) | Sound::Tone(_) | Sound::Synthesised(_) => return None,
    };
    Some(DiskItem {
        sound,
        millis: item.millis,
    })
}

fn item_from(item: DiskItem) -> Option<Item> {
    let sound = match item.sound {
        DiskSound::Prompt(name) => Sound::Prompt(name),
        DiskSound::Spoken(s) => Sound::Spoken(Box::new(Spoken {
            kind: Kind::from_name(&s.kind)?,
            text: s.text,
            language: Language::from_code(&s.language)?,
            manner: Manner {
                yao: s.yao,
                currency: CURRENCIES.iter().find(|(_, name)| *name == s.currency)?.0,
                digit_pause: s.digit_pause,
                group_pause: s.group_pause,
            },
            code: false,
        })),
    };
    Some(Item {
        sound,
        millis: item.millis,
    })
}

/// Encodes a batch; `None` if it plays a sound that no batch may hold.
pub(crate) fn encode(batch: &NoticeBatch) -> Option<Vec<u8>> {
    let head = Event {
        conversation: ConversationId(0),
        seq: 1,
        at: Stamp(0),
        fact: Fact::Created(Box::new(batch.head.clone())),
    };
    let mut text = Vec::new();
    codec::encode(&head, &mut text);
    let p = &batch.plan;
    let disk = DiskBatch {
        v: VERSION,
        head: String::from_utf8(text).ok()?,
        plan: DiskPlan {
            cli: p.party.cli.clone(),
            items: p.items.iter().map(item_to).collect::<Option<_>>()?,
            finish_voice: match &p.finish_voice {
                Some(item) => Some(item_to(item)?),
                None => None,
            },
            rounds: p.rules.rounds,
            finish: p.rules.finish.map(key_text),
            repeat: p.rules.repeat.map(key_text),
            most_repeats: p.rules.most_repeats,
            strict: p.rules.strict,
            lead_in_ms: p.rules.lead_in_ms,
            item_gap_ms: p.rules.item_gap_ms,
            round_gap_ms: p.rules.round_gap_ms,
            window_ms: p.rules.window_ms,
            ring_timeout: p.ring_timeout,
            max_secs: p.max_secs,
            on_machine: Some(p.answer.on_machine.name().to_owned()),
            machine_confidence: Some(p.answer.least_confidence),
        },
        callees: batch
            .callees
            .iter()
            .map(|c| DiskCallee {
                number: c.number.as_str().to_owned(),
                text: c.text.clone(),
                closed: c.closed,
            })
            .collect(),
    };
    serde_json::to_vec(&disk).ok()
}

/// Reads a batch back; `None` if this version cannot.
pub(crate) fn decode(id: NoticeBatchId, bytes: &[u8]) -> Option<NoticeBatch> {
    let disk: DiskBatch = serde_json::from_slice(bytes).ok()?;
    if disk.v != VERSION {
        return None;
    }
    let Fact::Created(head) = codec::decode(ConversationId(0), &disk.head).ok()?.fact else {
        return None;
    };
    let p = disk.plan;
    let key = |text: Option<String>| match text {
        Some(text) => KeyRule::parse(&text).map(Some),
        None => Some(None),
    };
    let plan = NoticePlan {
        party: PartyPlan {
            target: Target::Number(Number::from_canonical("")),
            text: String::new(),
            cli: p.cli,
        },
        items: p.items.into_iter().map(item_from).collect::<Option<_>>()?,
        rules: Rules {
            rounds: p.rounds,
            finish: key(p.finish)?,
            repeat: key(p.repeat)?,
            most_repeats: p.most_repeats,
            strict: p.strict,
            lead_in_ms: p.lead_in_ms,
            item_gap_ms: p.item_gap_ms,
            round_gap_ms: p.round_gap_ms,
            window_ms: p.window_ms,
        },
        finish_voice: match p.finish_voice {
            Some(item) => Some(item_from(item)?),
            None => None,
        },
        ring_timeout: p.ring_timeout,
        max_secs: p.max_secs,
        answer: crate::disk::answer_from(p.on_machine.as_deref(), p.machine_confidence),
    };
    let callee = |c: DiskCallee| Callee {
        number: Number::from_canonical(c.number),
        text: c.text,
        closed: c.closed,
    };
    Some(NoticeBatch {
        id,
        head: *head,
        plan,
        callees: disk.callees.into_iter().map(callee).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::event::{Created, Kind as Conversation, RecordMode};
    use strowger_core::resource::{AnswerRule, OnMachine};
    use strowger_core::{AccountId, ApplicationId, TenantId};

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let spoken = |kind, text: &str, language| {
            let spoken = Spoken {
                kind,
                text: text.to_owned(),
                language,
                manner: Manner {
                    yao: false,
                    currency: Currency::Euro,
                    ..Manner::default()
                },
                code: false,
            };
            spoken.into_item().unwrap()
        };
        let voice = Item {
            sound: Sound::Prompt("greet.wav".into()),
            millis: 3_000,
        };
        let mut batch = NoticeBatch {
            id: NoticeBatchId(7 << 16),
            head: Created {
                tenant: TenantId(1),
                application: ApplicationId(2),
                account: Some(AccountId(3)),
                kind: Conversation::Notice,
                ani: "02161230000".into(),
                dnis: String::new(),
                user_data: "订单".into(),
                max_duration: None,
                record: RecordMode::None,
                subscriptions: vec![],
            },
            plan: NoticePlan {
                party: PartyPlan {
                    target: Target::Number(Number::from_canonical("")),
                    text: String::new(),
                    cli: Some("02161230000".into()),
                },
                items: vec![
                    voice.clone(),
                    spoken(Kind::Money, "2.14", Language::Chinese),
                    spoken(Kind::Digits, "112", Language::English),
                ],
                rules: Rules {
                    rounds: 3,
                    finish: Some(KeyRule::Any),
                    repeat: Some(KeyRule::Only('#')),
                    strict: true,
                    ..Rules::default()
                },
                finish_voice: Some(voice),
                ring_timeout: 45,
                max_secs: 300,
                answer: AnswerRule {
                    on_machine: OnMachine::AwaitBeep,
                    least_confidence: 70,
                },
            },
            callees: vec![Callee {
                number: Number::from_canonical("+8613900000002"),
                text: "139 0000 0002".into(),
                closed: true,
            }],
        };
        let bytes = encode(&batch).unwrap();
        assert_eq!(decode(batch.id, &bytes).as_ref(), Some(&batch));
        if let Sound::Spoken(spoken) = &mut batch.plan.items[2].sound {
            spoken.code = true;
        }
        assert_eq!(encode(&batch), None, "a code is stored nowhere");
        assert_eq!(decode(batch.id, b"{}"), None);
    }
}
