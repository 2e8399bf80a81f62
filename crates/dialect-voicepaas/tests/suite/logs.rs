//! What reaches a log.

use crate::kit::*;
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Mutex};
use strowger_runtime::CallError;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// accept: voice-paas 19
#[test]
fn credentials_numbers_and_data_never_reach_a_log() {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let kit = Kit::talking();
        let more = || json!({"userData": "secret-data", "statusUrl": "http://user:url-secret@crm.example.com/"});
        let sid = kit.click(more());
        kit.until(20.0);
        kit.cancel(&sid);
        kit.get(&format!("cc/Cdrs/{sid}"));
        kit.try_click(json!({"caller": "1380000x"}));
        kit.shelf().accounts.get_mut(&ACCOUNT).unwrap().disabled = true;
        kit.try_click(more());
        kit.shelf().accounts.get_mut(&ACCOUNT).unwrap().disabled = false;
        kit.world().refuse = Some(CallError::Journal("the disk is full".into()));
        assert_eq!(kit.try_click(more()).code(), "50000");
    });
    let log = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the disk is full"), "failures of ours are logged: {log}");
    let credential = basic(ACCOUNT, TOKEN);
    for secret in [
        TOKEN,
        &credential[6..],
        CALLER,
        CALLEE,
        "61230000",
        "secret-data",
        "url-secret",
    ] {
        assert!(!log.contains(secret), "{secret}");
    }
}
