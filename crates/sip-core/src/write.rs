//! Serialises messages: plain concatenation into one buffer, with values made safe against injected line breaks.

use crate::message::{HeaderName, Message, Method};
use bytes::Bytes;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// What a message is built in: room for an INVITE with a session description, so that it is seldom moved.
const ROOM: usize = 1_536;

/// Builds one message. Header fields appear in the order in which they are added.
pub struct Writer {
    out: String,
}

impl Writer {
    /// Begins a request.
    pub fn request(method: Method, uri: &str) -> Writer {
        let mut writer = Writer {
            out: String::with_capacity(ROOM),
        };
        writer.out.push_str(method.as_str());
        writer.out.push(' ');
        writer.push_safe(uri);
        writer.out.push_str(" SIP/2.0\r\n");
        writer
    }

    /// Begins a response and copies what RFC 3261 §8.2.6.2 says must be copied: Via (with `received` and `rport` for
    /// `source`, §18.2.1 and RFC 3581 §4), From, To (with `to_tag` unless it has one), Call-ID, CSeq.
    pub fn response(
        request: &Message,
        status: u16,
        phrase: Option<&str>,
        to_tag: Option<&str>,
        source: SocketAddr,
    ) -> Writer {
        let mut writer = Writer {
            out: String::with_capacity(ROOM),
        };
        let _ = write!(writer.out, "SIP/2.0 {status} ");
        writer.push_safe(phrase.unwrap_or_else(|| reason_phrase(status)));
        writer.out.push_str("\r\n");
        writer.copy_vias(request, source);
        writer.copy(request, HeaderName::From);
        match (request.raw_values(HeaderName::To).next(), to_tag) {
            (Some(to), Some(tag)) if crate::headers::tag_of(to).is_none() => {
                let to = String::from_utf8_lossy(to);
                writer.header_parts("To", &[&to, ";tag=", tag]);
            }
            _ => writer.copy(request, HeaderName::To),
        }
        writer.copy(request, HeaderName::CallId);
        writer.copy(request, HeaderName::CSeq);
        writer
    }

    fn copy_vias(&mut self, request: &Message, source: SocketAddr) {
        for (i, value) in request.raw_values(HeaderName::Via).enumerate() {
            if i > 0 {
                self.header("Via", &String::from_utf8_lossy(value));
                continue;
            }
            let Some(via) = request.via() else {
                self.header("Via", &String::from_utf8_lossy(value));
                continue;
            };
            let top = String::from_utf8_lossy(via.raw);
            self.out.push_str("Via: ");
            // rport without a value gets one; a value that the sender wrote is not trusted.
            let mut parts = top.split(';');
            self.push_safe(parts.next().unwrap_or_default());
            for part in parts {
                let name = part.split('=').next().unwrap_or_default().trim();
                if name.eq_ignore_ascii_case("rport") {
                    let _ = write!(self.out, ";rport={}", source.port());
                } else if !name.eq_ignore_ascii_case("received") {
                    self.out.push(';');
                    self.push_safe(part);
                }
            }
            let same = std::str::from_utf8(via.host).ok().and_then(parse_host) == Some(source.ip());
            if via.rport || !same {
                let _ = write!(self.out, ";received={}", source.ip());
            }
            self.out.push_str("\r\n");
            // Further values of the same line follow as lines of their own.
            for rest in crate::headers::CommaList::new(value).skip(1) {
                self.header("Via", &String::from_utf8_lossy(rest));
            }
        }
    }

    /// Copies all lines of a header field.
    pub fn copy(&mut self, from: &Message, name: HeaderName) {
        for value in from.raw_values(name) {
            // Checking is faster than looking for what to replace.
            match std::str::from_utf8(value) {
                Ok(value) => self.header(name.as_str(), value),
                Err(_) => self.header(name.as_str(), &String::from_utf8_lossy(value)),
            }
        }
    }

    /// Adds a header field. Control characters in name and value are dropped.
    pub fn header(&mut self, name: &str, value: &str) {
        self.header_parts(name, &[value]);
    }

    /// Adds a header field whose value is the concatenation of `parts`.
    pub fn header_parts(&mut self, name: &str, parts: &[&str]) {
        self.push_safe(name);
        self.out.push_str(": ");
        for part in parts {
            self.push_safe(part);
        }
        self.out.push_str("\r\n");
    }

    /// Adds a header field with a number.
    pub fn number(&mut self, name: &str, value: u32) {
        self.out.push_str(name);
        self.out.push_str(": ");
        push_number(&mut self.out, value);
        self.out.push_str("\r\n");
    }

    /// Adds CSeq.
    pub fn cseq(&mut self, number: u32, method: Method) {
        self.out.push_str("CSeq: ");
        push_number(&mut self.out, number);
        self.out.push(' ');
        self.out.push_str(method.as_str());
        self.out.push_str("\r\n");
    }

    /// Adds a Reason header field (RFC 3326).
    pub fn reason(&mut self, reason: &crate::Reason) {
        self.out.push_str("Reason: ");
        self.push_safe(&reason.protocol);
        if let Some(cause) = reason.cause {
            let _ = write!(self.out, ";cause={cause}");
        }
        if let Some(text) = &reason.text {
            self.out.push_str(";text=");
            self.push_quoted(text);
        }
        self.out.push_str("\r\n");
    }

