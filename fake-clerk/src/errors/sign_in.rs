//! The refusals of sign-ins.

use serde_json::json;

use crate::errors::api_error::ApiError;

impl ApiError {
    // Sign-ins (sign_in.go, forms.go, user_lockout.go, users.go, verification.go).

    pub(crate) fn password_incorrect() -> Self {
        let text = "Password is incorrect. Try again, or use another method.";
        Self::new(422, "form_password_incorrect", text, text).meta("param_name", "password")
    }

    pub(crate) fn identifier_not_found() -> Self {
        let text = "Couldn't find your account.";
        Self::new(422, "form_identifier_not_found", text, text).meta("param_name", "identifier")
    }

    pub(crate) fn password_or_identifier_incorrect() -> Self {
        let text = "Identifier or password is incorrect. Try again, or use another method.";
        Self::new(422, "form_password_or_identifier_incorrect", text, text)
    }

    pub(crate) fn code_incorrect() -> Self {
        Self::new(422, "form_code_incorrect", "is incorrect", "Incorrect code").meta("param_name", "code")
    }

    /// Adds the warning that few attempts are left.
    pub(crate) fn with_lockout_warning(mut self, left: u32) -> Self {
        let text = match left {
            0 => "Your account is now locked.".to_owned(),
            1 => "You have 1 attempt left before your account is locked.".to_owned(),
            left => format!("You have {left} attempts left before your account is locked."),
        };
        self.errors.push(json!({ "code": "account_lockout_warning", "message": text, "long_message": text }));
        self
    }

    /// `seconds` is the time until the lock expires; `None` if it never does.
    pub(crate) fn user_locked(seconds: Option<u64>) -> Self {
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

    pub(crate) fn user_banned() -> Self {
        let long = "You have been banned. If you think this was by mistake, please contact support.";
        Self::new(403, "user_banned", "User banned", long)
    }

    /// The error that Clerk lists under sessions (sessions.go) for users whom a directory has deprovisioned.
    pub(crate) fn deprovisioned() -> Self {
        Self::new(401, "deprovisioned", "account deprovisioned", "Your account is deprovisioned")
    }

    pub(crate) fn strategy_for_user() -> Self {
        let long = "The verification strategy is not valid for this account";
        Self::new(400, "strategy_for_user_invalid", "Invalid verification strategy", long)
    }

    pub(crate) fn session_exists() -> Self {
        Self::new(400, "session_exists", "Session already exists", "You're already signed in.")
    }

    pub(crate) fn identifier_already_signed_in(session: &str) -> Self {
        let text = "You're already signed in";
        Self::new(400, "identifier_already_signed_in", text, text).meta("session_id", session)
    }

    pub(crate) fn no_sign_in(id: &str) -> Self {
        Self::not_found("not found", &format!("No sign in was found with id {id}"))
    }

    pub(crate) fn no_second_factors(strategy: &str) -> Self {
        let long = format!("No second factors were found for strategy {strategy}.");
        Self::new(400, "no_second_factors", "no second factors", &long)
    }

    pub(crate) fn already_verified() -> Self {
        let long = "This verification has already been verified.";
        Self::new(400, "verification_already_verified", "already verified", long)
    }

    pub(crate) fn not_prepared() -> Self {
        let long = "This strategy requires verification preparation before attempting to validate it.";
        Self::new(400, "verification_missing", "is missing", long)
    }

    pub(crate) fn verification_expired() -> Self {
        let long = "This verification has expired. You must create a new one.";
        Self::new(400, "verification_expired", "expired", long)
    }

    pub(crate) fn verification_failed() -> Self {
        let long = "Too many failed attempts. You have to try again with the same or another method.";
        Self::new(400, "verification_failed", "failed", long)
    }

    pub(crate) fn password_too_short(least: usize) -> Self {
        let text = format!("Passwords must be {least} characters or more.");
        Self::new(422, "form_password_length_too_short", &text, &text).meta("param_name", "password")
    }

    // Tickets (ticket.go, sign_in_tokens.go, sign_in.go).

    pub(crate) fn ticket_invalid() -> Self {
        let long = "This ticket is invalid. Make sure you're using a valid ticket generated by Clerk.";
        Self::new(400, "ticket_invalid_code", "ticket is invalid", long)
    }

    pub(crate) fn ticket_expired() -> Self {
        let long = "This ticket has expired and cannot be used anymore.";
        Self::new(400, "ticket_expired_code", "ticket has expired", long)
    }

    pub(crate) fn sign_in_token_used() -> Self {
        let long = "This sign in token has already been used. Each token can only be used once.";
        Self::new(400, "sign_in_token_already_used_code", "sign in token has already been used", long)
    }

    pub(crate) fn sign_in_token_revoked() -> Self {
        let long = "This sign in token has been revoked and cannot be used anymore.";
        Self::new(400, "sign_in_token_revoked_code", "sign in token has been revoked", long)
    }

    pub(crate) fn user_deleted() -> Self {
        let long = "Either the user or the selected identification were deleted. Please start over.";
        Self::new(400, "sign_in_identification_or_user_deleted", "identification or user deleted", long)
    }
}
