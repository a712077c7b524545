//! Responses to rejected requests.

use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response};

use super::grpc;
use crate::engine::builder::ConfigError;
use crate::rejection::{Challenge, Rejection};

/// Builds the response to a rejected request.
///
/// It is implemented by any `Fn(&Rejection) -> Response<B> + Clone`, by [`EmptyBody`], [`ProblemJson`],
/// [`ProblemJsonWith`] and [`GrpcRejections`]; pass it to
/// [`with_rejection_response`](crate::ClerkBasicAuthLayer::with_rejection_response).
///
/// The layer calls it through [`respond`], which sets `Cache-Control`, `WWW-Authenticate` and `Retry-After` afterwards
/// and puts the [`Rejection`] into the response's extensions. A response with a status of 4xx or 5xx keeps it; any
/// other gets the status of the rejection, so no implementation can turn a rejection into a success. Only
/// [`GrpcRejections`] answers with HTTP 200, as gRPC demands, and only gRPC requests.
///
/// [`ProblemJson`]: crate::layer::ProblemJson
/// [`ProblemJsonWith`]: crate::layer::ProblemJsonWith
/// [`GrpcRejections`]: crate::layer::GrpcRejections
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't answer a rejection with the response body `{B}`",
    label = "a layer with this renderer does not work in front of a service with this response body",
    note = "`problem_json()` needs a response body that implements `From<String>`; for any other, use \
            `problem_json_with(|json: String| …)`, which makes the body of the JSON text",
    note = "a guard's `reverification_json()` needs `From<String>`, too",
    note = "without a renderer, and for `grpc_rejections()`, the response body must implement `Default`",
    note = "any response body works with a closure: `with_rejection_response(|rejection: &Rejection| …)`"
)]
pub trait RejectionResponse<B>: Clone {
    /// Returns a response with the body, and with headers such as `Content-Type`.
    ///
    /// The body may show the [`code`](Rejection::code) and the [`detail`](Rejection::detail). It must not show the
    /// [`upstream_code`](Rejection::upstream_code), which tells a locked account from a wrong password.
    fn rejection_response(&self, rejection: &Rejection) -> Response<B>;

    /// The body for gRPC requests, if they are answered in gRPC's own form.
    #[doc(hidden)]
    fn grpc_body(&self, _: grpc::Switch) -> Option<B> {
        None
    }
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

#[diagnostic::do_not_recommend]
impl<B: Default> RejectionResponse<B> for EmptyBody {
    fn rejection_response(&self, rejection: &Rejection) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = rejection.status();
        response
    }
}

/// Builds the complete response to a rejection: the body of `renderer`, and the status and headers that a layer sends.
///
/// For a guard or a handler behind the layer that rejects a request in the layer's own form. `challenge` is sent with a
/// 401; [`Anonymous::challenge`](crate::Anonymous::challenge) has that of the layer. `request` are the headers of the
/// rejected request, on which the form depends if the renderer is a [`GrpcRejections`](crate::layer::GrpcRejections) or
/// the layer [spares scripts the prompt](crate::ClerkBasicAuthLayer::no_prompt_for_fetch).
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
    request: &HeaderMap,
) -> Response<B>
where
    R: RejectionResponse<B>,
{
    // The only way to a rejection with a 2xx, and the renderer comes after it (rule A3).
    if grpc::is_grpc(request)
        && let Some(body) = renderer.grpc_body(grpc::Switch(()))
    {
        return grpc::respond(rejection, body);
    }
    let mut response = renderer.rejection_response(&rejection);
    let status = response.status();
    // A custom body may choose another error, but not turn a rejection into a success or a redirect.
    if !(status.is_client_error() || status.is_server_error()) {
        *response.status_mut() = rejection.status();
    }
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    challenge.for_request(request).set(headers, status, &rejection);
    set_retry_after(headers, &rejection);
    response.extensions_mut().insert(rejection);
    response
}

/// Replaces the `Retry-After` field of a response.
pub(crate) fn set_retry_after(headers: &mut HeaderMap, rejection: &Rejection) {
    match rejection.retry_after() {
        Some(wait) => {
            // Rounded up to whole seconds, so that a client that waits as told is not early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        None => _ = headers.remove(RETRY_AFTER),
    }
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
