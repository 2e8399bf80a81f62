//! Being there and being on duty: clients, devices, sign-in, and what an agent chooses to do outside calls.

use super::{ALERTING_SECS, Agent, Choice, Client, DeviceMode, Output, Overlays, Refusal, State, Timer, Verb};
use crate::cause::Cause;
use crate::centre::resource::{MAX_GROUPS, SecondSignIn};
use crate::id::GroupId;
use crate::time::Stamp;

impl Agent {
    // --- clients and devices -------------------------------------------------------------------------------------

    pub(super) fn connect(&mut self, client: Client, needs_device: bool, now: Stamp) -> Result<(), Refusal> {
        let older = self
            .clients
            .iter()
            .find(|(c, _)| c.face == client.face && c.id != client.id);
        if let Some((older, _)) = older.copied() {
            if self.state.is_engaged() {
                // 63: K45 decides who has the call.
                match self.settings.second_sign_in {
                    SecondSignIn::Refuse => return Err(Refusal::Elsewhere),
                    SecondSignIn::TakeOver => {}
                    SecondSignIn::Break => self.end_call(Cause::Admin, now),
                }
            }
            self.clients.retain(|(c, _)| c.id != older.id);
            self.out.push(Output::Kicked(older));
        }
        self.clients.retain(|(c, _)| c.id != client.id);
        self.clients.push((client, true));
        self.judge_connection(now);
        if self.state == State::Offline {
            // 1, 2.
            let to = if needs_device {
                State::Connecting
            } else {
                State::SignedOut
            };
            self.enter(to, now);
        }
        Ok(())
    }

    pub(super) fn disconnected(&mut self, client: Client, now: Stamp) {
        if let Some(c) = self.clients.iter_mut().find(|(c, _)| *c == client) {
            c.1 = false;
        }
        self.judge_connection(now);
    }

    pub(super) fn resumed(&mut self, client: Client) {
        if let Some(c) = self.clients.iter_mut().find(|(c, _)| *c == client) {
            c.1 = true;
            self.found();
        }
    }

    pub(super) fn closed(&mut self, client: Client, now: Stamp) {
        self.clients.retain(|(c, _)| *c != client);
        if !self.clients.is_empty() || self.overlays.mode == DeviceMode::Mobile {
            self.bound_wrap_up(now);
            return self.judge_connection(now);
        }
        match self.state {
            State::Connecting | State::SignedOut => self.enter(State::Offline, now),
            // On duty, closing a page is like losing it: the agent may come back.
            _ => self.judge_connection(now),
        }
    }

    /// 37, 38: the clock of a lost connection.
    pub(super) fn judge_connection(&mut self, now: Stamp) {
        let online = self.clients.iter().any(|(_, on)| *on);
        let counts = self.overlays.mode == DeviceMode::Devices && self.state != State::Offline;
        if online || !counts {
            return self.found();
        }
        if !self.overlays.lost {
            self.overlays.lost = true;
            self.set(Timer::Grace, u64::from(self.settings.grace_secs), now);
        }
    }

    pub(super) fn found(&mut self) {
        self.overlays.lost = false;
        self.expired = false;
        self.clear(Timer::Grace);
    }

    pub(super) fn device_up(&mut self, now: Stamp) {
        self.overlays.device_lost = false;
        for t in [Timer::DeviceGrace, Timer::DeviceRest, Timer::Alerting] {
            self.clear(t);
        }
        if self.state == State::Connecting {
            self.enter(State::SignedOut, now);
        }
    }

    pub(super) fn device_lost(&mut self, now: Stamp) {
        if self.overlays.mode == DeviceMode::Mobile {
            return;
        }
        match self.state {
            State::Offline | State::Connecting => {}
            State::SignedOut => self.overlays.device_lost = true,
            State::Ringing | State::Answering => self.set(Timer::Alerting, ALERTING_SECS, now),
            s if s.is_idle() => {
                // 58. It may be told more than once; the first one counts.
                self.overlays.device_lost = true;
                if !self.is_set(Timer::DeviceGrace) {
                    self.set(Timer::DeviceGrace, u64::from(self.settings.device_grace_secs), now);
                }
            }
            // An established dialog is unaffected by registrations (I38).
            _ => self.overlays.device_lost = true,
        }
    }

    // --- duty ----------------------------------------------------------------------------------------------------

