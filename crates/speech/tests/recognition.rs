//! One leg's way to an engine and back, with engines that this test plays.

use futures_util::{SinkExt, StreamExt};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strowger_speech::recognition::{
    Audio, Connector, EngineSettings, Hello, Protocol, RecognitionError, Supply, Update, recognise,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Messages of the Vosk server for a Chinese model, by its documentation; the last one follows the end.
const VOSK_ZH: &str = include_str!("wire/vosk-zh.jsonl");

/// What the recogniser of `tests/speech` with its Chinese model answered to four words that espeak-ng said, as it was
/// recorded: one answer for each 100 ms, and one for the end.
const ZH_LIVE: &str = include_str!("wire/zh-live.jsonl");

/// Hands out one piece after another, and then ends.
struct Pieces {
    pieces: VecDeque<(u64, usize)>,
    endless: bool,
}

impl Audio for Pieces {
    fn take(&mut self, out: &mut Vec<i16>, dropped: &mut u64) -> Supply {
        if let Some((lost, length)) = self.pieces.pop_front() {
            *dropped += lost;
            out.extend(std::iter::repeat_n(258, length));
        }
        if self.pieces.is_empty() && !self.endless {
            Supply::Ended
        } else {
            Supply::Open
        }
    }
}

fn pieces(of: &[(u64, usize)]) -> Pieces {
    Pieces {
        pieces: of.iter().copied().collect(),
        endless: false,
    }
}

fn connector(listener: &TcpListener, protocol: Protocol) -> Connector {
    let settings = EngineSettings {
        url: format!("ws://{}", listener.local_addr().unwrap()),
        protocol,
        token: Some("let-me-in".into()),
        timeout: Duration::from_secs(5),
    };
    Connector::new(settings).unwrap()
}

fn hello() -> Hello {
    Hello {
        conversation: "0a1b".into(),
        leg: 1,
        language: "zh".into(),
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    tokio_tungstenite::accept_async(stream).await.unwrap()
}

type Got = Arc<Mutex<Vec<Update>>>;

/// Runs a leg and gives its news.
async fn run(connector: &Connector, audio: impl Audio) -> Vec<Update> {
    let got = Got::default();
    let note = got.clone();
    recognise(connector, &hello(), audio, move |u| note.lock().unwrap().push(u)).await;
    let got = got.lock().unwrap();
    got.clone()
}

#[tokio::test]
async fn chinese_results_of_a_vosk_server_become_updates() {
    let listener = listener().await;
    let connector = connector(&listener, Protocol::Vosk);
    let server = async {
        let mut socket = accept(&listener).await;
        let mut answers = VOSK_ZH.lines();
        let (mut texts, mut octets) = (Vec::new(), 0);
        let last = answers.next_back().unwrap();
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Binary(audio) => {
                    octets += audio.len();
                    let answer = answers.next().expect("an answer to each piece");
                    socket.send(Message::text(answer)).await.unwrap();
                }
                Message::Text(text) if text.as_str() == r#"{"eof" : 1}"# => {
                    socket.send(Message::text(last)).await.unwrap();
                    socket.close(None).await.unwrap();
                }
                Message::Text(text) => texts.push(text.to_string()),
                _ => {}
            }
        }
        (texts, octets)
    };
    let audio = pieces(&[(0, 800); 6]);
    let (updates, (texts, octets)) = tokio::join!(run(&connector, audio), server);
    assert_eq!(texts, [r#"{"config":{"sample_rate":8000,"words":1}}"#]);
    assert_eq!(octets, 6 * 1600);
    let partial = |text: &str| Update::Partial { text: text.into() };
    let last = |text: &str, begin_ms, end_ms| Update::Final {
        text: text.into(),
        begin_ms,
        end_ms,
    };
    assert_eq!(
        updates,
        [
            partial("你好"),
            partial("你好 我 想"),
            partial("你好 我 想 查询 订单"),
            last("你好 我 想 查询 订单", 210, 1920),
            last("谢谢", 2520, 2970),
            Update::Ended,
        ]
    );
}

#[tokio::test]
async fn a_recorded_session_of_a_chinese_recogniser_becomes_its_words() {
    let listener = listener().await;
    let connector = connector(&listener, Protocol::Vosk);
    let count = ZH_LIVE.lines().count() - 1;
    let server = async {
        let mut socket = accept(&listener).await;
        let mut answers = ZH_LIVE.lines();
        while let Some(Ok(message)) = socket.next().await {
            let is_end = message.to_text().is_ok_and(|t| t == r#"{"eof" : 1}"#);
            if !message.is_binary() && !is_end {
                continue;
            }
            let answer = answers.next().expect("an answer to each piece and to the end");
            socket.send(Message::text(answer)).await.unwrap();
            if is_end {
                socket.close(None).await.unwrap();
            }
        }
        assert_eq!(answers.next(), None, "all of the recording was used");
    };
    let audio = pieces(&vec![(0, 800); count]);
    let (updates, ()) = tokio::join!(run(&connector, audio), server);
    let finals: Vec<(&str, u64, u64)> = updates
        .iter()
        .filter_map(|u| match u {
            Update::Final { text, begin_ms, end_ms } => Some((text.as_str(), *begin_ms, *end_ms)),
            _ => None,
        })
        .collect();
    assert_eq!(
        finals,
        [
            ("你好", 0, 1200),
            ("上海", 3000, 4300),
            ("服务", 6200, 7000),
            ("谢谢", 8800, 10_000)
        ]
    );
    assert_eq!(updates.last(), Some(&Update::Ended));
}

#[tokio::test]
async fn a_lost_engine_is_told_and_tried_again_and_times_go_on() {
    let listener = listener().await;
    let connector = connector(&listener, Protocol::Strowger);
    let (heard, mut hears) = mpsc::channel(100);
    let server = async {
        // The first connection takes one piece and breaks.
        let mut socket = accept(&listener).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_binary() {
                break;
            }
        }
        drop(socket);
        let mut socket = accept(&listener).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_binary() {
                let result = r#"{"type":"final","text":"again","begin_ms":10,"end_ms":20}"#;
                socket.send(Message::text(result)).await.unwrap();
                break;
            }
        }
        // Nothing more comes, until the test has seen it all and drops this.
        std::future::pending::<()>().await;
    };
    let mut audio = pieces(&[(0, 800); 1000]);
    audio.endless = true;
    let hello = hello();
    let leg = recognise(&connector, &hello, audio, move |u| {
        // The test may have seen enough.
        let _ = heard.try_send(u);
    });
    let seen = async {
        let mut seen = Vec::new();
        while !matches!(seen.last(), Some(Update::Final { .. })) {
            seen.push(hears.recv().await.unwrap());
        }
        seen
    };
    let seen = tokio::select! {
        seen = seen => seen,
        () = leg => panic!("the leg ended"),
        () = server => panic!("the server ended"),
    };
    assert!(matches!(&seen[0], Update::Interrupted { .. }), "{seen:?}");
    assert_eq!(seen[1], Update::Resumed);
    let Update::Gap { ms } = seen[2] else {
        panic!("{seen:?}")
    };
    assert!(ms >= 100, "half a second passed without an engine: {ms}");
    let Some(Update::Final { begin_ms, end_ms, .. }) = seen.last() else {
        panic!()
    };
    // The new connection begins where its audio does, behind the piece that was sent and what was lost.
    assert!(*begin_ms >= 100 + ms && end_ms - begin_ms == 10, "{begin_ms}-{end_ms}");
}