    /// Adds From or To.
    pub fn party(&mut self, name: &str, value: &str, tag: &str) {
        if tag.is_empty() {
            self.header(name, value);
        } else {
            self.header_parts(name, &[value, ";tag=", tag]);
        }
    }

    fn push_safe(&mut self, text: &str) {
        // Without a way out of the loop it runs many bytes a step.
        let control = |b: u8| (b < b' ') & (b != b'\t');
        if !text.bytes().fold(false, |any, b| any | control(b)) {
            self.out.push_str(text);
        } else {
            self.out.extend(text.chars().filter(|c| !c.is_ascii_control()));
        }
    }

    fn push_quoted(&mut self, text: &str) {
        quote_into(&mut self.out, text);
    }

    /// Ends the message without a body.
    pub fn finish(mut self) -> Bytes {
        self.out.push_str("Content-Length: 0\r\n\r\n");
        seal(self.out.as_bytes())
    }

    /// Ends the message with a body of the given type.
    pub fn finish_with(mut self, content_type: &str, body: &[u8]) -> Bytes {
        self.header("Content-Type", content_type);
        let _ = write!(self.out, "Content-Length: {}\r\n\r\n", body.len());
        let mut raw = self.out.into_bytes();
        raw.extend_from_slice(body);
        seal(&raw)
    }

    /// Ends the message with a session description if there is one.
    pub fn finish_sdp(self, sdp: Option<&Bytes>) -> Bytes {
        match sdp {
            Some(sdp) => self.finish_with("application/sdp", sdp),
            None => self.finish(),
        }
    }
}

/// Appends `address:port`, as [`SocketAddr`] displays it, without the detour through formatting: every Via, Contact and
/// journalled dialog has one.
pub fn push_address(out: &mut String, address: SocketAddr) {
    let SocketAddr::V4(v4) = address else {
        let _ = write!(out, "{address}");
        return;
    };
    for (octet, end) in v4.ip().octets().into_iter().zip(['.', '.', '.', ':']) {
        push_number(out, u32::from(octet));
        out.push(end);
    }
    push_number(out, u32::from(v4.port()));
}

/// Appends a number in decimal digits.
pub fn push_number(out: &mut String, mut number: u32) {
    let mut digits = [b'0'; 10];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[from..]).unwrap_or_default());
}

/// Appends 64 bits as sixteen hexadecimal digits.
pub(crate) fn push_hex(out: &mut String, number: u64) {
    for shift in (0..16).rev() {
        let digit = (number >> (4 * shift)) as u32 & 15;
        out.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

/// The message in as much memory as it needs. Transactions keep messages for up to 32 s: what is larger than necessary is
/// memory that no cache holds, while the buffer itself is used again at once.
fn seal(message: &[u8]) -> Bytes {
    Bytes::copy_from_slice(message)
}

/// Appends a quoted-string (RFC 3261 §25.1); control characters are dropped.
pub(crate) fn quote_into(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars().filter(|c| !c.is_ascii_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// `"Display" <uri>`, as From, To and Contact have it.
pub(crate) fn party_value(party: &crate::Party) -> String {
    let mut out = String::with_capacity(party.uri.len() + 32);
    if let Some(display) = &party.display {
        quote_into(&mut out, display);
        out.push(' ');
    }
    out.push('<');
    out.push_str(&party.uri);
    out.push('>');
    out
}

fn parse_host(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The usual phrase of a status (RFC 3261 §21 and its extensions).
#[allow(clippy::match_overlapping_arm)] // the named ones come first, a range is for the rest of its class
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        199 => "Early Dialog Terminated",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        608 => "Rejected",
        100..=199 => "Progress",
        200..=299 => "OK",
        300..=399 => "Redirection",
        400..=499 => "Request Failure",
        500..=599 => "Server Failure",
        _ => "Global Failure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_numbers_are_written_as_they_display() {
        for address in [
            "0.0.0.0:0",
            "127.0.0.1:5060",
            "203.0.113.255:65535",
            "[2001:db8::7]:5061",
        ] {
            let mut out = String::from("x");
            push_address(&mut out, address.parse().unwrap());
            assert_eq!(out, format!("x{address}"));
        }
        for number in [0, 9, 10, 70, 4_294_967_295] {
            let mut out = String::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string());
        }
        let mut out = String::new();
        push_hex(&mut out, 0x0123_4567_89ab_cdef);
        assert_eq!(out, "0123456789abcdef");
    }

    #[test]
    fn control_characters_do_not_reach_a_header() {
        let mut writer = Writer::request(Method::Options, "sip:a@b");
        writer.header("X", "a\r\nInjected: b\0");
        writer.header("Y", "a long enough value\twith a tab and é");
        let text = String::from_utf8(writer.finish().to_vec()).unwrap();
        assert!(text.contains("X: aInjected: b\r\n"), "{text}");
        assert!(text.contains("Y: a long enough value\twith a tab and é\r\n"), "{text}");
    }
}
