//! Values of header fields: lists, addresses, Via, CSeq, Reason.

use crate::api::Reason;
use crate::message::Method;
use crate::uri::Uri;
use memchr::memchr;

/// Splits a comma-separated value, minding quotes and angle brackets (RFC 3261 §7.3.1).
#[derive(Clone)]
pub struct CommaList<'a> {
    rest: &'a [u8],
}

impl<'a> CommaList<'a> {
    /// Over one header value.
    pub fn new(value: &'a [u8]) -> Self {
        CommaList { rest: value }
    }
}

impl<'a> Iterator for CommaList<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = scan(self.rest, b',').unwrap_or(self.rest.len());
            let item = self.rest[..end].trim_ascii();
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !item.is_empty() {
                return Some(item);
            }
        }
    }
}

/// The position of the first `wanted` that is outside quotes and angle brackets.
fn scan(bytes: &[u8], wanted: u8) -> Option<usize> {
    // Most values have neither in front of what is looked for.
    let first = memchr::memchr3(wanted, b'"', b'<', bytes)?;
    if bytes[first] == wanted {
        return Some(first);
    }
    let (mut quoted, mut angle, mut escaped) = (false, false, false);
    for (i, b) in bytes.iter().enumerate().skip(first) {
        if escaped {
            escaped = false;
            continue;
        }
        match b {
            b'\\' if quoted => escaped = true,
            b'"' if !angle => quoted = !quoted,
            b'<' if !quoted => angle = true,
            b'>' if !quoted => angle = false,
            b if *b == wanted && !quoted && !angle => return Some(i),
            _ => {}
        }
    }
    None
}

/// The `;name=value` parameters behind a value; `None` as value where there is no `=`.
#[derive(Clone)]
pub struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    /// `rest` begins with or before the first semicolon.
    pub fn new(rest: &'a [u8]) -> Self {
        let from = scan(rest, b';').map_or(rest.len(), |i| i + 1);
        Params { rest: &rest[from..] }
    }

    /// The value of the parameter, `Some("")` if it stands alone.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.into_iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, v)| v.unwrap_or_default())
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = scan(self.rest, b';').unwrap_or(self.rest.len());
            let item = self.rest[..end].trim_ascii();
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if item.is_empty() {
                continue;
            }
            return Some(match item.iter().position(|b| *b == b'=') {
                Some(eq) => (item[..eq].trim_ascii(), Some(item[eq + 1..].trim_ascii())),
                None => (item, None),
            });
        }
    }
}

/// Removes the quotes of a quoted-string and undoes its escapes; other values are returned as they are.
pub fn unquote(value: &[u8]) -> String {
    let inner = match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => return String::from_utf8_lossy(value).into_owned(),
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for b in inner {
        if *b == b'\\' && !escaped {
            escaped = true;
        } else {
            out.push(*b);
            escaped = false;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the parameters of a From, To, Contact or Route value begin: behind `>`, or at the first semicolon of the form
/// without brackets, whose parameters belong to the header (§20.10).
fn after_address(value: &[u8]) -> &[u8] {
    if memchr(b'"', value).is_none() {
        // Nothing is quoted, which is most frequent.
        let end = memchr(b'>', value).map(|i| i + 1).or_else(|| memchr(b';', value));
        return &value[end.unwrap_or(value.len())..];
    }
    let mut quoted = false;
    let mut escaped = false;
    for (i, b) in value.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match b {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return &value[i + 1..],
            _ => {}
        }
    }
    let semicolon = value.iter().position(|b| *b == b';').unwrap_or(value.len());
    &value[semicolon..]
}

/// False for a From or To value whose quotes or angle brackets never end: where its URI begins cannot be known.
pub(crate) fn is_balanced(value: &[u8]) -> bool {
    let (mut quoted, mut angle, mut escaped) = (false, false, false);
    for b in value {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !angle => quoted = !quoted,
            b'<' if !quoted => angle = true,
            b'>' if !quoted => angle = false,
            _ => {}
        }
    }
    !quoted && !angle
}

/// True if two separators of lists or parameters follow one another. One at the end is forgiven: devices write it.
pub(crate) fn has_stray_separators(value: &[u8]) -> bool {
    let (mut quoted, mut angle, mut escaped, mut pending) = (false, false, false, false);
    for b in value {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !angle => quoted = !quoted,
            b'<' if !quoted => angle = true,
            b'>' if !quoted => angle = false,
            b';' | b',' if !quoted && !angle => {
                if pending {
                    return true;
                }
                pending = true;
                continue;
            }
            b' ' | b'\t' => continue,
            _ => {}
        }
        pending = false;
    }
    false
}

