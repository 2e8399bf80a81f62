//! The transitions of domain-model §4.2, numbered as there.

mod duty;

use super::{
    Alert, Change, Choice, Client, DeviceMode, Engagement, Fact, Input, Kept, Output, Overlays, Part, Refusal, State,
    Ticket, Unanswered, Verb, allows,
};
use crate::cause::Cause;
use crate::centre::resource::{CentreSettings, NoAnswer, WrapUp};
use crate::id::GroupId;
use crate::time::Stamp;

/// A device's registration may take so long (§4.2.1).
const REGISTRATION_SECS: u64 = 30;
/// A device has to alert within so long (41).
const PROVISIONAL_SECS: u64 = 10;
/// Media has to be up within so long after the answer (16).
const MEDIA_SECS: u64 = 15;
/// A call that was placed may take so long beyond its ringing (§4.2.1).
const SET_UP_SECS: u64 = 10;
/// The end of a leg is taken for granted after so long (62).
const RELEASE_SECS: u64 = 2;
/// An alerting device that is lost may come back for so long (57).
const ALERTING_SECS: u64 = 5;
/// A device that failed is not tried again for so long, unless it registers (41).
const DEVICE_REST_SECS: u64 = 60;
/// Wrap-up of an agent that nobody could end it for (61).
const UNATTENDED_WRAP_UP_SECS: u32 = 15;
/// Misses in a row after which a telephone without a client is taken off duty (61).
const MOBILE_MISSES: u8 = 3;
/// An offer without a ring time-out ends after so long (§4.2.1).
const LONGEST_RING_SECS: u32 = 600;

/// What may come to pass by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    Registration,
    Provisional,
    Ring,
    Media,
    SetUp,
    Release,
    Alerting,
    WrapUp,
    Grace,
    DeviceGrace,
    DeviceRest,
}

/// The participation that is open.
#[derive(Clone, Copy, Debug)]
struct Open {
    ticket: Ticket,
    part: Part,
    ring_secs: u32,
    /// It was a talk at some time.
    talked: bool,
}

/// One agent.
#[derive(Clone, Debug)]
pub struct Agent {
    settings: CentreSettings,
    wrap_up: WrapUp,
    skills: Vec<GroupId>,
    state: State,
    reason: String,
    since: Stamp,
    idle_since: Stamp,
    overlays: Overlays,
    clients: Vec<(Client, bool)>,
    groups: Vec<GroupId>,
    open: Option<Open>,
    /// Where it was before the participation, with the reason.
    before: (State, String),
    misses: u8,
    /// The grace of a lost connection ran out during a call.
    expired: bool,
    timers: Vec<(Stamp, Timer)>,
    out: Vec<Output>,
    shown: (State, String, Overlays),
}

impl Agent {
    /// An agent that is offline. `skills` are the groups that it belongs to, `wrap_up` is its own or the application's.
    pub fn new(settings: CentreSettings, wrap_up: WrapUp, skills: Vec<GroupId>, now: Stamp) -> Agent {
        Agent {
            settings,
            wrap_up,
            skills,
            state: State::Offline,
            reason: String::new(),
            since: now,
            idle_since: now,
            overlays: Overlays::default(),
            clients: Vec::new(),
            groups: Vec::new(),
            open: None,
            before: (State::Offline, String::new()),
            misses: 0,
            expired: false,
            timers: Vec::new(),
            out: Vec::new(),
            shown: (State::Offline, String::new(), Overlays::default()),
        }
    }

    /// What is to be written, so that a restarted process can go on.
    pub fn keep(&self) -> Kept {
        let until = self.timers.iter().find(|(_, t)| *t == Timer::WrapUp).map(|(at, _)| *at);
        Kept {
            state: self.state,
            reason: self.reason.clone(),
            open: self.open.map(|o| (o.part, o.talked)),
            before: self.before.clone(),
            wrap_up_until: until,
            overlays: self.overlays.clone(),
            groups: self.groups.clone(),
            idle_since: self.idle_since,
            since: self.since,
            misses: self.misses,
        }
    }

