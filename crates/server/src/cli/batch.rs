//! The commands about batches of voice notices.

use super::client::{Request, escape};
use super::output::View;
use super::resources::{OfTenant, get, listed, send};
use clap::Subcommand;
use serde_json::json;

/// `batch`.
#[derive(Debug, Subcommand)]
pub enum Batch {
    /// List them, newest first, with how far they are
    #[command(after_help = "Example:\n  strowger batch list --tenant acme")]
    List(OfTenant),
    /// Show one
    #[command(after_help = "Example:\n  strowger batch show RQ0a1b…34 characters")]
    Show {
        /// Its id, or the requestid that its client was answered with
        id: String,
    },
    /// End one: what has not begun is not called, and is reported as not reached
    #[command(
        after_help = "Example:\n  strowger batch cancel RQ0a1b…34 characters\n\nCalls that run go on to their end."
    )]
    Cancel {
        /// Its id, or the requestid that its client was answered with
        id: String,
    },
}

impl Batch {
    /// The request.
    pub fn request(self) -> Request {
        match self {
            Batch::List(of) => listed(
                "/batches",
                &of,
                &[
                    ("REQUEST", "/request"),
                    ("STATE", "/state"),
                    ("TOTAL", "/total"),
                    ("WAITING", "/waiting"),
                    ("RUNNING", "/running"),
                    ("FINISHED", "/finished"),
                    ("ACCEPTED", "/at"),
                    ("TENANT", "/tenant"),
                ],
            ),
            Batch::Show { id } => get(format!("/batches/{}", escape(&id)), View::Card),
            Batch::Cancel { id } => send(
                "POST",
                format!("/batches/{}/cancel", escape(&id)),
                json!({}),
                View::Card,
            ),
        }
    }
}
