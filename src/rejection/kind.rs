//! The kinds of rejections, with their statuses and codes.

use http::StatusCode;

/// The kind of a [`Rejection`](crate::Rejection), which determines its status and its code.
///
/// Only [401](Self::is_challenge) asks the client for other credentials. An outage of Clerk is never a 401: clients
/// must not conclude that their password is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The request carries no credentials of a scheme that the layer accepts (401).
    CredentialsMissing,
    /// The `Authorization` field is not well-formed Basic (401).
    ///
    /// The [`detail`](crate::Rejection::detail) says what is wrong.
    CredentialsMalformed,
    /// The password is wrong, the user is unknown, or the account is locked or banned (401).
    ///
    /// The answer is the same for all of them. A Bearer token that is refused has this kind too, and a
    /// [`bearer_refusal`](crate::Rejection::bearer_refusal).
    CredentialsRejected,
    /// Clerk asks the user to do something first: choose a new password, confirm a device, finish a session task, or
    /// sign in by another strategy (403).
    AccountActionRequired,
    /// The password is right, but the account has a second factor, which HTTP Basic cannot carry (403). Or an identity
    /// provider's assertion is, and attests no second factor.
    SecondFactorRequired,
    /// The user is not a member of the organization, it doesn't exist, or the request names none (403). A Bearer token is
    /// for another organization than the request, or for one where the request asks for none.
    ///
    /// An [`OrganizationSession`](crate::OrganizationSession) answers a session for the personal account like this.
    OrganizationForbidden,
    /// The user is signed in, but not allowed to do this (403).
    ///
    /// The layer never rejects with this kind; [guards](crate::guard) behind it do, and so do extractors of a session if the
    /// request has an API key, or the other way round.
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
    /// The log says which; [`Clerk::preflight`](crate::Clerk::preflight) finds most of them at start. A
    /// [guard](crate::guard) or an extractor of axum answers like this where no layer stands in front of it.
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
