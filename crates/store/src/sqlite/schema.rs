//! Tables, and how an older file becomes a newer one.

use crate::error::OpenError;
use rusqlite::Connection;

/// One step a schema version, forward only. A step that has been released is never edited.
///
/// `tenants.no` stands for the tenant in every other table: one or two bytes instead of sixteen at the front of each
/// key. Ids are 16-byte blobs, big-endian, so that they sort by time.
const STEPS: [&str; 8] = [
    "
CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE tenants(
    no INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    wrapped_key BLOB            -- NULL once the tenant is erased
);

-- One row an append: its events are a sealed JSON array. Appending in order of position keeps the pages that a group
-- commit touches few and adjacent; the index finds a conversation.
CREATE TABLE journal(
    position INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    conversation BLOB NOT NULL,
    seq INTEGER NOT NULL,       -- of the first event
    count INTEGER NOT NULL,
    at INTEGER NOT NULL,        -- of the last event
    events BLOB NOT NULL
);
CREATE UNIQUE INDEX journal_by_conversation ON journal(tenant, conversation, seq);

-- Conversations to recover after a restart, each with its journalled deadline.
CREATE TABLE open(
    tenant INTEGER NOT NULL,
    conversation BLOB NOT NULL,
    deadline INTEGER,
    PRIMARY KEY(tenant, conversation)
) WITHOUT ROWID;

CREATE TABLE records(
    id INTEGER PRIMARY KEY,     -- order of first publication: a page run fixes an upper bound of it
    tenant INTEGER NOT NULL,
    conversation BLOB NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    application BLOB NOT NULL,
    account BLOB,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX records_by_conversation ON records(tenant, conversation);
CREATE INDEX records_by_start ON records(tenant, start, conversation);

CREATE TABLE deliveries(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    conversation BLOB NOT NULL,
    subscription INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    topic TEXT NOT NULL,
    application BLOB NOT NULL,
    destination INTEGER NOT NULL,
    state INTEGER NOT NULL,     -- 0 ready, 1 waiting, 2 delivered, 3 dead
    attempts INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    last_at INTEGER,
    last_error TEXT NOT NULL DEFAULT '',
    content BLOB NOT NULL       -- sealed: URL, content type, key, body
);
CREATE INDEX deliveries_due ON deliveries(destination, next_at) WHERE state = 0;
CREATE INDEX deliveries_dead ON deliveries(tenant, id) WHERE state = 3;
CREATE INDEX deliveries_order ON deliveries(tenant, conversation, subscription, state, id);

CREATE TABLE resources(
    tenant INTEGER NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    content BLOB NOT NULL,      -- sealed JSON
    PRIMARY KEY(tenant, kind, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX resources_by_id ON resources(kind, id);
",
    "
-- Commands that clients gave a name (an idempotency key), with what they started. Name and request are digests under the
-- tenant's data key.
CREATE TABLE commands(
    id INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    name BLOB NOT NULL,
    request BLOB NOT NULL,
    conversation BLOB NOT NULL,
    at INTEGER NOT NULL
);
CREATE UNIQUE INDEX commands_by_name ON commands(tenant, name);

-- Deliveries that may share a request, and how many of them.
ALTER TABLE deliveries ADD COLUMN batch_group INTEGER;
ALTER TABLE deliveries ADD COLUMN batch_most INTEGER;
CREATE INDEX deliveries_together ON deliveries(batch_group, id) WHERE state = 0 AND batch_group IS NOT NULL;
",
    "
-- Batches of notices. A row in batch_items says that an item was begun, and by which conversation; what has no row waits.
CREATE TABLE batches(
    id BLOB PRIMARY KEY,
    tenant INTEGER NOT NULL,
    at INTEGER NOT NULL,
    total INTEGER NOT NULL,
    state INTEGER NOT NULL,     -- 0 active, 1 cancelling, 2 done, 3 cancelled
    content BLOB NOT NULL       -- sealed JSON
) WITHOUT ROWID;
CREATE INDEX batches_by_time ON batches(at);
CREATE INDEX batches_open ON batches(state) WHERE state < 2;
CREATE TABLE batch_items(
    batch BLOB NOT NULL,
    n INTEGER NOT NULL,
    conversation BLOB NOT NULL,
    PRIMARY KEY(batch, n)
) WITHOUT ROWID;

-- What may be done to one name only so often: names are digests under the tenant's data key.
CREATE TABLE throttles(
    id INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    name BLOB NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX throttles_by_name ON throttles(tenant, name, at);
",
    "
-- Logins of users, each with the refresh tokens that it has had. Tokens are random, so their plain digests are enough.
CREATE TABLE logins(
    id BLOB PRIMARY KEY,
    tenant INTEGER NOT NULL,
    user BLOB NOT NULL,
    at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,         -- NULL while it is valid
    factor_step INTEGER,        -- of the one-time password that it began with
    source TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX logins_by_user ON logins(tenant, user, at);
CREATE TABLE refresh_tokens(
    digest BLOB PRIMARY KEY,
    login BLOB NOT NULL,
    used INTEGER NOT NULL       -- 1 once it was exchanged: another use is a theft
) WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_login ON refresh_tokens(login);

-- Keys that access tokens are signed with, sealed with the platform's data key.
CREATE TABLE signing_keys(
    id BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    content BLOB NOT NULL
) WITHOUT ROWID;

-- Who did what. Rows are added, and taken away as a whole when their time is over; none is ever changed.
CREATE TABLE audit(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    at INTEGER NOT NULL,
    entry BLOB NOT NULL,        -- random, the sealed content's place
    content BLOB NOT NULL       -- sealed JSON
);
CREATE INDEX audit_by_tenant ON audit(tenant, id);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is not changed'); END;

-- Answers to requests that clients gave a name (an idempotency key), so that the same request is carried out once.
CREATE TABLE answers(
    id INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    name BLOB NOT NULL,
    request BLOB NOT NULL,
    at INTEGER NOT NULL,
    content BLOB                -- sealed answer; NULL while the request is being carried out
);
CREATE UNIQUE INDEX answers_by_name ON answers(tenant, name);
",
    "
-- How a tenant's configuration was before each import, to roll it back.
CREATE TABLE imports(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    at INTEGER NOT NULL,
    content BLOB NOT NULL       -- sealed JSON
);
CREATE INDEX imports_by_tenant ON imports(tenant, id);
",
    "
-- What agents did, one row a change, and what a restarted process goes on from.
CREATE TABLE agent_log(
    tenant INTEGER NOT NULL,
    agent BLOB NOT NULL,
    seq INTEGER NOT NULL,       -- from 1 without gaps
    at INTEGER NOT NULL,
    content BLOB NOT NULL,      -- sealed JSON
    PRIMARY KEY(tenant, agent, seq)
) WITHOUT ROWID;
CREATE INDEX agent_log_by_time ON agent_log(tenant, at);
CREATE TABLE agent_states(
    tenant INTEGER NOT NULL,
    agent BLOB NOT NULL,
    seq INTEGER NOT NULL,
    content BLOB NOT NULL,      -- sealed JSON
    PRIMARY KEY(tenant, agent)
) WITHOUT ROWID;
",
    "
-- Chats: one row a fact. A chat is the fold of its facts; the other table says which there are.
CREATE TABLE chats(
    tenant INTEGER NOT NULL,
    chat BLOB NOT NULL,
    at INTEGER NOT NULL,        -- of the first fact
    over INTEGER NOT NULL,      -- 1 once it has ended
    PRIMARY KEY(tenant, chat)
) WITHOUT ROWID;
CREATE INDEX chats_open ON chats(tenant) WHERE over = 0;
CREATE TABLE chat_log(
    tenant INTEGER NOT NULL,
    chat BLOB NOT NULL,
    seq INTEGER NOT NULL,       -- from 1 without gaps
    at INTEGER NOT NULL,
    content BLOB NOT NULL,      -- sealed JSON
    PRIMARY KEY(tenant, chat, seq)
) WITHOUT ROWID;
",
    "
-- Requests of customers to be called back, one row each, as it stands.
CREATE TABLE callbacks(
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL,
    open INTEGER NOT NULL,      -- 0 once nothing is to be done
    content BLOB NOT NULL,      -- sealed JSON
    PRIMARY KEY(tenant, id)
) WITHOUT ROWID;
CREATE INDEX callbacks_open ON callbacks(tenant) WHERE open = 1;
",
];

/// The newest schema that this build knows.
pub(crate) const NEWEST: u32 = STEPS.len() as u32;

/// The schema of an open file; 0 for a new one.
pub(crate) fn version(conn: &Connection) -> Result<u32, OpenError> {
    let found: i64 = conn.query_row("PRAGMA user_version", [], |r| r.get(0))?;
    u32::try_from(found).map_err(|_| OpenError::Damaged("schema version out of range".into()))
}

/// Brings the file to the newest schema, each step in a transaction of its own.
pub(crate) fn migrate(conn: &mut Connection) -> Result<(), OpenError> {
    let found = version(conn)?;
    if found > NEWEST {
        return Err(OpenError::NewerSchema { found, known: NEWEST });
    }
    for (step, sql) in STEPS.iter().enumerate().skip(found as usize) {
        let tx = conn.transaction()?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", step as u32 + 1)?;
        tx.commit()?;
    }
    Ok(())
}
