//! An office with browser telephones.

use crate::browser::{Browser, Tab};
use crate::cable::Cable;
use crate::http::{self, Place};
use crate::office::{Office, password};
use crate::server::{Options, binary, port_block};
use crate::tls::Identity;
use crate::wait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// Both telephones.
pub const LIBRARIES: [&str; 2] = ["jssip", "sipjs"];
/// Time for a page on a machine that is busy with other tests.
pub const STEP: Duration = Duration::from_secs(40);
/// The shortest time that the server registers for.
pub const EXPIRES: u32 = 60;

/// An office that serves WSS, behind a cable.
pub struct Site {
    /// The office.
    pub office: Office,
    /// What the browser is connected by.
    pub cable: Cable,
    /// The browser.
    pub browser: Browser,
    /// Holds the certificate.
    _folder: tempfile::TempDir,
}

impl Site {
    /// With these telephones.
    pub fn start(names: &[&str]) -> Site {
        Site::start_with("", names)
    }

    /// The same with more lines of the configuration's section `[media]`.
    pub fn start_with(media: &str, names: &[&str]) -> Site {
        Site::start_configured(media, "", names)
    }

    /// The same with more sections of the configuration.
    pub fn start_configured(media: &str, more: &str, names: &[&str]) -> Site {
        let folder = tempfile::tempdir().expect("a folder for certificates");
        let port = port_block(2) + 1;
        let sip = format!("wss_port = {port}\n{}", Identity::new().write(folder.path()));
        let options = Options {
            sip,
            media: media.to_owned(),
            more: more.to_owned(),
            ..Options::default()
        };
        Site {
            office: Office::start_with(options, names),
            cable: Cable::to(SocketAddr::from(([127, 0, 0, 1], port))),
            browser: Browser::start(),
            _folder: folder,
        }
    }

    /// A tab with a telephone; `more` is added to its settings.
    pub fn open(&mut self, library: &str, user: &str, more: &Value) -> Tab {
        let settings = self.settings(library, user, more);
        self.browser.open(&settings)
    }

    /// Loads a tab again, and waits until its telephone has registered.
    pub fn reload(&mut self, tab: Tab, library: &str, user: &str, more: &Value) {
        let settings = self.settings(library, user, more);
        let mark = self.browser.mark();
        self.browser.reload(tab, &settings);
        self.browser.wait(tab, mark, "registered", STEP);
    }

    fn settings(&self, library: &str, user: &str, more: &Value) -> Value {
        let mut settings = json!({
            "library": library,
            "server": format!("wss://localhost:{}", self.cable.address().port()),
            "uri": format!("sip:{user}@127.0.0.1"),
            "password": password(user),
            "expires": EXPIRES,
            "keepAlive": 2,
        });
        if let (Some(settings), Some(more)) = (settings.as_object_mut(), more.as_object()) {
            settings.extend(more.clone());
        }
        settings
    }

    /// A tab with a registered telephone.
    pub fn registered(&mut self, library: &str, user: &str) -> Tab {
        self.registered_with(library, user, &json!({}))
    }

    /// The same with more settings.
    pub fn registered_with(&mut self, library: &str, user: &str, more: &Value) -> Tab {
        let mark = self.browser.mark();
        let tab = self.open(library, user, more);
        self.browser.wait(tab, mark, "registered", STEP);
        tab
    }

    /// Waits until a device has so many bindings, all over WSS, and gives them back.
    pub fn bindings(&self, user: &str, n: usize) -> Vec<Value> {
        let every = Duration::from_millis(50);
        let found = wait::until(&format!("{n} bindings of {user}"), STEP, every, || {
            Some(self.office.bindings(user)).filter(|b| b.len() == n)
        });
        assert!(found.iter().all(|b| b["transport"] == "wss"), "{found:?}");
        found
    }

    /// What a device's page is told of STUN and TURN servers, over the public listener with its own password.
    ///
    /// # Panics
    /// If it is told nothing.
    pub fn ice_servers(&self, user: &str) -> Value {
        let place = Place::Tcp(self.office.bed.server.http());
        let secret = STANDARD.encode(format!("{user}:{}", password(user)));
        let headers = [("Authorization", format!("Basic {secret}"))];
        let headers = headers.each_ref().map(|(n, v)| (*n, v.as_str()));
        let answer = http::request(&place, "GET", "/api/v1/ice-servers", &headers, None).expect("an answer");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["iceServers"].clone()
    }

    /// What an operator sees.
    pub fn listed(&self) -> String {
        let list = Command::new(binary())
            .args(["--data", &self.office.bed.server.data().display().to_string()])
            .args(["registration", "list"])
            .env_remove("STROWGER_CONFIG")
            .output()
            .expect("the binary can be run");
        assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
        String::from_utf8_lossy(&list.stdout).into_owned()
    }
}
