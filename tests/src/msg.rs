//! As much of SIP as a scripted party needs: a message as text, its headers, and answers made from requests. Written here,
//! and not taken from the server's stack, so that a misunderstanding of that stack is not shared by its peer.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// A message, taken apart.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Request or status line.
    pub first: String,
    /// Headers in order; names as they came, short forms written out.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

impl Message {
    /// Reads a datagram; `None` for keep-alives and what is no SIP.
    pub fn parse(datagram: &[u8]) -> Option<Message> {
        let text = String::from_utf8_lossy(datagram);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?.to_owned();
        if !first.contains("SIP/2.0") {
            return None;
        }
        let headers = lines
            .filter_map(|l| l.split_once(':'))
            .map(|(n, v)| (long_form(n.trim()).to_owned(), v.trim().to_owned()))
            .collect();
        Some(Message {
            first,
            headers,
            body: body.to_owned(),
        })
    }

    /// Status of a response; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Method of a request, or of the request that a response answers.
    pub fn method(&self) -> &str {
        if self.status().is_some() {
            self.get("CSeq").rsplit(' ').next().unwrap_or_default()
        } else {
            self.first.split(' ').next().unwrap_or_default()
        }
    }

    /// Request-URI.
    pub fn uri(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    /// The first header of this name, empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map_or("", |(_, v)| v)
    }

    /// All headers of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = move |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.headers.iter().filter(of_name).map(|(_, v)| v.as_str())
    }

    /// Number of the CSeq.
    pub fn cseq(&self) -> u32 {
        self.get("CSeq")
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0)
    }

    /// Branch of the topmost Via.
    pub fn branch(&self) -> &str {
        parameter(self.get("Via"), "branch").unwrap_or_default()
    }

    /// Address of the far side's media in the SDP, and whether it may be sent to. `None` without an SDP.
    pub fn media(&self) -> Option<(SocketAddr, &str)> {
        let line = |prefix: &str| self.body.lines().find_map(|l| l.trim_end().strip_prefix(prefix));
        let ip = line("c=IN IP4 ")?;
        let port = line("m=audio ")?.split(' ').next()?;
        let direction = ["sendonly", "recvonly", "inactive"]
            .into_iter()
            .find(|d| self.body.lines().any(|l| l.trim_end() == format!("a={d}")));
        let address = format!("{ip}:{port}").parse().ok()?;
        Some((address, direction.unwrap_or("sendrecv")))
    }

    /// An answer to this request.
    pub fn answer(&self, line: &str, tag: Option<&str>, extra: &str, sdp: Option<&str>) -> String {
        let mut out = format!("SIP/2.0 {line}\r\n");
        for name in ["Via", "Record-Route"] {
            for value in self.all(name) {
                let _ = write!(out, "{name}: {value}\r\n");
            }
        }
        let to = self.get("To");
        let tagged = match tag {
            Some(tag) if parameter(to, "tag").is_none() => format!("{to};tag={tag}"),
            _ => to.to_owned(),
        };
        let _ = write!(
            out,
            "From: {}\r\nTo: {tagged}\r\nCall-ID: {}\r\nCSeq: {}\r\n{extra}",
            self.get("From"),
            self.get("Call-ID"),
            self.get("CSeq")
        );
        finish(out, sdp)
    }
}

/// Adds the body, and the headers that describe it.
pub fn finish(head: String, sdp: Option<&str>) -> String {
    finish_with(head, sdp.map(|sdp| ("application/sdp", sdp)))
}

/// The same with a body of any type.
pub fn finish_with(mut head: String, body: Option<(&str, &str)>) -> String {
    match body {
        Some((kind, body)) => {
            let _ = write!(
                head,
                "Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        None => head.push_str("Content-Length: 0\r\n\r\n"),
    }
    head
}

fn long_form(name: &str) -> &str {
    match name {
        "v" => "Via",
        "f" => "From",
        "t" => "To",
        "i" => "Call-ID",
        "m" => "Contact",
        "l" => "Content-Length",
        "c" => "Content-Type",
        other => other,
    }
}

/// A parameter of a header's value, outside the angle brackets.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let rest = value.rsplit('>').next().unwrap_or(value);
    rest.split(';')
        .skip(1)
        .find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The URI of a name-addr or of a bare address.
pub fn uri_of(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => value.split(';').next().unwrap_or_default(),
    }
}

/// User part of a SIP URI.
pub fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, r)| r);
    rest.split_once('@').map_or("", |(user, _)| user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_apart_and_answered() {
        let m = Message::parse(
            b"INVITE sip:200@h SIP/2.0\r\nv: SIP/2.0/UDP a:1;branch=z9hG4bK1\r\nFrom: \"x;tag=no\" <sip:1@h>;tag=f\r\nTo: <sip:200@h>\r\n\
              Call-ID: c\r\nCSeq: 7 INVITE\r\n\r\nv=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\na=sendonly\r\n",
        )
        .unwrap();
        assert_eq!((m.method(), m.cseq(), m.branch()), ("INVITE", 7, "z9hG4bK1"));
        assert_eq!(parameter(m.get("From"), "tag"), Some("f"));
        assert_eq!(user_of(m.uri()), "200");
        assert_eq!(m.media(), Some(("127.0.0.1:4000".parse().unwrap(), "sendonly")));
        let answer = m.answer("486 Busy Here", Some("t"), "", None);
        let answer = Message::parse(answer.as_bytes()).unwrap();
        assert_eq!((answer.status(), answer.method()), (Some(486), "INVITE"));
        assert_eq!(parameter(answer.get("To"), "tag"), Some("t"));
    }
}
