//! Text to speech: espeak-ng where it is installed, and providers that this test plays.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use strowger_core::spoken::Language;
use strowger_speech::import::to_wav;
use strowger_speech::synthesis::{
    Espeak, HttpEngine, HttpSettings, SynthesisError, SynthesisStats, Synthesiser, TextToSpeech, Utterance,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(30);

fn english(text: &str) -> Utterance {
    Utterance::new(text, Language::English, None).unwrap()
}

fn settings(url: String, allows: fn(IpAddr) -> bool) -> HttpSettings {
    HttpSettings {
        url,
        token: Some("secret".into()),
        timeout: PATIENCE,
        allows: Arc::new(allows),
    }
}

/// Answers one request with this, and gives the request.
async fn provider(listener: &TcpListener, head: &str, body: &[u8]) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "the request ended early");
        request.extend_from_slice(&piece[..length]);
    }
    let head = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    // A client that has read enough closes.
    let _ = stream.write_all(body).await;
    String::from_utf8(request).unwrap()
}

#[test]
fn texts_and_voices_are_checked() {
    let said = |text: &str, voice| Utterance::new(text, Language::Chinese, voice).map(|_| ());
    assert!(said("您好", Some("cmn")).is_ok());
    assert!(said("two\nlines", Some("en-us+f3")).is_ok());
    for text in ["", "   ", "bell\u{7}", &"x".repeat(2001)] {
        assert!(matches!(said(text, None), Err(SynthesisError::Text)), "{text:?}");
    }
    for voice in ["", "-v", "a b", "../x", "a/b", "$(id)"] {
        assert!(matches!(said("x", Some(voice)), Err(SynthesisError::Voice)), "{voice}");
    }
}

#[tokio::test]
async fn espeak_speaks_both_languages_and_only_once() {
    let espeak = Espeak::new("espeak-ng", PATIENCE);
    if espeak.check().await.is_err() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "espeak-ng is missing");
        eprintln!("SKIPPED: espeak-ng is missing: apt-get install espeak-ng");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let synthesiser = Synthesiser::open(Arc::new(espeak), folder.path().into(), 10 << 20).unwrap();
    let first = synthesiser.speak(&english("hello there")).await.unwrap();
    let again = synthesiser.speak(&english("hello there")).await.unwrap();
    assert_eq!(first, again);
    let chinese = Utterance::new("您好，再见", Language::Chinese, None).unwrap();
    let chinese = synthesiser.speak(&chinese).await.unwrap();
    // Characters are read as what they say, and not letter by letter.
    let written = Utterance::new("nin2 hao3", Language::Chinese, Some("cmn-latn-pinyin")).unwrap();
    let characters = Utterance::new("您好", Language::Chinese, None).unwrap();
    let (written, characters) = (synthesiser.speak(&written).await, synthesiser.speak(&characters).await);
    assert_eq!(written.unwrap().len(), characters.unwrap().len());
    for samples in [&first, &chinese] {
        assert!((400..4000).contains(&(samples.len() / 8)), "{} samples", samples.len());
        assert!(samples.iter().any(|s| s.unsigned_abs() > 3000));
    }
    // A text is no option and no command.
    let odd = synthesiser.speak(&english("--version; $(touch /tmp/x) `id`")).await;
    assert!(odd.unwrap().len() > 8000);
    let unknown = Utterance::new("hello", Language::English, Some("qqq")).unwrap();
    let error = synthesiser.speak(&unknown).await.map(|s| s.len()).unwrap_err();
    assert!(matches!(error, SynthesisError::Failed { .. }), "{error}");
    let stats = SynthesisStats {
        said: 5,
        cached: 1,
        failed: 1,
    };
    assert_eq!(synthesiser.stats(), stats);
}

#[tokio::test]
async fn programs_that_are_missing_or_hang_are_told() {
    let missing = Espeak::new("/no/such/program", PATIENCE);
    assert!(matches!(missing.check().await, Err(SynthesisError::Unreachable { .. })));
    let error = missing.speak(&english("x")).await.map(|s| s.len()).unwrap_err();
    assert!(matches!(error, SynthesisError::Unreachable { .. }), "{error}");
    // `yes` fills the pipe for ever, whatever it is asked for: it is cut off.
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let endless = Espeak::new(script("endless", "exec yes"), PATIENCE);
    let error = endless.speak(&english("x")).await.map(|s| s.len()).unwrap_err();
    assert!(error.to_string().contains("more than can be taken in"), "{error}");
    let hanging = Espeak::new(script("hanging", "exec sleep 1000"), Duration::from_millis(200));
    let error = hanging.speak(&english("x")).await.map(|s| s.len()).unwrap_err();
    assert!(matches!(error, SynthesisError::Slow { .. }), "{error}");
}

#[tokio::test]
async fn a_provider_is_asked_as_documented() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/speak?key=hidden", listener.local_addr().unwrap());
    let engine = HttpEngine::new(settings(url, |ip| ip.is_loopback())).unwrap();
    assert!(!engine.identity().contains("hidden"), "{}", engine.identity());
    let folder = tempfile::tempdir().unwrap();
    let synthesiser = Synthesiser::open(Arc::new(engine), folder.path().into(), 10 << 20).unwrap();
    let sound = vec![1000; 4000];
    let file = to_wav(&sound);
    let utterance = Utterance::new("say \"this\"", Language::English, Some("amy")).unwrap();
    let (said, request) = tokio::join!(
        synthesiser.speak(&utterance),
        provider(&listener, "HTTP/1.1 200 OK\r\nContent-Type: audio/wav", &file)
    );
    assert_eq!(said.unwrap(), sound);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /speak?key=hidden HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer secret"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let expected = serde_json::json!({ "text": "say \"this\"", "language": "en", "voice": "amy" });
    assert_eq!(body, expected);
    for (head, body, why) in [
        ("HTTP/1.1 500 Sorry", &b""[..], "HTTP 500"),
        ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/", b"", "HTTP 302"),
        ("HTTP/1.1 200 OK", b"<html>", "no audio file"),
    ] {
        let other = english(why);
        let (said, _) = tokio::join!(synthesiser.speak(&other), provider(&listener, head, body));
        let error = said.unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("hidden"), "{error}");
    }
}

#[tokio::test]
async fn addresses_that_are_not_allowed_are_never_connected_to() {
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let engine = HttpEngine::new(settings(format!("http://{host}:9/"), |_| false)).unwrap();
        let error = engine.speak(&english("x")).await.unwrap_err().to_string();
        assert!(error.contains("speech.synthesis.allow"), "{host}: {error}");
    }
    for url in ["ftp://example.com/", "no url"] {
        assert!(HttpEngine::new(settings(url.into(), |_| true)).is_err(), "{url}");
    }
}
