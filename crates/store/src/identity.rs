//! Who may use a tenant's part of the platform: users with a role, and API keys with scopes.

use crate::config::Secret;
use strowger_core::{KeyId, Stamp, TenantId, UserId, words};

words! {
    /// What a user is in the tenant. Each role has the scopes of [`Role::scopes`].
    Role {
        /// Everything, and the only one who makes owners.
        Owner = "owner",
        /// Everything but owners.
        Admin = "admin",
        /// Calls and the work of agents.
        Leader = "leader",
        /// Takes and makes calls.
        Agent = "agent",
        /// Reads everything, changes nothing.
        Auditor = "auditor",
    }
}

words! {
    /// What a principal may do.
    Scope {
        /// See resources.
        ResourcesRead = "resources:read",
        /// Change resources.
        ResourcesWrite = "resources:write",
        /// See calls, records, deliveries and transcripts.
        CallsRead = "calls:read",
        /// Place, end and record calls; send deliveries again.
        CallsWrite = "calls:write",
        /// Read the SIP messages of calls.
        DiagnosticsRead = "diagnostics:read",
        /// Work as the agent that the user is bound to.
        CentreAgent = "centre:agent",
        /// See and steer all agents and queues.
        CentreSupervise = "centre:supervise",
        /// Open chats for customers and speak for them.
        ChatsWrite = "chats:write",
        /// Follow events.
        EventsRead = "events:read",
        /// See users, keys and accounts.
        IdentityRead = "identity:read",
        /// Change users, keys and accounts.
        IdentityWrite = "identity:write",
        /// Read the audit log.
        AuditRead = "audit:read",
    }
}

impl Role {
    /// What the role may do.
    pub const fn scopes(self) -> &'static [Scope] {
        match self {
            Role::Owner | Role::Admin => Scope::ALL,
            Role::Leader => &[
                Scope::ResourcesRead,
                Scope::CallsRead,
                Scope::CallsWrite,
                Scope::CentreAgent,
                Scope::CentreSupervise,
                Scope::EventsRead,
            ],
            Role::Agent => &[Scope::CentreAgent],
            Role::Auditor => &[
                Scope::ResourcesRead,
                Scope::CallsRead,
                Scope::EventsRead,
                Scope::IdentityRead,
                Scope::AuditRead,
            ],
        }
    }
}

/// A person of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Tenant.
    pub tenant: TenantId,
    /// What is typed at the login: lower case, the tenant's only one of that name.
    pub name: String,
    /// Name for people.
    pub display_name: String,
    /// What the user may do.
    pub role: Role,
    /// Hash of the password in the PHC string format; `None` for one who cannot log in yet.
    pub password: Option<Secret>,
    /// The second factor.
    pub second_factor: Option<SecondFactor>,
    /// Out of service by hand.
    pub disabled: bool,
}

impl User {
    /// A user in service, who cannot log in until a password is set.
    pub fn new(id: UserId, tenant: TenantId, name: impl Into<String>, role: Role) -> User {
        let name = name.into();
        User {
            id,
            tenant,
            display_name: name.clone(),
            name,
            role,
            password: None,
            second_factor: None,
            disabled: false,
        }
    }
}

/// A shared secret of time-based one-time passwords (RFC 6238).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondFactor {
    /// The secret, hexadecimal.
    pub secret: Secret,
    /// False until the user has shown one code of it; it is not asked for before.
    pub confirmed: bool,
    /// SHA-256 digests of the recovery codes that are left, hexadecimal.
    pub recovery: Vec<String>,
}

/// A key of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Id; part of the key that the program sends.
    pub id: KeyId,
    /// Tenant.
    pub tenant: TenantId,
    /// Name, for people.
    pub name: String,
    /// SHA-256 of the secret. The secret has 192 random bits, so a slow hash would add nothing.
    pub digest: [u8; 32],
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Requests per second; 0 for the listener's limit.
    pub max_rate: u32,
    /// When it was made.
    pub created_at: Stamp,
    /// First moment at which it is not valid any more.
    pub expires_at: Option<Stamp>,
    /// Out of service by hand.
    pub disabled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_no_role_has_more_than_the_owner() {
        for role in Role::ALL {
            assert_eq!(Role::of_name(role.name()), Some(*role));
            assert!(role.scopes().iter().all(|s| Role::Owner.scopes().contains(s)));
        }
        for scope in Scope::ALL {
            assert_eq!(Scope::of_name(scope.name()), Some(*scope));
        }
        assert!(!Role::Auditor.scopes().iter().any(|s| s.name().ends_with(":write")));
        assert_eq!(Role::of_name("Owner"), None);
    }
}
