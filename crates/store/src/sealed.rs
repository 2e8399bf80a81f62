//! What crosses into the database engine: rows whose contents are sealed already.
//!
//! Encoding and encryption run on the caller's thread, so that the one writer only writes. Another engine takes the
//! same rows.

use crate::batch::{Append, Batch, CommandId, Deadline, ItemStart, NewDelivery, RecordRow};
use crate::codec;
use crate::crypto::{Keys, Place, TenantKey, Unsealable};
use crate::error::AppendError;
use crate::outbox::{Delivery, Together};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use strowger_core::project::Topic;
use strowger_core::{ApplicationId, ConversationId, Event, Stamp, TenantId};

/// A batch, ready to be written.
pub(crate) struct SealedBatch {
    pub opens: bool,
    pub appends: Vec<SealedAppend>,
    pub deliveries: Vec<SealedDelivery>,
    pub records: Vec<SealedRecord>,
    pub command: Option<SealedCommand>,
    /// Boxed, as few batches have them and many wait in the writer's queue.
    pub item: Option<Box<SealedItem>>,
    pub throttle: Option<Box<SealedThrottle>>,
}

/// The item that begins with the first append.
pub(crate) struct SealedItem {
    pub start: ItemStart,
    pub conversation: ConversationId,
}

/// How often the first append may be made.
pub(crate) struct SealedThrottle {
    pub tenant: i64,
    pub name: [u8; 32],
    pub at: Stamp,
    pub limits: Vec<(u64, u32)>,
}

/// A command's name and request as digests, and what it started.
pub(crate) struct SealedCommand {
    pub tenant: i64,
    pub name: [u8; 32],
    pub request: [u8; 32],
    pub conversation: ConversationId,
    pub at: Stamp,
}

/// The digests under which a command is known: name, request.
pub(crate) fn command_digests(id: &CommandId, key: &TenantKey) -> ([u8; 32], [u8; 32]) {
    let (_, account, text) = id.name();
    let account = account.map(|a| a.0.to_be_bytes());
    let account = account.as_ref().map_or(&[][..], |a| &a[..]);
    (
        key.digest(&[b"command", account, text.as_bytes()]),
        key.digest(&[b"request", id.request()]),
    )
}

pub(crate) struct SealedAppend {
    pub tenant: i64,
    pub conversation: ConversationId,
    pub expected: u32,
    pub count: u32,
    pub at: Stamp,
    /// Empty if there are no events.
    pub frame: Vec<u8>,
    pub open: bool,
    pub deadline: Deadline,
}

/// A delivery with its contents sealed; also what the writer offers to the notifier.
#[derive(Clone)]
pub(crate) struct SealedDelivery {
    /// 0 until it is stored.
    pub id: u64,
    pub tenant_no: i64,
    pub tenant: TenantId,
    pub conversation: ConversationId,
    pub application: ApplicationId,
    pub seq: u32,
    pub subscription: u16,
    pub topic: Topic,
    pub destination: u64,
    pub attempts: u32,
    pub tries: u32,
    pub queued_at: Stamp,
    pub next_at: Stamp,
    /// Group, and most in one request.
    pub together: Option<(u64, u32)>,
    pub content: Arc<[u8]>,
}

pub(crate) struct SealedRecord {
    pub tenant: i64,
    pub row: RecordRow,
    pub body: Vec<u8>,
}

/// The place of a frame of events.
pub(crate) fn frame_place(tenant: TenantId, conversation: ConversationId, first: u32) -> Place {
    Place::new(b'J', tenant, conversation.0, u64::from(first))
}

fn delivery_place(tenant: TenantId, conversation: ConversationId, seq: u32, subscription: u16) -> Place {
    let minor = u64::from(seq) << 16 | u64::from(subscription);
    Place::new(b'D', tenant, conversation.0, minor)
}

pub(crate) fn record_place(tenant: TenantId, conversation: ConversationId, version: u32) -> Place {
    Place::new(b'R', tenant, conversation.0, u64::from(version))
}

