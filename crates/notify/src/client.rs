//! The HTTP client of pushes: connections to checked addresses only, kept open and used again.

use crate::policy::Policy;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Connections of one host that are kept while nobody uses them. Results come in bursts of a group commit: fewer would
/// close and open connections all the time.
const IDLE_PER_HOST: usize = 64;

/// The resolver found no address that the policy allows.
#[derive(Debug, thiserror::Error)]
#[error("the address is not allowed")]
pub(crate) struct DeniedAddress;

/// Resolves names to allowed addresses only. The client connects to what this returns, so a name cannot mean one
/// address for the check and another one for the connection.
#[derive(Clone)]
struct Checked(Policy);

type Addresses = std::vec::IntoIter<SocketAddr>;
type Cause = Box<dyn std::error::Error + Send + Sync>;

impl tower::Service<Name> for Checked {
    type Response = Addresses;
    type Error = Cause;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, Cause>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let policy = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|a| policy.allows(a.ip())).collect();
            if allowed.is_empty() {
                return Err(DeniedAddress.into());
            }
            Ok(allowed.into_iter())
        })
    }
}

/// Whom TLS servers have to be vouched for by: the public authorities, those of the operating system, and `extra`
/// certificates in PEM. `None` if one of `extra` is no certificate.
pub(crate) fn roots(extra: &[Vec<u8>]) -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    // What of the system's cannot be read or used is its own matter: the public ones are there.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for pem in extra {
        let mut any = false;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.ok()?).ok()?;
            any = true;
        }
        if !any {
            return None;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Some(Arc::new(config))
}

/// A client for the pushes of one tenant. Its pooled connections are the tenant's own: a connection that another
/// tenant's policy allowed is never used. It follows no redirect and knows no proxy, which would connect past the policy.
pub(crate) struct HttpClient(Client<HttpsConnector<HttpConnector<Checked>>, Full<Bytes>>);

impl HttpClient {
    /// One that gives a connection up after `timeout`.
    pub(crate) fn new(policy: Policy, timeout: Duration, tls: &Arc<ClientConfig>) -> HttpClient {
        let mut tcp = HttpConnector::new_with_resolver(Checked(policy));
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config((**tls).clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        HttpClient(
            Client::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST)
                .pool_timer(TokioTimer::new())
                .build(connector),
        )
    }

    /// Sends a request; its answer's head is there, its body still comes.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        self.0.request(request).await
    }
}

/// The address of a URL as the client wants it.
pub(crate) fn uri(url: &url::Url) -> Option<Uri> {
    Uri::try_from(url.as_str()).ok()
}
