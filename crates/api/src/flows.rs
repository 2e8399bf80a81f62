//! Checks and dry runs of IVR flows and of the rules of numbers (docs/ivr.md, docs/routing.md).

use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body};
use crate::time::{parse_rfc3339, rfc3339};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use strowger_core::ivr::check::{Thing, check, check_calls, may_publish};
use strowger_core::ivr::io::{Call, Library, Outcome, Over};
use strowger_core::ivr::walk::{End, Given, MAX_INPUTS, Trace, walk};
use strowger_core::ivr::{self, Finding, Flow, Level, Node};
use strowger_core::route::{Calendar, ItemKind, NumberList, Plan, Region, Scene, Shelf};
use strowger_core::{ApplicationId, ConversationId, Number, Stamp};
use strowger_flows::{Malformed, Strict};
use strowger_store::config::{Config, PromptState};
use utoipa::ToSchema;

/// What a flow is called when the request does not say.
const MAIN: &str = "main";
/// The most other flows, calendars and lists of a request, each.
const MAX_THINGS: usize = 500;
/// The longest time that passes at once in a dry run: a day.
const MAX_PASSES_MS: u64 = 86_400_000;

/// What a flow or a plan refers to.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FlowContext)]
pub(crate) struct Context {
    /// Whose prompts, devices, queues and agents are looked up.
    application: Option<String>,
    /// Other flows by name; taken as all that there are.
    #[schema(value_type = Option<std::collections::HashMap<String, Object>>)]
    flows: Option<BTreeMap<String, Strict>>,
    /// Calendars by name; taken as all that there are.
    #[schema(value_type = Option<std::collections::HashMap<String, Object>>)]
    calendars: Option<BTreeMap<String, Strict>>,
    /// Lists of numbers by name; taken as all that there are.
    #[schema(value_type = Option<std::collections::HashMap<String, Vec<Object>>>)]
    lists: Option<BTreeMap<String, Strict>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FlowValidate)]
pub(crate) struct Validate {
    #[schema(value_type = Object)]
    flow: Strict,
    /// Its name, by which others call it.
    name: Option<String>,
    #[serde(default)]
    context: Context,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FlowDryRun)]
pub(crate) struct DryRun {
    #[schema(value_type = Object)]
    flow: Strict,
    /// Its name, by which others call it.
    name: Option<String>,
    #[serde(default)]
    context: Context,
    call: WireCall,
    #[serde(default)]
    inputs: Vec<WireInput>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RoutingValidate)]
pub(crate) struct ValidatePlan {
    #[schema(value_type = Object)]
    plan: Strict,
    #[serde(default)]
    context: Context,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RoutingDryRun)]
pub(crate) struct Decide {
    #[schema(value_type = Object)]
    plan: Strict,
    #[serde(default)]
    context: Context,
    call: WireCall,
}

/// A call that is not there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImaginedCall)]
pub(crate) struct WireCall {
    /// Without it, the number is withheld.
    caller: Option<String>,
    called: String,
    province: Option<String>,
    city: Option<String>,
    /// When it comes in; now without it.
    at: Option<String>,
    /// What shares are drawn from.
    conversation: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = ImaginedInput)]
pub(crate) enum WireInput {
    Keys(String),
    Silence,
    Says(String),
    Answers {
        status: u16,
        #[serde(default)]
        #[schema(value_type = Object)]
        body: Value,
    },
    NoAnswer,
    Back(WireOutcome),
    PassesMs(u64),
    Gone,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HandoverOutcome)]
pub(crate) enum WireOutcome {
    Done,
    Failed,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FlowFinding)]
struct FindingView {
    /// `error`, which stops a flow from being published, or `warning`.
    level: &'static str,
    code: &'static str,
    /// The node, or the rule; null if it is the whole.
    node: Option<String>,
    why: String,
    fix: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FlowChecked)]
pub(crate) struct Checked {
    /// There is no error among the findings.
    valid: bool,
    findings: Vec<FindingView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FlowTraceLine)]
