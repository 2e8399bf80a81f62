//! What was said on the wire about each call: the newest SIP messages in memory, for operators who may see them.
//!
//! A ladder holds numbers and addresses. It leaves the process through the admin API only, never through a log, and
//! what answers a challenge is masked on the way out.

use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use strowger_core::ConversationId;
use strowger_sip::{Direction, Trace, Traced};
use strowger_sip_core::Transport;

/// Most bytes that are kept, whatever the number of messages.
const MAX_BYTES: usize = 64 << 20;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LadderSettings {
    /// Messages; 0 keeps none.
    pub messages: usize,
    /// Longest time that a message is kept.
    pub keep: Duration,
}

impl Default for LadderSettings {
    fn default() -> Self {
        LadderSettings {
            messages: 20_000,
            keep: Duration::from_secs(3_600),
        }
    }
}

#[derive(Clone)]
struct Rung {
    at: SystemTime,
    direction: Direction,
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    bytes: Bytes,
}

/// One message of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: SystemTime,
    /// True if it came to us.
    pub received: bool,
    /// Protocol.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// Theirs.
    pub remote: SocketAddr,
    /// The message with credentials masked.
    pub text: String,
}

#[derive(Default)]
struct Rungs {
    all: VecDeque<Rung>,
    bytes: usize,
    /// Calls that came in, with their conversations: one that is refused is in no event of its conversation.
    incoming: VecDeque<(ConversationId, Box<str>)>,
}

/// The newest messages of all calls.
pub struct Ladder {
    settings: LadderSettings,
    rungs: Mutex<Rungs>,
}

impl Ladder {
    /// An empty one.
    pub fn new(settings: LadderSettings) -> Ladder {
        Ladder {
            settings,
            rungs: Mutex::default(),
        }
    }

    /// True if anything is kept.
    pub fn is_on(&self) -> bool {
        self.settings.messages > 0
    }

    /// Notes that an incoming call belongs to a conversation.
    pub fn belongs(&self, conversation: ConversationId, call_id: &str) {
        if !self.is_on() {
            return;
        }
        let mut rungs = self.rungs.lock().unwrap_or_else(PoisonError::into_inner);
        rungs.incoming.push_back((conversation, call_id.into()));
        // A call has several messages.
        if rungs.incoming.len() > self.settings.messages / 2 {
            rungs.incoming.pop_front();
        }
    }

    /// Call-IDs of the calls that came in for a conversation.
    pub fn incoming(&self, conversation: ConversationId) -> Vec<String> {
        let rungs = self.rungs.lock().unwrap_or_else(PoisonError::into_inner);
        let own = rungs.incoming.iter().filter(|(id, _)| *id == conversation);
        own.map(|(_, call)| call.to_string()).collect()
    }

    /// The messages of the calls with these Call-IDs, oldest first. A message is looked through only here: each one is
    /// kept, few are ever asked for.
    pub fn of(&self, calls: &[String]) -> Vec<Step> {
        let oldest = SystemTime::now().checked_sub(self.settings.keep);
        let kept: Vec<Rung> = {
            let rungs = self.rungs.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = rungs.all.iter().filter(|r| oldest.is_none_or(|o| r.at >= o));
            fresh.cloned().collect()
        };
        let asked = |r: &&Rung| {
            strowger_sip_core::frame::call_id(&r.bytes).is_some_and(|id| calls.iter().any(|c| c.as_bytes() == id))
        };
        kept.iter().filter(asked).map(Step::of).collect()
    }
}

impl Step {
    fn of(rung: &Rung) -> Step {
        Step {
            at: rung.at,
            received: rung.direction == Direction::In,
            transport: rung.transport,
            local: rung.local,
            remote: rung.remote,
            text: masked(&String::from_utf8_lossy(&rung.bytes)),
        }
    }
}

impl Trace for Ladder {
    fn message(&self, message: Traced<'_>) {
        if !self.is_on() {
            return;
        }
        let rung = Rung {
            at: message.time,
            direction: message.direction,
            transport: message.transport,
            local: message.local,
            remote: message.remote,
            bytes: message.bytes.clone(),
        };
        let mut rungs = self.rungs.lock().unwrap_or_else(PoisonError::into_inner);
        rungs.bytes += rung.bytes.len();
        rungs.all.push_back(rung);
        while rungs.all.len() > self.settings.messages || rungs.bytes > MAX_BYTES {
            let Some(gone) = rungs.all.pop_front() else { break };
            rungs.bytes -= gone.bytes.len();
        }
    }
}

/// Shows every message to several listeners.
pub struct Traces(pub Vec<std::sync::Arc<dyn Trace>>);

impl Trace for Traces {
    fn message(&self, message: Traced<'_>) {
        for trace in &self.0 {
            trace.message(message);
        }
    }
}

/// A message whose header fields with credentials, and whose keys of SDES, are blanked: with them somebody could sign in,
/// try passwords out, or listen.
fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let name = line.split([':', ' ', '\t']).next().unwrap_or("").to_ascii_lowercase();
        let blank = match name.as_str() {
            "authorization" | "proxy-authorization" | "authentication-info" => line.find(':'),
            "a=crypto" | "a=ice-pwd" => line.find(':'),
            _ => None,
        };
        match blank {
            Some(colon) => {
                out.push_str(&line[..=colon]);
                out.push_str(" (hidden)");
                out.push_str(&line[line.trim_end_matches(['\r', '\n']).len()..]);
            }
            None => out.push_str(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(ladder: &Ladder, text: &'static str) {
        ladder.message(Traced {
            direction: Direction::In,
            transport: Transport::Udp,
            local: ([127, 0, 0, 1], 5060).into(),
            remote: ([127, 0, 0, 1], 5070).into(),
            time: SystemTime::now(),
            bytes: &Bytes::from_static(text.as_bytes()),
        });
    }

    #[test]
    fn a_ladder_shows_one_call_without_its_credentials() {
        let ladder = Ladder::new(LadderSettings::default());
        show(
            &ladder,
            "INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nAuthorization: Digest username=\"u\", response=\"secret\"\r\n\r\n\
             a=crypto:1 AES inline:key\r\n",
        );
        show(&ladder, "BYE sip:a@b SIP/2.0\r\nCall-ID: 12\r\n\r\n");
        show(&ladder, "BYE sip:a@b SIP/2.0\r\n\r\n");
        let steps = ladder.of(&["1".into()]);
        assert_eq!(steps.len(), 1);
        assert_eq!(
            steps[0].text,
            "INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\nAuthorization: (hidden)\r\n\r\na=crypto: (hidden)\r\n"
        );
    }

    #[test]
    fn the_newest_messages_are_kept() {
        let ladder = Ladder::new(LadderSettings {
            messages: 2,
            ..LadderSettings::default()
        });
        for text in ["A\r\ni:7\r\n\r\n", "B\r\ni:7\r\n\r\n", "C\r\ni:7\r\n\r\n"] {
            show(&ladder, text);
        }
        let texts: Vec<String> = ladder
            .of(&["7".into()])
            .into_iter()
            .map(|s| s.text[..1].to_owned())
            .collect();
        assert_eq!(texts, ["B", "C"]);
        let off = Ladder::new(LadderSettings {
            messages: 0,
            ..LadderSettings::default()
        });
        show(&off, "A\r\ni:7\r\n\r\n");
        assert!(off.of(&["7".into()]).is_empty());
    }
}
