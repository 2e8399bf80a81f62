//! The facts of calls that go elsewhere than they were first sent: diverted, transferred, replaced.

use super::{DecodeError, Text, parse, rest, text, via_name, via_of};
use serde::{Deserialize, Serialize};
use strowger_core::{Fact, LegSeq};

#[derive(Serialize, Deserialize)]
struct DivertedV1<'a> {
    leg: u16,
    #[serde(borrow)]
    via: Text<'a>,
    status: u16,
    to: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct TransferringV1 {
    leg: u16,
    by: u16,
    attended: bool,
}

#[derive(Serialize, Deserialize)]
struct TransferredV1 {
    leg: u16,
    by: u16,
}

#[derive(Serialize, Deserialize)]
struct TransferFailedV1 {
    leg: u16,
    by: u16,
    status: u16,
}

#[derive(Serialize, Deserialize)]
struct ReplacedV1 {
    leg: u16,
    with: u16,
}

/// Appends the rest of the object; nothing for other facts.
pub(super) fn encode(fact: &Fact, out: &mut Vec<u8>) {
    match fact {
        Fact::LegDiverted { leg, via, status, to } => rest(
            out,
            &DivertedV1 {
                leg: leg.0,
                via: via_name(*via),
                status: *status,
                to: text(to),
            },
        ),
        Fact::LegTransferring { leg, by, attended } => rest(
            out,
            &TransferringV1 {
                leg: leg.0,
                by: by.0,
                attended: *attended,
            },
        ),
        Fact::LegTransferred { leg, by } => rest(out, &TransferredV1 { leg: leg.0, by: by.0 }),
        Fact::LegTransferFailed { leg, by, status } => rest(
            out,
            &TransferFailedV1 {
                leg: leg.0,
                by: by.0,
                status: *status,
            },
        ),
        Fact::LegReplaced { leg, with } => rest(
            out,
            &ReplacedV1 {
                leg: leg.0,
                with: with.0,
            },
        ),
        _ => {}
    }
}

/// The fact of this kind.
pub(super) fn decode(kind: &str, json: &str) -> Result<Fact, DecodeError> {
    Ok(match kind {
        "leg.diverted" => {
            let f: DivertedV1 = parse(json)?;
            Fact::LegDiverted {
                leg: LegSeq(f.leg),
                via: via_of(&f.via)?,
                status: f.status,
                to: f.to.into_owned(),
            }
        }
        "leg.transferring" => {
            let f: TransferringV1 = parse(json)?;
            Fact::LegTransferring {
                leg: LegSeq(f.leg),
                by: LegSeq(f.by),
                attended: f.attended,
            }
        }
        "leg.transferred" => {
            let f: TransferredV1 = parse(json)?;
            Fact::LegTransferred {
                leg: LegSeq(f.leg),
                by: LegSeq(f.by),
            }
        }
        "leg.transfer-failed" => {
            let f: TransferFailedV1 = parse(json)?;
            Fact::LegTransferFailed {
                leg: LegSeq(f.leg),
                by: LegSeq(f.by),
                status: f.status,
            }
        }
        "leg.replaced" => {
            let f: ReplacedV1 = parse(json)?;
            Fact::LegReplaced {
                leg: LegSeq(f.leg),
                with: LegSeq(f.with),
            }
        }
        other => return Err(DecodeError::Kind(other.to_owned())),
    })
}
