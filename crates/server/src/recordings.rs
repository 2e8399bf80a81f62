//! Finished recordings over HTTP, with ranges. A name cannot be guessed (128 random bits); whoever has it may fetch.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::path::PathBuf;
use std::sync::Arc;
use tower::ServiceExt;
use tower_http::services::ServeFile;

/// `GET /recordings/{name}`: 404 until the file is complete.
pub fn router(folder: PathBuf) -> Router {
    Router::new()
        .route("/recordings/{name}", get(serve))
        .with_state(Arc::new(folder))
}

/// `RE`, 32 digits of the conversation, 32 random ones, `.wav` or `.ogg`: nothing that could leave the folder or name a file that
/// is still being written.
fn is_name(name: &str) -> bool {
    name.strip_prefix("RE")
        .and_then(|n| n.strip_suffix(".wav").or_else(|| n.strip_suffix(".ogg")))
        .is_some_and(|n| n.len() == 64 && n.bytes().all(|b| b.is_ascii_hexdigit()))
}

async fn serve(State(folder): State<Arc<PathBuf>>, Path(name): Path<String>, request: Request) -> Response {
    if !is_name(&name) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match ServeFile::new(folder.join(&name)).oneshot(request).await {
        Ok(response) => response.map(axum::body::Body::new),
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};

    async fn get(folder: &std::path::Path, path: &str, range: Option<&str>) -> (StatusCode, Vec<u8>) {
        let mut request = Request::builder().uri(path);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let response = router(folder.into())
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let status = response.status();
        (status, to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn only_finished_recordings_are_served_and_in_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("RE{}.wav", "a".repeat(64));
        let path = format!("/recordings/{name}");
        assert_eq!(get(folder.path(), &path, None).await.0, StatusCode::NOT_FOUND);
        std::fs::write(folder.path().join(&name), b"0123456789").unwrap();
        std::fs::write(folder.path().join(format!("{name}.part")), b"x").unwrap();
        std::fs::write(folder.path().join("secret"), b"x").unwrap();
        assert_eq!(
            get(folder.path(), &path, None).await,
            (StatusCode::OK, b"0123456789".to_vec())
        );
        assert_eq!(
            get(folder.path(), &path, Some("bytes=2-4")).await,
            (StatusCode::PARTIAL_CONTENT, b"234".to_vec())
        );
        let ogg = name.replace(".wav", ".ogg");
        std::fs::write(folder.path().join(&ogg), b"OggS").unwrap();
        assert_eq!(
            get(folder.path(), &format!("/recordings/{ogg}"), None).await.0,
            StatusCode::OK
        );
        for bad in ["/recordings/secret", "/recordings/..%2Fsecret", "/recordings/REaa.wav"] {
            assert_eq!(get(folder.path(), bad, None).await.0, StatusCode::NOT_FOUND, "{bad}");
        }
        assert_eq!(
            get(folder.path(), &format!("{path}.part"), None).await.0,
            StatusCode::NOT_FOUND
        );
    }
}
