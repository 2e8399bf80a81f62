//! Dial links (voice-paas 13.2): a signed link in a customer's page that rings an agent, and then the number behind the link.
//!
//! `GET …/cc/dial?agentNo=&userNumber=&userData=&ts=&sign=`. The link carries no credentials: `sign` is the HMAC-SHA256, in
//! lower-case hexadecimal, of the account's and the application's id, `agentNo`, `userNumber`, `userData` and `ts`, one a line,
//! under a token of the account; `ts` is the second of signing since 1970. So a page that shows a link can change nothing in it,
//! and a link that was kept is worth nothing.

use crate::auth::{self, Caller};
use crate::code::{Code, Failure};
use crate::http::{Base, Segments, Stop, VoicePaas, json};
use crate::ids::conversation_sid;
use crate::params::{Params, number};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use strowger_core::centre::agent::Refusal;
use strowger_core::{AccountId, ApplicationId, ConversationId, TenantId};
use strowger_runtime::centre::{Action, CentreError, Desks, Dialled};
use strowger_store::Store;
use subtle::{Choice, ConstantTimeEq};

/// Seconds for which a link is good, before and after the time in it.
const GOOD_FOR: i64 = 300;

/// What the dialect asks of a contact centre.
pub trait Agents: Send + Sync {
    /// Rings an agent of the application, by its number or login, and then `number`.
    fn dial<'a>(
        &'a self,
        tenant: TenantId,
        application: ApplicationId,
        agent: &'a str,
        number: String,
        user_data: String,
    ) -> AgentAnswer<'a>;
}

/// A boxed answer.
pub type AgentAnswer<'a> = Pin<Box<dyn Future<Output = Result<ConversationId, Failure>> + Send + 'a>>;

/// The agents at the desks.
pub struct DeskAgents {
    store: Store,
    desks: Arc<dyn Desks>,
}

impl DeskAgents {
    /// Agents as the store has them, at these desks.
    pub fn new(store: Store, desks: Arc<dyn Desks>) -> DeskAgents {
        DeskAgents { store, desks }
    }
}

impl Agents for DeskAgents {
    fn dial<'a>(
        &'a self,
        tenant: TenantId,
        application: ApplicationId,
        agent: &'a str,
        number: String,
        user_data: String,
    ) -> AgentAnswer<'a> {
        Box::pin(async move {
            let config = self.store.snapshot();
            let mut all = config.centre().agents();
            let found = all.find(|a| {
                a.tenant == tenant && a.application == application && (a.login == agent || a.extension == agent)
            });
            let found = found.filter(|a| !a.disabled).map(|a| a.id);
            let id = found.ok_or(Failure::plain(Code::AgentUnknown))?;
            let action = Action::DialWith(Dialled::Number(number), user_data);
            let call = self.desks.act(tenant, id, action).await.map_err(failure)?;
            call.ok_or(Failure::plain(Code::Internal))
        })
    }
}

fn failure(error: CentreError) -> Failure {
    match error {
        CentreError::NotFound => Failure::plain(Code::AgentUnknown),
        CentreError::Refused(Refusal::State { state, .. }) if state.is_off_duty() => {
            Failure::plain(Code::AgentNotSignedIn)
        }
        CentreError::Refused(Refusal::State { state, .. }) if state.is_engaged() => Failure::plain(Code::AgentBusy),
        CentreError::Refused(_) | CentreError::Chat(_) | CentreError::Callback(_) | CentreError::OtherCall => {
            Failure::plain(Code::AgentState)
        }
        CentreError::Call(error) => error.into(),
        CentreError::Number(_) => Failure::about(Code::NumberInvalid, "userNumber"),
        CentreError::Forbidden => Failure::plain(Code::NumberNotPermitted),
        CentreError::Display(_) => Failure::about(Code::DisplayNumberNotOwned, "displayNumber"),
        CentreError::Overloaded => Failure::Unavailable { retry_after: 1 },
    }
}

/// What is signed, and how: for the one who makes links.
pub fn sign(token: &str, account: AccountId, application: ApplicationId, link: &Link<'_>) -> String {
    let Link {
        agent,
        number,
        user_data,
        at,
    } = link;
    let text = format!("{account}\n{application}\n{agent}\n{number}\n{user_data}\n{at}");
    // A key of any length is one.
    let mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).map(|mac| mac.chain_update(text));
    mac.map(|mac| hex::encode(mac.finalize().into_bytes()))
        .unwrap_or_default()
}

/// The members of a link.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// `agentNo`.
    pub agent: &'a str,
    /// `userNumber`, as it is written.
    pub number: &'a str,
    /// `userData`, or empty.
    pub user_data: &'a str,
    /// `ts`, as it is written.
    pub at: &'a str,
}

impl Link<'_> {
    /// The members of a query, and its `sign`; what is not there is empty.
    fn of(pairs: &BTreeMap<String, String>) -> (Link<'_>, &str) {
        let member = |name: &str| pairs.get(name).map_or("", String::as_str);
        let link = Link {
            agent: member("agentNo"),
            number: member("userNumber"),
            user_data: member("userData"),
            at: member("ts"),
        };
        (link, member("sign"))
    }
}

