//! The recording of a running conversation: begin, pause, go on, end.

use crate::calls::find;
use crate::desk::Desk;
use crate::error::{Code, Problem};
use crate::request::{self, Answer, Body, Path};
use serde::Deserialize;
use strowger_core::call::{Command, RecordingCommand, RecordingPause};
use strowger_runtime::CallError;
use utoipa::ToSchema;

/// What is asked of the recording.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RecordingChange)]
pub(crate) struct Change {
    /// `start`, `stop`, `pause`, `mask` or `resume`.
    action: String,
}

impl Change {
    fn command(&self) -> Result<RecordingCommand, Problem> {
        Ok(match self.action.as_str() {
            "start" => RecordingCommand::Start,
            "stop" => RecordingCommand::Stop,
            "pause" => RecordingCommand::Pause(RecordingPause::Cut),
            "mask" => RecordingCommand::Pause(RecordingPause::Mask),
            "resume" => RecordingCommand::Resume,
            _ => {
                return Err(Problem::parameter(
                    "action",
                    "action is start, stop, pause (the file leaves the time out), mask (the file holds silence) or resume",
                ));
            }
        })
    }
}

/// `POST /calls/{id}/recording`.
pub(crate) async fn change(api: Desk, Path(id): Path<String>, Body(change): Body<Change>) -> Answer {
    let id = request::id("conversation", &id)?;
    let command = change.command()?;
    let tenant = find(&api, id).await?.head.tenant;
    match api.calls.command(tenant, id, Command::Recording(command), None).await {
        Ok(_) => request::done(),
        // The record exists, so it is over.
        Err(CallError::NotFound) => Err(Problem::new(Code::CallEnded, "the conversation has ended already")),
        Err(e) => Err(e.into()),
    }
}