struct LineView {
    at_ms: u64,
    flow: String,
    node: String,
    what: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FlowKey)]
struct KeyView {
    key: String,
    label: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FlowEnd)]
struct EndView {
    /// `over`, `waiting` where the inputs end, `unfit` at an input that is not what the flow waits for, or `too_long`.
    state: &'static str,
    /// Why the flow ended the call; null if it did not.
    cause: Option<&'static str>,
    /// What it waits for.
    waits: Option<&'static str>,
    /// The number of the input that does not fit, from 0.
    input: Option<usize>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FlowWalked)]
pub(crate) struct Walked {
    trace: Vec<LineView>,
    path: Vec<KeyView>,
    attached: BTreeMap<String, String>,
    end: EndView,
    unused: usize,
    findings: Vec<FindingView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RoutingLooked)]
struct LookedView {
    rule: String,
    holds: bool,
    why: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RoutingDecided)]
pub(crate) struct Decided {
    /// The rule that decided; null if none held.
    rule: Option<String>,
    /// Where the call goes, as the plan has it.
    #[schema(value_type = Object)]
    to: Value,
    /// The rules that were looked at, in order.
    trace: Vec<LookedView>,
    /// When it was decided.
    at: String,
    findings: Vec<FindingView>,
}

fn malformed(e: Malformed) -> Problem {
    Problem::parameter(&e.place, e.to_string())
}

/// The same, of a part of the body at this place.
pub(crate) fn at(place: &str) -> impl Fn(Malformed) -> Problem + '_ {
    move |e| malformed(e.under(place))
}

/// The context of a request, read.
#[derive(Default)]
pub(crate) struct Known {
    application: Option<ApplicationId>,
    flows: Option<BTreeMap<String, Flow>>,
    calendars: Option<BTreeMap<String, Calendar>>,
    lists: Option<BTreeMap<String, NumberList>>,
}

fn things<T>(
    place: &str,
    all: Option<BTreeMap<String, Strict>>,
    read: fn(Value) -> Result<T, Malformed>,
) -> Result<Option<BTreeMap<String, T>>, Problem> {
    let Some(all) = all else { return Ok(None) };
    if all.len() > MAX_THINGS {
        return Err(Problem::parameter(
            place,
            format!("{place} has more than {MAX_THINGS} members"),
        ));
    }
    let one = |(name, Strict(value)): (String, Strict)| {
        let thing = read(value).map_err(at(&format!("{place}.{name}")))?;
        Ok((name, thing))
    };
    all.into_iter().map(one).collect::<Result<_, _>>().map(Some)
}

impl Context {
    fn read(self, api: &Desk) -> Result<Known, Problem> {
        let application = match &self.application {
            None => None,
            Some(text) => {
                let id: ApplicationId = request::body_id("context.application", text)?;
                let found = api.config().application(id).map(|a| a.id);
                Some(found.ok_or_else(|| Problem::not_found("application", id))?)
            }
        };
        Ok(Known {
            application,
            flows: things("context.flows", self.flows, strowger_flows::flow)?,
            calendars: things("context.calendars", self.calendars, strowger_flows::calendar)?,
            lists: things("context.lists", self.lists, strowger_flows::list)?,
        })
    }
}

impl Known {
    /// What an application has, and nothing else.
    pub(crate) fn of_application(application: ApplicationId) -> Known {
        Known {
            application: Some(application),
            ..Known::default()
        }
    }

