//! Rejections, and what the client learns of them.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::credentials::MalformedReason;

mod challenge;

pub use challenge::Challenge;

/// The kind of a [`Rejection`], which determines its status and its code.
///
/// Only [401](Self::is_challenge) asks the client for other credentials. An outage of Clerk is never a 401: clients
/// must not conclude that their password is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The request carries no Basic credentials (401).
    CredentialsMissing,
    /// The `Authorization` field is not well-formed Basic (401).
    ///
    /// The [`detail`](Rejection::detail) says what is wrong.
    CredentialsMalformed,
    /// The password is wrong, the user is unknown, or the account is locked or banned (401).
    ///
    /// The answer is the same for all of them.
    CredentialsRejected,
    /// Clerk asks the user to do something first: choose a new password, confirm a device, finish a session task, or
    /// sign in by another strategy (403).
    AccountActionRequired,
    /// The password is right, but the account has a second factor, which HTTP Basic cannot carry (403).
    SecondFactorRequired,
    /// The user is not a member of the organization, it doesn't exist, or the request names none (403).
    OrganizationForbidden,
    /// The user is signed in, but not allowed to do this (403).
    ///
    /// The layer never rejects with this kind; it is for guards behind it.
    Forbidden,
    /// Too many failed attempts with this identifier (429).
    Throttled,
    /// The sign-in budget or Clerk's own quota is used up, or the queue for a permit is full (503).
    UpstreamRateLimited,
    /// Clerk can't be reached, doesn't answer in time, or gives an answer that this crate doesn't know (503).
    ///
    /// A request is also answered like this if its session was revoked repeatedly while it waited, and after
    /// [`Clerk::shutdown`](crate::Clerk::shutdown).
    UpstreamUnavailable,
    /// The settings of the Clerk instance, the engine or the layer make this impossible (500).
    ///
    /// The log says which; [`Clerk::preflight`](crate::Clerk::preflight) finds most of them at start.
    Misconfigured,
    /// An internal error of this crate (500).
    Internal,
}

impl RejectionKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: &'static [Self] = &[
        Self::CredentialsMissing,
        Self::CredentialsMalformed,
        Self::CredentialsRejected,
        Self::AccountActionRequired,
        Self::SecondFactorRequired,
        Self::OrganizationForbidden,
        Self::Forbidden,
        Self::Throttled,
        Self::UpstreamRateLimited,
        Self::UpstreamUnavailable,
        Self::Misconfigured,
        Self::Internal,
    ];

    /// Returns the status of the response.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::CredentialsMissing | Self::CredentialsMalformed | Self::CredentialsRejected => {
                StatusCode::UNAUTHORIZED
            }
            Self::AccountActionRequired
            | Self::SecondFactorRequired
            | Self::OrganizationForbidden
            | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::UpstreamRateLimited | Self::UpstreamUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Misconfigured | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns a stable name for programs, such as `credentials_rejected` or `upstream_unavailable`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::CredentialsMissing => "credentials_missing",
            Self::CredentialsMalformed => "credentials_malformed",
            Self::CredentialsRejected => "credentials_rejected",
            Self::AccountActionRequired => "account_action_required",
            Self::SecondFactorRequired => "second_factor_required",
            Self::OrganizationForbidden => "organization_forbidden",
            Self::Forbidden => "forbidden",
            Self::Throttled => "throttled",
            Self::UpstreamRateLimited => "upstream_rate_limited",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::Misconfigured => "misconfigured",
            Self::Internal => "internal",
        }
    }

    /// Returns a short description in English, for a response body or a log.
    ///
    /// It may change between releases.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::CredentialsMissing => "credentials are required",
            Self::CredentialsMalformed => "the credentials are malformed",
            Self::CredentialsRejected => "the credentials were rejected",
            Self::AccountActionRequired => "the account needs its user's attention",
            Self::SecondFactorRequired => "the account requires a second factor",
            Self::OrganizationForbidden => "the organization is not one of the user's",
            Self::Forbidden => "the user is not allowed to do this",
            Self::Throttled => "too many failed attempts",
            Self::UpstreamRateLimited => "no sign-in is possible right now",
            Self::UpstreamUnavailable => "the identity provider is unavailable",
            Self::Misconfigured => "sign-in is misconfigured",
            Self::Internal => "internal error",
        }
    }

    /// Returns whether the response carries a `WWW-Authenticate` challenge, because other credentials may be accepted.
    ///
    /// This is so for every 401, and for no other status.
    #[must_use]
    pub fn is_challenge(self) -> bool {
        self.status() == StatusCode::UNAUTHORIZED
    }
}

