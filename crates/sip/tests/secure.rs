//! Certificates over loopback: who is let in, whom we believe, and what a changed file does.

mod kit;

use kit::*;
use std::sync::Arc;
use strowger_sip::core::*;
use strowger_sip::*;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A TLS client that believes the authority, with or without a certificate of its own.
async fn connect(ua: &Ua, authority: &Authority, own: Option<&TlsSettings>, name: &str) -> std::io::Result<Peer> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(authority.file("ca.pem")).unwrap())
        .unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(&own.certificate).unwrap()],
                PrivateKeyDer::from_pem_file(&own.key).unwrap(),
            )
            .unwrap(),
    };
    let stream = TcpStream::connect(ua.addr()).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    Ok(Peer::over(
        TlsConnector::from(Arc::new(config)).connect(name, stream).await?,
    ))
}

fn start(tls: TlsSettings) -> Ua {
    Ua::start(Placement::Task, Transport::Tls, "127.0.0.1:0", |c| {
        c.binds[0].tls = Some(Arc::new(tls));
    })
}

#[tokio::test]
async fn mutual_tls() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let server = authority.issue("server", &["pbx.example"]);
    let client = authority.issue("client", &["trunk.example"]);
    let stranger = strangers.issue("stranger", &["trunk.example"]);
    let required = start(TlsSettings {
        clients: ClientCertificates::Required(authority.file("ca.pem")),
        ..server.clone()
    });
    let mut peer = connect(&required, &authority, Some(&client), "pbx.example")
        .await
        .unwrap();
    peer.write(options("a", "l: 0\r\n", "").as_bytes()).await;
    assert_eq!(peer.status().await, 200);
    // With TLS 1.3 a client learns only from the first bytes that it is refused.
    for own in [None, Some(&stranger)] {
        if let Ok(mut peer) = connect(&required, &authority, own, "pbx.example").await {
            assert_eq!(peer.closed().await, b"");
        }
    }
    required.settled(|s| s.connections.closed.handshake == 2).await;

    let optional = start(TlsSettings {
        clients: ClientCertificates::Optional(authority.file("ca.pem")),
        ..server
    });
    for own in [None, Some(&client)] {
        let mut peer = connect(&optional, &authority, own, "pbx.example").await.unwrap();
        peer.write(options("a", "l: 0\r\n", "").as_bytes()).await;
        assert_eq!(peer.status().await, 200);
    }
}

#[tokio::test]
async fn whom_we_believe() {
    let (authority, strangers) = (Authority::new(), Authority::new());
    let mut callee = start(authority.issue("callee", &["trunk.example"]));
    let mut caller = start(authority.issue("caller", &["pbx.example"]));
    let to = callee.addr();
    let peer = |name: Option<&str>, verify: Option<Verify>| TlsPeer {
        server_name: name.map(str::to_owned),
        verify,
    };
    let other = Verify::Authorities(strangers.file("ca.pem"));
    let off = peer(None, Some(Verify::Off));
    let right = peer(Some("trunk.example"), None);
    for (n, (name, believed)) in [
        // The certificate does not name the address.
        (None, false),
        (Some(peer(Some("evil.example"), None)), false),
        (Some(right.clone()), true),
        (Some(peer(Some("trunk.example"), Some(other))), false),
        (Some(off), true),
        // The connection of that trust is not used for a stricter one.
        (Some(peer(Some("evil.example"), None)), false),
        (Some(right), true),
    ]
    .into_iter()
    .enumerate()
    {
        if let Some(name) = name {
            caller.handle.name_target(Transport::Tls, to, name);
        }
        caller.invite(n as u64, Transport::Tls, to);
        if believed {
            let theirs = loop {
                // What is left of the call before comes first.
                if let (theirs, SipEvent::Incoming(_)) = callee.next().await {
                    break theirs;
                }
            };
            callee.respond(theirs, 486);
        }
        loop {
            match caller.next().await.1 {
                SipEvent::Failed(f) if believed => {
                    assert_eq!(f.status, 486, "case {n}");
                    break;
                }
                SipEvent::Failed(f) => {
                    assert_eq!(f.kind, FailureKind::TransportError, "case {n}");
                    break;
                }
                SipEvent::Trying => {}
                other => panic!("case {n}: {other:?}"),
            }
        }
    }
    assert_eq!(caller.handle.stats().connections.closed.handshake, 4);
}

#[tokio::test]
async fn certificates_are_read_again() {
    let authority = Authority::new();
    let ua = start(authority.issue("server", &["old.example"]));
    let mut old = connect(&ua, &authority, None, "old.example").await.unwrap();
    authority.issue("server", &["new.example"]);
    assert!(connect(&ua, &authority, None, "new.example").await.is_err(), "not yet");
    ua.handle.reload_tls().await.unwrap();
    connect(&ua, &authority, None, "new.example").await.unwrap();
    assert!(connect(&ua, &authority, None, "old.example").await.is_err());
    // What cannot be used changes nothing, and says which file it is.
    std::fs::write(authority.file("server.pem"), "no certificate").unwrap();
    let error = ua.handle.reload_tls().await.unwrap_err().to_string();
    assert!(error.contains("server.pem"), "{error}");
    connect(&ua, &authority, None, "new.example").await.unwrap();
    // Connections outlive their certificate.
    old.write(options("a", "l: 0\r\n", "").as_bytes()).await;
    assert_eq!(old.status().await, 200);
}
