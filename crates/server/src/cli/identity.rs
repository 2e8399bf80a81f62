//! `user`, `key` and `audit`: who may use a tenant's part of the platform, and what they did.

use super::client::{Failure, Request, escape, with_query};
use super::output::View;
use super::resources::{OfTenant, get, listed, remove, send, switch};
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::BufRead;

/// A user, by id or name.
#[derive(Debug, Args)]
pub struct Who {
    /// Login name or id
    user: String,
}

impl Who {
    fn path(&self) -> String {
        format!("/users/{}", escape(&self.user))
    }
}

/// `user`.
#[derive(Debug, Subcommand)]
pub enum User {
    /// List them
    #[command(after_help = "Example:\n  strowger user list")]
    List(OfTenant),
    /// Add one; a password is made and shown once, unless it is read
    #[command(after_help = "Examples:\n  strowger user add li.wei@example.com --role owner\n  \
        strowger user add wang --role agent --password-stdin < password")]
    Add {
        /// What is typed at the login
        name: String,
        /// owner, admin, leader, agent or auditor
        #[arg(long)]
        role: String,
        /// Name for people
        #[arg(long)]
        display_name: Option<String>,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        of: OfTenant,
    },
    /// Show one
    #[command(after_help = "Example:\n  strowger user show li.wei@example.com")]
    Show(Who),
    /// Change role or name
    #[command(after_help = "Example:\n  strowger user set wang --role leader")]
    Set {
        #[command(flatten)]
        who: Who,
        /// owner, admin, leader, agent or auditor
        #[arg(long)]
        role: Option<String>,
        /// Name for people
        #[arg(long)]
        display_name: Option<String>,
    },
    /// Give a new password, made and shown once unless it is read; ends all logins, and a lock after wrong tries
    #[command(after_help = "Example:\n  strowger user password wang")]
    Password {
        #[command(flatten)]
        who: Who,
        /// Read it from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Take the second factor away, for one who lost it
    #[command(after_help = "Example:\n  strowger user remove-second-factor wang")]
    RemoveSecondFactor(Who),
    /// Where one is logged in
    #[command(after_help = "Example:\n  strowger user logins wang")]
    Logins(Who),
    /// End all logins
    #[command(after_help = "Example:\n  strowger user logout wang")]
    Logout(Who),
    /// Refuse its logins and end those it has
    #[command(after_help = "Example:\n  strowger user disable wang")]
    Disable(Who),
    /// Accept its logins again
    #[command(after_help = "Example:\n  strowger user enable wang")]
    Enable(Who),
    /// Remove it
    #[command(after_help = "Example:\n  strowger user remove wang")]
    Remove(Who),
}

/// The first line of standard input.
fn read_password(read: bool) -> Result<Option<String>, Failure> {
    if !read {
        return Ok(None);
    }
    let mut line = String::new();
    let got = std::io::stdin().lock().read_line(&mut line);
    let text = line.trim_end_matches(['\r', '\n']);
    match got {
        Ok(n) if n > 0 && !text.is_empty() => Ok(Some(text.to_owned())),
        _ => Err(Failure::Usage("there is no password on standard input".to_owned())),
    }
}

impl User {
    /// The request.
    pub fn request(self) -> Result<Request, Failure> {
        Ok(match self {
            User::List(of) => listed(
                "/users",
                &of,
                &[
                    ("NAME", "/name"),
                    ("FOR PEOPLE", "/display_name"),
                    ("ROLE", "/role"),
                    ("SECOND FACTOR", "/second_factor"),
                    ("OFF", "/disabled"),
                    ("TENANT", "/tenant"),
                    ("ID", "/id"),
                ],
            ),
            User::Add {
                name,
                role,
                display_name,
                password_stdin,
                of,
            } => {
                let password = read_password(password_stdin)?;
                send(
                    "POST",
                    "/users",
                    json!({
                        "name": name, "role": role, "display_name": display_name, "tenant": of.tenant,
                        "make_password": password.is_none(), "password": password,
                    }),
                    View::Card,
                )
            }
            User::Show(who) => get(who.path(), View::Card),
            User::Set {
                who,
                role,
                display_name,
            } => send(
                "PATCH",
                who.path(),
                json!({ "role": role, "display_name": display_name }),
                View::Card,
            ),
            User::Password { who, password_stdin } => {
                let password = read_password(password_stdin)?;
                send(
                    "PATCH",
                    who.path(),
                    json!({ "make_password": password.is_none(), "password": password }),
                    View::Card,
                )
            }
            User::RemoveSecondFactor(who) => send(
                "PATCH",
                who.path(),
                json!({ "remove_second_factor": true }),
                View::Said("the second factor is gone; the password alone is enough until a new one is set".to_owned()),
            ),
            User::Logins(who) => get(
                format!("{}/logins", who.path()),
                View::Table(&[
                    ("SINCE", "/at"),
                    ("USED", "/used_at"),
                    ("UNTIL", "/expires_at"),
                    ("FROM", "/source"),
                    ("ID", "/id"),
                ]),
            ),
            User::Logout(who) => remove(format!("{}/logins", who.path()), "logged out everywhere"),
            User::Disable(who) => switch(who.path(), true),
            User::Enable(who) => switch(who.path(), false),
            User::Remove(who) => remove(who.path(), "removed"),
        })
    }
}

/// An API key, by id.
#[derive(Debug, Args)]
pub struct Which {
    /// Its id, 32 hexadecimal digits
    id: String,
}

impl Which {
    fn path(&self) -> String {
        format!("/keys/{}", escape(&self.id))
    }
}

/// `key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// List them
    #[command(after_help = "Example:\n  strowger key list")]
    List(OfTenant),
    /// Add one; it is shown once
    #[command(
        after_help = "Example:\n  strowger key add crm --scope calls:read --scope calls:write\n\n\
        The scopes are explained in docs/identity.md."
    )]
    Add {
        /// Name
        name: String,
        /// What it may do; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// Requests per second; 0 for http.api_rate
        #[arg(long, value_name = "NUMBER")]
        max_rate: Option<u32>,
        /// When it ends, in UTC, such as 2030-01-31T09:30:00Z
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        of: OfTenant,
    },
    /// Show one, without its secret
    #[command(after_help = "Example:\n  strowger key show 0a1b…32 digits")]
    Show(Which),
    /// Refuse its requests
    #[command(after_help = "Example:\n  strowger key disable 0a1b…32 digits")]
    Disable(Which),
    /// Accept its requests again
    #[command(after_help = "Example:\n  strowger key enable 0a1b…32 digits")]
    Enable(Which),
    /// Remove it
    #[command(after_help = "Example:\n  strowger key remove 0a1b…32 digits")]
    Remove(Which),
    /// Sign access tokens with a new key from now on; those that are about stay valid for their quarter of an hour
    #[command(after_help = "Example:\n  strowger key rotate-signing")]
    RotateSigning,
}

