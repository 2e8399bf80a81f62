//! One leg's connection to an engine: audio out, results in, and again after a loss.

use super::protocol::{Heard, Hello};
use super::{Audio, EngineSettings, Supply, Update};
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// How often audio is taken and sent.
const TICK: Duration = Duration::from_millis(100);
/// Samples of a millisecond.
const A_MS: u64 = 8;
/// Largest message that an engine may send.
const MAX_MESSAGE: usize = 256 << 10;
/// How long an engine has for its last results.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// The wait before another attempt doubles from the first to the second of these.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// Why an engine cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecognitionError {
    /// The settings cannot work.
    #[error("speech.recognition.url is not usable: {0}")]
    Url(String),
    /// Nobody answers there.
    #[error("the speech recogniser cannot be reached: {0}")]
    Unreachable(String),
    /// It answers, and not as a WebSocket server.
    #[error("the speech recogniser refused the connection: {0}")]
    Refused(String),
    /// It answers too slowly.
    #[error("the speech recogniser took longer than {} ms", .0.as_millis())]
    Slow(Duration),
    /// The connection broke.
    #[error("the connection to the speech recogniser was lost: {0}")]
    Lost(String),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Socket = WebSocketStream<Box<dyn Stream>>;

/// Opens connections to one engine.
pub struct Connector {
    settings: EngineSettings,
    uri: Uri,
    tls: Option<TlsConnector>,
}

impl Connector {
    /// Checks the settings; connects nowhere yet.
    ///
    /// # Errors
    /// [`RecognitionError::Url`].
    pub fn new(settings: EngineSettings) -> Result<Connector, RecognitionError> {
        let uri: Uri = settings
            .url
            .parse()
            .map_err(|e| RecognitionError::Url(format!("{e}")))?;
        let tls = match uri.scheme_str() {
            Some("ws") => None,
            Some("wss") => Some(tls()?),
            _ => return Err(RecognitionError::Url("it begins with neither ws:// nor wss://".into())),
        };
        if uri.host().is_none() {
            return Err(RecognitionError::Url("it names no host".into()));
        }
        Ok(Connector { settings, uri, tls })
    }

    /// Opens a connection and closes it again: whether there is an engine.
    ///
    /// # Errors
    /// [`RecognitionError`].
    pub async fn check(&self) -> Result<(), RecognitionError> {
        let mut socket = self.connect().await?;
        // Whether it says good-bye makes no difference.
        let _ = tokio::time::timeout(self.settings.timeout, socket.close(None)).await;
        Ok(())
    }

    async fn connect(&self) -> Result<Socket, RecognitionError> {
        let after = self.settings.timeout;
        tokio::time::timeout(after, self.handshake())
            .await
            .unwrap_or(Err(RecognitionError::Slow(after)))
    }

    async fn handshake(&self) -> Result<Socket, RecognitionError> {
        let unreachable = |e: std::io::Error| RecognitionError::Unreachable(e.to_string());
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let tcp = TcpStream::connect((host, port)).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|_| RecognitionError::Url("its host is no name that a certificate could have".into()))?;
                Box::new(tls.connect(name, tcp).await.map_err(unreachable)?)
            }
        };
        let refused = |e: tokio_tungstenite::tungstenite::Error| RecognitionError::Refused(e.to_string());
        let mut request = self.settings.url.as_str().into_client_request().map_err(refused)?;
        if let Some(token) = &self.settings.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| RecognitionError::Url("the token holds characters that a header cannot".into()))?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(limits))
            .await
            .map_err(refused)?;
        Ok(socket)
    }
}

