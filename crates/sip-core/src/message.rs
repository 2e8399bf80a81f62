//! SIP messages, parsed once into an index over the original bytes (RFC 3261 §7, §25).
//!
//! Parsing finds lines and names only; values are typed when somebody asks. A message that cannot be answered at all
//! is a [`ParseError`]; one that can be, but breaks a rule, parses and carries a [`Defect`].

pub use crate::header_name::HeaderName;
use crate::headers::{CSeq, CommaList, Via};
use bytes::Bytes;
use memchr::memchr;
use std::borrow::Cow;
use std::fmt;

/// Longest message that is looked at, in bytes: the largest UDP payload.
pub const MAX_MESSAGE: usize = 65_535;
/// Most header lines that are indexed; a message with more is answered with 400.
pub const MAX_HEADERS: usize = 256;

/// A request method. Names are case-sensitive (RFC 3261 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Info,
    Register,
    Prack,
    Update,
    Refer,
    Subscribe,
    Notify,
    Message,
    Publish,
    /// A method this crate does not know; the message holds its name.
    Other,
}

impl Method {
    /// Recognises a method name.
    pub fn from_bytes(name: &[u8]) -> Method {
        match name {
            b"INVITE" => Method::Invite,
            b"ACK" => Method::Ack,
            b"BYE" => Method::Bye,
            b"CANCEL" => Method::Cancel,
            b"OPTIONS" => Method::Options,
            b"INFO" => Method::Info,
            b"REGISTER" => Method::Register,
            b"PRACK" => Method::Prack,
            b"UPDATE" => Method::Update,
            b"REFER" => Method::Refer,
            b"SUBSCRIBE" => Method::Subscribe,
            b"NOTIFY" => Method::Notify,
            b"MESSAGE" => Method::Message,
            b"PUBLISH" => Method::Publish,
            _ => Method::Other,
        }
    }

    /// The name on the wire; `OTHER` for [`Method::Other`], which is never sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Options => "OPTIONS",
            Method::Info => "INFO",
            Method::Register => "REGISTER",
            Method::Prack => "PRACK",
            Method::Update => "UPDATE",
            Method::Refer => "REFER",
            Method::Subscribe => "SUBSCRIBE",
            Method::Notify => "NOTIFY",
            Method::Message => "MESSAGE",
            Method::Publish => "PUBLISH",
            Method::Other => "OTHER",
        }
    }
}

/// Bytes that are no SIP message, or none that could be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but line ends: a keep-alive (RFC 5626 §3.5.1).
    #[error("keep-alive")]
    KeepAlive,
    /// Longer than [`MAX_MESSAGE`].
    #[error("message too large")]
    TooLarge,
    /// The first line is neither a request line nor a status line.
    #[error("not a SIP start line")]
    StartLine,
}

/// A rule that a parsed message breaks. Requests with a defect are answered, responses are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The version is not SIP/2.0: 505.
    Version,
    /// A line without a colon, or without a valid name before it: 400.
    HeaderLine,
    /// More than [`MAX_HEADERS`] lines: 400.
    TooManyHeaders,
    /// The header section never ends, which happens to truncated datagrams: 400.
    Truncated,
    /// Content-Length is no number, is repeated with another value, or exceeds the body: 400 (§18.3).
    ContentLength,
    /// One of Via, From, To, Call-ID, CSeq is missing, repeated or unreadable: 400 (§8.1.1).
    Mandatory(HeaderName),
    /// CSeq names another method than the request line: 400.
    MethodMismatch,
    /// The request line contains white space in the wrong places: 400.
    RequestLine,
    /// Via or Contact of a request has separators with nothing between them: 400 (RFC 4475 §3.1.2.1).
    Separators(HeaderName),
}

