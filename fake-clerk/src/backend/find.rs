//! Look-ups of the user, session or organization that a request names.

use crate::context::Context;
use crate::errors::ApiError;
use crate::state::{Session, User};

pub(crate) fn user<'c>(context: &'c Context<'_>, id: &str) -> Result<&'c User, ApiError> {
    context.state.users.get(id).ok_or_else(|| ApiError::no_user(id))
}

/// Returns the session in the path.
pub(crate) fn session<'c>(context: &'c Context<'_>) -> Result<&'c Session, ApiError> {
    let id = context.call.variable(0);
    context.state.sessions.get(id).ok_or_else(|| ApiError::no_session(id))
}

/// Returns the organization's id if the user is a member. Missing and foreign organizations get the same refusal.
pub(crate) fn organization_of(
    context: &Context<'_>,
    user: &str,
    organization: &str,
) -> Result<String, ApiError> {
    let membership = context.state.membership(user, organization);
    membership.map(|it| it.organization.clone()).ok_or_else(ApiError::organization)
}
