//! Every operation of the native API: path, who may use it, what it takes and what it answers.

use crate::centre::{self, agents, duty, groups, queues};
use crate::configuration;
use crate::error::Code;
use crate::events::socket;
use crate::guard::Face;
use crate::identity::{audit, keys, login, me, users};
use crate::op::{Needs, Op};
use crate::request::{Listing, Made, OfTenant, Queued};
use crate::{
    PROMPT_LIMIT, accounts, applications, backup, batches, calls, deliveries, devices, flows, ice_servers, numbers,
    operations, prompts, recordings, routes, speech, tenants, trunks,
};
use strowger_store::identity::Scope::{
    AuditRead, CallsRead, CallsWrite, CentreSupervise, DiagnosticsRead, IdentityRead, IdentityWrite, ResourcesRead,
    ResourcesWrite,
};

/// What a call to a store or to the runtime may be refused with.
const CALL: [Code; 2] = [Code::CallEnded, Code::CallState];

/// All of them. Those without a word on who may use them are the platform's.
pub(crate) fn operations() -> Vec<Op> {
    let mut all = identity();
    all.extend(of_tenants());
    all.extend(resources());
    all.extend(of_centres());
    all.extend(configuration());
    all.extend(sounds());
    all.extend(of_calls());
    all.extend(of_flows());
    all.extend(of_the_process());
    all
}

