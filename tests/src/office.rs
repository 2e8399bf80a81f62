//! A test bed with telephones, and the check that each of their calls leaves one closed record and nothing else.

use crate::bed::{Bed, PUSHED};
use crate::journal::Journal;
use crate::phone::Phone;
use crate::server::Options;
use crate::wait;
use serde_json::{Value, json};
use std::time::Duration;

/// A tenant's telephones at a server of the test's own.
pub struct Office {
    /// The bed.
    pub bed: Bed,
    journal: Journal,
    mark: i64,
}

/// The password of a device.
pub fn password(name: &str) -> String {
    format!("secret-of-{name}")
}

impl Office {
    /// With these telephones.
    pub fn start(names: &[&str]) -> Office {
        Office::start_with(Options::default(), names)
    }

    /// With options of the test's own.
    pub fn start_with(options: Options, names: &[&str]) -> Office {
        let bed = Bed::start_with(options);
        for name in names {
            let device = json!({ "username": name, "tenant": bed.tenant, "password": password(name) });
            bed.server.create("/devices", &device);
        }
        let journal = Journal::open(&bed.server);
        let mark = journal.position();
        Office { bed, journal, mark }
    }

    /// With these telephones, which are challenged with MD5 alone: SIPp before 3.7 knows no other hash, and looks at the
    /// first challenge only.
    pub fn for_sipp(names: &[&str]) -> Office {
        Office::for_sipp_with("", names)
    }

    /// The same with more lines of the section `[sip]`.
    pub fn for_sipp_with(more: &str, names: &[&str]) -> Office {
        let options = Options {
            sip: format!("digest = [\"MD5\"]\n{more}"),
            ..Options::default()
        };
        Office::start_with(options, names)
    }

    /// One of the telephones, over UDP, not registered yet.
    pub fn phone(&self, name: &str) -> Phone {
        Phone::udp(self.bed.server.sip(), name, &password(name))
    }

    /// One of the telephones, over UDP, registered for an hour.
    pub fn registered(&self, name: &str) -> Phone {
        let mut phone = self.phone(name);
        phone.register(3_600, "");
        phone
    }

    /// The bindings of a device, as operators see them.
    pub fn bindings(&self, name: &str) -> Vec<Value> {
        let all = self.bed.server.admin("GET", "/registrations", None).json();
        let all = all["items"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|b| b["username"] == name).collect()
    }

    /// Waits until no call is open and gives back the conversations that have begun since the last look, as the admin API
    /// shows them, oldest first.
    ///
    /// # Panics
    /// If one of them, or a leg of one, has not ended.
    pub fn ended(&mut self) -> Vec<Value> {
        wait::until("no open call", PUSHED, Duration::from_millis(20), || {
            self.bed.server.open_calls().is_empty().then_some(())
        });
        let ids = self.journal.conversations_after(self.mark);
        self.mark = self.journal.position();
        let shown: Vec<Value> = ids.iter().map(|id| self.bed.show(&format!("CV{id}"))).collect();
        for call in &shown {
            assert_eq!(call["state"], "ended", "{call}");
            let legs = call["legs"].as_array().expect("legs");
            assert!(legs.iter().all(|l| l["state"] == "ended"), "{call}");
        }
        shown
    }

    /// Waits until the one call since the last look is over, and checks its cause.
    ///
    /// # Panics
    /// If there were none or several, or it ended otherwise.
    pub fn over(&mut self, cause: &str) -> Value {
        let mut all = self.ended();
        assert_eq!(all.len(), 1, "one record: {all:?}");
        let call = all.remove(0);
        assert_eq!(call["cause"], cause, "{call}");
        call
    }
}
