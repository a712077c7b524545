//! What each of Clerk's answers means for us: every error code that a password sign-in, a touch or a mint can
//! meet, in one table (rule S3).
//!
//! The codes and their statuses are Clerk's own list, as its documentation publishes it. A refusal is only a code
//! that is known to be one: whatever is unknown is Clerk's trouble or ours, never the user's.

use std::time::Duration;

use http::StatusCode;

/// Which call an answer belongs to; some codes mean another thing with another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    SignIn,
    Touch,
    Mint,
    MintTemplate,
    Session,
    End,
    Environment,
    Jwks,
}

impl Operation {
    pub(crate) const ALL: [Self; 8] = [
        Self::SignIn,
        Self::Touch,
        Self::Mint,
        Self::MintTemplate,
        Self::Session,
        Self::End,
        Self::Environment,
        Self::Jwks,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Touch => "touch",
            Self::Mint => "token",
            Self::MintTemplate => "template_token",
            Self::Session => "session",
            Self::End => "end",
            Self::Environment => "environment",
            Self::Jwks => "jwks",
        }
    }
}

/// How a call ended, as coarsely as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallResult {
    Ok,
    /// Clerk answered, and said no.
    Refused,
    RateLimited,
    /// No answer, or none that can be used.
    Failed,
}

impl CallResult {
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Refused, Self::RateLimited, Self::Failed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::RateLimited => "rate_limited",
            Self::Failed => "failed",
        }
    }

    pub(super) fn of(meaning: Meaning) -> Self {
        match meaning {
            Meaning::RateLimited => Self::RateLimited,
            Meaning::Unavailable | Meaning::Untrusted | Meaning::Unknown => Self::Failed,
            _ => Self::Refused,
        }
    }
}

/// Why Clerk refuses a user. All of these are one answer to the client; inside, they count differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// Wrong password, or nobody of that name: an attempt that Clerk may have counted.
    Credentials,
    /// The account exists but has no password, or its identifier may not use one.
    NotByPassword,
    /// Clerk has locked the account.
    Locked,
    /// Banned, deactivated or deprovisioned.
    Barred,
}

/// What a failed call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Meaning {
    /// The user is refused.
    Refused(Refusal),
    /// The password may be right, but the sign-in can't be finished here.
    ActionRequired,
    /// The password is right and a second factor is due.
    SecondFactor,
    /// The password is right, but Clerk doesn't know this device.
    DeviceNotTrusted,
    /// The session, or the client it hangs on, is over.
    SessionGone,
    /// Not a member of the organization, or there is none of that name.
    OrganizationForbidden,
    /// Something of the request wasn't found; which thing depends on what was asked for.
    NotFound,
    /// The mint wants to see the token that has run out.
    MissingExpiredToken,
    /// The client already has a session.
    SessionExists,
    /// Clerk's quota is spent.
    RateLimited,
    /// The instance is set up so that this cannot work.
    Misconfigured,
    /// An answer in Clerk's own form that nobody knows: not the user's fault, but no use repeating either.
    Unknown,
    /// An answer came that can't be relied on.
    Untrusted,
    /// Clerk, or the way to it, is at fault.
    Unavailable,
}

impl Meaning {
    /// Whether Clerk has judged the user, and said no: nothing that was let in before may serve on.
    pub(crate) fn is_verdict(self) -> bool {
        matches!(self, Self::Refused(_) | Self::ActionRequired | Self::SecondFactor)
    }
}

/// A failed call: its meaning, and what else the answer said that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) meaning: Meaning,
    /// The code that decided, or the sign-in's status; fit for a log.
    pub(crate) code: Option<Box<str>>,
    pub(crate) retry_after: Option<Duration>,
    /// Clerk warned that the account is about to be locked.
    pub(crate) lockout_warning: bool,
    /// The sign-in can't be finished here, but its password was right.
    pub(crate) proves_password: bool,
}

impl Fault {
    pub(crate) fn new(meaning: Meaning) -> Self {
        Self { meaning, code: None, retry_after: None, lockout_warning: false, proves_password: false }
    }

