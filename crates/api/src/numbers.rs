//! Numbers of the installation: who may show them, and whether they may be called.

use crate::desk::Desk;
use crate::error::Problem;
use crate::request::{self, Answer, Body, Listing, Path, Query};
use crate::tenants;
use serde::{Deserialize, Serialize};
use strowger_core::resource::OwnedNumber;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = Number)]
pub(crate) struct View {
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NumberCreate)]
pub(crate) struct Create {
    number: String,
    tenant: Option<String>,
    applications: Option<Vec<String>>,
    outgoing: Option<bool>,
    incoming: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NumberChange)]
pub(crate) struct Change {
    applications: Option<Vec<String>>,
    outgoing: Option<bool>,
    incoming: Option<bool>,
}

impl Change {
    fn apply(self, api: &Desk, n: &mut OwnedNumber) -> Result<(), Problem> {
        if let Some(applications) = self.applications {
            let config = api.config();
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

fn find(api: &Desk, text: &str) -> Result<OwnedNumber, Problem> {
    let number = request::number("number", text)?;
    let config = api.config();
    let found = config
        .number(&number)
        .ok_or_else(|| Problem::not_found("number", number.as_str()))?;
    Ok(OwnedNumber::clone(found))
}

pub(crate) async fn list(api: Desk, Query(asked): Query<Listing>) -> Answer {
    let config = api.config();
    let filter = asked.tenant(&api)?;
    let numbers = config.numbers().filter(|n| request::shows(filter, n.tenant));
    asked.page(numbers.map(|n| (n.number.as_str().to_owned(), View::of(n))))
}

pub(crate) async fn show(api: Desk, Path(number): Path<String>) -> Answer {
    let owned = find(&api, &number)?;
    let view = View::of(&owned);
    api.shown(owned, view)
}

pub(crate) async fn create(api: Desk, Body(create): Body<Create>) -> Answer {
    let tenant = request::tenant(&api.config(), create.tenant.as_deref())?;
    let number = request::number("number", &create.number)?;
    tenants::may_own(&api, tenant, &number)?;
    if api.config().number(&number).is_some() {
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
    api.create(owned, view).await
}

pub(crate) async fn change(api: Desk, Path(number): Path<String>, Body(change): Body<Change>) -> Answer {
    let _one = api.changing.lock().await;
    let mut owned = find(&api, &number)?;
    api.expects(&owned)?;
    change.apply(&api, &mut owned)?;
    let view = View::of(&owned);
    api.replace(owned, view).await
}

pub(crate) async fn remove(api: Desk, Path(number): Path<String>) -> Answer {
    let _one = api.changing.lock().await;
    let owned = find(&api, &number)?;
    api.remove(&owned).await
}
