//! Users and API keys as they are stored.

use super::{Id, secret};
use crate::config::Secret;
use crate::identity::{ApiKey, Role, Scope, SecondFactor, User};
use serde::{Deserialize, Serialize};
use strowger_core::{KeyId, Stamp, TenantId, UserId};

#[derive(Serialize, Deserialize)]
pub(super) struct DiskUser {
    id: Id,
    tenant: Id,
    name: String,
    display_name: String,
    role: String,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    second_factor: Option<DiskFactor>,
    #[serde(default)]
    disabled: bool,
}

#[derive(Serialize, Deserialize)]
struct DiskFactor {
    secret: String,
    confirmed: bool,
    #[serde(default)]
    recovery: Vec<String>,
}

impl DiskUser {
    pub(super) fn of(u: &User) -> DiskUser {
        DiskUser {
            id: Id(u.id.0),
            tenant: Id(u.tenant.0),
            name: u.name.clone(),
            display_name: u.display_name.clone(),
            role: u.role.name().to_owned(),
            password: u.password.as_ref().map(secret),
            second_factor: u.second_factor.as_ref().map(|f| DiskFactor {
                secret: secret(&f.secret),
                confirmed: f.confirmed,
                recovery: f.recovery.clone(),
            }),
            disabled: u.disabled,
        }
    }

    pub(super) fn user(self) -> Option<User> {
        Some(User {
            id: UserId(self.id.0),
            tenant: TenantId(self.tenant.0),
            name: self.name,
            display_name: self.display_name,
            role: Role::of_name(&self.role)?,
            password: self.password.map(Secret::new),
            second_factor: self.second_factor.map(|f| SecondFactor {
                secret: Secret::new(f.secret),
                confirmed: f.confirmed,
                recovery: f.recovery,
            }),
            disabled: self.disabled,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct DiskKey {
    id: Id,
    tenant: Id,
    name: String,
    digest: String,
    scopes: Vec<String>,
    #[serde(default)]
    max_rate: u32,
    created_at: i64,
    #[serde(default)]
    expires_at: Option<i64>,
    #[serde(default)]
    disabled: bool,
}

impl DiskKey {
    pub(super) fn of(k: &ApiKey) -> DiskKey {
        DiskKey {
            id: Id(k.id.0),
            tenant: Id(k.tenant.0),
            name: k.name.clone(),
            digest: hex::encode(k.digest),
            scopes: k.scopes.iter().map(|s| s.name().to_owned()).collect(),
            max_rate: k.max_rate,
            created_at: k.created_at.0,
            expires_at: k.expires_at.map(|e| e.0),
            disabled: k.disabled,
        }
    }

    pub(super) fn key(self) -> Option<ApiKey> {
        let mut digest = [0; 32];
        hex::decode_to_slice(&self.digest, &mut digest).ok()?;
        Some(ApiKey {
            id: KeyId(self.id.0),
            tenant: TenantId(self.tenant.0),
            name: self.name,
            digest,
            // A scope that this version does not know is one that it does not grant.
            scopes: self.scopes.iter().filter_map(|s| Scope::of_name(s)).collect(),
            max_rate: self.max_rate,
            created_at: Stamp(self.created_at),
            expires_at: self.expires_at.map(Stamp),
            disabled: self.disabled,
        })
    }
}
