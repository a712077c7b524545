use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::reject::RejectionResponse;
use super::service::ClerkBasicAuth;
use crate::rejection::Rejection;
use crate::session::ClerkSession;

type Exchange = Pin<Box<dyn Future<Output = Result<ClerkSession, Rejection>> + Send>>;

pin_project! {
    /// The response of a service behind [`ClerkBasicAuthLayer`](crate::ClerkBasicAuthLayer).
    ///
    /// A hit is the inner service's future and nothing else; only a request that must ask Clerk is boxed.
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
        /// The inner service has the request.
        Inner { #[pin] future: F },
        /// There is a rejection to hand over.
        Rejected { response: Option<Box<Response<ResBody>>> },
        /// Clerk is asked.
        Exchanging { exchange: Exchange, held: Option<Box<Pending<S, R, ReqBody>>> },
        /// A fresh clone of the inner service is polled ready.
        Readying { held: Option<Box<Pending<S, R, ReqBody>>> },
    }
}

/// A request that waits, and the service that it waits for.
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
        Self { state: State::Exchanging { exchange, held: Some(Box::new(Pending { service, request })) } }
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
                StateProj::Exchanging { exchange, held } => {
                    let answer = ready!(exchange.as_mut().poll(cx));
                    let mut held = held.take().expect(POLLED_AGAIN);
                    let Pending { service, request } = &mut *held;
                    match service.answered(answer, request) {
                        Ok(()) => State::Readying { held: Some(held) },
                        Err(rejected) => State::Rejected { response: Some(Box::new(rejected)) },
                    }
                }
                StateProj::Readying { held } => {
                    let waiting = held.as_mut().expect(POLLED_AGAIN);
                    ready!(waiting.service.get_mut().poll_ready(cx))?;
                    let Pending { mut service, request } = *held.take().expect(POLLED_AGAIN);
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
