//! Chromium with telephones in its tabs: `tests/browser/driver.mjs` drives it and tells what happens.

use crate::{peers, wait, workspace};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long the browser may take to start on a busy machine: it is the slowest peer of all.
const STARTING: Duration = Duration::from_secs(90);
/// How long it may take to end in order.
const ENDING: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Shared {
    events: Mutex<(Vec<Value>, bool)>,
    changed: Condvar,
}

/// A running browser.
pub struct Browser {
    child: Child,
    commands: Option<ChildStdin>,
    shared: Arc<Shared>,
    tabs: u64,
}

/// One tab, with one telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tab(u64);

fn folder() -> PathBuf {
    workspace().join("tests/browser")
}

/// Whether the browser, its driver and the telephones are there; otherwise the test is to be skipped.
///
/// # Panics
/// Under `CI=true`, if they are not.
pub fn installed() -> bool {
    let programs = [("chromium", "chromium"), ("node", "nodejs")];
    let there = programs.iter().all(|(p, package)| peers::find(p, package).is_some());
    let packages = folder().join("node_modules/.package-lock.json").is_file();
    if there && !packages {
        peers::missing("the browser telephones", "npm ci --ignore-scripts in tests/browser");
    }
    there && packages
}

impl Browser {
    /// Starts one with a profile of its own.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start() -> Browser {
        Browser::start_in(&[], "")
    }

    /// The same behind a prefix of its command line, with one more argument.
    ///
    /// # Panics
    /// As above.
    pub fn start_in(launcher: &[String], argument: &str) -> Browser {
        let chromium = peers::find("chromium", "chromium").expect("a browser");
        let words: Vec<&str> = launcher
            .iter()
            .map(String::as_str)
            .chain(["node", "driver.mjs"])
            .collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .current_dir(folder())
            .env("CHROMIUM", chromium)
            .env("CHROMIUM_ARGUMENT", argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("node can be run");
        let said = BufReader::new(child.stdout.take().expect("a pipe"));
        let shared = Arc::new(Shared::default());
        let heard = Arc::clone(&shared);
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str(&line) {
                    heard.lock().0.push(event);
                    heard.changed.notify_all();
                }
            }
            heard.lock().1 = true;
            heard.changed.notify_all();
        });
        let browser = Browser {
            commands: child.stdin.take(),
            child,
            shared,
            tabs: 0,
        };
        browser.wait_any("the browser to start", STARTING, |all| {
            all.iter().any(|e| e["event"] == "ready").then_some(())
        });
        browser
    }

    fn command(&mut self, command: &Value) {
        let commands = self.commands.as_mut().expect("a running browser");
        writeln!(commands, "{command}").expect("the driver takes commands");
    }

    /// Opens a tab with a telephone; `settings` are those of `phones.js`.
    pub fn open(&mut self, settings: &Value) -> Tab {
        self.tabs += 1;
        let tab = self.tabs;
        self.command(&json!({ "do": "open", "tab": tab, "settings": settings }));
        Tab(tab)
    }

    /// Calls a function of a tab's telephone.
    pub fn call(&mut self, tab: Tab, method: &str, arguments: &Value) {
        self.command(&json!({ "do": "call", "tab": tab.0, "method": method, "arguments": arguments }));
    }

    /// Loads a tab again: its telephone goes without a word, and starts anew with these settings.
    pub fn reload(&mut self, tab: Tab, settings: &Value) {
        self.command(&json!({ "do": "reload", "tab": tab.0, "settings": settings }));
    }

    /// Closes a tab: its telephone says no word.
    pub fn close(&mut self, tab: Tab) {
        self.command(&json!({ "do": "close", "tab": tab.0 }));
    }

    /// How many events there have been: a mark for [`Browser::wait`].
    pub fn mark(&self) -> usize {
        self.shared.lock().0.len()
    }

    /// The events of a tab after a mark.
    pub fn events(&self, tab: Tab, mark: usize) -> Vec<Value> {
        let events = self.shared.lock();
        events.0[mark..].iter().filter(|e| e["tab"] == tab.0).cloned().collect()
    }

    /// Waits for an event of a tab after a mark.
    ///
    /// # Panics
    /// If it does not come in time, or a page has failed.
    pub fn wait(&self, tab: Tab, mark: usize, event: &str, patience: Duration) -> Value {
        self.wait_any(&format!("{event} in a tab"), patience, |all| {
            let of_tab = |e: &&Value| e["tab"] == tab.0 && e["event"] == event;
            all[mark..].iter().find(of_tab).cloned()
        })
    }

    /// Waits until a tab has had so many frames of a direction, `sent` or `received`, with this first line after a mark.
    pub fn wait_frames(&self, tab: Tab, mark: usize, direction: &str, text: &str, n: usize, patience: Duration) {
        self.wait_any(&format!("{n} {text} {direction}"), patience, |all| {
            let of_tab = |e: &&Value| e["tab"] == tab.0 && e["event"] == "frame" && e["direction"] == direction;
            let these = all[mark..].iter().filter(of_tab);
            let found = these.filter(|e| e["text"].as_str().is_some_and(|t| t.starts_with(text)));
            (found.count() >= n).then_some(())
        });
    }

    fn wait_any<T>(&self, what: &str, patience: Duration, mut found: impl FnMut(&[Value]) -> Option<T>) -> T {
        wait::on(
            &self.shared.changed,
            self.shared.lock(),
            what,
            patience,
            |(events, ended)| {
                if let Some(error) = events.iter().find(|e| e["event"] == "error") {
                    panic!("a page failed while a test waited for {what}: {error}");
                }
                let t = found(events);
                assert!(
                    t.is_some() || !*ended,
                    "the browser ended while a test waited for {what}"
                );
                t
            },
        )
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (Vec<Value>, bool)> {
        // A wait that fails panics with the lock held; the events are whole all the same.
        self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- the browser ----");
            for event in &self.shared.lock().0 {
                eprintln!("{event}");
            }
        }
        // Without its input the driver closes the browser and removes the profile.
        drop(self.commands.take());
        let end = std::time::Instant::now() + ENDING;
        while std::time::Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            wait::pause(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
