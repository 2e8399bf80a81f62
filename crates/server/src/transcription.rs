//! Live transcription: the media engine's tap of a conversation, split by leg, to the speech recogniser and back.
//!
//! Results are telemetry: they are kept in memory, within bounds, and gone with the process. Nothing of a call depends on
//! them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use strowger_api::{Reply, TranscriptEntry, TranscriptKind, Transcription, TranscriptionError, TranscriptionStats};
use strowger_core::{ConversationId, Stamp};
use strowger_media::{CallKey, Command, TapFrame, TapReader, tap};
use strowger_runtime::{Switch, clock};
use strowger_speech::recognition::{Audio, Connector, Hello, Supply, Update, recognise};

/// Frames of 20 ms that the media engine may be ahead of us: two legs for five seconds.
const TAP_FRAMES: usize = 500;
/// How often the tap is emptied.
const TICK: Duration = Duration::from_millis(50);
/// Audio of a leg that may wait for the engine: five seconds.
const WAITING: usize = 40_000;
/// Legs of a conversation that are recognised.
const MAX_LEGS: usize = 16;
/// A leg without a frame for so long has ended, though its conversation goes on.
const LEG_IDLE: Duration = Duration::from_secs(10);
/// Entries of a transcript; the oldest go first.
const MAX_ENTRIES: usize = 5000;
/// Transcripts that are kept, ended ones included; the oldest ended ones go first.
const MAX_TRANSCRIPTS: usize = 500;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has been recognised in one conversation.
#[derive(Default)]
struct Transcript {
    entries: VecDeque<TranscriptEntry>,
    next: u64,
    /// Legs under way; the transcript is complete when there is none and the tap is gone.
    running: bool,
    stop: bool,
}

impl Transcript {
    fn add(&mut self, leg: u16, at: Stamp, update: Update) {
        let (kind, text, span) = match update {
            Update::Partial { text } => (TranscriptKind::Partial, text, None),
            Update::Final { text, begin_ms, end_ms } => (TranscriptKind::Final, text, Some((begin_ms, end_ms))),
            Update::Gap { ms } => (TranscriptKind::Gap, ms.to_string(), None),
            Update::Interrupted { why } => (TranscriptKind::Interrupted, why, None),
            Update::Resumed => (TranscriptKind::Resumed, String::new(), None),
            Update::Ended => (TranscriptKind::Ended, String::new(), None),
        };
        // A partial result takes the place of the one before it.
        let last = self.entries.iter().rposition(|e| e.leg == leg);
        if let Some(last) = last.filter(|&i| self.entries[i].kind == TranscriptKind::Partial) {
            self.entries.remove(last);
        }
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(TranscriptEntry {
            sequence: self.next,
            leg,
            at,
            kind,
            text,
            span,
        });
        self.next += 1;
    }
}

/// The transcripts of this process.
pub struct Transcriber {
    switch: Arc<Switch>,
    connector: Option<Arc<Connector>>,
    language: String,
    limit: usize,
    transcripts: Mutex<Transcripts>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Transcripts {
    by_id: HashMap<ConversationId, Arc<Mutex<Transcript>>>,
    order: VecDeque<ConversationId>,
}

#[derive(Default)]
struct Counters {
    started: AtomicU64,
    finals: AtomicU64,
    missed_ms: AtomicU64,
    interruptions: AtomicU64,
}

impl Transcripts {
    fn running(&self) -> usize {
        self.by_id.values().filter(|t| lock(t).running).count()
    }

    fn insert(&mut self, id: ConversationId, transcript: Arc<Mutex<Transcript>>) {
        if self.by_id.insert(id, transcript).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > MAX_TRANSCRIPTS {
            let ended = self
                .order
                .iter()
                .position(|id| self.by_id.get(id).is_none_or(|t| !lock(t).running));
            let Some(oldest) = ended.and_then(|i| self.order.remove(i)) else {
                return;
            };
            self.by_id.remove(&oldest);
        }
    }
}

impl Transcriber {
    /// With an engine, or without one: then every request is told so.
    pub fn new(switch: Arc<Switch>, connector: Option<Connector>, language: String, limit: usize) -> Transcriber {
        Transcriber {
            switch,
            connector: connector.map(Arc::new),
            language,
            limit,
            transcripts: Mutex::default(),
            counters: Arc::default(),
        }
    }

