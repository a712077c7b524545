//! The lock of a user after too many failed attempts.

use crate::context::Context;
use crate::errors::ApiError;
use crate::state::{Lock, User};

/// Returns the user of an attempt, or the refusal if the user is locked. Clears an expired lock along with its
/// failures.
pub(crate) fn unlocked<'c>(
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

/// Counts a failed attempt, locks the user at the last one, and adds the warning when few attempts are left.
pub(crate) fn count_failure(context: &mut Context<'_>, id: Option<&str>, error: ApiError) -> ApiError {
    let (Some((max, duration)), Some(user)) =
        (context.settings.lockout, id.and_then(|id| context.state.users.get_mut(id)))
    else {
        return error;
    };
    user.failures += 1;
    let left = max.saturating_sub(user.failures);
    if left == 0 {
        let (id, now) = (user.account.id.clone(), context.now);
        let lock = Lock { until: Some(now.instant + duration) };
        context.state.update_user(&id, now, |user| user.lock = Some(lock));
    }
    if left <= 2 && context.settings.lockout_warning { error.with_lockout_warning(left) } else { error }
}