/// The destination group of a URL: tenant, scheme, host and port. The digest hides the host; a tenant cannot slow
/// down another one by naming the same host.
pub(crate) fn destination(tenant: TenantId, url: &str) -> u64 {
    let after = url.find("://").map_or(0, |i| i + 3);
    let authority = url[after..].split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit('@').next().unwrap_or("");
    let mut hash = Sha256::new();
    hash.update(tenant.0.to_be_bytes());
    hash.update(url[..after].to_ascii_lowercase());
    hash.update(host.to_ascii_lowercase());
    let digest = hash.finalize();
    // One bit less, because the column is a signed integer.
    u64::from_be_bytes(digest[..8].try_into().unwrap_or_default()) >> 1
}

/// The group of deliveries that may share a request: all that decides where a body goes and how it is signed.
fn group(d: &NewDelivery) -> u64 {
    let mut hash = Sha256::new();
    hash.update(d.tenant.0.to_be_bytes());
    hash.update(d.application.0.to_be_bytes());
    for text in [codec::topic_name(d.topic), &d.url, &d.content_type] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    let digest = hash.finalize();
    // One bit less, because the column is a signed integer.
    u64::from_be_bytes(digest[..8].try_into().unwrap_or_default()) >> 1
}

/// Encodes and seals a batch.
pub(crate) fn seal_batch(batch: &Batch, keys: &Keys) -> Result<SealedBatch, AppendError> {
    let key = |tenant| keys.get(tenant).ok_or(AppendError::UnknownTenant(tenant));
    for (i, a) in batch.appends.iter().enumerate() {
        if batch.appends[..i].iter().any(|b| b.conversation == a.conversation) {
            return Err(AppendError::Malformed("a conversation occurs twice"));
        }
    }
    let appends = batch.appends.iter().map(|a| seal_append(a, &*key(a.tenant)?));
    let appends = appends.collect::<Result<_, AppendError>>()?;
    let deliveries = batch.deliveries.iter().map(|d| Ok(seal_delivery(d, &*key(d.tenant)?)));
    let deliveries = deliveries.collect::<Result<_, AppendError>>()?;
    let records = batch.records.iter().map(|r| {
        let key = key(r.tenant)?;
        let place = record_place(r.tenant, r.conversation, r.version);
        let row = RecordRow {
            body: Vec::new(),
            kind: r.kind.clone(),
            ..*r
        };
        Ok(SealedRecord {
            tenant: key.no,
            row,
            body: key.cipher.seal(place, &r.body),
        })
    });
    let command = match (&batch.command, batch.appends.first()) {
        (None, _) => None,
        (Some(_), None) => return Err(AppendError::Malformed("a command without a conversation")),
        (Some(id), Some(a)) if id.tenant() != a.tenant => {
            return Err(AppendError::Malformed("a command of another tenant"));
        }
        (Some(id), Some(a)) => {
            let key = key(a.tenant)?;
            let (name, request) = command_digests(id, &key);
            Some(SealedCommand {
                tenant: key.no,
                name,
                request,
                conversation: a.conversation,
                at: a.events.last().map_or(Stamp(0), |e| e.at),
            })
        }
    };
    let item = match (batch.item, batch.appends.first()) {
        (None, _) => None,
        (Some(_), None) => return Err(AppendError::Malformed("an item without a conversation")),
        (Some(start), Some(a)) => Some(Box::new(SealedItem {
            start,
            conversation: a.conversation,
        })),
    };
    let throttle = match (&batch.throttle, batch.appends.first()) {
        (None, _) => None,
        (Some(_), None) => return Err(AppendError::Malformed("a throttle without a conversation")),
        (Some(throttle), Some(a)) => {
            let key = key(a.tenant)?;
            Some(Box::new(SealedThrottle {
                tenant: key.no,
                name: key.digest(&[b"throttle", throttle.name.as_bytes()]),
                at: throttle.at,
                limits: throttle.limits.clone(),
            }))
        }
    };
    Ok(SealedBatch {
        opens: batch.opens(),
        command,
        item,
        throttle,
        appends,
        deliveries,
        records: records.collect::<Result<_, AppendError>>()?,
    })
}

