//! Numbers that somebody may call without seeing them (domain-model I21).

use crate::crypto::Place;
use crate::error::StoreError;
use crate::store::Store;
use strowger_core::number::CHINA;
use strowger_core::{ApplicationId, Number, TenantId};

fn place(tenant: TenantId, application: ApplicationId) -> Place {
    Place::new(b'N', tenant, application.0, 0)
}

impl Store {
    /// A number as a token that tells nothing about it: another one each time, good in this application only.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a tenant that is gone.
    pub fn hide_number(
        &self,
        tenant: TenantId,
        application: ApplicationId,
        number: &Number,
    ) -> Result<String, StoreError> {
        let key = self.inner.keys.get(tenant).ok_or(StoreError::NotFound("tenant"))?;
        let sealed = key.cipher.seal(place(tenant, application), number.as_str().as_bytes());
        Ok(hex::encode(sealed))
    }

    /// The number that a token of this application stands for; `None` for what is none.
    pub fn hidden_number(&self, tenant: TenantId, application: ApplicationId, token: &str) -> Option<Number> {
        let key = self.inner.keys.get(tenant)?;
        let sealed = hex::decode(token).ok()?;
        let plain = key.cipher.open(place(tenant, application), &sealed).ok()?;
        Number::parse(std::str::from_utf8(&plain).ok()?, CHINA).ok()
    }
}
