//! Users of a tenant.

use super::throttle::Counted;
use super::{login, passwords};
use crate::desk::{Desk, Principal};
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Listing, Path, Query};
use serde::{Deserialize, Serialize};
use strowger_core::{LoginId, UserId};
use strowger_store::Secret;
use strowger_store::identity::{Role, User};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct View {
    id: String,
    tenant: String,
    /// What is typed at the login.
    name: String,
    display_name: String,
    /// `owner`, `admin`, `leader`, `agent` or `auditor`.
    role: &'static str,
    /// False for one who cannot log in yet.
    password_set: bool,
    /// True if a one-time password is asked for at the login.
    second_factor: bool,
    disabled: bool,
    /// Shown once, when it was made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl View {
    pub(crate) fn of(u: &User) -> View {
        View {
            id: u.id.to_string(),
            tenant: u.tenant.to_string(),
            name: u.name.clone(),
            display_name: u.display_name.clone(),
            role: u.role.name(),
            password_set: u.password.is_some(),
            second_factor: u.second_factor.as_ref().is_some_and(|f| f.confirmed),
            disabled: u.disabled,
            password: None,
        }
    }
}

/// A password that was given or is to be made: its stored form, and what is shown of it.
async fn password(
    api: &Desk,
    given: Option<&str>,
    make: bool,
    name: &str,
) -> Result<(Option<Secret>, Option<String>), Problem> {
    match (given, make) {
        (None, false) => Ok((None, None)),
        (Some(text), false) => Ok((Some(passwords::hash(api, "password", text, name).await?), None)),
        (None, true) => {
            let made = request::random_hex::<10>()?;
            Ok((Some(passwords::hash(api, "password", &made, name).await?), Some(made)))
        }
        (Some(_), true) => Err(Problem::parameter(
            "make_password",
            "give a password, or have one made, not both",
        )),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserCreate)]
pub(crate) struct Create {
    /// What is typed at the login: 1 to 64 letters, digits or `.-_@+`.
    name: String,
    tenant: Option<String>,
    display_name: Option<String>,
    /// `owner`, `admin`, `leader`, `agent` or `auditor`.
    role: String,
    /// 10 to 128 characters; without it the user cannot log in yet.
    #[schema(format = Password)]
    password: Option<String>,
    /// True makes a password, which is shown once.
    #[serde(default)]
    make_password: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
pub(crate) struct Change {
    display_name: Option<String>,
    role: Option<String>,
    /// Ends all logins of the user.
    #[schema(format = Password)]
    password: Option<String>,
    /// True makes a password, which is shown once, and ends all logins of the user.
    #[serde(default)]
    make_password: bool,
    /// True takes the second factor away, for one who lost it.
    #[serde(default)]
    remove_second_factor: bool,
    disabled: Option<bool>,
}

fn role(text: &str) -> Result<Role, Problem> {
    Role::of_name(text).ok_or_else(|| {
        let known: Vec<&str> = Role::ALL.iter().map(|r| r.name()).collect();
        Problem::parameter("role", format!("role is one of {}", known.join(", ")))
    })
}

/// Owners are made, changed and removed by owners alone, and nobody makes or changes one who may do more than they.
fn may_touch(api: &Desk, role: Role) -> Result<(), Problem> {
    let owner = matches!(
        &api.principal,
        Principal::Platform | Principal::User { role: Role::Owner, .. }
    );
    if role == Role::Owner && !owner {
        return Err(Problem::new(
            Code::Forbidden,
            "only an owner makes, changes or removes an owner",
        ));
    }
    if let Some(scope) = role.scopes().iter().find(|s| !api.principal.may(**s)) {
        return Err(Problem::new(
            Code::Forbidden,
            format!(
                "the role {} has the scope {}, which you do not have",
                role.name(),
                scope.name()
            ),
        ));
    }
    Ok(())
}

/// A tenant keeps an owner who can log in, once it has one.
fn keeps_owner(api: &Desk, without: &User) -> Result<(), Problem> {
    let able = |u: &User| u.role == Role::Owner && !u.disabled;
    let others = api
        .config()
        .users()
        .any(|u| u.tenant == without.tenant && u.id != without.id && able(u));
    if able(without) && !others && api.principal != Principal::Platform {
        return Err(Problem::new(
            Code::InUse,
            "this is the tenant's last owner; make another one first",
        ));
    }
    Ok(())
}

/// A user by id, or by name if only one tenant can be meant.
pub(crate) fn find(api: &Desk, text: &str) -> Result<User, Problem> {
    let config = api.config();
    let by_id = text.parse::<UserId>().ok().and_then(|id| config.user(id));
    let name = text.to_lowercase();
    let mut named = config.users().filter(|u| u.name == name);
    let found = match (by_id, named.next(), named.next()) {
        (Some(user), _, _) | (None, Some(user), None) => user,
        (None, Some(_), Some(_)) => {
            return Err(Problem::new(
                Code::TenantRequired,
                format!("several tenants have a user {text:?}; name it by its id"),
            ));
        }
        _ => return Err(Problem::not_found("user", format!("{text:?}"))),
    };
    Ok(User::clone(found))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let filter = asked.tenant(&api)?;
    let config = api.config();
    let users = config.users().filter(|u| request::shows(filter, u.tenant));
    asked.page(users.map(|u| (u.id.to_string(), View::of(u))))
}

pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let user = find(&api, &id)?;
    let view = View::of(&user);
    api.shown(user, view)
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let tenant = request::tenant(&api.config(), create.tenant.as_deref())?;
    let role = role(&create.role)?;
    may_touch(&api, role)?;
    let name = create.name.trim().to_lowercase();
    let good = |c: char| c.is_alphanumeric() || ".-_@+".contains(c);
    if !(1..=64).contains(&name.chars().count()) || !name.chars().all(good) {
        return Err(Problem::parameter(
            "name",
            "name has 1 to 64 letters, digits, '.', '-', '_', '@' or '+'",
        ));
    }
    let mut user = User::new(UserId(request::mint(&api)?), tenant, name, role);
    if let Some(text) = &create.display_name {
        user.display_name = request::name("display_name", text)?;
    }
    let (stored, shown) = password(&api, create.password.as_deref(), create.make_password, &user.name).await?;
    user.password = stored;
    let view = View {
        password: shown,
        ..View::of(&user)
    };
    api.create(user, view).await
}

pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let before = find(&api, &id)?;
    may_touch(&api, before.role)?;
    let (password, shown) = password(&api, change.password.as_deref(), change.make_password, &before.name).await?;
    let _one = api.changing.lock().await;
    let mut user = find(&api, &id)?;
    may_touch(&api, user.role)?;
    api.expects(&user)?;
    let before = user.clone();
    if let Some(text) = &change.display_name {
        user.display_name = request::name("display_name", text)?;
    }
    if let Some(text) = &change.role {
        user.role = role(text)?;
        may_touch(&api, user.role)?;
    }
    user.disabled = change.disabled.unwrap_or(user.disabled);
    if user.role != before.role || user.disabled {
        keeps_owner(&api, &before)?;
    }
    let ends = password.is_some() || user.disabled;
    user.password = password.or(user.password);
    if change.remove_second_factor {
        user.second_factor = None;
    }
    let view = View {
        password: shown,
        ..View::of(&user)
    };
    let answer = api.replace(user.clone(), view).await?;
    if ends {
        // Whoever guessed at the old one is forgotten with it.
        let counted = Counted::name(&user.tenant.to_string(), &user.name);
        api.identity.throttle.right(counted);
        login::end_all(&api, &user, None).await?;
    }
    Ok(answer)
}

pub(crate) async fn remove(api: Desk, Path(id): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let user = find(&api, &id)?;
    may_touch(&api, user.role)?;
    keeps_owner(&api, &user)?;
    let answer = api.remove(&user).await?;
    login::end_all(&api, &user, None).await?;
    Ok(answer)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Login)]
pub(crate) struct LoginView {
    id: String,
    at: String,
    used_at: String,
    expires_at: String,
    /// Address that it came from.
    source: String,
    /// True for the one that asks.
    present: bool,
}

pub(super) async fn login_list(api: &Desk, user: &User, present: Option<LoginId>) -> Answer {
    let logins = api.store.logins(user.tenant, user.id, (api.now)()).await?;
    request::list(logins.into_iter().map(|l| LoginView {
        id: l.id.to_string(),
        at: crate::rfc3339(l.at),
        used_at: crate::rfc3339(l.used_at),
        expires_at: crate::rfc3339(l.expires_at),
        source: l.source,
        present: Some(l.id) == present,
    }))
}

pub(crate) async fn logins(api: Desk, Path(id): Path<String>) -> Answer {
    let user = find(&api, &id)?;
    login_list(&api, &user, None).await
}

pub(crate) async fn end_logins(api: Desk, Path(id): Path<String>) -> Answer {
    let user = find(&api, &id)?;
    may_touch(&api, user.role)?;
    login::end_all(&api, &user, None).await?;
    request::done()
}