/// The tag parameter of a From or To value.
pub fn tag_of(value: &[u8]) -> Option<&[u8]> {
    Params::new(after_address(value)).get("tag").filter(|t| !t.is_empty())
}

/// A From or To value without its tag, for use in later requests of the dialog.
pub fn without_tag(value: &[u8]) -> String {
    let params = after_address(value);
    let address = &value[..value.len() - params.len()];
    let mut out = String::from_utf8_lossy(address).trim_end().to_owned();
    for (name, param) in Params::new(params) {
        if name.eq_ignore_ascii_case(b"tag") {
            continue;
        }
        out.push(';');
        out.push_str(&String::from_utf8_lossy(name));
        if let Some(param) = param {
            out.push('=');
            out.push_str(&String::from_utf8_lossy(param));
        }
    }
    out
}

/// An address of From, To, Contact, Route, P-Asserted-Identity: `"Display" <uri>;params`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// Display name without quotes.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// Parameters behind the address, in order, without the leading semicolon.
    pub params: Vec<(String, Option<String>)>,
}

impl NameAddr {
    /// Parses one value; `None` if there is no readable URI in it.
    pub fn parse(value: &[u8]) -> Option<NameAddr> {
        let tail = after_address(value);
        let head = &value[..value.len() - tail.len()];
        let (display, uri) = match head.iter().rposition(|b| *b == b'<') {
            Some(open) => {
                let uri = head[open + 1..].strip_suffix(b">")?;
                let name = head[..open].trim_ascii();
                ((!name.is_empty()).then(|| unquote(name)), uri)
            }
            // §20.10: a URI with these characters must stand in brackets, or nobody knows to what they belong.
            None if head.iter().any(|b| matches!(b, b'?' | b',')) => return None,
            None => (None, head.trim_ascii()),
        };
        let uri = Uri::parse(std::str::from_utf8(uri.trim_ascii()).ok()?).ok()?;
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let params = Params::new(tail).map(|(n, v)| (text(n), v.map(text))).collect();
        Some(NameAddr { display, uri, params })
    }

    /// The value of a parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_deref().unwrap_or(""))
    }
}

/// The topmost Via, borrowed from its message (RFC 3261 §20.42, RFC 3581).
#[derive(Debug, Clone, Copy)]
pub struct Via<'a> {
    /// The whole value.
    pub raw: &'a [u8],
    /// The transport token.
    pub transport: &'a [u8],
    /// sent-by host.
    pub host: &'a [u8],
    /// sent-by port.
    pub port: Option<u16>,
    /// branch parameter; empty if missing.
    pub branch: &'a [u8],
    /// True if `rport` is present: the response goes to the source port.
    pub rport: bool,
}

impl<'a> Via<'a> {
    /// The cookie of a branch that is unique by itself (§8.1.1.7).
    pub const MAGIC: &'static [u8] = b"z9hG4bK";

