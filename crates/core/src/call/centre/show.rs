//! What follows from the room: who hears whom, and how it looks from each agent's side.

use super::super::layout::{Builtin, LegLayout, Play, Sound, waiting};
use super::super::leg::Leg;
use super::{
    AgentFact, Centre, Conversation, Effect, Engagement, Fact, LegSeq, LegState, Outcome, Part, Seat, Stamp, Wait,
};
use crate::call::Ringback;

impl Conversation {
    /// Tells the agents' machines what has changed for them. Part of closing every step.
    pub(in crate::call) fn show_parts(&mut self, now: Stamp) {
        let seats = match &self.phase {
            super::Phase::Centre(c) => c.seats.len(),
            _ => return self.show_last(now),
        };
        for part in 0..seats {
            let Some(seat) = self.centre_state().and_then(|c| c.seats.get(part)).cloned() else {
                continue;
            };
            if !seat.over {
                let looks = self.looks(&seat);
                self.show_part(part as u16, &seat, looks, now);
                self.put_seat(part, seat.ticket, looks);
            }
        }
    }

    fn put_seat(&mut self, part: usize, ticket: super::Ticket, looks: Option<Engagement>) {
        let over = self
            .centre_state()
            .and_then(|c| c.seats.get(part))
            .is_some_and(|s| self.is_gone(s.leg));
        let seats = match &mut self.phase {
            super::Phase::Centre(c) => &mut c.seats,
            _ => return,
        };
        if let Some(seat) = seats.get_mut(part).filter(|s| s.ticket == ticket) {
            seat.over |= over;
            if looks.is_some() {
                seat.shown = looks;
            }
        }
    }

    /// Seats that were left when the conversation began to end.
    fn show_last(&mut self, now: Stamp) {
        let mut seats = std::mem::take(&mut self.last_seats);
        for (part, seat) in seats.iter_mut().enumerate().filter(|(_, s)| !s.over) {
            let looks = self.looks(seat);
            self.show_part(part as u16, seat, looks, now);
            seat.over |= self.is_gone(seat.leg);
            seat.shown = looks.or(seat.shown);
        }
        self.last_seats = seats;
    }

    fn is_gone(&self, leg: LegSeq) -> bool {
        self.leg(leg).is_none_or(|l| l.state == LegState::Ended)
    }

    fn show_part(&mut self, part: u16, seat: &Seat, looks: Option<Engagement>, now: Stamp) {
        let ticket = seat.ticket;
        if let Some(engagement) = looks.filter(|e| Some(*e) != seat.shown) {
            // An offer that is given up was none of the agent's doing: it is told so, and not that a call ends.
            if engagement == Engagement::Releasing && !seat.accepted && seat.kind.is_offer() {
                let fact = seat.failed.unwrap_or(AgentFact::CallerGone);
                self.effect(Effect::Agent { ticket, fact });
            } else {
                // Both are seen, though nothing lies between the answer and the talk.
                let talks = engagement.is_talk() && !seat.shown.is_some_and(Engagement::is_talk);
                // Who has answered, and whose customer is called now, has left the queue.
                let calls =
                    engagement == Engagement::Dialing && matches!(seat.shown, None | Some(Engagement::Alerting));
                let first = (talks || calls) && seat.kind.is_offer();
                if first && seat.shown != Some(Engagement::Answering) {
                    self.tell(part, ticket, Engagement::Answering, now);
                }
                self.tell(part, ticket, engagement, now);
            }
        }
        if self.is_gone(seat.leg) {
            let outcome = seat.outcome.unwrap_or(if seat.accepted {
                Outcome::Ended
            } else {
                Outcome::Withdrawn
            });
            self.emit(Fact::PartEnded { part, outcome }, now);
            if !seat.accepted && seat.kind.is_offer() && seat.shown != Some(Engagement::Releasing) {
                let fact = seat.failed.unwrap_or(AgentFact::CallerGone);
                self.effect(Effect::Agent { ticket, fact });
            }
            let fact = AgentFact::Ended;
            self.effect(Effect::Agent { ticket, fact });
        }
    }

    fn tell(&mut self, part: u16, ticket: super::Ticket, engagement: Engagement, now: Stamp) {
        self.emit(Fact::PartEngaged { part, engagement }, now);
        let fact = AgentFact::Engaged(engagement);
        self.effect(Effect::Agent { ticket, fact });
    }

