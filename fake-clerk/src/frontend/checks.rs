//! Checks that all sign-in strategies share.

use crate::context::Context;
use crate::errors::ApiError;
use crate::state::Client;

pub(crate) fn required(name: &str, value: Option<&str>) -> Result<(), ApiError> {
    match value.map(str::is_empty) {
        None => Err(ApiError::missing_param(name)),
        Some(true) => Err(ApiError::nil_param(name)),
        Some(false) => Ok(()),
    }
}

/// Refuses a second live session in single-session mode.
pub(crate) fn check_single_session(context: &Context<'_>, client: &Client) -> Result<(), ApiError> {
    let live = context.state.live_sessions_of(client, context.now).next();
    if live.is_some() && context.settings.single_session_mode {
        return Err(ApiError::session_exists());
    }
    Ok(())
}

/// Refuses a banned or deprovisioned user, and a user who is already signed in on this client.
pub(crate) fn check_user(context: &Context<'_>, client: &Client, id: &str) -> Result<(), ApiError> {
    match context.state.users.get(id).map(|user| &user.account) {
        Some(account) if account.banned => return Err(ApiError::user_banned()),
        Some(account) if account.deprovisioned => return Err(ApiError::deprovisioned()),
        _ => {}
    }
    let mut live = context.state.live_sessions_of(client, context.now);
    match live.find(|session| session.user == id) {
        Some(session) => Err(ApiError::identifier_already_signed_in(&session.id)),
        None => Ok(()),
    }
}
