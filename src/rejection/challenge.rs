//! The `WWW-Authenticate` fields of a layer.

use std::sync::Arc;

use http::header::{VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{BearerPart, Rejection, fetch};

/// The challenge of a layer: how a client may authenticate, as one `WWW-Authenticate` field per scheme.
///
/// [`Anonymous::challenge`](crate::Anonymous::challenge) returns that of the layer in front, and
/// [`layer::respond`](crate::layer::respond) sends it. Cloning it allocates nothing.
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
pub struct Challenge {
    schemes: Arc<Schemes>,
    /// The request comes from a script that is spared the prompt.
    is_without_prompt: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Schemes {
    basic: HeaderValue,
    /// The realm as a quoted-string, without its quotes.
    realm: Box<str>,
    accepts_basic: bool,
    accepts_bearer: bool,
    /// Scripts are spared the prompt.
    no_prompt_for_fetch: bool,
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
        Some(Self::of(basic, quoted.into()))
    }

    fn of(basic: HeaderValue, realm: Box<str>) -> Self {
        let schemes =
            Schemes { basic, realm, accepts_basic: true, accepts_bearer: false, no_prompt_for_fetch: false };
        Self { schemes: Arc::new(schemes), is_without_prompt: false }
    }

    fn with(&self, change: impl FnOnce(&mut Schemes)) -> Self {
        let mut schemes = Schemes::clone(&self.schemes);
        change(&mut schemes);
        Self { schemes: Arc::new(schemes), is_without_prompt: self.is_without_prompt }
    }

    /// The challenge of a layer that accepts Bearer as well.
    pub(crate) fn and_bearer(&self) -> Self {
        self.with(|schemes| schemes.accepts_bearer = true)
    }

    /// The challenge of a layer that accepts Bearer alone.
    pub(crate) fn bearer_only(&self) -> Self {
        self.with(|schemes| (schemes.accepts_basic, schemes.accepts_bearer) = (false, true))
    }

    pub(crate) fn accepts_basic(&self) -> bool {
        self.schemes.accepts_basic
    }

    /// The challenge of a layer that spares scripts the browser's prompt.
    pub(crate) fn no_prompt_for_fetch(&self) -> Self {
        self.with(|schemes| schemes.no_prompt_for_fetch = true)
    }

    /// This challenge, for the realm of another one.
    pub(crate) fn in_realm_of(&self, other: &Self) -> Self {
        self.with(|schemes| {
            schemes.basic = other.schemes.basic.clone();
            schemes.realm = other.schemes.realm.clone();
        })
    }

    /// Returns the challenge for a request with these headers.
    ///
    /// It differs from this one only on a layer with
    /// [`no_prompt_for_fetch`](crate::ClerkBasicAuthLayer::no_prompt_for_fetch), for a request that a script in a page has
    /// sent. [`layer::respond`](crate::layer::respond) calls it, and
    /// [`Anonymous::challenge`](crate::Anonymous::challenge) is already the one of its request.
    #[must_use]
    pub fn for_request(&self, request: &HeaderMap) -> Self {
        let is_spared = self.schemes.no_prompt_for_fetch && fetch::is_from_a_script(request);
        Self { schemes: Arc::clone(&self.schemes), is_without_prompt: self.is_without_prompt || is_spared }
    }

    /// Returns the `WWW-Authenticate` fields of a response with this status to this rejection.
    ///
    /// A 401 has one for each scheme that the layer accepts
    /// ([RFC 9110, section 11.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1)). The one of Bearer says
    /// `error="invalid_token"` if the client's token was refused, and a 403 to a request with a Bearer token has one that
    /// says `error="insufficient_scope"`
    /// ([RFC 6750, section 3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)). Other responses have none.
    pub fn fields(&self, status: StatusCode, rejection: &Rejection) -> impl Iterator<Item = HeaderValue> {
        let basic = (status == StatusCode::UNAUTHORIZED).then(|| self.field_of_basic()).flatten();
        basic.into_iter().chain(self.bearer(status, rejection))
    }

    /// The field for Basic. Where a script is spared the prompt, the one of Bearer does without it; otherwise a scheme
    /// that no browser knows takes its place, since a 401 must have a challenge (RFC 9110, section 11.6.1).
    fn field_of_basic(&self) -> Option<HeaderValue> {
        let Schemes { basic, accepts_basic, accepts_bearer, .. } = &*self.schemes;
        match (accepts_basic, self.is_without_prompt, accepts_bearer) {
            (false, _, _) | (true, true, true) => None,
            (true, false, _) => Some(basic.clone()),
            (true, true, false) => HeaderValue::try_from([b"x", basic.as_bytes()].concat()).ok(),
        }
    }

    fn bearer(&self, status: StatusCode, rejection: &Rejection) -> Option<HeaderValue> {
        let mut field = format!("Bearer realm=\"{}\"", self.schemes.realm);
        match (status, rejection.bearer_part()) {
            (StatusCode::UNAUTHORIZED, _) if !self.schemes.accepts_bearer => return None,
            (StatusCode::UNAUTHORIZED, Some(BearerPart::Refused(_))) => {
                field.push_str(", error=\"invalid_token\"");
                if let Some(detail) = rejection.detail() {
                    // RFC 6750 section 3: neither a quote nor a backslash, nor anything but ASCII.
                    let is_allowed = |c: &char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
                    let detail: String = detail.chars().filter(is_allowed).collect();
                    field.push_str(", error_description=\"");
                    field.push_str(&detail);
                    field.push('"');
                }
            }
            (StatusCode::UNAUTHORIZED, _) => {}
            (StatusCode::FORBIDDEN, Some(BearerPart::Insufficient)) => {
                field.push_str(", error=\"insufficient_scope\"");
            }
            _ => return None,
        }
        HeaderValue::try_from(field).ok()
    }

    /// Replaces the `WWW-Authenticate` fields of a response.
    pub(crate) fn set(&self, headers: &mut HeaderMap, status: StatusCode, rejection: &Rejection) {
        headers.remove(WWW_AUTHENTICATE);
        for field in self.fields(status, rejection) {
            headers.append(WWW_AUTHENTICATE, field);
        }
        // For a cache that keeps a 401 although it may not.
        if self.schemes.no_prompt_for_fetch && status == StatusCode::UNAUTHORIZED {
            headers.append(VARY, fetch::READ);
        }
    }
}

impl Default for Challenge {
    /// The challenge of a layer with default settings, for the realm `api`.
    fn default() -> Self {
        let basic = HeaderValue::from_static("Basic realm=\"api\", charset=\"UTF-8\"");
        Self::of(basic, "api".into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BearerRefusal, RejectionKind};
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

    #[test]
    fn b6_a_layer_that_accepts_bearer_has_a_line_for_each_scheme() {
        let basic = r#"Basic realm="a\"b", charset="UTF-8""#;
        let challenge = Challenge::for_realm("a\"b").unwrap().and_bearer();
        assert_eq!(fields(&challenge, StatusCode::UNAUTHORIZED), [basic, r#"Bearer realm="a\"b""#]);
        assert_eq!(fields(&challenge, StatusCode::FORBIDDEN), [""; 0]);

        let refused = Rejection::of_bearer(BearerRefusal::Expired, "the \"token\" h\u{e4}s \\expired");
        let of = |challenge: &Challenge, status, rejection: &Rejection| -> Vec<HeaderValue> {
            challenge.fields(status, rejection).collect()
        };
        let line = r#"Bearer realm="a\"b", error="invalid_token", error_description="the token hs expired""#;
        assert_eq!(of(&challenge, StatusCode::UNAUTHORIZED, &refused), [basic, line]);
        assert_eq!(of(&challenge, StatusCode::FORBIDDEN, &refused), [""; 0]);

        let forbidden = Rejection::new(RejectionKind::Forbidden).for_bearer_session();
        let line = r#"Bearer realm="api", error="insufficient_scope""#;
        for challenge in [Challenge::default(), Challenge::default().and_bearer()] {
            assert_eq!(of(&challenge, StatusCode::FORBIDDEN, &forbidden), [line]);
            assert_eq!(of(&challenge, StatusCode::NOT_FOUND, &forbidden), [""; 0]);
        }
    }

    #[test]
    fn a7_a_401_to_a_script_has_a_challenge_that_no_browser_asks_the_user_for() {
        let mut script = HeaderMap::new();
        script.insert("sec-fetch-dest", HeaderValue::from_static("empty"));
        let basic = r#"Basic realm="a\"b", charset="UTF-8""#;
        let plain = Challenge::for_realm("a\"b").unwrap();
        assert_eq!(fields(&plain.for_request(&script), StatusCode::UNAUTHORIZED), [basic], "off by default");

        let sparing = plain.no_prompt_for_fetch();
        assert_eq!(fields(&sparing.for_request(&HeaderMap::new()), StatusCode::UNAUTHORIZED), [basic]);
        let of_script = sparing.for_request(&script);
        let unknown = r#"xBasic realm="a\"b", charset="UTF-8""#;
        assert_eq!(fields(&of_script, StatusCode::UNAUTHORIZED), [unknown]);
        assert_eq!(
            of_script.for_request(&HeaderMap::new()),
            of_script,
            "what a handler sends stays as it is"
        );
        assert_eq!(fields(&of_script, StatusCode::FORBIDDEN), [""; 0]);

        let bearer = r#"Bearer realm="a\"b""#;
        let both = sparing.and_bearer();
        assert_eq!(fields(&both, StatusCode::UNAUTHORIZED), [basic, bearer]);
        assert_eq!(fields(&both.for_request(&script), StatusCode::UNAUTHORIZED), [bearer]);

        let elsewhere = both.in_realm_of(&Challenge::default());
        assert_eq!(elsewhere, Challenge::default().and_bearer().no_prompt_for_fetch());
    }
}
