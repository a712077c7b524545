//! Mailed codes.

use crate::authentication::lockout::{count_failure, unlocked};
use crate::context::Context;
use crate::errors::ApiError;
use crate::ids;
use crate::state::sign_in::Verification;

/// The strategies that mail a code.
pub(crate) const CODES: [&str; 4] =
    ["email_code", "phone_code", "reset_password_email_code", "reset_password_phone_code"];

/// A code that is always valid, like for Clerk's test addresses, so that a program without a mailbox can finish a
/// sign-in.
const TEST_CODE: &str = "424242";

/// Maximum number of attempts at one mailed code.
const MAX_ATTEMPTS: u32 = 5;

/// "Mails" a code to the user, if there is one.
pub(crate) fn mail_code(context: &mut Context<'_>, id: Option<&str>, strategy: &'static str) -> Verification {
    let code = ids::code();
    if let Some(user) = id.and_then(|id| context.state.users.get_mut(id)) {
        user.last_code = Some(code.clone());
        let emails = user.account.emails.iter().map(|(address, _)| address);
        let address = emails.chain(&user.account.phone).next();
        context.mailed.push((address.cloned().unwrap_or_default(), code.clone()));
    }
    let until = context.now.instant + std::time::Duration::from_secs(600);
    Verification { strategy, verified: false, attempts: 0, code: Some((code, until)) }
}

pub(crate) fn check_code(
    context: &mut Context<'_>,
    user: Option<&str>,
    prepared: Option<&mut Verification>,
) -> Result<(), ApiError> {
    let code = context.call.param("code").ok_or_else(|| ApiError::missing_param("code"))?;
    let now = context.now.instant;
    unlocked(context, user)?;
    let Some(verification) = prepared else { return Err(ApiError::not_prepared()) };
    let Some((right, until)) = &verification.code else { return Err(ApiError::not_prepared()) };
    if now >= *until {
        return Err(ApiError::verification_expired());
    }
    if verification.attempts >= MAX_ATTEMPTS {
        return Err(ApiError::verification_failed());
    }
    verification.attempts += 1;
    if code != right && code != TEST_CODE {
        return Err(count_failure(context, user, ApiError::code_incorrect()));
    }
    verification.verified = true;
    Ok(())
}
