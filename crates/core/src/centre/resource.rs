//! Resources of a contact centre: agents, skill groups, queues, and the named settings of an application.
//!
//! Limits and defaults are those of domain-model §4, §8 and §10; each setting that a dialect wants otherwise is seeded from
//! the application's profile.

use crate::id::{AgentId, ApplicationId, DeviceId, GroupId, QueueId, TenantId, UserId};
use crate::number::Number;

/// The most skill groups that one sign-in may name (domain-model 4, M26).
pub const MAX_GROUPS: usize = 20;
/// The highest priority of a call in a queue; 0 is the lowest.
pub const MAX_PRIORITY: u8 = 9;
/// The highest skill level; 1 is the lowest.
pub const MAX_LEVEL: u8 = 10;

/// What an agent may do beyond taking calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum AgentRole {
    /// Takes and places calls.
    #[default]
    Agent,
    /// Supervises the agents of its groups.
    Leader,
    /// Supervises everybody of the application.
    Admin,
}

impl AgentRole {
    /// All of them.
    pub const ALL: [AgentRole; 3] = [AgentRole::Agent, AgentRole::Leader, AgentRole::Admin];

    /// As the API and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            AgentRole::Agent => "agent",
            AgentRole::Leader => "leader",
            AgentRole::Admin => "admin",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<AgentRole> {
        AgentRole::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// Membership of a skill group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skill {
    /// The group.
    pub group: GroupId,
    /// From 1 to [`MAX_LEVEL`], higher is better.
    pub level: u8,
}

/// A person, or a post, that takes calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Id.
    pub id: AgentId,
    /// Owner.
    pub tenant: TenantId,
    /// The application that it works for.
    pub application: ApplicationId,
    /// The person, who logs in as a user of the tenant; `None` for a post that several people share.
    pub user: Option<UserId>,
    /// Name that it signs in with; no other agent of the application has it.
    pub login: String,
    /// Name, for people.
    pub name: String,
    /// Its internal number, 2 to 8 digits; no other agent of the application has it.
    pub extension: String,
    /// What it may do.
    pub role: AgentRole,
    /// Its skill groups.
    pub skills: Vec<Skill>,
    /// Its telephones and browsers, as devices of the tenant: all of them ring, the first that answers wins.
    pub devices: Vec<DeviceId>,
    /// The telephone that rings while it works without a client.
    pub mobile: Option<Number>,
    /// Numbers that its own calls may show.
    pub numbers: Vec<Number>,
    /// Wrap-up in place of the application's.
    pub wrap_up: Option<WrapUp>,
    /// Chats at once, in place of the application's.
    pub chat_capacity: Option<u8>,
    /// Out of service by hand.
    pub disabled: bool,
}

impl Agent {
    /// An agent without skills and devices.
    pub fn new(id: AgentId, tenant: TenantId, application: ApplicationId, login: impl Into<String>) -> Agent {
        let login = login.into();
        Agent {
            id,
            tenant,
            application,
            user: None,
            name: login.clone(),
            login,
            extension: String::new(),
            role: AgentRole::default(),
            skills: Vec::new(),
            devices: Vec::new(),
            mobile: None,
            numbers: Vec::new(),
            wrap_up: None,
            chat_capacity: None,
            disabled: false,
        }
    }

    /// Its level in a group.
    pub fn level(&self, group: GroupId) -> Option<u8> {
        self.skills.iter().find(|s| s.group == group).map(|s| s.level)
    }
}

/// Agents with a common skill. Who belongs to it is said by each agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkillGroup {
    /// Id.
    pub id: GroupId,
    /// Owner.
    pub tenant: TenantId,
    /// The application that it belongs to.
    pub application: ApplicationId,
    /// Name, for people; no other group of the application has it.
    pub name: String,
    /// Numbers that calls of its agents may show.
    pub numbers: Vec<Number>,
}

/// Which of the free agents is offered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// The highest level, among equals the one that is idle for longest.
    #[default]
    MostSkilled,
    /// The one that is idle for longest, whatever its level.
    LongestIdle,
    /// The one whose last offer is longest ago.
    RoundRobin,
    /// The one that took the fewest calls since it signed in.
    FewestCalls,
    /// The first by extension.
    Sequential,
    /// All of them at once; the first that answers wins.
    RingAll,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 6] = [
        Strategy::MostSkilled,
        Strategy::LongestIdle,
        Strategy::RoundRobin,
        Strategy::FewestCalls,
        Strategy::Sequential,
        Strategy::RingAll,
    ];

    /// As the API and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::MostSkilled => "most-skilled",
            Strategy::LongestIdle => "longest-idle",
            Strategy::RoundRobin => "round-robin",
            Strategy::FewestCalls => "fewest-calls",
            Strategy::Sequential => "sequential",
            Strategy::RingAll => "ring-all",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<Strategy> {
        Strategy::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// Where a call goes that its queue does not keep.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Overflow {
    /// It ends: queue time-out or queue full.
    #[default]
    End,
    /// To another queue, with its enqueue time and priority.
    Queue(QueueId),
    /// To a number over the trunks.
    Number(Number),
}

