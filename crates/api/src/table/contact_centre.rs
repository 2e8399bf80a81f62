//! The resources of contact centres, what agents do, and a tenant's configuration as one file.

use crate::centre::{self, agents, callbacks, chats, duty, groups, party, queues};
use crate::configuration;
use crate::error::Code;
use crate::op::{Needs, Op};
use crate::reports;
use crate::request::OfTenant;
use strowger_store::identity::Scope::{CallsRead, CentreSupervise, ChatsWrite, ResourcesRead, ResourcesWrite};

/// What is said of every report.
const ABOUT: &str = "Made from the journal when it is asked for; docs/reports.md has every formula.";

pub(super) fn of_centres() -> Vec<Op> {
    vec![
        Op::get("/agents", "agents.list", agents::list)
            .says("List the agents", "")
            .scope(ResourcesRead)
            .query::<centre::OfApplication>()
            .lists::<agents::View>()
            .may(&[Code::NotFound]),
        Op::post("/agents", "agents.create", agents::create)
            .says("Create an agent", "")
            .scope(ResourcesWrite)
            .body::<agents::Create>()
            .gives::<agents::View>(201)
            .tagged()
            .once(),
        Op::get("/agents/{id}", "agents.show", agents::show)
            .says("Show an agent", "By id or login.")
            .scope(ResourcesRead)
            .gives::<agents::View>(200)
            .tagged(),
        Op::patch("/agents/{id}", "agents.change", agents::change)
            .says("Change an agent", "")
            .scope(ResourcesWrite)
            .body::<agents::Change>()
            .gives::<agents::View>(200)
            .tagged(),
        Op::delete("/agents/{id}", "agents.remove", agents::remove)
            .says("Remove an agent", "")
            .scope(ResourcesWrite)
            .tagged(),
        Op::get("/agents/{id}/duty", "agents.duty", duty::show)
            .says(
                "What an agent is doing",
                "With what would be accepted of it now. By id or login; agents see themselves, supervisors everybody.",
            )
            .needs(Needs::Anyone)
            .gives::<duty::View>(200)
            .may(&[Code::NotFound]),
        Op::get("/agents/{id}/call", "agents.call", party::show)
            .says(
                "Who is at the other end of an agent's call",
                "With masking the number is hidden, and a token is given that `dial` takes in its place. By id or login.",
            )
            .needs(Needs::Anyone)
            .gives::<party::View>(200)
            .may(&[Code::NotFound]),
        Op::post("/agents/{id}/duty", "agents.duty.begin", duty::sign_in)
            .says("Sign an agent in", "For the agent that is bound to the user, or by a supervisor.")
            .needs(Needs::Anyone)
            .body::<duty::SignIn>()
            .gives::<duty::View>(200)
            .may(&[Code::NotFound, Code::AgentState]),
        Op::patch("/agents/{id}/duty", "agents.duty.change", duty::choose)
            .says(
                "Choose what an agent does outside calls",
                "In a call it is remembered, if the application lets it, and begins after the call.",
            )
            .needs(Needs::Anyone)
            .body::<duty::Choose>()
            .gives::<duty::View>(200)
            .may(&[Code::NotFound, Code::AgentState]),
        Op::delete("/agents/{id}/duty", "agents.duty.end", duty::sign_out)
            .says("Sign an agent out", "")
            .needs(Needs::Anyone)
            .gives::<duty::View>(200)
            .may(&[Code::NotFound, Code::AgentState]),
        Op::put("/agents/{id}/duty", "agents.duty.force", duty::force)
            .says(
                "Put an agent into a state, or reset it",
                "Without a state its calls end and it is signed out: for an agent that is shown in a call which is over.",
            )
            .scope(CentreSupervise)
            .body::<duty::Force>()
            .gives::<duty::View>(200)
            .may(&[Code::NotFound, Code::AgentState]),
        Op::post("/agents/{id}/actions", "agents.act", duty::act)
            .says(
                "Do something with an agent's call",
                "Dial, hang up, hold, retrieve, transfer, consult, complete, swap, merge, mute, monitor, barge, take over.",
            )
            .needs(Needs::Anyone)
            .body::<duty::Act>()
            .gives::<duty::Acted>(200)
            .once()
            .may(&[
                Code::NotFound,
                Code::AgentState,
                Code::NumberDenied,
                Code::CallEnded,
                Code::CallState,
                Code::CallLimit,
                Code::SpendLimit,
                Code::NoRoute,
                Code::TrunkDown,
            ]),
        Op::get("/boards/agents", "boards.agents", duty::agents_now)
            .says("All agents as they are now", "")
            .scope(CallsRead)
            .query::<centre::OfApplication>()
            .lists::<duty::View>()
            .may(&[Code::NotFound]),
        Op::get("/boards/queues", "boards.queues", duty::queues_now)
            .says("All queues as they are now", "")
            .scope(CallsRead)
            .query::<centre::OfApplication>()
            .lists::<duty::Board>()
            .may(&[Code::NotFound]),
        Op::get("/calls/{id}/routing", "calls.routing", duty::explain)
            .says(
                "Why a waiting call is offered to whom",
                "For each agent of its group: why it would be chosen now, or why not.",
            )
            .scope(CallsRead)
            .gives::<duty::Decision>(200)
            .may(&[Code::NotFound]),
        Op::get("/callbacks", "callbacks.list", callbacks::list)
            .says(
                "Customers that are to be called back, or were, the newest first",
                "Why one that waits would be offered to whom: its id with `GET /calls/{id}/routing`.",
            )
            .scope(CallsRead)
            .query::<callbacks::Pages>()
            .lists::<callbacks::View>(),
        Op::get("/callbacks/{id}", "callbacks.show", callbacks::show)
            .says("A request to be called back", "")
            .scope(CallsRead)
            .gives::<callbacks::View>(200)
            .may(&[Code::NotFound]),
        Op::delete("/callbacks/{id}", "callbacks.cancel", callbacks::cancel)
            .says(
                "Take a request back",
                "While it waits, or rings at an agent; when its customer is being called, end that call.",
            )
            .scope(CentreSupervise)
            .gives::<callbacks::View>(200)
            .may(&[Code::NotFound, Code::CallState]),
        Op::get("/me/agent", "me.agent", agents::own)
            .says("The agent that the user is bound to", "")
            .needs(Needs::User)
            .gives::<agents::View>(200)
            .tagged()
            .may(&[Code::NotFound]),
        Op::get("/groups", "groups.list", groups::list)
            .says("List the skill groups", "")
            .scope(ResourcesRead)
            .query::<centre::OfApplication>()
            .lists::<groups::View>()
            .may(&[Code::NotFound]),
        Op::post("/groups", "groups.create", groups::create)
            .says("Create a skill group", "")
            .scope(ResourcesWrite)
            .body::<groups::Create>()
            .gives::<groups::View>(201)
            .tagged()
            .once(),
        Op::get("/groups/{id}", "groups.show", groups::show)
            .says("Show a skill group", "By id or name.")
            .scope(ResourcesRead)
            .gives::<groups::View>(200)
            .tagged(),
        Op::patch("/groups/{id}", "groups.change", groups::change)
            .says("Change a skill group", "")
            .scope(ResourcesWrite)
            .body::<groups::Change>()
            .gives::<groups::View>(200)
            .tagged(),
        Op::delete("/groups/{id}", "groups.remove", groups::remove)
            .says("Remove a skill group that has no members and no queue", "")
            .scope(ResourcesWrite)
            .tagged(),
        Op::get("/groups/{id}/members", "groups.members", agents::members)
            .says("The agents of a skill group, with their levels", "")
            .scope(ResourcesRead)
            .lists::<agents::Member>(),
        Op::put("/groups/{id}/members/{agent}", "groups.members.set", agents::set_member)
            .says("Make an agent a member, or give it another level", "")
            .scope(ResourcesWrite)
            .body::<agents::MemberSet>()
            .gives::<agents::View>(200),
        Op::delete(
            "/groups/{id}/members/{agent}",
            "groups.members.remove",
            agents::remove_member,
        )
        .says("Take an agent out of a skill group", "")
        .scope(ResourcesWrite),
        Op::get("/queues", "queues.list", queues::list)
            .says("List the queues", "")
            .scope(ResourcesRead)
            .query::<centre::OfApplication>()
            .lists::<queues::View>()
            .may(&[Code::NotFound]),
        Op::post("/queues", "queues.create", queues::create)
            .says("Create a queue", "")
            .scope(ResourcesWrite)
            .body::<queues::Create>()
            .gives::<queues::View>(201)
            .tagged()
            .once(),
        Op::get("/queues/{id}", "queues.show", queues::show)
            .says("Show a queue", "By id or name.")
            .scope(ResourcesRead)
            .gives::<queues::View>(200)
            .tagged(),
        Op::patch("/queues/{id}", "queues.change", queues::change)
            .says("Change a queue", "")
            .scope(ResourcesWrite)
            .body::<queues::Change>()
            .gives::<queues::View>(200)
            .tagged(),
        Op::delete("/queues/{id}", "queues.remove", queues::remove)
            .says("Remove a queue", "")
            .scope(ResourcesWrite)
            .tagged(),
        Op::get("/applications/{id}/centre", "centre.show", centre::settings::show)
            .says(
                "The settings of an application's contact centre, and its break reasons",
                "",
            )
            .scope(ResourcesRead)
            .gives::<centre::settings::View>(200)
            .tagged(),
        Op::patch("/applications/{id}/centre", "centre.change", centre::settings::change)
            .says("Change them", "")
            .scope(ResourcesWrite)
            .body::<centre::settings::Change>()
            .gives::<centre::settings::View>(200)
            .tagged(),
        Op::delete("/applications/{id}/centre", "centre.reset", centre::settings::reset)
            .says("Go back to the defaults", "")
            .scope(ResourcesWrite)
            .tagged(),
    ]
}

