//! Dialogs of running conversations by the half of their name that we chose, with whose they are.
//!
//! A Replaces that is sent to us names a dialog by Call-ID and our tag (RFC 3891); an INVITE that we send to ourselves, to
//! join two conversations, is known again by Call-ID and From tag.

use crate::owner::DialogName;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use strowger_core::TenantId;

const SHARDS: usize = 16;

/// The dialogs; read and written by many threads, for a moment each. Holds as many entries as running conversations have
/// dialogs.
#[derive(Debug, Default)]
pub struct DialogNames {
    shards: [Mutex<HashMap<DialogName, TenantId>>; SHARDS],
    hasher: RandomState,
}

impl DialogNames {
    fn with<T>(&self, name: &DialogName, f: impl FnOnce(&mut HashMap<DialogName, TenantId>) -> T) -> T {
        let shard = self.hasher.hash_one(name) as usize % SHARDS;
        f(&mut self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a dialog.
    pub fn insert(&self, name: DialogName, tenant: TenantId) {
        self.with(&name.clone(), |m| m.insert(name, tenant));
    }

    /// Removes a dialog.
    pub fn remove(&self, name: &DialogName) {
        self.with(name, |m| m.remove(name));
    }

    /// Whose dialog this is; `None` if it is none of ours.
    pub fn tenant_of(&self, name: &DialogName) -> Option<TenantId> {
        self.with(name, |m| m.get(name).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_known_by_both_parts_of_its_name() {
        let names = DialogNames::default();
        let name = |call_id: &str, local_tag: &str| DialogName {
            call_id: call_id.into(),
            local_tag: local_tag.into(),
        };
        names.insert(name("a", "1"), TenantId(7));
        assert_eq!(names.tenant_of(&name("a", "1")), Some(TenantId(7)));
        assert_eq!(names.tenant_of(&name("a", "2")), None);
        names.remove(&name("a", "1"));
        assert_eq!(names.tenant_of(&name("a", "1")), None);
    }
}
