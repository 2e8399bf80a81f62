//! Calls of what the application has hung into an endpoint; a panic in there is counted and goes no further.

use crate::settings::Admission;
use crate::trace::{Direction, Trace, Traced};
use bytes::Bytes;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;
use strowger_sip_core::Transport;

pub(crate) struct Hooks {
    admission: Option<Arc<dyn Admission>>,
    trace: Option<Arc<dyn Trace>>,
    panics: u64,
}

impl Hooks {
    pub(crate) fn new(admission: Option<Arc<dyn Admission>>, trace: Option<Arc<dyn Trace>>) -> Hooks {
        Hooks {
            admission,
            trace,
            panics: 0,
        }
    }

    /// Whether anything from a source is looked at. A hook that panics lets nothing in.
    pub(crate) fn admits(&mut self, transport: Transport, source: SocketAddr) -> bool {
        let Some(admission) = &self.admission else { return true };
        let admitted = catch_unwind(AssertUnwindSafe(|| admission.admit(transport, source)));
        self.panics += u64::from(admitted.is_err());
        admitted.unwrap_or(false)
    }

    /// Shows a message to whoever wants to see it.
    pub(crate) fn trace(
        &mut self,
        direction: Direction,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &Bytes,
    ) {
        let Some(trace) = &self.trace else { return };
        let message = Traced {
            direction,
            transport,
            local,
            remote,
            time: SystemTime::now(),
            bytes,
        };
        let shown = catch_unwind(AssertUnwindSafe(|| trace.message(message)));
        self.panics += u64::from(shown.is_err());
    }

    /// Panics since the last call.
    pub(crate) fn take_panics(&mut self) -> u64 {
        std::mem::take(&mut self.panics)
    }
}
