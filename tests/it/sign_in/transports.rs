//! Transports that fail, or bring too much (rules S5, S6).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::faults::check_fault;
use crate::common::{JANE, World, ask, basic};
use bytes::Bytes;
use http::Request;
use tower_clerk::testing::FakeClerk;
use tower_clerk::transport::{MAX_BODY, Transport, TransportError, TransportFuture};
use tower_clerk::{Clerk, ClerkBasicAuthLayer};

/// Refuses to connect, or breaks off, a number of times.
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
async fn s5_only_what_did_not_reach_clerk_is_tried_again_and_only_once() {
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
        // The key set is fetched as well where the sign-in went well.
        assert_eq!(tried.load(Ordering::SeqCst), tries + usize::from(status == 200), "{times} {connect}");
        assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
    }
}

/// A transport that doesn't keep to the bound.
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
async fn s6_a_body_over_a_mebibyte_is_refused_whoever_brings_it() {
    let world = World::new();
    let clerk =
        Clerk::builder(world.fake.fapi_url()).transport(Large(world.fake.clone())).clock(world.clock).build();
    check_fault(&ask(&ClerkBasicAuthLayer::new(clerk.unwrap()), basic(JANE)).await, "large");
}