/// Calls that wait for the agents of a skill group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Id.
    pub id: QueueId,
    /// Owner.
    pub tenant: TenantId,
    /// The application that its calls are accounted to.
    pub application: ApplicationId,
    /// Name, for people; no other queue of the application has it.
    pub name: String,
    /// Whose agents are offered its calls.
    pub group: GroupId,
    /// Which of them.
    pub strategy: Strategy,
    /// The agent that had this caller's last call comes first while it is free; seconds since that call, 0 switches it off.
    pub sticky_secs: u32,
    /// Seconds that an agent is rung; `None` for the application's.
    pub ring_secs: Option<u32>,
    /// Seconds that a call may wait; 0 is no limit.
    pub max_wait_secs: u32,
    /// Calls that may wait; 0 is no limit.
    pub max_length: u32,
    /// A call that finds nobody on duty overflows at once.
    pub overflow_unstaffed: bool,
    /// Where a call goes then.
    pub overflow: Overflow,
    /// Priority of its calls, 0 to 9, higher is sooner.
    pub priority: u8,
    /// Seconds of waiting that raise a call's priority by one; 0 never.
    pub ageing_secs: u32,
    /// Seconds of waiting that lower the level demanded by one.
    pub relax_secs: u32,
    /// Prompt that is played while a call waits; `None` for the hold music.
    pub music: Option<String>,
    /// Seconds between announcements of place and wait; 0 announces nothing.
    pub announce_secs: u32,
    /// Seconds of waiting after which a caller is offered that it be called back; 0 never. Needs the prompt.
    pub callback_secs: u32,
    /// Prompt that offers it: press 1 to be called back.
    pub callback_prompt: Option<String>,
    /// Seconds within which an answer counts for the service level.
    pub service_secs: u32,
    /// A caller that leaves earlier counts as a short abandon.
    pub short_secs: u32,
}

impl Queue {
    /// A queue with default settings.
    pub fn new(
        id: QueueId,
        tenant: TenantId,
        application: ApplicationId,
        name: impl Into<String>,
        group: GroupId,
    ) -> Queue {
        Queue {
            id,
            tenant,
            application,
            name: name.into(),
            group,
            strategy: Strategy::default(),
            sticky_secs: 0,
            ring_secs: None,
            max_wait_secs: 600,
            max_length: 0,
            overflow_unstaffed: false,
            overflow: Overflow::End,
            priority: 0,
            ageing_secs: 0,
            relax_secs: 20,
            music: None,
            announce_secs: 0,
            callback_secs: 0,
            callback_prompt: None,
            service_secs: 20,
            short_secs: 5,
        }
    }

    /// The priority of a call that a flow moves up or down by so much, within those that queues know; `None` if it does not.
    pub fn moved(&self, by: i16) -> Option<u8> {
        let moved = i16::from(self.priority)
            .saturating_add(by)
            .clamp(0, MAX_PRIORITY.into());
        (by != 0).then_some(moved.unsigned_abs() as u8)
    }

    /// Seconds after which its callers are offered that they be called back.
    pub fn callback_after(&self) -> Option<u32> {
        (self.callback_secs > 0 && self.callback_prompt.is_some()).then_some(self.callback_secs)
    }
}

/// After-call work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WrapUp {
    /// None.
    Off,
    /// For this many seconds.
    Seconds(u32),
    /// Until the agent says so.
    Manual,
}

/// What becomes of an agent who let an offer ring out (domain-model K6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoAnswer {
    /// On break, which the agent ends.
    Break,
    /// Ready, but excluded from this call for a while.
    Ready,
    /// Not ready, with the reason "no answer".
    NotReady,
}

impl NoAnswer {
    /// All of them.
    pub const ALL: [NoAnswer; 3] = [NoAnswer::Break, NoAnswer::Ready, NoAnswer::NotReady];

    /// As the API and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            NoAnswer::Break => "break",
            NoAnswer::Ready => "ready",
            NoAnswer::NotReady => "not-ready",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<NoAnswer> {
        NoAnswer::ALL.into_iter().find(|v| v.name() == name)
    }
}

/// Third party fails in a consultation (K53).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsultFailure {
    /// The first party is taken back at once.
    Retrieve,
    /// It stays on hold.
    StayHeld,
}

impl ConsultFailure {
    /// All of them.
    pub const ALL: [ConsultFailure; 2] = [ConsultFailure::Retrieve, ConsultFailure::StayHeld];

    /// As the API and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            ConsultFailure::Retrieve => "retrieve",
            ConsultFailure::StayHeld => "stay-held",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<ConsultFailure> {
        ConsultFailure::ALL.into_iter().find(|v| v.name() == name)
    }
}

/// The agent is lost in an inbound talk (K54).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgentLost {
    /// The customer goes to the front of the queue.
    RequeueFront,
    /// The call ends.
    End,
}

