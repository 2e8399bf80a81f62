//! The user agent core: joins messages, transactions and dialogs (RFC 3261 §8, §9, §12-15).
//!
//! Each file holds one side or one extension: `uac` calls that we start and `early` their early dialogs, `uas` calls that
//! come in and `reliable` their reliable responses, `confirmed` what happens inside a dialog, `update`, `refer` and
//! `session` what extensions add there, `closing` how a dialog ends, `outside` what needs none. `deal` knows whose offer
//! waits. `core` composes and sends, `table` holds the transactions, `alarms` the other deadlines.

mod alarms;
mod closing;
mod confirmed;
mod core;
mod deal;
mod dialog;
mod early;
mod outside;
mod refer;
mod reliable;
mod session;
mod table;
mod uac;
mod uas;
mod update;

use self::alarms::Alarm;
use self::core::{Core, Origin, Pending, origin};
use self::table::{Machine, TxId};
use crate::api::*;
use crate::keyed::KeyedMap;
use crate::message::{HeaderName, Message, Method, ParseError};
use crate::transaction::{OnRepeat, OnResponse, OnTimer};
use bytes::Bytes;

/// To whom the outcome of a transaction matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Nobody: CANCEL, stray BYE, answered requests.
    None,
    /// The INVITE that opens a call, of either side.
    Invite(DialogHandle),
    /// A later INVITE, of either side.
    ReInvite(DialogHandle),
    /// Our BYE. `retried`: it carries an answer to a challenge already.
    Bye { handle: DialogHandle, retried: bool },
    /// Our INFO.
    Info { handle: DialogHandle, retried: bool },
    /// Our OPTIONS.
    Options(DialogHandle),
    /// Our REGISTER.
    Register(DialogHandle),
    /// Our PRACK in an early dialog.
    Prack {
        handle: DialogHandle,
        mark: u32,
        retried: bool,
    },
    /// Our UPDATE in the dialog with this mark.
    Update {
        handle: DialogHandle,
        mark: u32,
        retried: bool,
    },
    /// Our REFER.
    Refer {
        handle: DialogHandle,
        id: u32,
        retried: bool,
    },
    /// Our NOTIFY about a REFER of theirs.
    Notify {
        handle: DialogHandle,
        id: u32,
        retried: bool,
    },
    /// Our reliable provisional response.
    Reliable(DialogHandle),
    /// Their UPDATE or PRACK, which the application answers.
    Asked { handle: DialogHandle, mark: u32 },
    /// Their REFER, which the application answers.
    ReferAsked { handle: DialogHandle, id: u32 },
    /// Their request outside any dialog, which the application answers.
    Outside(DialogHandle),
}

/// What a handle stands for.
enum Call {
    /// Our INVITE has no final response.
    Inviting(Box<uac::Inviting>),
    /// Their INVITE has no final response.
    Incoming(Box<uas::Incoming>),
    /// A dialog in use.
    Confirmed(Box<confirmed::Confirmed>),
    /// Our BYE has no final response.
    Closing(Box<closing::Closing>),
    /// Our OPTIONS has no final response.
    Probing,
    /// Our REGISTER has no final response.
    Registering(Box<outside::Registering>),
    /// Their request outside any dialog waits for the application.
    Outside(Box<Pending>),
}

/// A SIP user agent without I/O. The calling contract is in the crate's documentation.
pub struct Stack {
    core: Core,
    calls: KeyedMap<DialogHandle, Call>,
}

impl Stack {
    /// A stack with nothing in it.
    pub fn new(config: StackConfig) -> Stack {
        Stack {
            core: Core::new(config),
            calls: KeyedMap::default(),
        }
    }

    /// Digests one input. Afterwards call [`Stack::poll`] until it returns `None`. `now` never decreases.
    pub fn handle(&mut self, input: Input, now: Time) {
        self.core.now = self.core.now.max(now);
        self.tick();
        match input {
            Input::Received(received) => self.receive(received),
            Input::Command(command) => self.command(command),
            Input::Tick => {}
            Input::TransportError { target } => self.transport_error(target),
        }
    }