impl Defect {
    /// The status and phrase that answers a request with this defect.
    pub fn response(self) -> (u16, &'static str) {
        match self {
            Defect::Version => (505, "Version Not Supported"),
            Defect::HeaderLine => (400, "Malformed Header Line"),
            Defect::TooManyHeaders => (400, "Too Many Header Lines"),
            Defect::Truncated => (400, "Truncated Message"),
            Defect::ContentLength => (400, "Bad Content-Length"),
            Defect::Mandatory(HeaderName::CSeq) => (400, "Missing or Bad CSeq"),
            Defect::Mandatory(_) => (400, "Missing or Bad Mandatory Header"),
            Defect::MethodMismatch => (400, "CSeq Method Does Not Match"),
            Defect::RequestLine => (400, "Malformed Request-Line"),
            Defect::Separators(_) => (400, "Stray Separators In Header"),
        }
    }
}

/// The part of a message that differs between requests and responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Request { method: Method, name: Span, uri: Span },
    Response { status: u16, phrase: Span },
}

/// A range of the message; 32 bits hold [`MAX_MESSAGE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Span {
    from: u32,
    to: u32,
}

impl Span {
    fn new(from: usize, to: usize) -> Span {
        // Positions never exceed MAX_MESSAGE, which is checked before the first span is made.
        Span {
            from: from as u32,
            to: to as u32,
        }
    }
    fn of(self, raw: &[u8]) -> &[u8] {
        &raw[self.from as usize..self.to as usize]
    }
}

#[derive(Debug, Clone, Copy)]
struct Line {
    name: HeaderName,
    name_span: Span,
    value: Span,
}

/// A SIP request or response: its bytes and an index over them.
#[derive(Clone)]
pub struct Message {
    raw: Bytes,
    start: Start,
    lines: Vec<Line>,
    body: Span,
    defect: Option<Defect>,
}

impl fmt::Debug for Message {
    /// Shows the shape only: messages carry numbers and credentials, which do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            Start::Request { method, .. } => {
                write!(f, "Message({} request, {} bytes)", method.as_str(), self.raw.len())
            }
            Start::Response { status, .. } => write!(f, "Message({status} response, {} bytes)", self.raw.len()),
        }
    }
}

impl Message {
    /// Parses one message that fills `raw`, as a datagram does. Line folding is undone by replacing the line break with
    /// spaces, which keeps all positions.
    pub fn parse(raw: Bytes) -> Result<Message, ParseError> {
        let mut message = Message::read_back(raw)?;
        message.check_mandatory();
        Ok(message)
    }

    /// Parses a message that we have composed: what every message must have is there.
    pub(crate) fn read_back(raw: Bytes) -> Result<Message, ParseError> {
        if raw.len() > MAX_MESSAGE {
            return Err(ParseError::TooLarge);
        }
        // §7.5: line ends before the start line are ignored.
        let begin = raw
            .iter()
            .position(|b| !matches!(b, b'\r' | b'\n'))
            .ok_or(ParseError::KeepAlive)?;
        let Some(line_end) = find(&raw, begin, b'\n') else {
            return Err(ParseError::StartLine);
        };
        let (start, mut defect) = start_line(&raw, begin, trim_cr(&raw, begin, line_end))?;
        let mut message = Message {
            raw,
            start,
            lines: Vec::with_capacity(20),
            body: Span::default(),
            defect: None,
        };
        let body_from = message.index(line_end + 1, &mut defect);
        message.frame(body_from, &mut defect);
        message.defect = defect;
        Ok(message)
    }