    async fn begin(&self, id: ConversationId, language: Option<String>) -> Result<(), TranscriptionError> {
        let connector = self.connector.clone().ok_or(TranscriptionError::None)?;
        // Whoever asks learns at once that there is nobody to listen.
        connector
            .check()
            .await
            .map_err(|e| TranscriptionError::Engine(e.to_string()))?;
        let transcript = {
            let mut transcripts = lock(&self.transcripts);
            // Counted before one of them is locked.
            let running = transcripts.running();
            let known = transcripts.by_id.get(&id).cloned().unwrap_or_default();
            let mut state = lock(&known);
            match (state.running, state.stop) {
                (true, false) => return Ok(()),
                (true, true) => return Err(TranscriptionError::Ending),
                (false, _) => {}
            }
            if running >= self.limit {
                return Err(TranscriptionError::Limit(self.limit));
            }
            state.running = true;
            state.stop = false;
            drop(state);
            transcripts.insert(id, known.clone());
            known
        };
        let (sender, reader) = tap(TAP_FRAMES);
        if let Err(e) = self.switch.media().command(CallKey(id.0), Command::Tap(sender)) {
            lock(&transcript).running = false;
            return Err(TranscriptionError::Media(e.to_string()));
        }
        self.counters.started.fetch_add(1, Ordering::Relaxed);
        let desk = Desk {
            transcript,
            connector,
            conversation: id.to_string(),
            language: language.unwrap_or_else(|| self.language.clone()),
            counters: self.counters.clone(),
        };
        tokio::spawn(desk.listen(reader));
        Ok(())
    }
}

impl Transcription for Transcriber {
    fn start(&self, id: ConversationId, language: Option<String>) -> Reply<'_, Result<(), TranscriptionError>> {
        Box::pin(self.begin(id, language))
    }

    fn stop(&self, id: ConversationId) -> bool {
        let transcript = lock(&self.transcripts).by_id.get(&id).cloned();
        let Some(transcript) = transcript else { return false };
        let mut state = lock(&transcript);
        state.stop = state.running;
        state.running
    }

    fn transcript(&self, id: ConversationId) -> Option<(bool, Vec<TranscriptEntry>)> {
        let transcript = lock(&self.transcripts).by_id.get(&id).cloned()?;
        let state = lock(&transcript);
        Some((state.running, state.entries.iter().cloned().collect()))
    }

    fn stats(&self) -> TranscriptionStats {
        TranscriptionStats {
            running: lock(&self.transcripts).running() as u64,
            started: self.counters.started.load(Ordering::Relaxed),
            finals: self.counters.finals.load(Ordering::Relaxed),
            missed_ms: self.counters.missed_ms.load(Ordering::Relaxed),
            interruptions: self.counters.interruptions.load(Ordering::Relaxed),
        }
    }
}

/// One conversation's listener.
struct Desk {
    transcript: Arc<Mutex<Transcript>>,
    connector: Arc<Connector>,
    conversation: String,
    language: String,
    counters: Arc<Counters>,
}

/// A leg that is listened to.
struct Listened {
    feed: Arc<Mutex<Feed>>,
    next_frame: u64,
    last: tokio::time::Instant,
    task: tokio::task::JoinHandle<()>,
}

/// Audio between the tap and the engine.
#[derive(Default)]
struct Feed {
    samples: VecDeque<i16>,
    dropped: u64,
    ended: bool,
}

impl Feed {
    /// What there is no room for is lost, and counted.
    fn put(&mut self, samples: &[i16]) {
        if self.samples.len() + samples.len() > WAITING {
            self.dropped += samples.len() as u64;
        } else {
            self.samples.extend(samples);
        }
    }
}

/// The engine's end of a feed.
struct Tail(Arc<Mutex<Feed>>);

impl Audio for Tail {
    fn take(&mut self, out: &mut Vec<i16>, dropped: &mut u64) -> Supply {
        let mut feed = lock(&self.0);
        out.extend(feed.samples.drain(..));
        *dropped += std::mem::take(&mut feed.dropped);
        if feed.ended { Supply::Ended } else { Supply::Open }
    }
}

