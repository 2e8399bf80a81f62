//! One attempt: checks, the POST, redirects.

use crate::client::{DeniedAddress, HttpClient, uri};
use crate::policy::Policy;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use rustls::ClientConfig;
use sha2::Sha256;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use strowger_core::Stamp;
use strowger_store::Delivery;
use url::Url;

/// Most redirects that one attempt follows.
const REDIRECTS: usize = 3;

/// Most bytes of a response body that are read; the rest costs the connection. A short body is read so that its
/// connection can be used again.
const BODY: usize = 16 * 1024;

/// Longest wait for the rest of a response body.
const BODY_WAIT: Duration = Duration::from_millis(500);

pub(crate) const AGENT: &str = concat!("Strowger/", env!("CARGO_PKG_VERSION"));
const DELIVERY: HeaderName = HeaderName::from_static("x-strowger-delivery");
const ATTEMPT: HeaderName = HeaderName::from_static("x-strowger-attempt");
const KEY: HeaderName = HeaderName::from_static("x-strowger-key");
const BATCH: HeaderName = HeaderName::from_static("x-strowger-batch");
const SIGNATURE: HeaderName = HeaderName::from_static("x-strowger-signature");

const TIMESTAMP: HeaderName = HeaderName::from_static("x-strowger-timestamp");
const EVENT: HeaderName = HeaderName::from_static("x-strowger-event");
const SEQUENCE: HeaderName = HeaderName::from_static("x-strowger-sequence");

/// The headers by which a receiver knows who sent a body, made once for all requests of an attempt.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Signed(Vec<(HeaderName, HeaderValue)>);

impl Signed {
    /// Of the body alone, with the secret of an application if it has one.
    pub(crate) fn plain(secret: Option<&str>, body: &[u8]) -> Signed {
        let signature = secret.map(|s| (SIGNATURE, header_value(&sign(s, &[body]))));
        Signed(signature.into_iter().collect())
    }

    /// Of an event for a webhook: with each of its secrets, over the time in seconds since 1970, a full stop and the body,
    /// so that a receiver can tell an old body that somebody else sends again.
    pub(crate) fn dated<'a>(secrets: impl Iterator<Item = &'a str>, at: Stamp, delivery: &Delivery) -> Signed {
        let time = at.0.div_euclid(1000).to_string();
        let parts = [time.as_bytes(), b".", &delivery.body];
        let signatures: Vec<String> = secrets.map(|s| sign(s, &parts)).collect();
        let event = format!("{}-{}", delivery.conversation, delivery.seq);
        let mut headers = vec![
            (TIMESTAMP, header_value(&time)),
            (EVENT, header_value(&event)),
            (SEQUENCE, HeaderValue::from(delivery.seq)),
        ];
        if !signatures.is_empty() {
            headers.push((SIGNATURE, header_value(&signatures.join(","))));
        }
        Signed(headers)
    }
}

/// Why an attempt failed. The texts go to operators and logs and name neither URL nor body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the URL is not usable")]
    Url,
    #[error("the address is private or special, and the tenant does not allow it")]
    Denied,
    #[error("the name of the host was not resolved")]
    Resolve,
    #[error("no connection: {0}")]
    Connect(&'static str),
    #[error("no complete answer in time")]
    Timeout,
    #[error("the connection was lost")]
    Lost,
    #[error("more than {REDIRECTS} redirects")]
    Redirects,
    #[error("a redirect without a usable address")]
    Location,
    #[error("a redirect from https to http")]
    Downgrade,
    #[error("the webhook is disabled")]
    Disabled,
    #[error("the webhook has been removed")]
    Gone,
    #[error("HTTP {0}")]
    Status(u16),
}

/// Where a push goes.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: Arc<Url>,
    pub(crate) uri: Uri,
    /// Name and password of the URL, as the header that carries them.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Target {
    fn of(url: Url) -> Result<Target, Failure> {
        let mut bare = url.clone();
        // A URL with a host has room for neither.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let decoded = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
            let pair = [
                decoded(url.username()),
                b":".to_vec(),
                decoded(url.password().unwrap_or("")),
            ]
            .concat();
            let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
                .unwrap_or(HeaderValue::from_static("Basic"));
            value.set_sensitive(true);
            value
        });
        Ok(Target {
            uri: uri(&bare).ok_or(Failure::Url)?,
            url: Arc::new(url),
            authorization,
        })
    }
}

/// Who makes the attempts of one tenant.
pub(crate) struct Sender {
    client: HttpClient,
    pub(crate) policy: Policy,
    /// The last URL with its parsed form: deliveries that follow one another mostly go to the same one.
    last: Mutex<Option<(String, Target)>>,
}

impl Sender {
    pub(crate) fn new(policy: Policy, timeout: Duration, tls: &Arc<ClientConfig>) -> Sender {
        Sender {
            client: HttpClient::new(policy.clone(), timeout, tls),
            policy,
            last: Mutex::default(),
        }
    }

    pub(crate) const fn client(&self) -> &HttpClient {
        &self.client
    }