    /// How the call looks from an agent's side; `None` while nothing has rung, and when it is over.
    fn looks(&self, seat: &Seat) -> Option<Engagement> {
        let leg = self.leg(seat.leg)?;
        match leg.state {
            LegState::Ended => return None,
            LegState::Releasing => return Some(Engagement::Releasing),
            _ => {}
        }
        let Some(c) = self.centre_state() else {
            return Some(Engagement::Releasing);
        };
        if !leg.answered {
            let rings = leg.rang.then_some(Engagement::Alerting);
            return if seat.kind.is_offer() {
                rings
            } else {
                Some(Engagement::Dialing)
            };
        }
        if !seat.accepted {
            return Some(Engagement::Answering);
        }
        if seat.supervision.is_some() {
            return Some(Engagement::Monitoring);
        }
        if let Some(k) = c.consult {
            if k.host == seat.leg {
                return Some(match (k.answered, k.swapped) {
                    (false, _) => Engagement::ConsultDialing,
                    (true, false) => Engagement::Consulting,
                    (true, true) => Engagement::Swapped,
                });
            }
            if k.third == seat.leg {
                return Some(Engagement::Talk(seat.variant));
            }
        }
        if c.wait != Wait::No {
            return Some(Engagement::Dialing);
        }
        let others = c.room.iter().filter(|l| **l != seat.leg).count();
        let held = c.hold == Some(seat.leg) || leg.state == LegState::Held;
        Some(match others {
            0 => Engagement::Dialing,
            1 if held => Engagement::Held,
            1 => Engagement::Talk(seat.variant),
            _ => Engagement::Conference,
        })
    }

    // --- sound ---------------------------------------------------------------------------------------------------

    fn music_for_waiting(&self, c: &Centre) -> Play {
        if let Some((id, sound)) = &c.announcement {
            return Play {
                id: *id,
                sound: sound.clone(),
                repeat: false,
                recorded: false,
            };
        }
        let own = c.queue_music.as_ref();
        let sound = match own.or(self.plan().and_then(|p| p.music.as_ref())) {
            Some(prompt) => Sound::Prompt(prompt.name.clone()),
            None => Sound::Builtin(Builtin::HoldMusic),
        };
        Play {
            id: c.music,
            sound,
            repeat: true,
            recorded: false,
        }
    }

    fn hold_music(c: &Centre) -> Play {
        Play {
            id: c.music,
            sound: Sound::Builtin(Builtin::HoldMusic),
            repeat: true,
            recorded: false,
        }
    }

    fn device_holds(&self, leg: LegSeq) -> bool {
        self.leg(leg).is_some_and(|l| l.state == LegState::Held)
    }

    fn is_muted(&self, c: &Centre, leg: LegSeq) -> bool {
        c.seats.iter().any(|s| s.leg == leg && s.muted && !s.over)
    }

    /// Who hears what in a call of a contact centre.
    pub(in crate::call) fn layout_centre(&self, c: &Centre) -> Vec<LegLayout> {
        let mut legs: Vec<LegLayout> = Vec::with_capacity(c.room.len() + 2);
        for leg in &c.room {
            legs.push(self.layout_member(c, *leg));
        }
        if let Some(k) = c.consult.filter(|k| k.answered) {
            let quiet = self.device_holds(k.third);
            let hears_host = !k.swapped && !quiet && !self.device_holds(k.host) && !self.is_muted(c, k.host);
            legs.push(LegLayout {
                leg: k.third,
                hears: if hears_host { vec![k.host] } else { Vec::new() },
                play: (!hears_host && k.swapped && !quiet).then(|| Self::hold_music(c)),
            });
        }
        // A caller that has not been answered hears its network's tone, or the early media of whom it called.
        if let Wait::Party { leg, .. } = c.wait
            && c.room.is_empty()
            && self.leg(leg).is_some_and(|l| l.early)
            && self.leg(LegSeq(0)).is_some_and(|l| l.is_live() && l.is_incoming())
        {
            legs.push(LegLayout {
                leg: LegSeq(0),
                hears: vec![leg],
                play: None,
            });
        }
        self.layout_supervisors(c, &mut legs);
        legs
    }