impl AgentLost {
    /// All of them.
    pub const ALL: [AgentLost; 2] = [AgentLost::RequeueFront, AgentLost::End];

    /// As the API and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            AgentLost::RequeueFront => "requeue-front",
            AgentLost::End => "end",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<AgentLost> {
        AgentLost::ALL.into_iter().find(|v| v.name() == name)
    }
}

/// An agent that is in a call signs in from another client (K45, K52).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecondSignIn {
    /// The newcomer is refused.
    Refuse,
    /// The newcomer takes the duty over; the call goes on.
    TakeOver,
    /// The call of the older client breaks.
    Break,
}

impl SecondSignIn {
    /// All of them.
    pub const ALL: [SecondSignIn; 3] = [SecondSignIn::Refuse, SecondSignIn::TakeOver, SecondSignIn::Break];

    /// As the API and the store write it.
    pub const fn name(self) -> &'static str {
        match self {
            SecondSignIn::Refuse => "refuse",
            SecondSignIn::TakeOver => "take-over",
            SecondSignIn::Break => "break",
        }
    }

    /// Of a name.
    pub fn of_name(name: &str) -> Option<SecondSignIn> {
        SecondSignIn::ALL.into_iter().find(|v| v.name() == name)
    }
}

/// Settings of an application's contact centre. Times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CentreSettings {
    /// An agent that signs in without saying how is ready at once.
    pub start_ready: bool,
    /// An agent is rung for so long.
    pub ring_secs: u32,
    /// A dialled party is rung for so long.
    pub dial_secs: u32,
    /// After an offer that rang out.
    pub no_answer: NoAnswer,
    /// After-call work.
    pub wrap_up: WrapUp,
    /// An outgoing call that nobody answered is followed by wrap-up too.
    pub wrap_up_unanswered: bool,
    /// A break or sign-out asked for in a call begins at its end and not after the wrap-up (K47).
    pub pending_skips_wrap_up: bool,
    /// After a call placed from a break the agent is on break again (K41).
    pub return_to_break: bool,
    /// A break asked for in a call is remembered; otherwise refused (K42).
    pub pending_break: bool,
    /// Third party fails in a consultation.
    pub consult_failure: ConsultFailure,
    /// Agent lost in an inbound talk.
    pub agent_lost: AgentLost,
    /// Sign-in from a second client in a call.
    pub second_sign_in: SecondSignIn,
    /// Client connection lost: this long until the duty ends (transition 37).
    pub grace_secs: u32,
    /// Device lost: this long until the duty ends (58).
    pub device_grace_secs: u32,
    /// A missed call is not offered again for so long (I36).
    pub exclusion_secs: u32,
    /// As above, for the only agent on duty.
    pub exclusion_alone_secs: u32,
    /// An agent's device may call, and be called, off duty (56, 64, 65).
    pub off_duty_calls: bool,
    /// Chats at once.
    pub chat_capacity: u8,
    /// New chats while the agent is in a call or wraps up (C2).
    pub chat_while_talking: bool,
    /// Calls while chats are open (C3).
    pub voice_during_chat: bool,
    /// There is a training state beside break (§4.4).
    pub training: bool,
    /// Agents may hang up incoming calls.
    pub hang_up_inbound: bool,
    /// Agents' clients and devices see customers' numbers masked (I21).
    pub mask_numbers: bool,
}

impl Default for CentreSettings {
    fn default() -> Self {
        CentreSettings {
            start_ready: true,
            ring_secs: 30,
            dial_secs: 60,
            no_answer: NoAnswer::Break,
            wrap_up: WrapUp::Seconds(15),
            wrap_up_unanswered: true,
            pending_skips_wrap_up: false,
            return_to_break: false,
            pending_break: true,
            consult_failure: ConsultFailure::Retrieve,
            agent_lost: AgentLost::RequeueFront,
            second_sign_in: SecondSignIn::TakeOver,
            grace_secs: 60,
            device_grace_secs: 60,
            exclusion_secs: 60,
            exclusion_alone_secs: 10,
            off_duty_calls: false,
            chat_capacity: 5,
            chat_while_talking: false,
            voice_during_chat: true,
            training: false,
            hang_up_inbound: true,
            mask_numbers: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flows may say -100 to 100, and no call gets a priority that no queue knows.
    #[test]
    fn a_flow_moves_a_call_within_the_priorities() {
        let mut queue = Queue::new(QueueId(1), TenantId(1), ApplicationId(1), "sales", GroupId(1));
        queue.priority = 4;
        let moved: Vec<Option<u8>> = [-100, -5, -1, 0, 1, 5, 100, i16::MAX, i16::MIN]
            .map(|by| queue.moved(by))
            .to_vec();
        let all = [
            Some(0),
            Some(0),
            Some(3),
            None,
            Some(5),
            Some(9),
            Some(9),
            Some(9),
            Some(0),
        ];
        assert_eq!(moved, all);
    }
}
