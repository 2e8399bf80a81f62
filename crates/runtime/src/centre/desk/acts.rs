//! What agents do with their calls: each wish is judged, answered, and put to the call that it is about.

use super::*;

/// What came of an agent's wish that was not refused.
enum Begun {
    /// A call was begun.
    Placed(oneshot::Receiver<Result<ConversationId, crate::calls::CallError>>),
    /// Its call is asked; who was reserved for that.
    Asked {
        conversation: ConversationId,
        command: Box<CentreCommand>,
        reserved: Option<(Ticket, Part)>,
    },
}

impl Desk {
    pub(super) fn act(&mut self, agent: AgentId, action: Action, reply: Reply<Option<ConversationId>>) {
        match self.try_act(agent, action) {
            Err(error) => drop(reply.send(Err(error))),
            Ok(Begun::Placed(answer)) => {
                self.switch.runtime().spawn(async move {
                    let answer = match answer.await {
                        Ok(Ok(id)) => Ok(Some(id)),
                        Ok(Err(error)) => Err(CentreError::Call(error)),
                        Err(_) => Err(CentreError::Overloaded),
                    };
                    let _ = reply.send(answer);
                });
            }
            Ok(Begun::Asked {
                conversation,
                command,
                reserved,
            }) => {
                let (tell, answer) = oneshot::channel();
                let command = Command::Centre(command);
                let mail = Mail::Command(Box::new((command, None)), tell);
                let posted = self.switch.conversations.post(conversation, mail);
                let own = self.own.clone();
                self.switch.runtime().spawn(async move {
                    let answer = match posted {
                        Ok(()) => answer.await.unwrap_or(Err(crate::calls::CallError::NotFound)),
                        Err(_) => Err(crate::calls::CallError::NotFound),
                    };
                    // Whoever was reserved for a command that the call refuses is free again.
                    if let (Err(_), Some((ticket, part))) = (&answer, reserved) {
                        let fact = if part == Part::Monitor {
                            Fact::Ended
                        } else {
                            Fact::CallerGone
                        };
                        let letter = Letter::Call(conversation, ToCentre::Fact(ticket, fact));
                        let _ = own.send(letter).await;
                    }
                    let _ = reply.send(answer.map(|_| Some(conversation)).map_err(CentreError::Call));
                });
            }
        }
    }

    fn try_act(&mut self, agent: AgentId, action: Action) -> Result<Begun, CentreError> {
        let action = match action {
            Action::In(call, _) if self.acd.engaged(agent).is_none_or(|e| e.2 != call) => {
                return Err(CentreError::OtherCall);
            }
            Action::In(_, action) => *action,
            action => action,
        };
        let verb = verb_of(&action);
        let allowed = self.acd.check(agent, verb);
        allowed.map_err(|refusal| refusal.map_or(CentreError::NotFound, CentreError::Refused))?;
        let to = match action {
            Action::Dial(to) => return self.dial(agent, to, String::new()),
            Action::DialWith(to, data) => return self.dial(agent, to, data),
            Action::Monitor { agent: of, whisper } => return self.monitor(agent, of, whisper),
            Action::PickUp(conversation) => return self.pick_up(agent, conversation),
            Action::Transfer(ref to) | Action::Consult(ref to) => Some(to.clone()),
            _ => None,
        };
        let (ticket, _, conversation) = self.acd.engaged(agent).ok_or(CentreError::NotFound)?;
        let part = if matches!(action, Action::Consult(_)) {
            Part::Consult
        } else {
            Part::Direct
        };
        let (whom, reserved) = match to {
            None => (None, None),
            Some(to) => {
                let whom = self.whom(agent, to, part, conversation)?;
                let reserved = match &whom {
                    Whom::Agent(plan, _) => Some((plan.ticket, plan.part)),
                    _ => None,
                };
                (Some(whom), reserved)
            }
        };
        let command = match (action, whom) {
            (Action::HangUp, _) => CentreCommand::HangUp(ticket),
            (Action::Hold, _) => CentreCommand::Hold(ticket),
            (Action::Park, _) => CentreCommand::Park(ticket),
            (Action::Retrieve, _) => CentreCommand::Retrieve(ticket),
            (Action::Transfer(_), Some(whom)) => CentreCommand::Transfer(ticket, whom),
            (Action::Consult(_), Some(whom)) => CentreCommand::Consult(ticket, whom),
            (Action::Complete, _) => CentreCommand::Complete(ticket),
            (Action::Swap, _) => CentreCommand::Swap(ticket),
            (Action::Merge, _) => CentreCommand::Merge(ticket),
            (Action::Mute(on), _) => CentreCommand::Mute(ticket, on),
            (Action::Whisper(on), _) => CentreCommand::Whisper(ticket, on),
            (Action::Barge, _) => CentreCommand::Barge(ticket),
            (Action::TakeOver, _) => CentreCommand::TakeOver(ticket),
            _ => return Err(CentreError::NotFound),
        };
        if let CentreCommand::Mute(_, on) = command {
            let out = self
                .acd
                .handle(acd::Input::Agent(agent, agent::Input::Muted(on)), self.clock.now());
            self.carry_out(out.unwrap_or_default());
        }
        Ok(Begun::Asked {
            conversation,
            command: Box::new(command),
            reserved,
        })
    }

