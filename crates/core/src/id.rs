//! Identifiers: 128 bits, time-ordered, minted above the core.
//!
//! A conversation's low 16 bits are zero, and a leg's id is its conversation's id plus its number in it plus one. So a
//! leg resolves to its conversation without a table, in every dialect, after any restart.

use std::fmt;
use std::str::FromStr;

/// A text that is not 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 32 hexadecimal digits expected")]
pub struct BadId;

fn parse_hex(text: &str) -> Result<u128, BadId> {
    if text.len() != 32 {
        return Err(BadId);
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |b: u8| char::from(b).to_digit(16).ok_or(BadId);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Ok(u128::from_be_bytes(bytes))
}

/// Thirty-two digits, without the general formatter: every fact, body and answer has ids in it.
fn write_hex(id: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                parse_hex(text).map($name)
            }
        }
    };
}

id! {
    /// A conversation: the legs that belong together, from first ring to last hang-up. The low 16 bits are zero.
    ConversationId
}
id! {
    /// One party's signalling and media: its conversation's id plus its number plus one.
    LegId
}
id! {
    /// A customer of the installation. The first part of every key.
    TenantId
}
id! {
    /// An application of a tenant.
    ApplicationId
}
id! {
    /// An API principal of a tenant.
    AccountId
}
id! {
    /// A trunk to a carrier.
    TrunkId
}
id! {
    /// A telephone that belongs to a tenant.
    DeviceId
}
id! {
    /// A batch of voice notices.
    NoticeBatchId
}
id! {
    /// A static route from a number.
    RouteId
}
id! {
    /// An agent of a contact centre.
    AgentId
}
id! {
    /// A skill group of a contact centre.
    GroupId
}
id! {
    /// A queue of a contact centre.
    QueueId
}
id! {
    /// A customer's request to be called back.
    CallbackId
}
id! {
    /// A flow, the rules of a number, a calendar, a list of numbers or a pool of display numbers.
    RoutingId
}
id! {
    /// Where a tenant's own program is told of events.
    WebhookId
}
id! {
    /// A person who may use a tenant's part of the platform.
    UserId
}
id! {
    /// An API key of a tenant.
    KeyId
}
id! {
    /// A login of a user: from the password to the logout, over all its tokens.
    LoginId
}

/// The number of a leg in its conversation, from 0 in order of dialling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LegSeq(pub u16);

/// The most legs that one conversation may have over its life.
pub const MAX_LEGS: u16 = u16::MAX - 1;

impl ConversationId {
    /// Mints an id from the wall time in milliseconds and 64 random bits.
    pub const fn mint(wall_ms: u64, random: u64) -> ConversationId {
        ConversationId(((wall_ms as u128 & 0xffff_ffff_ffff) << 80) | ((random as u128) << 16))
    }

    /// The id of the leg with number `seq`.
    pub const fn leg(self, seq: LegSeq) -> LegId {
        LegId(self.0 | (seq.0 as u128 + 1))
    }
}

impl LegId {
    /// The conversation and the leg's number; `None` for an id that no leg can have.
    pub const fn split(self) -> Option<(ConversationId, LegSeq)> {
        match (self.0 & 0xffff) as u16 {
            0 => None,
            n => Some((ConversationId(self.0 & !0xffff), LegSeq(n - 1))),
        }
    }
}

impl fmt::Display for LegSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_resolves_to_its_conversation() {
        let c = ConversationId::mint(1_700_000_000_000, 0xdead_beef_0123_4567);
        let leg = c.leg(LegSeq(2));
        assert_eq!(leg.split(), Some((c, LegSeq(2))));
        assert_eq!(LegId(c.0).split(), None);
        assert_eq!(c.to_string().len(), 32);
        assert_eq!(c.to_string().parse(), Ok(c));
    }

    #[test]
    fn ids_sort_by_time() {
        assert!(ConversationId::mint(1, u64::MAX) < ConversationId::mint(2, 0));
    }

    #[test]
    fn signs_and_short_texts_are_not_ids() {
        assert_eq!("+0000000000000000000000000000001".parse::<LegId>(), Err(BadId));
        assert_eq!("00".parse::<LegId>(), Err(BadId));
        assert_eq!("0000000000000000000000000000000g".parse::<LegId>(), Err(BadId));
        assert_eq!("000000000000000000000000000000é".parse::<LegId>(), Err(BadId));
    }

    #[test]
    fn ids_are_written_and_read_with_all_digits() {
        for id in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978] {
            assert_eq!(LegId(id).to_string(), format!("{id:032x}"));
            assert_eq!(format!("{id:032X}").parse(), Ok(LegId(id)));
        }
    }
}
