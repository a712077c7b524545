//! The refusals of clients and sessions.

use crate::errors::api_error::ApiError;

impl ApiError {
    // Sessions (sessions.go, organizations.go, jwt_templates.go, clients.go).

    pub(crate) fn no_session(id: &str) -> Self {
        Self::not_found("Session not found", &format!("No session was found with id {id}"))
    }

    pub(crate) fn session_action(action: &str, id: &str) -> Self {
        let long = format!("Unable to {action} session {id}");
        Self::new(400, "invalid_action_for_session", "Invalid action for user session", &long)
    }

    pub(crate) fn organization() -> Self {
        Self::new(
            404,
            "organization_not_found_or_unauthorized",
            "not found or unauthorized",
            "Given organization not found, or you don't have permission to access the organization",
        )
    }

    pub(crate) fn no_template(name: &str) -> Self {
        Self::not_found("JWT template not found", &format!("No JWT template exists with name: {name}"))
    }

    pub(crate) fn missing_expired_token() -> Self {
        let long = "An expired token is required to mint a new session token";
        Self::new(422, "missing_expired_token", "Missing expired token", long)
    }

    pub(crate) fn no_client() -> Self {
        Self::not_found("Client not found", "No client was found")
    }
}
