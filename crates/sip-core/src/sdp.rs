//! Session descriptions (RFC 8866), and offer/answer for one audio stream (RFC 3264), plain, with keys or as browsers have it,
//! and there for the video beside it.
//!
//! What this module does not understand it keeps, in order, and writes again.

mod negotiate;
mod secure;
mod video;

pub use negotiate::*;
pub use secure::{Carriage, Crypto, IceDtls, KEY_MATERIAL, Protection, Setup, Srtp};
pub use video::{AgreedVideo, AgreedVideoCodec, LocalVideo, VIDEO_CLOCK, VideoCodec, VideoSide};

use std::fmt;
use std::net::IpAddr;

/// Longest description that is read, in bytes.
pub const MAX_SDP: usize = 32_768;
/// Most media descriptions that are read.
pub const MAX_MEDIA: usize = 32;
/// Most lines that are read.
pub const MAX_LINES: usize = 1_024;

/// Why bytes are no session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Too long, too many lines or too many media descriptions.
    #[error("session description too large")]
    TooLarge,
    /// It does not begin with `v=0`, or a line is not `x=value`.
    #[error("line {line} of the session description is malformed")]
    Line {
        /// Number of the line, from 1.
        line: usize,
    },
}

/// Which way media flows, seen by the description's author (RFC 3264 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways; the default where nothing is written.
    #[default]
    SendRecv,
    /// The author sends only.
    SendOnly,
    /// The author receives only.
    RecvOnly,
    /// Nothing flows.
    Inactive,
}

impl Direction {
    /// The attribute's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// From (author sends, author receives).
    pub const fn from_flags(send: bool, receive: bool) -> Direction {
        match (send, receive) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// True if the author sends.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// True if the author receives.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same flow seen from the other side.
    pub const fn reversed(self) -> Direction {
        Direction::from_flags(self.receives(), self.sends())
    }

    /// What both allow, seen by the author of `self`, where `other` is seen by the same side.
    pub const fn and(self, other: Direction) -> Direction {
        Direction::from_flags(self.sends() && other.sends(), self.receives() && other.receives())
    }

    fn parse(name: &str) -> Option<Direction> {
        [
            Direction::SendRecv,
            Direction::SendOnly,
            Direction::RecvOnly,
            Direction::Inactive,
        ]
        .into_iter()
        .find(|d| d.as_str().eq_ignore_ascii_case(name))
    }
}

/// One codec as a payload type of an m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// RTP payload type, 0-127.
    pub payload_type: u8,
    /// Encoding name as written, for example `PCMA`; compared without case.
    pub name: String,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Channels, 1 unless written.
    pub channels: u8,
    /// The `a=fmtp` parameters as written.
    pub fmtp: Option<String>,
}

impl Codec {
    /// A codec with one channel and without parameters.
    pub fn new(payload_type: u8, name: &str, clock_rate: u32) -> Codec {
        Codec {
            payload_type,
            name: name.into(),
            clock_rate,
            channels: 1,
            fmtp: None,
        }
    }

    /// The static assignment of a payload type (RFC 3551 table 4), for the types that telephony uses.
    pub fn well_known(payload_type: u8) -> Option<Codec> {
        let (name, rate) = match payload_type {
            0 => ("PCMU", 8000),
            3 => ("GSM", 8000),
            4 => ("G723", 8000),
            8 => ("PCMA", 8000),
            // RFC 3551 §4.5.2: 8000 by a historical error, the samples are 16 kHz.
            9 => ("G722", 8000),
            13 => ("CN", 8000),
            18 => ("G729", 8000),
            _ => return None,
        };
        Some(Codec::new(payload_type, name, rate))
    }

    /// True if both name the same encoding, whatever their payload types.
    pub fn same_encoding(&self, other: &Codec) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_rate == other.clock_rate
            && self.channels.max(1) == other.channels.max(1)
    }

    /// True for RFC 4733 telephone events.
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// True for RFC 3389 comfort noise.
    pub fn is_comfort_noise(&self) -> bool {
        self.name.eq_ignore_ascii_case("CN")
    }
}

/// A media description: an m-line and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `image`, …
    pub kind: String,
    /// Port; 0 means refused or removed.
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, …
    pub protocol: String,
    /// Formats as written: payload types for RTP.
    pub formats: Vec<String>,
    /// The c-line's address, if this media has its own.
    pub connection: Option<Connection>,
    /// Every attribute line in order, without `a=`.
    pub attributes: Vec<String>,
    /// Other lines (i, b, k) in order, as (letter, value).
    pub others: Vec<(char, String)>,
}

/// A c-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The address as written; a name is possible.
    pub host: String,
    /// The address if it is a literal one; a multicast suffix is ignored.
    pub ip: Option<IpAddr>,
}

