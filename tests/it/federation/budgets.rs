//! The cost of assertions, and the damage of a flood of them (rule X1).

use std::time::Duration;

use tower_clerk::federation::{Assertion, Provider, WorkloadRule};
use tower_clerk::stats::CircuitState;
use tower_clerk::testing::{Endpoint, FakeIssuer, FakeUser, Fault};
use tower_clerk::{Access, RejectionKind};

use super::{API, Federated, MINUTE, NOBODY, NONCE, Outcome, PORTAL, SECOND};
use crate::common::{World, run_ready_tasks};

const SUB: &str = "repo:acme/app:ref:refs/heads/main";

/// Ten workloads, each of a user of its own, on an engine with Clerk's limits.
fn ten_workloads(issuer: &FakeIssuer) -> World {
    let provider = (0..10).fold(Provider::oidc(issuer.issuer()).audience(API), |provider, number| {
        provider
            .rule(WorkloadRule::new(format!("repo:acme/app-{number}:ref:main"), format!("user_bot{number}")))
    });
    let provider = provider.transport(issuer.clone());
    let world = World::backend_with(|fake| fake, |engine| engine.provider(provider));
    for number in 0..10 {
        world.fake.add_user(FakeUser::new(format!("bot-{number}")).id(format!("user_bot{number}")));
    }
    _ = issuer.clone().clock(world.fake.clock());
    world
}

#[tokio::test(start_paused = true)]
async fn x1_a_thousand_requests_a_minute_on_ten_users_are_ten_sign_ins() {
    let issuer = FakeIssuer::new("https://ci.example");
    let world = ten_workloads(&issuer);
    let mut jobs: Vec<Assertion> = Vec::new();
    for request in 0..3_000_usize {
        // Each job has a new assertion every five minutes.
        if request % 5_000 == 0 {
            jobs = (0..10)
                .map(|number| {
                    let job = issuer.assertion(format!("repo:acme/app-{number}:ref:main"), API);
                    Assertion::new(job.life(10 * MINUTE).sign())
                })
                .collect();
        }
        let session = world.clerk.exchange(&jobs[request % 10], &Access::new()).await.unwrap();
        assert_eq!(session.user_id(), format!("user_bot{}", request % 10));
        tokio::time::advance(Duration::from_millis(60)).await;
    }
    let count = |endpoint| world.fake.count(endpoint);
    assert_eq!((count(Endpoint::SignIns), count(Endpoint::SignInTokens)), (10, 10));
    assert_eq!(count(Endpoint::User), 10, "and one look-up of each user");
}

#[tokio::test(start_paused = true)]
async fn x1_new_assertions_of_the_same_ten_users_cost_no_sign_in() {
    let issuer = FakeIssuer::new("https://ci.example");
    let world = ten_workloads(&issuer);
    // 17 requests in a second, each with an assertion of its own.
    for request in 0..1_000_usize {
        let job = issuer.assertion(format!("repo:acme/app-{}:ref:main", request % 10), API).sign();
        world.clerk.exchange(&Assertion::new(job), &Access::new()).await.unwrap();
        tokio::time::advance(Duration::from_millis(60)).await;
    }
    assert_eq!((world.fake.count(Endpoint::SignIns), world.fake.live_sessions()), (10, 10));
}