    /// 60: goes on after a restart. Its calls ended with the process, and its clients have to come back within the grace
    /// time; offers are as if they had never been made.
    pub fn restore(&mut self, kept: Kept, now: Stamp) -> Vec<Output> {
        let skills = &self.skills;
        let told = kept.overlays.clone();
        self.groups = kept.groups.into_iter().filter(|g| skills.contains(g)).collect();
        self.overlays = Overlays {
            muted: false,
            supervised: false,
            device_lost: false,
            lost: false,
            ..kept.overlays
        };
        (self.state, self.reason, self.since) = (kept.state, kept.reason, kept.since);
        (self.idle_since, self.before, self.misses) = (kept.idle_since, kept.before, kept.misses);
        self.shown = (self.state, self.reason.clone(), told);
        if let Some(until) = kept.wrap_up_until {
            self.timers.push((until, Timer::WrapUp));
        }
        match self.state {
            State::Connecting => self.enter(State::Offline, now),
            s if s.is_engaged() => {
                let (part, talked) = kept.open.unwrap_or((Part::Direct, false));
                self.open = Some(Open {
                    ticket: Ticket(0),
                    part,
                    ring_secs: 0,
                    talked,
                });
                self.call_over(now);
            }
            _ => {}
        }
        self.judge_connection(now);
        self.show(now);
        std::mem::take(&mut self.out)
    }

    /// Settings and skills were changed. What runs goes on as it was begun.
    pub fn configure(&mut self, settings: CentreSettings, wrap_up: WrapUp, skills: Vec<GroupId>) {
        (self.settings, self.wrap_up) = (settings, wrap_up);
        self.groups.retain(|g| skills.contains(g));
        self.skills = skills;
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when.
    pub fn since(&self) -> Stamp {
        self.since
    }

    /// Why on break or not ready.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What is shown beside the state.
    pub fn overlays(&self) -> &Overlays {
        &self.overlays
    }

    /// The groups that it serves now.
    pub fn groups(&self) -> &[GroupId] {
        &self.groups
    }

    /// The participation that is open.
    pub fn ticket(&self) -> Option<(Ticket, Part)> {
        self.open.map(|o| (o.ticket, o.part))
    }

    /// The state before the participation that is open.
    pub fn state_before(&self) -> State {
        self.before.0
    }

    /// Since when it could take calls: breaks do not reset it, a missed offer does (§10.1).
    pub fn idle_since(&self) -> Stamp {
        self.idle_since
    }

    /// On duty, whatever it does.
    pub fn is_on_duty(&self) -> bool {
        match self.state {
            s if s.is_engaged() => self.before.0.is_idle(),
            s => s.is_idle(),
        }
    }

    /// A call of a queue may be offered (I2).
    pub fn is_offerable(&self) -> bool {
        self.state == State::Ready && !self.overlays.call_only && !self.overlays.device_lost
    }

    /// A client is connected.
    pub fn has_client(&self) -> bool {
        !self.clients.is_empty()
    }

    /// True if what `verb` asks would be accepted now. The flags that clients are shown are exactly this (I23).
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, verb: Verb) -> Result<(), Refusal> {
        let refused = Err(Refusal::State {
            state: self.state,
            verb,
        });
        if verb == Verb::Train && !self.settings.training {
            return refused;
        }
        let judged = match (self.state, self.open) {
            // Nothing has rung yet: the agent may still turn to something else (43).
            (State::Reserved, Some(o)) if o.part.is_offer() => self.before.0,
            (State::Reserved, _) if verb == Verb::HangUp => return Ok(()),
            (state, _) => state,
        };
        let later = matches!(verb, Verb::Break | Verb::NotReady | Verb::SignOut) && self.settings.pending_break;
        let clears = verb == Verb::Ready && self.overlays.pending.is_some();
        let inbound = judged == State::TalkIn && verb == Verb::HangUp && !self.settings.hang_up_inbound;
        let fits = allows(judged, verb) || (judged.is_engaged() && self.before.0.is_idle() && (later || clears));
        if fits && !inbound { Ok(()) } else { refused }
    }