fn identity() -> Vec<Op> {
    vec![
        Op::post("/login", "login", login::create)
            .says(
                "Log in",
                "Five wrong tries in a row lock the name for a while, twenty the address.",
            )
            .needs(Needs::Nothing)
            .unaudited()
            .body::<login::Create>()
            .gives::<login::View>(200)
            .may(&[Code::Unauthorized, Code::SecondFactor, Code::Attempts]),
        Op::post("/login/refresh", "login.refresh", login::refresh)
            .says(
                "Exchange a refresh token for new tokens",
                "A refresh token is good once. A second use means that somebody has a copy, and ends the login.",
            )
            .needs(Needs::Nothing)
            .unaudited()
            .body::<login::Refresh>()
            .gives::<login::View>(200)
            .may(&[Code::RefreshToken]),
        Op::delete("/login", "login.end", login::end)
            .says(
                "Log out",
                "Access and refresh tokens of this login are refused from now on.",
            )
            .needs(Needs::User),
        Op::get("/me", "me.show", me::show)
            .says("Who asks, and what they may do", "")
            .needs(Needs::Anyone)
            .gives::<me::View>(200),
        Op::put("/me/password", "me.password", me::change_password)
            .says("Change the own password", "Ends all other logins of the user.")
            .needs(Needs::User)
            .body::<me::PasswordChange>()
            .nothing()
            .may(&[Code::Unauthorized, Code::Attempts]),
        Op::post("/me/second-factor", "me.second-factor.begin", me::begin_factor)
            .says(
                "Begin a second factor",
                "Answers a secret for an authenticator. It is asked for once a code of it was confirmed.",
            )
            .needs(Needs::User)
            .body::<me::PasswordAgain>()
            .gives::<me::Begun>(200)
            .may(&[Code::Unauthorized, Code::Attempts, Code::Exists]),
        Op::put("/me/second-factor", "me.second-factor.confirm", me::confirm_factor)
            .says("Confirm the second factor with a code", "Answers recovery codes, once.")
            .needs(Needs::User)
            .body::<me::FactorCode>()
            .gives::<me::Recovery>(200)
            .may(&[Code::NotFound]),
        Op::post(
            "/me/second-factor/removal",
            "me.second-factor.remove",
            me::remove_factor,
        )
        .says("Take the own second factor away", "")
        .needs(Needs::User)
        .body::<me::PasswordAgain>()
        .nothing()
        .may(&[Code::Unauthorized, Code::Attempts, Code::NotFound]),
        Op::get("/me/logins", "me.logins", me::logins)
            .says("The own logins", "")
            .needs(Needs::User)
            .lists::<users::LoginView>(),
        Op::delete("/me/logins", "me.logins.end", me::end_logins)
            .says("End all own logins but this one", "")
            .needs(Needs::User),
        Op::get("/users", "users.list", users::list)
            .says("List the users", "")
            .scope(IdentityRead)
            .query::<Listing>()
            .lists::<users::View>(),
        Op::post("/users", "users.create", users::create)
            .says("Create a user", "Nobody makes a user who may do more than they may.")
            .scope(IdentityWrite)
            .body::<users::Create>()
            .gives::<users::View>(201)
            .tagged()
            .once(),
        Op::get("/users/{id}", "users.show", users::show)
            .says("Show a user", "By id or name.")
            .scope(IdentityRead)
            .gives::<users::View>(200)
            .tagged()
            .may(&[Code::TenantRequired]),
        Op::patch("/users/{id}", "users.change", users::change)
            .says(
                "Change a user",
                "A new password and switching off end the user's logins.",
            )
            .scope(IdentityWrite)
            .body::<users::Change>()
            .gives::<users::View>(200)
            .tagged(),
        Op::delete("/users/{id}", "users.remove", users::remove)
            .says("Remove a user", "The tenant's last owner stays.")
            .scope(IdentityWrite)
            .tagged()
            .may(&[Code::TenantRequired]),
        Op::get("/users/{id}/logins", "users.logins", users::logins)
            .says("The logins of a user", "")
            .scope(IdentityRead)
            .lists::<users::LoginView>()
            .may(&[Code::TenantRequired]),
        Op::delete("/users/{id}/logins", "users.logins.end", users::end_logins)
            .says("End all logins of a user", "")
            .scope(IdentityWrite)
            .may(&[Code::TenantRequired]),
        Op::get("/keys", "keys.list", keys::list)
            .says("List the API keys", "")
            .scope(IdentityRead)
            .query::<Listing>()
            .lists::<keys::View>(),
        Op::post("/keys", "keys.create", keys::create)
            .says(
                "Create an API key",
                "The key is shown once. It may do no more than the one who makes it.",
            )
            .scope(IdentityWrite)
            .body::<keys::Create>()
            .gives::<keys::View>(201)
            .tagged()
            .once(),
        Op::get("/keys/{id}", "keys.show", keys::show)
            .says("Show an API key, without its secret", "")
            .scope(IdentityRead)
            .gives::<keys::View>(200)
            .tagged(),
        Op::patch("/keys/{id}", "keys.change", keys::change)
            .says("Change an API key", "")
            .scope(IdentityWrite)
            .body::<keys::Change>()
            .gives::<keys::View>(200)
            .tagged(),
        Op::delete("/keys/{id}", "keys.remove", keys::remove)
            .says("Remove an API key", "It is refused from now on.")
            .scope(IdentityWrite)
            .tagged(),
        Op::post("/signing-keys", "signing-keys.rotate", keys::rotate_signing)
            .says("Sign access tokens with a new key from now on", "")
            .nothing(),
        Op::get("/audit", "audit.list", audit::list)
            .says("The audit log, the newest row first", "")
            .scope(AuditRead)
            .query::<audit::Asked>()
            .lists::<audit::View>(),
    ]
}

