//! Responses to rejected requests.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response};

use crate::engine::builder::ConfigError;
use crate::rejection::Challenge;
use crate::rejection::Rejection;

/// Builds the response to a rejected request.
///
/// It is implemented by any `Fn(&Rejection) -> Response<B> + Clone`, by [`EmptyBody`] and by [`ProblemJson`]; pass it
/// to [`with_rejection_response`](crate::ClerkBasicAuthLayer::with_rejection_response).
///
/// The layer calls it through [`respond`], which sets `Cache-Control`, `WWW-Authenticate` and `Retry-After` afterwards and
/// puts the [`Rejection`] into the response's extensions. A response with a status of 4xx or 5xx keeps it; any other gets
/// the status of the rejection, so no implementation can turn a rejection into a success.
pub trait RejectionResponse<B>: Clone {
    /// Returns a response with the body, and with headers such as `Content-Type`.
    ///
    /// The body may show the [`code`](Rejection::code) and the [`detail`](Rejection::detail). It must not show the
    /// [`upstream_code`](Rejection::upstream_code), which tells a locked account from a wrong password.
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

/// Answers rejections with an empty body: the default of a layer.
///
/// The response body of the inner service must implement [`Default`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EmptyBody;

impl<B: Default> RejectionResponse<B> for EmptyBody {
    fn rejection_response(&self, rejection: &Rejection) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = rejection.status();
        response
    }
}

/// Answers rejections with `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).
///
/// The members are `status`, `title` and `code`, and `detail` if there is one. `code` is stable and meant for programs;
/// `title` and `detail` are sentences that may change. The response body of the inner service must implement
/// `From<String>`.
///
/// ```
/// use http::Response;
/// use tower_clerk::layer::{ProblemJson, RejectionResponse};
/// use tower_clerk::{Rejection, RejectionKind};
///
/// let rejection = Rejection::new(RejectionKind::CredentialsMissing);
/// let response: Response<String> = ProblemJson::default().rejection_response(&rejection);
/// assert_eq!(response.status(), 401);
/// assert_eq!(
///     response.body(),
///     r#"{"code":"credentials_missing","status":401,"title":"credentials are required"}"#
/// );
/// ```
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
        *response.status_mut() = rejection.status();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// Builds the complete response to a rejection: the body of `renderer`, and the status and headers that a layer sends.
///
/// For a guard or a handler behind the layer that rejects a request in the layer's own form. `challenge` is sent with a
/// 401; [`Anonymous::challenge`](crate::Anonymous::challenge) has that of the layer. `request` are the headers of the
/// rejected request.
///
/// ```
/// use http::{Request, Response};
/// use tower_clerk::layer::{EmptyBody, respond};
/// use tower_clerk::{Challenge, Rejection, RejectionKind};
///
/// let request = Request::new(());
/// let rejection = Rejection::new(RejectionKind::Forbidden);
/// let response: Response<String> =
///     respond(rejection, &EmptyBody::default(), &Challenge::default(), request.headers());
/// assert_eq!(response.status(), 403);
/// assert_eq!(response.headers()["cache-control"], "no-store");
/// ```
pub fn respond<B, R>(
    rejection: Rejection,
    renderer: &R,
    challenge: &Challenge,
    _request: &HeaderMap,
) -> Response<B>
where
    R: RejectionResponse<B>,
{
    let mut response = renderer.rejection_response(&rejection);
    let status = response.status();
    // A custom body may choose another error, but not turn a rejection into a success or a redirect.
    if !(status.is_client_error() || status.is_server_error()) {
        *response.status_mut() = rejection.status();
    }
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    challenge.set(headers, status, &rejection);
    match rejection.retry_after() {
        Some(wait) => {
            // Rounded up to whole seconds, so that a client that waits as told is not early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        None => _ = headers.remove(RETRY_AFTER),
    }
    response.extensions_mut().insert(rejection);
    response
}

impl Challenge {
    /// Creates the challenge of a layer that accepts Basic alone, for this realm.
    ///
    /// # Errors
    ///
    /// Returns an error if the realm isn't printable ASCII.
    pub fn basic(realm: &str) -> Result<Self, ConfigError> {
        Self::for_realm(realm).ok_or_else(|| ConfigError::Realm { realm: realm.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::RejectionKind;
    use http::header::WWW_AUTHENTICATE;
    use std::time::Duration;

    #[test]
    fn a2_the_layer_has_the_last_word_over_a_body_of_ones_own() {
        let custom = |_: &Rejection| {
            Response::builder()
                .status(200)
                .header(WWW_AUTHENTICATE, "Bearer")
                .header(RETRY_AFTER, "0")
                .header("x-custom", "1")
                .body("come in")
                .unwrap()
        };
        let challenge = Challenge::basic("r").unwrap();
        let rejection = Rejection::new(RejectionKind::Forbidden);
        let response = respond(rejection, &custom, &challenge, &HeaderMap::new());
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
        assert!(!response.headers().contains_key(RETRY_AFTER));
        assert_eq!(response.headers()["x-custom"], "1");
        assert_eq!(response.extensions().get::<Rejection>().unwrap().kind(), RejectionKind::Forbidden);
    }

    #[test]
    fn a2_a_custom_body_may_choose_another_error_and_no_success() {
        let challenge = Challenge::basic("r").unwrap();
        for (chosen, sent) in [(404, 404), (503, 503), (200, 401), (302, 401), (401, 401)] {
            let rejection = Rejection::new(RejectionKind::CredentialsRejected);
            let custom = move |_: &Rejection| Response::builder().status(chosen).body(()).unwrap();
            let response = respond(rejection, &custom, &challenge, &HeaderMap::new());
            let has_challenge = response.headers().contains_key(WWW_AUTHENTICATE);
            assert_eq!((response.status().as_u16(), has_challenge), (sent, sent == 401), "{chosen}");
        }
    }

    #[test]
    fn a_retry_after_is_rounded_up() {
        let rejection =
            Rejection::new(RejectionKind::Throttled).with_retry_after(Duration::from_millis(1_001));
        let response = respond::<(), _>(rejection, &EmptyBody, &Challenge::default(), &HeaderMap::new());
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }
}
