//! Deadlines that belong to a dialog and not to a transaction.

use crate::api::{DialogHandle, Time};
use crate::keyed::KeyedMap;
use std::collections::BTreeSet;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// The session wants a refresh, or has expired (RFC 4028).
    Session,
    /// A subscription to a referred call expires (RFC 3515).
    Refer,
}

/// At most one time for each dialog and alarm.
#[derive(Default)]
pub(super) struct Alarms {
    due: BTreeSet<(Time, DialogHandle, Alarm)>,
    /// Session, refer.
    set: KeyedMap<DialogHandle, [Option<Time>; 2]>,
}

impl Alarms {
    /// Dialogs that wait for something.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Sets, moves or clears an alarm.
    pub fn set(&mut self, handle: DialogHandle, alarm: Alarm, at: Option<Time>) {
        if at.is_none() && !self.set.contains_key(&handle) {
            return;
        }
        let times = self.set.entry(handle).or_default();
        if let Some(old) = std::mem::replace(&mut times[alarm as usize], at) {
            self.due.remove(&(old, handle, alarm));
        }
        if *times == [None, None] {
            self.set.remove(&handle);
        }
        if let Some(at) = at {
            self.due.insert((at, handle, alarm));
        }
    }

    /// The dialog is over.
    pub fn clear(&mut self, handle: DialogHandle) {
        for alarm in [Alarm::Session, Alarm::Refer] {
            self.set(handle, alarm, None);
        }
    }

    pub fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, ..)| *at)
    }

    pub fn pop_due(&mut self, now: Time) -> Option<(DialogHandle, Alarm)> {
        let (_, handle, alarm) = *self.due.first().filter(|(at, ..)| *at <= now)?;
        self.set(handle, alarm, None);
        Some((handle, alarm))
    }
}