pub(super) fn of_reports() -> Vec<Op> {
    vec![
        Op::get("/reports/queues", "reports.queues", reports::queues)
            .says("What queues did, by interval", ABOUT)
            .scope(CallsRead)
            .query::<reports::Asked>()
            .gives::<reports::Queues>(200)
            .may(&[Code::NotFound]),
        Op::get("/reports/queues/csv", "reports.queues.csv", reports::queues_csv)
            .says("The same as a table", "")
            .scope(CallsRead)
            .query::<reports::Asked>()
            .table()
            .may(&[Code::NotFound]),
        Op::get("/reports/hours", "reports.hours", reports::hours)
            .says("What all queues together did, by interval", ABOUT)
            .scope(CallsRead)
            .query::<reports::Asked>()
            .gives::<reports::Queues>(200)
            .may(&[Code::NotFound]),
        Op::get("/reports/hours/csv", "reports.hours.csv", reports::hours_csv)
            .says("The same as a table", "")
            .scope(CallsRead)
            .query::<reports::Asked>()
            .table()
            .may(&[Code::NotFound]),
        Op::get("/reports/agents", "reports.agents", reports::agents)
            .says("What agents did, by interval", ABOUT)
            .scope(CallsRead)
            .query::<reports::Asked>()
            .gives::<reports::Agents>(200)
            .may(&[Code::NotFound]),
        Op::get("/reports/agents/csv", "reports.agents.csv", reports::agents_csv)
            .says("The same as a table", "")
            .scope(CallsRead)
            .query::<reports::Asked>()
            .table()
            .may(&[Code::NotFound]),
        Op::get("/reports/numbers", "reports.numbers", reports::numbers)
            .says("What the tenant's numbers were called, or shown, by interval", ABOUT)
            .scope(CallsRead)
            .query::<reports::Asked>()
            .gives::<reports::Numbers>(200)
            .may(&[Code::NotFound]),
        Op::get("/reports/numbers/csv", "reports.numbers.csv", reports::numbers_csv)
            .says("The same as a table", "")
            .scope(CallsRead)
            .query::<reports::Asked>()
            .table()
            .may(&[Code::NotFound]),
    ]
}

