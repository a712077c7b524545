//! The refusals of the Backend API.

use crate::errors::api_error::ApiError;

/// These come from Clerk's auth.go, forms.go, requests.go, users.go, organizations.go, sign_in_tokens.go and apikeys.go.
impl ApiError {
    pub(crate) fn secret_key() -> Self {
        let text =
            "The provided Clerk Secret Key is invalid. Make sure that your Clerk Secret Key is correct.";
        Self::new(401, "clerk_key_invalid", text, text)
    }

    pub(crate) fn only_for_development() -> Self {
        let long = "Request only valid for development instances.";
        Self::new(400, "request_invalid_for_environment", "Invalid request for environment", long)
    }

    pub(crate) fn json_type(param: &str, received: &str, expected: &str) -> Self {
        let long = format!("{param} is invalid. Received {received}, must be of type {expected}.");
        Self::new(422, "form_param_value_invalid", "is invalid", &long).meta("param_name", param)
    }

    pub(crate) fn value_too_large(param: &str, most: u64) -> Self {
        let long = format!("The value of {param} can't be greater than {most}");
        Self::new(422, "form_param_value_too_large", "Value too large", &long).meta("param_name", param)
    }

    pub(crate) fn too_many_values(param: &str, most: usize) -> Self {
        let long = format!("{param} can't have more than {most} values.");
        Self::new(422, "form_param_exceeds_allowed_size", "too many values", &long).meta("param_name", param)
    }

    pub(crate) fn no_user(id: &str) -> Self {
        Self::not_found("not found", &format!("No user was found with id {id}"))
    }

    pub(crate) fn no_organization(id: &str) -> Self {
        Self::not_found("not found", &format!("No organization was found with id {id}"))
    }

    pub(crate) fn no_membership() -> Self {
        Self::not_found("not found", "The user isn't a member of the organization")
    }

    pub(crate) fn no_role(role: &str) -> Self {
        Self::not_found("not found", &format!("No role was found with key {role}"))
    }

    pub(crate) fn already_a_member(id: &str) -> Self {
        let long = format!("User {id} is already a member of the organization.");
        Self::new(400, "already_a_member_in_organization", "already a member", &long)
    }

    pub(crate) fn slug_format() -> Self {
        let long = "slug can only contain lowercase alphanumeric characters and the dash";
        Self::new(422, "form_param_format_invalid", "is invalid", long).meta("param_name", "slug")
    }

    pub(crate) fn slug_taken() -> Self {
        let text = "That slug is taken. Please try another.";
        Self::new(422, "form_identifier_exists", text, text).meta("param_name", "slug")
    }

    pub(crate) fn no_password() -> Self {
        let long = "This user does not have a password set for their account";
        Self::new(400, "no_password_set", "no password set", long)
    }

    pub(crate) fn wrong_password() -> Self {
        let long = "The provided password is not the one the user has set";
        Self::new(422, "incorrect_password", "incorrect password", long)
    }

    pub(crate) fn api_keys_not_enabled() -> Self {
        Self::new(422, "api_keys_not_enabled", "API Keys not enabled", "API Keys not enabled")
    }

    /// Clerk's list of errors has none of API keys but the one above.
    pub(crate) fn no_api_key() -> Self {
        Self::not_found("API key not found", "API key not found")
    }

    /// `what` is `revoked` or `expired`.
    pub(crate) fn api_key_invalid(what: &str) -> Self {
        let text = format!("The API key is {what}");
        Self::new(400, &format!("api_key_{what}"), &text, &text)
    }

    pub(crate) fn no_sign_in_token(id: &str) -> Self {
        Self::not_found("not found", &format!("No sign in token was found with id {id}"))
    }

    pub(crate) fn sign_in_token_not_pending(status: &str) -> Self {
        let long = format!(
            "Sign in token cannot be revoked because its status is {status}. Only pending tokens can be revoked."
        );
        Self::new(400, "sign_in_token_cannot_be_revoked_code", "cannot revoke", &long)
    }
}
