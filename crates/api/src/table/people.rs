//! Who may use the platform: logins, users, keys, the audit log, tenants and accounts.

use crate::error::Code;
use crate::identity::{audit, keys, login, me, users};
use crate::op::{Needs, Op};
use crate::request::Listing;
use crate::{accounts, tenants};
use strowger_store::identity::Scope::{AuditRead, IdentityRead, IdentityWrite, ResourcesRead};

pub(super) fn identity() -> Vec<Op> {
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

pub(super) fn of_tenants() -> Vec<Op> {
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
