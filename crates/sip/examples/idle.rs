//! Measures what an idle connection costs the endpoint in memory. The clients run in a process of their own.
//!
//! `cargo run --release -p strowger-sip --example idle -- [tcp|tls|ws|wss] [connections]`

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use strowger_sip::core::{DialogHandle, SipEvent, Transport};
use strowger_sip::{Bind, ClientCertificates, Endpoint, EndpointConfig, TlsSettings, Verify};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    let kb = line.split_ascii_whitespace().nth(1);
    kb.and_then(|v| v.parse().ok()).unwrap_or(0)
}

fn certificate(folder: &std::path::Path) -> TlsSettings {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (certificate, key) = (folder.join("own.pem"), folder.join("own.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    TlsSettings {
        certificate,
        key,
        clients: ClientCertificates::Ignored,
        verify: Verify::Off,
    }
}

/// Opens connections, sends one request on each, waits for the answers, says so, and holds them until its input ends.
async fn clients(addr: SocketAddr, kind: &str, count: usize, pem: &str) {
    let mut roots = RootCertStore::empty();
    let own = CertificateDer::from_pem_file(pem).expect("the certificate");
    roots.add(own).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = TlsConnector::from(Arc::new(config));
    let mut held: Vec<Box<dyn Stream>> = Vec::new();
    let mut buffer = vec![0; 8_192];
    for n in 0..count {
        let stream = TcpStream::connect(addr).await.expect("a connection");
        let mut stream: Box<dyn Stream> = if kind == "tls" || kind == "wss" {
            let name = ServerName::try_from("127.0.0.1").expect("a name");
            Box::new(tls.connect(name, stream).await.expect("a handshake"))
        } else {
            Box::new(stream)
        };
        let request = format!(
            "OPTIONS sip:x@test SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{n};rport\r\nMax-Forwards: 70\r\n\
From: <sip:a@test>;tag=1\r\nTo: <sip:b@test>\r\nCall-ID: {n}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        if kind.starts_with('w') {
            let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
            stream.write_all(upgrade).await.expect("a write");
            assert!(stream.read(&mut buffer).await.expect("an answer") > 0);
            let mut frame = vec![0x81, 0x80 | 126];
            frame.extend_from_slice(&(request.len() as u16).to_be_bytes());
            frame.extend_from_slice(&[0; 4]);
            frame.extend_from_slice(request.as_bytes());
            stream.write_all(&frame).await.expect("a write");
        } else {
            stream.write_all(request.as_bytes()).await.expect("a write");
        }
        stream.flush().await.expect("a write");
        assert!(stream.read(&mut buffer).await.expect("an answer") > 0);
        held.push(stream);
    }
    println!("open");
    // Nothing else runs here.
    let _ = std::io::Read::read(&mut std::io::stdin(), &mut buffer);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let kind = args.first().map_or("tcp", String::as_str).to_owned();
    let count: usize = args.get(1).and_then(|v| v.parse().ok()).unwrap_or(5_000);
    if let (Some(addr), Some(pem)) = (args.get(2).and_then(|v| v.parse().ok()), args.get(3)) {
        return clients(addr, &kind, count, pem).await;
    }
    let transport = match kind.as_str() {
        "tls" => Transport::Tls,
        "ws" => Transport::Ws,
        "wss" => Transport::Wss,
        _ => Transport::Tcp,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let tls = Arc::new(certificate(folder.path()));
    let mut config = EndpointConfig::udp(([127, 0, 0, 1], 0).into(), [1; 16]);
    config.binds = vec![Bind {
        tls: Some(tls.clone()),
        ..Bind::new(transport, ([127, 0, 0, 1], 0).into())
    }];
    config.limits.per_source = count;
    config.limits.total = count * 2;
    // Transactions of the requests should be gone when memory is read.
    config.stack.timers.t1 = 1_000;
    let sink = |_: DialogHandle, _: SipEvent| {};
    let endpoint = Endpoint::start(config, Arc::new(sink)).expect("an endpoint on loopback");
    let before = resident_kb();
    let mut child = Command::new(std::env::current_exe().expect("a path"))
        .args([&kind, &count.to_string(), &endpoint.local_addrs()[0].to_string()])
        .arg(&tls.certificate)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the clients");
    let mut said = tokio::process::ChildStdout::from_std(child.stdout.take().expect("output")).expect("output");
    let mut line = [0; 5];
    said.read_exact(&mut line).await.expect("the clients are done");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = resident_kb().saturating_sub(before);
    let stats = endpoint.stats();
    println!(
        "{kind}: {} connections, {} messages, {} kB more resident: {:.1} kB each",
        stats.connections.open,
        stats.received,
        grown,
        grown as f64 / stats.connections.open.max(1) as f64
    );
    drop(child.stdin.take());
    let _ = child.wait();
}