impl Key {
    /// The request.
    pub fn request(self) -> Request {
        match self {
            Key::List(of) => listed(
                "/keys",
                &of,
                &[
                    ("ID", "/id"),
                    ("NAME", "/name"),
                    ("SCOPES", "/scopes"),
                    ("UNTIL", "/expires_at"),
                    ("OFF", "/disabled"),
                    ("TENANT", "/tenant"),
                ],
            ),
            Key::Add {
                name,
                scopes,
                max_rate,
                expires,
                of,
            } => send(
                "POST",
                "/keys",
                json!({
                    "name": name, "scopes": scopes, "max_rate": max_rate, "expires_at": expires, "tenant": of.tenant,
                }),
                View::Card,
            ),
            Key::Show(which) => get(which.path(), View::Card),
            Key::Disable(which) => switch(which.path(), true),
            Key::Enable(which) => switch(which.path(), false),
            Key::Remove(which) => remove(which.path(), "removed"),
            Key::RotateSigning => send(
                "POST",
                "/signing-keys",
                json!({}),
                View::Said("access tokens are signed with a new key".to_owned()),
            ),
        }
    }
}

/// `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    #[command(flatten)]
    of: OfTenant,
    /// Only at this time or later, in UTC
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only before this time, in UTC
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Most rows
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

impl Audit {
    /// The request.
    pub fn request(self) -> Request {
        let limit = self.limit.to_string();
        get(
            with_query(
                "/audit",
                &[
                    ("tenant", self.of.tenant.as_deref()),
                    ("from", self.from.as_deref()),
                    ("to", self.to.as_deref()),
                    ("limit", Some(&limit)),
                ],
            ),
            View::Table(&[
                ("AT", "/at"),
                ("WHO", "/actor"),
                ("NAME", "/actor_name"),
                ("DID", "/action"),
                ("TO", "/resource"),
                ("FROM", "/source"),
                ("OUTCOME", "/outcome"),
            ]),
        )
    }
}
