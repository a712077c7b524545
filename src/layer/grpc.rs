//! Rejections of gRPC requests: a status in the headers of an HTTP 200.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::layer::ClerkBasicAuthLayer;
use super::reject::{RejectionResponse, set_retry_after};
use crate::rejection::Rejection;

const GRPC: &str = "application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const CODE: HeaderName = HeaderName::from_static("x-clerk-code");

/// Answers rejected gRPC requests in gRPC's own form, and all other requests by the renderer inside.
///
/// [`grpc_rejections`](ClerkBasicAuthLayer::grpc_rejections) makes it the renderer of a layer, and says how the answers
/// look. A handler behind such a layer that calls [`respond`](crate::layer::respond) passes the same renderer. The
/// response body must implement [`Default`], with an empty body as the default.
///
/// ```
/// use http::{Request, Response};
/// use tower_clerk::layer::{GrpcRejections, ProblemJson, respond};
/// use tower_clerk::{Challenge, Rejection, RejectionKind};
///
/// let renderer = GrpcRejections::new(ProblemJson::default());
/// let request = Request::builder().header("content-type", "application/grpc").body(())?;
/// let rejection = Rejection::new(RejectionKind::Forbidden);
/// let response: Response<String> =
///     respond(rejection, &renderer, &Challenge::default(), request.headers());
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()["grpc-status"], "7");
/// assert_eq!(response.headers()["x-clerk-code"], "forbidden");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcRejections<R> {
    other: R,
}

impl<R> GrpcRejections<R> {
    /// Creates a renderer that leaves requests other than gRPC to `other`.
    #[must_use]
    pub fn new(other: R) -> Self {
        Self { other }
    }
}

#[diagnostic::do_not_recommend]
impl<B, R> RejectionResponse<B> for GrpcRejections<R>
where
    B: Default,
    R: RejectionResponse<B>,
{
    fn rejection_response(&self, rejection: &Rejection) -> Response<B> {
        self.other.rejection_response(rejection)
    }

    fn grpc_body(&self, _: Switch) -> Option<B> {
        Some(B::default())
    }
}

/// Keeps [`RejectionResponse::grpc_body`] to this crate: no other one can name the type of its argument, and so none
/// can turn a rejection into an HTTP 200.
#[derive(Debug)]
pub struct Switch(pub(super) ());

impl<R> ClerkBasicAuthLayer<R> {
    /// Answers rejected gRPC requests in gRPC's own form: off by default.
    ///
    /// gRPC clients make a status of an HTTP 401 or 403 by themselves, so they can't tell a second factor from a wrong
    /// organization. With this, a request whose `Content-Type` is `application/grpc` or `application/grpc+…` is
    /// answered *trailers-only*
    /// ([gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses)): HTTP 200 without
    /// a body, and these headers:
    ///
    /// - `content-type`: `application/grpc`.
    /// - `grpc-status`: 16 (unauthenticated) for a rejection with 401, 7 (permission denied) for 403, 8 (resource
    ///   exhausted) for 429, 14 (unavailable) for 503, otherwise 13 (internal).
    /// - `grpc-message`: the [`detail`](Rejection::detail) of the rejection, otherwise the
    ///   [title](crate::RejectionKind::title) of its kind.
    /// - `x-clerk-code`: the [`code`](Rejection::code), for programs, since several kinds share a status.
    /// - `retry-after`: in seconds, as in other rejections.
    /// - `grpc-retry-pushback-ms`: with 14, the same time in milliseconds; with 8, `-1`.
    /// - `cache-control`: `no-store`.
    ///
    /// A client reads all but the first three as metadata. `grpc-retry-pushback-ms` is for clients with a
    /// [retry policy](https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback): they repeat a call
    /// after that time and without a change. Throttled credentials must not be tried again like this, since each
    /// failure lengthens the pause, so the `-1` forbids it. There is no `www-authenticate`: gRPC clients don't read it,
    /// and with HTTP 200 it would announce nothing.
    ///
    /// Layers outside that look at the HTTP status see a 200; the [`Rejection`] is in the response's extensions as ever.
    ///
    /// The renderer of the layer answers all other requests, `application/grpc-web` among them, as it did before. Call
    /// this method after the one that sets the renderer: a later `problem_json` or `with_rejection_response` replaces
    /// both. The response body must implement [`Default`], with an empty body as the default; those of tonic, axum and
    /// `http_body_util` do.
    ///
    /// # Security
    ///
    /// An HTTP 200 means "let in" to a proxy that asks this server about requests to another one, such as nginx with
    /// `auth_request`, or Traefik with `ForwardAuth`, and the client chooses the `Content-Type`. Leave this off in a
    /// layer that answers such a proxy. Without it no rejection ever has a status of 2xx or 3xx, whatever the request
    /// or the renderer.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use tower_clerk::ClerkBasicAuthLayer;
    ///
    /// // For `tonic::transport::Server::builder().layer(layer)`.
    /// let layer = ClerkBasicAuthLayer::new(clerk).grpc_rejections();
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn grpc_rejections(self) -> ClerkBasicAuthLayer<GrpcRejections<R>> {
        self.map_response(GrpcRejections::new)
    }
}

