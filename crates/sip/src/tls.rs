//! Certificates: read from files, read again when the files change, and verified at the other side.

use crate::settings::{ClientCertificates, TlsPeer, TlsSettings, Verify};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// How often the files are looked at.
pub(crate) const WATCH: Duration = Duration::from_secs(30);
/// Client configurations kept: one a way of verification.
const MAX_CLIENTS: usize = 64;

/// Certificates that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TlsError {
    /// A TLS or WSS address without [`TlsSettings`].
    #[error("no certificate is configured")]
    Missing,
    /// A file cannot be read, or holds nothing of what it should.
    #[error("{path}: {why}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without any of its content.
        why: String,
    },
    /// Certificate and key do not fit, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(String),
    /// The system has no roots to verify servers with.
    #[error("the system has no certificate authorities")]
    NoRoots,
}

fn provider() -> Arc<CryptoProvider> {
    // Named at every use: a default of the process would depend on which library is first.
    Arc::new(rustls::crypto::ring::default_provider())
}

fn unusable(error: impl std::fmt::Display) -> TlsError {
    TlsError::Unusable(error.to_string())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |why: String| TlsError::File {
        path: path.to_owned(),
        why,
    };
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(error.to_string()))?;
    if chain.is_empty() {
        return Err(bad("there is no certificate in it".to_owned()));
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::File {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::File {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
    }
    Ok(Arc::new(roots))
}

/// What a listener needs for its next handshake.
fn server_config(settings: &TlsSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let verifier =
        |path: &Path| authorities(path).map(|roots| WebPkiClientVerifier::builder_with_provider(roots, provider()));
    let builder = match &settings.clients {
        ClientCertificates::Ignored => builder.with_no_client_auth(),
        ClientCertificates::Optional(path) => {
            builder.with_client_cert_verifier(verifier(path)?.allow_unauthenticated().build().map_err(unusable)?)
        }
        ClientCertificates::Required(path) => {
            builder.with_client_cert_verifier(verifier(path)?.build().map_err(unusable)?)
        }
    };
    let mut config = builder
        .with_single_cert(certificates(&settings.certificate)?, key(&settings.key)?)
        .map_err(unusable)?;
    // Many phones come back at once after a cut: resumption spares most of the work.
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(unusable)?;
    // A connection lives for hours, one ticket is enough.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// What a connection of ours needs; the certificate of the interface is shown to servers that ask for one.
fn client_config(own: Option<&TlsSettings>, verify: &Verify) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match verify {
        Verify::System => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::NoRoots);
            }
            builder.with_root_certificates(roots)
        }
        Verify::Authorities(path) => builder.with_root_certificates(authorities(path)?),
        Verify::Off => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider()))),
    };
    let config = match own {
        Some(own) => builder
            .with_client_auth_cert(certificates(&own.certificate)?, key(&own.key)?)
            .map_err(unusable)?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// Takes any certificate, for [`Verify::Off`]; signatures of the handshake are still checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Size and time of change of each file: another value means another content.
type Stamp = Vec<Option<(u64, SystemTime)>>;

fn stamp(settings: &TlsSettings) -> Stamp {
    let clients = match &settings.clients {
        ClientCertificates::Ignored => None,
        ClientCertificates::Optional(path) | ClientCertificates::Required(path) => Some(path),
    };
    let authorities = match &settings.verify {
        Verify::Authorities(path) => Some(path),
        Verify::System | Verify::Off => None,
    };
    [Some(&settings.certificate), Some(&settings.key), clients, authorities]
        .into_iter()
        .flatten()
        .map(|path| {
            let data = std::fs::metadata(path).ok()?;
            Some((data.len(), data.modified().ok()?))
        })
        .collect()
}

struct Server {
    settings: Arc<TlsSettings>,
    current: RwLock<Arc<ServerConfig>>,
    stamp: Mutex<Stamp>,
}

type ClientKey = (Option<Arc<TlsSettings>>, Verify);

/// The certificates of an endpoint: one entry an interface that has some.
pub(crate) struct Certificates {
    servers: Vec<Server>,
    clients: Mutex<HashMap<ClientKeyHash, Arc<ClientConfig>>>,
}

/// [`ClientKey`] without the settings themselves: their address stands for them, and [`Certificates`] keeps them alive.
type ClientKeyHash = (usize, Verify);

impl Certificates {
    /// Reads all files; blocks.
    pub(crate) fn load(settings: Vec<(SocketAddr, Arc<TlsSettings>)>) -> Result<Certificates, (SocketAddr, TlsError)> {
        let mut servers: Vec<Server> = Vec::new();
        for (addr, settings) in settings {
            if servers.iter().any(|s| Arc::ptr_eq(&s.settings, &settings)) {
                continue;
            }
            servers.push(Server {
                // The stamp is taken before the content, so that a change in between is seen later.
                stamp: Mutex::new(stamp(&settings)),
                current: RwLock::new(server_config(&settings).map_err(|error| (addr, error))?),
                settings,
            });
        }
        Ok(Certificates {
            servers,
            clients: Mutex::default(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// What the next handshake of a listener with these settings uses.
    pub(crate) fn server(&self, settings: &Arc<TlsSettings>) -> Option<Arc<ServerConfig>> {
        let server = self.servers.iter().find(|s| Arc::ptr_eq(&s.settings, settings))?;
        Some(server.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Reads all files again; blocks. What cannot be used leaves the former certificate in place.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let mut outcome = Ok(());
        for server in &self.servers {
            let now = stamp(&server.settings);
            match server_config(&server.settings) {
                Ok(config) => *server.current.write().unwrap_or_else(PoisonError::into_inner) = config,
                Err(error) => outcome = Err(error),
            }
            *server.stamp.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).clear();
        outcome
    }

    /// True if a file has changed since it was read; blocks.
    pub(crate) fn changed(&self) -> bool {
        self.servers
            .iter()
            .any(|s| stamp(&s.settings) != *s.stamp.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How to connect to `peer`; blocks when files have to be read.
    pub(crate) fn client(&self, (own, verify): ClientKey) -> Result<Arc<ClientConfig>, TlsError> {
        let key = (own.as_ref().map_or(0, |own| Arc::as_ptr(own) as usize), verify);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = clients.get(&key) {
            return Ok(config.clone());
        }
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        let config = client_config(own.as_deref(), &key.1)?;
        clients.insert(key, config.clone());
        Ok(config)
    }
}

/// Looks at the files now and then, until the endpoint ends.
pub(crate) async fn watch(certificates: Arc<Certificates>) {
    loop {
        tokio::time::sleep(WATCH).await;
        let certificates = certificates.clone();
        let read = tokio::task::spawn_blocking(move || certificates.changed().then(|| certificates.reload()));
        match read.await {
            Ok(Some(Ok(()))) => tracing::info!("SIP certificates have been read again"),
            Ok(Some(Err(error))) => tracing::error!(%error, "the former SIP certificates stay in use"),
            Ok(None) | Err(_) => {}
        }
    }
}

/// The way of verification and the name for a connection to `addr`.
pub(crate) fn peer_of(
    peer: Option<&TlsPeer>,
    own: Option<&TlsSettings>,
    addr: SocketAddr,
) -> Result<(Verify, ServerName<'static>), TlsError> {
    let verify = peer
        .and_then(|peer| peer.verify.clone())
        .or_else(|| own.map(|own| own.verify.clone()))
        .unwrap_or_default();
    let name = match peer.and_then(|peer| peer.server_name.clone()) {
        Some(name) => ServerName::try_from(name).map_err(unusable)?,
        None => ServerName::IpAddress(addr.ip().into()),
    };
    Ok((verify, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a certificate that signs itself.
    fn issue(folder: &Path, name: &str) -> TlsSettings {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let settings = TlsSettings {
            certificate: folder.join("own.pem"),
            key: folder.join("own.key"),
            clients: ClientCertificates::Ignored,
            verify: Verify::Authorities(folder.join("own.pem")),
        };
        std::fs::write(&settings.certificate, made.cert.pem()).unwrap();
        std::fs::write(&settings.key, made.signing_key.serialize_pem()).unwrap();
        settings
    }

    #[test]
    fn a_change_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Arc::new(issue(folder.path(), "old.example"));
        let addr = "127.0.0.1:5061".parse().unwrap();
        let certificates = Certificates::load(vec![(addr, settings.clone())]).unwrap();
        let first = certificates.server(&settings).unwrap();
        let client = certificates.client((None, settings.verify.clone())).unwrap();
        assert!(!certificates.changed());
        issue(folder.path(), "a-name-of-another-length.example");
        assert!(certificates.changed());
        certificates.reload().unwrap();
        assert!(!certificates.changed());
        assert!(!Arc::ptr_eq(&first, &certificates.server(&settings).unwrap()));
        let again = certificates.client((None, settings.verify.clone())).unwrap();
        assert!(!Arc::ptr_eq(&client, &again), "authorities are read again, too");
        // A fault is noticed once, and not each half minute.
        std::fs::remove_file(&settings.key).unwrap();
        assert!(certificates.changed());
        let second = certificates.server(&settings).unwrap();
        assert!(certificates.reload().is_err());
        assert!(!certificates.changed());
        assert!(Arc::ptr_eq(&second, &certificates.server(&settings).unwrap()));
    }

    #[test]
    fn what_cannot_be_loaded_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let good = issue(folder.path(), "a.example");
        let addr = "127.0.0.1:5061".parse().unwrap();
        let error = |settings: TlsSettings| match Certificates::load(vec![(addr, Arc::new(settings))]) {
            Err((at, error)) => {
                assert_eq!(at, addr);
                error.to_string()
            }
            Ok(_) => panic!("it loads"),
        };
        let missing = folder.path().join("none.pem");
        let clients = ClientCertificates::Required(missing.clone());
        assert!(
            error(TlsSettings {
                clients,
                ..good.clone()
            })
            .contains("none.pem")
        );
        assert!(
            error(TlsSettings {
                key: missing,
                ..good.clone()
            })
            .contains("none.pem")
        );
        let other = tempfile::tempdir().unwrap();
        let key = issue(other.path(), "b.example").key;
        assert!(
            error(TlsSettings { key, ..good }).contains("cannot be used"),
            "key of another certificate"
        );
    }
}
