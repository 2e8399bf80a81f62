//! One INVITE of an outgoing leg. A leg has several at once while it rings several devices.

use super::Permit;
use super::ends::Ends;
use super::leg::LegIo;
use super::way::Line;
use bytes::Bytes;
use strowger_core::Stamp;
use strowger_core::call::Failure;
use strowger_core::event::Via;
use strowger_sip_core::sdp::{self, Negotiated, Session};
use strowger_sip_core::{DialogHandle, Reason, Target as SipTarget};

/// Most early dialogs of one INVITE whose media is remembered.
const MAX_EARLY: usize = 8;

/// One INVITE that has no final response yet.
pub(super) struct Branch {
    /// Its name in the stack.
    pub handle: DialogHandle,
    /// What carries it.
    pub via: Via,
    /// First hop.
    pub target: SipTarget,
    /// Request-URI.
    pub uri: String,
    /// Call-ID, its name in the journal.
    pub call_id: String,
    /// Its place on the trunk.
    pub permit: Option<Permit>,
    /// Ways that are tried if this one does not reach anybody.
    pub line: Line,
    /// Our offer.
    pub offer: Session,
    /// What it describes.
    pub ends: Ends,
    /// Version of our newest description in it.
    pub version: u64,
    /// What its early dialogs have agreed to, by To tag.
    pub early: Vec<(String, Negotiated)>,
    /// Something came back.
    pub responded: bool,
    /// Its far side alerts: no other way is tried in its place any more.
    pub rang: bool,
    /// When another way is tried for want of any response.
    pub first_response_by: Option<Stamp>,
}

impl Branch {
    /// What an answer to our offer comes to; `None` if it cannot be used.
    pub fn negotiate(&self, body: &Bytes) -> Option<Negotiated> {
        let answer = sdp::parse(body).ok()?;
        let agreed = sdp::apply_answer(&self.offer, &answer).ok()?;
        (!agreed.codecs.is_empty()).then_some(agreed)
    }

    /// Remembers what an early dialog agreed to.
    pub fn remember(&mut self, tag: &str, agreed: Negotiated) {
        if let Some((_, known)) = self.early.iter_mut().find(|(t, _)| t == tag) {
            *known = agreed;
        } else if self.early.len() < MAX_EARLY {
            self.early.push((tag.to_owned(), agreed));
        }
    }

    /// What the dialog with this tag agreed to before its answer.
    pub fn agreed_early(&self, tag: &str) -> Option<&Negotiated> {
        let known = self.early.iter().find(|(t, _)| t == tag);
        known
            .or(self.early.first().filter(|_| self.early.len() == 1))
            .map(|(_, a)| a)
    }
}

/// How a branch ended, to be weighed against the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// SIP status; a stand-in where none came, 0 if the INVITE never left.
    pub status: u16,
    /// As the core is told.
    pub failure: Failure,
}

impl Outcome {
    /// The better of two is told (RFC 3261 §16.7 step 6): 6xx before all, then the lower class, and among 4xx those that
    /// the caller can do something about; a response before a silence. A 3xx that was not followed helps nobody and comes
    /// last.
    fn rank(&self) -> (u8, u8) {
        match (self.status, self.failure) {
            (600..=699, _) => (0, 0),
            (401 | 407 | 415 | 420 | 484, _) => (1, 0),
            (400..=499, Failure::NoResponse) => (1, 3),
            (487, _) => (1, 2),
            (400..=499, _) => (1, 1),
            (500..=599, _) => (2, 0),
            _ => (3, 0),
        }
    }

    /// Of two outcomes the one to be told; the earlier one of equals.
    pub fn better(earlier: Option<Outcome>, new: Outcome) -> Outcome {
        match earlier {
            Some(old) if old.rank() <= new.rank() => old,
            _ => new,
        }
    }
}

impl LegIo {
    /// Gives up every INVITE that has no final response; the commands are in `out`.
    pub fn give_up(&mut self, reason: &Reason, out: &mut Vec<super::Out>) {
        for mut branch in self.branches.drain(..) {
            branch.first_response_by = None;
            out.push(super::Out::Sip(strowger_sip_core::Command::Cancel {
                handle: branch.handle,
                reason: Some(reason.clone()),
            }));
            self.lost.push(branch);
        }
        self.group_by = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(statuses: &[u16]) -> u16 {
        let outcomes = statuses.iter().map(|&status| Outcome {
            status,
            failure: Failure::Status { status, q850: 0 },
        });
        outcomes
            .fold(None, |best, o| Some(Outcome::better(best, o)))
            .map_or(0, |o| o.status)
    }

    #[test]
    fn the_best_of_all_branches_is_told() {
        assert_eq!(best(&[486, 603, 503]), 603);
        assert_eq!(best(&[503, 486]), 486);
        assert_eq!(best(&[486, 484]), 484);
        assert_eq!(best(&[486, 480]), 486, "the first of equals");
        assert_eq!(best(&[302, 503]), 503);
        let silent = Outcome {
            status: 408,
            failure: Failure::NoResponse,
        };
        let busy = Outcome {
            status: 486,
            failure: Failure::Status { status: 486, q850: 0 },
        };
        assert_eq!(Outcome::better(Some(silent), busy).status, 486);
    }
}