    /// The next output, in order.
    pub fn poll(&mut self) -> Option<Output> {
        self.core.out.pop_front()
    }

    /// When [`Input::Tick`] is due at the latest; `None` while nothing is under way.
    pub fn next_deadline(&self) -> Option<Time> {
        let (transactions, alarms) = (self.core.table.next_deadline(), self.core.alarms.next());
        transactions.into_iter().chain(alarms).min()
    }

    /// A running dialog as data, for whoever takes it over by [`Command::Import`]; `None` if the handle names none.
    pub fn snapshot(&self, handle: DialogHandle) -> Option<ConfirmedSnapshot> {
        match self.calls.get(&handle)? {
            Call::Confirmed(confirmed) => Some(confirmed.dialog.clone()),
            _ => None,
        }
    }

    /// Opens or closes the door for new incoming calls.
    pub fn set_overload(&mut self, overload: Overload) {
        self.core.overload = overload;
    }

    /// Tells this address in Via and Contact from now on, on every interface of its family that has an advertised one.
    /// Dialogs learn it with their next request.
    pub fn set_advertised(&mut self, address: std::net::IpAddr) {
        for interface in &mut self.core.config.interfaces {
            if let Some(told) = &mut interface.advertised
                && told.is_ipv4() == address.is_ipv4()
            {
                told.set_ip(address);
            }
        }
    }

    /// Sizes and counters.
    pub fn stats(&self) -> StackStats {
        StackStats {
            dialogs: self.calls.len(),
            transactions: self.core.table.len(),
            index_entries: self.core.dialogs.len() + self.core.table.index_len() + self.core.alarms.len(),
            ..self.core.stats
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Invite(invite) => self.invite(*invite),
            Command::Cancel { handle, reason } => self.cancel(handle, reason, CommandKind::Cancel),
            Command::Abandon { handle } => self.abandon(handle),
            Command::Bye { handle, reason } => self.bye(handle, reason, CommandKind::Bye),
            Command::Ack { handle, sdp } => self.ack(handle, sdp),
            Command::Respond {
                handle,
                status,
                reason_phrase,
                headers,
                sdp,
                reliable,
            } => {
                self.respond(
                    handle,
                    uas::Answer {
                        status,
                        phrase: reason_phrase,
                        headers,
                        sdp,
                        reliable,
                    },
                );
            }
            Command::Prack { handle, tag, sdp } => self.prack(handle, &tag, sdp),
            Command::RespondPrack { handle, status, sdp } => self.respond_prack(handle, status, sdp),
            Command::Update { handle, tag, sdp } => self.update(handle, tag.as_deref(), sdp),
            Command::RespondUpdate {
                handle,
                tag,
                status,
                sdp,
            } => self.respond_update(handle, tag.as_deref(), status, sdp),
            Command::Refer {
                handle,
                refer_to,
                referred_by,
            } => self.refer(handle, &refer_to, referred_by.as_deref()),
            Command::AnswerRefer { handle, id, status } => self.answer_refer(handle, id, status),
            Command::NotifyRefer {
                handle,
                id,
                status,
                phrase,
                finished,
            } => self.notify_refer(handle, id, (status, phrase.as_deref()), finished),
            Command::Reply {
                handle,
                status,
                phrase,
                headers,
                body,
            } => self.reply_outside(handle, (status, phrase.as_deref()), &headers, body.as_ref()),
            Command::Register(register) => self.register(*register),
            Command::ReInvite { handle, sdp } => self.reinvite(handle, sdp),
            Command::Info {
                handle,
                content_type,
                body,
            } => self.info(handle, &content_type, &body),
            Command::Options(ping) => self.options(*ping),
            Command::Import { snapshot, credentials } => match *snapshot {
                DialogSnapshot::Inviting(snapshot) => self.import_inviting(snapshot, credentials.is_some()),
                DialogSnapshot::Confirmed(snapshot) => self.import_confirmed(snapshot, credentials),
            },
        }
    }

