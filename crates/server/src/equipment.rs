//! What flows and plans ask of the outside: tenants' servers through the checked client, and the table of regions.

use crate::config::Config;
use crate::wire::StartError;
use std::sync::Arc;
use strowger_core::TenantId;
use strowger_core::route::Regions;
use strowger_notify::{Asker, Question};
use strowger_runtime::equipment::{Equipment, Web, WebAnswer, WebReply, WebRequest};
use strowger_store::Store;

struct Outside(Arc<Asker>);

impl Web for Outside {
    fn send(&self, tenant: TenantId, request: WebRequest) -> WebReply {
        let asker = self.0.clone();
        Box::pin(async move {
            let question = Question {
                method: request.method.name(),
                url: request.url,
                headers: request.headers,
                body: request.body,
                timeout: request.timeout,
                most: request.most,
            };
            let (status, body) = asker.ask(tenant, question).await?;
            Some(WebAnswer { status, body })
        })
    }
}

/// Reads the table of regions and makes the client.
///
/// # Errors
/// [`StartError::Regions`]: the table cannot be read.
pub fn open(config: &Config, store: &Store) -> Result<Equipment, StartError> {
    let regions = match &config.routing.regions {
        None => Regions::default(),
        Some(path) => {
            let failed = |why: &dyn std::fmt::Display| StartError::Regions(format!("{}: {why}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
            Regions::parse(&text).map_err(|e| failed(&e))?
        }
    };
    Ok(Equipment {
        web: Some(Arc::new(Outside(Arc::new(Asker::new(store.clone()))))),
        regions: Arc::new(regions),
    })
}