    /// The next moment at which [`Input::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Stamp> {
        self.timers.iter().map(|(at, _)| *at).min()
    }

    /// Takes one input. Inputs of one agent are applied one at a time, in order of arrival; a fact about a participation
    /// that is over is dropped, a wish that does not fit is refused.
    ///
    /// # Errors
    /// Why a wish was refused; nothing has changed then.
    pub fn handle(&mut self, input: Input, now: Stamp) -> Result<Vec<Output>, Refusal> {
        self.apply(input, now)?;
        self.show(now);
        Ok(std::mem::take(&mut self.out))
    }

    fn apply(&mut self, input: Input, now: Stamp) -> Result<(), Refusal> {
        match input {
            Input::Connect { client, needs_device } => self.connect(client, needs_device, now)?,
            Input::Disconnected(client) => self.disconnected(client, now),
            Input::Resumed(client) => self.resumed(client),
            Input::Closed(client) => self.closed(client, now),
            Input::DeviceUp => self.device_up(now),
            Input::DeviceLost => self.device_lost(now),
            Input::DeviceFailed => {
                if self.state == State::Connecting {
                    self.enter(State::Offline, now);
                }
            }
            Input::SignIn { groups, mode, choice } => self.sign_in(groups, mode, choice, now)?,
            Input::Choose(choice) => self.choose(choice, now)?,
            Input::StopNotReady => {
                self.overlays.call_only = false;
                if self.state == State::NotReady {
                    self.rest(Choice::Ready, now);
                }
            }
            // Off duty there is nothing that would ring.
            Input::RingAt(_) if self.state == State::Offline => {}
            Input::RingAt(device) => self.overlays.device = device,
            Input::CallOnly(on) => {
                self.check(Verb::CallOnly)?;
                self.overlays.call_only = on;
                if !on && self.state == State::NotReady {
                    self.rest(Choice::Ready, now);
                }
            }
            Input::AfterCall => {
                self.check(Verb::AfterCall)?;
                self.unreserve(now);
                // By command it has no end of its own (59).
                self.enter(State::WrapUp, now);
                self.bound_wrap_up(now);
            }
            Input::Muted(on) => self.overlays.muted = on && self.open.is_some(),
            Input::TakesChats(on) => self.overlays.no_chats = !on && self.is_on_duty(),
            Input::Reset => self.reset(now),
            Input::Force { choice, hang_up } => self.force(choice, hang_up, now),
            Input::Begin {
                ticket,
                part,
                ring_secs,
            } => self.begin(ticket, part, ring_secs, now)?,
            Input::Withdraw(ticket) => {
                if self.is(ticket) {
                    self.withdrawn(now);
                }
            }
            Input::Call(ticket, fact) => {
                if self.is(ticket) {
                    self.call(fact, now);
                }
            }
            Input::Tick => self.tick(now),
        }
        Ok(())
    }

    // --- calls ---------------------------------------------------------------------------------------------------

    fn is(&self, ticket: Ticket) -> bool {
        self.open.is_some_and(|o| o.ticket == ticket)
    }

    fn begin(&mut self, ticket: Ticket, part: Part, ring_secs: u32, now: Stamp) -> Result<(), Refusal> {
        let may = match part {
            Part::Queue => self.is_offerable(),
            // A direct call reaches an agent that does other things too (65); a consultation must be offerable (21).
            Part::Direct => {
                !self.overlays.device_lost
                    && (self.state.is_idle() || self.state == State::SignedOut && self.settings.off_duty_calls)
            }
            Part::Consult => self.state.is_idle() && !self.overlays.device_lost,
            Part::Own => {
                self.check(Verb::Dial)?;
                self.unreserve(now);
                true
            }
            Part::OffDuty => self.state.is_off_duty(),
            Part::Monitor => {
                self.check(Verb::Monitor)?;
                self.unreserve(now);
                true
            }
        };
        if !may {
            return Err(Refusal::NotOfferable);
        }
        self.before = (self.state, self.reason.clone());
        let ring_secs = if ring_secs == 0 {
            LONGEST_RING_SECS
        } else {
            ring_secs.min(LONGEST_RING_SECS)
        };
        self.open = Some(Open {
            ticket,
            part,
            ring_secs,
            talked: false,
        });
        self.clear(Timer::DeviceGrace);
        self.enter(State::Reserved, now);
        self.set(Timer::Provisional, PROVISIONAL_SECS, now);
        Ok(())
    }

    fn call(&mut self, fact: Fact, now: Stamp) {
        let Some(open) = self.open else { return };
        let offered = matches!(self.state, State::Reserved | State::Ringing | State::Answering) && open.part.is_offer();
        match fact {
            Fact::Engaged(engagement) => self.engaged(engagement, now),
            Fact::Ended => self.call_over(now),
            // Too late: it was answered, and its end will tell.
            _ if !offered => self.call_over_if_not_up(now),
            Fact::CallerGone => self.withdrawn(now),
            Fact::DeviceFailed => self.device_failed(now),
            Fact::Rejected => self.missed(Unanswered::Rejected, now),
            Fact::Expired => self.missed(Unanswered::Expired, now),
            Fact::MediaFailed => self.missed(Unanswered::Media, now),
        }
    }

    /// 18, 41 second half: the own device of a call that the agent placed failed.
    fn call_over_if_not_up(&mut self, now: Stamp) {
        if matches!(self.state, State::Reserved | State::Dialing) {
            self.call_over(now);
        }
    }

    fn engaged(&mut self, engagement: Engagement, now: Stamp) {
        let Some(open) = &mut self.open else { return };
        // A leg that is being ended does not talk again, and one that has talked does not ring again.
        if self.state == State::Releasing || (open.talked && engagement == Engagement::Alerting) {
            return;
        }
        open.talked |= engagement.is_talk();
        let own = !open.part.is_offer();
        let state = match (engagement, own) {
            // Its own phone alerts, or is picked up, in a call that it placed.
            (Engagement::Alerting | Engagement::Answering, true) if open.part == Part::Monitor => return,
            (Engagement::Alerting | Engagement::Answering, true) => State::Dialing,
            // The duty of ringing is over when it is answered.
            (Engagement::Alerting, false) if self.state == State::Answering => return,
            (e, _) => e.state(),
        };
        if state == self.state {
            return;
        }
        let ring = u64::from(open.ring_secs);
        self.clear_call_timers();
        self.enter(state, now);
        match state {
            State::Ringing => self.set(Timer::Ring, ring, now),
            State::Answering => self.set(Timer::Media, MEDIA_SECS, now),
            State::Dialing | State::ConsultDialing => {
                let bound = u64::from(self.settings.dial_secs.max(ring as u32)) + SET_UP_SECS;
                self.set(Timer::SetUp, bound, now);
            }
            State::Releasing | State::ConsultRetrieving => self.set(Timer::Release, RELEASE_SECS, now),
            _ => {}
        }
    }

    /// The offer goes back because the agent turns away (43).
    fn unreserve(&mut self, now: Stamp) {
        if self.state != State::Reserved {
            return;
        }
        let Some(open) = self.open.filter(|o| o.part.is_offer()) else {
            return;
        };
        self.out.push(Output::Unanswered {
            ticket: open.ticket,
            why: Unanswered::Withdrawn,
        });
        self.go_back(now);
    }

    /// 11, 14, 44: nobody is there any more to be answered.
    fn withdrawn(&mut self, now: Stamp) {
        match self.state {
            State::Reserved | State::Ringing | State::Answering => {
                self.misses = 0;
                self.go_back(now);
            }
            _ => self.call_over(now),
        }
    }

    /// 41, 57: no fault of the agent's.
    fn device_failed(&mut self, now: Stamp) {
        let Some(open) = self.open else { return };
        self.out.push(Output::Unanswered {
            ticket: open.ticket,
            why: Unanswered::Device,
        });
        self.overlays.device_lost = true;
        self.set(Timer::DeviceRest, DEVICE_REST_SECS, now);
        self.go_back(now);
    }

    /// 13, 16.
    fn missed(&mut self, why: Unanswered, now: Stamp) {
        let Some(open) = self.open else { return };
        self.out.push(Output::Unanswered {
            ticket: open.ticket,
            why,
        });
        self.idle_since = now;
        if open.part != Part::Queue {
            return self.go_back(now);
        }
        self.misses = self.misses.saturating_add(1);
        self.open = None;
        self.clear_call_timers();
        if !self.has_client() && self.overlays.mode == DeviceMode::Mobile {
            // 61: nobody could end a break.
            if self.misses >= MOBILE_MISSES {
                self.out.push(Output::Alert(Alert::MobileMisses));
                return self.sign_out(now);
            }
            return self.enter(State::Ready, now);
        }
        if let Some(choice) = self.overlays.pending.take() {
            return self.rest(choice, now);
        }
        match self.settings.no_answer {
            NoAnswer::Break => self.enter_for(State::Break, "no answer".into(), now),
            NoAnswer::NotReady => self.enter_for(State::NotReady, "no answer".into(), now),
            NoAnswer::Ready => self.enter(State::Ready, now),
        }
        self.settle_lost(now);
    }

    /// Back to where it was before the participation, or to what was chosen meanwhile.
    fn go_back(&mut self, now: Stamp) {
        self.open = None;
        self.overlays.muted = false;
        self.clear_call_timers();
        let (state, reason) = std::mem::replace(&mut self.before, (State::Offline, String::new()));
        match self.overlays.pending.take() {
            Some(choice) if state.is_idle() => self.rest(choice, now),
            _ => {
                // Wrap-up that was interrupted goes on until its end, which its timer knows.
                self.enter_for(state, reason, now);
            }
        }
        self.settle_lost(now);
    }

    fn drop_offer_or_end(&mut self, open: Open, cause: Cause) {
        let ticket = open.ticket;
        let offered = matches!(self.state, State::Reserved | State::Ringing) && open.part.is_offer();
        self.out.push(if offered {
            Output::Unanswered {
                ticket,
                why: Unanswered::Withdrawn,
            }
        } else {
            Output::End { ticket, cause }
        });
    }

    /// The platform ends the agent's part of the call; the confirmation is not waited for longer than 2 s.
    fn end_call(&mut self, cause: Cause, now: Stamp) {
        let Some(open) = self.open else { return };
        let offered = matches!(self.state, State::Reserved | State::Ringing) && open.part.is_offer();
        self.drop_offer_or_end(open, cause);
        if offered {
            return self.go_back(now);
        }
        self.clear_call_timers();
        if self.state != State::Releasing {
            self.enter(State::Releasing, now);
        }
        self.set(Timer::Release, RELEASE_SECS, now);
    }

    /// 33 to 36: the last participation has ended.
    fn call_over(&mut self, now: Stamp) {
        let Some(open) = self.open.take() else { return };
        if matches!(self.state, State::Reserved | State::Ringing | State::Answering) && open.part.is_offer() {
            self.open = Some(open);
            return self.withdrawn(now);
        }
        self.clear_call_timers();
        self.overlays.muted = false;
        self.misses = 0;
        if self.state != State::Releasing {
            self.enter(State::Releasing, now);
        }
        self.idle_since = now;
        let was = std::mem::replace(&mut self.before, (State::Offline, String::new()));
        let unanswered_counts = open.part == Part::Own && self.settings.wrap_up_unanswered;
        let skips = self.overlays.pending.is_some() && self.settings.pending_skips_wrap_up;
        let worked = match open.part {
            Part::Monitor | Part::OffDuty => false,
            _ => (open.talked || unanswered_counts) && was.0.is_idle(),
        };
        if worked && !skips && self.wrap_up != WrapUp::Off {
            self.enter(State::WrapUp, now);
            // After-call work from which the call was placed begins anew.
            self.clear(Timer::WrapUp);
            if let WrapUp::Seconds(n) = self.wrap_up {
                self.set(Timer::WrapUp, u64::from(n), now);
            }
            self.bound_wrap_up(now);
            // What the call was placed from, in case the agent is to return there.
            self.before = was;
        } else {
            self.after_call(open.part, was, now);
        }
        self.settle_lost(now);
    }

    /// 35, and the end of 36.
    fn after_call(&mut self, part: Part, was: (State, String), now: Stamp) {
        self.idle_since = now;
        if let Some(choice) = self.overlays.pending.take().filter(|_| was.0.is_idle()) {
            return self.rest(choice, now);
        }
        let returns = matches!(part, Part::Monitor | Part::OffDuty | Part::Direct)
            || !was.0.is_idle()
            || (self.settings.return_to_break && matches!(was.0, State::Break | State::NotReady));
        if returns {
            self.enter_for(was.0, was.1, now);
        } else {
            self.enter(State::Ready, now);
        }
    }

    /// 61, I34: wrap-up that nobody could end has an end.
    fn bound_wrap_up(&mut self, now: Stamp) {
        if self.state == State::WrapUp && !self.has_client() && !self.is_set(Timer::WrapUp) {
            self.set(Timer::WrapUp, u64::from(self.unattended_secs()), now);
        }
    }

    fn unattended_secs(&self) -> u32 {
        match self.settings.wrap_up {
            WrapUp::Seconds(n) => n,
            WrapUp::Manual | WrapUp::Off => UNATTENDED_WRAP_UP_SECS,
        }
    }

    fn wrap_up_over(&mut self, now: Stamp) {
        if self.state != State::WrapUp {
            // It ran out behind an offer or a call: there is nothing to go back to.
            if self.state.is_engaged() && self.before.0 == State::WrapUp {
                self.before = (State::Ready, String::new());
            }
            return;
        }
        let was = std::mem::replace(&mut self.before, (State::Offline, String::new()));
        self.idle_since = now;
        if let Some(choice) = self.overlays.pending.take() {
            self.rest(choice, now);
        } else if self.settings.return_to_break && matches!(was.0, State::Break | State::NotReady) {
            self.enter_for(was.0, was.1, now);
        } else {
            self.enter(State::Ready, now);
        }
    }

    /// 37 for an agent whose grace ran out during a call.
    fn settle_lost(&mut self, now: Stamp) {
        if self.expired && !self.state.is_engaged() {
            return self.duty_over(now);
        }
        // 58 for a device that was lost during the call.
        let waits = self.is_set(Timer::DeviceGrace) || self.is_set(Timer::DeviceRest);
        if self.overlays.device_lost && self.state.is_idle() && !waits {
            self.set(Timer::DeviceGrace, u64::from(self.settings.device_grace_secs), now);
        }
    }

    fn duty_over(&mut self, now: Stamp) {
        if !self.state.is_off_duty() {
            self.groups.clear();
            self.enter(State::SignedOut, now);
        }
        self.leave(now);
    }

    // --- time ----------------------------------------------------------------------------------------------------

    fn tick(&mut self, now: Stamp) {
        while let Some((at, timer)) = self.timers.iter().min_by_key(|(at, _)| *at).copied() {
            if at > now {
                return;
            }
            self.clear(timer);
            self.due(timer, now);
        }
    }

    fn due(&mut self, timer: Timer, now: Stamp) {
        let offered = self.open.is_some_and(|o| o.part.is_offer());
        match timer {
            Timer::Registration if self.state == State::Connecting => self.leave(now),
            Timer::Provisional if self.state == State::Reserved && offered => self.device_failed(now),
            Timer::Provisional if self.state == State::Reserved => self.end_call(Cause::SetupTimeout, now),
            Timer::Ring if self.state == State::Ringing => self.missed(Unanswered::Expired, now),
            Timer::Media if self.state == State::Answering => self.missed(Unanswered::Media, now),
            Timer::SetUp if matches!(self.state, State::Dialing | State::ConsultDialing) => {
                self.end_call(Cause::SetupTimeout, now);
            }
            Timer::Release if self.state == State::Releasing => self.call_over(now),
            // 62: bridging again did not come to pass; the party is on hold then.
            Timer::Release if self.state == State::ConsultRetrieving => self.enter(State::Held, now),
            Timer::Alerting if matches!(self.state, State::Ringing | State::Answering) => self.device_failed(now),
            Timer::WrapUp => self.wrap_up_over(now),
            Timer::Grace if self.state.is_engaged() => self.expired = true,
            Timer::Grace => self.duty_over(now),
            Timer::DeviceGrace if self.overlays.device_lost && self.state.is_idle() => self.sign_out(now),
            Timer::DeviceRest => self.overlays.device_lost = false,
            _ => {}
        }
    }

    fn set(&mut self, timer: Timer, secs: u64, now: Stamp) {
        self.clear(timer);
        self.timers.push((now.plus_secs(secs), timer));
    }

    fn clear(&mut self, timer: Timer) {
        self.timers.retain(|(_, t)| *t != timer);
    }

    fn is_set(&self, timer: Timer) -> bool {
        self.timers.iter().any(|(_, t)| *t == timer)
    }

    fn clear_call_timers(&mut self) {
        self.timers.retain(|(_, t)| {
            !matches!(
                t,
                Timer::Provisional | Timer::Ring | Timer::Media | Timer::SetUp | Timer::Release | Timer::Alerting
            )
        });
    }

    // --- what is shown -------------------------------------------------------------------------------------------

    fn enter(&mut self, state: State, now: Stamp) {
        self.enter_for(state, String::new(), now);
    }

    fn enter_for(&mut self, state: State, reason: String, now: Stamp) {
        if state != State::WrapUp && !state.is_engaged() {
            self.clear(Timer::WrapUp);
        }
        if state == State::Connecting {
            self.set(Timer::Registration, REGISTRATION_SECS, now);
        }
        if (self.state, &self.reason) == (state, &reason) {
            return;
        }
        let from = std::mem::replace(&mut self.state, state);
        self.reason = reason;
        self.since = now;
        self.push_change(from, now);
    }

    /// An overlay that changed without a change of the state is told too.
    fn show(&mut self, now: Stamp) {
        if self.shown.2 != self.overlays {
            let from = self.state;
            self.push_change(from, now);
        }
    }

    fn push_change(&mut self, from: State, now: Stamp) {
        self.shown = (self.state, self.reason.clone(), self.overlays.clone());
        let until = self.timers.iter().find(|(_, t)| *t == Timer::WrapUp).map(|(at, _)| *at);
        self.out.push(Output::Changed(Box::new(Change {
            from,
            to: self.state,
            reason: self.reason.clone(),
            until: until.filter(|_| self.state == State::WrapUp),
            overlays: self.overlays.clone(),
            at: now,
        })));
    }
}
