//! The password as a factor.

use crate::authentication::lockout::{count_failure, unlocked};
use crate::context::Context;
use crate::errors::ApiError;

/// Checks a password, and counts a failure if it is wrong.
pub(crate) fn check_password(
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
