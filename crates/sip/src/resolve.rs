//! Asking the DNS where the servers of a URI are (RFC 3263), around the pure [`locate`](strowger_sip_core::locate).

use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use strowger_sip_core::locate::{
    Answer, Failures, Family, LocateError, Naptr, Plan, Question, Rules, Srv, locate, server_name,
};
use strowger_sip_core::{Target, Time, Transport, Uri};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// Rounds of questions: NAPTR, SRV, addresses, and one to spare.
const MAX_ROUNDS: usize = 4;
/// Questions of one round; the rest counts as unanswered.
const MAX_QUESTIONS: usize = 64;

/// How the DNS is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverSettings {
    /// Servers to ask; empty means those of the system, /etc/hosts included.
    pub servers: Vec<SocketAddr>,
    /// Transports and address families that we have, best first.
    pub rules: Rules,
    /// How long one server may take for one answer: 2 s. It is asked twice.
    pub timeout: Duration,
    /// How long all answers for one URI may take: 5 s.
    pub overall: Duration,
    /// Responses kept, each as long as its TTL says, at most an hour: 4,096.
    pub cache: u64,
    /// URIs that are looked up at once; more wait: 256.
    pub concurrent: usize,
}

impl Default for ResolverSettings {
    fn default() -> Self {
        ResolverSettings {
            servers: Vec::new(),
            rules: Rules {
                transports: vec![Transport::Udp, Transport::Tcp, Transport::Tls],
                families: vec![Family::V4],
            },
            timeout: Duration::from_secs(2),
            overall: Duration::from_secs(5),
            cache: 4_096,
            concurrent: 256,
        }
    }
}

/// Why a URI leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The URI or the DNS does not allow it.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// The DNS did not answer, or with an error: later it may.
    #[error("the DNS does not answer")]
    Dns,
    /// The system's configuration cannot be read.
    #[error("the system's resolver cannot be used: {0}")]
    System(String),
}

/// A destination for requests to a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Protocol and address.
    pub target: Target,
    /// The name that its certificate must bear, for [`TlsPeer`](crate::TlsPeer); `None` for a literal address.
    pub server_name: Option<Arc<str>>,
}

struct Inner {
    dns: TokioResolver,
    settings: ResolverSettings,
    failures: Mutex<Failures>,
    room: Semaphore,
    origin: Instant,
}

/// Finds servers and remembers which of them failed. Clones share cache and memory. Belongs to the runtime in which it
/// is first used.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