#[tokio::test(start_paused = true)]
async fn x1_requests_with_one_assertion_share_a_look_up_and_a_sign_in() {
    let setup = Federated::new();
    let (clerk, job) = (setup.clerk().clone(), setup.job());
    let hold = setup.world.fake.hold(Endpoint::User);
    let exchanges: Vec<_> = (0..100)
        .map(|_| {
            let (clerk, job) = (clerk.clone(), job.clone());
            tokio::spawn(async move { clerk.exchange(&job, &Access::new()).await.is_ok() })
        })
        .collect();
    run_ready_tasks().await;
    hold.release();
    for exchange in exchanges {
        assert!(exchange.await.unwrap());
    }
    assert_eq!((setup.look_ups(), setup.tickets()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn x1_a_subject_without_a_user_is_remembered() {
    let setup = Federated::new();
    let stranger =
        || Assertion::new(setup.login.assertion("eve", PORTAL).claim("nonce", NONCE).sign()).nonce(NONCE);
    for _ in 0..20 {
        assert_eq!(setup.outcome(&stranger()).await, NOBODY);
    }
    assert_eq!(setup.look_ups(), 1, "whatever the assertion");
    tokio::time::advance(10 * SECOND).await;
    // The link was made meanwhile. No event tells it, so a refusal is never remembered for longer.
    let account = tower_clerk::testing::FakeExternalAccount::new("oauth_custom_acme", "eve");
    setup.world.fake.add_user(FakeUser::new("eve").id("user_eve").external_account(account));
    assert_eq!(setup.outcome(&stranger()).await, Outcome::of("user_eve"));
}

/// Anyone with an account at a public provider has valid assertions for our client id, as many as they like.
#[tokio::test(start_paused = true)]
async fn x1_a_flood_of_strangers_has_five_look_ups_a_second_and_delays_nobody_who_is_known() {
    let setup = Federated::new();
    assert_eq!(setup.outcome(&setup.ada()).await, Outcome::of("user_ada"));
    let before = setup.look_ups();
    let flood: Vec<_> = (0..300)
        .map(|number| {
            let stranger = setup.login.assertion(format!("stranger-{number}"), PORTAL).claim("nonce", NONCE);
            let (clerk, stranger) = (setup.clerk().clone(), Assertion::new(stranger.sign()).nonce(NONCE));
            tokio::spawn(async move { clerk.exchange(&stranger, &Access::new()).await.unwrap_err().kind() })
        })
        .collect();
    run_ready_tasks().await;
    assert!(setup.look_ups() - before <= 5);
    let start = setup.world.clock.now();
    assert_eq!(setup.outcome(&setup.ada()).await, Outcome::of("user_ada"));
    assert!(setup.world.clock.now() - start < SECOND, "{:?}", setup.world.clock.now() - start);
    let mut refused = 0;
    for stranger in flood {
        let kind = stranger.await.unwrap();
        refused += usize::from(kind == RejectionKind::CredentialsRejected);
        assert!(matches!(kind, RejectionKind::CredentialsRejected | RejectionKind::UpstreamRateLimited));
    }
    let took = (setup.world.clock.now() - start).as_secs() as usize;
    assert!(refused <= 5 * (took + 2), "{refused} in {took} s");
}

#[tokio::test(start_paused = true)]
async fn o2_the_open_circuit_of_assertions_is_told() {
    let setup = Federated::new();
    let circuits = || {
        let stats = setup.clerk().stats();
        (stats.assertion_circuit, stats.sign_in_circuit)
    };
    setup.world.fake.script_always(Endpoint::Users, Fault::Status(503));
    for number in 0..5 {
        assert_eq!(circuits(), (CircuitState::Closed, CircuitState::Closed), "after {number}");
        let person = setup.login.assertion(format!("person-{number}"), PORTAL).claim("nonce", NONCE).sign();
        _ = setup.outcome(&Assertion::new(person).nonce(NONCE)).await;
        tokio::time::advance(SECOND).await;
    }
    assert_eq!(circuits(), (CircuitState::Open, CircuitState::Closed));
}

/// A partner's provider may issue any number of assertions about a subject who is linked.
#[tokio::test(start_paused = true)]
async fn x1_a_flood_of_assertions_about_a_known_subject_has_a_quarter_of_the_budget() {
    let setup = Federated::new();
    assert_eq!(setup.outcome(&setup.ada()).await, Outcome::of("user_ada"));
    let before = setup.look_ups();
    let start = setup.world.clock.now();
    let flood: Vec<_> = (0..400)
        .map(|_| {
            let (clerk, ada) = (setup.clerk().clone(), setup.ada());
            tokio::spawn(async move { clerk.exchange(&ada, &Access::new()).await.is_ok() })
        })
        .collect();
    let mut accepted = 0;
    for exchange in flood {
        accepted += usize::from(exchange.await.unwrap());
    }
    let took = (setup.world.clock.now() - start).as_secs_f64();
    let asked = setup.look_ups() - before;
    assert!(accepted > 0 && asked as f64 <= 20.0 * (took + 1.0), "{asked} look-ups in {took} s");
    assert_eq!(setup.tickets(), 1);
}

#[tokio::test(start_paused = true)]
async fn x1_garbage_costs_no_call_to_clerk() {
    let setup = Federated::new();
    assert_eq!(setup.outcome(&setup.job()).await, Outcome::of("user_bot"));
    let calls = setup.world.fake.requests().len();
    let good = setup.ci.assertion(SUB, API).sign();
    let (content, signature) = good.rsplit_once('.').unwrap();
    for number in 0..1_000 {
        let jwt = format!("{content}.{number:06}{}", &signature[6..]);
        assert!(setup.exchange(&Assertion::new(jwt)).await.is_err());
    }
    assert_eq!(setup.world.fake.requests().len(), calls);
    assert_eq!(setup.clerk().stats().sessions, 1);
}
