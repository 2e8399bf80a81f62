//! A synthesiser behind HTTP: `docs/speech.md` says what it is sent and what it answers.

use super::{MAX_ANSWER, Speaking, SynthesisError, TextToSpeech, Utterance};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url, redirect};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Which addresses may be connected to.
pub type Allows = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Where the provider is.
#[derive(Clone)]
pub struct HttpSettings {
    /// An `http` or `https` URL that takes POST requests.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<String>,
    /// For everything, from the connection to the last octet.
    pub timeout: Duration,
    /// The rule that the addresses of the URL's host must pass.
    pub allows: Allows,
}

/// The provider.
pub struct HttpEngine {
    client: Client,
    url: Url,
    settings: HttpSettings,
}

/// The resolver found no address that is allowed.
#[derive(Debug, thiserror::Error)]
#[error("the address is not allowed")]
struct Denied;

/// Resolves names to allowed addresses only, and the client connects to these.
struct Checked(Allows);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let allows = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|a| allows(a.ip())).collect();
            if allowed.is_empty() {
                return Err(Denied.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

impl HttpEngine {
    /// A client of the provider.
    ///
    /// # Errors
    /// [`SynthesisError::Failed`]: the URL cannot be used.
    pub fn new(settings: HttpSettings) -> Result<HttpEngine, SynthesisError> {
        let failed = |why: String| SynthesisError::Failed {
            engine: "http".into(),
            why,
        };
        let url = Url::parse(&settings.url).map_err(|e| failed(format!("speech.synthesis.url: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(failed("speech.synthesis.url is neither http nor https".into()));
        }
        let client = Client::builder()
            .dns_resolver(Arc::new(Checked(settings.allows.clone())))
            // A proxy would connect on our behalf, past the rule, and a redirect could lead anywhere.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(settings.timeout)
            .user_agent(concat!("Strowger/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| failed(e.to_string()))?;
        Ok(HttpEngine { client, url, settings })
    }

    fn unreachable(&self, why: &str) -> SynthesisError {
        SynthesisError::Unreachable {
            engine: self.identity(),
            why: why.into(),
        }
    }

    async fn ask(&self, utterance: &Utterance) -> Result<Vec<u8>, SynthesisError> {
        // An address in the URL is not looked up, so the resolver does not see it.
        let host = self.url.host_str().unwrap_or_default();
        let literal: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
        if literal.is_ok_and(|ip| !(self.settings.allows)(ip)) {
            return Err(self.unreachable("its address is private or special; name it in speech.synthesis.allow"));
        }
        let body = serde_json::json!({
            "text": utterance.text(),
            "language": utterance.language().code(),
            "voice": utterance.voice(),
        });
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("accept", "audio/wav, audio/ogg, audio/mpeg")
            .body(body.to_string());
        if let Some(token) = &self.settings.token {
            request = request.bearer_auth(token);
        }
        let mut response = request.send().await.map_err(|e| self.no_answer(&e))?;
        let status = response.status();
        if !status.is_success() {
            return Err(SynthesisError::Failed {
                engine: self.identity(),
                why: format!("HTTP {}", status.as_u16()),
            });
        }
        let mut answer = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|e| self.no_answer(&e))? {
            answer.extend_from_slice(&piece);
            if answer.len() > MAX_ANSWER {
                return Err(SynthesisError::Failed {
                    engine: self.identity(),
                    why: "it answered with more than can be taken in".into(),
                });
            }
        }
        Ok(answer)
    }

    fn no_answer(&self, error: &reqwest::Error) -> SynthesisError {
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            if inner.is::<Denied>() {
                return self.unreachable("its address is private or special; name it in speech.synthesis.allow");
            }
            source = inner.source();
        }
        self.unreachable(if error.is_connect() {
            "no connection"
        } else {
            "the connection was lost"
        })
    }
}

impl TextToSpeech for HttpEngine {
    /// Scheme, host and path: a query may hold what is secret.
    fn identity(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|p| format!(":{p}")).unwrap_or_default();
        format!("{}://{host}{port}{}", self.url.scheme(), self.url.path())
    }

    fn speak<'a>(&'a self, utterance: &'a Utterance) -> Speaking<'a> {
        let after = self.settings.timeout;
        Box::pin(async move {
            tokio::time::timeout(after, self.ask(utterance))
                .await
                .unwrap_or_else(|_| {
                    Err(SynthesisError::Slow {
                        engine: self.identity(),
                        after,
                    })
                })
        })
    }
}
