//! The secret of an endpoint, and the signatures that it makes.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// The prefix of a signing secret.
const PREFIX: &str = "whsec_";

/// A signing secret of a webhook endpoint, `whsec_…`.
///
/// `Debug` shows no part of it.
///
/// ```
/// use fake_clerk::WebhookSecret;
///
/// let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
/// let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, br#"{"test": 2432232314}"#);
/// assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
/// ```
#[derive(Clone)]
pub struct WebhookSecret {
    text: String,
    key: hmac::Key,
}

impl WebhookSecret {
    /// Returns a new random secret of 24 bytes, as long as those that Clerk makes.
    ///
    /// # Panics
    ///
    /// Panics if the system's random source doesn't work.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 24];
        aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
        Self::of_bytes(&bytes)
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self {
            text: format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes)),
            key: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        }
    }

    /// Returns the secret as text, `whsec_…`, for the program under test.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Signs a body that is sent under an id at a time, in seconds since 1970: `v1,` and an HMAC-SHA256 of
    /// `id.timestamp.body` in base64.
    ///
    /// Tests use it to forge deliveries. Deliveries of the stand-in are signed already.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    }
}

impl std::str::FromStr for WebhookSecret {
    type Err = InvalidWebhook;

    /// Reads a secret: optionally `whsec_`, then 24 to 64 bytes in base64, which are the limits of
    /// [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
    fn from_str(text: &str) -> Result<Self, InvalidWebhook> {
        let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
        match BASE64_STANDARD.decode(encoded) {
            Ok(bytes) if (24..=64).contains(&bytes.len()) => Ok(Self::of_bytes(&bytes)),
            // Without the value, which may be a secret even if it is unusable.
            _ => Err(InvalidWebhook("must be whsec_ and 24 to 64 bytes in base64".to_owned())),
        }
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

/// An unusable URL or secret of a webhook endpoint. It says how a usable one looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidWebhook(pub(crate) String);

impl fmt::Display for InvalidWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidWebhook {}
