//! Transports that fail, or that return a foreign client token or too large a body (rules S1, S5, S6).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::faults::check_fault;
use crate::common::{JANE, World, ask, basic};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use tower_clerk::testing::{Endpoint, FakeClerk, Fault};
use tower_clerk::transport::{MAX_BODY, Transport, TransportError, TransportFuture};
use tower_clerk::{Clerk, ClerkBasicAuthLayer};

/// Fails the first `times` requests, either before or after the connection is made.
struct Unreachable {
    fake: FakeClerk,
    times: AtomicUsize,
    connect: bool,
    tried: Arc<AtomicUsize>,
}

impl Transport for Unreachable {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            self.tried.fetch_add(1, Ordering::SeqCst);
            let left =
                self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            match left {
                Ok(_) if self.connect => Err(TransportError::connect("refused")),
                Ok(_) => Err(TransportError::broken("reset")),
                Err(_) => self.fake.send(request).await,
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn s5_only_a_failed_connection_is_retried_and_only_once() {
    for (times, connect, status, tries) in [(1, true, 200, 2), (2, true, 503, 2), (1, false, 503, 1)] {
        let world = World::new();
        let tried = Arc::new(AtomicUsize::new(0));
        let transport =
            Unreachable { fake: world.fake.clone(), times: times.into(), connect, tried: Arc::clone(&tried) };
        let clerk =
            Clerk::builder(world.fake.fapi_url()).transport(transport).clock(world.clock).build().unwrap();
        let layer = ClerkBasicAuthLayer::new(clerk);
        let response = ask(&layer, basic(JANE)).await;
        assert_eq!(response.status(), status, "{times} {connect}");
        // A successful sign-in is followed by a fetch of the key set.
        assert_eq!(tried.load(Ordering::SeqCst), tries + usize::from(status == 200), "{times} {connect}");
        assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
    }
}

/// Adds another client's token to each error response.
struct ForeignToken(FakeClerk);

const FOREIGN: &str = "the token of another client";

impl Transport for ForeignToken {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let mut response = self.0.send(request).await?;
            if !response.status().is_success() {
                response.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static(FOREIGN));
            }
            Ok(response)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn s1_the_client_token_of_an_error_response_is_ignored() {
    let world = World::new();
    let clerk = Clerk::builder(world.fake.fapi_url())
        .transport(ForeignToken(world.fake.clone()))
        .clock(world.clock)
        .build();
    let world = World { clerk: clerk.unwrap(), ..world };
    assert_eq!(world.get(JANE).await.status(), 200);
    for fault in [
        Fault::Status(503),
        Fault::StatusWithCode(422, "a_code_of_tomorrow".to_owned()),
        Fault::StatusWithCode(404, "organization_not_found_or_unauthorized".to_owned()),
    ] {
        world.fake.script(Endpoint::Tokens, fault.clone());
        assert_ne!(world.get_for(JANE, "acme").await.status(), 200, "{fault:?}");
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(world.get_for(JANE, "acme").await.status(), 200, "{fault:?}");
        tokio::time::sleep(Duration::from_secs(61)).await;
    }
    let sent = world.fake.requests();
    assert!(sent.iter().all(|request| request.header("authorization") != Some(FOREIGN)));
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

/// A transport that ignores `MAX_BODY`.
struct Large(FakeClerk);

impl Transport for Large {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let response = self.0.send(request).await?;
            Ok(response.map(|body| Bytes::from([&body[..], &vec![b' '; MAX_BODY]].concat())))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn s6_a_body_over_one_mebibyte_is_an_upstream_error_with_any_transport() {
    let world = World::new();
    let clerk =
        Clerk::builder(world.fake.fapi_url()).transport(Large(world.fake.clone())).clock(world.clock).build();
    check_fault(&ask(&ClerkBasicAuthLayer::new(clerk.unwrap()), basic(JANE)).await, "large");
}
