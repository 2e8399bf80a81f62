//! After a restart: what an open conversation's log turns into, and the dialogs that the far sides still hold.

use std::net::SocketAddr;
use strowger_core::event::{DialogRef, Event, Fact, Via};
use strowger_core::{By, Cause, ConversationRecord, Stamp};
use strowger_sip_core::write::push_address;
use strowger_sip_core::{
    Command, ConfirmedSnapshot, Credentials, DialogHandle, DialogSnapshot, InviteSnapshot, Party, Reason, Target,
    Transport,
};

/// A dialog as journalled before its INVITE leaves.
pub fn invite_ref(s: &InviteSnapshot) -> DialogRef {
    DialogRef {
        call_id: s.call_id.clone(),
        local_tag: s.local_tag.clone(),
        remote_tag: String::new(),
        local_uri: s.from.uri.clone(),
        remote_uri: s.to.uri.clone(),
        target: s.request_uri.clone(),
        routes: Vec::new(),
        local_cseq: 1,
        remote_cseq: 0,
        branch_stem: s.branch_stem.clone(),
        destination: target_text(&s.destination, s.local),
        outgoing: true,
    }
}

/// A dialog as journalled with the answer.
pub fn confirmed_ref(s: &ConfirmedSnapshot) -> DialogRef {
    DialogRef {
        call_id: s.call_id.clone(),
        local_tag: s.local_tag.clone(),
        remote_tag: s.remote_tag.clone(),
        local_uri: s.local_party.clone(),
        remote_uri: s.remote_party.clone(),
        target: s.remote_target.clone(),
        routes: s.route_set.clone(),
        local_cseq: s.local_seq,
        remote_cseq: s.remote_seq.unwrap_or(0),
        branch_stem: s.branch_stem.clone(),
        destination: target_text(&s.peer, Some(s.local)),
        outgoing: !s.incoming,
    }
}

/// `transport:peer` or `transport:peer/local`.
fn target_text(target: &Target, local: Option<SocketAddr>) -> String {
    let mut text = String::with_capacity(64);
    text.push_str(target.transport.via_token());
    text.make_ascii_lowercase();
    text.push(':');
    push_address(&mut text, target.addr);
    if let Some(local) = local {
        text.push('/');
        push_address(&mut text, local);
    }
    text
}

fn parse_target(text: &str) -> Option<(Target, Option<SocketAddr>)> {
    let (transport, rest) = text.split_once(':')?;
    let transport = match transport {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        "ws" => Transport::Ws,
        "wss" => Transport::Wss,
        _ => return None,
    };
    let (peer, local) = match rest.split_once('/') {
        Some((peer, local)) => (peer, Some(local.parse().ok()?)),
        None => (rest, None),
    };
    Some((
        Target {
            transport,
            addr: peer.parse().ok()?,
            flow: None,
        },
        local,
    ))
}

/// The stack's form of a journalled dialog; `None` if it cannot be read.
pub fn snapshot_of(d: &DialogRef, handle: DialogHandle, confirmed: bool) -> Option<DialogSnapshot> {
    let (peer, local) = parse_target(&d.destination)?;
    Some(if confirmed {
        DialogSnapshot::Confirmed(ConfirmedSnapshot {
            handle,
            incoming: !d.outgoing,
            call_id: d.call_id.clone(),
            local_tag: d.local_tag.clone(),
            remote_tag: d.remote_tag.clone(),
            local_party: d.local_uri.clone(),
            remote_party: d.remote_uri.clone(),
            local_seq: d.local_cseq,
            remote_seq: (d.remote_cseq != 0).then_some(d.remote_cseq),
            remote_target: d.target.clone(),
            route_set: d.routes.clone(),
            peer,
            local: local?,
            branch_stem: d.branch_stem.clone(),
            extras: Default::default(),
        })
    } else {
        DialogSnapshot::Inviting(InviteSnapshot {
            handle,
            call_id: d.call_id.clone(),
            local_tag: d.local_tag.clone(),
            branch_stem: d.branch_stem.clone(),
            request_uri: d.target.clone(),
            to: Party::new(d.remote_uri.clone()),
            from: Party::new(d.local_uri.clone()),
            destination: peer,
            local,
        })
    })
}