/// Whether a request is a gRPC one. gRPC-Web is not: its clients read the status from the body.
pub(super) fn is_grpc(request: &HeaderMap) -> bool {
    let mut fields = request.get_all(CONTENT_TYPE).iter();
    // Of several fields, a proxy in between may believe another one.
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let Ok(field) = field.to_str() else { return false };
    let media_type = field.split(';').next().unwrap_or_default().trim();
    let Some((start, rest)) = media_type.split_at_checked(GRPC.len()) else { return false };
    let is_message_format = |rest: &str| {
        let name = rest.strip_prefix('+').unwrap_or_default();
        !name.is_empty() && name.bytes().all(is_token)
    };
    start.eq_ignore_ascii_case(GRPC) && (rest.is_empty() || is_message_format(rest))
}

/// `tchar` of [RFC 9110, section 5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Builds the whole response to a rejected gRPC request. No renderer has a hand in it.
pub(super) fn respond<B>(rejection: Rejection, body: B) -> Response<B> {
    let status = grpc_status(rejection.status());
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
    headers.insert(GRPC_STATUS, HeaderValue::from(status));
    let message = percent_encoded(rejection.detail().unwrap_or(rejection.kind().title()));
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    headers.insert(CODE, HeaderValue::from_static(rejection.code()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set_retry_after(headers, &rejection);
    if let Some(pushback) = pushback(status, rejection.retry_after()) {
        headers.insert(GRPC_RETRY_PUSHBACK, HeaderValue::from(pushback));
    }
    response.extensions_mut().insert(rejection);
    response
}

const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// <https://github.com/grpc/grpc/blob/master/doc/statuscodes.md>
fn grpc_status(status: StatusCode) -> u16 {
    u16::from(match status {
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::TOO_MANY_REQUESTS => RESOURCE_EXHAUSTED,
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        _ => INTERNAL,
    })
}

/// When a client with a retry policy may repeat the call, in milliseconds, or -1 for never. Some clients obey it
/// whether their policy lists the status or not, so throttled credentials have to say no: each repetition with a wrong
/// password doubles the pause (rule P3), and the client waits for it until its deadline instead of reporting the
/// reason.
fn pushback(status: u16, retry_after: Option<Duration>) -> Option<i32> {
    if status == u16::from(RESOURCE_EXHAUSTED) {
        return Some(-1);
    }
    let wait = retry_after.filter(|_| status == u16::from(UNAVAILABLE))?;
    // Rounded up, like `Retry-After`.
    let millis = wait.as_millis() + u128::from(wait.subsec_nanos() % 1_000_000 > 0);
    Some(i32::try_from(millis).unwrap_or(i32::MAX))
}

/// `Percent-Encoded` of [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses):
/// space and visible ASCII but `%` stand for themselves.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'%' | ..b' ' | 0x7f.. => _ = write!(encoded, "%{byte:02X}"),
            _ => encoded.push(char::from(byte)),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{EmptyBody, ProblemJson};
    use crate::rejection::Challenge;
    use crate::rejection::RejectionKind;

    fn content_types(fields: &[&'static str]) -> HeaderMap {
        fields.iter().map(|field| (CONTENT_TYPE, HeaderValue::from_static(field))).collect()
    }

    fn answer(rejection: Rejection, request: &HeaderMap) -> Response<String> {
        let renderer = GrpcRejections::new(ProblemJson::default());
        super::super::respond(rejection, &renderer, &Challenge::default(), request)
    }

    #[test]
    fn a3_grpc_is_told_by_the_content_type_and_grpc_web_is_not_grpc() {
        for yes in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc+json; charset=utf-8",
            "application/grpc;foo=application/grpc-web",
            "Application/gRPC+Thrift",
            " application/grpc ; q=1",
        ] {
            assert!(is_grpc(&content_types(&[yes])), "{yes}");
        }
        for no in [
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/grpcx",
            "application/grpc/",
            "application/grpc+",
            "application/grpc+proto, text/html",
            "application/grpc, text/html",
            "application/grpc text/html",
            "text/html; application/grpc",
            "application/gr",
            "application/json",
            "application/grp\u{e7}",
            "",
        ] {
            let field = HeaderValue::from_bytes(no.as_bytes()).unwrap();
            assert!(!is_grpc(&[(CONTENT_TYPE, field)].into_iter().collect()), "{no}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
        assert!(!is_grpc(&content_types(&["application/grpc", "application/grpc"])));
        assert!(!is_grpc(&content_types(&["application/grpc", "text/html"])));
    }

    #[test]
    fn a3_each_kind_has_its_grpc_status_and_code() {
        use RejectionKind as Kind;
        let grpc = content_types(&["application/grpc"]);
        for kind in Kind::ALL.iter().copied() {
            let expected = match kind {
                Kind::CredentialsMissing | Kind::CredentialsMalformed | Kind::CredentialsRejected => "16",
                Kind::AccountActionRequired
                | Kind::SecondFactorRequired
                | Kind::OrganizationForbidden
                | Kind::Forbidden => "7",
                Kind::Throttled => "8",
                Kind::UpstreamRateLimited | Kind::UpstreamUnavailable => "14",
                Kind::Misconfigured | Kind::Internal => "13",
            };
            let response = answer(Rejection::new(kind), &grpc);
            assert_eq!(response.status(), 200);
            assert_eq!(response.body(), "");
            let headers = response.headers();
            assert_eq!(headers["content-type"], "application/grpc");
            assert_eq!(headers["grpc-status"], expected, "{kind:?}");
            assert_eq!(headers["grpc-message"], kind.title());
            assert_eq!(headers["x-clerk-code"], kind.code());
            assert_eq!(headers["cache-control"], "no-store");
            assert!(!headers.contains_key("www-authenticate"));
            assert_eq!(response.extensions().get::<Rejection>().unwrap().kind(), kind);
        }
    }

    #[test]
    fn a3_a_grpc_message_is_the_detail_and_percent_encoded() {
        assert_eq!(percent_encoded("a ~!$&%25é\r\n\x7f"), "a ~!$&%2525%C3%A9%0D%0A%7F");
        let rejection = Rejection::new(RejectionKind::CredentialsMalformed).detail_of("100 % wrong: é");
        let response = answer(rejection, &content_types(&["application/grpc"]));
        assert_eq!(response.headers()["grpc-message"], "100 %25 wrong: %C3%A9");
    }

    #[test]
    fn a3_a_grpc_client_is_told_when_to_repeat_a_call_and_never_to_repeat_a_throttled_one() {
        let told = |kind, millis: u64| {
            let rejection = Rejection::new(kind).with_retry_after(Duration::from_millis(millis));
            let response = answer(rejection, &content_types(&["application/grpc"]));
            ["grpc-retry-pushback-ms", "retry-after"]
                .map(|name| response.headers()[name].to_str().unwrap().to_owned())
        };
        assert_eq!(told(RejectionKind::UpstreamUnavailable, 1_001), ["1001", "2"]);
        assert_eq!(told(RejectionKind::UpstreamRateLimited, u64::from(u32::MAX)), ["2147483647", "4294968"]);
        assert_eq!(told(RejectionKind::Throttled, 600_000), ["-1", "600"]);
        assert_eq!(pushback(14, Some(Duration::from_nanos(1_000_001))), Some(2), "rounded up");
        for kind in [RejectionKind::CredentialsRejected, RejectionKind::Forbidden, RejectionKind::Internal] {
            let response = answer(Rejection::new(kind), &content_types(&["application/grpc"]));
            assert!(!response.headers().contains_key("grpc-retry-pushback-ms"));
            assert!(!response.headers().contains_key("retry-after"));
        }
    }

    #[test]
    fn a3_other_requests_get_the_renderer_inside() {
        for content_type in ["application/grpc-web", "text/plain"] {
            let rejection = Rejection::new(RejectionKind::CredentialsMissing);
            let response = answer(rejection, &content_types(&[content_type]));
            assert_eq!(response.status(), 401);
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            assert!(response.headers().contains_key("www-authenticate"));
            assert!(!response.headers().contains_key("grpc-status"));
        }
    }

    /// Also a renderer that sets gRPC's headers and the status by itself.
    #[test]
    fn a3_a_renderer_of_ones_own_cannot_answer_a_rejection_with_200() {
        let sly = |_: &Rejection| {
            let response = Response::builder().status(200).header("grpc-status", "16");
            response.header("content-type", "application/grpc").body(String::new()).unwrap()
        };
        let grpc = content_types(&["application/grpc"]);
        let rejection = Rejection::new(RejectionKind::CredentialsRejected);
        let challenge = Challenge::default();
        assert_eq!(super::super::respond(rejection.clone(), &sly, &challenge, &grpc).status(), 401);
        let response =
            super::super::respond::<String, _>(rejection, &EmptyBody::default(), &challenge, &grpc);
        assert_eq!(response.status(), 401);
    }
}
