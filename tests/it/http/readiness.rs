//! Tower's readiness contract, also while Clerk is slow (rule A4).

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::{BOB, JANE, World, basic, in_time, run_ready_tasks};
use http::{Request, Response};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_clerk::testing::{Endpoint, Fault};
use tower_clerk::{Clerk, ClerkBasicAuthLayer};

/// An error without any trait, not even `Debug`.
struct Bare(u8);

/// A service that panics if it is called before `poll_ready` succeeded, as the contract of `Service` permits.
struct Strict {
    ready: bool,
    polls: usize,
    clones: Arc<AtomicUsize>,
    not_ready: Arc<AtomicBool>,
    error: Option<u8>,
}

impl Strict {
    fn new() -> Self {
        Self { ready: false, polls: 0, clones: Arc::default(), not_ready: Arc::default(), error: None }
    }
}

impl Clone for Strict {
    /// A clone is not ready, even if its original is.
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::SeqCst);
        let (clones, not_ready) = (Arc::clone(&self.clones), Arc::clone(&self.not_ready));
        Self { ready: false, polls: 0, clones, not_ready, error: self.error }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<String>;
    type Error = Bare;
    type Future = Ready<Result<Response<String>, Bare>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Bare>> {
        self.polls += 1;
        if self.not_ready.swap(false, Ordering::SeqCst) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(self.error.map_or(Ok(()), |error| Err(Bare(error))))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been polled ready");
        ready(Ok(Response::new(self.polls.to_string())))
    }
}

#[tokio::test(start_paused = true)]
async fn a4_the_inner_service_is_never_called_unready_on_a_hit_a_miss_or_a_rejection() {
    let world = World::new();
    let mut service = world.layer().optional().layer(Strict::new());
    let requests: [fn() -> Request<()>; 6] = [
        || basic(JANE),
        || basic((JANE.0, "wrong")),
        || basic(JANE),
        || Request::new(()),
        || basic(BOB),
        || basic(BOB),
    ];
    for (number, request) in requests.iter().enumerate() {
        let Ok(response) = service.ready().await.ok().unwrap().call(request()).await else {
            panic!("{number}")
        };
        assert_eq!(response.status(), if number == 1 { 401 } else { 200 });
    }
    // Calls the service repeatedly without waiting for the answers, as tower permits.
    let mut answers = Vec::new();
    for request in requests {
        answers.push(service.ready().await.ok().unwrap().call(request()));
    }
    for answer in answers {
        assert!(answer.await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a4_a_hit_calls_the_service_that_was_polled_ready_without_a_clone() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    let inner = Strict::new();
    let clones = Arc::clone(&inner.clones);
    let mut service = world.layer().layer(inner);
    for polls in 1..=10 {
        let response = service.ready().await.ok().unwrap().call(basic(JANE)).await.ok().unwrap();
        // The body is the number of polls of this instance, which a clone would restart at 1.
        assert_eq!(response.body(), &polls.to_string());
    }
    assert_eq!(clones.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a4_after_an_exchange_a_fresh_clone_is_polled_until_ready() {
    let world = World::new();
    let inner = Strict::new();
    let not_ready = Arc::clone(&inner.not_ready);
    let mut service = world.layer().layer(inner);
    let answer = service.ready().await.ok().unwrap().call(basic(JANE));
    not_ready.store(true, Ordering::SeqCst);
    assert_eq!(
        answer.await.ok().unwrap().body(),
        "2",
        "the clone was polled twice: it was not ready at first"
    );
}

#[tokio::test(start_paused = true)]
async fn a4_the_inner_services_error_passes_through_unchanged() {
    let world = World::new();
    let mut inner = Strict::new();
    inner.error = Some(7);
    let mut service = world.layer().layer(inner);
    assert!(matches!(service.ready().await, Err(Bare(7))));
    // The inner service's call fails, first after an exchange and then on a hit.
    let failing = service_fn(|_: Request<()>| async { Err::<Response<String>, _>(Bare(9)) });
    for _ in 0..2 {
        assert!(matches!(world.layer().layer(failing).oneshot(basic(JANE)).await, Err(Bare(9))));
    }
}

#[tokio::test(start_paused = true)]
async fn a4_a_hanging_sign_in_holds_no_permit_of_an_inner_concurrency_limit() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    let service = ServiceBuilder::new()
        .layer(world.layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn(crate::common::me));
    world.fake.script(Endpoint::SignIns, Fault::Hang);
    let start = world.clock.now();
    let hanging = tokio::spawn(service.clone().oneshot(basic(BOB)));
    run_ready_tasks().await;
    for _ in 0..10 {
        assert_eq!(in_time(service.clone().oneshot(basic(JANE))).await.unwrap().status(), 200);
        // A rejection also releases its permit, even while the service lives on.
        let mut reused = service.clone();
        let rejected = reused.ready().await.unwrap().call(Request::new(()));
        assert_eq!(in_time(service.clone().oneshot(basic(JANE))).await.unwrap().status(), 200);
        assert_eq!(rejected.await.unwrap().status(), 401);
    }
    assert_eq!(world.clock.now(), start);
    assert_eq!(hanging.await.unwrap().unwrap().status(), 503);
}

#[tokio::test(start_paused = true)]
async fn a4_readiness_does_not_depend_on_clerk() {
    let world = World::new();
    world.fake.script_always(Endpoint::Any, Fault::Hang);
    let mut service = world.layer().layer(service_fn(crate::common::me));
    let waiting: Vec<_> = (0..100).map(|_| service.call(basic(JANE))).collect();
    let ready = tokio::time::timeout(Duration::from_millis(1), service.ready());
    assert!(ready.await.is_ok());
    drop(waiting);
}

#[test]
fn everything_can_be_built_and_moved_without_a_runtime() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let clerk = Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build().unwrap();
    shared(&clerk);
    let layer = ClerkBasicAuthLayer::new(clerk);
    shared(&layer);
    let service = layer.layer(Strict::new());
    fn moved<T: Send>(_: &T) {}
    moved(&service);
}

#[tokio::test(start_paused = true)]
async fn a4_a_request_whose_body_cannot_be_cloned_or_shared_passes() {
    struct Owned(std::cell::Cell<u8>);
    let world = World::new();
    let inner = service_fn(|request: Request<Owned>| async move {
        Ok::<_, Bare>(Response::new(request.into_body().0.get().to_string()))
    });
    for _ in 0..2 {
        let request = basic(JANE).map(|()| Owned(std::cell::Cell::new(5)));
        let answer = world.layer().layer(inner).oneshot(request).await;
        assert_eq!(answer.ok().unwrap().body(), "5");
    }
}
