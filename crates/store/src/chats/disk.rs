//! Facts of chats as they are stored: JSON with types of its own.

use serde::{Deserialize, Serialize};
use strowger_core::chat::{CloseBy, End, Entry, Fact, Message, Missed, Opening, Release, Side, What};
use strowger_core::{AgentId, ConversationId, QueueId, Stamp};

#[derive(Serialize, Deserialize)]
struct DiskFact {
    at: i64,
    #[serde(flatten)]
    what: DiskWhat,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
enum DiskWhat {
    Opened {
        application: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        customer: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        data: String,
        #[serde(default)]
        priority: u8,
    },
    Queued {
        queue: String,
        front: bool,
        why: String,
    },
    Offered {
        agent: String,
        until: i64,
        direct: bool,
    },
    Unoffered {
        agent: String,
        why: String,
    },
    Accepted {
        agent: String,
    },
    Said {
        /// Absent: the customer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        text: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        key: String,
    },
    Suspended,
    Resumed,
    Released {
        agent: String,
        why: String,
    },
    Ended {
        by: String,
        why: String,
    },
}

pub(super) fn fact(f: &Fact) -> Vec<u8> {
    let what = match &f.what {
        What::Opened(o) => DiskWhat::Opened {
            application: o.application.to_string(),
            customer: o.customer.clone(),
            name: o.name.clone(),
            data: o.data.clone(),
            priority: o.priority,
        },
        What::Queued { queue, front, why } => DiskWhat::Queued {
            queue: queue.to_string(),
            front: *front,
            why: why.name().to_owned(),
        },
        What::Offered { agent, until, direct } => DiskWhat::Offered {
            agent: agent.to_string(),
            until: until.0,
            direct: *direct,
        },
        What::Unoffered { agent, why } => DiskWhat::Unoffered {
            agent: agent.to_string(),
            why: why.name().to_owned(),
        },
        What::Accepted(agent) => DiskWhat::Accepted {
            agent: agent.to_string(),
        },
        What::Said(m) => DiskWhat::Said {
            agent: match m.from {
                Side::Customer => None,
                Side::Agent(agent) => Some(agent.to_string()),
            },
            text: m.text.clone(),
            key: m.key.clone(),
        },
        What::Suspended => DiskWhat::Suspended,
        What::Resumed => DiskWhat::Resumed,
        What::Released { agent, why } => DiskWhat::Released {
            agent: agent.to_string(),
            why: why.name().to_owned(),
        },
        What::Ended { by, why } => DiskWhat::Ended {
            by: by.name().to_owned(),
            why: why.name().to_owned(),
        },
    };
    // Strings, numbers and booleans: nothing in these types can fail to be written.
    serde_json::to_vec(&DiskFact { at: f.at.0, what }).unwrap_or_default()
}

pub(super) fn read(chat: ConversationId, seq: u64, json: &[u8]) -> Option<Fact> {
    let DiskFact { at, what } = serde_json::from_slice(json).ok()?;
    let who = |text: String| text.parse::<AgentId>().ok();
    let what = match what {
        DiskWhat::Opened {
            application,
            customer,
            name,
            data,
            priority,
        } => What::Opened(Opening {
            application: application.parse().ok()?,
            customer,
            name,
            data,
            priority,
        }),
        DiskWhat::Queued { queue, front, why } => What::Queued {
            queue: queue.parse::<QueueId>().ok()?,
            front,
            why: Entry::of_name(&why)?,
        },
        DiskWhat::Offered { agent, until, direct } => What::Offered {
            agent: who(agent)?,
            until: Stamp(until),
            direct,
        },
        DiskWhat::Unoffered { agent, why } => What::Unoffered {
            agent: who(agent)?,
            why: Missed::of_name(&why)?,
        },
        DiskWhat::Accepted { agent } => What::Accepted(who(agent)?),
        DiskWhat::Said { agent, text, key } => What::Said(Message {
            from: match agent {
                None => Side::Customer,
                Some(agent) => Side::Agent(who(agent)?),
            },
            text,
            key,
        }),
        DiskWhat::Suspended => What::Suspended,
        DiskWhat::Resumed => What::Resumed,
        DiskWhat::Released { agent, why } => What::Released {
            agent: who(agent)?,
            why: Release::of_name(&why)?,
        },
        DiskWhat::Ended { by, why } => What::Ended {
            by: CloseBy::of_name(&by)?,
            why: End::of_name(&why)?,
        },
    };
    Some(Fact {
        chat,
        seq,
        at: Stamp(at),
        what,
    })
}
