//! Verifies that Clerk has sent a delivery, and when (rule W1).

use std::time::SystemTime;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use http::HeaderMap;

use super::error::WebhookError;
use super::event::Event;
use super::headers::SignedHeaders;
use super::secret::WebhookSecrets;
use crate::clock::{Clock, unix_seconds};

/// The most seconds between the signature and its arrival, into the past or the future, as Svix's own libraries allow
/// (`TOLERANCE_IN_SECONDS`).
const TOLERANCE: u64 = 5 * 60;

/// Verifies the signature of a delivery and reads its event.
///
/// [`ClerkWebhookService`](super::ClerkWebhookService) does this for a server. Use the verifier by itself where requests
/// come from something else than a tower stack, such as a queue or a function platform.
///
/// The signature is over the bytes of the body as they were sent. Pass those, and not JSON that was parsed and written
/// again. The header fields are one complete family, `svix-id`, `svix-timestamp` and `svix-signature`, or the same with
/// `webhook-`; the two are never combined. A delivery that was signed more than 5 min ago, or in the future by more, is
/// refused, so a captured request can't be sent again later.
///
/// ```
/// use http::HeaderMap;
/// use tower_clerk::webhook::{Event, EventData, WebhookError, WebhookSecrets, WebhookVerifier};
///
/// fn handle(verifier: &WebhookVerifier, headers: &HeaderMap, body: &[u8]) -> Result<(), WebhookError> {
///     let event = verifier.verify(headers, body)?;
///     if let EventData::User(user) = event.data() {
///         println!("{} of {}", event.event_type(), user.id);
///     }
///     Ok(())
/// }
///
/// let secrets = WebhookSecrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
/// let verifier = WebhookVerifier::new(secrets);
/// assert!(handle(&verifier, &HeaderMap::new(), b"{}").is_err());
/// # Ok::<(), tower_clerk::webhook::WebhookSecretError>(())
/// ```
#[derive(Clone, Debug)]
pub struct WebhookVerifier {
    secrets: WebhookSecrets,
    clock: Clock,
}

impl WebhookVerifier {
    /// A verifier for an endpoint with these secrets, on the system's clock.
    #[must_use]
    pub fn new(secrets: WebhookSecrets) -> Self {
        Self { secrets, clock: Clock::system() }
    }

    /// Compares timestamps with this clock in place of the system's, in a test for example.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Verifies a delivery and reads its event.
    ///
    /// Types of events that this version doesn't know are events too, with [`EventData::Unknown`](super::EventData).
    ///
    /// # Errors
    ///
    /// Returns an error if the header fields are missing or malformed, if the delivery is older than 5 min or from more than
    /// 5 min in the future, if no secret has signed it, and if its body isn't an event.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<Event, WebhookError> {
        let signed = signed_now(headers, self.clock.wall())?;
        check(&self.secrets, &signed, body)?;
        Event::read(signed.id, body.to_vec())
    }
}

/// Reads the signed header fields of a delivery that arrived at `now`. It takes no body, so that a service needs none to
/// refuse most of what isn't Clerk's.
pub(super) fn signed_now(headers: &HeaderMap, now: SystemTime) -> Result<SignedHeaders<'_>, WebhookError> {
    let signed = SignedHeaders::read(headers)?;
    if signed.signed_at.abs_diff(unix_seconds(now)) > TOLERANCE {
        return Err(WebhookError::timestamp());
    }
    Ok(signed)
}

/// Verifies that one of the secrets has signed the body.
pub(super) fn check(
    secrets: &WebhookSecrets,
    signed: &SignedHeaders<'_>,
    body: &[u8],
) -> Result<(), WebhookError> {
    let is_of_key = |key: &hmac::Key| {
        let mut content = hmac::Context::with_key(key);
        for part in [signed.id.as_bytes(), b".", signed.timestamp.as_bytes(), b".", body] {
            content.update(part);
        }
        let tag = content.sign();
        signed.signatures().any(|signature| verify_slices_are_equal(tag.as_ref(), &signature).is_ok())
    };
    // A delivery without a readable signature costs no hash of its body.
    if signed.signatures().next().is_some() && secrets.keys().iter().any(is_of_key) {
        Ok(())
    } else {
        Err(WebhookError::signature())
    }
}