fn of_tenants() -> Vec<Op> {
    vec![
        Op::get("/tenants", "tenants.list", tenants::list)
            .says("List the tenants that can be seen", "That is the own one.")
            .scope(ResourcesRead)
            .query::<Listing>()
            .lists::<tenants::View>(),
        Op::post("/tenants", "tenants.create", tenants::create)
            .says("Create a tenant", "")
            .body::<tenants::Change>()
            .gives::<tenants::View>(201)
            .tagged(),
        Op::get("/tenants/{id}", "tenants.show", tenants::show)
            .says("Show a tenant", "By id or name.")
            .scope(ResourcesRead)
            .gives::<tenants::View>(200)
            .tagged(),
        Op::patch("/tenants/{id}", "tenants.change", tenants::change)
            .says("Change a tenant", "")
            .body::<tenants::Change>()
            .gives::<tenants::View>(200)
            .tagged(),
        Op::delete("/tenants/{id}", "tenants.erase", tenants::remove)
            .says("Erase a tenant with all that it owns", "")
            .tagged(),
        Op::get("/accounts", "accounts.list", accounts::list)
            .says("List the accounts of vendor dialects", "")
            .scope(IdentityRead)
            .query::<Listing>()
            .lists::<accounts::View>(),
        Op::post("/accounts", "accounts.create", accounts::create)
            .says("Create an account", "Its token is shown once.")
            .scope(IdentityWrite)
            .body::<accounts::Create>()
            .gives::<accounts::View>(201)
            .tagged()
            .once(),
        Op::get("/accounts/{id}", "accounts.show", accounts::show)
            .says("Show an account", "")
            .scope(IdentityRead)
            .gives::<accounts::View>(200)
            .tagged(),
        Op::patch("/accounts/{id}", "accounts.change", accounts::change)
            .says("Change an account", "")
            .scope(IdentityWrite)
            .body::<accounts::Change>()
            .gives::<accounts::View>(200)
            .tagged(),
        Op::delete("/accounts/{id}", "accounts.remove", accounts::remove)
            .says("Remove an account", "")
            .scope(IdentityWrite)
            .tagged(),
        Op::post("/accounts/{id}/tokens", "accounts.rotate", accounts::rotate)
            .says(
                "Give an account a new token",
                "The present ones stay valid for the overlap. The new one is shown once.",
            )
            .scope(IdentityWrite)
            .body::<accounts::Rotate>()
            .gives::<accounts::View>(201)
            .once(),
    ]
}

