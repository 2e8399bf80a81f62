//! Addresses of record.

use crate::uri::{Scheme, Uri};
use std::fmt;
use std::sync::Arc;

/// An address of record: a user of a tenant's domain. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Aor {
    domain: Arc<str>,
    user: Arc<str>,
}

impl Aor {
    /// `domain` is compared without case, `user` with it and without percent escapes (RFC 3261 §19.1.4).
    pub fn new(domain: &str, user: &str) -> Aor {
        let domain = if domain.bytes().any(|b| b.is_ascii_uppercase()) {
            domain.to_ascii_lowercase().into()
        } else {
            domain.into()
        };
        Aor {
            domain,
            user: user.into(),
        }
    }

    /// User and host of a sip or sips URI; `None` for other schemes and without a user.
    pub fn of_uri(uri: &Uri) -> Option<Aor> {
        let sip = matches!(uri.scheme(), Scheme::Sip | Scheme::Sips);
        (sip && !uri.user().is_empty()).then(|| Aor::new(uri.host(), &uri.user_decoded()))
    }

    /// The domain in lower case.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The user without percent escapes.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The same address with the domain's memory shared with `other`, if they are of one domain.
    pub(super) fn sharing(&self, domain: &Arc<str>) -> Aor {
        Aor {
            domain: domain.clone(),
            user: self.user.clone(),
        }
    }

    pub(super) fn domain_arc(&self) -> &Arc<str> {
        &self.domain
    }
}

impl fmt::Debug for Aor {
    /// Hides the user: numbers do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aor(.. at {:?})", self.domain)
    }
}
