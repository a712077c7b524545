//! Why a delivery is refused.

use std::error::Error as StdError;
use std::fmt;

/// A delivery that is not a signed event of Clerk's, or not any more.
///
/// [`kind`](Self::kind) says what is wrong, and the message what to do. It shows nothing of the secret, of the signature or
/// of the body.
///
/// ```
/// use http::HeaderMap;
/// use tower_clerk::webhook::{WebhookErrorKind, WebhookSecrets, WebhookVerifier};
///
/// let secrets = WebhookSecrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
/// let error = WebhookVerifier::new(secrets).verify(&HeaderMap::new(), b"{}").unwrap_err();
/// assert_eq!(error.kind(), WebhookErrorKind::Headers);
/// # Ok::<(), tower_clerk::webhook::WebhookSecretError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookError {
    kind: WebhookErrorKind,
    detail: &'static str,
}

/// The kind of a [`WebhookError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookErrorKind {
    /// The signed header fields are missing, mixed, repeated or malformed.
    Headers,
    /// The delivery was signed more than 5 min ago, or more than 5 min in the future.
    Timestamp,
    /// No secret of the endpoint has signed the delivery.
    Signature,
    /// The signature is right, but the body is not an event, or its object does not fit the type that was asked for.
    Body,
}

impl WebhookError {
    pub(super) fn headers(detail: &'static str) -> Self {
        Self { kind: WebhookErrorKind::Headers, detail }
    }

    pub(super) fn timestamp() -> Self {
        let detail =
            "the timestamp is more than 5 minutes from this server's time: check its clock, or send it again";
        Self { kind: WebhookErrorKind::Timestamp, detail }
    }

    pub(super) fn signature() -> Self {
        let detail = "no signature is right: check that the signing secret is the one on the endpoint's page in Clerk's \
                      dashboard, and that no proxy changes the body";
        Self { kind: WebhookErrorKind::Signature, detail }
    }

    pub(super) fn body(detail: &'static str) -> Self {
        Self { kind: WebhookErrorKind::Body, detail }
    }

    /// The kind of the error, for programs that handle it.
    #[must_use]
    pub fn kind(&self) -> WebhookErrorKind {
        self.kind
    }
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)
    }
}

impl StdError for WebhookError {}
