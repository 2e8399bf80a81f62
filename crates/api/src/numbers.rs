//! Numbers of the installation: who may show them, and whether they may be called.

use crate::error::Problem;
use crate::request::{self, Answer, Body, OfTenant};
use crate::{Api, tenants};
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use strowger_core::resource::OwnedNumber;
use strowger_store::config::{Resource, ResourceId};

#[derive(Serialize)]
struct View {
    number: String,
    tenant: String,
    /// Empty for all of the tenant's.
    applications: Vec<String>,
    outgoing: bool,
    incoming: bool,
}

impl View {
    fn of(n: &OwnedNumber) -> View {
        View {
            number: n.number.as_str().to_owned(),
            tenant: n.tenant.to_string(),
            applications: n.applications.iter().map(ToString::to_string).collect(),
            outgoing: n.outgoing,
            incoming: n.incoming,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    number: String,
    tenant: Option<String>,
    applications: Option<Vec<String>>,
    outgoing: Option<bool>,
    incoming: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    applications: Option<Vec<String>>,
    outgoing: Option<bool>,
    incoming: Option<bool>,
}

impl Change {
    fn apply(self, api: &Api, n: &mut OwnedNumber) -> Result<(), Problem> {
        if let Some(applications) = self.applications {
            let config = api.store.snapshot();
            n.applications = applications
                .iter()
                .map(|text| {
                    let id = request::body_id("applications", text)?;
                    let found = config.application(id).filter(|a| a.tenant == n.tenant);
                    Ok(found.ok_or_else(|| Problem::not_found("application", id))?.id)
                })
                .collect::<Result<_, Problem>>()?;
        }
        n.outgoing = self.outgoing.unwrap_or(n.outgoing);
        n.incoming = self.incoming.unwrap_or(n.incoming);
        Ok(())
    }
}

fn find(api: &Api, text: &str) -> Result<OwnedNumber, Problem> {
    let number = request::number("number", text)?;
    let config = api.store.snapshot();
    let found = config
        .number(&number)
        .ok_or_else(|| Problem::not_found("number", number.as_str()))?;
    Ok(OwnedNumber::clone(found))
}

pub(crate) async fn list(State(api): State<Api>, Query(of): Query<OfTenant>) -> Answer {
    let config = api.store.snapshot();
    let filter = of.resolve(&config)?;
    let mut views: Vec<View> = config
        .numbers()
        .filter(|n| request::shows(filter, n.tenant))
        .map(|n| View::of(n))
        .collect();
    views.sort_by(|a, b| a.number.cmp(&b.number));
    request::list(views)
}

pub(crate) async fn show(State(api): State<Api>, Path(number): Path<String>) -> Answer {
    request::ok(View::of(&find(&api, &number)?))
}

pub(crate) async fn create(State(api): State<Api>, Body(create): Body<Create>) -> Answer {
    let tenant = request::tenant(&api.store.snapshot(), create.tenant.as_deref())?;
    let number = request::number("number", &create.number)?;
    tenants::may_own(&api, tenant, &number)?;
    if api.store.snapshot().number(&number).is_some() {
        return Err(Problem::new(
            crate::Code::Exists,
            "the number is there already; change it with PATCH",
        ));
    }
    let mut owned = OwnedNumber {
        number,
        tenant,
        applications: Vec::new(),
        outgoing: true,
        incoming: true,
    };
    let change = Change {
        applications: create.applications,
        outgoing: create.outgoing,
        incoming: create.incoming,
    };
    change.apply(&api, &mut owned)?;
    let view = View::of(&owned);
    api.store.create(Resource::Number(owned)).await?;
    request::created(view)
}

pub(crate) async fn change(State(api): State<Api>, Path(number): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut owned = find(&api, &number)?;
    change.apply(&api, &mut owned)?;
    let view = View::of(&owned);
    api.store.put(Resource::Number(owned)).await?;
    request::ok(view)
}

pub(crate) async fn remove(State(api): State<Api>, Path(number): Path<String>) -> Answer {
    let owned = find(&api, &number)?;
    api.store.remove(ResourceId::Number(owned.number)).await?;
    request::done()
}
