//! The commands about signalling: registrations, bans, certificates.

use super::client::{Body, Request, escape, with_query};
use super::output::View;
use super::resources::{OfTenant, get, listed, remove, send};
use clap::{Args, Subcommand};
use serde_json::json;

/// `registration`.
#[derive(Debug, Subcommand)]
pub enum Registration {
    /// List the telephones that are registered, with where they are
    #[command(after_help = "Example:\n  strowger registration list --tenant acme")]
    List(OfTenant),
    /// Remove all registrations of a telephone; it may register again
    #[command(after_help = "Example:\n  strowger registration remove desk-1")]
    Remove {
        /// User name of the device
        username: String,
        #[command(flatten)]
        of: OfTenant,
    },
}

impl Registration {
    /// The request.
    pub fn request(self) -> Request {
        match self {
            Registration::List(of) => listed(
                "/registrations",
                &of,
                &[
                    ("USERNAME", "/username"),
                    ("CONTACT", "/contact"),
                    ("TRANSPORT", "/transport"),
                    ("SOURCE", "/source"),
                    ("SECONDS", "/expires_in"),
                    ("PROXY", "/path"),
                    ("USER AGENT", "/user_agent"),
                    ("TENANT", "/tenant"),
                ],
            ),
            Registration::Remove { username, of } => remove(
                with_query(
                    &format!("/registrations/{}", escape(&username)),
                    &[("tenant", of.tenant.as_deref())],
                ),
                format!("{username} is not registered any more"),
            ),
        }
    }
}

/// `ban`.
#[derive(Debug, Subcommand)]
pub enum Ban {
    /// List the sources that are ignored
    #[command(after_help = "Example:\n  strowger ban list")]
    List,
    /// Ignore a source for a time
    #[command(after_help = "Example:\n  strowger ban add 192.0.2.66 --seconds 86400")]
    Add {
        /// IP address; of IPv6 its /64
        source: String,
        /// For so long
        #[arg(long, default_value_t = 3600)]
        seconds: u32,
    },
    /// Listen to a source again, and forget that it was banned
    #[command(after_help = "Example:\n  strowger ban remove 192.0.2.66")]
    Remove(Source),
}

/// A source.
#[derive(Debug, Args)]
pub struct Source {
    /// IP address, or what the list shows
    source: String,
}

impl Ban {
    /// The request.
    pub fn request(self) -> Request {
        match self {
            Ban::List => get(
                "/bans",
                View::Table(&[
                    ("SOURCE", "/source"),
                    ("SECONDS SINCE", "/since_seconds"),
                    ("SECONDS LEFT", "/until_seconds"),
                    ("TIMES", "/count"),
                    ("BY HAND", "/manual"),
                ]),
            ),
            Ban::Add { source, seconds } => {
                let said = format!("{source} is ignored for {seconds} s");
                send(
                    "POST",
                    "/bans",
                    json!({ "source": source, "seconds": seconds }),
                    View::Said(said),
                )
            }
            Ban::Remove(s) => remove(
                format!("/bans/{}", escape(&s.source)),
                format!("{} is heard again", s.source),
            ),
        }
    }
}

/// `ice-servers`.
#[derive(Debug, Args)]
pub struct IceServers {
    /// Whose credentials they are, for the TURN server's log and limits
    #[arg(long)]
    user: Option<String>,
}

impl IceServers {
    /// The request.
    pub fn request(self) -> Request {
        let path = with_query("/ice-servers", &[("user", self.user.as_deref())]);
        get(path, View::Card)
    }
}

/// `reload-certificates`.
pub fn reload_certificates() -> Request {
    Request {
        method: "POST",
        path: "/certificates/reload".to_owned(),
        body: Body::Empty,
        view: View::Card,
    }
}
