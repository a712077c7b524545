//! What a rejection looks like.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Response};

use crate::engine::builder::ConfigError;
use crate::rejection::Rejection;

/// Makes the body of a rejection.
///
/// Any `Fn(&Rejection) -> Response<B>` is one. Whatever it returns, the layer sets the status, `Cache-Control`,
/// `WWW-Authenticate` and `Retry-After` afterwards, so that a body can't turn a refusal into a success.
pub trait RejectionResponse<B>: Clone {
    /// A response with the body, and headers that go with it.
    fn rejection_response(&self, rejection: &Rejection) -> Response<B>;
}

impl<B, F> RejectionResponse<B> for F
where
    F: Fn(&Rejection) -> Response<B> + Clone,
{
    fn rejection_response(&self, rejection: &Rejection) -> Response<B> {
        self(rejection)
    }
}

/// No body: the default, for any `B: Default`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EmptyBody;

impl<B: Default> RejectionResponse<B> for EmptyBody {
    fn rejection_response(&self, _rejection: &Rejection) -> Response<B> {
        Response::new(B::default())
    }
}

/// `application/problem+json` (RFC 9457) with `status`, `title`, `code` and, where it helps, `detail`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ProblemJson;

impl<B: From<String>> RejectionResponse<B> for ProblemJson {
    fn rejection_response(&self, rejection: &Rejection) -> Response<B> {
        let mut problem = serde_json::json!({
            "status": rejection.status().as_u16(),
            "title": rejection.kind().title(),
            "code": rejection.code(),
        });
        if let Some(detail) = rejection.detail() {
            problem["detail"] = detail.into();
        }
        let mut response = Response::new(B::from(problem.to_string()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// Sets what every rejection has, and leaves the rejection where layers outside can see it.
pub(super) fn finish<B>(
    mut response: Response<B>,
    rejection: Rejection,
    challenge: &HeaderValue,
) -> Response<B> {
    tracing::debug!(
        target: "tower_clerk::rejection",
        code = rejection.code(),
        upstream_code = rejection.upstream_code(),
        "rejected"
    );
    *response.status_mut() = rejection.status();
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if rejection.kind().is_challenge() {
        headers.insert(WWW_AUTHENTICATE, challenge.clone());
    } else {
        headers.remove(WWW_AUTHENTICATE);
    }
    match rejection.retry_after() {
        Some(wait) => {
            // Whole seconds, rounded up: who comes back on time should not be early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        None => _ = headers.remove(RETRY_AFTER),
    }
    response.extensions_mut().insert(rejection);
    response
}

/// `Basic realm="…", charset="UTF-8"` (RFC 7617 section 2.1), the realm as a quoted-string.
pub(super) fn challenge(realm: &str) -> Result<HeaderValue, ConfigError> {
    let refused = || ConfigError::Realm { realm: realm.to_owned() };
    if !realm.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(refused());
    }
    let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::from_str(&format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"")).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::RejectionKind;
    use std::time::Duration;

    #[test]
    fn a1_the_realm_is_checked_and_quoted() {
        assert_eq!(challenge("api").unwrap(), "Basic realm=\"api\", charset=\"UTF-8\"");
        assert_eq!(challenge(r#"a"b\c"#).unwrap(), r#"Basic realm="a\"b\\c", charset="UTF-8""#);
        for bad in ["line\r\nbreak", "tab\t", "ünïcode", "nul\0"] {
            assert!(challenge(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a2_the_layer_has_the_last_word_over_a_body_of_ones_own() {
        let mine = |_: &Rejection| {
            Response::builder()
                .status(200)
                .header(WWW_AUTHENTICATE, "Bearer")
                .header(RETRY_AFTER, "0")
                .header("x-mine", "1")
                .body("come in")
                .unwrap()
        };
        let challenge = challenge("r").unwrap();
        let rejection = Rejection::new(RejectionKind::Forbidden);
        let response = finish(mine.rejection_response(&rejection), rejection, &challenge);
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
        assert!(!response.headers().contains_key(RETRY_AFTER));
        assert_eq!(response.headers()["x-mine"], "1");
        assert_eq!(response.extensions().get::<Rejection>().unwrap().kind(), RejectionKind::Forbidden);
    }

    #[test]
    fn a_retry_after_is_rounded_up() {
        let rejection =
            Rejection::new(RejectionKind::Throttled).retry_after_at_least(Duration::from_millis(1_001));
        let response = finish(Response::new(()), rejection, &challenge("r").unwrap());
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }
}
