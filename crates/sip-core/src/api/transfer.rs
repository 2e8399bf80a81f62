//! REFER and Replaces as data (RFC 3515, RFC 3891, RFC 3892).

use super::DialogHandle;

/// Where a REFER sends us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferTo {
    /// The URI without its headers.
    pub uri: String,
    /// Its Replaces header: an attended transfer.
    pub replaces: Option<Replaces>,
    /// The `method` parameter if it is not INVITE.
    pub method: Option<String>,
}

/// A Replaces value (RFC 3891 §6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Call-ID of the dialog to be replaced.
    pub call_id: String,
    /// The tag of whoever receives the INVITE with this header.
    pub to_tag: String,
    /// The tag of its peer.
    pub from_tag: String,
    /// Only if the dialog is early.
    pub early_only: bool,
}

/// A dialog of ours that an incoming INVITE wants to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// The dialog. It goes on until the application ends it: BYE if it is confirmed, CANCEL if it is early.
    pub handle: DialogHandle,
    /// True if the INVITE asked for an early dialog only, and it is one.
    pub early_only: bool,
}

impl Replaces {
    /// Parses a Replaces value; `None` without Call-ID or one of the tags.
    pub fn parse(value: &str) -> Option<Replaces> {
        let mut parts = value.split(';').map(str::trim);
        let call_id = parts.next().filter(|id| !id.is_empty())?.to_owned();
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.trim() {
                n if n.eq_ignore_ascii_case("to-tag") => to_tag = Some(value.trim().to_owned()),
                n if n.eq_ignore_ascii_case("from-tag") => from_tag = Some(value.trim().to_owned()),
                n if n.eq_ignore_ascii_case("early-only") => early_only = true,
                _ => {}
            }
        }
        Some(Replaces {
            call_id,
            to_tag: to_tag?,
            from_tag: from_tag?,
            early_only,
        })
    }

    /// The value as it is written in an INVITE.
    pub fn value(&self) -> String {
        let early = if self.early_only { ";early-only" } else { "" };
        format!(
            "{};to-tag={};from-tag={}{early}",
            self.call_id, self.to_tag, self.from_tag
        )
    }

    /// `uri` with this value as its Replaces header, for Refer-To.
    pub fn in_uri(&self, uri: &str) -> String {
        let mark = if uri.contains('?') { '&' } else { '?' };
        let mut out = format!("{uri}{mark}Replaces=");
        for byte in self.value().bytes() {
            // hnv-unreserved and unreserved of RFC 3261 §25.1 stand for themselves.
            if byte.is_ascii_alphanumeric() || b"[]/?:+$-_.!~*'()".contains(&byte) {
                out.push(byte as char);
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        out
    }
}

impl ReferTo {
    /// Parses a Refer-To value, with or without angle brackets; `None` without a readable URI, or with a Replaces header
    /// that cannot be read.
    pub fn parse(value: &str) -> Option<ReferTo> {
        let address = crate::headers::NameAddr::parse(value.as_bytes())?;
        let text = address.uri.as_str();
        let (uri, headers) = text.split_once('?').unwrap_or((text, ""));
        let mut replaces = None;
        for header in headers.split('&') {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            if name.eq_ignore_ascii_case("Replaces") {
                replaces = Some(Replaces::parse(&unescape(value)?)?);
            }
        }
        let method = address
            .uri
            .param("method")
            .filter(|m| !m.eq_ignore_ascii_case("INVITE"))
            .map(str::to_owned);
        Some(ReferTo {
            uri: uri.to_owned(),
            replaces,
            method,
        })
    }
}

/// Undoes %HH; `None` if the result is no UTF-8 or would break a line.
fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            let digits = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(out)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaces_survives_the_way_through_a_uri() {
        let replaces = Replaces {
            call_id: "a1@10.0.0.1".into(),
            to_tag: "t&1".into(),
            from_tag: "f;x".replace(';', ""),
            early_only: true,
        };
        let uri = replaces.in_uri("sip:bob@192.0.2.9;transport=tcp");
        assert!(uri.contains("?Replaces=a1%4010.0.0.1%3Bto-tag%3Dt%261%3B"), "{uri}");
        let refer_to = ReferTo::parse(&format!("\"Bob\" <{uri}&Subject=x>")).unwrap();
        assert_eq!(refer_to.uri, "sip:bob@192.0.2.9;transport=tcp");
        assert_eq!(refer_to.replaces, Some(replaces));
        assert_eq!(refer_to.method, None);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for value in [
            "",
            "<sip:>",
            "<sip:a@b?Replaces=x>",
            "<sip:a@b?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D%0d%0a>",
            "<sip:a@b?Replaces=%4>",
        ] {
            assert_eq!(ReferTo::parse(value), None, "{value}");
        }
        assert_eq!(Replaces::parse("x;to-tag=1"), None);
        let bye = ReferTo::parse("sip:a@b;method=BYE").map(|r| r.method);
        assert_eq!(
            bye,
            None.or(Some(None)),
            "without brackets parameters belong to the header"
        );
        assert_eq!(
            ReferTo::parse("<sip:a@b;method=BYE>").unwrap().method.as_deref(),
            Some("BYE")
        );
    }
}