    /// Parses `SIP/2.0/UDP host:port;params`.
    pub fn parse(raw: &'a [u8]) -> Option<Via<'a>> {
        let (name, rest) = token_before(raw, b'/')?;
        let (version, rest) = token_before(rest, b'/')?;
        if !name.eq_ignore_ascii_case(b"SIP") || version != b"2.0" {
            return None;
        }
        let rest = rest.trim_ascii_start();
        let end = rest.iter().position(|b| b.is_ascii_whitespace())?;
        let (transport, rest) = (&rest[..end], rest[end..].trim_ascii_start());
        let params_at = rest.iter().position(|b| *b == b';').unwrap_or(rest.len());
        let (host, port) = host_port(rest[..params_at].trim_ascii())?;
        let (mut branch, mut rport): (&[u8], bool) = (b"", false);
        for (name, value) in Params::new(&rest[params_at..]) {
            // Written twice, the first counts, as for every parameter: two elements on the way must not disagree.
            if name.eq_ignore_ascii_case(b"branch") && branch.is_empty() {
                branch = value.unwrap_or_default();
            } else if name.eq_ignore_ascii_case(b"rport") {
                rport = true;
            }
        }
        Some(Via {
            raw,
            transport,
            host,
            port,
            branch,
            rport,
        })
    }

    /// True if the branch identifies the transaction by itself.
    pub fn has_magic(&self) -> bool {
        self.branch.len() > 7 && self.branch[..7].eq_ignore_ascii_case(Self::MAGIC)
    }
}

fn token_before(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == separator)?;
    Some((bytes[..at].trim_ascii(), &bytes[at + 1..]))
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`; white space around the colon is allowed in Via.
pub(crate) fn host_port(bytes: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let host_end = if bytes.first() == Some(&b'[') {
        bytes.iter().position(|b| *b == b']')? + 1
    } else {
        bytes.iter().position(|b| *b == b':').unwrap_or(bytes.len())
    };
    let (host, rest) = (bytes[..host_end].trim_ascii(), bytes[host_end..].trim_ascii());
    if host.is_empty() {
        return None;
    }
    match rest {
        [] => Some((host, None)),
        [b':', port @ ..] => {
            let port = std::str::from_utf8(port.trim_ascii()).ok()?;
            if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            port.parse().ok().map(|p| (host, Some(p)))
        }
        _ => None,
    }
}

/// CSeq: a number below 2^31 and a method (§8.1.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Sequence number.
    pub number: u32,
    /// Method.
    pub method: Method,
    /// Method as written.
    pub name: &'a str,
}

impl<'a> CSeq<'a> {
    /// Parses `4711 INVITE`.
    pub fn parse(value: &'a [u8]) -> Option<CSeq<'a>> {
        let text = std::str::from_utf8(value).ok()?;
        let (number, name) = text.split_once([' ', '\t'])?;
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number: u32 = number.parse().ok().filter(|n| *n < 1 << 31)?;
        let name = name.trim();
        if !crate::message::is_token(name.as_bytes()) {
            return None;
        }
        Some(CSeq {
            number,
            method: Method::from_bytes(name.as_bytes()),
            name,
        })
    }
}

/// Most Reason values that are taken from one message.
const MAX_REASONS: usize = 8;

/// The Reason values of a message (RFC 3326).
pub fn reasons(message: &crate::Message) -> Vec<Reason> {
    message
        .raw_values(crate::HeaderName::Reason)
        .flat_map(CommaList::new)
        .take(MAX_REASONS)
        .filter_map(|value| {
            let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
            let protocol = value[..end].trim_ascii();
            if protocol.is_empty() {
                return None;
            }
            let params = Params::new(&value[end..]);
            let cause = params
                .clone()
                .get("cause")
                .and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
            let text = params.get("text").map(unquote);
            Some(Reason {
                protocol: String::from_utf8_lossy(protocol).into_owned(),
                cause,
                text,
            })
        })
        .collect()
}

/// Retry-After in seconds; the comment and parameters behind the number are ignored.
pub fn retry_after(message: &crate::Message) -> Option<u32> {
    let value = message.raw_values(crate::HeaderName::RetryAfter).next()?;
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
}

/// The URIs of a Contact list, most preferred first (q parameter, §20.10).
pub fn contacts_by_preference(message: &crate::Message) -> Vec<String> {
    let mut found: Vec<(u32, String)> = message
        .raw_values(crate::HeaderName::Contact)
        .flat_map(CommaList::new)
        .take(32)
        .filter_map(|value| {
            let contact = NameAddr::parse(value)?;
            let q = contact
                .param("q")
                .and_then(|q| q.parse::<f32>().ok())
                .unwrap_or(1.0)
                .clamp(0.0, 1.0);
            Some(((q * 1000.0) as u32, contact.uri.as_str().to_owned()))
        })
        .collect();
    found.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
    found.into_iter().map(|(_, uri)| uri).collect()
}