fn seal_append(a: &Append, key: &TenantKey) -> Result<SealedAppend, AppendError> {
    let mut next = a.expected_seq;
    for e in &a.events {
        next = next
            .checked_add(1)
            .ok_or(AppendError::Malformed("positions are used up"))?;
        if e.seq != next {
            return Err(AppendError::Malformed("positions have a gap or a double"));
        }
        if e.conversation != a.conversation {
            return Err(AppendError::Malformed("an event belongs to another conversation"));
        }
    }
    let frame = if a.events.is_empty() {
        Vec::new()
    } else {
        let place = frame_place(a.tenant, a.conversation, a.expected_seq + 1);
        key.cipher
            .seal_with(place, 160 * a.events.len(), |out| seal_events(&a.events, out))
    };
    Ok(SealedAppend {
        tenant: key.no,
        conversation: a.conversation,
        expected: a.expected_seq,
        count: a.events.len() as u32,
        at: a.events.last().map_or(Stamp(0), |e| e.at),
        frame,
        open: a.open,
        deadline: a.deadline,
    })
}

/// The cipher works in place behind its header, so the frame is written behind it as well.
fn seal_events(events: &[Event], out: &mut Vec<u8>) {
    codec::encode_frame(events, out);
}

fn seal_delivery(d: &NewDelivery, key: &TenantKey) -> SealedDelivery {
    let place = delivery_place(d.tenant, d.conversation, d.seq, d.subscription);
    let size = d.url.len() + d.content_type.len() + d.key.len() + d.body.len() + 13;
    let content = key.cipher.seal_with(place, size, |out| {
        // Format 1: three texts with their lengths (u32, little-endian), then the body to the end.
        out.push(1);
        for text in [&d.url, &d.content_type, &d.key] {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&d.body);
    });
    SealedDelivery {
        id: 0,
        tenant_no: key.no,
        tenant: d.tenant,
        conversation: d.conversation,
        application: d.application,
        seq: d.seq,
        subscription: d.subscription,
        topic: d.topic,
        destination: destination(d.tenant, &d.url),
        attempts: 0,
        tries: 0,
        queued_at: d.not_before,
        next_at: d.not_before.plus_ms(d.batch.map_or(0, |b| b.window_ms)),
        together: d.batch.map(|b| (group(d), b.most.max(1))),
        content: content.into(),
    }
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let (len, tail) = rest.split_first_chunk::<4>()?;
    let (text, tail) = tail.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *rest = tail;
    String::from_utf8(text.to_vec()).ok()
}

impl SealedDelivery {
    /// Opens the contents.
    pub(crate) fn open(&self, keys: &Keys) -> Result<Delivery, Unsealable> {
        let key = keys.get(self.tenant).ok_or(Unsealable)?;
        let place = delivery_place(self.tenant, self.conversation, self.seq, self.subscription);
        let plain = key.cipher.open(place, &self.content)?;
        let (format, mut rest) = plain.split_first().ok_or(Unsealable)?;
        if *format != 1 {
            return Err(Unsealable);
        }
        let mut text = || take_text(&mut rest).ok_or(Unsealable);
        let (url, content_type, key) = (text()?, text()?, text()?);
        Ok(Delivery {
            id: self.id,
            tenant: self.tenant,
            conversation: self.conversation,
            application: self.application,
            seq: self.seq,
            subscription: self.subscription,
            topic: self.topic,
            destination: self.destination,
            url,
            content_type,
            body: rest.to_vec(),
            key,
            attempts: self.attempts,
            tries: self.tries,
            queued_at: self.queued_at,
            together: self.together.map(|(group, most)| Together {
                group,
                most,
                due: self.next_at,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_host_of_a_tenant() {
        let of = |t: u128, u| destination(TenantId(t), u);
        assert_eq!(of(1, "http://h:80/a?x"), of(1, "HTTP://u:p@H:80/b"));
        assert_ne!(of(1, "http://h:80/"), of(2, "http://h:80/"));
        assert_ne!(of(1, "http://h:80/"), of(1, "http://h:81/"));
        assert_ne!(of(1, "http://h/"), of(1, "https://h/"));
    }
}
