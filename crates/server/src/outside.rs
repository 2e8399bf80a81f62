//! The address that the outside knows this server by, asked of a STUN server at the start and again and again.

use crate::config::Config;
use crate::wire::StartError;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use strowger_sip::{EndpointHandle, ask_outside};

/// How often the server is asked. A translator that gets another address breaks calls; new ones should not wait long.
const EVERY: Duration = Duration::from_secs(60);

/// Asks once.
async fn ask(server: &str, from: IpAddr) -> Result<IpAddr, String> {
    let found = tokio::net::lookup_host(server).await;
    let found = found.map_err(|e| format!("{server} cannot be resolved: {e}"))?;
    let server = found.into_iter().find(SocketAddr::is_ipv4);
    let server = server.ok_or("it has no IPv4 address")?;
    match ask_outside(server, from).await {
        Ok(seen) => Ok(seen.ip()),
        Err(why) => Err(why.to_string()),
    }
}

/// The configuration with the address that the STUN server sees as the advertised one; as it is without `media.stun`.
///
/// # Errors
/// [`StartError::Stun`]: without an answer nobody would reach the server.
pub async fn found(config: &Config) -> Result<Config, StartError> {
    let mut config = config.clone();
    let Some(server) = &config.media.stun else {
        return Ok(config);
    };
    let seen = ask(server, config.interface().address)
        .await
        .map_err(StartError::Stun)?;
    tracing::info!(address = %seen, "the STUN server sees this address; it is advertised");
    if let Some(first) = config.interfaces.first_mut() {
        first.advertised = seen;
    }
    Ok(config)
}

/// Asks again for as long as the server runs, and tells SIP and media when the address has changed. A server that gives no
/// answer changes nothing.
pub async fn watch(config: Config, sip: EndpointHandle, media: strowger_media::Handle) {
    let Some(server) = config.media.stun.clone() else {
        return;
    };
    let from = config.interface().address;
    let mut told = config.interface().advertised;
    let mut silent = false;
    loop {
        tokio::time::sleep(EVERY).await;
        match ask(&server, from).await {
            Ok(seen) if seen != told => {
                tracing::warn!(address = %seen, "the outside knows this server by another address now; new calls are told so");
                told = seen;
                if let IpAddr::V4(seen) = seen {
                    media.set_advertised(seen);
                }
                if sip.set_advertised(seen).await.is_err() {
                    return;
                }
                silent = false;
            }
            Ok(_) => silent = false,
            Err(why) if !silent => {
                tracing::warn!(
                    why,
                    "the STUN server cannot be asked; the address that was found last stays"
                );
                silent = true;
            }
            Err(_) => {}
        }
    }
}
