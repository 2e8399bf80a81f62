//! The notice family: voice notices, batches of them, and verification codes (voice-paas §2 to §7).
//!
//! The first check that fails decides the answer (§2.3): credentials `-1`, a JSON object `-2`, the application `-3`,
//! every member in the order of the specification's table `-4`, what the platform refuses `-5`, trunks that are down
//! `-6`. A missing `appid` is a missing member: `-4`.

mod code;
mod params;
mod plan;
mod project;

pub use code::NoticeCode;
pub use project::{NOTICE_PROJECTOR, NoticeProjector};

use crate::auth;
use crate::directory::{Account, Application};
use crate::http::{Stop, VoicePaas};
use crate::ids::{batch_id, call_sid, request_sid_of};
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use code::Failure;
use params::Params;
use plan::Planner;
use strowger_core::call::Callee;
use strowger_core::{ApplicationId, LegSeq};
use strowger_store::Throttle;

/// The routes of the family.
pub(crate) fn routes() -> Router<VoicePaas> {
    Router::new()
        .route("/Accounts/{account}/VoiceNotices", post(notice))
        .route("/Accounts/{account}/BatchVoiceNotices", post(batch))
        .route("/Accounts/{account}/VoiceCaptchas", post(captcha))
}

type AccountPath = Result<Path<String>, PathRejection>;

/// Who asks, for which application, and what.
struct Asked {
    account: Account,
    application: Application,
    params: Params,
}

/// The three kinds of answers without a body of ours.
enum Halt {
    Http(Stop),
    Failed(Failure),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Halt {
        Halt::Http(stop)
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Halt {
        Halt::Failed(failure)
    }
}

impl VoicePaas {
    fn halted(&self, halt: Halt) -> Response {
        match halt {
            Halt::Http(stop) => stop.into_response(),
            Halt::Failed(failure) => failure.answer(self.directory.now()),
        }
    }

    /// Checks −1 to −3.
    async fn asked(&self, path: AccountPath, headers: &HeaderMap, body: Body) -> Result<Asked, Halt> {
        let Path(account) = path.map_err(|_| Stop::NotFound)?;
        let body = self.read(headers, body).await?;
        let account = auth::authenticate(&*self.directory, headers, &account)
            .ok_or_else(|| Failure::new(NoticeCode::Authentication, "authentication failed"))?;
        let params = Params::parse(&body)?;
        let application = params
            .required("appid")?
            .parse::<ApplicationId>()
            .ok()
            .and_then(|id| auth::application(&*self.directory, &account, id))
            .ok_or_else(|| Failure::new(NoticeCode::Application, "application unknown or disabled"))?;
        Ok(Asked {
            account,
            application,
            params,
        })
    }

    fn notice_planner<'a>(&'a self, asked: &'a Asked) -> Planner<'a> {
        Planner {
            directory: &*self.directory,
            settings: &self.settings,
            account: &asked.account,
            application: &asked.application,
        }
    }

    async fn start_one(
        &self,
        draft: plan::Draft,
        callee: Callee,
        limit: Option<Throttle>,
        text: &str,
    ) -> Result<Response, Halt> {
        let (head, plan) = draft.into_call(callee);
        let id = self.notices.notice(head, plan, limit).await.map_err(Failure::from)?;
        let callid = call_sid(id, LegSeq(0));
        Ok(code::success(text, &request_sid_of(id), Some(&callid)))
    }

    async fn try_notice(&self, path: AccountPath, headers: HeaderMap, body: Body) -> Result<Response, Halt> {
        let asked = self.asked(path, &headers, body).await?;
        let planner = self.notice_planner(&asked);
        let callee = planner.callee(&asked.params)?;
        let draft = planner.notice(&asked.params, None)?;
        planner.may_call(&callee.number)?;
        self.start_one(draft, callee, None, "succ").await
    }

    async fn try_batch(&self, path: AccountPath, headers: HeaderMap, body: Body) -> Result<Response, Halt> {
        let asked = self.asked(path, &headers, body).await?;
        let planner = self.notice_planner(&asked);
        let callees = planner.callees(&asked.params)?;
        let (id, requestid) = batch_id(self.directory.now());
        let draft = planner.notice(&asked.params, Some(&requestid))?;
        let stored = self.notices.batch(draft.into_batch(id, callees)).await;
        stored.map_err(Failure::from)?;
        // No callid: there are as many as numbers, and each comes with its result.
        Ok(code::success("succ", &requestid, None))
    }

    async fn try_captcha(&self, path: AccountPath, headers: HeaderMap, body: Body) -> Result<Response, Halt> {
        let asked = self.asked(path, &headers, body).await?;
        let strange = asked.application.settings.notices.code_missing_malformed;
        // D2: one example of the source answers a missing member as a malformed body.
        let compatible = |failure: Failure| match failure {
            f if strange && f.text.starts_with("missing ") => Failure {
                code: NoticeCode::Malformed,
                ..f
            },
            f => f,
        };
        let planner = self.notice_planner(&asked);
        let draft = planner.captcha(&asked.params).map_err(compatible)?;
        let callee = planner.callee(&asked.params).map_err(compatible)?;
        planner.may_call(&callee.number)?;
        let limit = planner.throttle(&callee.number);
        self.start_one(draft, callee, limit, "submitted").await
    }
}

/// `POST /Accounts/{AccountSid}/VoiceNotices`
async fn notice(State(state): State<VoicePaas>, path: AccountPath, headers: HeaderMap, body: Body) -> Response {
    match state.try_notice(path, headers, body).await {
        Ok(response) => response,
        Err(halt) => state.halted(halt),
    }
}

/// `POST /Accounts/{AccountSid}/BatchVoiceNotices`
async fn batch(State(state): State<VoicePaas>, path: AccountPath, headers: HeaderMap, body: Body) -> Response {
    match state.try_batch(path, headers, body).await {
        Ok(response) => response,
        Err(halt) => state.halted(halt),
    }
}

/// `POST /Accounts/{AccountSid}/VoiceCaptchas`
async fn captcha(State(state): State<VoicePaas>, path: AccountPath, headers: HeaderMap, body: Body) -> Response {
    match state.try_captcha(path, headers, body).await {
        Ok(response) => response,
        Err(halt) => state.halted(halt),
    }
}
