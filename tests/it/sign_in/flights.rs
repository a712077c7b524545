//! Requests with one credential share one sign-in, even if some of them are cancelled (rules K8, P1).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{
    BOB, CAROL, JANE, World, ask, authorization, basic, code, run_ready_tasks, session, warm_up,
    with_authorization,
};
use bytes::Bytes;
use http::{Request, Response};
use tokio::task::JoinSet;
use tower_clerk::testing::{Endpoint, FakeClerk, Fault};
use tower_clerk::transport::{Transport, TransportFuture};
use tower_clerk::{Clerk, ClerkBasicAuthLayer};

fn spawn(world: &World, count: usize, field: &str) -> JoinSet<Response<String>> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (layer, request) = (world.layer(), with_authorization(field));
        tasks.spawn(async move { ask(&layer, request).await });
    }
    tasks
}

#[tokio::test(start_paused = true)]
async fn k8_a_thousand_identical_cold_requests_make_one_sign_in() {
    let world = World::new();
    let hold = world.fake.hold(Endpoint::SignIns);
    let tasks = spawn(&world, 1_000, &authorization(JANE));
    hold.arrived(1).await;
    run_ready_tasks().await;
    assert_eq!(hold.waiting(), 1, "one sign-in is in flight, and no other has started");
    hold.release();
    for response in tasks.join_all().await {
        assert_eq!(response.status(), 200);
        assert_eq!(response.body(), session(&response).user_id());
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    assert_eq!(world.fake.live_sessions(), 1);
    // The sign-in's own token serves all of them.
    assert_eq!(world.fake.count(Endpoint::Tokens), 0);
}

#[tokio::test]
async fn k8_a_thousand_identical_cold_requests_make_one_sign_in_in_real_time() {
    let fake = FakeClerk::new();
    warm_up(&fake).await;
    let clerk = Clerk::builder(fake.fapi_url()).transport(fake.clone()).build().unwrap();
    let tasks: JoinSet<_> = (0..1_000)
        .map(|_| {
            let layer = ClerkBasicAuthLayer::new(clerk.clone());
            async move { ask(&layer, basic(JANE)).await }
        })
        .collect();
    assert!(tasks.join_all().await.iter().all(|response| response.status() == 200));
    assert_eq!(fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn k8_cancelling_the_first_caller_affects_no_other() {
    let world = World::new();
    let hold = world.fake.hold(Endpoint::SignIns);
    let mut first = spawn(&world, 1, &authorization(JANE));
    hold.arrived(1).await;
    tokio::time::advance(Duration::from_millis(10)).await;
    let others = spawn(&world, 999, &authorization(JANE));
    run_ready_tasks().await;
    first.shutdown().await;
    run_ready_tasks().await;
    assert_eq!(hold.waiting(), 1, "the started sign-in continues");
    hold.release();
    assert!(others.join_all().await.iter().all(|response| response.status() == 200));
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn k8_a_started_sign_in_finishes_for_the_next_caller() {
    let world = World::new();
    let hold = world.fake.hold(Endpoint::SignIns);
    let mut only = spawn(&world, 1, &authorization(JANE));
    hold.arrived(1).await;
    only.shutdown().await;
    run_ready_tasks().await;
    hold.release();
    run_ready_tasks().await;
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    assert_eq!(world.fake.live_sessions(), 1);
}

/// moka's own request coalescing panics after 200 cancelled leaders in a row, and would start a sign-in for each.
#[tokio::test(start_paused = true)]
async fn k8_three_hundred_callers_cancelled_one_after_another_leave_one_sign_in_and_no_flight() {
    let world = World::new();
    let hold = world.fake.hold(Endpoint::SignIns);
    for _ in 0..300 {
        let mut caller = spawn(&world, 1, &authorization(JANE));
        run_ready_tasks().await;
        assert_eq!(hold.waiting(), 1);
        caller.shutdown().await;
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    hold.release();
    run_ready_tasks().await;
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);

    // If a flight had been left behind, this request would join it and never be answered.
    world.fake.revoke_session(world.fake.sessions()[0].id());
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}

#[tokio::test(start_paused = true)]
async fn k8_callers_that_come_and_go_in_any_order_share_one_sign_in() {
    let world = World::new();
    let hold = world.fake.hold(Endpoint::SignIns);
    let mut callers: Vec<_> = (0..100).map(|_| spawn(&world, 1, &authorization(JANE))).collect();
    hold.arrived(1).await;
    // Every second caller is cancelled and replaced by a new one.
    for at in (0..100).step_by(2) {
        callers[at].shutdown().await;
        callers[at] = spawn(&world, 1, &authorization(JANE));
        run_ready_tasks().await;
    }
    hold.release();
    for caller in callers {
        assert!(caller.join_all().await.iter().all(|response| response.status() == 200));
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn p1_a_flight_without_waiters_leaves_the_queue() {
    let world = World::with(|fake| fake, |engine| engine.sign_in_rate(1, Duration::from_secs(10)));
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::advance(Duration::from_secs(1)).await;
    // Bob's request waits for a permit, and is cancelled before it gets one.
    let mut bob = spawn(&world, 1, &authorization(BOB));
    run_ready_tasks().await;
    bob.shutdown().await;
    run_ready_tasks().await;
    // Carol's request would have been next in the queue. It gets the permit, and Bob's sign-in never starts.
    assert_eq!(world.get(CAROL).await.status(), 200);
    let asked: Vec<_> = world.fake.requests_to(Endpoint::SignIns);
    let asked: Vec<_> = asked.iter().filter_map(|request| request.form("identifier")).collect();
    assert_eq!(asked, [JANE.0, CAROL.0]);
    // The next request of Bob's starts a new flight.
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(world.get(BOB).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn p1_a_queued_flight_stays_for_its_joiner_when_its_leader_leaves() {
    let world = World::with(|fake| fake, |engine| engine.sign_in_rate(1, Duration::from_secs(10)));
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut leader = spawn(&world, 1, &authorization(BOB));
    run_ready_tasks().await;
    let joiner = spawn(&world, 1, &authorization(BOB));
    run_ready_tasks().await;
    leader.shutdown().await;
    assert!(joiner.join_all().await.iter().all(|response| response.status() == 200));
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}

#[tokio::test(start_paused = true)]
async fn k8_at_most_one_sign_in_per_identifier_is_in_flight() {
    let world = World::unlimited();
    let hold = world.fake.hold(Endpoint::SignIns);
    let mut tasks = spawn(&world, 1, &authorization(JANE));
    hold.arrived(1).await;
    // Guesses at the same account in different spellings, and a sign-in to another account.
    for (identifier, password) in
        [("jane@example.com", "guess 1"), ("JANE@example.com", "guess 2"), (" jane@example.com", "guess 3")]
    {
        let layer = world.layer();
        tasks.spawn(async move { ask(&layer, basic((identifier, password))).await });
    }
    let bob = spawn(&world, 1, &authorization(BOB));
    hold.arrived(2).await;
    run_ready_tasks().await;
    assert_eq!(hold.waiting(), 2, "Jane's and Bob's, and none of the guesses");
    for _ in 0..5 {
        hold.release_one();
        run_ready_tasks().await;
        let requests = world.fake.requests_to(Endpoint::SignIns);
        let in_flight = requests.iter().filter(|request| {
            request.status().is_none()
                && request.form("identifier").is_some_and(|it| it.to_lowercase().contains("jane"))
        });
        assert!(in_flight.count() <= 1);
    }
    assert!(bob.join_all().await.iter().all(|response| response.status() == 200));
    let statuses: Vec<_> = tasks.join_all().await.iter().map(|response| response.status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn k8_one_token_flight_serves_all_requests_for_one_organization() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    let hold = world.fake.hold(Endpoint::Tokens);
    let mut tasks = JoinSet::new();
    for at in 0..200 {
        let organization = if at % 2 == 0 { "acme" } else { "globex" };
        let layer = world.layer().organization(organization).unwrap();
        tasks.spawn(async move { (organization, ask(&layer, basic(JANE)).await) });
    }
    hold.arrived(2).await;
    run_ready_tasks().await;
    assert_eq!(hold.waiting(), 2, "one mint for each organization");
    hold.release();
    for (organization, response) in tasks.join_all().await {
        assert_eq!(crate::common::organization_of(&response), Some(organization));
    }
    assert_eq!(world.fake.count(Endpoint::Tokens), 2);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn k8_a_fault_answers_all_joiners_and_the_next_request_tries_again() {
    let world = World::new();
    world.fake.script(Endpoint::SignIns, Fault::Status(500));
    let hold = world.fake.hold(Endpoint::SignIns);
    let tasks = spawn(&world, 50, &authorization(JANE));
    hold.arrived(1).await;
    run_ready_tasks().await;
    hold.release();
    assert!(tasks.join_all().await.iter().all(|response| response.status() == 503));
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    assert_eq!(world.get(JANE).await.status(), 200);
}

/// Panics on the first request to `endpoint`.
struct Panics {
    fake: FakeClerk,
    endpoint: &'static str,
    sent: Arc<AtomicUsize>,
}

impl Transport for Panics {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        let first =
            request.uri().path().contains(self.endpoint) && self.sent.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(!first, "scripted panic");
            self.fake.send(request).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn k8_a_panic_in_a_flight_is_503_for_all_joiners_and_leaves_no_flight() {
    for endpoint in ["/sign_ins", "/tokens", "/jwks.json"] {
        let world = World::new();
        let transport = Panics { fake: world.fake.clone(), endpoint, sent: Arc::default() };
        let clerk = Clerk::builder(world.fake.fapi_url())
            .transport(transport)
            .clock(world.clock)
            .sign_in_wait(Duration::ZERO)
            .build()
            .unwrap();
        let layer = ClerkBasicAuthLayer::new(clerk).organization("acme").unwrap();
        let tasks: JoinSet<_> = (0..20)
            .map(|_| {
                let layer = layer.clone();
                async move { ask(&layer, basic(JANE)).await }
            })
            .collect();
        let responses = tasks.join_all().await;
        if endpoint == "/jwks.json" {
            // The sign-in's own token is not needed here, and the mint may fetch the keys itself.
            assert!(responses.iter().all(|response| [200, 503].contains(&response.status().as_u16())));
        } else {
            assert!(responses.iter().all(|response| code(response) == "upstream_unavailable"), "{endpoint}");
            assert!(responses.iter().all(|response| response.headers().contains_key("retry-after")));
        }
        assert_eq!(ask(&layer, basic(JANE)).await.status(), 200, "{endpoint}");
    }
}

#[tokio::test(start_paused = true)]
async fn k8_a_hanging_sign_in_delays_no_other_user() {
    let world = World::new();
    assert_eq!(world.get(CAROL).await.status(), 200);
    world.fake.script(Endpoint::SignIns, Fault::Hang);
    let start = world.clock.now();
    let jane = spawn(&world, 10, &authorization(JANE));
    run_ready_tasks().await;
    assert_eq!(world.get(BOB).await.status(), 200);
    assert_eq!(world.get(CAROL).await.status(), 200);
    assert_eq!(world.clock.now(), start, "no other request has waited");
    assert!(jane.join_all().await.iter().all(|response| code(response) == "upstream_unavailable"));
    assert_eq!(world.clock.now() - start, Duration::from_secs(5));
}
