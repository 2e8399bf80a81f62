//! Accounts: API principals of a tenant, with tokens that can be replaced with an overlap.

use crate::desk::Desk;
use crate::error::Problem;
use crate::request::{self, Answer, Body, Listing, Path, Query};
use crate::rfc3339;
use serde::{Deserialize, Serialize};
use strowger_core::{AccountId, Stamp};
use strowger_store::{Account, Secret, Token};
use utoipa::ToSchema;

/// Longest overlap of two tokens: 90 days.
const MAX_OVERLAP: u64 = 90 * 86_400;

#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct View {
    id: String,
    tenant: String,
    name: String,
    max_conversations: u32,
    max_rate: u32,
    /// Thousandths of a currency unit a day; 0 is no limit.
    max_daily_spend: u64,
    disabled: bool,
    tokens: Vec<TokenView>,
    /// Shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AccountToken)]
pub(crate) struct TokenView {
    created_at: String,
    expires_at: Option<String>,
}

impl View {
    fn of(a: &Account, now: Stamp) -> View {
        View {
            id: a.id.to_string(),
            tenant: a.tenant.to_string(),
            name: a.name.clone(),
            max_conversations: a.max_conversations,
            max_rate: a.max_rate,
            max_daily_spend: a.max_daily_spend,
            disabled: a.disabled,
            tokens: a
                .tokens
                .iter()
                .filter(|t| t.valid_at(now))
                .map(|t| TokenView {
                    created_at: rfc3339(t.created_at),
                    expires_at: t.expires_at.map(rfc3339),
                })
                .collect(),
            token: None,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountCreate)]
pub(crate) struct Create {
    name: String,
    tenant: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountChange)]
pub(crate) struct Change {
    name: Option<String>,
    max_conversations: Option<u32>,
    max_rate: Option<u32>,
    max_daily_spend: Option<u64>,
    disabled: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenRotate)]
pub(crate) struct Rotate {
    /// Seconds that the present tokens stay valid beside the new one.
    #[serde(default)]
    overlap: u64,
}

fn find(api: &Desk, text: &str) -> Result<Account, Problem> {
    let id: AccountId = request::id("account", text)?;
    let config = api.config();
    let account = config.account(id).ok_or_else(|| Problem::not_found("account", id))?;
    Ok(Account::clone(account))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let config = api.config();
    let filter = asked.tenant(&api)?;
    let now = (api.now)();
    let accounts = config.accounts().filter(|a| request::shows(filter, a.tenant));
    asked.page(accounts.map(|a| (a.id.to_string(), View::of(a, now))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let account = find(&api, &id)?;
    let view = View::of(&account, (api.now)());
    api.shown(account, view)
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let tenant = request::tenant(&api.config(), create.tenant.as_deref())?;
    let now = (api.now)();
    let token = request::random_hex::<16>()?;
    // Integrators write the id as a user name; random, so that one cannot be guessed from another.
    let id = request::body_id("id", &request::random_hex::<16>()?)?;
    let account = Account {
        tokens: vec![Token {
            secret: Secret::new(token.clone()),
            created_at: now,
            expires_at: None,
        }],
        ..Account::new(id, tenant, request::name("name", &create.name)?)
    };
    let view = View {
        token: Some(token),
        ..View::of(&account, now)
    };
    api.create(account, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut account = find(&api, &id)?;
    api.expects(&account)?;
    if let Some(name) = change.name {
        account.name = request::name("name", &name)?;
    }
    account.max_conversations = change.max_conversations.unwrap_or(account.max_conversations);
    account.max_rate = change.max_rate.unwrap_or(account.max_rate);
    account.max_daily_spend = change.max_daily_spend.unwrap_or(account.max_daily_spend);
    account.disabled = change.disabled.unwrap_or(account.disabled);
    let view = View::of(&account, (api.now)());
    api.replace(account, view).await
}

pub(crate) async fn rotate(api: Desk, Path(id): Path<String>, Body(rotate): Body<Rotate>) -> Answer {
    if rotate.overlap > MAX_OVERLAP {
        return Err(Problem::parameter(
            "overlap",
            format!("the overlap is 0 to {MAX_OVERLAP} seconds (90 days)"),
        ));
    }
    let account = find(&api, &id)?;
    let now = (api.now)();
    let token = request::random_hex::<16>()?;
    api.store
        .rotate_token(account.id, Secret::new(token.clone()), now, rotate.overlap * 1000)
        .await?;
    let view = View {
        token: Some(token),
        ..View::of(&find(&api, &id)?, now)
    };
    request::created(view)
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let account = find(&api, &id)?;
    api.remove(&account).await
}
