//! The signing secrets of a webhook endpoint.

use std::env;
use std::error::Error as StdError;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::engine::builder::ConfigError;
use crate::engine::builder::secret_variable::{SecretNames, secret_variable};

/// The variables that [`WebhookSecrets::from_env`] reads. The first one is Clerk's own name.
const NAMES: SecretNames = SecretNames {
    value: "CLERK_WEBHOOK_SIGNING_SECRET",
    file: "CLERK_WEBHOOK_SIGNING_SECRET_FILE",
    prefix: PREFIX,
};

const PREFIX: &str = "whsec_";

/// The least and the most bytes of a secret (<https://github.com/standard-webhooks/standard-webhooks>, "Signature scheme").
const LEAST: usize = 24;
const MOST: usize = 64;

/// The most secrets at once. Each one costs a hash of every body, also of those that an attacker sends.
const MOST_SECRETS: usize = 8;

/// The signing secrets of a webhook endpoint: one, or several while a secret is rotated.
///
/// Clerk's dashboard shows the secret (`whsec_…`) on the page of the endpoint. It is masked in `Debug`, and wiped from
/// memory with its last copy.
///
/// ```
/// use tower_clerk::webhook::WebhookSecrets;
///
/// let secrets = WebhookSecrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
/// assert_eq!(format!("{secrets:?}"), "WebhookSecrets(1 masked)");
/// # Ok::<(), tower_clerk::webhook::WebhookSecretError>(())
/// ```
#[derive(Clone)]
pub struct WebhookSecrets(Arc<[hmac::Key]>);

impl WebhookSecrets {
    /// Reads one secret, or up to 8 that are separated by commas.
    ///
    /// A delivery is accepted if any of them has signed it. Each has the form `whsec_` and standard base64 of 24 to 64
    /// bytes; `whsec_` may be left out.
    ///
    /// # Errors
    ///
    /// Returns an error if an entry is empty or isn't a signing secret, or if there are more than 8. The error shows
    /// nothing of the value.
    pub fn parse(secrets: &str) -> Result<Self, WebhookSecretError> {
        // Counted first, so that the number of keys is bounded before any is made.
        if secrets.split(',').count() > MOST_SECRETS {
            return Err(WebhookSecretError::TooMany);
        }
        secrets.split(',').map(|secret| key(secret.trim())).collect::<Result<_, _>>().map(Self)
    }

    /// Reads the secrets from the environment: `CLERK_WEBHOOK_SIGNING_SECRET`, which is the name in Clerk's
    /// [JavaScript SDKs](https://clerk.com/docs/reference/backend/verify-webhook), or the first line of the file that
    /// `CLERK_WEBHOOK_SIGNING_SECRET_FILE` names.
    ///
    /// Returns `None` if neither variable is set. An empty variable counts as unset.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Variable`], which names the variable, if the value is unusable, if both variables are set or if
    /// the file can't be read.
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        Self::read(|name| env::var_os(name))
    }

    /// Takes the look-up of a variable, since tests can't set the environment of their process.
    fn read(look_up: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, ConfigError> {
        let Some(given) = secret_variable(look_up, &NAMES)? else { return Ok(None) };
        match Self::parse(&given.value) {
            Ok(secrets) => Ok(Some(secrets)),
            Err(error) => Err(ConfigError::Variable { name: given.name, cause: error.into() }),
        }
    }

    pub(super) fn keys(&self) -> &[hmac::Key] {
        &self.0
    }
}

fn key(secret: &str) -> Result<hmac::Key, WebhookSecretError> {
    if secret.is_empty() {
        return Err(WebhookSecretError::Empty);
    }
    let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
    // One character of base64 more than fits, so that a secret that is a little too long is told to be that.
    let mut bytes = Zeroizing::new([0; MOST + 8]);
    let length = match BASE64_STANDARD.decode_slice(encoded, bytes.as_mut_slice()) {
        Ok(length) => length,
        Err(base64::DecodeSliceError::OutputSliceTooSmall) => return Err(WebhookSecretError::Length),
        Err(base64::DecodeSliceError::DecodeError(_)) => return Err(WebhookSecretError::Unrecognized),
    };
    if !(LEAST..=MOST).contains(&length) {
        return Err(WebhookSecretError::Length);
    }
    // The key wipes its own state when it is dropped.
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes[..length]))
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookSecrets({} masked)", self.0.len())
    }
}

/// A value that is not a webhook signing secret.
///
/// It shows nothing of the value. Its message says which value belongs there, so a program can print it and exit.
///
/// ```
/// use tower_clerk::webhook::{WebhookSecretError, WebhookSecrets};
///
/// let error = WebhookSecrets::parse("").unwrap_err();
/// assert_eq!(error, WebhookSecretError::Empty);
/// assert!(error.to_string().contains("whsec_"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebhookSecretError {
    /// The value, or an entry between commas, is empty.
    Empty,
    /// The value isn't standard base64 after `whsec_`.
    Unrecognized,
    /// The secret has fewer than 24 or more than 64 bytes.
    Length,
    /// There are more than 8 secrets.
    TooMany,
}