    pub(crate) fn unavailable(why: &str) -> Self {
        Self { code: loggable(why), ..Self::new(Meaning::Unavailable) }
    }

    pub(crate) fn coded(meaning: Meaning, code: &str) -> Self {
        Self { code: loggable(code), ..Self::new(meaning) }
    }
}

/// The meaning of an answer that isn't a success, from its status and the codes of *all* its errors.
pub(crate) fn read(operation: Operation, status: StatusCode, codes: &[&str]) -> Fault {
    let lockout_warning = codes.contains(&"account_lockout_warning");
    // The key set and the environment are no user's: nothing about them refuses anybody or ends a session (S4).
    if operation == Operation::Jwks {
        return Fault::coded(Meaning::Unavailable, first_or(codes, status.as_str()));
    }
    // Clerk's quota and Clerk's own trouble are told by the status alone; a code can't make them a refusal (S4).
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Fault { lockout_warning, ..Fault::coded(Meaning::RateLimited, first_or(codes, "429")) };
    }
    if !status.is_client_error() || matches!(status.as_u16(), 408 | 425) || codes.is_empty() {
        return Fault::coded(Meaning::Unavailable, first_or(codes, status.as_str()));
    }
    let decided = codes
        .iter()
        .filter_map(|code| meaning_of(operation, code).map(|meaning| (weight(meaning), meaning, *code)))
        // The first of the heaviest: `max_by_key` would take the last.
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    match decided {
        Some((_, meaning, code)) => Fault { lockout_warning, ..Fault::coded(meaning, code) },
        None => Fault::coded(Meaning::Unknown, first_or(codes, "unknown")),
    }
}

fn first_or<'a>(codes: &[&'a str], other: &'a str) -> &'a str {
    codes.first().copied().unwrap_or(other)
}

/// A code as it may stand in a log: what Clerk sends is lower-case words, anything else is dropped.
fn loggable(code: &str) -> Option<Box<str>> {
    let fits = (1..=64).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    fits.then(|| code.into())
}

/// Of several errors in one answer the weightiest decides: a lock says more than the wrong password beside it.
fn weight(meaning: Meaning) -> u8 {
    match meaning {
        Meaning::RateLimited => 9,
        Meaning::Misconfigured => 8,
        Meaning::Refused(Refusal::Locked | Refusal::Barred) => 7,
        Meaning::Refused(Refusal::NotByPassword) => 6,
        Meaning::Refused(Refusal::Credentials) => 5,
        Meaning::OrganizationForbidden => 4,
        _ => 3,
    }
}

/// The table. `None` is a code nobody here knows.
fn meaning_of(operation: Operation, code: &str) -> Option<Meaning> {
    use Meaning::{
        ActionRequired, Misconfigured, MissingExpiredToken, NotFound, OrganizationForbidden, RateLimited,
        Refused, SecondFactor, SessionExists, SessionGone, Unavailable,
    };
    let signing_in = operation == Operation::SignIn;
    Some(match code {
        // The identifier or the password, as far as Clerk's enumeration protection lets one tell.
        "form_password_incorrect"
        | "form_identifier_not_found"
        | "form_password_or_identifier_incorrect"
        | "form_password_validation_failed"
        | "account_lockout_warning"
        | "sign_in_no_identification_for_user"
        | "sign_in_identification_or_user_deleted" => Refused(Refusal::Credentials),
        // What was presented can be nobody's: no address, too long, not text.
        "form_param_format_invalid"
        | "form_param_nil"
        | "form_param_missing"
        | "form_conditional_param_missing"
        | "form_param_value_invalid"
        | "form_param_exceeds_allowed_size"
        | "form_password_size_in_bytes_exceeded"
            if signing_in =>
        {
            Refused(Refusal::Credentials)
        }
        "strategy_for_user_invalid" | "no_password_set" => Refused(Refusal::NotByPassword),
        "user_locked" => Refused(Refusal::Locked),
        "user_banned" | "user_deactivated" | "deprovisioned" => Refused(Refusal::Barred),

        // The user must do something elsewhere first.
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

        // A client that Clerk already knows to be signed in.
        "session_exists" | "identifier_already_signed_in" => SessionExists,

        // Of organizations. Clerk doesn't tell an unknown one from another's, and neither do we.
        "organization_not_found_or_unauthorized"
        | "not_a_member_in_organization"
        | "organization_not_enabled_in_instance" => OrganizationForbidden,

        // Of sessions and clients.
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
        "resource_not_found" if signing_in => Refused(Refusal::Credentials),
        "resource_not_found" if matches!(operation, Operation::Environment | Operation::Jwks) => Unavailable,
        "resource_not_found" => NotFound,
        "missing_expired_token" => MissingExpiredToken,

        // The instance, or what we send it.
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

        // Bot and risk checks that need a browser. Clerk sends `captcha_invalid` for "unusual activity", too.
        "requires_captcha" | "captcha_invalid" | "captcha_missing_token" => Unavailable,
        "too_many_requests" | "signup_rate_limit_exceeded" => RateLimited,
        other if other.starts_with("verification_code_") => RateLimited,
        // Two changes of one resource at a time: over by the next request.
        "resource_locked" | "internal_clerk_error" | "service_unavailable" | "gateway_timeout" => Unavailable,
        _ => return None,
    })
}

