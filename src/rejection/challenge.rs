//! The `WWW-Authenticate` fields of a layer.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Rejection;

/// The challenge of a layer: how a client may authenticate, as one `WWW-Authenticate` field per scheme.
///
/// [`Anonymous::challenge`](crate::Anonymous::challenge) returns that of the layer in front, and
/// [`layer::respond`](crate::layer::respond) sends it. Cloning it copies one pointer.
///
/// ```
/// use http::StatusCode;
/// use tower_clerk::Challenge;
/// use tower_clerk::{Rejection, RejectionKind};
///
/// let challenge = Challenge::basic("api")?;
/// let rejection = Rejection::new(RejectionKind::CredentialsMissing);
/// let fields: Vec<_> = challenge.fields(StatusCode::UNAUTHORIZED, &rejection).collect();
/// assert_eq!(fields, [r#"Basic realm="api", charset="UTF-8""#]);
/// # Ok::<(), tower_clerk::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(Arc<Schemes>);

#[derive(Debug, PartialEq, Eq)]
struct Schemes {
    basic: HeaderValue,
}

impl Challenge {
    /// A challenge for Basic, or `None` if the realm isn't printable ASCII.
    pub(crate) fn for_realm(realm: &str) -> Option<Self> {
        if !realm.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return None;
        }
        let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
        // RFC 7617, section 2.1, with the realm as a quoted-string.
        let basic = HeaderValue::from_str(&format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"")).ok()?;
        Some(Self(Arc::new(Schemes { basic })))
    }

    /// Returns the `WWW-Authenticate` fields of a response with this status to this rejection.
    ///
    /// A 401 has one for each scheme that the layer accepts
    /// ([RFC 9110, section 11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)); other responses have none.
    pub fn fields(&self, status: StatusCode, _rejection: &Rejection) -> impl Iterator<Item = HeaderValue> {
        let basic = (status == StatusCode::UNAUTHORIZED).then(|| self.0.basic.clone());
        basic.into_iter()
    }

    /// Replaces the `WWW-Authenticate` fields of a response.
    pub(crate) fn set(&self, headers: &mut HeaderMap, status: StatusCode, rejection: &Rejection) {
        headers.remove(WWW_AUTHENTICATE);
        for field in self.fields(status, rejection) {
            headers.append(WWW_AUTHENTICATE, field);
        }
    }
}

impl Default for Challenge {
    /// The challenge of a layer with default settings, for the realm `api`.
    fn default() -> Self {
        let basic = HeaderValue::from_static("Basic realm=\"api\", charset=\"UTF-8\"");
        Self(Arc::new(Schemes { basic }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::RejectionKind;
    use super::*;

    fn fields(challenge: &Challenge, status: StatusCode) -> Vec<HeaderValue> {
        challenge.fields(status, &Rejection::new(RejectionKind::CredentialsMissing)).collect()
    }

    #[test]
    fn a1_the_realm_is_checked_and_quoted() {
        let of = |realm| fields(&Challenge::for_realm(realm).unwrap(), StatusCode::UNAUTHORIZED);
        assert_eq!(of("api"), ["Basic realm=\"api\", charset=\"UTF-8\""]);
        assert_eq!(of(r#"a"b\c"#), [r#"Basic realm="a\"b\\c", charset="UTF-8""#]);
        for bad in ["line\r\nbreak", "tab\t", "ünïcode", "nul\0"] {
            assert_eq!(Challenge::for_realm(bad), None, "{bad:?}");
        }
        assert_eq!(Challenge::default(), Challenge::for_realm("api").unwrap());
    }

    #[test]
    fn a1_only_a_401_has_a_challenge() {
        assert_eq!(fields(&Challenge::default(), StatusCode::FORBIDDEN), [""; 0]);
    }
}