fn resources() -> Vec<Op> {
    vec![
        Op::get("/applications", "applications.list", applications::list)
            .says("List the applications", "")
            .scope(ResourcesRead)
            .query::<Listing>()
            .lists::<applications::View>(),
        Op::post("/applications", "applications.create", applications::create)
            .says(
                "Create an application",
                "Its settings are those of a profile, with what is given changed.",
            )
            .scope(ResourcesWrite)
            .body::<applications::Create>()
            .gives::<applications::View>(201)
            .tagged()
            .once(),
        Op::get("/applications/{id}", "applications.show", applications::show)
            .says("Show an application", "")
            .scope(ResourcesRead)
            .gives::<applications::View>(200)
            .tagged(),
        Op::patch("/applications/{id}", "applications.change", applications::change)
            .says("Change an application", "")
            .scope(ResourcesWrite)
            .body::<applications::Change>()
            .gives::<applications::View>(200)
            .tagged(),
        Op::delete("/applications/{id}", "applications.remove", applications::remove)
            .says("Remove an application", "")
            .scope(ResourcesWrite)
            .tagged(),
        Op::get("/trunks", "trunks.list", trunks::list)
            .says("List the trunks", "A tenant sees its own.")
            .scope(ResourcesRead)
            .query::<Listing>()
            .lists::<trunks::View>(),
        Op::post("/trunks", "trunks.create", trunks::create)
            .says("Create a trunk", "")
            .body::<trunks::Change>()
            .gives::<trunks::View>(201)
            .tagged(),
        Op::get("/trunks/{id}", "trunks.show", trunks::show)
            .says("Show a trunk", "By id or name.")
            .scope(ResourcesRead)
            .gives::<trunks::View>(200)
            .tagged(),
        Op::patch("/trunks/{id}", "trunks.change", trunks::change)
            .says("Change a trunk", "")
            .body::<trunks::Change>()
            .gives::<trunks::View>(200)
            .tagged(),
        Op::delete("/trunks/{id}", "trunks.remove", trunks::remove)
            .says("Remove a trunk", "")
            .tagged(),
        Op::get("/numbers", "numbers.list", numbers::list)
            .says("List the numbers", "")
            .scope(ResourcesRead)
            .query::<Listing>()
            .lists::<numbers::View>(),
        Op::post("/numbers", "numbers.create", numbers::create)
            .says("Give a tenant a number", "")
            .body::<numbers::Create>()
            .gives::<numbers::View>(201)
            .tagged(),
        Op::get("/numbers/{number}", "numbers.show", numbers::show)
            .says("Show a number", "")
            .scope(ResourcesRead)
            .gives::<numbers::View>(200)
            .tagged(),
        Op::patch("/numbers/{number}", "numbers.change", numbers::change)
            .says("Change who may use a number, and how", "")
            .scope(ResourcesWrite)
            .body::<numbers::Change>()
            .gives::<numbers::View>(200)
            .tagged(),
        Op::delete("/numbers/{number}", "numbers.remove", numbers::remove)
            .says("Take a number away", "")
            .tagged(),
        Op::get("/routes", "routes.list", routes::list)
            .says("List the static routes", "")
            .scope(ResourcesRead)
            .query::<Listing>()
            .lists::<routes::View>(),
        Op::post("/routes", "routes.create", routes::create)
            .says("Create a static route", "")
            .scope(ResourcesWrite)
            .body::<routes::Create>()
            .gives::<routes::View>(201)
            .tagged()
            .once(),
        Op::get("/routes/{id}", "routes.show", routes::show)
            .says("Show a static route", "")
            .scope(ResourcesRead)
            .gives::<routes::View>(200)
            .tagged(),
        Op::delete("/routes/{id}", "routes.remove", routes::remove)
            .says("Remove a static route", "")
            .scope(ResourcesWrite)
            .tagged(),
        Op::get("/devices", "devices.list", devices::list)
            .says("List the devices", "")
            .scope(ResourcesRead)
            .query::<Listing>()
            .lists::<devices::View>(),
        Op::post("/devices", "devices.create", devices::create)
            .says("Create a device", "A password that is made for it is shown once.")
            .scope(ResourcesWrite)
            .body::<devices::Create>()
            .gives::<devices::View>(201)
            .tagged()
            .once(),
        Op::get("/devices/{id}", "devices.show", devices::show)
            .says("Show a device", "By id or user name.")
            .scope(ResourcesRead)
            .gives::<devices::View>(200)
            .tagged()
            .may(&[Code::TenantRequired]),
        Op::patch("/devices/{id}", "devices.change", devices::change)
            .says("Change a device", "")
            .scope(ResourcesWrite)
            .body::<devices::Change>()
            .gives::<devices::View>(200)
            .tagged(),
        Op::delete("/devices/{id}", "devices.remove", devices::remove)
            .says("Remove a device", "")
            .scope(ResourcesWrite)
            .tagged()
            .may(&[Code::TenantRequired]),
        Op::get("/registrations", "registrations.list", operations::registrations)
            .says("Which devices are registered, and where", "")
            .scope(ResourcesRead)
            .query::<OfTenant>()
            .lists::<operations::RegistrationView>(),
        Op::delete(
            "/registrations/{username}",
            "registrations.remove",
            operations::unregister,
        )
        .says("Remove all bindings of a device", "")
        .scope(ResourcesWrite)
        .query::<OfTenant>()
        .gives::<operations::Removed>(200),
    ]
}

