//! Opening a connection: TCP, TLS, WebSocket, from either side.

use crate::connections::Close;
use crate::settings::{TlsPeer, TlsSettings, WsSettings};
use crate::tls::{Certificates, peer_of};
use crate::wire::{Io, Wire, ws_config};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use strowger_sip_core::{Transport, in_networks};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio_tungstenite::{accept_hdr_async_with_config, client_async_with_config};

/// The subprotocol of RFC 7118 §4.1.
const SUBPROTOCOL: &str = "sip";

/// What an accepted connection has to go through.
pub(crate) struct Accepting {
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub ws: Option<Arc<WsSettings>>,
}

/// An open connection, and the address that a trusted proxy in front says it comes from.
pub(crate) struct Opened {
    pub wire: Wire,
    pub forwarded: Option<IpAddr>,
}

/// The handshakes of an accepted connection. The caller bounds the time.
pub(crate) async fn accept(stream: TcpStream, remote: SocketAddr, how: Accepting) -> Result<Opened, Close> {
    // Small messages that are answered: waiting for more to send only delays.
    let _ = stream.set_nodelay(true);
    let io = match how.tls {
        None => Io::plain(stream),
        Some(config) => {
            let stream = TlsAcceptor::from(config)
                .accept(stream)
                .await
                .map_err(|_| Close::Handshake)?;
            Io::tls(stream.into())
        }
    };
    let Some(settings) = how.ws else {
        return Ok(Opened {
            wire: Wire::raw(io),
            forwarded: None,
        });
    };
    let mut forwarded = None;
    #[expect(clippy::result_large_err, reason = "the library's callback is declared so")]
    let check = |request: &Request, mut response: Response| {
        match admit(request.headers(), &settings) {
            Ok(()) => {}
            Err(status) => {
                let mut refusal = ErrorResponse::new(None);
                *refusal.status_mut() = status;
                return Err(refusal);
            }
        }
        forwarded = forwarded_for(request.headers(), &settings, remote.ip());
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        Ok(response)
    };
    let stream = accept_hdr_async_with_config(io, check, Some(ws_config()))
        .await
        .map_err(|_| Close::Handshake)?;
    Ok(Opened {
        wire: Wire::ws(stream),
        forwarded,
    })
}

