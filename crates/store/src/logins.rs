//! Logins: refresh tokens with rotation and the detection of a stolen one, and the keys that access tokens are signed with.

use crate::config::PLATFORM;
use crate::crypto::{Place, random};
use crate::error::StoreError;
use crate::store::Store;
use rusqlite::{Connection, OptionalExtension, Row, params};
use strowger_core::{LoginId, Stamp, TenantId, UserId};

/// A login of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Id; access tokens carry it.
    pub id: LoginId,
    /// The user's tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// When the password was given.
    pub at: Stamp,
    /// When its tokens were last exchanged.
    pub used_at: Stamp,
    /// First moment at which it is over.
    pub expires_at: Stamp,
    /// When it was ended before that.
    pub revoked_at: Option<Stamp>,
    /// Address that it came from.
    pub source: String,
}

/// A login to begin.
#[derive(Clone, Debug)]
pub struct NewLogin {
    /// The user's tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// Now.
    pub at: Stamp,
    /// First moment at which it is over.
    pub expires_at: Stamp,
    /// The time step of the one-time password that was shown (RFC 6238 §5.2: each is good once).
    pub factor_step: Option<u64>,
    /// Address that it comes from.
    pub source: String,
    /// SHA-256 of its first refresh token.
    pub refresh: [u8; 32],
}

/// What became of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// It was exchanged for the new one.
    Done(Login),
    /// There is no such token, or its login is over.
    Unknown,
    /// It was exchanged before: somebody has a copy. Its login is revoked.
    Reused(Login),
}

/// A key that access tokens are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Id; tokens name it.
    pub id: u128,
    /// When it was made.
    pub at: Stamp,
    /// HMAC-SHA-256 key.
    pub secret: [u8; 32],
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({:032x})", self.id)
    }
}

const COLUMNS: &str = "l.id, t.id, l.user, l.at, l.used_at, l.expires_at, l.revoked_at, l.source
    FROM logins l JOIN tenants t ON t.no = l.tenant";

fn row(r: &Row<'_>) -> rusqlite::Result<Login> {
    Ok(Login {
        id: LoginId(u128::from_be_bytes(r.get(0)?)),
        tenant: TenantId(u128::from_be_bytes(r.get(1)?)),
        user: UserId(u128::from_be_bytes(r.get(2)?)),
        at: Stamp(r.get(3)?),
        used_at: Stamp(r.get(4)?),
        expires_at: Stamp(r.get(5)?),
        revoked_at: r.get::<_, Option<i64>>(6)?.map(Stamp),
        source: r.get(7)?,
    })
}

fn one(conn: &Connection, id: LoginId) -> rusqlite::Result<Option<Login>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} WHERE l.id = ?1"))?;
    statement.query_row([id.0.to_be_bytes()], row).optional()
}

fn signing_place(id: u128) -> Place {
    Place::new(b'S', PLATFORM, id, 0)
}

impl Store {
    /// Begins a login. `None` if the one-time password was used before: then nothing is stored.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is stored then.
    pub async fn begin_login(&self, new: NewLogin) -> Result<Option<Login>, StoreError> {
        let no = self.tenant_no(new.tenant)?;
        self.admin(move |conn| {
            let user = new.user.0.to_be_bytes();
            if let Some(step) = new.factor_step {
                let sql = "SELECT 1 FROM logins WHERE tenant = ?1 AND user = ?2 AND factor_step >= ?3";
                if conn.prepare_cached(sql)?.exists(params![no, user, step as i64])? {
                    return Ok(None);
                }
            }
            let id = LoginId(u128::from_be_bytes(random()));
            conn.execute(
                "INSERT INTO logins VALUES(?1, ?2, ?3, ?4, ?4, ?5, NULL, ?6, ?7)",
                params![
                    id.0.to_be_bytes(),
                    no,
                    user,
                    new.at.0,
                    new.expires_at.0,
                    new.factor_step.map(|s| s as i64),
                    new.source
                ],
            )?;
            conn.execute(
                "INSERT INTO refresh_tokens VALUES(?1, ?2, 0)",
                params![new.refresh, id.0.to_be_bytes()],
            )?;
            Ok(one(conn, id)?)
        })
        .await
    }

    /// Exchanges a refresh token, named by its SHA-256, for another one. A token that was exchanged before ends the whole
    /// login: either the thief or the owner comes second, and the one who came first must not go on.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is changed then.
    pub async fn refresh_login(&self, old: [u8; 32], new: [u8; 32], now: Stamp) -> Result<Refreshed, StoreError> {
        self.admin(move |conn| {
            let found = conn
                .prepare_cached("SELECT login, used FROM refresh_tokens WHERE digest = ?1")?
                .query_row([old], |r| Ok((r.get::<_, [u8; 16]>(0)?, r.get::<_, bool>(1)?)))
                .optional()?;
            let Some((id, used)) = found else {
                return Ok(Refreshed::Unknown);
            };
            let id = LoginId(u128::from_be_bytes(id));
            let Some(mut login) = one(conn, id)? else {
                return Ok(Refreshed::Unknown);
            };
            if login.revoked_at.is_some() || now >= login.expires_at {
                return Ok(Refreshed::Unknown);
            }
            if used {
                conn.execute(
                    "UPDATE logins SET revoked_at = ?2 WHERE id = ?1",
                    params![id.0.to_be_bytes(), now.0],
                )?;
                login.revoked_at = Some(now);
                return Ok(Refreshed::Reused(login));
            }
            conn.execute("UPDATE refresh_tokens SET used = 1 WHERE digest = ?1", [old])?;
            conn.execute(
                "INSERT INTO refresh_tokens VALUES(?1, ?2, 0)",
                params![new, id.0.to_be_bytes()],
            )?;
            conn.execute(
                "UPDATE logins SET used_at = ?2 WHERE id = ?1",
                params![id.0.to_be_bytes(), now.0],
            )?;
            login.used_at = now;
            Ok(Refreshed::Done(login))
        })
        .await
    }

