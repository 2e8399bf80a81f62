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
                // Length and first letter reject nearly every candidate before a comparison is made.
                let Some(first) = name.first() else { return HeaderName::Other };
                for (text, header) in TABLE {
                    if text.len() == name.len()
                        && text.as_bytes()[0] | 0x20 == *first | 0x20
                        && text.as_bytes().eq_ignore_ascii_case(name)
                    {
                        return *header;
                    }
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