    /// Whether there is such a thing; `None` where that is not looked up.
    pub(crate) fn has(&self, config: &Config, thing: Thing, name: &str) -> Option<bool> {
        let tenant = || config.application(self.application?).map(|a| a.tenant);
        let stored = |kind| Some(config.routing().named(self.application?, kind, name).is_some());
        match thing {
            Thing::Flow => match &self.flows {
                Some(flows) => Some(flows.contains_key(name)),
                None => stored(ItemKind::Flow),
            },
            Thing::Calendar => match &self.calendars {
                Some(calendars) => Some(calendars.contains_key(name)),
                None => stored(ItemKind::Calendar),
            },
            Thing::List => match &self.lists {
                Some(lists) => Some(lists.contains_key(name)),
                None => stored(ItemKind::List),
            },
            Thing::Prompt => {
                let prompt = config.prompt(tenant()?, self.application?, name);
                Some(prompt.is_some_and(|p| p.state == PromptState::Ready))
            }
            Thing::Device => {
                let tenant = tenant()?;
                let by_id = name.parse().ok().and_then(|id| config.device(id));
                let by_id = by_id.filter(|d| d.device.tenant == tenant);
                Some(by_id.or_else(|| config.device_by_name(tenant, name)).is_some())
            }
            Thing::Queue => self.queue(config, name),
            Thing::Agent => self.agent(config, name),
            Thing::Mailbox => Some(self.queue(config, name)? || self.agent(config, name)?),
        }
    }

    /// By name or id.
    fn queue(&self, config: &Config, name: &str) -> Option<bool> {
        let application = self.application?;
        let mut own = config.centre().queues().filter(|q| q.application == application);
        Some(own.any(|q| q.name == name || q.id.to_string() == name))
    }

    /// By login name or id.
    fn agent(&self, config: &Config, name: &str) -> Option<bool> {
        let application = self.application?;
        let mut own = config.centre().agents().filter(|a| a.application == application);
        Some(own.any(|a| a.login == name || a.id.to_string() == name))
    }

    /// Calendars and lists: those of the request, else those of the application.
    fn shelf(&mut self, config: &Config) -> Shelf {
        let stored = self.application.map(|a| config.routing().library(a));
        let stored = stored.as_ref().map(|l| &l.shelf);
        Shelf {
            calendars: self
                .calendars
                .take()
                .or_else(|| Some(stored?.calendars.clone()))
                .unwrap_or_default(),
            lists: self
                .lists
                .take()
                .or_else(|| Some(stored?.lists.clone()))
                .unwrap_or_default(),
        }
    }
}

/// A flow among the flows that it may call, and what is wrong with it.
pub(crate) fn checked(config: &Config, known: &mut Known, name: &str, flow: Flow) -> Vec<Finding> {
    let has = |thing, name: &str| known.has(config, thing, name);
    let mut found = check(&flow, &has);
    let published = known.application.map(|a| config.routing().library(a));
    let all = known.flows.get_or_insert_with(|| {
        let flows = published.iter().flat_map(|l| &l.flows);
        flows.map(|(name, flow)| (name.clone(), Flow::clone(flow))).collect()
    });
    all.insert(name.to_owned(), flow);
    let of_this = check_calls(all).into_iter().filter(|(flow, _)| flow == name);
    found.extend(of_this.map(|(_, finding)| finding));
    found.sort();
    found
}

