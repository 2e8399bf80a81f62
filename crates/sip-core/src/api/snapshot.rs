//! Dialogs as plain data, for whoever takes them over.

use super::{DialogHandle, Party, Target};
use bytes::Bytes;
use std::net::SocketAddr;

/// A dialog, or an attempt at one, as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialogSnapshot {
    /// An outgoing INVITE without a final response. Importing it ends it: CANCEL leaves at once for CSeq 1 and 2.
    Inviting(InviteSnapshot),
    /// A confirmed dialog. Importing it goes on with it.
    Confirmed(ConfirmedSnapshot),
}

impl DialogSnapshot {
    /// The handle it had and will have again.
    pub fn handle(&self) -> DialogHandle {
        match self {
            DialogSnapshot::Inviting(s) => s.handle,
            DialogSnapshot::Confirmed(s) => s.handle,
        }
    }
}

/// What is needed to CANCEL an INVITE after a restart, absorb its 487, or end a call that is answered in between. All of
/// it is known before the INVITE leaves: see [`Invite::snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteSnapshot {
    /// The call.
    pub handle: DialogHandle,
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// See [`Invite::branch_stem`].
    pub branch_stem: String,
    /// Request-URI.
    pub request_uri: String,
    /// Callee.
    pub to: Party,
    /// Caller.
    pub from: Party,
    /// First hop.
    pub destination: Target,
    /// Local address it was sent from; `None` for the default interface.
    pub local: Option<SocketAddr>,
}

/// A confirmed dialog (RFC 3261 §12), enough to send and to answer requests inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedSnapshot {
    /// The dialog's name in commands and events.
    pub handle: DialogHandle,
    /// True if the far side sent the first INVITE.
    pub incoming: bool,
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// Their tag; empty if they sent none (RFC 2543 peers).
    pub remote_tag: String,
    /// Our From or To value without the tag.
    pub local_party: String,
    /// Their To or From value without the tag.
    pub remote_party: String,
    /// CSeq of our newest request. A stale snapshot is harmless: importing adds [`ConfirmedSnapshot::CSEQ_MARGIN`].
    pub local_seq: u32,
    /// CSeq of their newest request.
    pub remote_seq: Option<u32>,
    /// Where their Contact points.
    pub remote_target: String,
    /// Route set in the order in which it is written.
    pub route_set: Vec<String>,
    /// Address that requests go to when the URIs name no literal address.
    pub peer: Target,
    /// Local address of the dialog.
    pub local: SocketAddr,
    /// See [`Invite::branch_stem`].
    pub branch_stem: String,
    /// What a successor can do without, if it must.
    pub extras: DialogExtras,
}

/// The part of a dialog whose loss costs comfort and not the dialog: the default stands in for what was not kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DialogExtras {
    /// The session timer (RFC 4028); without it a dead peer is noticed by other means only.
    pub session: Option<SessionTimer>,
    /// True if the peer allows UPDATE.
    pub peer_updates: bool,
    /// User part of our Contact; `None` takes the configured one.
    pub contact_user: Option<String>,
    /// The description that we sent last, for a refresh by re-INVITE.
    pub local_sdp: Option<Bytes>,
}

/// An agreed session interval (RFC 4028).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimer {
    /// Seconds.
    pub expires: u32,
    /// True if the refreshes are ours to send.
    pub we_refresh: bool,
}

impl ConfirmedSnapshot {
    /// Added to `local_seq` on import, because requests may have left after the snapshot was taken and CSeq must grow.
    pub const CSEQ_MARGIN: u32 = 1000;
}
