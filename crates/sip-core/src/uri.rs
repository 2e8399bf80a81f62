//! SIP and tel URIs (RFC 3261 §19.1, RFC 3966), kept as they were written so that nothing is escaped anew.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The schemes that matter to telephony.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// sip:
    Sip,
    /// sips:
    Sips,
    /// tel:
    Tel,
    /// Any other; a request for it is answered with 416.
    Other,
}

/// A URI that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a URI")]
pub struct UriError;

/// A URI as text with an index. Equality is that of the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Uri {
    text: String,
    scheme: Scheme,
    /// End of the user part (exclusive), which begins behind the scheme; zero if there is none.
    user: (u16, u16),
    host: (u16, u16),
    port: Option<u16>,
    params: (u16, u16),
}

impl Uri {
    /// Parses an absolute URI without angle brackets, at most 2,048 bytes long.
    ///
    /// # Errors
    /// Empty parts, white space, control characters, a bad host or port.
    pub fn parse(text: &str) -> Result<Uri, UriError> {
        if text.len() > 2048
            || text
                .bytes()
                .any(|b| b <= b' ' || matches!(b, b'<' | b'>' | b'"' | 0x7f))
        {
            return Err(UriError);
        }
        let colon = text.find(':').filter(|c| *c > 0).ok_or(UriError)?;
        let scheme = match &text[..colon] {
            s if s.eq_ignore_ascii_case("sip") => Scheme::Sip,
            s if s.eq_ignore_ascii_case("sips") => Scheme::Sips,
            s if s.eq_ignore_ascii_case("tel") => Scheme::Tel,
            s if s
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) =>
            {
                Scheme::Other
            }
            _ => return Err(UriError),
        };
        let mut uri = Uri {
            text: text.to_owned(),
            scheme,
            user: (0, 0),
            host: (0, 0),
            port: None,
            params: (0, 0),
        };
        let start = colon + 1;
        if start == text.len() {
            return Err(UriError);
        }
        match scheme {
            Scheme::Sip | Scheme::Sips => uri.index_sip(start)?,
            Scheme::Tel => {
                let end = text[start..].find(';').map_or(text.len(), |i| start + i);
                uri.user = (start as u16, end as u16);
                uri.params = (end as u16, text.len() as u16);
            }
            Scheme::Other => {}
        }
        Ok(uri)
    }

    fn index_sip(&mut self, start: usize) -> Result<(), UriError> {
        let text = self.text.as_bytes();
        // A user part may contain `;` and `?`, a host may not contain `@`: so the `@` decides first.
        let host_at = match text[start..].iter().position(|b| *b == b'@') {
            Some(0) => return Err(UriError),
            Some(at) => {
                let user_end = start + text[start..start + at].iter().position(|b| *b == b':').unwrap_or(at);
                self.user = (start as u16, user_end as u16);
                start + at + 1
            }
            None => start,
        };
        let host_end = text[host_at..]
            .iter()
            .position(|b| matches!(b, b';' | b'?'))
            .map_or(text.len(), |i| host_at + i);
        let (host, port) = crate::headers::host_port(&text[host_at..host_end]).ok_or(UriError)?;
        let bracketed = host.first() == Some(&b'[');
        let legal = |b: &u8| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'-' | b'.' | b'_')
                || bracketed && matches!(b, b'[' | b']' | b':' | b'%')
        };
        if !host.iter().all(legal) {
            return Err(UriError);
        }
        let host_len = host.len();
        let params_end = text[host_end..]
            .iter()
            .position(|b| *b == b'?')
            .map_or(text.len(), |i| host_end + i);
        self.host = (host_at as u16, (host_at + host_len) as u16);
        self.port = port;
        self.params = (host_end as u16, params_end as u16);
        Ok(())
    }

    fn part(&self, (from, to): (u16, u16)) -> &str {
        &self.text[usize::from(from)..usize::from(to)]
    }

    /// The URI as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// User part (or the number of a tel URI) as written, still escaped, without password; empty if there is none.
    pub fn user(&self) -> &str {
        self.part(self.user)
    }

    /// User part with percent escapes undone; bytes that are no UTF-8 are replaced.
    pub fn user_decoded(&self) -> String {
        unescape(self.user().as_bytes())
    }

    /// Host as written, with the brackets of an IPv6 reference; empty for tel.
    pub fn host(&self) -> &str {
        self.part(self.host)
    }

    /// Port.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The host if it is a literal address.
    pub fn host_ip(&self) -> Option<IpAddr> {
        let host = self.host();
        match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }

    /// The header part behind `?`, without it; empty if there is none.
    pub fn headers(&self) -> &str {
        let end = usize::from(self.params.1);
        match self.scheme {
            Scheme::Sip | Scheme::Sips => self.text.get(end + 1..).unwrap_or_default(),
            Scheme::Tel | Scheme::Other => "",
        }
    }

    fn password(&self) -> Option<&str> {
        let (end, host) = (usize::from(self.user.1), usize::from(self.host.0));
        (self.user != (0, 0) && end + 1 < host).then(|| &self.text[end + 1..host - 1])
    }

    /// True if both name the same resource (RFC 3261 §19.1.4): a port that is written differs from one that is not, and
    /// of the parameters `transport`, `user`, `ttl`, `method` and `maddr` count even if only one side has them.
    pub fn same_as(&self, other: &Uri) -> bool {
        if self.text == other.text {
            return true;
        }
        if !matches!(self.scheme, Scheme::Sip | Scheme::Sips) || self.scheme != other.scheme {
            return false;
        }
        let escaped = self.text.contains('%') || other.text.contains('%');
        let same = |a: &str, b: &str| a == b || escaped && unescape(a.as_bytes()) == unescape(b.as_bytes());
        let address = same(self.user(), other.user())
            && self.password() == other.password()
            && self.host().eq_ignore_ascii_case(other.host())
            && self.port == other.port;
        address && self.params_agree(other) && other.params_agree(self) && {
            let sorted = |uri: &Uri| {
                let mut headers: Vec<String> = uri.headers().split('&').map(str::to_ascii_lowercase).collect();
                headers.sort();
                headers
            };
            self.headers() == other.headers() || sorted(self) == sorted(other)
        }
    }

    fn params_agree(&self, other: &Uri) -> bool {
        self.part(self.params).split(';').skip(1).all(|p| {
            let (name, value) = p.split_once('=').unwrap_or((p, ""));
            match other.param(name) {
                Some(theirs) => theirs.eq_ignore_ascii_case(value),
                None => !["transport", "user", "ttl", "method", "maddr"]
                    .iter()
                    .any(|n| n.eq_ignore_ascii_case(name)),
            }
        })
    }

    /// A URI parameter; empty if it stands alone.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.part(self.params).split(';').skip(1).find_map(|p| {
            let (n, v) = p.split_once('=').unwrap_or((p, ""));
            n.eq_ignore_ascii_case(name).then_some(v)
        })
    }
}

/// Undoes percent escapes; a percent sign without two digits stays, bytes that are no UTF-8 are replaced.
pub(crate) fn unescape(raw: &[u8]) -> String {
    let hex = |b: u8| (b as char).to_digit(16);
    let mut out = Vec::with_capacity(raw.len());
    let mut i = 0;
    while i < raw.len() {
        let pair = raw
            .get(i + 1)
            .copied()
            .and_then(hex)
            .zip(raw.get(i + 2).copied().and_then(hex));
        match (raw[i], pair) {
            (b'%', Some((high, low))) => {
                out.push((high * 16 + low) as u8);
                i += 3;
            }
            (byte, _) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Escapes a text for the user part of a SIP URI (RFC 3261 §25.1).
pub fn escape_user(user: &str) -> String {
    escape(user, |b| b"-_.!~*'()&=+$,;?/".contains(&b))
}

/// Escapes everything but letters, digits and what is allowed besides.
pub(crate) fn escape(text: &str, allowed: impl Fn(u8) -> bool) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || allowed(b) {
            out.push(b as char);
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    /// Hides the user part: numbers do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({:?} at {:?})", self.scheme, self.host())
    }
}
