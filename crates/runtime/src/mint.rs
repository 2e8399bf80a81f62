//! Random bits for ids and tags: from the operating system, a page at a time.

use std::cell::RefCell;

const PAGE: usize = 4096;

thread_local! {
    static POOL: RefCell<(Vec<u8>, usize)> = const { RefCell::new((Vec::new(), 0)) };
}

/// 128 unpredictable bits.
///
/// # Panics
/// If the operating system has no random source: nothing safe can be done without one.
pub fn random() -> u128 {
    POOL.with_borrow_mut(|(pool, at)| {
        if *at + 16 > pool.len() {
            pool.resize(PAGE, 0);
            getrandom::fill(pool).expect("the operating system's random source");
            *at = 0;
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&pool[*at..*at + 16]);
        // What was handed out is not kept.
        pool[*at..*at + 16].fill(0);
        *at += 16;
        u128::from_le_bytes(bytes)
    })
}

#[cfg(test)]
mod tests {
    use strowger_core::ConversationId;

    // accept: voice-paas 15
    #[test]
    fn a_million_conversations_of_one_millisecond_have_a_million_ids() {
        let mint = |_| ConversationId::mint(1_700_000_000_000, super::random() as u64);
        let ids: std::collections::HashSet<ConversationId> = (0..1_000_000).map(mint).collect();
        assert_eq!(ids.len(), 1_000_000);
    }
}