fn of_centres() -> Vec<Op> {
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

fn configuration() -> Vec<Op> {
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

fn sounds() -> Vec<Op> {
    vec![
        Op::get("/prompts", "prompts.list", prompts::list)
            .says("List the prompts", "")
            .scope(ResourcesRead)
            .query::<Listing>()
            .lists::<prompts::View>(),
        Op::post("/prompts", "prompts.upload", prompts::upload)
            .says(
                "Upload a prompt",
                "WAV, MP3 or Ogg. A prompt of the same name is replaced.",
            )
            .scope(ResourcesWrite)
            .query::<prompts::Place>()
            .file("application/octet-stream")
            .gives::<prompts::View>(201)
            // The handler counts what it takes in.
            .limit(PROMPT_LIMIT + 1)
            .may(&[
                Code::BadPrompt,
                Code::BadBody,
                Code::NotFound,
                Code::TenantRequired,
                Code::TooLarge,
            ]),
        Op::patch("/prompts/{name}", "prompts.review", prompts::review)
            .says("Approve or reject a prompt", "")
            .scope(ResourcesWrite)
            .query::<prompts::Place>()
            .body::<prompts::Review>()
            .gives::<prompts::View>(200)
            .tagged()
            .may(&[Code::BadPrompt]),
        Op::delete("/prompts/{name}", "prompts.remove", prompts::remove)
            .says("Remove a prompt", "")
            .scope(ResourcesWrite)
            .query::<prompts::Place>()
            .may(&[Code::InUse]),
        Op::post("/speech/prompts", "speech.prompts", speech::synthesise)
            .says("Have a text said, and keep it as a prompt", "")
            .scope(ResourcesWrite)
            .body::<speech::Synthesis>()
            .gives::<prompts::View>(201)
            .may(&[Code::SpeechOff, Code::SpeechEngine]),
    ]
}

/// Checks and dry runs: they change nothing.
fn of_flows() -> Vec<Op> {
    vec![
        Op::post("/flows/validate", "flows.validate", flows::validate)
            .says(
                "Check an IVR flow",
                "Every finding names the node, why, and what to do.",
            )
            .scope(ResourcesRead)
            .unaudited()
            .body::<flows::Validate>()
            .gives::<flows::Checked>(200),
        Op::post("/flows/dry-run", "flows.dry-run", flows::dry_run)
            .says("Take an IVR flow without a call through a list of inputs", "")
            .scope(ResourcesRead)
            .unaudited()
            .body::<flows::DryRun>()
            .gives::<flows::Walked>(200),
        Op::post("/routing/validate", "routing.validate", flows::validate_plan)
            .says("Check the rules of a number", "")
            .scope(ResourcesRead)
            .unaudited()
            .body::<flows::ValidatePlan>()
            .gives::<flows::Checked>(200),
        Op::post("/routing/dry-run", "routing.dry-run", flows::decide)
            .says(
                "Say where the rules of a number lead a call, and why",
                "The same call, time and rules decide the same: a decision can be asked again against changed rules.",
            )
            .scope(ResourcesRead)
            .unaudited()
            .body::<flows::Decide>()
            .gives::<flows::Decided>(200),
    ]
}

fn of_calls() -> Vec<Op> {
    vec![
        Op::get("/calls", "calls.list", calls::list)
            .says("List the calls that run", "")
            .scope(CallsRead)
            .query::<calls::Filter>()
            .lists::<calls::View>()
            .may(&[Code::CallState]),
        Op::post("/calls", "calls.place", calls::place)
            .says(
                "Place a call between two numbers",
                "It is durable when this is answered, and not yet dialled.",
            )
            .scope(CallsWrite)
            .body::<calls::Place>()
            .gives::<Made>(202)
            .may(&[
                Code::NumberDenied,
                Code::Emergency,
                Code::Disabled,
                Code::KeyReused,
                Code::CallLimit,
                Code::SpendLimit,
                Code::NoRoute,
                Code::TrunkDown,
                Code::CallState,
            ]),
        Op::get("/calls/{id}", "calls.show", calls::show)
            .says("Show a call that runs or is over", "")
            .scope(CallsRead)
            .gives::<calls::View>(200)
            .may(&CALL),
        Op::delete("/calls/{id}", "calls.end", calls::cancel)
            .says("End a call", "")
            .scope(CallsWrite)
            .may(&CALL),
        Op::post("/calls/{id}/recording", "calls.recording", recordings::change)
            .says("Begin, pause, mask, resume or end the recording", "")
            .scope(CallsWrite)
            .body::<recordings::Change>()
            .nothing()
            .may(&CALL),
        Op::get(
            "/calls/{id}/recordings/{n}",
            "calls.recordings.fetch",
            recordings::fetch,
        )
        .says(
            "Fetch a finished recording",
            "WAV or Ogg Opus. `Range` with one range and `If-Range` give parts; `ETag` is the checksum.",
        )
        .scope(CallsRead)
        .sounds()
        .may(&CALL)
        .may(&[Code::OutOfRange, Code::RecordingStore]),
        Op::get("/calls/{id}/ladder", "calls.ladder", operations::ladder)
            .says("The SIP messages of a call that are still kept", "")
            .scope(DiagnosticsRead)
            .lists::<operations::StepView>()
            .may(&CALL),
        Op::post("/calls/{id}/transcription", "calls.transcription.start", speech::start)
            .says("Begin to listen to a call", "")
            .scope(CallsWrite)
            .body::<speech::Listening>()
            .accepted()
            .may(&[Code::SpeechOff, Code::SpeechEngine, Code::CallEnded, Code::CallState]),
        Op::delete("/calls/{id}/transcription", "calls.transcription.stop", speech::stop)
            .says("Listen no more", "")
            .scope(CallsWrite)
            .may(&[Code::SpeechOff, Code::CallEnded, Code::CallState]),
        Op::get("/calls/{id}/transcript", "calls.transcript", speech::transcript)
            .says("What was heard", "")
            .scope(CallsRead)
            .gives::<speech::TranscriptView>(200)
            .may(&[Code::SpeechOff, Code::CallEnded, Code::CallState]),
        Op::get("/batches", "batches.list", batches::list)
            .says("List the batches of voice notices", "")
            .scope(CallsRead)
            .query::<OfTenant>()
            .lists::<batches::View>(),
        Op::get("/batches/{id}", "batches.show", batches::show)
            .says("Show a batch of voice notices", "")
            .scope(CallsRead)
            .gives::<batches::View>(200),
        Op::post("/batches/{id}/cancel", "batches.cancel", batches::cancel)
            .says("Cancel a batch: what has not begun is not called", "")
            .scope(CallsWrite)
            .gives::<batches::View>(200)
            .may(&[Code::CallState]),
        Op::get("/deliveries", "deliveries.list", deliveries::list)
            .says("List the pushes that were made, wait or failed", "")
            .scope(CallsRead)
            .query::<deliveries::Filter>()
            .lists::<deliveries::View>(),
        Op::post("/deliveries/repush", "deliveries.repush", deliveries::repush)
            .says(
                "Send pushes again",
                "Exactly one of: deliveries; conversations; from and to.",
            )
            .scope(CallsWrite)
            .body::<deliveries::Again>()
            .gives::<Queued>(200),
    ]
}

fn of_the_process() -> Vec<Op> {
    vec![
        Op::get("/bans", "bans.list", operations::bans).lists::<operations::BanView>(),
        Op::post("/bans", "bans.create", operations::ban)
            .body::<operations::BanRequest>()
            .nothing(),
        Op::delete("/bans/{*source}", "bans.remove", operations::unban),
        Op::post("/certificates/reload", "certificates.reload", operations::reload_certificates)
            .gives::<operations::Reloaded>(200)
            .may(&[Code::BadCertificate]),
        Op::post("/backup", "backup", backup::make)
            .body::<backup::To>()
            .gives::<backup::Backup>(200)
            .may(&[Code::Exists]),
        Op::get("/ice-servers", "ice-servers.of-operator", ice_servers::show)
            .only(Face::Admin)
            .query::<ice_servers::For>()
            .gives::<ice_servers::View>(200)
            .may(&[Code::TurnOff]),
        Op::get("/ice-servers", "ice-servers.show", ice_servers::ask)
            .only(Face::Public)
            .says(
                "STUN and TURN servers for a browser's media",
                "For a user or a key; for an account's id and token, or a device's user name and password, by HTTP Basic.",
            )
            .needs(Needs::Nothing)
            .query::<ice_servers::For>()
            .gives::<ice_servers::View>(200)
            .may(&[Code::Unauthorized, Code::Attempts, Code::TurnOff]),
        Op::get("/events", "events.follow", socket::open)
            .says(
                "Follow events over a WebSocket, and send commands",
                "Scope: `events:read` for the tenant's events, or `centre:agent` for the user's own. A browser names the \
                 token as a protocol: `strowger.v1`, `bearer.TOKEN`. The messages are described in docs/events.md.",
            )
            .needs(Needs::Anyone)
            .only(Face::Public)
            .query::<socket::Asked>()
            .switches(),
        Op::get("/openapi.json", "openapi", crate::openapi_file)
            .says("This file", "")
            .needs(Needs::Nothing)
            .any_json(),
    ]
}
