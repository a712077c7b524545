//! Proof renewal, and how it ends a proof (rules K6, K12).

use std::time::Duration;

use http::Response;
use tower_clerk::ClerkBuilder;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder, Fault};

use crate::common::{JANE, World, code, run_ready_tasks, session};

const MINUTE: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(15 * 60);

/// Signs Jane in, and advances to when the renewal of her proof is due and her token is fresh. The next request starts
/// the renewal.
async fn due(
    fake: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder,
    engine: impl FnOnce(ClerkBuilder) -> ClerkBuilder,
) -> (World, Response<String>) {
    let world = World::with(|settings| fake(settings.token_life(TTL)), |it| engine(it.session_ttl(TTL)));
    let response = world.get(JANE).await;
    assert_eq!(response.status(), 200);
    tokio::time::advance(TTL.mul_f64(0.905)).await;
    (world, response)
}

/// Device Trust is turned on after the sign-in. Clerk's answer to the renewal still proves the password.
#[tokio::test(start_paused = true)]
async fn k12_an_answer_that_proves_the_password_renews_the_proof_of_the_open_session() {
    let (world, before) = due(|fake| fake, |engine| engine).await;
    world.fake.reconfigure(|fake| fake.device_trust(true));
    assert_eq!(world.get(JANE).await.status(), 200);
    run_ready_tasks().await;
    assert_eq!(world.fake.count(Endpoint::SignIns), 2, "the proof is renewed");
    tokio::time::advance(TTL.mul_f64(0.3)).await;
    let after = world.get(JANE).await;
    assert_eq!(after.status(), 200, "the first proof would have ended: {}", code(&after));
    assert_eq!(session(&after).session_id(), session(&before).session_id());
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}

#[tokio::test(start_paused = true)]
async fn k12_a_password_that_must_be_reset_ends_the_proof_at_once() {
    let (world, _) = due(|fake| fake, |engine| engine).await;
    world.fake.require_new_password("jane", true);
    assert_eq!(world.get(JANE).await.status(), 200, "this request starts the renewal");
    run_ready_tasks().await;
    assert_eq!(code(&world.get(JANE).await), "account_action_required");
    assert_eq!(world.clerk.stats().sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn k12_a_session_serves_to_the_end_of_its_proof_when_clerk_is_down() {
    let (world, before) = due(|fake| fake, |engine| engine).await;
    world.fake.script_always(Endpoint::SignIns, Fault::Status(503));
    for _ in 0..6 {
        let response = world.get(JANE).await;
        assert_eq!(session(&response).session_id(), session(&before).session_id());
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(world.fake.count(Endpoint::SignIns) > 1, "a renewal was tried");
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(code(&world.get(JANE).await), "upstream_unavailable", "the proof has ended");
}

#[tokio::test(start_paused = true)]
async fn k12_a_session_serves_to_the_end_of_its_proof_without_a_permit() {
    let (world, before) = due(|fake| fake, |engine| engine.sign_in_rate(1, 4 * TTL)).await;
    for _ in 0..6 {
        let response = world.get(JANE).await;
        assert_eq!(session(&response).session_id(), session(&before).session_id());
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(code(&world.get(JANE).await), "upstream_rate_limited", "the proof has ended");
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn k12_no_proof_is_renewed_when_proof_renewal_is_off() {
    for (renews, sign_ins) in [(true, 2), (false, 1)] {
        let (world, _) = due(|fake| fake, |engine| engine.proof_renewal(renews)).await;
        assert_eq!(world.get(JANE).await.status(), 200);
        run_ready_tasks().await;
        assert_eq!(world.fake.count(Endpoint::SignIns), sign_ins, "renews: {renews}");
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(world.get(JANE).await.status(), 200);
        assert_eq!(world.fake.count(Endpoint::SignIns), 2, "renews: {renews}");
    }
}

/// Clerk has never accepted the new password, so the engine cannot tell it from a guess.
#[tokio::test(start_paused = true)]
async fn k6_a_new_password_waits_out_the_back_off_of_its_identifier() {
    let world = World::unlimited();
    for guess in 0..4 {
        assert_eq!(code(&world.get_as(JANE.0, &format!("guess {guess}")).await), "credentials_rejected");
    }
    world.fake.set_password("jane", "a new password");
    let asked = world.fake.count(Endpoint::SignIns);
    assert_eq!(code(&world.get_as(JANE.0, "a new password").await), "throttled");
    assert_eq!(world.fake.count(Endpoint::SignIns), asked, "no call is made");
    tokio::time::advance(10 * MINUTE).await;
    assert_eq!(world.get_as(JANE.0, "a new password").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn k2_a_session_tells_when_the_password_of_its_request_was_proven() {
    let world = World::with(|fake| fake, |engine| engine.session_ttl(Duration::from_secs(600)));
    let age = async || session(&world.get(JANE).await).proven_at().unwrap().elapsed();
    assert!(age().await < Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(age().await.as_secs(), 100, "a hit, or a new token, proves nothing");
    // In the last fifth of its life, the proof is renewed in the background.
    tokio::time::sleep(Duration::from_secs(450)).await;
    age().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(age().await < Duration::from_secs(10));
}