impl Connection {
    /// A literal address.
    pub fn literal(ip: IpAddr) -> Connection {
        Connection {
            host: ip.to_string(),
            ip: Some(ip),
        }
    }

    fn parse(value: &str) -> Option<Connection> {
        let mut parts = value.split_ascii_whitespace();
        if parts.next()? != "IN" || !matches!(parts.next()?, "IP4" | "IP6") {
            return None;
        }
        let host = parts.next()?;
        let ip = host.split('/').next()?.parse().ok();
        Some(Connection {
            host: host.to_owned(),
            ip,
        })
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.host.contains(':') { "IP6" } else { "IP4" };
        write!(f, "IN {family} {}", self.host)
    }
}

/// A whole description.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// The o-line's value.
    pub origin: String,
    /// The s-line's value.
    pub name: String,
    /// The session's c-line.
    pub connection: Option<Connection>,
    /// The t-lines and others (i, u, e, p, b, r, z, k) in order, as (letter, value).
    pub others: Vec<(char, String)>,
    /// Attributes of the session, without `a=`.
    pub attributes: Vec<String>,
    /// Media descriptions.
    pub media: Vec<Media>,
}

/// Reads a session description. Total: any bytes give a session or an error.
///
/// # Errors
/// See [`SdpError`]. Bytes that are no UTF-8 are replaced, an unreadable c-line or m-line is an error.
pub fn parse(bytes: &[u8]) -> Result<Session, SdpError> {
    if bytes.len() > MAX_SDP {
        return Err(SdpError::TooLarge);
    }
    let text = String::from_utf8_lossy(bytes);
    let mut session = Session::default();
    let mut seen_version = false;
    for (index, line) in text.lines().enumerate() {
        let malformed = SdpError::Line { line: index + 1 };
        if index >= MAX_LINES {
            return Err(SdpError::TooLarge);
        }
        let line = line.trim_end_matches(['\r', '\0']);
        if line.trim().is_empty() {
            continue;
        }
        let mut chars = line.chars();
        let (Some(letter), Some('=')) = (chars.next(), chars.next()) else {
            return Err(malformed);
        };
        let value = chars.as_str();
        if !seen_version {
            if letter != 'v' || value.trim() != "0" {
                return Err(malformed);
            }
            seen_version = true;
            continue;
        }
        if letter == 'm' {
            if session.media.len() >= MAX_MEDIA {
                return Err(SdpError::TooLarge);
            }
            session.media.push(media_line(value).ok_or(malformed)?);
            continue;
        }
        match (session.media.last_mut(), letter) {
            (Some(media), 'c') => media.connection = Some(Connection::parse(value).ok_or(malformed)?),
            (Some(media), 'a') => media.attributes.push(value.to_owned()),
            (Some(media), _) => media.others.push((letter, value.to_owned())),
            (None, 'o') => session.origin = value.to_owned(),
            (None, 's') => session.name = value.to_owned(),
            (None, 'c') => session.connection = Some(Connection::parse(value).ok_or(malformed)?),
            (None, 'a') => session.attributes.push(value.to_owned()),
            (None, _) => session.others.push((letter, value.to_owned())),
        }
    }
    if !seen_version {
        return Err(SdpError::Line { line: 1 });
    }
    Ok(session)
}

fn media_line(value: &str) -> Option<Media> {
    // An answer repeats this line, so what cannot be written must not come in (RFC 8866 §9: tokens are visible ASCII).
    if !value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')) {
        return None;
    }
    let mut parts = value.split_ascii_whitespace();
    let kind = parts.next()?.to_owned();
    let port = parts.next()?.split('/').next()?.parse().ok()?;
    let protocol = parts.next()?.to_owned();
    let formats = parts.take(128).map(str::to_owned).collect();
    Some(Media {
        kind,
        port,
        protocol,
        formats,
        connection: None,
        attributes: Vec::new(),
        others: Vec::new(),
    })
}

/// The value of `name:value` in a list of attributes; empty for a bare flag.
fn attribute<'a>(attributes: &'a [String], name: &str) -> Option<&'a str> {
    attributes.iter().find_map(|a| match a.split_once(':') {
        Some((n, v)) if n == name => Some(v.trim()),
        None if a.trim_end() == name => Some(""),
        _ => None,
    })
}

fn direction_of(attributes: &[String]) -> Option<Direction> {
    attributes.iter().find_map(|a| Direction::parse(a.trim_end()))
}

impl Media {
    /// What carries it; `None` if it is something that we do not know.
    pub fn carriage(&self) -> Option<Carriage> {
        Carriage::of(&self.protocol)
    }

    fn is_audio(&self) -> bool {
        self.kind.eq_ignore_ascii_case("audio") && self.carriage().is_some()
    }

