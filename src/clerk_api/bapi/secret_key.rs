//! The secret key: it opens the whole instance.

use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::instance::Environment;

/// A secret key, as the header that it is sent in: masked, and wiped when the last copy of it is gone.
#[derive(Clone)]
pub(crate) struct SecretKey {
    header: HeaderValue,
    environment: Environment,
}

impl SecretKey {
    /// # Errors
    ///
    /// When it has not the shape of one of Clerk's. The error shows nothing of it.
    pub(crate) fn parse(key: &str) -> Result<Self, SecretKeyError> {
        if key.is_empty() {
            return Err(SecretKeyError::Empty);
        }
        if key.starts_with("pk_") {
            return Err(SecretKeyError::PublishableKey);
        }
        let (environment, rest) = if let Some(rest) = key.strip_prefix("sk_live_") {
            (Environment::Production, rest)
        } else if let Some(rest) = key.strip_prefix("sk_test_") {
            (Environment::Development, rest)
        } else {
            return Err(SecretKeyError::Unrecognized);
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if rest.is_empty() || key.len() > 256 || !rest.bytes().all(fits) {
            return Err(SecretKeyError::Unrecognized);
        }
        // Clones of the header share these bytes, so that they are wiped once, after the last request.
        let mut bytes = Zeroizing::new(Vec::with_capacity("Bearer ".len() + key.len()));
        bytes.extend_from_slice(b"Bearer ");
        bytes.extend_from_slice(key.as_bytes());
        let header = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes));
        let mut header = header.map_err(|_| SecretKeyError::Unrecognized)?;
        header.set_sensitive(true);
        Ok(Self { header, environment })
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    pub(crate) fn environment(&self) -> Environment {
        self.environment
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A value that is no secret key. It shows nothing of the value; its message says what to put there instead.
///
/// ```
/// use tower_clerk::error::SecretKeyError;
///
/// assert!(SecretKeyError::PublishableKey.to_string().contains("sk_live_"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretKeyError {
    /// Nothing was given.
    Empty,
    /// A publishable key was given.
    PublishableKey,
    /// Not of the shape of Clerk's secret keys.
    Unrecognized,
}

impl fmt::Display for SecretKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the secret key is empty: take it from the API keys page of Clerk's dashboard",
            Self::PublishableKey => {
                "this is a publishable key, where the secret key (sk_live_... or sk_test_...) belongs"
            }
            Self::Unrecognized => {
                "this is no secret key: copy it again from the API keys page of Clerk's dashboard \
                 (sk_live_... or sk_test_...)"
            }
        })
    }
}

impl StdError for SecretKeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_key_tells_what_instance_it_is_for_and_shows_nothing() {
        let live = SecretKey::parse("sk_live_abcDEF123").unwrap();
        assert_eq!(live.environment(), Environment::Production);
        assert_eq!(live.header(), "Bearer sk_live_abcDEF123");
        assert_eq!(SecretKey::parse("sk_test_x").unwrap().environment(), Environment::Development);
        assert!(!format!("{live:?} {:?}", live.header()).contains("abcDEF"));
    }

    #[test]
    fn what_is_no_secret_key_is_refused_without_being_shown() {
        for (input, error) in [
            ("", SecretKeyError::Empty),
            ("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k", SecretKeyError::PublishableKey),
            ("sk_live_a b", SecretKeyError::Unrecognized),
            ("sk_live_a\r\nX-Evil: 1", SecretKeyError::Unrecognized),
            ("hunter2", SecretKeyError::Unrecognized),
        ] {
            let refused = SecretKey::parse(input).unwrap_err();
            assert_eq!(refused, error, "{input}");
            assert_eq!(SecretKey::parse("sk_live_").unwrap_err(), SecretKeyError::Unrecognized);
            assert!(input.is_empty() || !format!("{refused} {refused:?}").contains(input));
        }
    }
}
