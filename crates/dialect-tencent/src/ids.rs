//! Ids as this dialect writes them: stateless forms of the core's, opaque to clients (domain-model §3).

use strowger_core::ConversationId;

/// `sessionId` of a call, or of a chat.
pub fn session_id(id: ConversationId) -> String {
    id.to_string()
}

/// The conversation of a `sessionId`.
pub fn of_session_id(text: &str) -> Option<ConversationId> {
    let id: ConversationId = text.parse().ok()?;
    // The low 16 bits of a conversation's id are zero; anything else would be a leg under a wrong name.
    (id.0 > 0 && id.0 & 0xffff == 0 && text == id.to_string()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_nothing_else_is() {
        let id = ConversationId::mint(1_750_000_000_000, 0xabcd_ef01_2345_6789);
        assert_eq!(of_session_id(&session_id(id)), Some(id));
        for bad in [
            "",
            "0",
            "00000000000000000000000000000000",
            &session_id(id).to_uppercase(),
        ] {
            assert_eq!(of_session_id(bad), None, "{bad}");
        }
    }
}
