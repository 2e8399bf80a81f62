//! One conversation has one id: each dialect writes it in the form that its clients expect, and reads it back.

use strowger_core::{ConversationId, LegSeq};
use strowger_dialect_aliyun::ids as aliyun;
use strowger_dialect_tencent::ids as tencent;
use strowger_dialect_voicepaas as voicepaas;

// accept: domain-model I25, M17
#[test]
fn all_dialects_name_the_same_conversation() {
    for n in [1u64, 77, 0xffff_ffff_ffff_ffff] {
        let id = ConversationId::mint(1_750_000_000_000 + n % 1_000, n);
        let forms = [
            aliyun::acid(id),
            aliyun::channel_id(id),
            tencent::session_id(id),
            voicepaas::conversation_sid(id),
            id.to_string(),
        ];
        let read = |text: &str| {
            [
                aliyun::of_acid(text),
                aliyun::of_channel_id(text),
                tencent::of_session_id(text),
                voicepaas::resolve_sid(text).map(|(id, _)| id),
                text.parse().ok(),
            ]
        };
        for form in &forms {
            assert!(form.len() <= 40, "{form}");
            let found: Vec<ConversationId> = read(form).into_iter().flatten().collect();
            assert!(!found.is_empty(), "{form} is nobody's");
            assert!(found.iter().all(|f| *f == id), "{form} is read as another conversation");
        }
        // Legs too: the same leg of the same conversation, whoever names it.
        for leg in [LegSeq(0), LegSeq(7)] {
            let sid = voicepaas::call_sid(id, leg);
            assert_eq!(voicepaas::resolve_sid(&sid), Some((id, Some(leg))));
            assert_eq!(aliyun::of_conn_id(&aliyun::conn_id(id, leg)), Some((id, leg)));
        }
    }
}
