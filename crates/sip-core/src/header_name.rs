//! Names of header fields as a byte-sized enum, so that the index of a message stays small.

macro_rules! names {
    ($( $variant:ident = $text:literal $(/ $compact:literal)? ),+ $(,)?) => {
        /// A header field name that this crate reads or writes; all others are [`HeaderName::Other`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum HeaderName { $($variant,)+ Other }

        impl HeaderName {
            /// The canonical spelling; empty for [`HeaderName::Other`].
            pub const fn as_str(self) -> &'static str {
                match self { $(HeaderName::$variant => $text,)+ HeaderName::Other => "" }
            }

            /// Recognises a name in any case, and its compact form (RFC 3261 §7.3.3).
            pub fn from_bytes(name: &[u8]) -> HeaderName {
                if let [one] = name {
                    return match one.to_ascii_lowercase() {
                        $($( $compact => HeaderName::$variant, )?)+
                        _ => HeaderName::Other,
                    };
                }
                const TABLE: &[(&str, HeaderName)] = &[$(($text, HeaderName::$variant)),+];
                /// The entries with each length and with each first letter, a bit each: hardly ever is more than one of
                /// them in both sets.
                const SETS: ([u64; 32], [u64; 32]) = {
                    assert!(TABLE.len() <= 64);
                    let (mut lengths, mut letters) = ([0; 32], [0; 32]);
                    let mut i = 0;
                    while i < TABLE.len() {
                        let text = TABLE[i].0.as_bytes();
                        lengths[text.len()] |= 1 << i;
                        letters[text[0] as usize & 31] |= 1 << i;
                        i += 1;
                    }
                    (lengths, letters)
                };
                let Some(first) = name.first().filter(|_| name.len() < 32) else {
                    return HeaderName::Other;
                };
                let mut both = SETS.0[name.len()] & SETS.1[usize::from(*first & 31)];
                while both != 0 {
                    let (text, header) = TABLE[both.trailing_zeros() as usize];
                    if text.as_bytes() == name || text.as_bytes().eq_ignore_ascii_case(name) {
                        return header;
                    }
                    both &= both - 1;
                }
                HeaderName::Other
            }
        }
    };
}

names! {
    Via = "Via" / b'v',
    From = "From" / b'f',
    To = "To" / b't',
    CallId = "Call-ID" / b'i',
    CSeq = "CSeq",
    Contact = "Contact" / b'm',
    MaxForwards = "Max-Forwards",
    ContentLength = "Content-Length" / b'l',
    ContentType = "Content-Type" / b'c',
    RecordRoute = "Record-Route",
    Route = "Route",
    Allow = "Allow",
    Supported = "Supported" / b'k',
    Require = "Require",
    ProxyRequire = "Proxy-Require",
    Unsupported = "Unsupported",
    Reason = "Reason",
    RetryAfter = "Retry-After",
    UserAgent = "User-Agent",
    Server = "Server",
    WwwAuthenticate = "WWW-Authenticate",
    ProxyAuthenticate = "Proxy-Authenticate",
    Authorization = "Authorization",
    ProxyAuthorization = "Proxy-Authorization",
    PAssertedIdentity = "P-Asserted-Identity",
    PPreferredIdentity = "P-Preferred-Identity",
    RemotePartyId = "Remote-Party-ID",
    Privacy = "Privacy",
    Diversion = "Diversion",
    HistoryInfo = "History-Info",
    Accept = "Accept",
    ContentEncoding = "Content-Encoding" / b'e',
    ContentDisposition = "Content-Disposition",
    Expires = "Expires",
    MinExpires = "Min-Expires",
    Event = "Event" / b'o',
    SubscriptionState = "Subscription-State",
    ReferTo = "Refer-To" / b'r',
    ReferredBy = "Referred-By" / b'b',
    Replaces = "Replaces",
    SessionExpires = "Session-Expires" / b'x',
    MinSe = "Min-SE",
    RSeq = "RSeq",
    RAck = "RAck",
    Path = "Path",
    ServiceRoute = "Service-Route",
    Warning = "Warning",
    Subject = "Subject" / b's',
    Date = "Date",
    Timestamp = "Timestamp",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_nothing_else_is() {
        for name in [
            HeaderName::Via,
            HeaderName::CallId,
            HeaderName::ProxyAuthorization,
            HeaderName::Timestamp,
        ] {
            let text = name.as_str();
            assert_eq!(HeaderName::from_bytes(text.as_bytes()), name);
            assert_eq!(HeaderName::from_bytes(text.to_uppercase().as_bytes()), name);
            assert_eq!(HeaderName::from_bytes(text.to_lowercase().as_bytes()), name);
        }
        for other in [
            &b""[..],
            b"X-Via",
            b"Vib",
            b"6ia",
            b"Subjecu",
            &[b'V'; 31],
            &[b'V'; 32],
            &[b'V'; 300],
        ] {
            assert_eq!(HeaderName::from_bytes(other), HeaderName::Other);
        }
        assert_eq!(HeaderName::from_bytes(b"I"), HeaderName::CallId);
    }
}