/// The reason for which a request was rejected.
///
/// The layer attaches it to the extensions of the *response*, so that a tracing or metrics layer outside can see more
/// than the client does. It never holds any part of the credentials.
///
/// This is an opaque struct and not an enum, so that later releases can add context without a breaking change. Match on
/// its [`kind`](Self::kind).
///
/// ```
/// use tower_clerk::{Rejection, RejectionKind};
///
/// let rejection = Rejection::new(RejectionKind::CredentialsMissing);
/// assert_eq!(rejection.status(), 401);
/// assert_eq!(rejection.code(), "credentials_missing");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Rejection {
    kind: RejectionKind,
    retry_after: Option<Duration>,
    detail: Option<&'static str>,
    upstream_code: Option<Box<str>>,
    challenge: Option<Challenge>,
    malformed: Option<MalformedReason>,
}

impl Rejection {
    /// Creates a rejection of a kind.
    ///
    /// Use it in tests of a [`RejectionResponse`](crate::layer::RejectionResponse), or in a guard behind the layer that
    /// answers in the layer's form.
    #[must_use]
    pub fn new(kind: RejectionKind) -> Self {
        Self { kind, retry_after: None, detail: None, upstream_code: None, challenge: None, malformed: None }
    }

    pub(crate) fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait.max(Duration::from_secs(1)));
        self
    }

    pub(crate) fn detail_of(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    pub(crate) fn malformed(reason: MalformedReason) -> Self {
        let rejection = Self::new(RejectionKind::CredentialsMalformed).detail_of(reason.as_str());
        Self { malformed: Some(reason), ..rejection }
    }

    pub(crate) fn upstream(mut self, code: Option<Box<str>>) -> Self {
        self.upstream_code = code;
        self
    }

    /// The challenge to send if no layer sends its own: the rejection leaves a handler, not the layer.
    #[cfg(feature = "axum")]
    pub(crate) fn with_challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// The challenge of the layer in front, if the rejection was made behind it.
    #[cfg(feature = "axum")]
    pub(crate) fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// Returns the kind of this rejection.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// Returns a stable name for programs.
    ///
    /// See [`RejectionKind::code`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// Returns how long the client should wait before it tries again: at least 1 s, or `None` if waiting doesn't help.
    ///
    /// The layer sends it as `Retry-After`, rounded up to whole seconds. Its own 429 and 503 responses always have one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns a sentence that tells the client what to do, if there is one that tells an attacker nothing.
    ///
    /// [`ProblemJson`](crate::layer::ProblemJson) sends it as `detail`.
    #[must_use]
    pub fn detail(&self) -> Option<&'static str> {
        self.detail
    }

    /// Returns why the credentials are malformed, if that is why the request was rejected.
    ///
    /// A layer outside can count requests by its [`name`](MalformedReason::name).
    #[must_use]
    pub fn malformed_reason(&self) -> Option<MalformedReason> {
        self.malformed
    }

    /// Returns the error code or sign-in status of Clerk that led to this rejection, if one did.
    ///
    /// It is for logs and must not reach the client: it tells a locked account from a wrong password, which the
    /// response doesn't.
    #[must_use]
    pub fn upstream_code(&self) -> Option<&str> {
        self.upstream_code.as_deref()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without Clerk's code: a program may show this text to a client, which must not learn whether an account is
        // locked.
        f.write_str(self.kind.title())
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("kind", &self.kind)
            .field("retry_after", &self.retry_after)
            .field("upstream_code", &self.upstream_code)
            .finish_non_exhaustive()
    }
}

impl StdError for Rejection {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/rules.md`.
    #[test]
    fn a9_each_kind_has_the_status_and_the_code_that_clients_know() {
        let table = [
            (401, "credentials_missing"),
            (401, "credentials_malformed"),
            (401, "credentials_rejected"),
            (403, "account_action_required"),
            (403, "second_factor_required"),
            (403, "organization_forbidden"),
            (403, "forbidden"),
            (429, "throttled"),
            (503, "upstream_rate_limited"),
            (503, "upstream_unavailable"),
            (500, "misconfigured"),
            (500, "internal"),
        ];
        let kinds = RejectionKind::ALL.iter().map(|kind| (kind.status().as_u16(), kind.code()));
        assert_eq!(kinds.collect::<Vec<_>>(), table);
    }

    #[test]
    fn codes_are_distinct_and_only_a_401_challenges() {
        let mut codes: Vec<_> = RejectionKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), RejectionKind::ALL.len());
        for kind in RejectionKind::ALL.iter().copied() {
            assert_eq!(kind.is_challenge(), kind.status() == 401, "{kind:?}");
            assert!(!kind.status().is_success());
        }
    }

    #[test]
    fn a_retry_after_is_never_zero() {
        let rejection = Rejection::new(RejectionKind::UpstreamRateLimited).with_retry_after(Duration::ZERO);
        assert_eq!(rejection.retry_after(), Some(Duration::from_secs(1)));
    }
}
