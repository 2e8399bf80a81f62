//! Sids: stateless forms of the core's ids, 34 characters, opaque to clients (voice-paas §1.4).

use strowger_core::{ConversationId, LegId, LegSeq, NoticeBatchId, Stamp};
use strowger_runtime::mint;

/// `CV` and 32 hexadecimal digits.
pub fn conversation_sid(id: ConversationId) -> String {
    format!("CV{id}")
}

/// `CA` and 32 hexadecimal digits.
pub fn call_sid(id: ConversationId, leg: LegSeq) -> String {
    format!("CA{}", id.leg(leg))
}

/// `RQ` and 32 hexadecimal digits: the id of a request that started no conversation.
pub(crate) fn request_sid(now: Stamp) -> String {
    request_sid_of(ConversationId::mint(now.0.unsigned_abs(), mint::random() as u64))
}

/// A new batch, and the id of its request.
pub(crate) fn batch_id(now: Stamp) -> (NoticeBatchId, String) {
    let id = ConversationId::mint(now.0.unsigned_abs(), mint::random() as u64);
    (NoticeBatchId(id.0), request_sid_of(id))
}

/// The id of the request that started a conversation.
pub(crate) fn request_sid_of(id: ConversationId) -> String {
    format!("RQ{id}")
}

/// The conversation that a conversationSid or a callSid names, with the leg for the latter; `None` for anything else.
pub fn resolve_sid(sid: &str) -> Option<(ConversationId, Option<LegSeq>)> {
    if let Some(hex) = sid.strip_prefix("CV") {
        let id: ConversationId = hex.parse().ok()?;
        // The low 16 bits of a conversation's id are zero; anything else would be a leg under a wrong name.
        return (id.0 & 0xffff == 0).then_some((id, None));
    }
    let leg: LegId = sid.strip_prefix("CA")?.parse().ok()?;
    let (id, seq) = leg.split()?;
    Some((id, Some(seq)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // accept: voice-paas 16
    #[test]
    fn sids_have_34_characters_and_resolve() {
        let id = ConversationId::mint(1_750_000_000_000, 0x0123_4567_89ab_cdef);
        let (cv, ca) = (conversation_sid(id), call_sid(id, LegSeq(2)));
        assert_eq!((cv.len(), ca.len()), (34, 34));
        assert!(cv.starts_with("CV") && ca.starts_with("CA"));
        assert_eq!(resolve_sid(&cv), Some((id, None)));
        assert_eq!(resolve_sid(&ca), Some((id, Some(LegSeq(2)))));
    }

    #[test]
    fn what_is_no_sid_resolves_to_nothing() {
        let id = ConversationId::mint(1, 2);
        for text in [
            String::new(),
            "CV".into(),
            id.to_string(),
            format!("CA{id}"),
            format!("CV{}", id.leg(LegSeq(0))),
            format!("RE{id}"),
            format!("CV+{}", &id.to_string()[1..]),
            "CV🦀".into(),
        ] {
            assert_eq!(resolve_sid(&text), None, "{text}");
        }
    }
}
