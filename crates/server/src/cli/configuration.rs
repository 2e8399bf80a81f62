//! `configuration`: a tenant's configuration as one file.

use super::client::{Failure, Request, with_query};
use super::output::View;
use super::resources::{OfTenant, get, send};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

/// `configuration`.
#[derive(Debug, Subcommand)]
pub enum Configuration {
    /// Print it: applications, devices, skill groups, queues, agents, centres and routes, without secrets
    #[command(after_help = "Example:\n  strowger configuration export > acme.json")]
    Export(OfTenant),
    /// Say what a file would change, or change it
    #[command(after_help = "Examples:\n  strowger configuration import acme.json\n  \
        strowger configuration import acme.json --prune --apply\n\nAll of it is applied, or nothing.")]
    Import {
        /// File as `export` prints it
        file: PathBuf,
        /// Change it, and not only say what would change
        #[arg(long)]
        apply: bool,
        /// Remove what the file does not name
        #[arg(long)]
        prune: bool,
        #[command(flatten)]
        of: OfTenant,
    },
    /// Say what putting back would change that was there before the last import, or put it back
    #[command(after_help = "Example:\n  strowger configuration rollback --apply")]
    Rollback {
        /// Put it back
        #[arg(long)]
        apply: bool,
        #[command(flatten)]
        of: OfTenant,
    },
}

/// How a report is shown.
const REPORT: View = View::Report(&[
    ("DOES", "/action"),
    ("KIND", "/kind"),
    ("NAME", "/name"),
    ("MEMBERS", "/members"),
]);

impl Configuration {
    /// The request, and whether its answer is printed as it is.
    pub fn request(self) -> Result<(Request, bool), Failure> {
        Ok(match self {
            Configuration::Export(of) => {
                let path = with_query("/configuration", &[("tenant", of.tenant.as_deref())]);
                (get(path, View::Card), true)
            }
            Configuration::Import { file, apply, prune, of } => {
                let text = std::fs::read(&file)
                    .map_err(|e| Failure::Usage(format!("{} cannot be read: {e}", file.display())))?;
                let read: Value = serde_json::from_slice(&text)
                    .map_err(|e| Failure::Usage(format!("{} is not JSON: {e}", file.display())))?;
                let body = json!({ "tenant": of.tenant, "file": read, "apply": apply, "prune": prune });
                (send("POST", "/configuration/import", body, REPORT), false)
            }
            Configuration::Rollback { apply, of } => {
                let body = json!({ "tenant": of.tenant, "apply": apply });
                (send("POST", "/configuration/rollback", body, REPORT), false)
            }
        })
    }
}