impl Resolver {
    /// A resolver that has asked nothing yet. Reads the system's configuration if no servers are given.
    ///
    /// # Errors
    /// [`ResolveError::System`].
    pub fn new(settings: ResolverSettings) -> Result<Resolver, ResolveError> {
        let system = |error: hickory_resolver::net::NetError| ResolveError::System(error.to_string());
        let mut builder = if settings.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(system)?
        } else {
            let servers = settings.servers.iter().map(|addr| {
                let mut ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                for way in &mut ways {
                    way.port = addr.port();
                }
                NameServerConfig::new(addr.ip(), true, ways.into())
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        tune(builder.options_mut(), &settings);
        Ok(Resolver {
            inner: Arc::new(Inner {
                dns: builder.build().map_err(system)?,
                room: Semaphore::new(settings.concurrent.max(1)),
                settings,
                failures: Mutex::default(),
                origin: Instant::now(),
            }),
        })
    }

    fn now(&self) -> Time {
        Time(self.inner.origin.elapsed().as_micros() as u64)
    }

    /// The destinations of a URI in the order in which they are to be tried; not empty. What [failed](Self::failed)
    /// within the last minute comes last. Cancel-safe.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn locate(&self, uri: &Uri) -> Result<Vec<Located>, ResolveError> {
        let looking = async {
            // The semaphore is never closed.
            let _room = self.inner.room.acquire().await.map_err(|_| ResolveError::Dns)?;
            self.look_up(uri).await
        };
        let mut targets = match timeout(self.inner.settings.overall, looking).await {
            Ok(found) => found?,
            Err(_) => return Err(ResolveError::Dns),
        };
        let failures = self.inner.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.order(&mut targets, self.now());
        drop(failures);
        let server_name: Option<Arc<str>> = server_name(uri).map(Into::into);
        let located = targets.into_iter().map(|target| Located {
            target,
            server_name: server_name.clone(),
        });
        Ok(located.collect())
    }

    async fn look_up(&self, uri: &Uri) -> Result<Vec<Target>, ResolveError> {
        let random = getrandom::u64().unwrap_or_default();
        let (mut known, mut silent) = (HashMap::new(), false);
        for _ in 0..MAX_ROUNDS {
            match locate(uri, &self.inner.settings.rules, &known, random) {
                Ok(Plan::Ready(targets)) => return Ok(targets),
                Err(LocateError::NoAddress) if silent => return Err(ResolveError::Dns),
                Err(error) => return Err(error.into()),
                Ok(Plan::Ask(mut questions)) => {
                    for left_out in questions.drain(questions.len().min(MAX_QUESTIONS)..) {
                        known.insert(left_out, Answer::Nothing);
                    }
                    let answers = join_all(questions.iter().map(|question| self.ask(question))).await;
                    for (question, answer) in questions.into_iter().zip(answers) {
                        silent |= answer.is_none();
                        known.insert(question, answer.unwrap_or(Answer::Nothing));
                    }
                }
            }
        }
        Err(ResolveError::Dns)
    }

    /// Asks one question; `None` if nobody could answer it.
    async fn ask(&self, question: &Question) -> Option<Answer> {
        let dns = &self.inner.dns;
        let outcome = match question {
            Question::Addresses(host) => {
                // A name without a dot may be one of the local network or of /etc/hosts.
                let name = if host.contains('.') {
                    format!("{host}.")
                } else {
                    host.clone()
                };
                let found = dns.lookup_ip(name).await;
                found.map(|found| Answer::Addresses(found.iter().collect()))
            }
            Question::Srv(name) => {
                let found = dns.lookup(format!("{name}."), RecordType::SRV).await;
                found.map(|found| Answer::Srv(found.answers().iter().filter_map(|r| srv(&r.data)).collect()))
            }
            Question::Naptr(name) => {
                let found = dns.lookup(format!("{name}."), RecordType::NAPTR).await;
                found.map(|found| Answer::Naptr(found.answers().iter().filter_map(|r| naptr(&r.data)).collect()))
            }
        };
        match outcome {
            Ok(answer) => Some(answer),
            Err(error) if error.is_no_records_found() || error.is_nx_domain() => Some(Answer::Nothing),
            Err(_) => None,
        }
    }

    /// A destination timed out, refused, or answered 503: for a minute the others are tried first (RFC 3263 §4.3).
    pub fn failed(&self, target: Target) {
        let mut failures = self.inner.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.failed(target, self.now());
    }

    /// A destination has answered: it is no longer tried last.
    pub fn answered(&self, target: Target) {
        let mut failures = self.inner.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.answered(target);
    }
}

fn tune(options: &mut ResolverOpts, settings: &ResolverSettings) {
    options.timeout = settings.timeout;
    options.attempts = 1;
    options.cache_size = settings.cache;
    options.positive_max_ttl = Some(Duration::from_secs(3_600));
    options.negative_max_ttl = Some(Duration::from_secs(60));
    if !settings.servers.is_empty() {
        options.use_hosts_file = ResolveHosts::Never;
    }
    let has = |family| settings.rules.families.contains(&family);
    options.ip_strategy = match (has(Family::V4), has(Family::V6)) {
        (true, true) => LookupIpStrategy::Ipv4AndIpv6,
        (false, true) => LookupIpStrategy::Ipv6Only,
        (_, false) => LookupIpStrategy::Ipv4Only,
    };
}

fn srv(data: &RData) -> Option<Srv> {
    let RData::SRV(srv) = data else { return None };
    Some(Srv {
        priority: srv.priority,
        weight: srv.weight,
        port: srv.port,
        target: srv.target.to_ascii(),
    })
}

fn naptr(data: &RData) -> Option<Naptr> {
    let RData::NAPTR(naptr) = data else { return None };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Naptr {
        order: naptr.order,
        preference: naptr.preference,
        flags: text(&naptr.flags),
        services: text(&naptr.services),
        replacement: naptr.replacement.to_ascii(),
    })
}
