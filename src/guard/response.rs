//! The response that Clerk's browser clients recognize.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::layer::{GrpcSwitch, RejectionResponse};
use crate::rejection::Rejection;

/// Answers rejections that a reverification overcomes as Clerk's `reverificationErrorResponse` does, and others by `R`.
///
/// [`RequireLayer::reverification_json`](super::RequireLayer::reverification_json) makes it. The status is 403, the
/// type `application/json`, and the body is:
///
/// ```json
/// {"clerk_error":{"type":"forbidden","reason":"reverification-error","metadata":{"reverification":"strict"}}}
/// ```
///
/// A [`Custom`](super::Reverification::Custom) reverification is an object,
/// `{"level":"second_factor","afterMinutes":30}`, in whole minutes, rounded up. A layer with
/// [`grpc_rejections`](crate::ClerkBasicAuthLayer::grpc_rejections) still answers gRPC requests in gRPC's form.
#[derive(Clone, Copy, Debug)]
pub struct ReverificationJson<R> {
    others: R,
}

impl<R> ReverificationJson<R> {
    pub(super) fn new(others: R) -> Self {
        Self { others }
    }
}

#[diagnostic::do_not_recommend]
impl<B, R> RejectionResponse<B> for ReverificationJson<R>
where
    B: From<String>,
    R: RejectionResponse<B>,
{
    fn rejection_response(&self, rejection: &Rejection) -> Response<B> {
        let Some(reverification) = rejection.reverification() else {
            return self.others.rejection_response(rejection);
        };
        // <https://github.com/clerk/javascript/blob/main/packages/shared/src/authorization-errors.ts>
        let error = json!({
            "clerk_error": {
                "type": "forbidden",
                "reason": "reverification-error",
                "metadata": { "reverification": reverification.to_json() },
            },
        });
        let mut response = Response::new(B::from(error.to_string()));
        *response.status_mut() = StatusCode::FORBIDDEN;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    // A gRPC client reads no JSON, so it gets the answer of the layer.
    fn grpc_body(&self, switch: GrpcSwitch) -> Option<B> {
        self.others.grpc_body(switch)
    }
}
