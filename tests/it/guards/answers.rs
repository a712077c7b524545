//! How a guard answers, and what the log and the counts say.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{Request, Response};
use tokio::time::advance;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_clerk::guard::{RequireLayer, Reverification, SecondFactor};
use tower_clerk::stats::Outcome;
use tower_clerk::testing::TokenVersion::V2;
use tower_clerk::{ClerkBasicAuthLayer, Rejection, Requirement};

use super::{ADA, MINUTE, SECOND, ask_guarded, world};
use crate::common::{JANE, World, authorization, basic, code, logged, me, rejection, wire};

fn admin() -> Requirement {
    Requirement::new().role("org:admin")
}

#[tokio::test(start_paused = true)]
async fn g2_an_anonymous_request_is_challenged_as_the_layer_challenges() {
    let world = world(V2);
    let layer = world.layer().realm("ops").unwrap().problem_json().optional();
    let guard = layer.require(admin()).unwrap();
    let response = ask_guarded(&layer, &guard, Request::new(())).await;
    assert_eq!((response.status().as_u16(), code(&response)), (401, "credentials_missing"));
    assert_eq!(response.headers()[WWW_AUTHENTICATE], r#"Basic realm="ops", charset="UTF-8""#);
    let strict = world.layer().realm("ops").unwrap().problem_json();
    let refused = strict.layer(service_fn(me)).oneshot(Request::new(())).await.unwrap();
    assert_eq!(wire(&response), wire(&refused), "as a layer that requires credentials");

    let exempt = world.layer().exempt(|_| true);
    let guard = exempt.require(admin()).unwrap();
    assert_eq!(ask_guarded(&exempt, &guard, basic(JANE)).await.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn g2_a_refused_session_is_forbidden_and_not_told_why() {
    let world = world(V2);
    let layer = world.layer().problem_json();
    let mut answers = Vec::new();
    for requirement in [
        admin(),
        Requirement::new().organization(),
        Requirement::new().permission("invoices:manage"),
        Requirement::new().feature("reports"),
        Requirement::new().plan("pro"),
        Requirement::any_of([admin()]),
        // A user who lacks more isn't told of the remedy.
        admin().second_factor(SecondFactor::Required { within: MINUTE }),
    ] {
        let guard = layer.require(requirement).unwrap();
        let response = ask_guarded(&layer, &guard, basic(ADA)).await;
        assert_eq!((response.status().as_u16(), code(&response)), (403, "forbidden"));
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
        answers.push(wire(&response));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");

    let second = Requirement::new().second_factor(SecondFactor::Required { within: MINUTE });
    let response = ask_guarded(&layer, &layer.require(second).unwrap(), basic(ADA)).await;
    assert!(response.body().contains("a second factor is required"), "{}", response.body());
}

#[tokio::test(start_paused = true)]
async fn g2_without_a_layer_the_client_learns_nothing_and_the_log_everything_once_a_minute() {
    let world = world(V2);
    let guard = world.layer().problem_json().require(admin()).unwrap();
    let ask = || async {
        // The layer inside of the guard is too late.
        let service = guard.layer(world.layer().layer(service_fn(me)));
        let mut request = basic(JANE);
        *request.uri_mut() = http::Uri::from_static("/admin?token=hunter2");
        let response = service.oneshot(request).await.unwrap();
        assert_eq!((response.status().as_u16(), code(&response)), (500, "misconfigured"));
        let body = r#"{"code":"misconfigured","status":500,"title":"sign-in is misconfigured"}"#;
        assert_eq!(response.body(), body);
    };
    let log = logged(async {
        ask().await;
        advance(MINUTE - SECOND).await;
        ask().await;
        ask().await;
    })
    .await;
    let errors = |log: &str| log.lines().filter(|line| line.contains("ERROR")).count();
    assert_eq!(errors(&log), 1, "{log}");
    assert!(log.contains("ClerkBasicAuthLayer") && log.contains("outside of the guard"), "{log}");
    assert!(log.contains("GET") && log.contains("path=\"/admin\"") && !log.contains("hunter2"), "{log}");
    let log = logged(async {
        advance(SECOND).await;
        ask().await;
        ask().await;
    })
    .await;
    assert_eq!(errors(&log), 1, "{log}");
    assert_eq!(world.fake.requests().len(), 0, "Clerk was not asked");
}

#[tokio::test(start_paused = true)]
async fn g2_a_refusal_is_logged_and_not_counted_as_another_request() {
    let world = world(V2);
    let layer = world.layer();
    let guard = layer.require(admin()).unwrap();
    ask_guarded(&layer, &guard, basic(ADA)).await;
    let before = world.clerk.stats();
    let log = logged(async {
        for _ in 0..3 {
            assert_eq!(code(&ask_guarded(&layer, &guard, basic(ADA)).await), "forbidden");
            advance(SECOND).await;
        }
    })
    .await;
    let rejections = |level: &str| {
        let is_it = |line: &&str| line.contains(level) && line.contains("code=\"forbidden\"");
        log.lines().filter(is_it).count()
    };
    assert_eq!(rejections("INFO") + rejections("DEBUG"), 3, "{log}");
    assert!(log.contains("required=role org:admin") && log.contains("user_id="), "{log}");
    assert!(!log.lines().any(|line| line.contains("INFO") && line.contains("user_")), "{log}");
    let counted = |outcome: Outcome| {
        let count = |stats: &tower_clerk::stats::Stats| {
            stats.requests.iter().find(|(of, _)| *of == outcome).map_or(0, |(_, count)| *count)
        };
        count(&world.clerk.stats()) - count(&before)
    };
    assert_eq!(counted(Outcome::Hit), 3);
    let total =
        |stats: &tower_clerk::stats::Stats| stats.requests.iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!(total(&world.clerk.stats()) - total(&before), 3);
}

#[tokio::test(start_paused = true)]
async fn g2_the_body_is_the_layers_own() {
    let world = world(V2);
    let layer = world.layer().with_rejection_response(|rejection: &Rejection| {
        Response::builder().status(404).body(format!("no such thing: {}", rejection.code())).unwrap()
    });
    let guard = layer.require(admin()).unwrap();
    let response = ask_guarded(&layer, &guard, basic(ADA)).await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (404, "no such thing: forbidden"));
    assert_eq!(code(&response), "forbidden", "the reason is in the extensions");
}

#[tokio::test(start_paused = true)]
async fn g2_a_handler_can_check_once_more() {
    let world = world(V2);
    let guard = world.layer().require(admin().reverification(Reverification::Strict)).unwrap();
    let session = |response: Response<String>| crate::common::session(&response).clone();
    assert_eq!(guard.check(&session(world.get_for(JANE, "acme").await)), Ok(()));
    let rejected = guard.check(&session(world.get_for(JANE, "globex").await)).unwrap_err();
    assert_eq!((rejected.code(), rejected.reverification()), ("forbidden", None));
}

#[tokio::test(start_paused = true)]
async fn g2_a_guard_stands_on_a_route_of_axum() {
    let world = World::unlimited();
    let layer = world.layer().organization("acme").unwrap();
    let admin = layer.require(admin()).unwrap();
    let app: Router = Router::new()
        .route("/admin", get(async || "settings").layer(admin.clone()))
        .route("/open", get(async || "hello"))
        .nest("/nested", Router::new().route("/admin", get(async || "settings")).route_layer(admin))
        .layer(layer);
    for (path, pair, status) in [
        ("/admin", JANE, 200),
        ("/nested/admin", JANE, 200),
        ("/admin", crate::common::BOB, 403),
        ("/nested/admin", crate::common::BOB, 403),
        ("/open", crate::common::BOB, 200),
    ] {
        let request = Request::get(path).header("authorization", authorization(pair)).body(Body::empty());
        let response = app.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{path} {pair:?}");
    }
}

/// Counts its clones, and panics if it is called without having been polled ready.
#[derive(Debug)]
struct Strict {
    is_ready: bool,
    clones: Arc<AtomicUsize>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::SeqCst);
        Self { is_ready: false, clones: Arc::clone(&self.clones) }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called without having been polled ready");
        ready(Ok(Response::new(String::new())))
    }
}

#[tokio::test(start_paused = true)]
async fn g2_a_guard_keeps_the_contract_of_readiness() {
    let world = world(V2);
    let session = crate::common::session(&world.get_for(JANE, "acme").await).clone();
    let guard = world.layer().require(admin()).unwrap();
    let inner = Strict { is_ready: false, clones: Arc::default() };
    let clones = Arc::clone(&inner.clones);
    let mut service = guard.layer(inner);
    let with_session = || {
        let mut request = Request::new(());
        request.extensions_mut().insert(session.clone());
        request
    };
    for _ in 0..3 {
        assert_eq!(service.ready().await.unwrap().call(with_session()).await.unwrap().status(), 200);
    }
    assert_eq!(clones.load(Ordering::SeqCst), 0, "the service that was polled ready");
    assert_eq!(service.ready().await.unwrap().call(Request::new(())).await.unwrap().status(), 500);
    assert_eq!(clones.load(Ordering::SeqCst), 1, "which a rejection gives back");
    assert_eq!(service.get_ref().clones.load(Ordering::SeqCst), 1);
    service.get_mut().is_ready = true;
    assert!(service.into_inner().is_ready);

    // A rejection whose future is still held returns the only permit.
    let limited = ConcurrencyLimitLayer::new(1);
    let mut service = ServiceBuilder::new().layer(&guard).layer(limited).service(service_fn(me));
    let rejected = service.ready().await.unwrap().call(Request::new(()));
    let passed = service.clone().oneshot(with_session()).await.unwrap();
    assert_eq!((passed.status().as_u16(), rejected.await.unwrap().status().as_u16()), (200, 500));
}

#[test]
fn g2_a_guard_is_built_and_shared_without_a_runtime() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let layer = ClerkBasicAuthLayer::from_publishable_key("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").unwrap();
    let guard: RequireLayer = layer.require(admin()).unwrap();
    shared(&guard);
    shared(&guard.layer(Strict { is_ready: false, clones: Arc::default() }));
    assert!(format!("{guard:?}").contains("org:admin"));
}

#[tokio::test(start_paused = true)]
async fn g2_the_rejection_is_in_the_extensions() {
    let world = world(V2);
    let layer = world.layer();
    let guard = layer.require(admin()).unwrap();
    let response = ask_guarded(&layer, &guard, basic(ADA)).await;
    assert_eq!(rejection(&response).unwrap().kind(), tower_clerk::RejectionKind::Forbidden);
    assert!(response.body().is_empty(), "the default body");
}
