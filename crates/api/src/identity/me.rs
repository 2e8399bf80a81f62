//! What a principal does to itself.

use super::second_factor::{self, Shown};
use super::{login, passwords, users};
use crate::desk::{Desk, Principal};
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body};
use serde::{Deserialize, Serialize};
use strowger_core::LoginId;
use strowger_store::identity::User;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub(crate) struct View {
    /// `user` or `key`.
    kind: &'static str,
    id: String,
    tenant: Option<String>,
    name: String,
    /// `null` for a key.
    role: Option<&'static str>,
    scopes: Vec<&'static str>,
    /// True if a one-time password is asked for at the login.
    second_factor: bool,
}

pub(crate) async fn show(api: Desk) -> Answer {
    let (kind, id, name) = api.principal.described();
    let (role, second_factor) = match &api.principal {
        Principal::User { role, id, .. } => {
            let config = api.config();
            let factor = config.user(*id).and_then(|u| u.second_factor.as_ref());
            (Some(role.name()), factor.is_some_and(|f| f.confirmed))
        }
        _ => (None, false),
    };
    request::ok(View {
        kind,
        id,
        tenant: api.only().map(|t| t.to_string()),
        name,
        role,
        scopes: api.principal.scopes().iter().map(|s| s.name()).collect(),
        second_factor,
    })
}

/// The user that asks, as it is stored.
fn own(api: &Desk) -> Result<(User, LoginId), Problem> {
    let gone = || Problem::new(Code::Unauthenticated, "the user is gone");
    let Principal::User { id, login, .. } = &api.principal else {
        return Err(gone());
    };
    let config = api.config();
    Ok((User::clone(config.user(*id).ok_or_else(gone)?), *login))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasswordChange)]
pub(crate) struct PasswordChange {
    #[schema(format = Password)]
    old: String,
    #[schema(format = Password)]
    new: String,
}

/// A wrong password of somebody who is logged in: counted like a wrong login, or the token would be a way to guess.
async fn confirm(api: &Desk, user: &User, password: &str) -> Result<(), Problem> {
    let now = (api.now)();
    let counted = super::throttle::Counted::name(&user.tenant.to_string(), &user.name);
    api.identity.throttle.check(counted, now).map_err(|seconds| Problem {
        retry_after: Some(seconds),
        ..Problem::new(
            Code::Attempts,
            format!("too many wrong tries; the next one is listened to in {seconds} seconds"),
        )
    })?;
    if passwords::fits(api, user.password.as_ref(), password).await? {
        return Ok(());
    }
    api.identity.throttle.wrong(counted, now);
    Err(Problem::new(Code::Unauthorized, "the present password is wrong"))
}

pub(crate) async fn change_password(api: Desk, Body(asked): Body<PasswordChange>) -> Answer {
    let (user, _) = own(&api)?;
    confirm(&api, &user, &asked.old).await?;
    let password = passwords::hash(&api, "new", &asked.new, &user.name).await?;
    let _one = api.changing.lock().await;
    let (mut user, present) = own(&api)?;
    user.password = Some(password);
    api.store.put(user.clone()).await?;
    // Whoever knew the old password is out.
    login::end_all(&api, &user, Some(present)).await?;
    request::done()
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasswordAgain)]
pub(crate) struct PasswordAgain {
    #[schema(format = Password)]
    password: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SecondFactorBegun)]
pub(crate) struct Begun {
    /// Base 32, for typing.
    secret: String,
    /// `otpauth:` URI, for scanning.
    uri: String,
}

pub(crate) async fn begin_factor(api: Desk, Body(asked): Body<PasswordAgain>) -> Answer {
    let (user, _) = own(&api)?;
    confirm(&api, &user, &asked.password).await?;
    let _one = api.changing.lock().await;
    let (mut user, _) = own(&api)?;
    if user.second_factor.as_ref().is_some_and(|f| f.confirmed) {
        return Err(Problem::new(
            Code::Exists,
            "there is a second factor already; remove it first",
        ));
    }
    let factor = second_factor::begin()?;
    let (secret, uri) = second_factor::shown(&factor, &user)
        .ok_or_else(|| Problem::new(Code::Internal, "the new secret cannot be shown"))?;
    user.second_factor = Some(factor);
    api.store.put(user).await?;
    request::ok(Begun { secret, uri })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecondFactorCode)]
pub(crate) struct FactorCode {
    /// As the authenticator shows it.
    code: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RecoveryCodes)]
pub(crate) struct Recovery {
    /// Each is good once, in place of a one-time password. Shown once.
    recovery_codes: Vec<String>,
}

pub(crate) async fn confirm_factor(api: Desk, Body(asked): Body<FactorCode>) -> Answer {
    let _one = api.changing.lock().await;
    let (mut user, _) = own(&api)?;
    let Some(factor) = user.second_factor.as_mut().filter(|f| !f.confirmed) else {
        return Err(Problem::new(
            Code::NotFound,
            "there is no second factor to confirm; begin with POST /api/v1/me/second-factor",
        ));
    };
    if !matches!(
        second_factor::check(factor, &asked.code, (api.now)()),
        Some(Shown::Step(_))
    ) {
        return Err(Problem::parameter(
            "code",
            "the code is wrong; check that the clock of the telephone is right, and type the newest code",
        ));
    }
    let (codes, stored) = second_factor::recovery()?;
    factor.confirmed = true;
    factor.recovery = stored;
    api.store.put(user).await?;
    request::ok(Recovery { recovery_codes: codes })
}

pub(crate) async fn remove_factor(api: Desk, Body(asked): Body<PasswordAgain>) -> Answer {
    let (user, _) = own(&api)?;
    confirm(&api, &user, &asked.password).await?;
    let _one = api.changing.lock().await;
    let (mut user, _) = own(&api)?;
    if user.second_factor.take().is_none() {
        return Err(Problem::new(Code::NotFound, "there is no second factor"));
    }
    api.store.put(user).await?;
    request::done()
}

pub(crate) async fn logins(api: Desk) -> Answer {
    let (user, present) = own(&api)?;
    users::login_list(&api, &user, Some(present)).await
}

pub(crate) async fn end_logins(api: Desk) -> Answer {
    let (user, present) = own(&api)?;
    login::end_all(&api, &user, Some(present)).await?;
    request::done()
}
