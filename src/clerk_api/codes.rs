//! Maps every error code that the calls can meet to its class (rule S3).
//!
//! The codes and their statuses are from Clerk's own lists,
//! <https://clerk.com/docs/guides/development/errors/frontend-api> and
//! <https://clerk.com/docs/guides/development/errors/backend-api>. Only a code that is known to refuse a credential is
//! a refusal: an unknown code is an error of Clerk's or of this crate's, never the user's.

use super::api_error::{CredentialRefusal, ErrorClass};
use crate::counters::Operation;

/// The class of a code, or `None` if the code is unknown.
pub(super) fn class_of(operation: Operation, code: &str) -> Option<ErrorClass> {
    use ErrorClass::{
        ActionRequired, Misconfigured, MissingExpiredToken, NotFound, OrganizationForbidden, RateLimited,
        Refused, SecondFactor, SessionExists, SessionGone, Unavailable, Unknown,
    };
    if operation.is_backend()
        && let Some(class) = backend_class_of(operation, code)
    {
        return Some(class);
    }
    let signing_in = operation == Operation::SignIn;
    Some(match code {
        // The identifier or the password is wrong. Enumeration protection hides which of the two.
        "form_password_incorrect" | "form_password_validation_failed" | "account_lockout_warning" => {
            Refused(CredentialRefusal::Credentials)
        }
        "form_identifier_not_found"
        | "form_password_or_identifier_incorrect"
        | "sign_in_no_identification_for_user" => Refused(CredentialRefusal::Unidentified),
        "sign_in_identification_or_user_deleted" if signing_in => Refused(CredentialRefusal::Unidentified),
        // No account can have this identifier or password: its format is wrong, or it is empty or too long.
        "form_param_format_invalid"
        | "form_param_nil"
        | "form_param_missing"
        | "form_conditional_param_missing"
        | "form_param_value_invalid"
        | "form_param_exceeds_allowed_size"
        | "form_password_size_in_bytes_exceeded"
            if signing_in =>
        {
            Refused(CredentialRefusal::Unidentified)
        }
        "form_code_incorrect" | "verification_failed" | "verification_expired"
            if operation == Operation::AttemptFactor =>
        {
            Refused(CredentialRefusal::Credentials)
        }
        "strategy_for_user_invalid" | "no_password_set" => Refused(CredentialRefusal::NotByPassword),
        "user_locked" => Refused(CredentialRefusal::Locked),
        "user_banned" | "user_deactivated" | "deprovisioned" => Refused(CredentialRefusal::Barred),

        // The user must act outside of this sign-in first.
        "form_password_pwned"
        | "form_password_compromised"
        | "password_reset_required"
        | "password_too_long_needs_reset"
        | "sign_in_must_use_enterprise_connection_identifier"
        | "not_allowed_access"
        | "action_blocked"
        | "requires_protect_check"
        | "device_blocked"
        | "session_creation_not_allowed" => ActionRequired,
        "session_reverification_required" => SecondFactor,

        // The client is signed in already.
        "session_exists" | "identifier_already_signed_in" => SessionExists,

        // The organization is not one of the user's. Clerk doesn't tell whether it exists, and neither does this crate.
        "organization_not_found_or_unauthorized"
        | "not_a_member_in_organization"
        | "organization_not_enabled_in_instance" => OrganizationForbidden,

        // The session, or its client, has ended.
        "signed_out"
        | "authentication_invalid"
        | "action_for_session_not_authorized"
        | "client_not_found"
        | "cookie_invalid"
        | "invalid_action_for_session"
            if !signing_in =>
        {
            SessionGone
        }
        // A ticket is made only after the password was right, so this error is not the user's.
        "resource_not_found" | "sign_in_identification_or_user_deleted"
            if operation == Operation::TicketSignIn =>
        {
            Unavailable
        }
        "resource_not_found" if signing_in => Refused(CredentialRefusal::Unidentified),
        "resource_not_found" if matches!(operation, Operation::Environment | Operation::Jwks) => Unavailable,
        "resource_not_found" => NotFound,
        "missing_expired_token" => MissingExpiredToken,

        // The configuration of the instance, or the form of our request.
        "native_api_disabled"
        | "origin_authorization_headers_conflict"
        | "multiple_origin_header_values_forbidden"
        | "multiple_authorization_header_values_forbidden"
        | "origin_invalid"
        | "origin_missing"
        | "subdomain_not_allowed"
        | "host_invalid"
        | "authorization_header_format_invalid"
        | "csrf_token_invalid"
        | "api_version_invalid"
        | "request_body_invalid"
        | "malformed_request_parameters"
        | "unsupported_content_type"
        | "form_param_unknown"
        | "form_param_value_disabled"
        | "dev_browser_unauthenticated"
        | "proxy_request_missing_secret_key"
        | "proxy_request_invalid_secret_key"
        | "user_settings_invalid"
        | "requires_device_attestation"
        | "requires_assertion"
        | "captcha_not_enabled" => Misconfigured,
        other if other.starts_with("device_attestation_") => Misconfigured,

        // A ticket lives for a minute and is used at once, so a bad ticket is not the user's error.
        other if other.starts_with("ticket_") || other.starts_with("sign_in_token_") => Unavailable,

        // Bot and risk checks that need a browser. Clerk also sends `captcha_invalid` for "unusual activity".
        "requires_captcha" | "captcha_invalid" | "captcha_missing_token" => Unknown,
        "too_many_requests" | "signup_rate_limit_exceeded" => RateLimited,
        other if other.starts_with("verification_code_") => RateLimited,
        // `resource_locked` reports two concurrent changes of one resource, and is gone by the next request.
        "resource_locked" | "internal_clerk_error" | "service_unavailable" | "gateway_timeout" => Unavailable,
        _ => return None,
    })
}

