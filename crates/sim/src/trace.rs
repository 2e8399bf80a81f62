//! What happened on a simulated network, for assertions and for reading.

use crate::NodeId;
use std::fmt;
use strowger_sip_core::{DialogHandle, Message, SipEvent, Time};

/// One event of one node.
#[derive(Debug, Clone)]
pub struct Logged {
    /// When.
    pub at: Time,
    /// Whose.
    pub node: NodeId,
    /// Which dialog.
    pub handle: DialogHandle,
    /// What.
    pub event: SipEvent,
}

/// A line of the ladder: one datagram and its fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// When it was sent.
    pub at: Time,
    /// Sender.
    pub from: NodeId,
    /// Receiver; `None` if nobody has the address.
    pub to: Option<NodeId>,
    /// `INVITE 1`, `200 INVITE 1`, …
    pub summary: String,
    /// True if the network lost it.
    pub lost: bool,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.to.map_or("?".to_owned(), |n| n.to_string());
        let arrow = if self.lost { "-x" } else { "->" };
        write!(
            f,
            "{:>10.3} {} {arrow} {to}  {}",
            self.at.0 as f64 / 1e6,
            self.from,
            self.summary
        )
    }
}

/// `INVITE 1` or `200 INVITE 1`.
pub(crate) fn summary(bytes: &bytes::Bytes) -> String {
    let Ok(message) = Message::parse(bytes.clone()) else {
        return "?".into();
    };
    let cseq = message.cseq().map_or(0, |c| c.number);
    match message.status() {
        Some(status) => format!("{status} {} {cseq}", message.cseq().map_or("?", |c| c.name)),
        None => format!("{} {cseq}", String::from_utf8_lossy(message.method_name())),
    }
}
