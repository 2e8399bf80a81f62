//! espeak-ng, a process for each text.

use super::{MAX_ANSWER, Speaking, SynthesisError, TextToSpeech, Utterance};
use std::process::Stdio;
use std::time::Duration;
use strowger_core::spoken::Language;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

/// Processes at once; more would take processor time from calls.
const AT_ONCE: usize = 2;

/// espeak-ng by its program: local, free, and plain to hear.
pub struct Espeak {
    program: String,
    timeout: Duration,
    turns: Semaphore,
}

impl Espeak {
    /// A program, by name or path, and how long it may take for one text.
    pub fn new(program: impl Into<String>, timeout: Duration) -> Espeak {
        Espeak {
            program: program.into(),
            timeout,
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Asks the program for its version.
    ///
    /// # Errors
    /// [`SynthesisError::Unreachable`]: it is not there, or does not run.
    pub async fn check(&self) -> Result<(), SynthesisError> {
        let asked = Command::new(&self.program)
            .arg("--version")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => Err(self.unreachable(output.status.to_string())),
            Ok(Err(e)) => Err(self.unreachable(e.to_string())),
            Err(_) => Err(self.slow()),
        }
    }

    fn unreachable(&self, why: String) -> SynthesisError {
        SynthesisError::Unreachable {
            engine: self.program.clone(),
            why,
        }
    }

    fn slow(&self) -> SynthesisError {
        SynthesisError::Slow {
            engine: self.program.clone(),
            after: self.timeout,
        }
    }

    fn failed(&self, why: impl Into<String>) -> SynthesisError {
        SynthesisError::Failed {
            engine: self.program.clone(),
            why: why.into(),
        }
    }

    async fn run(&self, utterance: &Utterance) -> Result<Vec<u8>, SynthesisError> {
        let voice = utterance.voice().unwrap_or(match utterance.language() {
            // Not `cmn`: it turns characters into Latin letters and reads those as English.
            Language::Chinese => "cmn-latn-pinyin",
            Language::English => "en-gb",
        });
        // The text goes in by the standard input: no shell and no option can be made of it.
        let mut child = Command::new(&self.program)
            .args(["-v", voice, "-s", "150", "-b", "1", "--stdin", "--stdout"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| self.unreachable(e.to_string()))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(self.failed("it has no standard streams"));
        };
        let text = utterance.text().as_bytes();
        let feed = async move {
            // A program that ends early is known by its status.
            let _ = input.write_all(text).await;
            let _ = input.shutdown().await;
        };
        let mut answer = Vec::new();
        let mut limited = output.take(MAX_ANSWER as u64 + 1);
        let ((), read) = tokio::join!(feed, limited.read_to_end(&mut answer));
        read.map_err(|e| self.failed(e.to_string()))?;
        if answer.len() > MAX_ANSWER {
            return Err(self.failed("it said more than can be taken in"));
        }
        let status = child.wait().await.map_err(|e| self.failed(e.to_string()))?;
        if !status.success() {
            return Err(self.failed(format!("{status}; is there a voice {voice}?")));
        }
        Ok(answer)
    }
}

impl TextToSpeech for Espeak {
    fn identity(&self) -> String {
        "espeak-ng".into()
    }

    fn speak<'a>(&'a self, utterance: &'a Utterance) -> Speaking<'a> {
        Box::pin(async move {
            let work = async {
                let _turn = self.turns.acquire().await;
                self.run(utterance).await
            };
            tokio::time::timeout(self.timeout, work)
                .await
                .unwrap_or_else(|_| Err(self.slow()))
        })
    }
}