/// Refuses what has errors, with the first of them.
pub(crate) fn problem_of(what: &str, found: &[Finding]) -> Result<(), Problem> {
    if may_publish(found) {
        return Ok(());
    }
    let errors: Vec<&Finding> = found.iter().filter(|f| f.level == Level::Error).collect();
    let said = errors.iter().take(3).map(|f| {
        let place = f.node.as_deref().map_or(String::new(), |n| format!("{n}: "));
        format!("{place}{} ({}): {}", f.why, f.code, f.fix)
    });
    let said: Vec<String> = said.collect();
    let more = match errors.len().saturating_sub(3) {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    let detail = format!("the {what} has errors. {}{more}", said.join("; "));
    Err(Problem::new(Code::Invalid, detail))
}

/// True if it has texts for text to speech.
pub(crate) fn has_texts(flow: &Flow) -> bool {
    let says = flow.nodes.values().flat_map(Node::says);
    let mut all = says.into_iter().flat_map(|(_, say)| say);
    all.any(|s| matches!(s, ivr::flow::Say::Text(_)))
}

fn views(found: &[Finding]) -> Vec<FindingView> {
    let one = |f: &Finding| FindingView {
        level: match f.level {
            Level::Error => "error",
            Level::Warning => "warning",
        },
        code: f.code,
        node: f.node.clone(),
        why: f.why.clone(),
        fix: f.fix.clone(),
    };
    found.iter().map(one).collect()
}

fn flow_name(name: Option<String>) -> Result<String, Problem> {
    name.map_or_else(|| Ok(MAIN.to_owned()), |n| request::name("name", &n))
}

fn answer(found: &[Finding]) -> Answer {
    request::ok(Checked {
        valid: may_publish(found),
        findings: views(found),
    })
}

pub(crate) async fn validate(api: Desk, Body(asked): Body<Validate>) -> Answer {
    let name = flow_name(asked.name)?;
    let flow = strowger_flows::flow(asked.flow.0).map_err(at("flow"))?;
    let mut known = asked.context.read(&api)?;
    answer(&checked(&api.config(), &mut known, &name, flow))
}

pub(crate) async fn validate_plan(api: Desk, Body(asked): Body<ValidatePlan>) -> Answer {
    let plan = strowger_flows::plan(asked.plan.0).map_err(at("plan"))?;
    let known = asked.context.read(&api)?;
    answer(&plan.check(&|thing, name| known.has(&api.config(), thing, name)))
}

/// A call that came in at a time.
struct Imagined {
    call: Call,
    at: Stamp,
}

impl WireCall {
    fn read(self, api: &Desk) -> Result<Imagined, Problem> {
        let number = |member: &str, text: &str| -> Result<Number, Problem> { request::number(member, text) };
        let at = match &self.at {
            None => (api.now)(),
            Some(text) => parse_rfc3339(text).ok_or_else(|| {
                Problem::parameter("call.at", "call.at is a time in UTC such as 2026-01-31T09:30:00Z")
            })?,
        };
        let conversation = match &self.conversation {
            None => ConversationId::mint(at.0.max(0) as u64, 1),
            Some(text) => request::body_id("call.conversation", text)?,
        };
        let caller = self.caller.as_deref().map(|c| number("call.caller", c)).transpose()?;
        let region = self.province.map(|province| Region {
            province,
            city: self.city.unwrap_or_default(),
        });
        let called = number("call.called", &self.called)?;
        Ok(Imagined {
            call: Call {
                conversation,
                caller,
                called,
                region,
            },
            at,
        })
    }
}

/// The JSON pointers that the flows take values from.
fn pointers(flows: &BTreeMap<String, Arc<Flow>>) -> BTreeSet<String> {
    let nodes = flows.values().flat_map(|f| f.nodes.values());
    let requests = nodes.filter_map(|n| match n {
        Node::Http { request, .. } => Some(request),
        _ => None,
    });
    requests.flat_map(|r| r.take.iter().map(|(_, p)| p.clone())).collect()
}

fn given(inputs: Vec<WireInput>, pointers: &BTreeSet<String>) -> Result<Vec<Given>, Problem> {
    if inputs.len() > MAX_INPUTS {
        return Err(Problem::parameter(
            "inputs",
            format!("inputs has more than {MAX_INPUTS} entries"),
        ));
    }
    let one = |(n, input): (usize, WireInput)| {
        Ok(match input {
            WireInput::Keys(keys) if keys.len() > 64 || !keys.chars().all(ivr::flow::is_key) => {
                let place = format!("inputs[{n}].keys");
                let detail = format!("{place} has at most 64 of the keys 0 to 9, * and #");
                return Err(Problem::parameter(&place, detail));
            }
            WireInput::PassesMs(ms) if ms > MAX_PASSES_MS => {
                let place = format!("inputs[{n}].passes_ms");
                let detail = format!("{place} is at most a day, {MAX_PASSES_MS}");
                return Err(Problem::parameter(&place, detail));
            }
            WireInput::Keys(keys) => Given::Keys(keys),
            WireInput::Silence => Given::Silence,
            WireInput::Says(text) => Given::Says(text.chars().take(4000).collect()),
            WireInput::Answers { status, body } => {
                let body = body.to_string();
                let values = strowger_flows::pointed(body.as_bytes(), pointers.iter().map(String::as_str));
                Given::Answers(Some(ivr::Answer { status, values }))
            }
            WireInput::NoAnswer => Given::Answers(None),
            WireInput::Back(WireOutcome::Done) => Given::Back(Outcome::Done),
            WireInput::Back(WireOutcome::Failed) => Given::Back(Outcome::Failed),
            WireInput::PassesMs(ms) => Given::Passes(ms),
            WireInput::Gone => Given::Gone,
        })
    };
    inputs.into_iter().enumerate().map(one).collect()
}

fn end(end: &End) -> EndView {
    let mut view = EndView {
        state: "over",
        cause: None,
        waits: None,
        input: None,
    };
    match *end {
        End::Over(Over::Gone) => {}
        End::Over(Over::HungUp(cause)) => view.cause = Some(cause.name()),
        End::Waits(what) => (view.state, view.waits) = ("waiting", Some(what)),
        End::Unfit(n, what) => (view.state, view.waits, view.input) = ("unfit", Some(what), Some(n)),
        End::Long => view.state = "too_long",
    }
    view
}

pub(crate) async fn dry_run(api: Desk, Body(asked): Body<DryRun>) -> Answer {
    let name = flow_name(asked.name)?;
    let flow = strowger_flows::flow(asked.flow.0).map_err(at("flow"))?;
    let mut known = asked.context.read(&api)?;
    let imagined = asked.call.read(&api)?;
    let found = checked(&api.config(), &mut known, &name, flow);
    let shelf = known.shelf(&api.config());
    let flows = known.flows.unwrap_or_default();
    let library = Library {
        flows: flows.into_iter().map(|(n, f)| (n, Arc::new(f))).collect(),
        shelf,
    };
    let inputs = given(asked.inputs, &pointers(&library.flows))?;
    // A long one takes a while, and the other requests do not wait for it.
    let walked =
        tokio::task::spawn_blocking(move || walk(Arc::new(library), &name, imagined.call, imagined.at, &inputs));
    let trace: Trace = walked
        .await
        .map_err(|_| Problem::new(Code::Internal, "the dry run failed; report the flow as a fault"))?;
    request::ok(Walked {
        trace: trace
            .lines
            .into_iter()
            .map(|l| LineView {
                at_ms: l.at_ms,
                flow: l.flow,
                node: l.node,
                what: l.what,
            })
            .collect(),
        path: trace
            .path
            .into_iter()
            .map(|p| KeyView {
                key: p.key.to_string(),
                label: p.label,
            })
            .collect(),
        attached: trace.attached,
        end: end(&trace.end),
        unused: trace.unused,
        findings: views(&found),
    })
}

pub(crate) async fn decide(api: Desk, Body(asked): Body<Decide>) -> Answer {
    let plan: Plan = strowger_flows::plan(asked.plan.0).map_err(at("plan"))?;
    let mut known = asked.context.read(&api)?;
    let Imagined { call, at } = asked.call.read(&api)?;
    let found = plan.check(&|thing, name| known.has(&api.config(), thing, name));
    let shelf = known.shelf(&api.config());
    let decision = plan.decide(&Scene {
        at,
        conversation: call.conversation,
        caller: call.caller.as_ref(),
        region: call.region.as_ref(),
        called: &call.called,
        values: &BTreeMap::new(),
        shelf: &shelf,
    });
    request::ok(Decided {
        rule: decision.rule.and_then(|n| plan.rules.get(n)).map(|r| r.name.clone()),
        to: strowger_flows::way_of(decision.way),
        trace: decision
            .trace
            .into_iter()
            .map(|l| LookedView {
                rule: l.rule,
                holds: l.holds,
                why: l.why,
            })
            .collect(),
        at: rfc3339(at),
        findings: views(&found),
    })
}
