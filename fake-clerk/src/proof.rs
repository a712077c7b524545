//! Proving who one is: passwords, mailed codes, and the lock after too many wrong ones.

use super::attempt::Verification;
use super::errors::ApiError;
use super::handler::Context;
use super::ids;
use super::state::{Lock, User};

/// A code that is right wherever one was mailed, as at Clerk's test addresses: a program without a mailbox can
/// finish a sign-in.
const TEST_CODE: &str = "424242";

/// How many attempts one mailed code allows.
const MAX_ATTEMPTS: u32 = 5;

/// Checks a password, and counts a wrong one.
pub(super) fn check_password(
    context: &mut Context<'_>,
    id: Option<&str>,
    password: &str,
) -> Result<(), ApiError> {
    let strict = context.settings.enumeration_protection;
    let generic = |error: ApiError| {
        if strict { ApiError::password_or_identifier_incorrect() } else { error }
    };
    let Some(user) = unlocked(context, id)? else {
        return Err(ApiError::password_or_identifier_incorrect());
    };
    match &user.account.password {
        None => Err(generic(ApiError::strategy_for_user())),
        Some(right) if right == password => Ok(()),
        Some(_) => Err(count_failure(context, id, generic(ApiError::password_incorrect()))),
    }
}

/// The user of an attempt, unless locked. A lock whose time is over is taken off, and its count with it.
pub(super) fn unlocked<'c>(
    context: &'c mut Context<'_>,
    id: Option<&str>,
) -> Result<Option<&'c mut User>, ApiError> {
    let now = context.now.instant;
    let Some(user) = id.and_then(|id| context.state.users.get_mut(id)) else { return Ok(None) };
    match user.lock {
        Some(Lock { until: None }) => return Err(ApiError::user_locked(None)),
        Some(Lock { until: Some(until) }) if until > now => {
            return Err(ApiError::user_locked(Some((until - now).as_secs())));
        }
        Some(_) => {
            user.lock = None;
            user.failures = 0;
        }
        None => {}
    }
    Ok(Some(user))
}

/// Counts a failed attempt, locks the user at the last one, and adds the warning that few are left.
pub(super) fn count_failure(context: &mut Context<'_>, id: Option<&str>, error: ApiError) -> ApiError {
    let (Some((max, duration)), Some(user)) =
        (context.settings.lockout, id.and_then(|id| context.state.users.get_mut(id)))
    else {
        return error;
    };
    user.failures += 1;
    let left = max.saturating_sub(user.failures);
    if left == 0 {
        user.lock = Some(Lock { until: Some(context.now.instant + duration) });
    }
    if left <= 2 && context.settings.lockout_warning { error.with_lockout_warning(left) } else { error }
}

/// "Mails" a code to the user, if there is one.
pub(super) fn mail_code(context: &mut Context<'_>, id: Option<&str>, strategy: &'static str) -> Verification {
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

/// Checks a mailed code.
pub(super) fn check_code(
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