/// The codes that have a different class in an answer of the Backend API.
fn backend_class_of(operation: Operation, code: &str) -> Option<ErrorClass> {
    use Operation::{
        BackendMint, BackendMintTemplate, BackendSession, FindUser, ListOrganizationMemberships,
        Organization, Revoke, Ticket, User, VerifyApiKey, VerifyPassword,
    };
    Some(match code {
        "incorrect_password" => ErrorClass::Refused(CredentialRefusal::Credentials),
        // A string that cannot be a password is a wrong password, and one that cannot be an identifier has no user.
        "form_param_nil"
        | "form_param_missing"
        | "form_param_format_invalid"
        | "form_param_value_invalid"
        | "form_param_exceeds_allowed_size"
        | "form_password_size_in_bytes_exceeded" => match operation {
            VerifyPassword => ErrorClass::Refused(CredentialRefusal::Credentials),
            FindUser => ErrorClass::NotFound,
            VerifyApiKey => ErrorClass::Refused(CredentialRefusal::Unidentified),
            _ => return None,
        },
        "resource_not_found" => match operation {
            User
            | VerifyPassword
            | Ticket
            | BackendSession
            | Revoke
            | BackendMint
            | BackendMintTemplate
            | Organization
            | ListOrganizationMemberships => ErrorClass::NotFound,
            _ => ErrorClass::Unavailable,
        },
        // Clerk doesn't document the code for a mint from an ended session. For all of these codes the caller looks the
        // session up before it drops it.
        "authentication_invalid" | "signed_out" | "invalid_action_for_session"
            if matches!(operation, BackendMint | BackendMintTemplate | Revoke) =>
        {
            ErrorClass::NotFound
        }
        // Clerk documents no code of the 400 that its description has. These say that it is about the key itself.
        "api_key_revoked" | "api_key_expired" | "api_key_invalid" if operation == VerifyApiKey => {
            ErrorClass::Refused(CredentialRefusal::Unidentified)
        }
        // API keys are off. All fail, and none is refused by that.
        "api_keys_not_enabled" => ErrorClass::Misconfigured,
        // The secret key is invalid, or belongs to another instance.
        "clerk_key_invalid"
        | "authentication_invalid"
        | "authorization_invalid"
        | "authorization_header_format_invalid"
        | "secret_key_invalid"
        | "request_invalid_for_environment"
        | "instance_key_required" => ErrorClass::Misconfigured,
        _ => return None,
    })
}