    /// Ends a login of the tenant, or all of a user's; answers those that were ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_logins(
        &self,
        tenant: TenantId,
        user: UserId,
        only: Option<LoginId>,
        now: Stamp,
    ) -> Result<Vec<LoginId>, StoreError> {
        let no = self.tenant_no(tenant)?;
        self.admin(move |conn| {
            let mut statement = conn.prepare_cached(
                "UPDATE logins SET revoked_at = ?4 WHERE tenant = ?1 AND user = ?2 AND revoked_at IS NULL
                    AND expires_at > ?4 AND (?3 IS NULL OR id = ?3) RETURNING id",
            )?;
            let only = only.map(|l| l.0.to_be_bytes());
            let ids = statement.query_map(params![no, user.0.to_be_bytes(), only, now.0], |r| {
                Ok(LoginId(u128::from_be_bytes(r.get(0)?)))
            })?;
            Ok(ids.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// A user's logins that are neither over nor revoked, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn logins(&self, tenant: TenantId, user: UserId, now: Stamp) -> Result<Vec<Login>, StoreError> {
        let no = self.tenant_no(tenant)?;
        self.read(move |conn| {
            let sql = format!(
                "SELECT {COLUMNS} WHERE l.tenant = ?1 AND l.user = ?2 AND l.revoked_at IS NULL AND l.expires_at > ?3
                    ORDER BY l.at DESC LIMIT 1000"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map(params![no, user.0.to_be_bytes(), now.0], row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Logins that were revoked at `since` or later: access tokens of theirs may still be about.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoked_logins(&self, since: Stamp) -> Result<Vec<(LoginId, Stamp)>, StoreError> {
        self.read(move |conn| {
            let mut statement = conn.prepare("SELECT id, revoked_at FROM logins WHERE revoked_at >= ?1")?;
            let rows = statement.query_map([since.0], |r| {
                Ok((LoginId(u128::from_be_bytes(r.get(0)?)), Stamp(r.get(1)?)))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Deletes logins that were over or revoked before `before`, with their tokens, and answers older than that.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prune_logins(&self, before: Stamp) -> Result<u64, StoreError> {
        self.admin(move |conn| {
            let over = "SELECT id FROM logins WHERE MIN(expires_at, COALESCE(revoked_at, expires_at)) < ?1";
            conn.execute(
                &format!("DELETE FROM refresh_tokens WHERE login IN ({over})"),
                [before.0],
            )?;
            let ended = conn.execute(&format!("DELETE FROM logins WHERE id IN ({over})"), [before.0])?;
            conn.execute("DELETE FROM answers WHERE at < ?1", [before.0])?;
            Ok(ended as u64)
        })
        .await
    }

    /// The keys that access tokens are signed with, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if one does not open.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        let key = self.inner.keys.get(PLATFORM).ok_or(StoreError::NotFound("tenant"))?;
        self.read(move |conn| {
            let mut statement = conn.prepare("SELECT id, at, content FROM signing_keys ORDER BY at DESC, id DESC")?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(r) = rows.next()? {
                let id = u128::from_be_bytes(r.get(0)?);
                let plain = key.cipher.open(signing_place(id), &r.get::<_, Vec<u8>>(2)?);
                let secret = plain.ok().and_then(|p| p.try_into().ok());
                found.push(SigningKey {
                    id,
                    at: Stamp(r.get(1)?),
                    secret: secret
                        .ok_or_else(|| StoreError::Unreadable("signing key", "it does not open".to_owned()))?,
                });
            }
            Ok(found)
        })
        .await
    }

    /// Makes a key for access tokens, and deletes those that were replaced before `before`: nothing that they signed is
    /// valid any more.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is changed then.
    pub async fn add_signing_key(&self, now: Stamp, before: Stamp) -> Result<SigningKey, StoreError> {
        let key = self.inner.keys.get(PLATFORM).ok_or(StoreError::NotFound("tenant"))?;
        let made = SigningKey {
            id: u128::from_be_bytes(random()),
            at: now,
            secret: random(),
        };
        let sealed = key.cipher.seal(signing_place(made.id), &made.secret);
        let row = made.clone();
        self.admin(move |conn| {
            // A key is in use until the next one is made.
            conn.execute(
                "DELETE FROM signing_keys WHERE (SELECT MIN(n.at) FROM signing_keys n WHERE n.at > signing_keys.at) < ?1",
                [before.0],
            )?;
            conn.execute(
                "INSERT INTO signing_keys VALUES(?1, ?2, ?3)",
                params![row.id.to_be_bytes(), row.at.0, sealed],
            )?;
            Ok(())
        })
        .await?;
        Ok(made)
    }
}
