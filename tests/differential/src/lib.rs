//! Two parsers, one message: what each of them reads. The oracle is rvoip-sip-core, a public parser that has nothing in
//! common with ours; where the two differ, a table of the test says why.

use bytes::Bytes;
use rvoip_sip_core::{Message as Theirs, parse_message};
use strowger_sip_core::{HeaderName, Message as Ours};

/// What a message says, as far as both parsers tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Method of a request, status of a response.
    pub start: String,
    /// Call-ID.
    pub call_id: String,
    /// CSeq.
    pub cseq: (u32, String),
    /// Tags of From and To; empty if missing.
    pub tags: (String, String),
    /// Number of Via values.
    pub vias: usize,
    /// Branch of the topmost Via; empty if missing.
    pub branch: String,
    /// Body.
    pub body: Vec<u8>,
}

/// What our parser reads; `None` if it refuses the message or finds a defect.
pub fn ours(bytes: &[u8]) -> Option<View> {
    let message = Ours::parse(Bytes::copy_from_slice(bytes)).ok()?;
    if message.defect().is_some() {
        return None;
    }
    let cseq = message.cseq()?;
    let start = match message.status() {
        Some(status) => status.to_string(),
        None => String::from_utf8_lossy(message.method_name()).into_owned(),
    };
    Some(View {
        start,
        call_id: message.call_id().into_owned(),
        cseq: (cseq.number, cseq.name.to_owned()),
        tags: (
            message.from_tag().unwrap_or_default().into_owned(),
            message.to_tag().unwrap_or_default().into_owned(),
        ),
        vias: message.list(HeaderName::Via).count(),
        branch: String::from_utf8_lossy(message.via()?.branch).into_owned(),
        body: message.body().to_vec(),
    })
}

/// What the other parser reads; `None` if it refuses the message or one of the fields of [`View`] is missing.
pub fn theirs(bytes: &[u8]) -> Option<View> {
    let message = parse_message(bytes).ok()?;
    let start = match &message {
        Theirs::Request(request) => request.method.to_string(),
        Theirs::Response(response) => response.status.as_u16().to_string(),
    };
    let cseq = match &message {
        Theirs::Request(r) => r.cseq().map(|c| (c.seq, c.method.to_string())),
        Theirs::Response(r) => r.cseq().map(|c| (c.seq, c.method.to_string())),
    }?;
    let vias: Vec<_> = message
        .via_headers()
        .iter()
        .flat_map(|v| v.headers().to_vec())
        .collect();
    let branch = vias.first()?.branch().unwrap_or_default().to_owned();
    Some(View {
        start,
        call_id: message.call_id()?.to_string(),
        cseq,
        tags: (
            message.from()?.tag().unwrap_or_default().to_owned(),
            message.to()?.tag().unwrap_or_default().to_owned(),
        ),
        vias: vias.len(),
        branch,
        body: message.body().to_vec(),
    })
}