/// All values of a header whose grammar is a comma-separated list.
fn values<'a>(headers: &'a HeaderMap, name: &'static str) -> impl DoubleEndedIterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether a WebSocket client may come in; else the status that refuses it.
fn admit(headers: &HeaderMap, settings: &WsSettings) -> Result<(), StatusCode> {
    if !settings.origins.is_empty() {
        let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
        let known = |origin: &str| settings.origins.iter().any(|known| known.eq_ignore_ascii_case(origin));
        if !origin.is_some_and(known) {
            return Err(StatusCode::FORBIDDEN);
        }
    }
    // RFC 7118 §4.1: a client that does not offer it would not understand what we send.
    if !values(headers, "sec-websocket-protocol").any(|offered| offered.eq_ignore_ascii_case(SUBPROTOCOL)) {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(())
}

/// The last address in X-Forwarded-For that is no trusted proxy, if the connection comes from one.
fn forwarded_for(headers: &HeaderMap, settings: &WsSettings, remote: IpAddr) -> Option<IpAddr> {
    if !in_networks(&settings.proxies, remote) {
        return None;
    }
    values(headers, "x-forwarded-for")
        .rev()
        .map_while(|text| text.parse::<IpAddr>().ok())
        .find(|ip| !in_networks(&settings.proxies, *ip))
}

/// Where and how to connect.
pub(crate) struct Dial {
    pub transport: Transport,
    pub addr: SocketAddr,
    /// The interface to connect from.
    pub local: SocketAddr,
    pub peer: Option<Arc<TlsPeer>>,
    /// The interface's own certificate, shown to servers that ask.
    pub own: Option<Arc<TlsSettings>>,
    pub certificates: Arc<Certificates>,
}

/// Opens a connection. The caller bounds the time.
pub(crate) async fn dial(dial: Dial) -> Result<Wire, Close> {
    let stream = connect(&dial).await.map_err(|_| Close::NotOpened)?;
    let _ = stream.set_nodelay(true);
    let io = if matches!(dial.transport, Transport::Tls | Transport::Wss) {
        secure(&dial, stream).await?
    } else {
        Io::plain(stream)
    };
    if !matches!(dial.transport, Transport::Ws | Transport::Wss) {
        return Ok(Wire::raw(io));
    }
    let host = match dial.peer.as_ref().and_then(|peer| peer.server_name.as_deref()) {
        Some(name) => format!("{name}:{}", dial.addr.port()),
        None => dial.addr.to_string(),
    };
    let mut request = tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(format!(
        "{}://{host}/",
        if dial.transport == Transport::Wss { "wss" } else { "ws" }
    ))
    .map_err(|_| Close::Handshake)?;
    request
        .headers_mut()
        .insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let (stream, _) = client_async_with_config(request, io, Some(ws_config()))
        .await
        .map_err(|_| Close::Handshake)?;
    Ok(Wire::ws(stream))
}

async fn connect(dial: &Dial) -> io::Result<TcpStream> {
    let socket = if dial.addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // The far side sees the address that Via names.
    if !dial.local.ip().is_unspecified() && dial.local.is_ipv4() == dial.addr.is_ipv4() {
        socket.bind(SocketAddr::new(dial.local.ip(), 0))?;
    }
    socket.connect(dial.addr).await
}

async fn secure(dial: &Dial, stream: TcpStream) -> Result<Io, Close> {
    let peer = peer_of(dial.peer.as_deref(), dial.own.as_deref(), dial.addr);
    let (verify, name) = peer.map_err(|error| refused(&error))?;
    let (certificates, key) = (dial.certificates.clone(), (dial.own.clone(), verify));
    // Roots are read from files, for which no call waits.
    let config = tokio::task::spawn_blocking(move || certificates.client(key))
        .await
        .map_err(|_| Close::Handshake)?
        .map_err(|error| refused(&error))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| {
            tracing::warn!(%error, port = dial.addr.port(), "the TLS handshake with a SIP server failed");
            Close::Handshake
        })?;
    Ok(Io::tls(stream.into()))
}

fn refused(error: &crate::tls::TlsError) -> Close {
    tracing::warn!(%error, "cannot open a TLS connection to a SIP server");
    Close::Handshake
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn who_may_come_in() {
        let any = WsSettings::default();
        let some = WsSettings {
            origins: vec!["https://agents.example".into()],
            ..WsSettings::default()
        };
        let sip = ("sec-websocket-protocol", "chat, SIP");
        for (settings, lines, expected) in [
            (&any, vec![sip], Ok(())),
            (&any, vec![], Err(StatusCode::BAD_REQUEST)),
            (
                &any,
                vec![("sec-websocket-protocol", "sipx")],
                Err(StatusCode::BAD_REQUEST),
            ),
            (&some, vec![sip], Err(StatusCode::FORBIDDEN)),
            (
                &some,
                vec![sip, ("origin", "https://evil.example")],
                Err(StatusCode::FORBIDDEN),
            ),
            (&some, vec![sip, ("origin", "https://Agents.example")], Ok(())),
        ] {
            assert_eq!(admit(&headers(&lines), settings), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_forwarded_address_is_believed_from_proxies_only() {
        let settings = WsSettings {
            proxies: vec![("10.0.0.0".parse().unwrap(), 8)],
            ..WsSettings::default()
        };
        let seen = |remote: &str, value: &'static str| {
            forwarded_for(
                &headers(&[("x-forwarded-for", value)]),
                &settings,
                remote.parse().unwrap(),
            )
            .map(|ip| ip.to_string())
        };
        assert_eq!(seen("192.0.2.1", "203.0.113.9"), None);
        assert_eq!(seen("10.0.0.1", "203.0.113.9").as_deref(), Some("203.0.113.9"));
        assert_eq!(
            seen("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2").as_deref(),
            Some("203.0.113.9"),
            "what the client wrote itself stands before what the proxy added"
        );
        assert_eq!(seen("10.0.0.1", "203.0.113.9, nonsense"), None);
    }
}
