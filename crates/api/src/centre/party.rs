//! Who is at the other end of an agent's call, as the agent may see it.

use super::duty::acting;
use crate::calls;
use crate::desk::Desk;
use crate::error::Problem;
use crate::request::{self, Answer, Path};
use serde::Serialize;
use strowger_core::centre::resource::Agent;
use strowger_core::event::Kind;
use strowger_core::number::CHINA;
use strowger_core::route::Masking;
use strowger_core::{ConversationRecord, Number};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = AgentCall)]
pub(crate) struct View {
    /// Id of the call.
    conversation: String,
    /// `inbound`, `outbound` or another kind as a call has it.
    kind: &'static str,
    /// The customer's number or name; with `mask_numbers` such as `138****8000`.
    customer: String,
    /// What `dial` takes in place of the number where that is masked.
    token: Option<String>,
}

/// The customer of a call: who called in, or who is called.
pub(crate) fn customer(record: &ConversationRecord) -> &str {
    match record.head.kind {
        Kind::Inbound | Kind::Internal => &record.head.ani,
        Kind::ClickToCall | Kind::Outbound | Kind::Callback | Kind::Notice | Kind::Captcha => &record.head.dnis,
    }
}

/// True if the agent's clients may not see customers' numbers.
pub(crate) fn masks(api: &Desk, agent: &Agent) -> bool {
    let config = api.config();
    let centre = config.centre().centre(agent.application);
    centre.is_some_and(|c| c.settings.mask_numbers)
}

/// `GET /agents/{id}/call`.
pub(crate) async fn show(api: Desk, Path(id): Path<String>) -> Answer {
    let agent = acting(&api, &id)?;
    let view = api.desks.look_at(agent.tenant, agent.id).await?;
    let none = || Problem::not_found("call of the agent", format!("{:?}", agent.login));
    let call = view.conversation.ok_or_else(none)?;
    let record = calls::find(&api, call).await.map_err(|_| none())?;
    let text = customer(&record);
    let masked = masks(&api, &agent);
    let number = Number::parse(text, CHINA).ok().filter(|_| masked);
    let token = number.map(|n| api.store.hide_number(agent.tenant, agent.application, &n));
    request::ok(View {
        conversation: call.to_string(),
        kind: strowger_store::codec::kind_name(record.head.kind),
        customer: match masked {
            true => Masking::default().text(text, CHINA),
            false => text.to_owned(),
        },
        token: token.transpose()?,
    })
}