    fn whom(&mut self, agent: AgentId, to: Dialled, part: Part, call: ConversationId) -> Result<Whom, CentreError> {
        match to {
            Dialled::Number(text) => self.party(agent, &text, None, call).map(Whom::Party),
            Dialled::Showing(text, shown) => self.party(agent, &text, Some(shown), call).map(Whom::Party),
            Dialled::Agent(other) => {
                let fallback = self.queue_of(other);
                self.begin(other, part, call).map(|plan| Whom::Agent(plan, fallback))
            }
            Dialled::Queue(queue) if self.acd.queue(queue).is_some() => Ok(Whom::Queue(queue)),
            Dialled::Queue(_) => Err(CentreError::NotFound),
        }
    }

    /// The queue of an agent's first group, for calls that it does not answer.
    fn queue_of(&self, agent: AgentId) -> Option<QueueId> {
        let config = self.acd.config(agent)?;
        let serves = |q: &&strowger_core::centre::resource::Queue| config.level(q.group).is_some();
        self.setup.queues.iter().find(serves).map(|q| q.id)
    }

    /// A party outside, with the number that it is shown.
    fn party(
        &self,
        agent: AgentId,
        text: &str,
        named: Option<Number>,
        conversation: ConversationId,
    ) -> Result<PartyPlan, CentreError> {
        let number = Number::parse(text, CHINA).map_err(|_| CentreError::Number("this"))?;
        let config = self.switch.store().snapshot();
        let permitted = self.switch.permitted(&config, self.tenant, &number);
        permitted.map_err(|_| CentreError::Forbidden)?;
        let target = Target::Number(number.clone());
        self.switch.may_spend(self.tenant, None, &[&target])?;
        let own = self.acd.config(agent).ok_or(CentreError::NotFound)?;
        let groups = self.acd.agent(agent).map(|m| m.groups()).unwrap_or_default();
        let shown = self
            .switch
            .display_of_agent(own, groups, named, &number, conversation)?;
        Ok(PartyPlan {
            target,
            text: text.to_owned(),
            cli: shown.map(|n| n.as_str().to_owned()),
        })
    }

    fn dial(&mut self, agent: AgentId, to: Dialled, data: String) -> Result<Begun, CentreError> {
        let id = self.switch.mint_conversation();
        let begun = self.dial_as(id, agent, to, data);
        if begun.is_err() {
            self.switch.displays.take_back(self.tenant, id);
        }
        begun
    }

