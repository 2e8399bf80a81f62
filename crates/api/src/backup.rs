//! Backup while running.

use crate::Api;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body};
use axum::extract::State;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct To {
    /// Absolute path of a file that does not exist yet, on the server's machine.
    path: PathBuf,
}

pub(crate) async fn make(State(api): State<Api>, Body(to): Body<To>) -> Answer {
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
    request::ok(serde_json::json!({ "path": to.path, "bytes": bytes }))
}
