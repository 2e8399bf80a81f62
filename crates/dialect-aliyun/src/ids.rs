//! Ids as these dialects write them: stateless forms of the core's, opaque to clients (domain-model §3).

use strowger_core::{ConversationId, LegId, LegSeq};

/// `acid` of the hotline's server API, and `contactId` of the workbench: digits.
pub fn acid(id: ConversationId) -> String {
    id.0.to_string()
}

/// `channelId` of the real-time dialect: hexadecimal digits.
pub fn channel_id(id: ConversationId) -> String {
    id.to_string()
}

/// `connId` of a leg: digits.
pub fn conn_id(id: ConversationId, leg: LegSeq) -> String {
    id.leg(leg).0.to_string()
}

fn whole(n: u128) -> Option<ConversationId> {
    // The low 16 bits of a conversation's id are zero; anything else would be a leg under a wrong name.
    (n > 0 && n & 0xffff == 0).then_some(ConversationId(n))
}

fn digits(text: &str) -> Option<u128> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

/// The conversation of an `acid`.
pub fn of_acid(text: &str) -> Option<ConversationId> {
    digits(text).and_then(whole)
}

/// The conversation of a `channelId`.
pub fn of_channel_id(text: &str) -> Option<ConversationId> {
    let id: ConversationId = text.parse().ok()?;
    (text == id.to_string()).then_some(())?;
    whole(id.0)
}

/// The conversation and leg of a `connId`.
pub fn of_conn_id(text: &str) -> Option<(ConversationId, LegSeq)> {
    LegId(digits(text)?).split()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_nothing_else_is() {
        let id = ConversationId::mint(1_750_000_000_000, 0x0123_4567_89ab_cdef);
        assert_eq!(of_acid(&acid(id)), Some(id));
        assert_eq!(of_channel_id(&channel_id(id)), Some(id));
        assert_eq!(of_conn_id(&conn_id(id, LegSeq(3))), Some((id, LegSeq(3))));
        assert!(acid(id).len() <= 40 && acid(id).bytes().all(|b| b.is_ascii_digit()));
        let leg = conn_id(id, LegSeq(0));
        for bad in [
            "",
            "0",
            "-1",
            "+5",
            "x",
            &leg,
            "99999999999999999999999999999999999999999",
        ] {
            assert_eq!(of_acid(bad), None, "{bad}");
        }
        assert_eq!(of_channel_id(&channel_id(id).to_uppercase()), None);
        assert_eq!(of_conn_id(&acid(id)), None);
    }
}