    /// Walks the header section and returns where the body starts.
    fn index(&mut self, mut at: usize, defect: &mut Option<Defect>) -> usize {
        let raw = self.raw.clone();
        let mut unfolded: Option<Vec<u8>> = None;
        // Whether the line before was taken. What continues a line that was not belongs to it, and not to one before it.
        let mut taken = false;
        let body_from = loop {
            let Some(line_end) = find(&raw, at, b'\n') else {
                defect.get_or_insert(Defect::Truncated);
                break raw.len();
            };
            let end = trim_cr(&raw, at, line_end);
            if end == at {
                break line_end + 1;
            }
            if matches!(raw[at], b' ' | b'\t') {
                // A continuation: it extends the value of the line before it.
                match self.lines.last_mut().filter(|_| taken) {
                    Some(last) => {
                        let copy = unfolded.get_or_insert_with(|| raw.to_vec());
                        for byte in &mut copy[last.value.to as usize..at] {
                            if matches!(byte, b'\r' | b'\n') {
                                *byte = b' ';
                            }
                        }
                        last.value.to = end as u32;
                    }
                    None => {
                        defect.get_or_insert(Defect::HeaderLine);
                    }
                }
            } else {
                let line = header_line(&raw, at, end);
                taken = line.is_some() && self.lines.len() < MAX_HEADERS;
                match line {
                    Some(line) if taken => self.lines.push(line),
                    Some(_) => {
                        defect.get_or_insert(Defect::TooManyHeaders);
                    }
                    None => {
                        defect.get_or_insert(Defect::HeaderLine);
                    }
                }
            }
            at = line_end + 1;
        };
        if let Some(copy) = unfolded {
            self.raw = Bytes::from(copy);
            let raw = self.raw.clone();
            for Span { from, to } in self.lines.iter_mut().map(|l| &mut l.value) {
                // A value that began or ended on a continuation line may have spaces around it now.
                while from < to && matches!(raw[*from as usize], b' ' | b'\t') {
                    *from += 1;
                }
                *to = trim_end(&raw, *from as usize, *to as usize) as u32;
            }
        }
        body_from
    }

    /// Applies Content-Length (§18.3, §20.14) to what follows the header section.
    fn frame(&mut self, from: usize, defect: &mut Option<Defect>) {
        let available = self.raw.len() - from;
        let mut length = None;
        for value in self.raw_values(HeaderName::ContentLength) {
            match (parse_number(value), length) {
                (Some(n), None) => length = Some(n),
                (Some(n), Some(m)) if n == m => {}
                _ => {
                    defect.get_or_insert(Defect::ContentLength);
                    length = Some(0);
                    break;
                }
            }
        }
        let length = match length {
            None => available,
            Some(n) if n <= available as u64 => n as usize,
            Some(_) => {
                defect.get_or_insert(Defect::ContentLength);
                available
            }
        };
        self.body = Span::new(from, from + length);
    }

    /// §8.1.1: what every request and response must have, once.
    fn check_mandatory(&mut self) {
        if self.defect.is_some() {
            return;
        }
        const MANDATORY: [HeaderName; 5] = [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ];
        // The first value of each, and whether there are more.
        let mut found = [(None, false); MANDATORY.len()];
        for line in &self.lines {
            let Some(i) = MANDATORY.iter().position(|name| *name == line.name) else {
                continue;
            };
            match &mut found[i] {
                (first @ None, _) => *first = Some(line.value),
                (Some(_), repeated) => *repeated = true,
            }
        }
        for (name, (first, repeated)) in MANDATORY.into_iter().zip(found) {
            let address = matches!(name, HeaderName::From | HeaderName::To);
            let readable = |value: &[u8]| !value.is_empty() && (!address || crate::headers::is_balanced(value));
            let usable = first.is_some_and(|value: Span| readable(value.of(&self.raw)));
            if !usable || repeated && name != HeaderName::Via {
                self.defect = Some(Defect::Mandatory(name));
                return;
            }
        }
        if self.via().is_none() {
            self.defect = Some(Defect::Mandatory(HeaderName::Via));
            return;
        }
        match (self.cseq(), self.start) {
            (None, _) => self.defect = Some(Defect::Mandatory(HeaderName::CSeq)),
            (Some(cseq), Start::Request { method, name, .. })
                if cseq.method != method || cseq.name.as_bytes() != name.of(&self.raw) =>
            {
                self.defect = Some(Defect::MethodMismatch);
            }
            (_, Start::Request { .. }) => {
                let stray = |name| self.raw_values(name).any(crate::headers::has_stray_separators);
                self.defect = [HeaderName::Via, HeaderName::Contact]
                    .into_iter()
                    .find(|name| stray(*name))
                    .map(Defect::Separators);
            }
            _ => {}
        }
    }

