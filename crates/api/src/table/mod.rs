//! Every operation of the native API: path, who may use it, what it takes and what it answers.

mod contact_centre;
mod people;
mod routing;

use crate::error::Code;
use crate::events::socket;
use crate::guard::Face;
use crate::op::{Needs, Op};
use crate::request::{Listing, Made, OfTenant, Queued};
use crate::{
    PROMPT_LIMIT, applications, backup, batches, call_notes, calls, deliveries, devices, flows, ice_servers, numbers,
    operations, prompts, recordings, routes, speech, trunks, webhooks,
};
use strowger_store::identity::Scope::{CallsRead, CallsWrite, DiagnosticsRead, ResourcesRead, ResourcesWrite};

/// What a call to a store or to the runtime may be refused with.
const CALL: [Code; 2] = [Code::CallEnded, Code::CallState];

/// All of them. Those without a word on who may use them are the platform's.
pub(crate) fn operations() -> Vec<Op> {
    let mut all = people::identity();
    all.extend(people::of_tenants());
    all.extend(resources());
    all.extend(contact_centre::of_centres());
    all.extend(contact_centre::of_reports());
    all.extend(contact_centre::of_chats());
    all.extend(contact_centre::configuration());
    all.extend(sounds());
    all.extend(of_calls());
    all.extend(of_flows());
    all.extend(routing::of_routing());
    all.extend(of_the_process());
    all
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
        Op::get("/webhooks", "webhooks.list", webhooks::list)
            .says("List the webhooks", "")
            .scope(ResourcesRead)
            .query::<Listing>()
            .lists::<webhooks::View>(),
        Op::post("/webhooks", "webhooks.create", webhooks::create)
            .says(
                "Create a webhook",
                "What happens from now on is told to it; of calls, those that begin from now on. The secret is never shown.",
            )
            .scope(ResourcesWrite)
            .body::<webhooks::Create>()
            .gives::<webhooks::View>(201)
            .tagged()
            .once(),
        Op::get("/webhooks/{id}", "webhooks.show", webhooks::show)
            .says("Show a webhook", "")
            .scope(ResourcesRead)
            .gives::<webhooks::View>(200)
            .tagged(),
        Op::patch("/webhooks/{id}", "webhooks.change", webhooks::change)
            .says(
                "Change a webhook",
                "Address and secret hold at once, also for what waits to be sent; topics hold for calls that begin from now on.",
            )
            .scope(ResourcesWrite)
            .body::<webhooks::Change>()
            .gives::<webhooks::View>(200)
            .tagged(),
        Op::delete("/webhooks/{id}", "webhooks.remove", webhooks::remove)
            .says("Remove a webhook", "What has not been delivered to it is not sent any more.")
            .scope(ResourcesWrite)
            .tagged(),
        Op::post("/webhooks/{id}/replay", "webhooks.replay", webhooks::replay)
            .says(
                "Send events to a webhook again",
                "Those of a span of time, or of a conversation or an agent from a sequence on; byte for byte as they were, and in order.",
            )
            .scope(CallsWrite)
            .body::<webhooks::Replay>()
            .gives::<Queued>(200),
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
        Op::put("/calls/{id}/disposition", "calls.dispose", call_notes::dispose)
            .says(
                "Write down what came of a call",
                "While it runs or afterwards, by an agent that had a part in it, or with the scope `calls:write`.",
            )
            .needs(Needs::Anyone)
            .body::<call_notes::Dispose>()
            .nothing()
            .may(&[Code::NotFound, Code::CallState, Code::Overloaded]),
        Op::patch("/calls/{id}/data", "calls.data", call_notes::attach)
            .says(
                "Give a call values that go with it",
                "While it runs or afterwards, by an agent that had a part in it, or with the scope `calls:write`.",
            )
            .needs(Needs::Anyone)
            .body::<call_notes::Attach>()
            .nothing()
            .may(&[Code::NotFound, Code::CallState, Code::Overloaded]),
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