    fn receive(&mut self, received: Received) {
        let message = match Message::parse(received.bytes.clone()) {
            Ok(message) => message,
            Err(ParseError::KeepAlive) => return,
            Err(ParseError::TooLarge | ParseError::StartLine) => {
                self.core.stats.dropped += 1;
                return;
            }
        };
        match message.status() {
            Some(status) => self.response(&message, status),
            None => self.request(message, &received),
        }
    }

    // ---- responses ----

    fn response(&mut self, message: &Message, status: u16) {
        let found = match (message.via(), message.cseq()) {
            (Some(via), Some(cseq)) if message.defect().is_none() && message.has_single_via() => {
                self.core.table.find(self.core.client_key(via.branch, cseq.method))
            }
            _ => None,
        };
        let Some(id) = found else {
            self.core.stats.dropped += 1;
            return;
        };
        let now = self.core.now;
        let Some(tx) = self.core.table.get_mut(id) else { return };
        let effect = match &mut tx.machine {
            Machine::ClientInvite(machine) => machine.response(status, now),
            Machine::ClientOther(machine) => machine.response(status, now),
            Machine::ServerInvite(_) | Machine::ServerOther(_) | Machine::Provisional(_) => return,
        };
        let owner = tx.owner;
        self.core.table.rearm(id);
        if matches!(effect, OnResponse::PassAndAck | OnResponse::Ack) {
            self.acknowledge_refusal(id, message);
        }
        match effect {
            OnResponse::Pass | OnResponse::PassAndAck => self.pass_response(id, owner, message, status),
            OnResponse::Ack | OnResponse::Absorb => self.core.stats.absorbed += 1,
        }
        // §17.1.2.2: what is left of the transaction absorbs repeated responses and sends nothing.
        if let Some(tx) = self.core.table.get_mut(id)
            && matches!(&tx.machine, Machine::ClientOther(machine) if !machine.is_pending())
        {
            tx.message = Bytes::new();
        }
    }

    fn pass_response(&mut self, id: TxId, owner: Owner, message: &Message, status: u16) {
        match owner {
            Owner::None => {}
            Owner::Invite(handle) => self.invite_response(id, handle, message, status),
            Owner::ReInvite(handle) => self.reinvite_response(id, handle, message, status),
            Owner::Bye { handle, retried } if status >= 200 => self.bye_response(id, handle, retried, message, status),
            Owner::Info { handle, retried } if status >= 200 => {
                self.info_response(id, handle, retried, message, status)
            }
            Owner::Options(handle) if status >= 200 => self.options_result(handle, Some(status)),
            Owner::Register(handle) if status >= 200 => self.register_response(id, handle, message, status),
            Owner::Prack { .. } if status >= 200 => self.prack_response(id, owner, message, status),
            Owner::Update { .. } if status >= 200 => self.update_response(id, owner, message, status),
            Owner::Refer { .. } if status >= 200 => self.refer_response(id, owner, message, status),
            Owner::Notify { .. } if status >= 200 => self.notify_response(id, owner, message, status),
            Owner::Bye { .. }
            | Owner::Info { .. }
            | Owner::Options(_)
            | Owner::Register(_)
            | Owner::Prack { .. }
            | Owner::Update { .. }
            | Owner::Refer { .. }
            | Owner::Notify { .. } => {}
            // These are transactions of the far side.
            Owner::Reliable(_) | Owner::Asked { .. } | Owner::ReferAsked { .. } | Owner::Outside(_) => {}
        }
    }

    /// §17.1.1.3: the ACK to a 300-699 goes where the INVITE went, by the same branch.
    fn acknowledge_refusal(&mut self, id: TxId, response: &Message) {
        let Some(tx) = self.core.table.get(id) else { return };
        let Ok(invite) = Message::read_back(tx.message.clone()) else {
            return;
        };
        let (target, local) = (tx.target, tx.local);
        let ack = self.core.companion(&invite, Method::Ack, Some(response), None);
        self.core.send(target, local, ack);
    }

    // ---- requests ----

