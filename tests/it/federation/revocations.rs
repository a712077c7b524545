//! Revocations reach the sessions of assertions (rule X4).

use tower_clerk::testing::Endpoint;
use tower_clerk::{Access, RejectionKind};

use super::{Federated, NOBODY, Outcome, SECOND};
use crate::common::run_ready_tasks;

#[tokio::test(start_paused = true)]
async fn x4_a_revoked_user_is_looked_up_again() {
    let setup = Federated::new();
    let job = setup.job();
    assert_eq!(setup.outcome(&job).await, Outcome::of("user_bot"));
    setup.clerk().revoke_user("user_bot");
    assert_eq!(setup.clerk().stats().sessions, 0);
    assert_eq!((setup.outcome(&job).await, setup.look_ups()), (Outcome::of("user_bot"), 2));
    assert_eq!(setup.tickets(), 2, "with a new session");
    setup.world.fake.ban("user_bot");
    setup.clerk().revoke_user("user_bot");
    assert_eq!(setup.outcome(&job).await, NOBODY);
}

#[tokio::test(start_paused = true)]
async fn x4_a_revoked_session_serves_no_assertion_any_longer() {
    let setup = Federated::new();
    let job = setup.job();
    let session = setup.exchange(&job).await.unwrap();
    setup.clerk().revoke_session(session.session_id());
    let next = setup.exchange(&job).await.unwrap();
    assert_ne!(next.session_id(), session.session_id());
    setup.clerk().revoke_all();
    assert_eq!(setup.clerk().stats().sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn x4_a_session_that_ended_at_clerk_is_replaced() {
    let setup = Federated::new();
    let job = setup.job();
    let session = setup.exchange(&job).await.unwrap();
    setup.world.fake.revoke_session(session.session_id());
    tokio::time::advance(60 * SECOND).await;
    let next = setup.exchange(&job).await.unwrap();
    assert_ne!(next.session_id(), session.session_id());
}

#[tokio::test(start_paused = true)]
async fn x4_a_revocation_during_an_exchange_voids_its_result() {
    let setup = Federated::new();
    let hold = setup.world.fake.hold(Endpoint::SignIns);
    let exchange = tokio::spawn({
        let (clerk, job) = (setup.clerk().clone(), setup.job());
        async move { clerk.exchange(&job, &Access::new()).await.map(|session| session.session_id().to_owned()) }
    });
    run_ready_tasks().await;
    setup.world.fake.ban("user_bot");
    setup.clerk().revoke_user("user_bot");
    hold.release();
    let outcome = exchange.await.unwrap();
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(setup.clerk().stats().sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn x4_no_assertion_is_exchanged_after_a_shutdown() {
    let setup = Federated::new();
    let job = setup.job();
    assert_eq!(setup.outcome(&job).await, Outcome::of("user_bot"));
    assert_eq!(setup.clerk().shutdown(10 * SECOND).await, 0);
    for assertion in [&job, &setup.job(), &setup.ada()] {
        let rejection = setup.exchange(assertion).await.unwrap_err();
        assert_eq!(rejection.kind(), RejectionKind::UpstreamUnavailable);
    }
}
