//! Logging in, going on, and logging out.

use super::second_factor::{self, Shown};
use super::throttle::Counted;
use super::{digest, passwords, tokens};
use crate::Api;
use crate::desk::{Desk, Principal};
use crate::error::{Code, Problem};
use crate::guard::{self, Source};
use crate::request::{self, Answer, Body};
use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use strowger_core::{LoginId, TenantId};
use strowger_store::config::Config;
use strowger_store::identity::User;
use strowger_store::{Login, NewLogin, Refreshed};
use utoipa::ToSchema;

/// A login is over after so many days without a new one.
const LOGIN_DAYS: u64 = 30;
/// How refresh tokens begin, so that one that was left somewhere is found.
const REFRESH_PREFIX: &str = "swr_";

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LoginRequest)]
pub(crate) struct Create {
    /// The tenant's name, SIP domain or id; needed only if the installation has several.
    tenant: Option<String>,
    name: String,
    #[schema(format = Password)]
    password: String,
    /// A one-time password of the authenticator, or a recovery code; needed once a second factor is set.
    code: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefreshRequest)]
pub(crate) struct Refresh {
    refresh_token: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct View {
    /// Send it as `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds that the access token is valid.
    expires_in: u64,
    /// Exchange it for new tokens before the login is over. It is good once: a second use ends the login.
    refresh_token: String,
    /// When the login is over.
    login_expires_at: String,
    user: super::users::View,
}

fn refresh_token() -> Result<String, Problem> {
    Ok(format!("{REFRESH_PREFIX}{}", request::random_hex::<32>()?))
}

/// The tenant that a login means. Which tenants there are is not told.
fn tenant(config: &Config, named: Option<&str>) -> Result<Option<TenantId>, Problem> {
    let mut all = config.tenants().filter(|t| !t.disabled);
    let Some(text) = named else {
        return match (all.next(), all.next()) {
            (Some(only), None) => Ok(Some(only.id)),
            (None, _) => Ok(None),
            _ => Err(Problem::new(
                Code::TenantRequired,
                "there are several tenants; name yours in 'tenant', by its name or domain",
            )),
        };
    };
    let fits = |t: &str| t.eq_ignore_ascii_case(text);
    Ok(all
        .find(|t| t.name == text || t.domain.as_deref().is_some_and(fits) || fits(&t.id.to_string()))
        .map(|t| t.id))
}

async fn answer(api: &Api, user: &User, login: &Login, refresh_token: String) -> Answer {
    request::ok(View {
        access_token: tokens::sign(api, user, login.id).await?,
        token_type: "Bearer",
        expires_in: tokens::ACCESS_SECONDS,
        refresh_token,
        login_expires_at: crate::rfc3339(login.expires_at),
        user: super::users::View::of(user),
    })
}

fn as_principal(user: &User, login: LoginId) -> Principal {
    Principal::User {
        tenant: user.tenant,
        id: user.id,
        name: user.name.clone(),
        role: user.role,
        login,
    }
}

/// One answer for everything that is wrong, after the same time.
fn wrong() -> Problem {
    Problem::new(
        Code::Unauthorized,
        "tenant, name, password or code is wrong; after several wrong tries the name is locked for a while",
    )
}

pub(crate) async fn create(
    State(api): State<Api>,
    Extension(Source(source)): Extension<Source>,
    Body(asked): Body<Create>,
) -> Answer {
    let now = (api.now)();
    let config = api.store.snapshot();
    let tenant = tenant(&config, asked.tenant.as_deref())?;
    let place = tenant.map_or_else(|| asked.tenant.clone().unwrap_or_default(), |t| t.to_string());
    let counted = [Counted::name(&place, &asked.name), Counted::source(&source)];
    for c in counted {
        api.identity.throttle.check(c, now).map_err(|seconds| Problem {
            retry_after: Some(seconds),
            ..Problem::new(
                Code::Attempts,
                format!("too many wrong tries; the next one is listened to in {seconds} seconds"),
            )
        })?;
    }
    let user = tenant
        .and_then(|t| config.user_by_name(t, &asked.name))
        .filter(|u| !u.disabled);
    let refused = async |what: Problem| {
        let locked = counted.map(|c| api.identity.throttle.wrong(c, now)).contains(&true);
        // What is written of names that do not exist would be written by anybody; the throttle bounds it.
        let outcome = if locked {
            Code::Attempts.text()
        } else {
            what.code.text()
        };
        let resource = user.map_or_else(String::new, |u| format!("users/{}", u.id));
        guard::write(
            &api,
            &Principal::Nobody,
            tenant,
            "login",
            resource,
            source.clone(),
            outcome,
        )
        .await;
        Err(what)
    };
    let password = user.and_then(|u| u.password.as_ref());
    let fits = passwords::fits(&api, password, &asked.password).await?;
    let Some(user) = user.filter(|_| fits) else {
        return refused(wrong()).await;
    };
    let mut step = None;
    if let Some(factor) = user.second_factor.as_ref().filter(|f| f.confirmed) {
        let Some(code) = asked.code.as_deref().filter(|c| !c.is_empty()) else {
            // Not a wrong try: the client did not know that a code is needed.
            return Err(Problem::new(
                Code::SecondFactor,
                "the password is right; send the one-time password of your authenticator, or a recovery code, as 'code'",
            ));
        };
        match second_factor::check(factor, code, now) {
            Some(Shown::Step(s)) => step = Some(s),
            Some(Shown::Recovery(place)) => {
                if !use_recovery(&api, user, place).await? {
                    return refused(wrong()).await;
                }
            }
            None => return refused(wrong()).await,
        }
    }
    let token = refresh_token()?;
    let new = NewLogin {
        tenant: user.tenant,
        user: user.id,
        at: now,
        expires_at: now.plus_secs(LOGIN_DAYS * 86_400),
        factor_step: step,
        source: source.clone(),
        refresh: digest(&token),
    };
    let Some(login) = api.store.begin_login(new).await? else {
        // The one-time password was used before: somebody looked over a shoulder.
        return refused(wrong()).await;
    };
    for c in counted {
        api.identity.throttle.right(c);
    }
    let principal = as_principal(user, login.id);
    guard::write(&api, &principal, tenant, "login", String::new(), source, "done").await;
    answer(&api, user, &login, token).await
}

/// Takes a recovery code off the list; false if another login was faster.
async fn use_recovery(api: &Api, user: &User, place: usize) -> Result<bool, Problem> {
    let _one = api.changing.lock().await;
    let config = api.store.snapshot();
    let Some(stored) = config.user(user.id) else {
        return Ok(false);
    };
    if stored.second_factor != user.second_factor {
        return Ok(false);
    }
    let mut changed = User::clone(stored);
    if let Some(factor) = &mut changed.second_factor {
        factor.recovery.remove(place);
    }
    api.store.put(changed).await?;
    Ok(true)
}

pub(crate) async fn refresh(
    State(api): State<Api>,
    Extension(Source(source)): Extension<Source>,
    Body(asked): Body<Refresh>,
) -> Answer {
    let now = (api.now)();
    let bad = |why: &str| Err(Problem::new(Code::RefreshToken, why));
    let token = refresh_token()?;
    let refreshed = api
        .store
        .refresh_login(digest(&asked.refresh_token), digest(&token), now);
    match refreshed.await? {
        Refreshed::Unknown => bad("the refresh token is not valid, or its login is over; log in again"),
        Refreshed::Reused(login) => {
            api.identity.signer.revoke(login.id, now);
            let resource = format!("users/{}", login.user);
            let (tenant, nobody) = (Some(login.tenant), &Principal::Nobody);
            guard::write(&api, nobody, tenant, "login.refresh", resource, source, "auth.reused").await;
            bad("the refresh token was used before, so somebody has a copy of it; the login was ended, log in again")
        }
        Refreshed::Done(login) => {
            let config = api.store.snapshot();
            let enabled = config.tenant(login.tenant).is_some_and(|t| !t.disabled);
            match config.user(login.user).filter(|u| !u.disabled && enabled) {
                Some(user) => answer(&api, user, &login, token).await,
                None => bad("the user is switched off or gone"),
            }
        }
    }
}

pub(crate) async fn end(api: Desk) -> Answer {
    if let Principal::User { tenant, id, login, .. } = &api.principal {
        let now = (api.now)();
        api.store.revoke_logins(*tenant, *id, Some(*login), now).await?;
        api.identity.signer.revoke(*login, now);
    }
    request::done()
}

/// Ends all logins of a user but one.
pub(crate) async fn end_all(api: &Api, user: &User, but: Option<LoginId>) -> Result<usize, Problem> {
    let now = (api.now)();
    let mut ended = 0;
    for login in api.store.logins(user.tenant, user.id, now).await? {
        if Some(login.id) == but {
            continue;
        }
        for id in api
            .store
            .revoke_logins(user.tenant, user.id, Some(login.id), now)
            .await?
        {
            api.identity.signer.revoke(id, now);
            ended += 1;
        }
    }
    Ok(ended)
}
