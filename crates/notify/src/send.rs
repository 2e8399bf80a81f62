//! One attempt: checks, the POST, redirects.

use crate::policy::Policy;
use hmac::{Hmac, Mac};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Client, StatusCode, Url, redirect};
use sha2::Sha256;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use strowger_store::Delivery;

/// Most redirects that one attempt follows.
const REDIRECTS: usize = 3;

/// Most bytes of a response body that are read; the rest costs the connection. A short body is read so that its
/// connection can be used again.
const BODY: usize = 16 * 1024;

/// Longest wait for the rest of a response body.
const BODY_WAIT: Duration = Duration::from_millis(500);

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
    #[error("HTTP {0}")]
    Status(u16),
}

/// The resolver found no address that the policy allows.
#[derive(Debug, thiserror::Error)]
#[error("the address is not allowed")]
struct DeniedAddress;

/// Resolves names to allowed addresses only. The client connects to what this returns, so a name cannot mean one
/// address for the check and another one for the connection.
struct CheckedResolver(Policy);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|a| policy.allows(a.ip())).collect();
            if allowed.is_empty() {
                return Err(DeniedAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// A client for the pushes of one tenant. Its pooled connections are the tenant's own: a connection that another
/// tenant's policy allowed is never used.
pub(crate) struct Sender {
    client: Client,
    pub(crate) policy: Policy,
    /// The last URL with its parsed form: deliveries that follow one another mostly go to the same one.
    last: Mutex<Option<(String, Url)>>,
}

impl Sender {
    pub(crate) fn new(policy: Policy, timeout: Duration, roots: &[reqwest::Certificate]) -> reqwest::Result<Sender> {
        let mut builder = Client::builder()
            .dns_resolver(std::sync::Arc::new(CheckedResolver(policy.clone())))
            // A proxy would connect on our behalf, past the policy.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            // Results come in bursts of a group commit: fewer would close and open connections all the time.
            .pool_max_idle_per_host(64)
            .tcp_nodelay(true)
            .user_agent(concat!("Strowger/", env!("CARGO_PKG_VERSION")));
        for root in roots {
            builder = builder.add_root_certificate(root.clone());
        }
        Ok(Sender {
            client: builder.build()?,
            policy,
            last: Mutex::default(),
        })
    }

    fn parse(&self, text: &str) -> Result<Url, Failure> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = last.as_ref().filter(|(known, _)| known == text) {
            return Ok(url.clone());
        }
        let url = Url::parse(text).map_err(|_| Failure::Url)?;
        *last = Some((text.to_owned(), url.clone()));
        Ok(url)
    }

    /// Makes one attempt, number `attempt`, within `timeout` in all. `members` is the number of bodies in an array.
    pub(crate) async fn attempt(
        &self,
        delivery: &Delivery,
        attempt: u32,
        members: Option<usize>,
        secret: Option<&str>,
        timeout: Duration,
    ) -> Result<(), Failure> {
        // Several kilobytes, which would be moved with every future around it.
        let run = Box::pin(self.follow(delivery, attempt, members, secret));
        tokio::time::timeout(timeout, run)
            .await
            .unwrap_or(Err(Failure::Timeout))
    }

    async fn follow(
        &self,
        delivery: &Delivery,
        attempt: u32,
        members: Option<usize>,
        secret: Option<&str>,
    ) -> Result<(), Failure> {
        let mut url = self.parse(&delivery.url)?;
        let signature = secret.map(|s| sign(s, &delivery.body));
        for _ in 0..=REDIRECTS {
            self.check(&url)?;
            let mut request = self
                .client
                .post(url.clone())
                .header(CONTENT_TYPE, &delivery.content_type)
                .header("x-strowger-delivery", delivery.id)
                .header("x-strowger-attempt", attempt)
                .header("x-strowger-key", header_value(&delivery.key))
                .body(delivery.body.clone());
            if let Some(members) = members {
                request = request.header("x-strowger-batch", members);
            }
            if let Some(signature) = &signature {
                request = request.header("x-strowger-signature", signature);
            }
            let response = request.send().await.map_err(|e| failure(&e))?;
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
            let next = location.and_then(|l| url.join(l).ok()).ok_or(Failure::Location)?;
            if url.scheme() == "https" && next.scheme() == "http" {
                return Err(Failure::Downgrade);
            }
            drain(response).await;
            url = next;
        }
        Err(Failure::Redirects)
    }

    /// Checks what the resolver does not see: the scheme, and hosts that are addresses already.
    fn check(&self, url: &Url) -> Result<(), Failure> {
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
    let clean: String = text
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .collect();
    HeaderValue::from_str(&clean).unwrap_or(HeaderValue::from_static("?"))
}

/// `sha256=` and the HMAC of the body in hexadecimal.
fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Reads a short body. The status has decided already, so what goes wrong here does not matter.
async fn drain(mut response: reqwest::Response) {
    let read = async {
        let mut left = BODY;
        while let Ok(Some(chunk)) = response.chunk().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    let _ = tokio::time::timeout(BODY_WAIT, read).await;
}

/// What a client error was.
fn failure(error: &reqwest::Error) -> Failure {
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
    if error.is_timeout() {
        Failure::Timeout
    } else if error.is_connect() {
        // The client names the failing stage in its text only; a resolver that fails has no kind of its own.
        let text = format!("{error:?}");
        if text.contains("dns error") {
            Failure::Resolve
        } else {
            Failure::Connect("refused, or TLS failed")
        }
    } else if error.is_builder() {
        Failure::Url
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
        assert_eq!(sign("Jefe", b"what do ya want for nothing?"), expected);
    }

    #[test]
    fn hosts_in_other_spellings_are_addresses_too() {
        let sender = Sender::new(Policy::default(), Duration::from_secs(1), &[]).unwrap();
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
    fn keys_become_header_values() {
        assert_eq!(header_value("a/1\r\nX: y"), "a/1??X:?y");
    }
}