/// The class of a sign-in with a status other than `complete`.
pub(crate) fn unfinished(
    status: &str,
    client_trust_state: Option<&str>,
    second_factors: &[&str],
    password_verified: bool,
) -> ErrorClass {
    match status {
        // The older form of Device Trust, on instances without Clerk's update "Device Trust Status": the status asks
        // for a second factor, but the user has none.
        "needs_second_factor"
            if client_trust_state == Some("new")
                && !second_factors.iter().any(|factor| matches!(*factor, "totp" | "backup_code")) =>
        {
            ErrorClass::DeviceNotTrusted
        }
        "needs_second_factor" => ErrorClass::SecondFactor,
        "needs_client_trust" => ErrorClass::DeviceNotTrusted,
        "needs_new_password" | "needs_protect_check" => ErrorClass::ActionRequired,
        // The account has no password factor (SSO only), or Clerk did not accept the password as one.
        "needs_first_factor" | "needs_identifier" if !password_verified => {
            ErrorClass::Refused(CredentialRefusal::NotByPassword)
        }
        _ => ErrorClass::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::super::api_error::{ApiError, classify};
    use super::*;
    use ErrorClass::{
        ActionRequired, DeviceNotTrusted, Misconfigured, MissingExpiredToken, NotFound,
        OrganizationForbidden, RateLimited, Refused, SecondFactor, SessionExists, SessionGone, Unavailable,
        Unknown,
    };
    use Operation::{
        BackendMint, BackendSession, Environment, FindUser, Jwks, Mint, MintTemplate, SignIn, Ticket,
        TicketSignIn, Touch, VerifyPassword,
    };

    const CREDENTIALS: ErrorClass = Refused(CredentialRefusal::Credentials);
    const UNIDENTIFIED: ErrorClass = Refused(CredentialRefusal::Unidentified);
    const BARRED: ErrorClass = Refused(CredentialRefusal::Barred);

    #[test]
    fn s3_every_documented_code_has_its_class() {
        let table: &[(Operation, u16, &str, ErrorClass)] = &[
            (SignIn, 422, "form_password_incorrect", CREDENTIALS),
            (SignIn, 422, "form_identifier_not_found", UNIDENTIFIED),
            (SignIn, 422, "form_password_or_identifier_incorrect", UNIDENTIFIED),
            (SignIn, 422, "form_password_validation_failed", CREDENTIALS),
            (SignIn, 422, "form_param_format_invalid", UNIDENTIFIED),
            (SignIn, 422, "form_param_nil", UNIDENTIFIED),
            (SignIn, 422, "form_param_missing", UNIDENTIFIED),
            (SignIn, 422, "form_conditional_param_missing", UNIDENTIFIED),
            (SignIn, 422, "form_param_value_invalid", UNIDENTIFIED),
            (SignIn, 422, "form_param_exceeds_allowed_size", UNIDENTIFIED),
            (SignIn, 422, "form_password_size_in_bytes_exceeded", UNIDENTIFIED),
            (SignIn, 422, "account_lockout_warning", CREDENTIALS),
            (SignIn, 404, "resource_not_found", UNIDENTIFIED),
            (SignIn, 404, "sign_in_no_identification_for_user", UNIDENTIFIED),
            (SignIn, 400, "sign_in_identification_or_user_deleted", UNIDENTIFIED),
            (SignIn, 400, "strategy_for_user_invalid", Refused(CredentialRefusal::NotByPassword)),
            (SignIn, 400, "no_password_set", Refused(CredentialRefusal::NotByPassword)),
            (SignIn, 403, "user_locked", Refused(CredentialRefusal::Locked)),
            (SignIn, 403, "user_banned", BARRED),
            (SignIn, 403, "user_deactivated", BARRED),
            (SignIn, 401, "deprovisioned", BARRED),
            (SignIn, 422, "form_password_pwned", ActionRequired),
            (SignIn, 422, "form_password_compromised", ActionRequired),
            (SignIn, 422, "password_reset_required", ActionRequired),
            (SignIn, 422, "password_too_long_needs_reset", ActionRequired),
            (SignIn, 422, "sign_in_must_use_enterprise_connection_identifier", ActionRequired),
            (SignIn, 403, "not_allowed_access", ActionRequired),
            (SignIn, 403, "action_blocked", ActionRequired),
            (SignIn, 403, "requires_protect_check", ActionRequired),
            (SignIn, 403, "device_blocked", ActionRequired),
            (SignIn, 409, "session_creation_not_allowed", ActionRequired),
            (SignIn, 409, "user_settings_invalid", Misconfigured),
            (SignIn, 409, "resource_locked", Unavailable),
            (SignIn, 400, "session_exists", SessionExists),
            (SignIn, 400, "identifier_already_signed_in", SessionExists),
            (SignIn, 400, "native_api_disabled", Misconfigured),
            (SignIn, 400, "origin_authorization_headers_conflict", Misconfigured),
            (SignIn, 400, "multiple_origin_header_values_forbidden", Misconfigured),
            (SignIn, 400, "multiple_authorization_header_values_forbidden", Misconfigured),
            (SignIn, 400, "origin_invalid", Misconfigured),
            (SignIn, 400, "origin_missing", Misconfigured),
            (SignIn, 403, "subdomain_not_allowed", Misconfigured),
            (SignIn, 400, "host_invalid", Misconfigured),
            (SignIn, 401, "authorization_header_format_invalid", Misconfigured),
            (SignIn, 403, "csrf_token_invalid", Misconfigured),
            (SignIn, 400, "api_version_invalid", Misconfigured),
            (SignIn, 400, "request_body_invalid", Misconfigured),
            (SignIn, 400, "malformed_request_parameters", Misconfigured),
            (SignIn, 415, "unsupported_content_type", Misconfigured),
            (SignIn, 422, "form_param_unknown", Misconfigured),
            (SignIn, 400, "form_param_value_disabled", Misconfigured),
            (SignIn, 401, "dev_browser_unauthenticated", Misconfigured),
            (SignIn, 400, "proxy_request_missing_secret_key", Misconfigured),
            (SignIn, 401, "proxy_request_invalid_secret_key", Misconfigured),
            (SignIn, 401, "requires_device_attestation", Misconfigured),
            (SignIn, 401, "requires_assertion", Misconfigured),
            (SignIn, 401, "device_attestation_failed", Misconfigured),
            (SignIn, 400, "captcha_not_enabled", Misconfigured),
            (SignIn, 401, "requires_captcha", Unknown),
            (SignIn, 400, "captcha_invalid", Unknown),
            (SignIn, 400, "captcha_missing_token", Unknown),
            (SignIn, 429, "too_many_requests", RateLimited),
            (SignIn, 429, "verification_code_rate_limited", RateLimited),
            (SignIn, 400, "too_many_requests", RateLimited),
            (SignIn, 500, "internal_clerk_error", Unavailable),
            (SignIn, 503, "service_unavailable", Unavailable),
            (SignIn, 504, "gateway_timeout", Unavailable),
            // A code about sessions makes no sense in answer to a sign-in, so it is not a refusal.
            (SignIn, 401, "signed_out", Unknown),
            (SignIn, 401, "authentication_invalid", Unknown),
            (SignIn, 422, "a_code_of_tomorrow", Unknown),
            (Mint, 401, "signed_out", SessionGone),
            (Mint, 401, "authentication_invalid", SessionGone),
            (Mint, 401, "action_for_session_not_authorized", SessionGone),
            (Mint, 400, "client_not_found", SessionGone),
            (Mint, 400, "cookie_invalid", SessionGone),
            (Mint, 400, "invalid_action_for_session", SessionGone),
            (Mint, 404, "resource_not_found", NotFound),
            (MintTemplate, 404, "resource_not_found", NotFound),
            (Touch, 404, "resource_not_found", NotFound),
            (Mint, 404, "organization_not_found_or_unauthorized", OrganizationForbidden),
            (Touch, 404, "organization_not_found_or_unauthorized", OrganizationForbidden),
            (Touch, 403, "not_a_member_in_organization", OrganizationForbidden),
            (Touch, 403, "organization_not_enabled_in_instance", OrganizationForbidden),
            (Mint, 422, "missing_expired_token", MissingExpiredToken),
            (Mint, 403, "user_banned", BARRED),
            (Mint, 403, "user_deactivated", BARRED),
            (Mint, 401, "deprovisioned", BARRED),
            (Mint, 401, "requires_captcha", Unknown),
            (Mint, 403, "session_reverification_required", SecondFactor),
            (Mint, 422, "form_param_missing", Unknown),
            (Mint, 429, "too_many_requests", RateLimited),
            (TicketSignIn, 400, "ticket_expired_code", Unavailable),
            (TicketSignIn, 400, "sign_in_token_already_used_code", Unavailable),
            (TicketSignIn, 403, "user_banned", BARRED),
            (FindUser, 422, "form_param_format_invalid", NotFound),
            (FindUser, 404, "resource_not_found", Unavailable),
            (TicketSignIn, 404, "resource_not_found", Unavailable),
            (FindUser, 401, "clerk_key_invalid", Misconfigured),
            (Operation::User, 404, "resource_not_found", NotFound),
            (VerifyPassword, 422, "incorrect_password", CREDENTIALS),
            (VerifyPassword, 422, "form_param_nil", CREDENTIALS),
            (VerifyPassword, 400, "no_password_set", Refused(CredentialRefusal::NotByPassword)),
            (VerifyPassword, 403, "user_locked", Refused(CredentialRefusal::Locked)),
            (VerifyPassword, 404, "resource_not_found", NotFound),
            (VerifyPassword, 401, "authentication_invalid", Misconfigured),
            (Ticket, 404, "resource_not_found", NotFound),
            (Ticket, 403, "not_a_member_in_organization", OrganizationForbidden),
            (BackendMint, 404, "resource_not_found", NotFound),
            (BackendMint, 401, "authentication_invalid", NotFound),
            (BackendMint, 400, "invalid_action_for_session", NotFound),
            (BackendMint, 401, "clerk_key_invalid", Misconfigured),
            (BackendSession, 401, "authentication_invalid", Misconfigured),
            (BackendMint, 429, "too_many_requests", RateLimited),
            (Environment, 404, "resource_not_found", Unavailable),
            (Jwks, 404, "resource_not_found", Unavailable),
            (Environment, 400, "host_invalid", Misconfigured),
        ];
        for &(operation, status, code, class) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(classify(operation, status, &[code]).class, class, "{operation:?} {status} {code}");
        }
    }

    #[test]
    fn s3_all_errors_of_an_answer_are_read() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let error = classify(SignIn, status, &["form_password_incorrect", "account_lockout_warning"]);
        assert_eq!((error.class, error.lockout_warning), (CREDENTIALS, true));
        assert_eq!(error.code.as_deref(), Some("form_password_incorrect"));
        let error = classify(SignIn, status, &["something_new", "form_password_incorrect"]);
        assert_eq!(error.class, CREDENTIALS);
        let error = classify(SignIn, status, &["form_password_incorrect", "user_locked"]);
        assert_eq!(error.class, Refused(CredentialRefusal::Locked));
    }

    #[test]
    fn s4_an_upstream_error_is_never_a_refusal_whatever_its_body_says() {
        for status in [500, 502, 503, 504, 521, 302, 307, 408, 200] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(classify(SignIn, status, &["form_password_incorrect"]).class, Unavailable, "{status}");
        }
        // An answer without a code is the error page of a proxy.
        assert_eq!(classify(SignIn, StatusCode::FORBIDDEN, &[]).class, Unavailable);
    }

    #[test]
    fn s3_every_status_of_a_sign_in_has_its_class() {
        type Row<'a> = (&'a str, Option<&'a str>, &'a [&'a str], bool, ErrorClass);
        let table: &[Row<'_>] = &[
            ("needs_second_factor", None, &["totp", "backup_code"], true, SecondFactor),
            ("needs_second_factor", Some("new"), &["email_code"], true, DeviceNotTrusted),
            ("needs_second_factor", Some("new"), &["email_code", "totp"], true, SecondFactor),
            ("needs_second_factor", Some("known"), &["phone_code"], true, SecondFactor),
            ("needs_client_trust", Some("new"), &["email_code"], true, DeviceNotTrusted),
            ("needs_new_password", None, &[], true, ActionRequired),
            ("needs_protect_check", None, &[], false, ActionRequired),
            ("needs_first_factor", None, &[], false, Refused(CredentialRefusal::NotByPassword)),
            ("needs_identifier", None, &[], false, Refused(CredentialRefusal::NotByPassword)),
            ("abandoned", None, &[], false, Unknown),
            ("needs_something_new", None, &[], true, Unknown),
        ];
        for &(status, trust, factors, verified, class) in table {
            assert_eq!(unfinished(status, trust, factors, verified), class, "{status} {trust:?}");
        }
    }

    #[test]
    fn only_a_well_formed_code_is_logged() {
        assert_eq!(ApiError::coded(Unknown, "password is hunter2").code, None);
        assert_eq!(ApiError::coded(Unknown, "user_locked").code.as_deref(), Some("user_locked"));
    }
}
