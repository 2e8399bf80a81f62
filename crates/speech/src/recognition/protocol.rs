//! What is said over the WebSocket: texts in JSON, audio in binary messages, PCM 16 bit little-endian, 8 kHz, mono.
//!
//! `docs/speech.md` documents both protocols.

use serde::Deserialize;
use serde_json::json;

/// The protocols that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Our own: begins with who speaks, results carry times.
    Strowger,
    /// That of the Vosk server (`alphacep/vosk-server`), which many adapters speak.
    Vosk,
}

/// Whose audio follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The conversation's id.
    pub conversation: String,
    /// The leg's number.
    pub leg: u16,
    /// Language as a BCP 47 tag, such as `zh` or `en`.
    pub language: String,
}

/// What an engine said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing of interest.
    Nothing,
    /// An utterance so far.
    Partial(String),
    /// A complete utterance; times in milliseconds since the stream began, if the engine knows them.
    Final {
        /// Words.
        text: String,
        /// Its beginning and end.
        span: Option<(u64, u64)>,
    },
    /// The engine refuses, and says why.
    Refused(String),
}

/// A message that is none of the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine sent a message that is not of the protocol")]
pub struct ProtocolError;

/// Longest text of a result; the rest is cut off.
const MAX_TEXT: usize = 4000;

impl Protocol {
    /// The first message.
    pub fn hello(self, hello: &Hello) -> String {
        match self {
            Protocol::Strowger => json!({
                "type": "start", "version": 1, "conversation": hello.conversation, "leg": hello.leg,
                "language": hello.language, "encoding": "pcm_s16le", "sample_rate": 8000,
            }),
            Protocol::Vosk => json!({ "config": { "sample_rate": 8000, "words": 1 } }),
        }
        .to_string()
    }

    /// The last message: no more audio comes, and the rest of the results is asked for.
    pub fn bye(self) -> String {
        match self {
            Protocol::Strowger => json!({ "type": "end" }),
            // The server compares it letter by letter.
            Protocol::Vosk => return r#"{"eof" : 1}"#.to_owned(),
        }
        .to_string()
    }

    /// Reads a message of the engine.
    ///
    /// # Errors
    /// It is none of the protocol's.
    pub fn read(self, text: &str) -> Result<Heard, ProtocolError> {
        let heard = match self {
            Protocol::Strowger => strowger(text)?,
            Protocol::Vosk => vosk(text)?,
        };
        Ok(match heard {
            Heard::Partial(text) if text.is_empty() => Heard::Nothing,
            Heard::Final { text, .. } if text.is_empty() => Heard::Nothing,
            Heard::Partial(text) => Heard::Partial(cut(text)),
            Heard::Final { text, span } => Heard::Final { text: cut(text), span },
            other => other,
        })
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let mut end = MAX_TEXT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

fn strowger(text: &str) -> Result<Heard, ProtocolError> {
    #[derive(Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Message {
        Partial {
            text: String,
        },
        Final {
            text: String,
            begin_ms: Option<u64>,
            end_ms: Option<u64>,
        },
        Error {
            reason: String,
        },
        /// What a later version may add.
        #[serde(other)]
        Other,
    }
    Ok(match serde_json::from_str(text).map_err(|_| ProtocolError)? {
        Message::Partial { text } => Heard::Partial(text.trim().to_owned()),
        Message::Final { text, begin_ms, end_ms } => Heard::Final {
            text: text.trim().to_owned(),
            span: begin_ms.zip(end_ms).filter(|(begin, end)| begin <= end),
        },
        Message::Error { reason } => Heard::Refused(cut(reason)),
        Message::Other => Heard::Nothing,
    })
}

fn vosk(text: &str) -> Result<Heard, ProtocolError> {
    #[derive(Deserialize)]
    struct Message {
        partial: Option<String>,
        text: Option<String>,
        #[serde(default)]
        result: Vec<Word>,
    }
    /// Seconds since the stream began.
    #[derive(Deserialize)]
    struct Word {
        start: f64,
        end: f64,
    }
    let message: Message = serde_json::from_str(text).map_err(|_| ProtocolError)?;
    // As a float's cast saturates, nothing that an engine writes overflows.
    let ms = |seconds: f64| (seconds.max(0.0) * 1000.0).round() as u64;
    Ok(match (message.partial, message.text) {
        (_, Some(text)) => {
            let ends = message.result.first().zip(message.result.last());
            Heard::Final {
                text: text.trim().to_owned(),
                span: ends.map(|(a, b)| (ms(a.start), ms(b.end))).filter(|(a, b)| a <= b),
            }
        }
        (Some(partial), None) => Heard::Partial(partial.trim().to_owned()),
        (None, None) => Heard::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            conversation: "c1".into(),
            leg: 2,
            language: "en".into(),
        }
    }

    #[test]
    fn the_wire_of_vosk() {
        let p = Protocol::Vosk;
        assert_eq!(p.hello(&hello()), r#"{"config":{"sample_rate":8000,"words":1}}"#);
        assert_eq!(p.bye(), r#"{"eof" : 1}"#);
        assert_eq!(p.read(r#"{"partial" : ""}"#), Ok(Heard::Nothing));
        assert_eq!(
            p.read(r#"{"partial" : "one two"}"#),
            Ok(Heard::Partial("one two".into()))
        );
        let heard = p.read(
            r#"{"result" : [{"conf" : 1.0, "end" : 1.11, "start" : 0.84, "word" : "one"},
                {"conf" : 0.9, "end" : 1.53, "start" : 1.11, "word" : "zero"}], "text" : "one zero"}"#,
        );
        let words = Heard::Final {
            text: "one zero".into(),
            span: Some((840, 1530)),
        };
        assert_eq!(heard, Ok(words));
        assert_eq!(p.read(r#"{"text" : ""}"#), Ok(Heard::Nothing));
        assert_eq!(p.read("[]"), Err(ProtocolError));
    }

    #[test]
    fn our_own_wire() {
        let p = Protocol::Strowger;
        let first: serde_json::Value = serde_json::from_str(&p.hello(&hello())).unwrap();
        assert_eq!((&first["type"], &first["leg"]), (&json!("start"), &json!(2)));
        assert_eq!(
            p.read(r#"{"type":"final","text":"你好","begin_ms":10,"end_ms":900}"#),
            Ok(Heard::Final {
                text: "你好".into(),
                span: Some((10, 900))
            })
        );
        let backwards = p.read(r#"{"type":"final","text":"x","begin_ms":9,"end_ms":1}"#);
        assert!(matches!(backwards, Ok(Heard::Final { span: None, .. })));
        assert_eq!(
            p.read(r#"{"type":"partial","text":"a"}"#),
            Ok(Heard::Partial("a".into()))
        );
        assert_eq!(
            p.read(r#"{"type":"error","reason":"no model"}"#),
            Ok(Heard::Refused("no model".into()))
        );
        assert_eq!(p.read(r#"{"type":"later","x":1}"#), Ok(Heard::Nothing));
        assert_eq!(p.read(r#"{"text":"a"}"#), Err(ProtocolError));
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let long = json!({ "text": "好".repeat(5000) }).to_string();
        let Ok(Heard::Final { text, .. }) = Protocol::Vosk.read(&long) else {
            panic!("no result");
        };
        assert!(text.len() <= MAX_TEXT && text.chars().all(|c| c == '好'));
    }
}