    /// The bytes of the message, line folding undone.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The first rule that the message breaks.
    pub fn defect(&self) -> Option<Defect> {
        self.defect
    }

    /// The method of a request.
    pub fn method(&self) -> Option<Method> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The method of a request as written.
    pub fn method_name(&self) -> &[u8] {
        match self.start {
            Start::Request { name, .. } => name.of(&self.raw),
            Start::Response { .. } => b"",
        }
    }

    /// The Request-URI as written; empty for a response.
    pub fn request_uri(&self) -> Cow<'_, str> {
        match self.start {
            Start::Request { uri, .. } => String::from_utf8_lossy(uri.of(&self.raw)),
            Start::Response { .. } => Cow::Borrowed(""),
        }
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }

    /// The reason phrase of a response; empty for a request.
    pub fn phrase(&self) -> Cow<'_, str> {
        match self.start {
            Start::Response { phrase, .. } => String::from_utf8_lossy(phrase.of(&self.raw)),
            Start::Request { .. } => Cow::Borrowed(""),
        }
    }

    /// Values of all lines of a header field, as written, in order. Comma-separated lists are not split.
    pub fn raw_values(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> {
        self.lines
            .iter()
            .filter(move |l| l.name == name)
            .map(|l| l.value.of(&self.raw))
    }

    /// Values of a header field whose grammar is a comma-separated list, split.
    pub fn list(&self, name: HeaderName) -> impl Iterator<Item = Cow<'_, str>> {
        self.raw_values(name)
            .flat_map(CommaList::new)
            .map(String::from_utf8_lossy)
    }

    /// The value of the first line of a header field; bytes that are no UTF-8 are replaced.
    pub fn value(&self, name: HeaderName) -> Option<Cow<'_, str>> {
        self.raw_values(name).next().map(String::from_utf8_lossy)
    }

    /// The value of the first line with this name, for fields that [`HeaderName`] does not list.
    pub fn value_by_name(&self, name: &str) -> Option<Cow<'_, str>> {
        let line = self
            .lines
            .iter()
            .find(|l| l.name_span.of(&self.raw).eq_ignore_ascii_case(name.as_bytes()))?;
        Some(String::from_utf8_lossy(line.value.of(&self.raw)))
    }

    /// All header lines as (name, value), as written.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines
            .iter()
            .map(|l| (l.name_span.of(&self.raw), l.value.of(&self.raw)))
    }

    /// The topmost Via.
    pub fn via(&self) -> Option<Via<'_>> {
        let value = self.raw_values(HeaderName::Via).next()?;
        Via::parse(CommaList::new(value).next()?)
    }

    /// True if there is exactly one Via; a response with more was meant for somebody else (§8.1.3.3).
    pub fn has_single_via(&self) -> bool {
        self.raw_values(HeaderName::Via)
            .flat_map(CommaList::new)
            .take(2)
            .count()
            == 1
    }

    /// CSeq.
    pub fn cseq(&self) -> Option<CSeq<'_>> {
        CSeq::parse(self.raw_values(HeaderName::CSeq).next()?)
    }

    /// Call-ID.
    pub fn call_id(&self) -> Cow<'_, str> {
        self.value(HeaderName::CallId).unwrap_or_default()
    }

    /// The tag parameter of From.
    pub fn from_tag(&self) -> Option<Cow<'_, str>> {
        crate::headers::tag_of(self.raw_values(HeaderName::From).next()?).map(String::from_utf8_lossy)
    }

    /// The tag parameter of To.
    pub fn to_tag(&self) -> Option<Cow<'_, str>> {
        crate::headers::tag_of(self.raw_values(HeaderName::To).next()?).map(String::from_utf8_lossy)
    }

    /// The body, sharing the message's memory.
    pub fn body(&self) -> Bytes {
        self.raw.slice(self.body.from as usize..self.body.to as usize)
    }

    /// The body if it is a session description: Content-Type is application/sdp, or missing and the body begins `v=`.
    pub fn sdp(&self) -> Option<Bytes> {
        if self.body.from == self.body.to {
            return None;
        }
        let is_sdp = match self.raw_values(HeaderName::ContentType).next() {
            Some(value) => {
                let kind = value.split(|b| *b == b';').next().unwrap_or_default();
                kind.trim_ascii().eq_ignore_ascii_case(b"application/sdp")
            }
            None => self.body.of(&self.raw).starts_with(b"v="),
        };
        is_sdp.then(|| self.body())
    }
}