    pub(crate) fn target(&self, text: &str) -> Result<Target, Failure> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, target)) = last.as_ref().filter(|(known, _)| known == text) {
            return Ok(target.clone());
        }
        let target = Target::of(Url::parse(text).map_err(|_| Failure::Url)?)?;
        *last = Some((text.to_owned(), target.clone()));
        Ok(target)
    }

    /// Makes one attempt, number `attempt`, within `timeout` in all. `members` is the number of bodies in an array.
    pub(crate) async fn attempt(
        &self,
        delivery: &Delivery,
        attempt: u32,
        members: Option<usize>,
        signed: &Signed,
        timeout: Duration,
    ) -> Result<(), Failure> {
        // Several kilobytes, which would be moved with every future around it.
        let run = Box::pin(self.follow(delivery, attempt, members, signed));
        tokio::time::timeout(timeout, run)
            .await
            .unwrap_or(Err(Failure::Timeout))
    }

    async fn follow(
        &self,
        delivery: &Delivery,
        attempt: u32,
        members: Option<usize>,
        signed: &Signed,
    ) -> Result<(), Failure> {
        let mut target = self.target(&delivery.url)?;
        let body = Bytes::copy_from_slice(&delivery.body);
        for _ in 0..=REDIRECTS {
            self.check(&target.url)?;
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = http::Method::POST;
            *request.uri_mut() = target.uri.clone();
            let headers = request.headers_mut();
            headers.insert(CONTENT_TYPE, header_value(&delivery.content_type));
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
            headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
            headers.insert(DELIVERY, HeaderValue::from(delivery.id));
            headers.insert(ATTEMPT, HeaderValue::from(attempt));
            headers.insert(KEY, header_value(&delivery.key));
            if let Some(members) = members {
                headers.insert(BATCH, HeaderValue::from(members));
            }
            for (name, value) in &signed.0 {
                headers.insert(name.clone(), value.clone());
            }
            if let Some(authorization) = &target.authorization {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            let response = self.client.send(request).await.map_err(|e| failure(&e))?;
            let status = response.status();
            if status.is_success() {
                drain(response).await;
                return Ok(());
            }
            if !is_followed(status) {
                drain(response).await;
                return Err(Failure::Status(status.as_u16()));
            }
            let location = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
            let next = location
                .and_then(|l| target.url.join(l).ok())
                .ok_or(Failure::Location)?;
            if target.url.scheme() == "https" && next.scheme() == "http" {
                return Err(Failure::Downgrade);
            }
            drain(response).await;
            target = Target::of(next)?;
        }
        Err(Failure::Redirects)
    }

    /// Checks what the resolver does not see: the scheme, and hosts that are addresses already.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Failure> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::Url);
        }
        let host = url.host_str().ok_or(Failure::Url)?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(ip) if !self.policy.allows(ip) => Err(Failure::Denied),
            _ => Ok(()),
        }
    }
}

/// 303 asks for a GET, which delivers nothing; 300 and 304 make no sense here.
fn is_followed(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 307 | 308)
}

/// Characters that a header cannot carry become `?`: a key is made of ids and positions.
fn header_value(text: &str) -> HeaderValue {
    if text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("?"));
    }
    let clean: String = text
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect();
    HeaderValue::from_str(&clean).unwrap_or(HeaderValue::from_static("?"))
}

/// `sha256=` and the HMAC of a body, which is all of its parts, in hexadecimal.
fn sign(secret: &str, body: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    body.iter().for_each(|part| mac.update(part));
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Reads a short body. The status has decided already, so what goes wrong here does not matter.
async fn drain(response: Response<Incoming>) {
    let mut body = response.into_body();
    let read = async {
        let mut left = BODY;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(chunk) = frame.data_ref() else { continue };
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = tokio::time::timeout(BODY_WAIT, read).await;
}

/// What a client error was.
pub(crate) fn failure(error: &hyper_util::client::legacy::Error) -> Failure {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<DeniedAddress>() {
            return Failure::Denied;
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            match io.kind() {
                std::io::ErrorKind::ConnectionRefused => return Failure::Connect("refused"),
                std::io::ErrorKind::HostUnreachable => return Failure::Connect("host unreachable"),
                std::io::ErrorKind::NetworkUnreachable => return Failure::Connect("network unreachable"),
                std::io::ErrorKind::TimedOut => return Failure::Timeout,
                _ => {}
            }
        }
        source = cause.source();
    }
    if error.is_connect() {
        // The client names the failing stage in its text only; a resolver that fails has no kind of its own.
        let text = format!("{error:?}");
        if text.contains("dns error") {
            Failure::Resolve
        } else {
            Failure::Connect("refused, or TLS failed")
        }
    } else {
        Failure::Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256() {
        // RFC 4231, test case 2.
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign("Jefe", &[b"what do ya want ", b"for nothing?"]), expected);
    }

    #[test]
    fn hosts_in_other_spellings_are_addresses_too() {
        let sender = Sender::new(
            Policy::default(),
            Duration::from_secs(1),
            &crate::client::roots(&[]).unwrap(),
        );
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]:80/",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/latest",
        ] {
            assert_eq!(sender.check(&Url::parse(url).unwrap()), Err(Failure::Denied), "{url}");
        }
        assert_eq!(sender.check(&Url::parse("ftp://h/").unwrap()), Err(Failure::Url));
        assert_eq!(sender.check(&Url::parse("http://example.com/").unwrap()), Ok(()));
    }

    #[test]
    fn name_and_password_of_a_url_become_a_header() {
        let target = Target::of(Url::parse("https://al%20ice:s%3Aecret@example.com:8443/in?x=1").unwrap()).unwrap();
        assert_eq!(target.uri, "https://example.com:8443/in?x=1");
        assert_eq!(target.authorization.unwrap(), "Basic YWwgaWNlOnM6ZWNyZXQ=");
        let plain = Target::of(Url::parse("http://example.com").unwrap()).unwrap();
        assert_eq!((plain.uri.path(), plain.authorization), ("/", None));
    }

    #[test]
    fn keys_become_header_values() {
        assert_eq!(header_value("a/1\r\nX: y"), "a/1??X: y");
    }
}
