//! What the TLS servers behind addresses must be called.

use crate::settings::TlsPeer;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use strowger_sip_core::Transport;

/// Names kept; beyond, the oldest is forgotten, and a new connection there is verified by the address alone, which fails
/// closed.
const MAX_NAMES: usize = 16_384;

type Key = (Transport, SocketAddr);

#[derive(Default)]
struct Names {
    by_target: HashMap<Key, Arc<TlsPeer>>,
    order: VecDeque<Key>,
}

/// Names of targets, shared by the handles and the endpoint. Locked for the length of one look-up, when a connection is
/// opened.
#[derive(Clone, Default)]
pub(crate) struct PeerNames(Arc<Mutex<Names>>);

impl PeerNames {
    pub(crate) fn set(&self, key: Key, peer: TlsPeer) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.by_target.get_mut(&key) {
            if **known != peer {
                *known = Arc::new(peer);
            }
            return;
        }
        if names.order.len() == MAX_NAMES
            && let Some(oldest) = names.order.pop_front()
        {
            names.by_target.remove(&oldest);
        }
        names.order.push_back(key);
        names.by_target.insert(key, Arc::new(peer));
    }

    pub(crate) fn get(&self, key: Key) -> Option<Arc<TlsPeer>> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.by_target.get(&key).cloned()
    }
}
