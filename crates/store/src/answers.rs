//! Answers to requests that have a name, so that a request that is sent twice is carried out once.
//!
//! A name is taken before the request is carried out, and gets its answer afterwards. After a crash in between the name is
//! taken and has no answer: whoever asks again is told that it is not known what became of it.

use crate::crypto::Place;
use crate::error::StoreError;
use crate::store::Store;
use rusqlite::{OptionalExtension, params};
use strowger_core::{Stamp, TenantId};

/// The name of a request, with what tells two requests apart.
#[derive(Clone, Debug)]
pub struct Named {
    /// Whose names these are.
    pub tenant: TenantId,
    /// Who gave the name: two principals may use the same one.
    pub principal: String,
    /// The name.
    pub name: String,
    /// Method, path and body.
    pub request: Vec<u8>,
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: it is taken now.
    Taken(u64),
    /// The same request was answered so: status and body.
    Answered(u16, Vec<u8>),
    /// The same request was begun, and no answer is known.
    Begun,
    /// Another request has the name.
    Other,
}

fn place(tenant: TenantId, id: u64) -> Place {
    Place::new(b'I', tenant, 0, id)
}

impl Store {
    /// Takes a name for a request, unless it is taken.
    ///
    /// # Errors
    /// [`StoreError`]; the name is not taken then.
    pub async fn take_name(&self, named: Named, now: Stamp) -> Result<Earlier, StoreError> {
        let tenant = named.tenant;
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        let name = key.digest(&[b"answer", named.principal.as_bytes(), named.name.as_bytes()]);
        let request = key.digest(&[b"request", &named.request]);
        self.admin(move |conn| {
            let found = conn
                .prepare_cached("SELECT id, request, content FROM answers WHERE tenant = ?1 AND name = ?2")?
                .query_row(params![key.no, name], |r| {
                    Ok((
                        r.get::<_, i64>(0)? as u64,
                        r.get::<_, [u8; 32]>(1)?,
                        r.get::<_, Option<Vec<u8>>>(2)?,
                    ))
                })
                .optional()?;
            Ok(match found {
                Some((_, before, _)) if before != request => Earlier::Other,
                Some((_, _, None)) => Earlier::Begun,
                Some((id, _, Some(sealed))) => {
                    let plain = key.cipher.open(place(tenant, id), &sealed);
                    let plain = plain.map_err(|e| StoreError::Unreadable("answer", e.to_string()))?;
                    let (status, body) = plain
                        .split_first_chunk::<2>()
                        .ok_or_else(|| StoreError::Unreadable("answer", "it is too short".to_owned()))?;
                    Earlier::Answered(u16::from_be_bytes(*status), body.to_vec())
                }
                None => {
                    conn.execute(
                        "INSERT INTO answers(tenant, name, request, at) VALUES(?1, ?2, ?3, ?4)",
                        params![key.no, name, request, now.0],
                    )?;
                    Earlier::Taken(conn.last_insert_rowid() as u64)
                }
            })
        })
        .await
    }

    /// Gives a name its answer; `None` frees the name, as nothing was done.
    ///
    /// # Errors
    /// [`StoreError`]; the name stays taken without an answer.
    pub async fn answer_name(&self, tenant: TenantId, id: u64, answer: Option<(u16, &[u8])>) -> Result<(), StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        let sealed = answer.map(|(status, body)| {
            let plain = [&status.to_be_bytes()[..], body].concat();
            key.cipher.seal(place(tenant, id), &plain)
        });
        self.admin(move |conn| {
            match sealed {
                Some(sealed) => conn.execute(
                    "UPDATE answers SET content = ?2 WHERE id = ?1",
                    params![id as i64, sealed],
                )?,
                None => conn.execute("DELETE FROM answers WHERE id = ?1", [id as i64])?,
            };
            Ok(())
        })
        .await
    }
}