fn find(raw: &[u8], from: usize, byte: u8) -> Option<usize> {
    memchr(byte, raw.get(from..)?).map(|i| from + i)
}

/// The end of the line without a carriage return before the line feed at `line_end`.
fn trim_cr(raw: &[u8], from: usize, line_end: usize) -> usize {
    if line_end > from && raw[line_end - 1] == b'\r' {
        line_end - 1
    } else {
        line_end
    }
}

fn trim_end(raw: &[u8], from: usize, mut to: usize) -> usize {
    while to > from && matches!(raw[to - 1], b' ' | b'\t') {
        to -= 1;
    }
    to
}

fn parse_number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |n, d| n * 10 + u64::from(d - b'0')))
}

/// The characters of a token.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

/// token of RFC 3261 §25.1.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| TOKEN[usize::from(*b)])
}

fn start_line(raw: &[u8], from: usize, to: usize) -> Result<(Start, Option<Defect>), ParseError> {
    let line = &raw[from..to];
    if line.len() > 8 && line[..8].eq_ignore_ascii_case(b"SIP/2.0 ") {
        let digits = line.get(8..11).ok_or(ParseError::StartLine)?;
        let status = parse_number(digits)
            .filter(|s| (100..700).contains(s))
            .ok_or(ParseError::StartLine)?;
        let phrase = match line.get(11) {
            None => Span::new(to, to),
            Some(b' ') => Span::new(from + 12, to),
            Some(_) => return Err(ParseError::StartLine),
        };
        return Ok((
            Start::Response {
                status: status as u16,
                phrase,
            },
            None,
        ));
    }
    let space = line.iter().position(|b| *b == b' ').ok_or(ParseError::StartLine)?;
    if !is_token(&line[..space]) {
        return Err(ParseError::StartLine);
    }
    let trimmed = trim_end(line, 0, line.len());
    let last = line[..trimmed]
        .iter()
        .rposition(|b| *b == b' ')
        .ok_or(ParseError::StartLine)?;
    let version = &line[last + 1..trimmed];
    if last <= space || version.len() < 5 || !version[..4].eq_ignore_ascii_case(b"SIP/") {
        return Err(ParseError::StartLine);
    }
    let uri = &line[space + 1..last];
    let defect = if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        Some(Defect::Version)
    } else if trimmed != line.len()
        || uri.is_empty()
        || uri.iter().any(|b| b.is_ascii_whitespace() || *b == b'<' || *b == b'>')
    {
        Some(Defect::RequestLine)
    } else {
        None
    };
    let start = Start::Request {
        method: Method::from_bytes(&line[..space]),
        name: Span::new(from, from + space),
        uri: Span::new(from + space + 1, from + last),
    };
    Ok((start, defect))
}

fn header_line(raw: &[u8], from: usize, to: usize) -> Option<Line> {
    let colon = memchr(b':', &raw[from..to])? + from;
    // §7.3.1 allows white space before the colon.
    let name_end = trim_end(raw, from, colon);
    let name = &raw[from..name_end];
    if !is_token(name) {
        return None;
    }
    let mut value_from = colon + 1;
    while value_from < to && matches!(raw[value_from], b' ' | b'\t') {
        value_from += 1;
    }
    Some(Line {
        name: HeaderName::from_bytes(name),
        name_span: Span::new(from, name_end),
        value: Span::new(value_from, trim_end(raw, value_from, to)),
    })
}