/// How a conversation that a dead process left open is closed: the facts that end its log, and the commands that end
/// its dialogs at the far sides.
#[derive(Debug, Default)]
pub struct Closing {
    /// To be committed first.
    pub events: Vec<Event>,
    /// To be given after the commit.
    pub commands: Vec<Command>,
}

/// Closes a conversation after a restart (I19). Its stamps continue from the journal: what ended, ended at
/// `last_alive`, the last sign of life of the dead process, and never before the last event (I30).
///
/// `recording` tells what became of a recording that was being written, `credentials` what an INVITE over a trunk would
/// have answered a challenge with: only then can there be a second one to cancel.
pub fn close(
    record: &mut ConversationRecord,
    last_alive: Option<Stamp>,
    mut handle: impl FnMut() -> DialogHandle,
    recording: impl Fn(u16) -> Fact,
    credentials: impl Fn(Via) -> Option<Credentials>,
) -> Closing {
    let mut closing = Closing::default();
    let at = last_alive.map_or(record.last_at, |alive| alive.max(record.last_at));
    let mut emit = |record: &mut ConversationRecord, fact: Fact| {
        let event = Event {
            conversation: record.id,
            seq: record.seq + 1,
            at,
            fact,
        };
        match record.apply(&event) {
            Ok(()) => closing.events.push(event),
            Err(broken) => tracing::error!("recovery: {broken}"),
        }
    };
    if record.ended_at.is_none() {
        if record.end.is_none() {
            emit(
                record,
                Fact::Ending {
                    cause: Cause::SystemError,
                    by: By::System,
                },
            );
        }
        let open: Vec<_> = record.legs.iter().filter(|l| l.end.is_none()).cloned().collect();
        for leg in open {
            let answered = leg.answer.is_some();
            // Attempts that ring side by side, that lost and are not known to be over, or that were given up for want of a
            // response and may ring all the same.
            for (via, dialog) in &leg.open {
                closing
                    .commands
                    .extend(snapshot_of(dialog, handle(), false).map(|snapshot| Command::Import {
                        snapshot: Box::new(snapshot),
                        credentials: credentials(*via),
                    }));
            }
            if let Some(dialog) = leg.dialog.as_ref().filter(|_| answered) {
                let handle = handle();
                if let Some(snapshot) = snapshot_of(dialog, handle, !dialog.remote_tag.is_empty()) {
                    let via = leg.attempts.last().map(|(via, _)| *via);
                    closing.commands.push(Command::Import {
                        snapshot: Box::new(snapshot),
                        credentials: via.and_then(&credentials),
                    });
                    let reason = Some(Reason::q850(41, "temporary failure"));
                    closing.commands.push(Command::Bye { handle, reason });
                }
            }
            if let Some(transfer) = leg.transfer.filter(|t| t.result.is_none()) {
                emit(
                    record,
                    Fact::LegTransferFailed {
                        leg: leg.seq,
                        by: transfer.by,
                        status: 500,
                    },
                );
            }
            emit(
                record,
                Fact::LegEnded {
                    leg: leg.seq,
                    stopped_at: at,
                    cause: Cause::SystemError,
                    by: By::System,
                    sip_status: 0,
                    q850: 41,
                },
            );
        }
        emit(record, Fact::Ended);
    }
    let running: Vec<u16> = record
        .recordings
        .iter()
        .enumerate()
        .filter(|(_, r)| matches!(r, strowger_core::record::RecordingRecord::Running))
        .map(|(i, _)| i as u16)
        .collect();
    for n in running {
        emit(record, recording(n));
    }
    closing
}
