//! Why a request was not let in.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// The kinds of [`Rejection`], each with its status and its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The request holds no Basic credentials (401).
    CredentialsMissing,
    /// The `Authorization` field is not well-formed Basic (401).
    CredentialsMalformed,
    /// Wrong password, unknown user, locked or banned account: one and the same answer (401).
    CredentialsRejected,
    /// Clerk wants something of the user first: a new password, a trusted device, a session task, another way in
    /// (403).
    AccountActionRequired,
    /// The password is right, but the account has a second factor, which Basic cannot carry (403).
    SecondFactorRequired,
    /// The organization asked for is not one of the user's, or doesn't exist (403).
    OrganizationForbidden,
    /// A guard behind the layer says no (403).
    Forbidden,
    /// Too many failed attempts with this identifier (429).
    Throttled,
    /// The sign-in budget or Clerk's own quota is spent, or the queue for it is full (503).
    UpstreamRateLimited,
    /// Clerk can't be reached, is slow, broken, or answers what nobody knows (503).
    UpstreamUnavailable,
    /// The Clerk instance, or this layer, is set up so that sign-ins cannot work (500).
    Misconfigured,
    /// A error of this crate (500).
    Internal,
}

impl RejectionKind {
    /// Every kind.
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

    /// The status of the response.
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

    /// A stable name for programs: `credentials_rejected`, `upstream_unavailable` …
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

    /// A short sentence for people.
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

    /// Whether the answer carries a `WWW-Authenticate` challenge: other credentials may help.
    #[must_use]
    pub fn is_challenge(self) -> bool {
        self.status() == StatusCode::UNAUTHORIZED
    }
}

/// Why a request was not let in.
///
/// The layer leaves it in the extensions of the *response*, so that a tracing or metrics layer outside
/// can see more than the client does. It never holds anything of the credentials.
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
}

impl Rejection {
    /// A rejection of the given kind.
    #[must_use]
    pub fn new(kind: RejectionKind) -> Self {
        Self { kind, retry_after: None, detail: None, upstream_code: None }
    }

    pub(crate) fn retry_after_at_least(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait.max(Duration::from_secs(1)));
        self
    }

    pub(crate) fn detail_of(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    pub(crate) fn upstream(mut self, code: Option<Box<str>>) -> Self {
        self.upstream_code = code;
        self
    }

    /// What kind of rejection it is.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// A stable name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// After how long another attempt may succeed, where that is known. Sent as `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// A sentence that helps the client, where there is one that tells an attacker nothing.
    #[must_use]
    pub fn detail(&self) -> Option<&'static str> {
        self.detail
    }

    /// Clerk's own error code or sign-in status, where one led here: for logs, never for the client.
    ///
    /// It tells a locked account from a wrong password, which the response doesn't.
    #[must_use]
    pub fn upstream_code(&self) -> Option<&str> {
        self.upstream_code.as_deref()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Clerk's code stays out: who shows this to a client must not tell a locked account from a wrong password.
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
    fn a_retry_after_is_never_zero() {
        let rejection =
            Rejection::new(RejectionKind::UpstreamRateLimited).retry_after_at_least(Duration::ZERO);
        assert_eq!(rejection.retry_after(), Some(Duration::from_secs(1)));
    }
}
