//! A forking proxy without memory: enough of RFC 3261 §16 to bring several answers to one INVITE.

use bytes::Bytes;
use std::net::SocketAddr;
use strowger_sip_core::{HeaderName, Message, Method};

/// What the proxy at `addr` sends because of one message.
pub(crate) fn relay(addr: SocketAddr, targets: &[SocketAddr], bytes: &Bytes) -> Vec<(SocketAddr, Bytes)> {
    let Ok(message) = Message::parse(bytes.clone()) else {
        return Vec::new();
    };
    match (message.method(), message.status()) {
        (Some(Method::Invite), _) => fork(addr, targets, &message),
        (None, Some(status)) if (101..300).contains(&status) => back(&message).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// One copy for each target, with a Via of ours whose branch follows from the one below it.
fn fork(addr: SocketAddr, targets: &[SocketAddr], invite: &Message) -> Vec<(SocketAddr, Bytes)> {
    let branch = invite
        .via()
        .map(|v| String::from_utf8_lossy(v.branch).into_owned())
        .unwrap_or_default();
    let copy = |(n, target): (usize, &SocketAddr)| {
        let via = format!("SIP/2.0/UDP {addr};branch={branch}f{n}");
        (*target, rewritten(invite, Some(&via)))
    };
    targets.iter().enumerate().map(copy).collect()
}

/// The response without our Via, to whoever is below it.
fn back(response: &Message) -> Option<(SocketAddr, Bytes)> {
    let below = response.raw_values(HeaderName::Via).nth(1)?;
    let via = strowger_sip_core::headers::Via::parse(below)?;
    let host = std::str::from_utf8(via.host).ok()?;
    let target = SocketAddr::new(host.parse().ok()?, via.port.unwrap_or(5060));
    Some((target, rewritten(response, None)))
}

/// The message with a Via on top, or without the topmost.
fn rewritten(message: &Message, via: Option<&str>) -> Bytes {
    let text = String::from_utf8_lossy(message.raw());
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.split("\r\n");
    let mut out = lines.next().unwrap_or_default().to_owned();
    out.push_str("\r\n");
    if let Some(via) = via {
        out.push_str(&format!("Via: {via}\r\n"));
    }
    let mut skip = via.is_none();
    for line in lines {
        if skip && line.starts_with("Via:") {
            skip = false;
            continue;
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    out.push_str(body);
    Bytes::from(out)
}