#[tokio::test]
async fn what_the_source_dropped_is_a_gap() {
    let listener = listener().await;
    let connector = connector(&listener, Protocol::Strowger);
    let server = async {
        let mut socket = accept(&listener).await;
        let mut types = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                let message: serde_json::Value = serde_json::from_str(&text).unwrap();
                types.push(message["type"].as_str().unwrap().to_owned());
                if types.last().is_some_and(|t| t == "end") {
                    break;
                }
            }
        }
        types
    };
    let audio = pieces(&[(0, 160), (1600, 160), (0, 160)]);
    let (updates, types) = tokio::join!(run(&connector, audio), server);
    assert_eq!(updates, [Update::Gap { ms: 200 }, Update::Ended]);
    assert_eq!(types, ["start", "end"]);
}

#[tokio::test]
async fn engines_that_are_not_there_or_are_none_are_named_at_once() {
    let listener = listener().await;
    let connector_of_nobody = connector(&listener, Protocol::Vosk);
    drop(listener);
    let error = connector_of_nobody.check().await.unwrap_err();
    assert!(matches!(error, RecognitionError::Unreachable(_)), "{error}");
    for (url, why) in [
        ("http://127.0.0.1:1", "neither ws://"),
        ("ws://", "not usable"),
        ("not a url", "not usable"),
    ] {
        let settings = EngineSettings {
            url: url.into(),
            protocol: Protocol::Vosk,
            token: None,
            timeout: Duration::from_secs(1),
        };
        let error = Connector::new(settings).err().expect("an error").to_string();
        assert!(error.contains(why), "{url}: {error}");
    }
    // A web server that knows no WebSocket.
    let listener = self::listener().await;
    let plain = connector(&listener, Protocol::Vosk);
    let server = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 2048];
        let length = stream.read(&mut request).await.unwrap();
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    };
    let (checked, request) = tokio::join!(plain.check(), server);
    assert!(matches!(checked, Err(RecognitionError::Refused(_))), "{checked:?}");
    assert!(
        request.to_lowercase().contains("authorization: bearer let-me-in"),
        "{request}"
    );
}