/// Reads the query of a link, as its fuzz target does: a changed value changes the signature.
#[doc(hidden)]
pub fn fuzz_link(query: &[u8]) {
    let Some(uri) = std::str::from_utf8(query)
        .ok()
        .and_then(|q| format!("/?{q}").parse().ok())
    else {
        return;
    };
    let Ok(Query(pairs)) = Query::<BTreeMap<String, String>>::try_from_uri(&uri) else {
        return;
    };
    let (link, _) = Link::of(&pairs);
    let (account, application) = (AccountId(1), ApplicationId(1));
    let made = sign("token", account, application, &link);
    assert_eq!(made.len(), 64);
    let other = format!("{}0", link.at);
    let changed = Link { at: &other, ..link };
    assert_ne!(made, sign("token", account, application, &changed));
    let params = Params::of(&pairs);
    let _ = params.required("agentNo").and(params.required("userNumber"));
    let _ = number("userNumber", link.number, strowger_core::number::CHINA);
    let _ = params.user_data(128, false);
}

/// Whose link it is, if it is whole and not too old. One answer for every kind of failure.
fn check(state: &VoicePaas, account: &str, app: &str, link: &Link<'_>, signature: &str) -> Option<Caller> {
    let directory = &*state.directory;
    let account = directory.account(account.parse().ok()?)?;
    let application = auth::application(directory, &account, app.parse().ok()?)?;
    let now = directory.now();
    let age = now.secs().checked_sub(link.at.parse::<i64>().ok()?)?;
    // Every token is compared, whichever matches first, so that time tells nothing about their order.
    let mut matches = Choice::from(0);
    for token in &account.tokens {
        let alive = Choice::from(u8::from(token.expires_at.is_none_or(|end| now < end)));
        let filled = Choice::from(u8::from(!token.secret.is_empty()));
        let made = sign(&token.secret, account.id, application.id, link);
        matches |= made.as_bytes().ct_eq(signature.as_bytes()) & alive & filled;
    }
    let good = bool::from(matches) && !account.disabled && age.abs() <= GOOD_FOR;
    good.then_some(Caller { account, application })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dialling {
    conversation_sid: String,
    status_code: &'static str,
    status_msg: &'static str,
}

type Pairs = Result<Query<BTreeMap<String, String>>, QueryRejection>;

/// `GET …/cc/dial`. Answers JSON; 204 where a picture is asked for, as by a link that is one.
pub(crate) async fn link(
    State(state): State<VoicePaas>,
    path: Segments<Base>,
    query: Pairs,
    headers: HeaderMap,
) -> Response {
    let Ok(Path((version, account, app))) = path else {
        return Stop::NotFound.into_response();
    };
    let origin = allowed_origin(&state, &account, &app, &headers);
    let pairs = query.map(|Query(pairs)| pairs).unwrap_or_default();
    let answer = dial(&state, (&version, &account, &app), pairs).await;
    let picture = headers
        .get(header::ACCEPT)
        .and_then(|a| a.to_str().ok())
        .is_some_and(|a| a.trim_start().starts_with("image/"));
    let mut response = match answer {
        Ok(_) if picture => StatusCode::NO_CONTENT.into_response(),
        Ok(id) => json(
            StatusCode::OK,
            &Dialling {
                conversation_sid: conversation_sid(id),
                status_code: Code::Success.digits(),
                status_msg: Code::Success.text(),
            },
        ),
        Err(stop) => stop.into_response(),
    };
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

/// The page's origin, if the application lets pages of it read answers.
fn allowed_origin(state: &VoicePaas, account: &str, app: &str, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let account = state.directory.account(account.parse().ok()?)?;
    let application = auth::application(&*state.directory, &account, app.parse().ok()?)?;
    let text = origin.to_str().ok()?;
    let listed = application.settings.link_origins.iter().any(|o| o == text);
    listed.then(|| origin.clone())
}

async fn dial(
    state: &VoicePaas,
    (version, account, app): (&str, &str, &str),
    pairs: BTreeMap<String, String>,
) -> Result<ConversationId, Stop> {
    state.version(version)?;
    let (link, signature) = Link::of(&pairs);
    let caller = check(state, account, app, &link, signature);
    let caller = caller.ok_or(Failure::plain(Code::AuthenticationFailed))?;
    let params = Params::of(&pairs);
    let agent = params.required("agentNo")?;
    let text = params.required("userNumber")?;
    number("userNumber", text, state.settings.plan)?;
    let settings = &caller.application.settings;
    let data = params.user_data(settings.user_data_limit, settings.user_data_any)?;
    let (tenant, application) = (caller.account.tenant, caller.application.id);
    let call = state.agents.dial(tenant, application, agent, text.to_owned(), data);
    Ok(call.await?)
}
