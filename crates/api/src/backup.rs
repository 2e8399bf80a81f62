//! Backup while running.

use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BackupTo)]
pub(crate) struct To {
    /// Absolute path of a file that does not exist yet, on the server's machine.
    #[schema(value_type = String)]
    path: PathBuf,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Backup {
    /// Where it is.
    #[schema(value_type = String)]
    path: PathBuf,
    bytes: u64,
}

pub(crate) async fn make(api: Desk, Body(to): Body<To>) -> Answer {
    if !to.path.is_absolute() {
        return Err(Problem::parameter(
            "path",
            "path is absolute: the server may run in another folder",
        ));
    }
    if to.path.exists() {
        return Err(Problem::new(
            Code::Exists,
            format!("{} exists; a backup never overwrites a file", to.path.display()),
        ));
    }
    api.store
        .backup(&to.path)
        .await
        .map_err(|e| Problem::new(Code::Storage, format!("the backup was not made: {e}")))?;
    let bytes = tokio::fs::metadata(&to.path).await.map(|m| m.len()).unwrap_or(0);
    request::ok(Backup { path: to.path, bytes })
}
