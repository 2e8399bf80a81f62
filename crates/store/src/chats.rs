//! The facts of chats, as they were made. A chat is read back by folding them.

use crate::crypto::{Cipher, Place};
use crate::error::StoreError;
use crate::store::Store;
use rusqlite::{Connection, params};
use strowger_core::chat::{Chat, Fact, What};
use strowger_core::{ConversationId, TenantId};

mod disk;

fn place(tenant: TenantId, chat: ConversationId, seq: u64) -> Place {
    Place::new(b'T', tenant, chat.0, seq)
}

/// The facts of a chat behind `after`, in order.
fn facts(
    conn: &Connection,
    (no, tenant, cipher): (i64, TenantId, &Cipher),
    chat: ConversationId,
    after: u64,
    most: usize,
) -> Result<Vec<Fact>, StoreError> {
    let sql = "SELECT seq, content FROM chat_log WHERE tenant = ?1 AND chat = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4";
    let mut query = conn.prepare_cached(sql)?;
    let (after, most) = (
        i64::try_from(after).unwrap_or(i64::MAX),
        i64::try_from(most).unwrap_or(i64::MAX),
    );
    let mut rows = query.query(params![no, chat.0.to_be_bytes(), after, most])?;
    let mut facts = Vec::new();
    while let Some(r) = rows.next()? {
        let seq = r.get::<_, i64>(0)?.unsigned_abs();
        let sealed: Vec<u8> = r.get(1)?;
        let plain = cipher.open(place(tenant, chat, seq), &sealed).ok();
        let fact = plain.and_then(|p| disk::read(chat, seq, &p));
        facts.push(fact.ok_or_else(|| StoreError::Unreadable("chat", chat.to_string()))?);
    }
    Ok(facts)
}

fn folded(
    conn: &Connection,
    key: (i64, TenantId, &Cipher),
    ids: impl IntoIterator<Item = ConversationId>,
) -> Result<Vec<Chat>, StoreError> {
    let mut chats = Vec::new();
    for id in ids {
        let facts = facts(conn, key, id, 0, usize::MAX)?;
        let chat = Chat::folded(&facts);
        chats.push(chat.ok_or_else(|| StoreError::Unreadable("chat", id.to_string()))?);
    }
    Ok(chats)
}

fn ids(query: &mut rusqlite::Statement<'_>, params: impl rusqlite::Params) -> Result<Vec<ConversationId>, StoreError> {
    let rows = query.query_map(params, |r| Ok(ConversationId(u128::from_be_bytes(r.get(0)?))))?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
}

impl Store {
    /// Writes facts of chats, in one transaction, in order with all that was queued before.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of it is written then.
    pub async fn write_chats(&self, tenant: TenantId, facts: &[Fact]) -> Result<(), StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        let no = key.no;
        let seal = |f: &Fact| {
            let sealed = key.cipher.seal(place(tenant, f.chat, f.seq), &disk::fact(f));
            let over = matches!(f.what, What::Ended { .. });
            (f.chat.0.to_be_bytes(), f.seq as i64, f.at.0, sealed, over)
        };
        let rows: Vec<_> = facts.iter().map(seal).collect();
        self.rows(true, move |conn| {
            let mut begin = conn.prepare_cached("INSERT OR IGNORE INTO chats VALUES(?1, ?2, ?3, 0)")?;
            let mut end = conn.prepare_cached("UPDATE chats SET over = 1 WHERE tenant = ?1 AND chat = ?2")?;
            let mut insert = conn.prepare_cached("INSERT OR REPLACE INTO chat_log VALUES(?1, ?2, ?3, ?4, ?5)")?;
            for (chat, seq, at, sealed, over) in &rows {
                if *seq == 1 {
                    begin.execute(params![no, chat, at])?;
                }
                insert.execute(params![no, chat, seq, at, sealed])?;
                if *over {
                    end.execute(params![no, chat])?;
                }
            }
            Ok(())
        })
        .await
    }

    /// The chats of a tenant that are not over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_chats(&self, tenant: TenantId) -> Result<Vec<Chat>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let sql = "SELECT chat FROM chats WHERE tenant = ?1 AND over = 0 ORDER BY chat";
            let found = ids(&mut conn.prepare(sql)?, [key.no])?;
            folded(conn, (key.no, tenant, &key.cipher), found)
        })
        .await
    }

    /// The newest chats that began before `before`, or of all, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chats(
        &self,
        tenant: TenantId,
        before: Option<ConversationId>,
        most: usize,
    ) -> Result<Vec<Chat>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let sql =
                "SELECT chat FROM chats WHERE tenant = ?1 AND (?2 IS NULL OR chat < ?2) ORDER BY chat DESC LIMIT ?3";
            let before = before.map(|b| b.0.to_be_bytes());
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let found = ids(&mut conn.prepare(sql)?, params![key.no, before, most])?;
            folded(conn, (key.no, tenant, &key.cipher), found)
        })
        .await
    }

    /// A chat, open or over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chat(&self, tenant: TenantId, id: ConversationId) -> Result<Option<Chat>, StoreError> {
        let all = self.chat_facts(tenant, id, 0, usize::MAX).await?;
        if all.is_empty() {
            return Ok(None);
        }
        let chat = Chat::folded(&all);
        chat.map(Some)
            .ok_or_else(|| StoreError::Unreadable("chat", id.to_string()))
    }

    /// The facts of a chat behind number `after`, at most `most`. None for a chat that there is not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chat_facts(
        &self,
        tenant: TenantId,
        id: ConversationId,
        after: u64,
        most: usize,
    ) -> Result<Vec<Fact>, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| facts(conn, (key.no, tenant, &key.cipher), id, after, most))
            .await
    }
}
