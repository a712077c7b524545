use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::reject::RejectionResponse;
use super::service::ClerkBasicAuth;
use crate::api_keys::ClerkPrincipal;
use crate::rejection::Rejection;

type Exchange = Pin<Box<dyn Future<Output = Result<ClerkPrincipal, Rejection>> + Send>>;

pin_project! {
    /// Response future of [`ClerkBasicAuth`](crate::layer::ClerkBasicAuth).
    ///
    /// A request that passes at once polls the inner service's future directly, without a box. A request that has to
    /// wait for Clerk is boxed until the inner service gets it.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, R, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, R, ReqBody, ResBody, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, ReqBody, ResBody, F> {
        Inner { #[pin] future: F },
        // Boxed, so that a response doesn't enlarge the future of every request.
        Rejected { response: Option<Box<Response<ResBody>>> },
        /// The engine exchanges the credentials for a session.
        Exchanging { exchange: Exchange, pending: Option<Box<Pending<S, R, ReqBody>>> },
        /// The session is there; the clone of the inner service is not ready yet.
        Readying { pending: Option<Box<Pending<S, R, ReqBody>>> },
    }
}

/// A request and the clone of the service that will get it.
struct Pending<S, R, B> {
    service: ClerkBasicAuth<S, R>,
    request: Request<B>,
}

impl<S, R, ReqBody, ResBody> ResponseFuture<S, R, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn inner(future: S::Future) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(super) fn rejected(response: Response<ResBody>) -> Self {
        Self { state: State::Rejected { response: Some(Box::new(response)) } }
    }

    pub(super) fn exchanging(
        exchange: Exchange,
        service: ClerkBasicAuth<S, R>,
        request: Request<ReqBody>,
    ) -> Self {
        Self { state: State::Exchanging { exchange, pending: Some(Box::new(Pending { service, request })) } }
    }
}

impl<S, R, ReqBody, ResBody> Future for ResponseFuture<S, R, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: RejectionResponse<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const POLLED_AGAIN: &str = "ResponseFuture polled after completion";
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Inner { future } => return future.poll(cx),
                StateProj::Rejected { response } => {
                    return Poll::Ready(Ok(*response.take().expect(POLLED_AGAIN)));
                }
                StateProj::Exchanging { exchange, pending } => {
                    let result = ready!(exchange.as_mut().poll(cx));
                    let mut pending = pending.take().expect(POLLED_AGAIN);
                    let Pending { service, request } = &mut *pending;
                    match service.finish_exchange(result, request) {
                        Ok(()) => State::Readying { pending: Some(pending) },
                        Err(rejected) => State::Rejected { response: Some(Box::new(rejected)) },
                    }
                }
                StateProj::Readying { pending } => {
                    let waiting = pending.as_mut().expect(POLLED_AGAIN);
                    ready!(waiting.service.get_mut().poll_ready(cx))?;
                    let Pending { mut service, request } = *pending.take().expect(POLLED_AGAIN);
                    State::Inner { future: service.get_mut().call(request) }
                }
            };
            state.set(next);
        }
    }
}

impl<S, R, ReqBody, ResBody> fmt::Debug for ResponseFuture<S, R, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