/// What an unfinished sign-in's status means (`complete` is not one of them).
pub(crate) fn unfinished(
    status: &str,
    client_trust_state: Option<&str>,
    second_factors: &[&str],
    password_verified: bool,
) -> Meaning {
    match status {
        // The legacy form of Device Trust, on instances without Clerk's update "Device Trust Status": the status
        // of a second factor, but of a user who has none.
        "needs_second_factor"
            if client_trust_state == Some("new")
                && !second_factors.iter().any(|factor| matches!(*factor, "totp" | "backup_code")) =>
        {
            Meaning::DeviceNotTrusted
        }
        "needs_second_factor" => Meaning::SecondFactor,
        "needs_client_trust" => Meaning::DeviceNotTrusted,
        "needs_new_password" | "needs_protect_check" => Meaning::ActionRequired,
        // The password was no factor of this account (SSO only), or was not accepted as one.
        "needs_first_factor" | "needs_identifier" if !password_verified => {
            Meaning::Refused(Refusal::NotByPassword)
        }
        _ => Meaning::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Meaning::{
        ActionRequired, DeviceNotTrusted, Misconfigured, MissingExpiredToken, NotFound,
        OrganizationForbidden, RateLimited, Refused, SecondFactor, SessionExists, SessionGone, Unavailable,
        Unknown,
    };
    use Operation::{Environment, Jwks, Mint, MintTemplate, SignIn, Touch};

    const CREDENTIALS: Meaning = Refused(Refusal::Credentials);
    const BARRED: Meaning = Refused(Refusal::Barred);

    #[test]
    fn s3_every_documented_code_has_its_meaning() {
        let table: &[(Operation, u16, &str, Meaning)] = &[
            (SignIn, 422, "form_password_incorrect", CREDENTIALS),
            (SignIn, 422, "form_identifier_not_found", CREDENTIALS),
            (SignIn, 422, "form_password_or_identifier_incorrect", CREDENTIALS),
            (SignIn, 422, "form_password_validation_failed", CREDENTIALS),
            (SignIn, 422, "form_param_format_invalid", CREDENTIALS),
            (SignIn, 422, "form_param_nil", CREDENTIALS),
            (SignIn, 422, "form_param_missing", CREDENTIALS),
            (SignIn, 422, "form_conditional_param_missing", CREDENTIALS),
            (SignIn, 422, "form_param_value_invalid", CREDENTIALS),
            (SignIn, 422, "form_param_exceeds_allowed_size", CREDENTIALS),
            (SignIn, 422, "form_password_size_in_bytes_exceeded", CREDENTIALS),
            (SignIn, 422, "account_lockout_warning", CREDENTIALS),
            (SignIn, 404, "resource_not_found", CREDENTIALS),
            (SignIn, 404, "sign_in_no_identification_for_user", CREDENTIALS),
            (SignIn, 400, "sign_in_identification_or_user_deleted", CREDENTIALS),
            (SignIn, 400, "strategy_for_user_invalid", Refused(Refusal::NotByPassword)),
            (SignIn, 400, "no_password_set", Refused(Refusal::NotByPassword)),
            (SignIn, 403, "user_locked", Refused(Refusal::Locked)),
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
            (SignIn, 401, "requires_captcha", Unavailable),
            (SignIn, 400, "captcha_invalid", Unavailable),
            (SignIn, 400, "captcha_missing_token", Unavailable),
            (SignIn, 429, "too_many_requests", RateLimited),
            (SignIn, 429, "verification_code_rate_limited", RateLimited),
            (SignIn, 400, "too_many_requests", RateLimited),
            (SignIn, 500, "internal_clerk_error", Unavailable),
            (SignIn, 503, "service_unavailable", Unavailable),
            (SignIn, 504, "gateway_timeout", Unavailable),
            // A session's code in answer to a sign-in makes no sense, so it is no refusal.
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
            (Mint, 401, "requires_captcha", Unavailable),
            (Mint, 403, "session_reverification_required", SecondFactor),
            (Mint, 422, "form_param_missing", Unknown),
            (Mint, 429, "too_many_requests", RateLimited),
            (Environment, 404, "resource_not_found", Unavailable),
            (Jwks, 404, "resource_not_found", Unavailable),
            (Environment, 400, "host_invalid", Misconfigured),
        ];
        for &(operation, status, code, meaning) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(read(operation, status, &[code]).meaning, meaning, "{operation:?} {status} {code}");
        }
    }

    #[test]
    fn s3_all_errors_of_an_answer_are_read() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let fault = read(SignIn, status, &["form_password_incorrect", "account_lockout_warning"]);
        assert_eq!((fault.meaning, fault.lockout_warning), (CREDENTIALS, true));
        assert_eq!(fault.code.as_deref(), Some("form_password_incorrect"));
        let fault = read(SignIn, status, &["something_new", "form_password_incorrect"]);
        assert_eq!(fault.meaning, CREDENTIALS);
        let fault = read(SignIn, status, &["form_password_incorrect", "user_locked"]);
        assert_eq!(fault.meaning, Refused(Refusal::Locked));
    }

    #[test]
    fn s4_a_fault_of_clerks_is_never_a_refusal_whatever_its_body_says() {
        for status in [500, 502, 503, 504, 521, 302, 307, 408, 200] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(read(SignIn, status, &["form_password_incorrect"]).meaning, Unavailable, "{status}");
        }
        // No code at all: the page of some proxy on the way.
        assert_eq!(read(SignIn, StatusCode::FORBIDDEN, &[]).meaning, Unavailable);
    }

    #[test]
    fn s3_every_status_of_a_sign_in_has_its_meaning() {
        type Row<'a> = (&'a str, Option<&'a str>, &'a [&'a str], bool, Meaning);
        let table: &[Row<'_>] = &[
            ("needs_second_factor", None, &["totp", "backup_code"], true, SecondFactor),
            ("needs_second_factor", Some("new"), &["email_code"], true, DeviceNotTrusted),
            ("needs_second_factor", Some("new"), &["email_code", "totp"], true, SecondFactor),
            ("needs_second_factor", Some("known"), &["phone_code"], true, SecondFactor),
            ("needs_client_trust", Some("new"), &["email_code"], true, DeviceNotTrusted),
            ("needs_new_password", None, &[], true, ActionRequired),
            ("needs_protect_check", None, &[], false, ActionRequired),
            ("needs_first_factor", None, &[], false, Refused(Refusal::NotByPassword)),
            ("needs_identifier", None, &[], false, Refused(Refusal::NotByPassword)),
            ("abandoned", None, &[], false, Unavailable),
            ("needs_something_new", None, &[], true, Unavailable),
        ];
        for &(status, trust, factors, verified, meaning) in table {
            assert_eq!(unfinished(status, trust, factors, verified), meaning, "{status} {trust:?}");
        }
    }

    #[test]
    fn only_what_looks_like_a_code_can_reach_a_log() {
        assert_eq!(Fault::coded(Unknown, "password is hunter2").code, None);
        assert_eq!(Fault::coded(Unknown, "user_locked").code.as_deref(), Some("user_locked"));
    }
}
