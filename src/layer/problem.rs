//! Rejections as `application/problem+json`.

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use super::layer::ClerkBasicAuthLayer;
use super::reject::RejectionResponse;
use crate::rejection::Rejection;

/// Answers rejections with `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).
///
/// The members are `status`, `title` and `code`, and `detail` if there is one. `code` is stable and meant for programs;
/// `title` and `detail` are sentences that may change. The response body of the inner service must implement
/// `From<String>`; [`ProblemJsonWith`] is for those that don't.
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

// Without the attribute the compiler names the missing `From<String>` and not the way out.
#[diagnostic::do_not_recommend]
impl<B: From<String>> RejectionResponse<B> for ProblemJson {
    fn rejection_response(&self, rejection: &Rejection) -> Response<B> {
        problem(rejection, B::from)
    }
}

/// Answers rejections with `application/problem+json` in a body that a function makes of the JSON text.
///
/// [`problem_json_with`](ClerkBasicAuthLayer::problem_json_with) makes it the renderer of a layer. The members are
/// those of [`ProblemJson`].
///
/// ```
/// use bytes::Bytes;
/// use http::Response;
/// use http_body_util::combinators::BoxBody;
/// use http_body_util::{BodyExt, Full};
/// use tower_clerk::layer::{ProblemJsonWith, RejectionResponse};
/// use tower_clerk::{Rejection, RejectionKind};
///
/// let renderer = ProblemJsonWith::new(|json: String| Full::from(json).boxed());
/// let rejection = Rejection::new(RejectionKind::CredentialsMissing);
/// let response: Response<BoxBody<Bytes, _>> = renderer.rejection_response(&rejection);
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// ```
#[derive(Clone, Copy)]
pub struct ProblemJsonWith<F> {
    body: F,
}

impl<F> ProblemJsonWith<F> {
    /// Creates a renderer from a function that makes a body of the JSON text.
    #[must_use]
    pub fn new<B>(body: F) -> Self
    where
        F: Fn(String) -> B + Clone,
    {
        Self { body }
    }
}

impl<B, F> RejectionResponse<B> for ProblemJsonWith<F>
where
    F: Fn(String) -> B + Clone,
{
    fn rejection_response(&self, rejection: &Rejection) -> Response<B> {
        problem(rejection, &self.body)
    }
}

impl<F> fmt::Debug for ProblemJsonWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProblemJsonWith").finish_non_exhaustive()
    }
}

fn problem<B>(rejection: &Rejection, body: impl Fn(String) -> B) -> Response<B> {
    let mut problem = serde_json::json!({
        "status": rejection.status().as_u16(),
        "title": rejection.kind().title(),
        "code": rejection.code(),
    });
    if let Some(detail) = rejection.detail() {
        problem["detail"] = detail.into();
    }
    let mut response = Response::new(body(problem.to_string()));
    *response.status_mut() = rejection.status();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

impl<R> ClerkBasicAuthLayer<R> {
    /// Answers rejections with a body of type `application/problem+json`
    /// ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).
    ///
    /// The response body of the inner service must implement `From<String>`, as those of axum and
    /// `http_body_util::Full` do; [`problem_json_with`](Self::problem_json_with) is for any other. [`ProblemJson`]
    /// lists the members.
    ///
    /// With another body the service doesn't implement `Service`:
    ///
    /// ```compile_fail,E0277
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build().unwrap();
    /// use bytes::Bytes;
    /// use http::{Request, Response};
    /// use http_body_util::combinators::BoxBody;
    /// use tower::{Layer, ServiceExt, service_fn};
    /// use tower_clerk::ClerkBasicAuthLayer;
    ///
    /// type Body = BoxBody<Bytes, std::io::Error>;
    /// let inner = service_fn(async |_: Request<()>| Ok::<_, std::io::Error>(Response::new(Body::default())));
    ///
    /// let service = ClerkBasicAuthLayer::new(clerk).problem_json().layer(inner);
    /// let response = ServiceExt::oneshot(service, Request::new(()));
    /// ```
    pub fn problem_json(self) -> ClerkBasicAuthLayer<ProblemJson> {
        self.with_rejection_response(ProblemJson::default())
    }

    /// Answers rejections with a body of type `application/problem+json` that a function makes of the JSON text.
    ///
    /// Use it where [`problem_json`](Self::problem_json) can't make the body from a `String`: for a `BoxBody` of
    /// `http_body_util`, which proxies have, or for the body of tonic.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use bytes::Bytes;
    /// use http_body_util::combinators::BoxBody;
    /// use http_body_util::{BodyExt, Full};
    /// use tower_clerk::ClerkBasicAuthLayer;
    ///
    /// type BoxError = Box<dyn std::error::Error + Send + Sync>;
    ///
    /// fn body(json: String) -> BoxBody<Bytes, BoxError> {
    ///     Full::from(json).map_err(|never| match never {}).boxed()
    /// }
    ///
    /// let layer = ClerkBasicAuthLayer::new(clerk).problem_json_with(body);
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn problem_json_with<F, B>(self, body: F) -> ClerkBasicAuthLayer<ProblemJsonWith<F>>
    where
        F: Fn(String) -> B + Clone,
    {
        self.with_rejection_response(ProblemJsonWith::new(body))
    }
}