impl fmt::Display for WebhookSecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => {
                "the webhook signing secret is empty: copy it from the endpoint's page in Clerk's dashboard \
                 (whsec_...), several separated by single commas"
            }
            Self::Unrecognized => {
                "this is not a webhook signing secret: copy it again from the endpoint's page in Clerk's dashboard \
                 (whsec_...)"
            }
            Self::Length => {
                "a webhook signing secret has 24 to 64 bytes: copy the whole of it again from the endpoint's page in \
                 Clerk's dashboard (whsec_...)"
            }
            Self::TooMany => {
                "more than 8 webhook signing secrets: keep the current one and those that are being replaced"
            }
        })
    }
}

impl StdError for WebhookSecretError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: usize) -> String {
        BASE64_STANDARD.encode(vec![7; bytes])
    }

    #[test]
    fn w1_a_secret_has_24_to_64_bytes_with_or_without_its_prefix() {
        for bytes in 0..100 {
            for secret in [encoded(bytes), format!("{PREFIX}{}", encoded(bytes))] {
                let parsed = WebhookSecrets::parse(&secret);
                assert_eq!(parsed.is_ok(), (24..=64).contains(&bytes), "{bytes}: {parsed:?}");
                let is_short = bytes > 0 && !(24..=64).contains(&bytes);
                assert!(!is_short || parsed.unwrap_err() == WebhookSecretError::Length, "{bytes}");
            }
        }
    }

    #[test]
    fn w1_what_is_no_secret_is_an_error_that_says_what_to_do_and_shows_nothing() {
        let good = encoded(24);
        for (value, error) in [
            (String::new(), WebhookSecretError::Empty),
            (" ".to_owned(), WebhookSecretError::Empty),
            (format!("{good},"), WebhookSecretError::Empty),
            (format!("{good},,{good}"), WebhookSecretError::Empty),
            (PREFIX.to_owned(), WebhookSecretError::Length),
            ("sk_live_notarealkeybutofitsshape00000000".to_owned(), WebhookSecretError::Unrecognized),
            ("whsec-".to_owned() + &good, WebhookSecretError::Unrecognized),
            (encoded(25).trim_end_matches('=').to_owned(), WebhookSecretError::Unrecognized),
            ("-_".repeat(16), WebhookSecretError::Unrecognized),
            ("A".repeat(100_000), WebhookSecretError::Length),
            ([&*good; 9].join(","), WebhookSecretError::TooMany),
        ] {
            let refused = WebhookSecrets::parse(&value).unwrap_err();
            assert_eq!(refused, error, "{value:.80}");
            let shown = format!("{refused} {refused:?}");
            assert!(value.trim().len() < 12 || !shown.contains(&value[..12]), "{shown}");
            assert!(shown.contains("whsec_") || error == WebhookSecretError::TooMany, "{shown}");
        }
    }

    #[test]
    fn w1_several_secrets_are_separated_by_commas() {
        let secrets = WebhookSecrets::parse(&format!(" {PREFIX}{} , {} ", encoded(24), encoded(64))).unwrap();
        assert_eq!(
            (secrets.keys().len(), format!("{secrets:?}")),
            (2, "WebhookSecrets(2 masked)".to_owned())
        );
        assert!(WebhookSecrets::parse(&[&*encoded(24); 8].join(",")).is_ok());
    }

    #[test]
    fn w1_secrets_come_from_a_variable_and_an_error_names_it() {
        let read = |value: &str| {
            WebhookSecrets::read(|name| (name == NAMES.value).then(|| OsString::from(value.to_owned())))
        };
        assert!(WebhookSecrets::read(|_| None).unwrap().is_none());
        assert!(read("").unwrap().is_none(), "an empty variable counts as unset");
        assert_eq!(read(&encoded(24)).unwrap().unwrap().keys().len(), 1);
        let error = read("whsec_short").unwrap_err().to_string();
        assert!(error.starts_with("CLERK_WEBHOOK_SIGNING_SECRET: ") && !error.contains('\n'), "{error}");
        assert!(!error.contains("short"), "{error}");
        let of_file = |value: &str| {
            let error =
                WebhookSecrets::read(|name| (name == NAMES.file).then(|| OsString::from(value.to_owned())));
            error.unwrap_err().to_string()
        };
        assert!(of_file("/nowhere/secret").starts_with("CLERK_WEBHOOK_SIGNING_SECRET_FILE: "));
        let secret = of_file("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert!(secret.contains("must be a path") && !secret.contains("MfKQ"), "{secret}");
    }
}