pub(super) fn of_chats() -> Vec<Op> {
    vec![
        Op::post("/chats", "chats.open", chats::open)
            .says(
                "Open a chat for a customer",
                "It waits in the queue, and is offered to the agents that serve it.",
            )
            .scope(ChatsWrite)
            .body::<chats::Open>()
            .gives::<chats::View>(201)
            .once()
            .may(&[Code::NotFound, Code::ChatState, Code::CallLimit]),
        Op::get("/chats", "chats.list", chats::list)
            .says("Chats, the newest first", "Open ones and those that are over.")
            .scope(CallsRead)
            .query::<chats::Pages>()
            .lists::<chats::View>(),
        Op::get("/chats/{id}", "chats.show", chats::show)
            .says(
                "A chat as it is now, or was at its end",
                "For the customer's side (`chats:write`), who sees calls, supervisors, and agents that it was offered to.",
            )
            .needs(Needs::Anyone)
            .gives::<chats::View>(200)
            .may(&[Code::NotFound]),
        Op::get("/chats/{id}/messages", "chats.messages", chats::lines)
            .says(
                "What happened in a chat, in order",
                "Messages, and all that became of it. Ask again with the newest `seq` as `after`.",
            )
            .needs(Needs::Anyone)
            .query::<chats::Lines>()
            .lists::<chats::Line>()
            .may(&[Code::NotFound]),
        Op::post("/chats/{id}/messages", "chats.say", chats::say)
            .says(
                "Write in a chat",
                "As an agent, or for the customer. Answered when it is written; with a `key` it may be sent again.",
            )
            .needs(Needs::Anyone)
            .unaudited()
            .body::<chats::Say>()
            .gives::<chats::Said>(200)
            .may(&[Code::NotFound, Code::ChatState]),
        Op::post("/chats/{id}/actions", "chats.act", chats::act)
            .says("Do something with a chat", "Accept, refuse, transfer, end; away and back.")
            .needs(Needs::Anyone)
            .body::<chats::Act>()
            .gives::<chats::View>(200)
            .may(&[Code::NotFound, Code::ChatState]),
        Op::put("/agents/{id}/chats", "agents.chats", chats::takes)
            .says("Offer an agent chats, or none", "After three that it missed in a row it is offered none.")
            .needs(Needs::Anyone)
            .body::<chats::Takes>()
            .gives::<duty::View>(200)
            .may(&[Code::NotFound, Code::AgentState]),
    ]
}

pub(super) fn configuration() -> Vec<Op> {
    vec![
        Op::get("/configuration", "configuration.export", configuration::export)
            .says(
                "The configuration of a tenant as one file",
                "Applications, devices, skill groups, queues, agents, centres and routes, by name; no secrets.",
            )
            .scope(ResourcesRead)
            .query::<OfTenant>()
            .gives::<configuration::File>(200),
        Op::post("/configuration/import", "configuration.import", configuration::import)
            .says(
                "Say what a file would change, or change it",
                "All of it is applied, or nothing. What the file does not name stays, unless `prune` is true.",
            )
            .scope(ResourcesWrite)
            .body::<configuration::Import>()
            .gives::<configuration::Report>(200)
            .limit(8 << 20)
            .may(&[Code::Exists, Code::InUse]),
        Op::post(
            "/configuration/rollback",
            "configuration.rollback",
            configuration::rollback,
        )
        .says("Put back what was there before the last import that was applied", "")
        .scope(ResourcesWrite)
        .body::<configuration::Rollback>()
        .gives::<configuration::Report>(200)
        .may(&[Code::Exists, Code::InUse]),
    ]
}