    fn dial_as(&mut self, id: ConversationId, agent: AgentId, to: Dialled, data: String) -> Result<Begun, CentreError> {
        let config = self.acd.config(agent).ok_or(CentreError::NotFound)?.clone();
        self.switch.room()?;
        let (to, text, kind) = match to {
            Dialled::Agent(other) => {
                let called = self.acd.config(other).ok_or(CentreError::NotFound)?;
                (Whom::Colleague(other), name_of(called), Kind::Internal)
            }
            Dialled::Number(text) => (Whom::Party(self.party(agent, &text, None, id)?), text, Kind::Outbound),
            Dialled::Showing(text, shown) => (
                Whom::Party(self.party(agent, &text, Some(shown), id)?),
                text,
                Kind::Outbound,
            ),
            Dialled::Queue(queue) => {
                let name = self.acd.queue(queue).ok_or(CentreError::NotFound)?.name.clone();
                (Whom::Queue(queue), name, Kind::Internal)
            }
        };
        let places = self.switch.claim_places(self.tenant, config.application, None)?;
        let own = self.begin(agent, Part::Own, id)?;
        let from = match &to {
            Whom::Party(party) => party.cli.clone().unwrap_or_default(),
            _ => name_of(&config),
        };
        let mut head = self.head(config.application, kind, from.clone(), text.clone());
        head.user_data = data;
        let plan = CentrePlan {
            entry: Entry::Dial { own, to },
            from,
            to: text,
            settings: self.settings(config.application),
            music: None,
            record_wait: self.record_wait(config.application),
            routed: None,
            survey: None,
        };
        let clock = Clock::start();
        let (owner, turn) = Owner::centre(id, head, plan, None, &*self.switch, clock.now())?;
        Ok(Begun::Placed(self.switch.spawn(
            owner,
            turn,
            clock,
            places,
            Conditions::default(),
            None,
        )))
    }

    pub(super) fn head(&self, application: ApplicationId, kind: Kind, ani: String, dnis: String) -> Created {
        let config = self.switch.store().snapshot();
        let app = config.application(application);
        Created {
            tenant: self.tenant,
            application,
            account: None,
            kind,
            ani,
            dnis,
            user_data: String::new(),
            max_duration: None,
            record: RecordMode::None,
            subscriptions: app.map(|a| self.switch.subscriptions(a)).unwrap_or_default(),
        }
    }

    pub(super) fn record_wait(&self, application: ApplicationId) -> u32 {
        let config = self.switch.store().snapshot();
        config.application(application).map_or(60, |a| a.settings.record_wait)
    }

    /// A call that runs is the tenant's, or is not found; whether it is parked, it knows by itself.
    fn pick_up(&mut self, agent: AgentId, conversation: ConversationId) -> Result<Begun, CentreError> {
        let plan = self.begin(agent, Part::Direct, conversation)?;
        let reserved = Some((plan.ticket, Part::Direct));
        Ok(Begun::Asked {
            conversation,
            command: Box::new(CentreCommand::PickUp(plan)),
            reserved,
        })
    }

    fn monitor(&mut self, agent: AgentId, of: AgentId, whisper: bool) -> Result<Begun, CentreError> {
        let (watched, _, conversation) = self.acd.engaged(of).ok_or(CentreError::NotFound)?;
        if of == agent {
            return Err(CentreError::Refused(Refusal::NotOfferable));
        }
        let plan = self.begin(agent, Part::Monitor, conversation)?;
        let reserved = Some((plan.ticket, Part::Monitor));
        Ok(Begun::Asked {
            conversation,
            command: Box::new(CentreCommand::Monitor {
                plan,
                of: watched,
                whisper,
            }),
            reserved,
        })
    }
}

fn verb_of(action: &Action) -> Verb {
    match action {
        Action::In(_, action) => verb_of(action),
        Action::Dial(_) | Action::DialWith(..) => Verb::Dial,
        Action::HangUp => Verb::HangUp,
        Action::Hold => Verb::Hold,
        Action::Retrieve => Verb::Retrieve,
        Action::Transfer(_) | Action::Park => Verb::Transfer,
        Action::PickUp(_) => Verb::Dial,
        Action::Consult(_) => Verb::Consult,
        Action::Complete => Verb::Complete,
        Action::Swap => Verb::Swap,
        Action::Merge => Verb::Merge,
        Action::Mute(_) => Verb::Mute,
        Action::Monitor { .. } => Verb::Monitor,
        // A supervisor that only listens may change how, whenever it may join.
        Action::Whisper(_) | Action::Barge => Verb::Barge,
        Action::TakeOver => Verb::TakeOver,
    }
}