    fn request(&mut self, message: Message, received: &Received) {
        let via = message.via();
        let origin = origin(received, via.as_ref());
        if let Some(defect) = message.defect() {
            let (status, phrase) = defect.response();
            self.core.reply(&message, &origin, status, Some(phrase), &[]);
            return;
        }
        if matches!(received.transport, Transport::Tcp | Transport::Tls)
            && message.raw_values(HeaderName::ContentLength).next().is_none()
            && message.body().is_empty()
        {
            // §18.3, §20.14: on a stream nothing else says where a message ends, so its body, if it has one, is missing.
            let phrase = Some("Missing Content-Length");
            self.core.reply(&message, &origin, 400, phrase, &[]);
            return;
        }
        let (Some(via), Some(method)) = (via, message.method()) else {
            return;
        };
        let name = if method == Method::Ack {
            b"INVITE"
        } else {
            message.method_name()
        };
        let known = self.core.table.find(self.core.server_key(&message, &via, name));
        match (known, method) {
            (Some(id), Method::Ack) => self.ack_for_transaction(id, &message),
            (Some(id), _) => self.repeated(id),
            (None, Method::Ack) => self.ack_received(&message),
            (None, Method::Cancel) => {
                let invite = self.core.table.find(self.core.server_key(&message, &via, b"INVITE"));
                self.cancel_received(invite, &message, &origin);
            }
            (None, _) if message.to_tag().is_some() => self.request_in_dialog(message, &origin),
            (None, _) => self.request_outside(message, &origin),
        }
    }

    fn repeated(&mut self, id: TxId) {
        self.core.stats.absorbed += 1;
        let Some(tx) = self.core.table.get_mut(id) else { return };
        let effect = match &mut tx.machine {
            Machine::ServerInvite(machine) => machine.repeat(),
            Machine::ServerOther(machine) => machine.repeat(),
            Machine::ClientInvite(_) | Machine::ClientOther(_) | Machine::Provisional(_) => return,
        };
        if effect == OnRepeat::Resend && !tx.message.is_empty() {
            let (target, local, bytes) = (tx.target, tx.local, tx.message.clone());
            self.core.send(target, local, bytes);
        }
    }

    /// ACK that carries the branch of its INVITE: for a 300-699 by rule, for a 2xx by custom of old clients.
    fn ack_for_transaction(&mut self, id: TxId, message: &Message) {
        let now = self.core.now;
        let Some(tx) = self.core.table.get_mut(id) else { return };
        let Machine::ServerInvite(machine) = &mut tx.machine else {
            return;
        };
        if machine.is_accepted() {
            self.ack_received(message);
        } else {
            machine.ack(now);
            self.core.table.rearm(id);
        }
    }

    fn request_in_dialog(&mut self, message: Message, origin: &Origin) {
        let key = self.core.dialog_key(
            &message.call_id(),
            &message.to_tag().unwrap_or_default(),
            &message.from_tag().unwrap_or_default(),
        );
        let handle = self.core.dialogs.get(&key).copied();
        match handle.and_then(|handle| self.calls.get(&handle).map(|call| (handle, call))) {
            Some((handle, Call::Confirmed(_))) => self.request_confirmed(handle, message, origin),
            Some((handle, Call::Incoming(_))) => self.request_incoming(handle, message, origin),
            Some((handle, Call::Inviting(_))) => self.request_early(handle, message, origin),
            Some((_, Call::Closing(_))) if message.method() == Some(Method::Bye) => {
                // Both hang up at once: each gets its 200.
                self.core.reply_kept(&message, origin, 200);
            }
            _ if self.is_ahead(&message) => {
                // The response that makes its dialog is lost or late, and will be repeated.
                self.core.reply(&message, origin, 500, None, &[("Retry-After", "1")]);
            }
            _ => self.core.reply(&message, origin, 481, None, &[]),
        }
    }