fn tls() -> Result<TlsConnector, RecognitionError> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // One that cannot be read is one that nothing is signed by.
        let _ = roots.add(certificate);
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| RecognitionError::Url(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Has one leg recognised until its audio ends. A connection that fails is opened again, later and later; the audio of
/// that time is lost, and said so.
pub async fn recognise(connector: &Connector, hello: &Hello, mut audio: impl Audio, mut news: impl FnMut(Update)) {
    let mut leg = Leg {
        position: 0,
        missed: 0,
        pending: Vec::new(),
    };
    let mut wait = RETRY.0;
    let mut lost_before = false;
    loop {
        let why = match connector.connect().await {
            Ok(socket) => {
                if std::mem::replace(&mut lost_before, false) {
                    news(Update::Resumed);
                }
                let begun = Instant::now();
                match leg.run(connector, socket, hello, &mut audio, &mut news).await {
                    Ok(()) => break,
                    Err(why) => {
                        if begun.elapsed() > RETRY.1 {
                            wait = RETRY.0;
                        }
                        why
                    }
                }
            }
            Err(why) => why,
        };
        if !lost_before {
            news(Update::Interrupted { why: why.to_string() });
            lost_before = true;
        }
        if leg.idle(wait, &mut audio).await == Supply::Ended {
            break;
        }
        wait = (wait * 2).min(RETRY.1);
    }
    leg.gap(&mut news);
    news(Update::Ended);
}

/// What is known of a leg across connections. Counts are samples.
struct Leg {
    /// All audio so far, heard or lost.
    position: u64,
    /// What was lost and not told yet.
    missed: u64,
    pending: Vec<i16>,
}

impl Leg {
    fn take(&mut self, audio: &mut impl Audio) -> Supply {
        self.pending.clear();
        let mut dropped = 0;
        let supply = audio.take(&mut self.pending, &mut dropped);
        self.position += dropped + self.pending.len() as u64;
        self.missed += dropped;
        supply
    }

    fn gap(&mut self, news: &mut impl FnMut(Update)) {
        let ms = self.missed / A_MS;
        if ms > 0 {
            self.missed -= ms * A_MS;
            news(Update::Gap { ms });
        }
    }

    /// Lets audio go by for a while.
    async fn idle(&mut self, wait: Duration, audio: &mut impl Audio) -> Supply {
        let until = Instant::now() + wait;
        loop {
            let supply = self.take(audio);
            self.missed += self.pending.len() as u64;
            if supply == Supply::Ended || Instant::now() >= until {
                return supply;
            }
            tokio::time::sleep_until(until.min(Instant::now() + TICK)).await;
        }
    }

    /// One connection, to the end of the audio or of the connection.
    async fn run(
        &mut self,
        connector: &Connector,
        socket: Socket,
        hello: &Hello,
        audio: &mut impl Audio,
        news: &mut impl FnMut(Update),
    ) -> Result<(), RecognitionError> {
        let lost = |e: tokio_tungstenite::tungstenite::Error| RecognitionError::Lost(e.to_string());
        let protocol = connector.settings.protocol;
        let timeout = connector.settings.timeout;
        let (mut out, mut back) = socket.split();
        out.send(Message::text(protocol.hello(hello))).await.map_err(lost)?;
        let stream = Stretch {
            begun: self.position,
            heard: self.position,
        };
        let mut stretch = stream;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = back.next() => {
                    let message = message.ok_or_else(|| RecognitionError::Lost("it was closed".into()))?.map_err(lost)?;
                    stretch.read(connector, &message, news)?;
                }
                _ = tick.tick() => {
                    let supply = self.take(audio);
                    self.gap(news);
                    if !self.pending.is_empty() {
                        let bytes: Vec<u8> = self.pending.iter().flat_map(|s| s.to_le_bytes()).collect();
                        // An engine that takes no more holds this up, and the audio behind it is dropped by its source.
                        let sent = tokio::time::timeout(timeout, out.send(Message::Binary(Bytes::from(bytes)))).await;
                        sent.map_err(|_| RecognitionError::Slow(timeout))?.map_err(lost)?;
                        stretch.heard = self.position;
                    }
                    if supply == Supply::Ended {
                        break;
                    }
                }
            }
        }
        out.send(Message::text(protocol.bye())).await.map_err(lost)?;
        let rest = async {
            // Its last words, to the close or the loss of the connection.
            while let Some(Ok(message)) = back.next().await {
                if message.is_close() || stretch.read(connector, &message, news).is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
        Ok(())
    }
}

/// The part of a leg's audio that one connection has heard, as positions in samples.
struct Stretch {
    begun: u64,
    heard: u64,
}

impl Stretch {
    fn read(
        &self,
        connector: &Connector,
        message: &Message,
        news: &mut impl FnMut(Update),
    ) -> Result<(), RecognitionError> {
        let text = match message {
            Message::Text(text) => text.as_str(),
            Message::Close(_) => return Err(RecognitionError::Lost("it was closed".into())),
            _ => return Ok(()),
        };
        let heard = connector.settings.protocol.read(text);
        match heard.map_err(|e| RecognitionError::Lost(e.to_string()))? {
            Heard::Nothing => {}
            Heard::Partial(text) => news(Update::Partial { text }),
            Heard::Final { text, span } => {
                let (begun, heard) = (self.begun / A_MS, self.heard / A_MS);
                // An engine that knows no times has at least not heard what comes later.
                let (begin_ms, end_ms) = match span {
                    Some((begin, end)) => (begun.saturating_add(begin), begun.saturating_add(end)),
                    None => (heard, heard),
                };
                news(Update::Final { text, begin_ms, end_ms });
            }
            Heard::Refused(why) => return Err(RecognitionError::Refused(why)),
        }
        Ok(())
    }
}