    fn layout_member(&self, c: &Centre, leg: LegSeq) -> LegLayout {
        let quiet = self.device_holds(leg);
        let silent = LegLayout {
            leg,
            hears: Vec::new(),
            play: None,
        };
        match c.wait {
            _ if quiet => return silent,
            Wait::Queue(_) => {
                return LegLayout {
                    play: Some(self.music_for_waiting(c)),
                    ..silent
                };
            }
            Wait::Party { leg: far, .. } => {
                let Some(l) = self.leg(far) else { return silent };
                let (hears, mut play) = waiting(&Ringback::Transparent, l.rang, l.early, far, c.ringback);
                // Nothing rings yet: who talked a moment ago hears music and not silence (I35).
                if hears.is_empty() && play.is_none() && c.talked {
                    play = Some(Self::hold_music(c));
                }
                if let Some(play) = &mut play {
                    play.recorded = false;
                }
                return LegLayout { leg, hears, play };
            }
            Wait::Parked => {
                return LegLayout {
                    play: Some(Self::hold_music(c)),
                    ..silent
                };
            }
            Wait::OwnDevice { .. } | Wait::Reservation(_) => return silent,
            Wait::Flow => {
                return LegLayout {
                    play: self.flow_play(),
                    ..silent
                };
            }
            Wait::No => {}
        }
        let others: Vec<LegSeq> = match c.consult {
            Some(k) if k.host == leg && !k.swapped => {
                return self.layout_host(c, k.third, leg);
            }
            // The host talks to the third: nobody of the room hears anybody.
            Some(k) if !k.swapped => Vec::new(),
            _ => c.room.iter().copied().filter(|l| *l != leg).collect(),
        };
        let hears: Vec<LegSeq> = match c.hold {
            Some(_) => Vec::new(),
            None => others
                .into_iter()
                .filter(|l| !self.device_holds(*l) && !self.is_muted(c, *l))
                .collect(),
        };
        let alone = c.room.iter().all(|l| *l == leg || self.device_holds(*l));
        let waits = match (c.hold, c.consult) {
            (Some(host), _) => host != leg,
            (None, Some(k)) => !k.swapped,
            (None, None) => alone,
        };
        LegLayout {
            leg,
            play: waits.then(|| Self::hold_music(c)),
            hears,
        }
    }

    /// The consulting agent: hears the third, or how it is called.
    fn layout_host(&self, c: &Centre, third: LegSeq, leg: LegSeq) -> LegLayout {
        let far = self.leg(third);
        let answered = far.is_some_and(|l| l.answered);
        let (hears, play) = if answered {
            let heard = !self.device_holds(third) && !self.is_muted(c, third);
            (if heard { vec![third] } else { Vec::new() }, None)
        } else {
            let (rang, early) = far.map_or((false, false), |l| (l.rang, l.early));
            let (hears, mut play) = waiting(&Ringback::Transparent, rang, early, third, c.ringback);
            if let Some(play) = &mut play {
                play.recorded = false;
            }
            (hears, play)
        };
        LegLayout { leg, hears, play }
    }

    /// A supervisor hears its agent and whoever that agent hears; a whisper reaches the agent only (I14).
    fn layout_supervisors(&self, c: &Centre, legs: &mut Vec<LegLayout>) {
        let watching: Vec<(LegSeq, LegSeq, bool)> = c
            .seats
            .iter()
            .filter(|s| s.accepted && !s.over && self.leg(s.leg).is_some_and(Leg::is_live))
            .filter_map(|s| s.supervision.map(|v| (s.leg, v.of, v.whisper && !s.muted)))
            .collect();
        for (leg, of, whisper) in watching {
            let Some(watched) = legs.iter().find(|l| l.leg == of) else {
                continue;
            };
            let mut hears = vec![of];
            hears.extend(watched.hears.iter().copied().filter(|l| *l != leg));
            if whisper && let Some(agent) = legs.iter_mut().find(|l| l.leg == of) {
                agent.hears.push(leg);
            }
            legs.push(LegLayout { leg, hears, play: None });
        }
    }

    /// Whose side the recording has on the left: the customer's while it is there.
    pub(in crate::call) fn recorded_leg(&self, c: &Centre) -> LegSeq {
        let outside = c.room.iter().find(|l| !self.is_agent(**l));
        outside.or(c.room.first()).copied().unwrap_or(self.caller)
    }

    /// The leg that another one talks to, or is called for.
    pub(in crate::call) fn centre_peer(&self, c: &Centre, leg: LegSeq) -> Option<LegSeq> {
        let live = |l: &LegSeq| *l != leg && self.leg(*l).is_some_and(Leg::is_live);
        if let Some(k) = c.consult {
            if k.third == leg {
                return Some(k.host).filter(live);
            }
            if k.host == leg && !k.swapped {
                return Some(k.third).filter(live);
            }
        }
        if let Some(v) = self.seat_of(leg).and_then(|s| s.supervision) {
            return Some(v.of).filter(live);
        }
        if let Wait::Party { leg: far, .. } = c.wait
            && far != leg
        {
            return Some(far).filter(live);
        }
        let first = LegSeq(0);
        c.room
            .iter()
            .copied()
            .find(|l| live(l))
            .or(Some(first).filter(|l| live(l) && !c.seats.iter().any(|s| s.leg == leg && s.kind == Part::Monitor)))
    }
}
