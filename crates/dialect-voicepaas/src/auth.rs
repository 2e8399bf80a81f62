//! HTTP Basic with an account's id and one of its tokens (voice-paas §1.2).

use crate::code::{Code, Failure};
use crate::directory::{Account, Application, Directory};
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use strowger_core::{AccountId, ApplicationId};
use subtle::{Choice, ConstantTimeEq};

/// Padding is optional: several HTTP clients leave it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest header value that is looked at; an id and a token fit many times over.
const MAX_HEADER: usize = 1024;

/// The caller of a request.
pub(crate) struct Caller {
    pub account: Account,
    pub application: Application,
}

/// Checks credentials first, then the application.
pub(crate) fn check(
    directory: &dyn Directory,
    headers: &HeaderMap,
    account_sid: &str,
    application_sid: &str,
) -> Result<Caller, Failure> {
    let account = authenticate(directory, headers, account_sid).ok_or(Failure::plain(Code::AuthenticationFailed))?;
    let application = application_sid
        .parse::<ApplicationId>()
        .ok()
        .and_then(|id| self::application(directory, &account, id))
        .ok_or(Failure::plain(Code::ApplicationUnknown))?;
    Ok(Caller { account, application })
}

/// An application that the account may use.
pub(crate) fn application(directory: &dyn Directory, account: &Account, id: ApplicationId) -> Option<Application> {
    let application = directory.application(id)?;
    let shared = application.account.is_none_or(|only| only == account.id);
    (application.tenant == account.tenant && !application.disabled && shared).then_some(application)
}

/// One answer for every kind of failure: a client that guesses learns nothing from it.
pub(crate) fn authenticate(directory: &dyn Directory, headers: &HeaderMap, account_sid: &str) -> Option<Account> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?;
    // Two credentials in one request are no credential: a proxy and a client would disagree about which one counts.
    if values.next().is_some() || value.len() > MAX_HEADER {
        return None;
    }
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = BASE64.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|b| *b == b':')?;
    let (user, token) = (&decoded[..colon], &decoded[colon + 1..]);
    let id: AccountId = account_sid.parse().ok()?;
    let user: AccountId = std::str::from_utf8(user).ok()?.parse().ok()?;
    if user != id {
        return None;
    }
    let account = directory.account(id)?;
    let now = directory.now();
    // Every token is compared, whichever matches first, so that time tells nothing about their order.
    let mut matches = Choice::from(0);
    for t in &account.tokens {
        let alive = Choice::from(u8::from(t.expires_at.is_none_or(|end| now < end)));
        let filled = Choice::from(u8::from(!t.secret.is_empty()));
        matches |= t.secret.as_bytes().ct_eq(token) & alive & filled;
    }
    (bool::from(matches) && !account.disabled).then_some(account)
}