    /// The attribute's value; empty for a bare flag.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        attribute(&self.attributes, name)
    }

    /// The codecs of the m-line, most preferred first. Payload types without `a=rtpmap` count if their number is
    /// assigned statically.
    pub fn codecs(&self) -> Vec<Codec> {
        let mut seen = [false; 128];
        self.formats
            .iter()
            .filter_map(|format| format.parse::<u8>().ok().filter(|pt| *pt < 128))
            // A number that is written twice is one codec.
            .filter(|pt| !std::mem::replace(&mut seen[usize::from(*pt)], true))
            .filter_map(|pt| self.codec(pt))
            .collect()
    }

    fn codec(&self, payload_type: u8) -> Option<Codec> {
        let lookup = |name: &str| {
            self.attributes.iter().find_map(|a| {
                let (pt, rest) = a
                    .strip_prefix(name)?
                    .strip_prefix(':')?
                    .trim_start()
                    .split_once([' ', '\t'])?;
                (pt.parse() == Ok(payload_type)).then_some(rest.trim())
            })
        };
        let mut codec = match lookup("rtpmap") {
            Some(map) => {
                let mut parts = map.split('/');
                let name = parts.next()?.trim().to_owned();
                // It may be written to another party, where it must be one word (RFC 8866 section 9).
                if !name.bytes().all(|b| b.is_ascii_graphic()) {
                    return None;
                }
                let clock_rate = parts.next()?.trim().parse().ok().filter(|rate| *rate > 0)?;
                let channels = parts.next().and_then(|c| c.trim().parse().ok()).unwrap_or(1);
                Codec {
                    payload_type,
                    name,
                    clock_rate,
                    channels,
                    fmtp: None,
                }
            }
            None => Codec::well_known(payload_type)?,
        };
        // Likewise: parameters are one line of text.
        let text = |value: &&str| value.chars().all(|c| !c.is_control());
        codec.fmtp = lookup("fmtp").filter(text).map(str::to_owned);
        Some(codec)
    }
}

impl Session {
    /// Where media `index` is to be sent: its own c-line, else the session's.
    pub fn connection_of(&self, media: &Media) -> Option<Connection> {
        media.connection.clone().or_else(|| self.connection.clone())
    }

    /// The direction of a media description as written there or for the session; `c=0.0.0.0`, the hold of RFC 2543,
    /// takes the right to receive away.
    pub fn direction_of(&self, media: &Media) -> Direction {
        let written = direction_of(&media.attributes)
            .or_else(|| direction_of(&self.attributes))
            .unwrap_or_default();
        match self.connection_of(media).and_then(|c| c.ip) {
            // A browser that has no candidate yet writes it too (RFC 8840 section 4.1.1).
            Some(ip) if ip.is_unspecified() && media.carriage() != Some(Carriage::WebRtc) => {
                written.and(Direction::SendOnly)
            }
            _ => written,
        }
    }

    /// The first audio description over RTP, SRTP or WebRTC that is not refused, with its index.
    pub fn audio(&self) -> Option<(usize, &Media)> {
        self.audios().find(|(_, m)| m.port != 0)
    }

    /// All audio descriptions over RTP, SRTP or WebRTC, refused ones included.
    fn audios(&self) -> impl Iterator<Item = (usize, &Media)> {
        self.media.iter().enumerate().filter(|(_, m)| m.is_audio())
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "v=0\r\no={}\r\ns={}\r\n",
            self.origin,
            if self.name.is_empty() { "-" } else { &self.name }
        )?;
        // RFC 8866 §5 fixes the order: i u e p, then c, then b, t and the rest.
        for (letter, value) in self.others.iter().filter(|(l, _)| matches!(l, 'i' | 'u' | 'e' | 'p')) {
            write!(f, "{letter}={value}\r\n")?;
        }
        if let Some(connection) = &self.connection {
            write!(f, "c={connection}\r\n")?;
        }
        for (letter, value) in self.others.iter().filter(|(l, _)| !matches!(l, 'i' | 'u' | 'e' | 'p')) {
            write!(f, "{letter}={value}\r\n")?;
        }
        for attribute in &self.attributes {
            write!(f, "a={attribute}\r\n")?;
        }
        for media in &self.media {
            write!(f, "{media}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {}", self.kind, self.port, self.protocol)?;
        for format in &self.formats {
            write!(f, " {format}")?;
        }
        f.write_str("\r\n")?;
        for (letter, value) in self.others.iter().filter(|(l, _)| *l == 'i') {
            write!(f, "{letter}={value}\r\n")?;
        }
        if let Some(connection) = &self.connection {
            write!(f, "c={connection}\r\n")?;
        }
        for (letter, value) in self.others.iter().filter(|(l, _)| *l != 'i') {
            write!(f, "{letter}={value}\r\n")?;
        }
        for attribute in &self.attributes {
            write!(f, "a={attribute}\r\n")?;
        }
        Ok(())
    }
}
