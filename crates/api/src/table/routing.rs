//! Flows, plans, calendars, lists of numbers and pools of display numbers.

use crate::centre::OfApplication;
use crate::error::Code;
use crate::op::Op;
use crate::routing::{self, Calendars, Kind, Lists, Plans, Pools};
use strowger_store::identity::Scope::{ResourcesRead, ResourcesWrite};

/// Largest definition: a list of 100,000 numbers fits.
const DEFINITION: usize = 16 << 20;
/// Largest flow.
const FLOW: usize = 1 << 20;

/// Paths, ids and summaries of a kind.
struct Words {
    paths: [&'static str; 2],
    ids: [&'static str; 5],
    summaries: [&'static str; 5],
}

fn of_kind<K: Kind>(words: &Words) -> Vec<Op> {
    let ([all, one], ids, says) = (words.paths, words.ids, words.summaries);
    vec![
        Op::get(all, ids[0], routing::list::<K>)
            .says(says[0], "")
            .scope(ResourcesRead)
            .query::<OfApplication>()
            .lists::<routing::View>()
            .may(&[Code::NotFound]),
        Op::post(all, ids[1], routing::create::<K>)
            .says(says[1], "")
            .scope(ResourcesWrite)
            .body::<routing::Create>()
            .gives::<routing::View>(201)
            .tagged()
            .once()
            .limit(DEFINITION)
            .may(&[Code::Invalid]),
        Op::get(one, ids[2], routing::show::<K>)
            .says(says[2], "By id or name.")
            .scope(ResourcesRead)
            .gives::<routing::View>(200)
            .tagged(),
        Op::patch(one, ids[3], routing::change::<K>)
            .says(says[3], "Calls that are under way keep what they began with.")
            .scope(ResourcesWrite)
            .body::<routing::Change>()
            .gives::<routing::View>(200)
            .tagged()
            .limit(DEFINITION)
            .may(&[Code::Invalid]),
        Op::delete(one, ids[4], routing::remove::<K>)
            .says(says[4], "")
            .scope(ResourcesWrite)
            .tagged(),
    ]
}

pub(super) fn of_routing() -> Vec<Op> {
    let mut all = of_flows();
    all.extend(of_kind::<Plans>(&Words {
        paths: ["/plans", "/plans/{id}"],
        ids: [
            "plans.list",
            "plans.create",
            "plans.show",
            "plans.change",
            "plans.remove",
        ],
        summaries: [
            "List the plans",
            "Create a plan: rules that say where calls to a number go",
            "Show a plan",
            "Change a plan",
            "Remove a plan that nothing refers to",
        ],
    }));
    all.extend(of_kind::<Calendars>(&Words {
        paths: ["/calendars", "/calendars/{id}"],
        ids: [
            "calendars.list",
            "calendars.create",
            "calendars.show",
            "calendars.change",
            "calendars.remove",
        ],
        summaries: [
            "List the calendars",
            "Create a calendar of business hours and special days",
            "Show a calendar",
            "Change a calendar",
            "Remove a calendar that nothing refers to",
        ],
    }));
    all.extend(of_kind::<Lists>(&Words {
        paths: ["/lists", "/lists/{id}"],
        ids: [
            "lists.list",
            "lists.create",
            "lists.show",
            "lists.change",
            "lists.remove",
        ],
        summaries: [
            "List the lists of numbers",
            "Create a list of numbers, such as a black list",
            "Show a list of numbers",
            "Change a list of numbers",
            "Remove a list of numbers that nothing refers to",
        ],
    }));
    all.extend(of_kind::<Pools>(&Words {
        paths: ["/display-pools", "/display-pools/{id}"],
        ids: [
            "display-pools.list",
            "display-pools.create",
            "display-pools.show",
            "display-pools.change",
            "display-pools.remove",
        ],
        summaries: [
            "List the pools of display numbers",
            "Create a pool of numbers that outgoing calls show",
            "Show a pool of display numbers",
            "Change a pool of display numbers",
            "Remove a pool of display numbers",
        ],
    }));
    all
}

fn of_flows() -> Vec<Op> {
    vec![
        Op::get("/flows", "flows.list", routing::list_flows)
            .says("List the IVR flows", "")
            .scope(ResourcesRead)
            .query::<OfApplication>()
            .lists::<routing::FlowView>()
            .may(&[Code::NotFound]),
        Op::post("/flows", "flows.create", routing::create_flow)
            .says("Create an IVR flow", "As a draft, or published at once.")
            .scope(ResourcesWrite)
            .body::<routing::CreateFlow>()
            .gives::<routing::FlowView>(201)
            .tagged()
            .once()
            .limit(FLOW)
            .may(&[Code::Invalid, Code::SpeechOff]),
        Op::get("/flows/{id}", "flows.show", routing::show_flow)
            .says("Show an IVR flow with its draft and its versions", "By id or name.")
            .scope(ResourcesRead)
            .query::<routing::OfVersion>()
            .gives::<routing::FlowView>(200)
            .tagged(),
        Op::patch("/flows/{id}", "flows.change", routing::change_flow)
            .says("Write the draft of an IVR flow, or rename it", "A draft may have errors.")
            .scope(ResourcesWrite)
            .body::<routing::ChangeFlow>()
            .gives::<routing::FlowView>(200)
            .tagged()
            .limit(FLOW),
        Op::delete("/flows/{id}", "flows.remove", routing::remove_flow)
            .says("Remove an IVR flow that nothing refers to", "")
            .scope(ResourcesWrite)
            .tagged(),
        Op::delete("/flows/{id}/draft", "flows.draft.discard", routing::discard_draft)
            .says("Throw the draft of an IVR flow away", "")
            .scope(ResourcesWrite)
            .gives::<routing::FlowView>(200)
            .tagged(),
        Op::post("/flows/{id}/publish", "flows.publish", routing::publish)
            .says(
                "Publish the draft of an IVR flow",
                "It is checked first. New calls go into it; those that are under way stay in the version in which they began.",
            )
            .scope(ResourcesWrite)
            .body::<routing::Publish>()
            .gives::<routing::FlowView>(200)
            .tagged()
            .may(&[Code::Invalid, Code::SpeechOff, Code::Stale]),
        Op::post("/flows/{id}/rollback", "flows.rollback", routing::roll_back)
            .says("Publish an earlier version of an IVR flow once more", "It is checked again.")
            .scope(ResourcesWrite)
            .body::<routing::Rollback>()
            .gives::<routing::FlowView>(200)
            .tagged()
            .may(&[Code::Invalid, Code::SpeechOff, Code::Stale]),
    ]
}