impl Desk {
    async fn listen(self, reader: TapReader) {
        let mut legs: BTreeMap<u16, Listened> = BTreeMap::new();
        let mut ended = Vec::new();
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            let open = reader.drain(|frame| self.frame(&mut legs, &frame));
            let now = tokio::time::Instant::now();
            let idle: Vec<u16> = legs
                .iter()
                .filter(|(_, leg)| now.duration_since(leg.last) > LEG_IDLE)
                .map(|(number, _)| *number)
                .collect();
            for leg in idle.iter().filter_map(|number| legs.remove(number)) {
                lock(&leg.feed).ended = true;
                ended.push(leg.task);
            }
            ended.retain(|task: &tokio::task::JoinHandle<()>| !task.is_finished());
            if !open || lock(&self.transcript).stop {
                break;
            }
        }
        // With its reader the tap goes too.
        drop(reader);
        for leg in legs.into_values() {
            lock(&leg.feed).ended = true;
            ended.push(leg.task);
        }
        for task in ended {
            // A task that panicked has said what it could.
            let _ = task.await;
        }
        lock(&self.transcript).running = false;
    }

    fn frame(&self, legs: &mut BTreeMap<u16, Listened>, frame: &TapFrame) {
        if !legs.contains_key(&frame.leg) {
            if legs.len() >= MAX_LEGS {
                return;
            }
            legs.insert(frame.leg, self.leg(frame));
        }
        let Some(leg) = legs.get_mut(&frame.leg) else { return };
        leg.last = tokio::time::Instant::now();
        let missing = frame.index.saturating_sub(leg.next_frame);
        leg.next_frame = frame.index + 1;
        let mut feed = lock(&leg.feed);
        feed.dropped += missing * frame.samples.len() as u64;
        feed.put(&frame.samples);
    }

    fn leg(&self, frame: &TapFrame) -> Listened {
        let feed = Arc::<Mutex<Feed>>::default();
        let (number, tail) = (frame.leg, Tail(feed.clone()));
        let (connector, transcript, counters) =
            (self.connector.clone(), self.transcript.clone(), self.counters.clone());
        let hello = Hello {
            conversation: self.conversation.clone(),
            leg: number,
            language: self.language.clone(),
        };
        let task = tokio::spawn(async move {
            let news = |update: Update| {
                match &update {
                    Update::Final { .. } => counters.finals.fetch_add(1, Ordering::Relaxed),
                    Update::Gap { ms } => counters.missed_ms.fetch_add(*ms, Ordering::Relaxed),
                    Update::Interrupted { why } => {
                        tracing::warn!(%why, leg = number, "a leg is not recognised for the time being");
                        counters.interruptions.fetch_add(1, Ordering::Relaxed)
                    }
                    _ => 0,
                };
                lock(&transcript).add(number, clock::wall_now(), update);
            };
            recognise(&connector, &hello, tail, news).await;
        });
        Listened {
            feed,
            next_frame: frame.index,
            last: tokio::time::Instant::now(),
            task,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(text: &str) -> Update {
        Update::Partial { text: text.into() }
    }

    #[test]
    fn a_partial_result_is_replaced_by_what_follows_it_on_its_leg() {
        let mut t = Transcript::default();
        t.add(0, Stamp(1), partial("one"));
        t.add(1, Stamp(2), partial("eins"));
        t.add(0, Stamp(3), partial("one two"));
        let end = Update::Final {
            text: "one two".into(),
            begin_ms: 10,
            end_ms: 20,
        };
        t.add(0, Stamp(4), end);
        t.add(0, Stamp(5), Update::Ended);
        let kinds: Vec<_> = t.entries.iter().map(|e| (e.leg, e.kind)).collect();
        assert_eq!(
            kinds,
            [
                (1, TranscriptKind::Partial),
                (0, TranscriptKind::Final),
                (0, TranscriptKind::Ended)
            ]
        );
        assert!(
            t.entries
                .iter()
                .zip(t.entries.iter().skip(1))
                .all(|(a, b)| a.sequence < b.sequence)
        );
    }

    #[test]
    fn transcripts_and_waiting_audio_are_bounded() {
        let mut t = Transcript::default();
        for _ in 0..MAX_ENTRIES + 10 {
            t.add(0, Stamp(1), Update::Resumed);
        }
        assert_eq!(t.entries.len(), MAX_ENTRIES);
        let mut feed = Feed::default();
        for _ in 0..WAITING / 160 + 3 {
            feed.put(&[1; 160]);
        }
        assert_eq!((feed.samples.len(), feed.dropped), (WAITING, 3 * 160));
        let mut all = Transcripts::default();
        for id in 0..MAX_TRANSCRIPTS as u128 + 5 {
            let running = id == 0;
            let transcript = Transcript {
                running,
                ..Transcript::default()
            };
            all.insert(ConversationId(id), Arc::new(Mutex::new(transcript)));
        }
        assert_eq!(all.by_id.len(), MAX_TRANSCRIPTS);
        assert!(all.by_id.contains_key(&ConversationId(0)), "a running one stays");
    }
}
