//! Maps errors to rejections, all in one place, so that every code path answers the same error alike.

use std::time::Duration;

use crate::clerk_api::{ApiError, CredentialRefusal, ErrorClass};
use crate::limits::{CLERK_WINDOW, Failure, Ground};
use crate::provider::MintError;
use crate::rejection::{Rejection, RejectionKind};

/// `Retry-After` for an unavailable Clerk that sent none itself. Most such outages are short.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);

/// Advice for the operator, so it goes to the log and not to the client (rule A9).
pub(crate) const DEVICE_ADVICE: &str = "Clerk's Device Trust does not know this server for an account: enroll the \
                                        account once (Clerk::enroll), give the engine the instance's secret key, set \
                                        bypass_client_trust for the user, or turn the rule off in Clerk's dashboard";

pub(crate) fn unavailable(code: &str) -> Rejection {
    from_api_error(&ApiError::unavailable(code))
}

/// The same answer for all refusals, so that it does not reveal what Clerk knows of the account (rule P3). Only the
/// code for the log differs.
pub(crate) fn refused(refusal: CredentialRefusal) -> Rejection {
    let code = match refusal {
        CredentialRefusal::Credentials | CredentialRefusal::Unidentified => None,
        CredentialRefusal::NotByPassword => Some("not_by_password"),
        CredentialRefusal::Locked => Some("user_locked"),
        CredentialRefusal::Barred => Some("user_barred"),
    };
    Rejection::new(RejectionKind::CredentialsRejected).upstream(code.map(Into::into))
}

/// How the failure counts take a refusal, by what it says about the account (rule P3).
pub(crate) fn failure_of(refusal: CredentialRefusal) -> Failure {
    match refusal {
        CredentialRefusal::Unidentified => Failure::Unconfirmed,
        CredentialRefusal::Credentials | CredentialRefusal::NotByPassword => Failure::Confirmed,
        CredentialRefusal::Locked => Failure::Locked,
        CredentialRefusal::Barred => Failure::Banned,
    }
}

/// The ground of a remembered refusal, for lifting it when the account changes (rule W5).
pub(crate) fn ground_of(class: ErrorClass) -> Ground {
    match class {
        ErrorClass::Refused(CredentialRefusal::Barred) => Ground::Banned,
        ErrorClass::Refused(CredentialRefusal::Locked) => Ground::Locked,
        ErrorClass::Refused(CredentialRefusal::Unidentified) => Ground::Unknown,
        _ => Ground::Other,
    }
}

pub(crate) fn from_api_error(error: &ApiError) -> Rejection {
    let code = error.code.clone();
    let action = |detail| Rejection::new(RejectionKind::AccountActionRequired).detail_of(detail);
    let rejection = match error.class {
        ErrorClass::Refused(refusal) => refused(refusal),
        ErrorClass::ActionRequired => {
            action("sign in once in a browser and complete the steps that Clerk asks for")
        }
        ErrorClass::DeviceNotTrusted => action("ask the operator of this service to enroll this account"),
        ErrorClass::SecondFactor => Rejection::new(RejectionKind::SecondFactorRequired)
            .detail_of("HTTP Basic cannot carry a second factor: use an account without one"),
        ErrorClass::OrganizationForbidden => Rejection::new(RejectionKind::OrganizationForbidden),
        ErrorClass::RateLimited | ErrorClass::NoPermit => Rejection::new(RejectionKind::UpstreamRateLimited)
            .with_retry_after(error.retry_after.unwrap_or(CLERK_WINDOW)),
        ErrorClass::Misconfigured => Rejection::new(RejectionKind::Misconfigured),
        ErrorClass::SessionGone
        | ErrorClass::NotFound
        | ErrorClass::MissingExpiredToken
        | ErrorClass::SessionExists
        | ErrorClass::Unknown
        | ErrorClass::Untrusted
        | ErrorClass::Unavailable => Rejection::new(RejectionKind::UpstreamUnavailable)
            .with_retry_after(error.retry_after.unwrap_or(RETRY_UNAVAILABLE)),
    };
    rejection.upstream(code)
}

/// Whether Clerk rejected the sign-in because the server is not a known device of the account.
pub(crate) fn is_for_want_of_a_device(rejection: &Rejection) -> bool {
    rejection.kind() == RejectionKind::AccountActionRequired
        && matches!(rejection.upstream_code(), Some("needs_client_trust" | "needs_second_factor"))
}

pub(crate) fn from_mint_error(error: &MintError) -> Rejection {
    match error {
        MintError::Api(error) => from_api_error(error),
        MintError::Refused(refusal) => refused(*refusal),
        MintError::Forbidden => Rejection::new(RejectionKind::OrganizationForbidden),
        MintError::ActionRequired => from_api_error(&ApiError::new(ErrorClass::ActionRequired)),
        MintError::Misconfigured(_) => Rejection::new(RejectionKind::Misconfigured),
        MintError::NoSession => unavailable("no_session_for_organization"),
        MintError::Superseded => unavailable("revoked_meanwhile"),
        // The session of a repeated sign-in is gone too, so the cause lies with Clerk.
        MintError::Gone => unavailable("session_gone"),
    }
}

/// Advice on a wrong setup, for the log.
pub(crate) fn advice(error: &ApiError) -> &'static str {
    match error.code.as_deref() {
        Some("native_api_disabled") => "turn the Native API on in Clerk's dashboard (Native applications)",
        Some("form_param_unknown" | "form_param_value_disabled") => {
            "turn sign-in with password on in Clerk's dashboard (User & authentication)"
        }
        Some("api_keys_not_enabled") => "turn API keys on in Clerk's dashboard (API keys)",
        Some("host_invalid") => "check the publishable key or the address of the Frontend API",
        Some(
            "clerk_key_invalid"
            | "authentication_invalid"
            | "authorization_invalid"
            | "authorization_header_format_invalid"
            | "secret_key_invalid",
        ) => "check the secret key (API keys page of Clerk's dashboard): the Backend API refuses it",
        Some("requires_device_attestation" | "requires_assertion") => {
            "the instance enforces device attestation for native clients, which a server cannot give"
        }
        _ => "check the instance's settings in Clerk's dashboard",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p3_a_refusal_counts_by_what_it_says_about_the_account() {
        for (refusal, failure) in [
            (CredentialRefusal::Credentials, Failure::Confirmed),
            (CredentialRefusal::Unidentified, Failure::Unconfirmed),
            (CredentialRefusal::NotByPassword, Failure::Confirmed),
            (CredentialRefusal::Locked, Failure::Locked),
            (CredentialRefusal::Barred, Failure::Banned),
        ] {
            assert_eq!(failure_of(refusal), failure, "{refusal:?}");
        }
    }
}
