//! Certificates of a test's own authority, and TLS connections that trust it.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A certificate for `localhost` and 127.0.0.1 that is its own authority.
#[derive(Clone)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    /// PEM of the certificate.
    pub certificate_pem: String,
    /// PEM of the key.
    pub key_pem: String,
}

impl Identity {
    /// Makes one.
    pub fn new() -> Identity {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("two well-formed names");
        Identity {
            certificate: made.cert.der().clone(),
            key: made.signing_key.serialize_der(),
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        }
    }

    /// Writes both PEM files into a folder and gives the lines of `[sip]` that name them.
    pub fn write(&self, folder: &Path) -> String {
        let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        std::fs::write(&certificate, &self.certificate_pem).expect("the folder takes a file");
        std::fs::write(&key, &self.key_pem).expect("the folder takes a file");
        format!(
            "certificate = \"{0}\"\nkey = \"{1}\"\nverify_ca = \"{0}\"\n",
            certificate.display(),
            key.display()
        )
    }

    fn provider() -> Arc<rustls::crypto::CryptoProvider> {
        Arc::new(rustls::crypto::ring::default_provider())
    }

    /// Connects as a client that trusts this certificate alone.
    pub fn connect(&self, to: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Identity::provider())
            .with_safe_default_protocol_versions()
            .expect("the provider's versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a host name");
        let client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let socket = TcpStream::connect(to).expect("the listener takes a connection");
        socket.set_nodelay(true).expect("a TCP socket");
        StreamOwned::new(client, socket)
    }

    /// Takes a connection as a server with this certificate.
    pub fn accept(&self, socket: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        let key = PrivateKeyDer::try_from(self.key.clone()).expect("a key");
        let config = ServerConfig::builder_with_provider(Identity::provider())
            .with_safe_default_protocol_versions()
            .expect("the provider's versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("a certificate with its key");
        let server = ServerConnection::new(Arc::new(config)).expect("a server");
        StreamOwned::new(server, socket)
    }
}

impl Default for Identity {
    fn default() -> Self {
        Identity::new()
    }
}

/// Puts TLS around the connections of a program that has none. It lasts as long as the test's process.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
}

impl Relay {
    /// Takes plain connections and makes TLS ones to `to`.
    pub fn client_side(identity: &Identity, to: SocketAddr) -> Relay {
        let identity = identity.clone();
        Relay::start(move |plain| {
            let secure = identity.connect(to);
            let socket = secure.sock.try_clone().expect("a second handle");
            pass(&plain, secure, &socket);
        })
    }

    /// Takes TLS connections and makes plain ones to `to`.
    pub fn server_side(identity: &Identity, to: SocketAddr) -> Relay {
        let identity = identity.clone();
        Relay::start(move |socket| {
            let Ok(plain) = TcpStream::connect(to) else { return };
            let secure = identity.accept(socket.try_clone().expect("a second handle"));
            pass(&plain, secure, &socket);
        })
    }

    fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(socket));
            }
        });
        Relay { address }
    }
}

/// Moves bytes both ways until one side ends.
fn pass(mut plain: &TcpStream, mut secure: impl Read + Write, socket: &TcpStream) {
    let tick = Some(Duration::from_millis(2));
    plain.set_read_timeout(tick).expect("a timeout above zero");
    socket.set_read_timeout(tick).expect("a timeout above zero");
    let mut buffer = [0; 16_384];
    let idle = |e: &std::io::Error| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    loop {
        match secure.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) if plain.write_all(&buffer[..n]).is_err() => return,
            Err(e) if !idle(&e) => return,
            _ => {}
        }
        match plain.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) if secure.write_all(&buffer[..n]).and_then(|()| secure.flush()).is_err() => return,
            Err(e) if !idle(&e) => return,
            _ => {}
        }
    }
}
