//! The slice of STUN and TURN servers.

use super::reader::Section;
use std::time::Duration;
use strowger_store::Secret;

/// `[turn]`: servers that browsers' media may go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Their URIs.
    pub servers: Vec<String>,
    /// The secret that the TURN servers know too.
    pub secret: Option<Secret>,
    /// How long credentials are good for.
    pub lifetime: Duration,
}

impl Turn {
    pub(super) fn read(s: Section<'_>) -> Turn {
        let read = Turn {
            servers: s.list(
                "servers",
                "URIs, such as \"turn:turn.example.com:3478?transport=udp\" or \"stun:stun.example.com\"",
                server,
            ),
            secret: s
                .optional("secret", "a text, that of the TURN servers", |t| {
                    (!t.is_empty()).then(|| t.to_owned())
                })
                .map(Secret::new),
            lifetime: s.duration(
                "lifetime",
                Duration::from_secs(3600),
                Duration::from_secs(60)..=Duration::from_secs(7 * 86_400),
            ),
        };
        if read.secret.is_none() && read.servers.iter().any(|u| u.starts_with("turn")) {
            s.problem(
                "secret",
                "TURN servers let nobody in without it: set the one of their static-auth-secret".to_owned(),
            );
        }
        s.close();
        read
    }
}

/// A URI of RFC 7064 or RFC 7065, with its scheme in lower case.
fn server(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let known = match scheme.as_str() {
        "stun" | "stuns" => query.is_none(),
        "turn" | "turns" => matches!(query, None | Some("transport=udp" | "transport=tcp")),
        _ => false,
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("3478")))
        }
        None => place
            .split_once(':')
            .map_or((place, Some("3478")), |(h, p)| (h, Some(p))),
    };
    let named = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b));
    let reachable = port?.parse::<u16>().is_ok_and(|p| p != 0);
    (known && named && reachable).then(|| format!("{scheme}:{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_and_others_refused() {
        for good in [
            "turn:turn.example.com",
            "turn:192.0.2.1:3478?transport=udp",
            "turns:turn.example.com:5349?transport=tcp",
            "stun:[2001:db8::1]:3478",
            "stun:[2001:db8::1]",
        ] {
            assert_eq!(server(good).as_deref(), Some(good));
        }
        assert_eq!(server("TURN:a"), Some("turn:a".into()));
        for bad in [
            "",
            "turn",
            "turn:",
            "turn:a:0",
            "turn:a:x",
            "turn:a?transport=sctp",
            "stun:a?transport=udp",
            "http://a",
            "turn:a b",
            "turn:[a",
            "turn:[a]",
            "turn:[2001:db8::1]x",
        ] {
            assert_eq!(server(bad), None, "{bad}");
        }
    }
}
