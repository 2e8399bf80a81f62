//! Far sides that follow a script.

use strowger_core::call::{Failure, LegFact};

/// What a far side does, in milliseconds after it is dialled or after it answered.
#[derive(Clone, Debug)]
pub struct Party {
    /// After the INVITE.
    pub before: Vec<(u64, LegFact)>,
    /// After its answer.
    pub after: Vec<(u64, LegFact)>,
    /// Milliseconds until it confirms a CANCEL or BYE; `None` never does.
    pub confirms: Option<u64>,
}

impl Party {
    /// Nothing is ever heard of it.
    pub fn silent() -> Party {
        Party {
            before: vec![],
            after: vec![],
            confirms: Some(20),
        }
    }

    /// Rings for ever.
    pub fn rings(at: u64) -> Party {
        Party::silent().early(at, LegFact::Ringing)
    }

    /// Rings, then answers, at these seconds after it is dialled.
    pub fn answers(rings: u64, answers: u64) -> Party {
        Party::rings(rings).early(answers, LegFact::Answered { dialog: None })
    }

    /// Answers without ringing.
    pub fn picks_up(at: u64) -> Party {
        Party::silent().early(at, LegFact::Answered { dialog: None })
    }

    /// A final response.
    pub fn rejects(at: u64, status: u16) -> Party {
        Party::silent().then_rejects(at, status)
    }

    /// A final response after what went before.
    pub fn then_rejects(self, at: u64, status: u16) -> Party {
        self.early(at, LegFact::Failed(Failure::Status { status, q850: 0 }))
    }

    /// Its transaction times out.
    pub fn times_out(at: u64) -> Party {
        Party::silent().early(at, LegFact::Failed(Failure::NoResponse))
    }

    /// Something at a second after it is dialled.
    pub fn early(mut self, at: u64, fact: LegFact) -> Party {
        self.before.push((at * 1000, fact));
        self
    }

    /// Something at a second after its answer.
    pub fn later(mut self, at: u64, fact: LegFact) -> Party {
        self.after.push((at * 1000, fact));
        self
    }

    /// Hangs up, seconds after its answer.
    pub fn hangs_up(self, at: u64) -> Party {
        self.later(at, LegFact::HungUp { q850: 16 })
    }

    /// Never confirms the end of its leg.
    pub fn deaf(mut self) -> Party {
        self.confirms = None;
        self
    }
}