    /// True if a request comes from a branch of our INVITE of which nothing else has been heard.
    fn is_ahead(&self, message: &Message) -> bool {
        let key = self
            .core
            .dialog_key(&message.call_id(), &message.to_tag().unwrap_or_default(), "");
        let handle = self.core.dialogs.get(&key);
        message.method() != Some(Method::Bye)
            && matches!(handle.and_then(|h| self.calls.get(h)), Some(Call::Inviting(_)))
    }

    // ---- time ----

    fn tick(&mut self) {
        while let Some((id, due)) = self.core.table.pop_due(self.core.now) {
            match due {
                OnTimer::Nothing => {}
                OnTimer::Resend => {
                    let Some(tx) = self.core.table.get(id) else { continue };
                    let (target, local, bytes) = (tx.target, tx.local, tx.message.clone());
                    self.core.stats.retransmitted += 1;
                    self.core.send(target, local, bytes);
                }
                OnTimer::TimedOut => self.unanswered(id, FailureKind::TransactionTimeout),
                OnTimer::Done => {
                    self.core.table.remove(id);
                }
            }
        }
        while let Some((handle, alarm)) = self.core.alarms.pop_due(self.core.now) {
            match alarm {
                Alarm::Session => self.session_due(handle),
                Alarm::Refer => self.refer_due(handle),
            }
        }
    }

    /// A transaction ends without what it waited for.
    fn unanswered(&mut self, id: TxId, kind: FailureKind) {
        match self.core.table.get(id).map(|tx| tx.owner) {
            // The application owes a response; the transaction stays, to repeat the one that stands in.
            Some(Owner::Asked { handle, mark }) => return self.asked_expired(id, handle, mark),
            Some(Owner::ReferAsked { handle, id: refer }) => return self.refer_expired(id, handle, refer),
            Some(Owner::Outside(handle)) => return self.outside_expired(handle),
            _ => {}
        }
        let Some(tx) = self.core.table.remove(id) else { return };
        match (tx.owner, &tx.machine) {
            (Owner::None, _) => {}
            (Owner::Invite(handle), Machine::ClientInvite(_)) => self.invite_over(id, handle, kind),
            (Owner::ReInvite(handle), Machine::ClientInvite(_)) => self.reinvite_lost(id, handle, 408),
            (Owner::Invite(handle) | Owner::ReInvite(handle), _) => self.never_acknowledged(id, handle),
            (Owner::Bye { handle, .. }, _) => self.bye_over(handle, None),
            (Owner::Info { handle, .. }, _) => {
                if matches!(self.calls.get(&handle), Some(Call::Confirmed(_))) {
                    self.core.event(handle, SipEvent::InfoResult { status: None });
                }
            }
            (Owner::Options(handle), _) => self.options_result(handle, None),
            (Owner::Register(handle), _) => self.register_over(handle, Registration::default()),
            (Owner::Prack { handle, mark, .. }, _) => self.prack_failed(handle, mark),
            (Owner::Update { handle, mark, .. }, _) => self.update_lost(id, handle, mark),
            (Owner::Refer { handle, id, .. }, _) => self.refer_answered(handle, id, 408, false),
            (Owner::Notify { handle, id, .. }, _) => self.unsubscribed(handle, id),
            (Owner::Reliable(handle), _) => self.never_pracked(handle),
            (Owner::Asked { .. } | Owner::ReferAsked { .. } | Owner::Outside(_), _) => {}
        }
    }

    fn transport_error(&mut self, target: Target) {
        let waiting = self.core.table.filter(|tx| {
            // A request that any connection would do for failed on the one that was taken.
            tx.target.transport == target.transport
                && tx.target.addr == target.addr
                && (tx.target.flow.is_none() || tx.target.flow == target.flow)
                && match &tx.machine {
                    Machine::ClientInvite(machine) => machine.is_calling(),
                    Machine::ClientOther(machine) => machine.is_pending(),
                    Machine::ServerInvite(_) | Machine::ServerOther(_) | Machine::Provisional(_) => false,
                }
        });
        for id in waiting {
            if !self.core.fall_back(id) {
                self.unanswered(id, FailureKind::TransportError);
            }
        }
    }
}
