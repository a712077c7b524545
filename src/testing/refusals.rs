//! The refusals of sign-ins and sessions.

use serde_json::json;

use super::errors::ApiError;

impl ApiError {
    // Sign-ins (sign_in.go, forms.go, user_lockout.go, users.go, verification.go).

    pub(super) fn password_incorrect() -> Self {
        let text = "Password is incorrect. Try again, or use another method.";
        Self::new(422, "form_password_incorrect", text, text).meta("param_name", "password")
    }

    pub(super) fn identifier_not_found() -> Self {
        let text = "Couldn't find your account.";
        Self::new(422, "form_identifier_not_found", text, text).meta("param_name", "identifier")
    }

    pub(super) fn password_or_identifier_incorrect() -> Self {
        let text = "Identifier or password is incorrect. Try again, or use another method.";
        Self::new(422, "form_password_or_identifier_incorrect", text, text)
    }

    pub(super) fn code_incorrect() -> Self {
        Self::new(422, "form_code_incorrect", "is incorrect", "Incorrect code").meta("param_name", "code")
    }

    /// The refusal with the warning that few attempts are left.
    pub(super) fn with_lockout_warning(mut self, left: u32) -> Self {
        let text = match left {
            0 => "Your account is now locked.".to_owned(),
            1 => "You have 1 attempt left before your account is locked.".to_owned(),
            left => format!("You have {left} attempts left before your account is locked."),
        };
        self.errors.push(json!({ "code": "account_lockout_warning", "message": text, "long_message": text }));
        self
    }

    /// `seconds`: how long the lock lasts still; `None` for one without an end.
    pub(super) fn user_locked(seconds: Option<u64>) -> Self {
        let again = seconds.map(|seconds| {
            let (count, unit) = match seconds.div_ceil(60) {
                minutes if minutes >= 120 => (minutes / 60, "hours"),
                minutes if minutes >= 60 => (1, "hour"),
                minutes if minutes > 1 => (minutes, "minutes"),
                _ => (1, "minute"),
            };
            format!(" You will be able to try again in {count} {unit}.")
        });
        let long = format!(
            "Your account is locked.{} For more information, please contact support@example.com.",
            again.unwrap_or_default()
        );
        Self::new(403, "user_locked", "Account locked", &long)
    }

    pub(super) fn user_banned() -> Self {
        let long = "You have been banned. If you think this was by mistake, please contact support.";
        Self::new(403, "user_banned", "User banned", long)
    }

    pub(super) fn strategy_for_user() -> Self {
        let long = "The verification strategy is not valid for this account";
        Self::new(400, "strategy_for_user_invalid", "Invalid verification strategy", long)
    }

    pub(super) fn session_exists() -> Self {
        Self::new(400, "session_exists", "Session already exists", "You're already signed in.")
    }

    pub(super) fn identifier_already_signed_in(session: &str) -> Self {
        let text = "You're already signed in";
        Self::new(400, "identifier_already_signed_in", text, text).meta("session_id", session)
    }

    pub(super) fn no_sign_in(id: &str) -> Self {
        Self::not_found("not found", &format!("No sign in was found with id {id}"))
    }

    pub(super) fn no_second_factors(strategy: &str) -> Self {
        let long = format!("No second factors were found for strategy {strategy}.");
        Self::new(400, "no_second_factors", "no second factors", &long)
    }

    pub(super) fn already_verified() -> Self {
        let long = "This verification has already been verified.";
        Self::new(400, "verification_already_verified", "already verified", long)
    }

    pub(super) fn not_prepared() -> Self {
        let long = "This strategy requires verification preparation before attempting to validate it.";
        Self::new(400, "verification_missing", "is missing", long)
    }

    pub(super) fn verification_expired() -> Self {
        let long = "This verification has expired. You must create a new one.";
        Self::new(400, "verification_expired", "expired", long)
    }

    pub(super) fn verification_failed() -> Self {
        let long = "Too many failed attempts. You have to try again with the same or another method.";
        Self::new(400, "verification_failed", "failed", long)
    }

    pub(super) fn password_too_short(least: usize) -> Self {
        let text = format!("Passwords must be {least} characters or more.");
        Self::new(422, "form_password_length_too_short", &text, &text).meta("param_name", "password")
    }

    // Sessions (sessions.go, organizations.go, jwt_templates.go, clients.go).

    pub(super) fn no_session(id: &str) -> Self {
        Self::not_found("Session not found", &format!("No session was found with id {id}"))
    }

    pub(super) fn session_action(action: &str, id: &str) -> Self {
        let long = format!("Unable to {action} session {id}");
        Self::new(400, "invalid_action_for_session", "Invalid action for user session", &long)
    }

    pub(super) fn organization() -> Self {
        Self::new(
            404,
            "organization_not_found_or_unauthorized",
            "not found or unauthorized",
            "Given organization not found, or you don't have permission to access the organization",
        )
    }

    pub(super) fn no_template(name: &str) -> Self {
        Self::not_found("JWT template not found", &format!("No JWT template exists with name: {name}"))
    }

    pub(super) fn missing_expired_token() -> Self {
        let long = "An expired token is required to mint a new session token";
        Self::new(422, "missing_expired_token", "Missing expired token", long)
    }

    pub(super) fn no_client() -> Self {
        Self::not_found("Client not found", "No client was found")
    }
}
