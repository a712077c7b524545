//! Sends requests through a service without a runtime or a socket.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderValue, Response};
use tower_service::Service;

/// The request type of the measured services.
pub type Request = http::Request<()>;

/// A service that can be measured.
pub trait Measured: Service<Request, Response = Response<String>, Error = Infallible> {}

impl<S> Measured for S where S: Service<Request, Response = Response<String>, Error = Infallible> {}

/// Builds a request like curl's.
///
/// # Panics
///
/// Panics if `authorization` is not a valid header value.
#[must_use]
pub fn request(authorization: &str) -> Request {
    let mut request = Request::new(());
    *request.uri_mut() = http::Uri::from_static("/invoices?year=2026");
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("api.example.com"));
    headers.insert(USER_AGENT, HeaderValue::from_static("curl/8.14.1"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).expect("no control characters"));
    request
}

/// Sends `times` copies of a request through a service.
///
/// Valgrind counts only the instructions inside this function.
///
/// # Panics
///
/// Panics if the service isn't ready at once or doesn't respond at once, since then the measured request wasn't a
/// hit.
#[inline(never)]
pub fn drive(service: &mut impl Measured, request: &Request, times: u64) {
    for _ in 0..times {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready(), "the service is not ready");
        let answer = pin!(service.call(black_box(request).clone())).poll(&mut context);
        let Poll::Ready(Ok(response)) = answer else { panic!("the answer does not come at once") };
        assert_eq!(response.status(), 200, "the request does not pass");
        black_box(response);
    }
}
