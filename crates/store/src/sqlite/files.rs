//! The database file: opening, backup, checks.

use crate::crypto::{Cipher, Keys, MasterKey, Place, TenantKey};
use crate::error::OpenError;
use crate::sqlite::schema;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use strowger_core::TenantId;

/// Name of the database in the store's folder.
pub(crate) const DATABASE: &str = "strowger.db";

fn io(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io {
        path: path.display().to_string(),
        source,
    }
}

/// Creates the folder and takes its lock; the lock ends with the process.
pub(crate) fn lock(folder: &Path) -> Result<File, OpenError> {
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    let path = folder.join("store.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| io(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(folder.display().to_string())),
        Err(TryLockError::Error(e)) => Err(io(&path, e)),
    }
}

/// Opens the writing connection, brings the schema up to date, and sets the durability.
pub(crate) fn open_writer(file: &Path, power: bool) -> Result<Connection, OpenError> {
    let mut conn = Connection::open(file)?;
    let found = schema::version(&conn).map_err(|e| damaged(file, e))?;
    if found > schema::NEWEST {
        return Err(OpenError::NewerSchema {
            found,
            known: schema::NEWEST,
        });
    }
    conn.pragma_update(None, "journal_mode", "wal")?;
    if found > 0 && found < schema::NEWEST {
        // The way back: the file as the older version left it.
        let copy = file.with_extension(format!("schema-{found}.db"));
        backup(&conn, &copy)?;
    }
    schema::migrate(&mut conn)?;
    // In WAL mode NORMAL survives the death of the process; FULL also syncs the log at every commit.
    conn.pragma_update(None, "synchronous", if power { "FULL" } else { "NORMAL" })?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "cache_size", -32_768)?;
    Ok(conn)
}

fn damaged(file: &Path, e: OpenError) -> OpenError {
    match e {
        OpenError::Database(why) => OpenError::Damaged(format!("{} ({why})", file.display())),
        other => other,
    }
}

/// Proves that the master key is the right one, or makes it so in a new file.
pub(crate) fn check_master(conn: &Connection, master: &Cipher) -> Result<(), OpenError> {
    let place = Place::new(b'M', TenantId(0), 0, 0);
    let find = conn.query_row("SELECT value FROM meta WHERE name = 'key-check'", [], |r| {
        r.get::<_, Vec<u8>>(0)
    });
    match find.optional()? {
        Some(sealed) => master
            .open(place, &sealed)
            .map(drop)
            .map_err(|_| OpenError::WrongMasterKey),
        None => write_key_check(conn, master).map_err(OpenError::from),
    }
}

/// Stores the value that [`check_master`] opens.
pub(crate) fn write_key_check(conn: &Connection, master: &Cipher) -> rusqlite::Result<()> {
    let sealed = master.seal(Place::new(b'M', TenantId(0), 0, 0), b"strowger");
    conn.execute("INSERT OR REPLACE INTO meta VALUES('key-check', ?1)", [sealed])
        .map(drop)
}

/// Opens the data keys of all tenants that have one, and makes one for tenant `first` if it is missing.
pub(crate) fn load_keys(conn: &Connection, master: &Cipher, first: TenantId) -> Result<Keys, OpenError> {
    let keys = Keys::default();
    let mut statement = conn.prepare("SELECT no, id, wrapped_key FROM tenants WHERE wrapped_key IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(r) = rows.next()? {
        let (no, tenant) = (r.get(0)?, TenantId(u128::from_be_bytes(r.get(1)?)));
        let key = TenantKey::unwrap(no, tenant, &r.get::<_, Vec<u8>>(2)?, master)
            .map_err(|_| OpenError::Damaged(format!("the key of tenant {tenant} does not open")))?;
        keys.insert(tenant, Arc::new(key));
    }
    if keys.get(first).is_none() {
        let key = TenantKey::generate(0);
        let row = params![key.no, first.0.to_be_bytes(), key.wrap(first, master)];
        conn.execute("INSERT INTO tenants VALUES(?1, ?2, ?3)", row)?;
        keys.insert(first, Arc::new(key));
    }
    Ok(keys)
}

/// Copies the database as it is at this moment; writers go on. The copy appears under its name when it is complete.
///
/// The connection's open read transaction pins the moment, so the copy does not start again when the writer commits.
pub(crate) fn backup(conn: &Connection, to: &Path) -> Result<(), OpenError> {
    let part = to.with_extension("part");
    let _ = std::fs::remove_file(&part);
    let pinned = conn.unchecked_transaction()?;
    pinned.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |r| r.get::<_, i64>(0))?;
    {
        let mut target = Connection::open(&part)?;
        {
            let copy = Backup::new(&pinned, &mut target)?;
            loop {
                match copy.step(1024)? {
                    StepResult::Done => break,
                    StepResult::More => {}
                    // Nobody else has the target; busy and locked are of the source, for a moment.
                    _ => std::thread::yield_now(),
                }
            }
        }
        // A single file: the copy keeps no log beside itself until it is opened for use.
        target.pragma_update(None, "journal_mode", "delete")?;
    }
    drop(pinned);
    File::open(&part).and_then(|f| f.sync_all()).map_err(|e| io(&part, e))?;
    std::fs::rename(&part, to).map_err(|e| io(to, e))
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Schema of the file.
    pub schema: u32,
    /// Call records in it.
    pub records: u64,
    /// Conversations that were running.
    pub open: u64,
    /// Global position of its newest batch.
    pub position: u64,
}

/// Reads a database file, or a backup, without changing it: its pages, its schema, and that the master key opens it.
/// Reads the whole file.
pub(crate) fn check(file: &Path, master: &MasterKey) -> Result<Check, OpenError> {
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let schema = schema::version(&conn).map_err(|e| damaged(file, e))?;
    if schema > schema::NEWEST {
        return Err(OpenError::NewerSchema {
            found: schema,
            known: schema::NEWEST,
        });
    }
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
    if verdict != "ok" {
        return Err(OpenError::Damaged(verdict));
    }
    let master = master.cipher();
    let sealed = conn.query_row("SELECT value FROM meta WHERE name = 'key-check'", [], |r| {
        r.get::<_, Vec<u8>>(0)
    });
    let place = Place::new(b'M', TenantId(0), 0, 0);
    master.open(place, &sealed?).map_err(|_| OpenError::WrongMasterKey)?;
    let mut statement = conn.prepare("SELECT no, id, wrapped_key FROM tenants WHERE wrapped_key IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(r) = rows.next()? {
        let tenant = TenantId(u128::from_be_bytes(r.get(1)?));
        TenantKey::unwrap(r.get(0)?, tenant, &r.get::<_, Vec<u8>>(2)?, &master)
            .map_err(|_| OpenError::Damaged(format!("the key of tenant {tenant} does not open")))?;
    }
    let number = |sql: &str| conn.query_row(sql, [], |r| r.get::<_, i64>(0).map(|n| n as u64));
    Ok(Check {
        schema,
        records: number("SELECT COUNT(*) FROM records")?,
        open: number("SELECT COUNT(*) FROM open")?,
        position: position(&conn)?,
    })
}

/// The newest global position: of the journal, or of before it was pruned.
pub(crate) fn position(conn: &Connection) -> rusqlite::Result<u64> {
    let newest: i64 = conn.query_row("SELECT IFNULL(MAX(position), 0) FROM journal", [], |r| r.get(0))?;
    let find = conn.query_row("SELECT value FROM meta WHERE name = 'position'", [], |r| {
        r.get::<_, i64>(0)
    });
    Ok(newest.max(find.optional()?.unwrap_or(0)) as u64)
}
