//! Finished recordings over HTTP by their names, with ranges. A name cannot be guessed (128 random bits); whoever has it may
//! fetch.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use strowger_api::{Code, serve_recording};
use strowger_blobs::Blobs;

/// `GET /recordings/{name}`: 404 until the file is complete.
pub fn router(blobs: Arc<Blobs>) -> Router {
    Router::new().route("/recordings/{name}", get(serve)).with_state(blobs)
}

async fn serve(State(blobs): State<Arc<Blobs>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let tag = name.strip_prefix("RE").unwrap_or(&name);
    match serve_recording(&blobs, &name, tag, &headers).await {
        Ok(response) => response,
        // Nothing is told to whoever tries names.
        Err(problem) if problem.code != Code::RecordingStore => StatusCode::NOT_FOUND.into_response(),
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use strowger_blobs::Target;
    use tower::ServiceExt;

    async fn get(folder: &std::path::Path, path: &str, range: Option<&str>) -> (StatusCode, Vec<u8>) {
        let mut request = Request::builder().uri(path);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let response = router(Arc::new(Blobs::open(folder.into(), Target::Spool).unwrap()))
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
        assert_eq!(
            get(folder.path(), &path, Some("bytes=10-")).await.0,
            StatusCode::RANGE_NOT_SATISFIABLE
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