    pub(super) fn sign_in(
        &mut self,
        groups: Vec<GroupId>,
        mode: DeviceMode,
        choice: Option<Choice>,
        now: Stamp,
    ) -> Result<(), Refusal> {
        // A telephone that works by itself needs no client.
        let by_mobile = mode == DeviceMode::Mobile && self.state == State::Offline;
        if !by_mobile {
            self.check(Verb::SignIn)?;
        }
        if groups.len() > MAX_GROUPS {
            return Err(Refusal::Groups);
        }
        let mut served: Vec<GroupId> = if groups.is_empty() {
            self.skills.clone()
        } else {
            groups.into_iter().filter(|g| self.skills.contains(g)).collect()
        };
        served.sort_unstable();
        served.dedup();
        served.truncate(MAX_GROUPS);
        if served.is_empty() {
            return Err(Refusal::NoGroup);
        }
        self.groups = served;
        self.overlays.mode = mode;
        self.overlays.call_only = false;
        self.overlays.no_chats = false;
        self.overlays.pending = None;
        if mode == DeviceMode::Mobile {
            self.overlays.device_lost = false;
        }
        self.misses = 0;
        self.idle_since = now;
        self.enter(State::SignedIn, now);
        match choice {
            Some(choice) => self.rest(choice, now),
            None if self.settings.start_ready || mode == DeviceMode::Mobile => self.rest(Choice::Ready, now),
            None => {}
        }
        self.judge_connection(now);
        Ok(())
    }

    pub(super) fn verb_of(choice: &Choice) -> Verb {
        match choice {
            Choice::Ready => Verb::Ready,
            Choice::Break(_) => Verb::Break,
            Choice::NotReady(_) => Verb::NotReady,
            Choice::SignOut => Verb::SignOut,
        }
    }

    pub(super) fn choose(&mut self, choice: Choice, now: Stamp) -> Result<(), Refusal> {
        self.check(Self::verb_of(&choice))?;
        let reserved = self.state == State::Reserved && self.open.is_some_and(|o| o.part.is_offer());
        if reserved {
            // 43: the call goes back first, then the choice.
            self.unreserve(now);
        }
        if self.state.is_engaged() {
            self.overlays.pending = Some(choice).filter(|c| *c != Choice::Ready);
        } else {
            self.rest(choice, now);
        }
        Ok(())
    }

    /// Enters what was chosen, from outside a call.
    pub(super) fn rest(&mut self, choice: Choice, now: Stamp) {
        self.overlays.pending = None;
        match choice {
            Choice::Ready => self.enter(State::Ready, now),
            Choice::Break(reason) => self.enter_for(State::Break, reason, now),
            Choice::NotReady(reason) => self.enter_for(State::NotReady, reason, now),
            Choice::SignOut => self.sign_out(now),
        }
    }

    pub(super) fn sign_out(&mut self, now: Stamp) {
        self.groups.clear();
        self.overlays.call_only = false;
        self.overlays.no_chats = false;
        self.overlays.pending = None;
        self.overlays.mode = DeviceMode::Devices;
        self.overlays.device = None;
        self.clear(Timer::DeviceGrace);
        self.enter(State::SignedOut, now);
        if self.clients.is_empty() || self.expired {
            self.leave(now);
        }
    }

    /// No client is left.
    pub(super) fn leave(&mut self, now: Stamp) {
        self.overlays = Overlays::default();
        self.expired = false;
        self.clients.clear();
        self.timers.clear();
        self.enter(State::Offline, now);
    }

    pub(super) fn reset(&mut self, now: Stamp) {
        if let Some(open) = self.open.take() {
            self.drop_offer_or_end(open, Cause::Admin);
        }
        if self.state == State::Offline {
            return;
        }
        // 40: also the telephone that works by itself is cleared.
        self.sign_out(now);
    }

    pub(super) fn force(&mut self, choice: Choice, hang_up: bool, now: Stamp) {
        match self.state {
            s if s.is_off_duty() => {}
            s if s.is_idle() => self.rest(choice, now),
            State::Reserved if self.open.is_some_and(|o| o.part.is_offer()) => {
                self.unreserve(now);
                if self.state.is_idle() {
                    self.rest(choice, now);
                }
            }
            _ => {
                if self.before.0.is_idle() {
                    self.overlays.pending = Some(choice);
                }
                if hang_up {
                    self.end_call(Cause::Admin, now);
                }
            }
        }
    }
}
