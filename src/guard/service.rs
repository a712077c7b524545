use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::future::ResponseFuture;
use super::layer::RequireLayer;
use crate::layer::{EmptyBody, RejectionResponse};

/// Middleware that lets only sessions in that meet a [`Requirement`](super::Requirement).
///
/// [`RequireLayer`] creates it. It adds no error of its own: a rejection is a response, and `Error` is the inner
/// service's. The inner service must be [`Clone`]: on a rejection, the service that was polled ready is given back.
#[derive(Clone)]
pub struct Require<S, R = EmptyBody> {
    inner: S,
    layer: RequireLayer<R>,
}

impl<S, R> Require<S, R> {
    pub(super) fn new(inner: S, layer: RequireLayer<R>) -> Self {
        Self { inner, layer }
    }

    /// Returns a reference to the inner service.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for Require<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: RejectionResponse<ResBody>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.layer.judge(&request) {
            Ok(()) => ResponseFuture::inner(self.inner.call(request)),
            Err(rejection) => {
                // Drops the service that was polled ready, and with it what it has reserved (rule A4).
                self.inner = self.inner.clone();
                ResponseFuture::rejected(self.layer.rejected(rejection, request.headers()))
            }
        }
    }
}

impl<S, R> fmt::Debug for Require<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Require").field("layer", &self.layer).finish_non_exhaustive()
    }
}
