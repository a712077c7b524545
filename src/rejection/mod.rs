//! Rejections, and what the client learns of them.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::authorization::Reverification;
use crate::credentials::MalformedReason;

mod bearer;
mod challenge;
mod fetch;
mod kind;

pub(crate) use self::bearer::BearerPart;
pub use self::bearer::BearerRefusal;
pub use self::challenge::Challenge;
pub use self::kind::RejectionKind;

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
    reverification: Option<Reverification>,
    bearer: Option<BearerPart>,
}

impl Rejection {
    /// Creates a rejection of a kind.
    ///
    /// Use it in tests of a [`RejectionResponse`](crate::layer::RejectionResponse), or in a guard behind the layer that
    /// answers in the layer's form.
    #[must_use]
    pub fn new(kind: RejectionKind) -> Self {
        Self {
            kind,
            retry_after: None,
            detail: None,
            upstream_code: None,
            malformed: None,
            reverification: None,
            challenge: None,
            bearer: None,
        }
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

    pub(crate) fn demanding(mut self, reverification: Reverification) -> Self {
        self.reverification = Some(reverification);
        self
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

    /// Returns the reverification by which the user can pass the [guard](crate::guard) that rejected the request, if
    /// nothing else is missing.
    ///
    /// [`reverification_json`](crate::guard::RequireLayer::reverification_json) tells it to a browser client in Clerk's own
    /// form.
    #[must_use]
    pub fn reverification(&self) -> Option<Reverification> {
        self.reverification
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
