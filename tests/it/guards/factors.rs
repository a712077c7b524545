//! How recently which factor was verified, and the password proven.

use std::time::Duration;

use tokio::time::advance;
use tower_clerk::guard::{RequireLayer, Reverification, ReverificationLevel, SecondFactor};
use tower_clerk::testing::TokenVersion::{V1, V2};
use tower_clerk::{ClerkSession, Requirement};

use super::{ADA, MINUTE, SECOND, ask_guarded, status, world};
use crate::common::{JANE, Pair, World, basic, in_time, rejection, run_ready_tasks, session};

const HOUR: Duration = Duration::from_secs(3600);

const PRESETS: [(Reverification, Duration); 4] = [
    (Reverification::StrictMfa, Duration::from_secs(600)),
    (Reverification::Strict, Duration::from_secs(600)),
    (Reverification::Moderate, HOUR),
    (Reverification::Lax, Duration::from_secs(24 * 3600)),
];

fn guard(world: &World, requirement: Requirement) -> RequireLayer {
    world.layer().require(requirement).unwrap()
}

fn reverification(world: &World, reverification: Reverification) -> RequireLayer {
    guard(world, Requirement::new().reverification(reverification))
}

fn second_factor(world: &World, within: Duration) -> RequireLayer {
    guard(world, Requirement::new().second_factor(SecondFactor::Required { within }))
}

/// Returns a session with a token that is issued now.
async fn fresh_session(world: &World, pair: Pair) -> ClerkSession {
    world.clerk.revoke_all();
    run_ready_tasks().await;
    session(&world.get(pair).await).clone()
}

/// Returns the session of a user with a token that is issued now, without a new sign-in: for another organization.
async fn reissued(world: &World, organization: &str) -> ClerkSession {
    session(&world.get_for(JANE, organization).await).clone()
}

#[tokio::test(start_paused = true)]
async fn g3_each_preset_ends_to_the_second_with_the_age_of_the_token() {
    for version in [V1, V2] {
        let world = world(version);
        for (preset, within) in PRESETS {
            let session = fresh_session(&world, JANE).await;
            assert_eq!(session.claims().factor_verification_age(), Some((0, -1)));
            let guard = reverification(&world, preset);
            advance(within - SECOND).await;
            assert_eq!(guard.check(&session), Ok(()), "{version:?} {preset:?}");
            advance(SECOND).await;
            let rejected = guard.check(&session).unwrap_err();
            assert_eq!(rejected.code(), "forbidden");
            assert_eq!(rejected.reverification(), Some(preset), "{version:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g3_minutes_of_the_claim_and_seconds_of_the_token_add_up() {
    let world = world(V2);
    fresh_session(&world, JANE).await;
    // Issued in the ninth minute, which the claim counts as 8 whole ones: good for 120 s less one more second.
    advance(8 * MINUTE + 30 * SECOND).await;
    let session = reissued(&world, "acme").await;
    assert_eq!(session.claims().factor_verification_age(), Some((8, -1)));
    let strict = reverification(&world, Reverification::Strict);
    advance(2 * MINUTE - SECOND).await;
    assert_eq!(strict.check(&session), Ok(()));
    advance(SECOND).await;
    assert!(strict.check(&session).is_err());
    // A token of this minute tells what the old one could not.
    let session = reissued(&world, "globex").await;
    assert_eq!(session.claims().factor_verification_age(), Some((10, -1)));
    assert!(strict.check(&session).is_err());
}

#[tokio::test(start_paused = true)]
async fn g3_second_and_multi_factor_ask_for_the_second_where_there_is_one() {
    let world = world(V2);
    fresh_session(&world, JANE).await;
    world.fake.verify_second_factor(JANE.0);
    advance(10 * MINUTE).await;
    let stale = reissued(&world, "acme").await;
    assert_eq!(stale.claims().factor_verification_age(), Some((10, 10)));
    world.fake.verify_first_factor(JANE.0);
    let first = reissued(&world, "globex").await;
    assert_eq!(first.claims().factor_verification_age(), Some((0, 10)));
    for (preset, within) in PRESETS {
        let expected = within > 10 * MINUTE;
        assert_eq!(reverification(&world, preset).check(&stale).is_ok(), expected, "{preset:?}");
        assert_eq!(reverification(&world, preset).check(&first).is_ok(), expected, "{preset:?}");
    }
    let level = ReverificationLevel::FirstFactor;
    let of_first = reverification(&world, Reverification::Custom { level, within: MINUTE });
    assert!(of_first.check(&first).is_ok() && of_first.check(&stale).is_err());
    advance(10 * MINUTE).await;
    world.fake.verify_second_factor(JANE.0);
    let second = session(&world.get(JANE).await).clone();
    assert_eq!(second.claims().factor_verification_age(), Some((0, -1)), "the held token is from before");
    world.clerk.revoke_organization(stale.organization().unwrap().id());
    let second = reissued(&world, "acme").await;
    assert_eq!(second.claims().factor_verification_age(), Some((10, 0)));
    assert!(reverification(&world, Reverification::Strict).check(&second).is_ok());
    assert!(
        reverification(&world, Reverification::StrictMfa).check(&second).is_err(),
        "the first is too old"
    );
}

#[tokio::test(start_paused = true)]
async fn g3_a_required_second_factor_never_downgrades() {
    let world = world(V2);
    let single = fresh_session(&world, JANE).await;
    assert!(reverification(&world, Reverification::StrictMfa).check(&single).is_ok(), "Clerk's downgrade");
    let rejected = second_factor(&world, HOUR).check(&single).unwrap_err();
    assert_eq!(rejected.detail(), Some("a second factor is required"));
    assert_eq!(rejected.reverification(), None);
    advance(MINUTE).await;
    world.fake.verify_second_factor(JANE.0);
    let double = reissued(&world, "acme").await;
    let guard = second_factor(&world, 10 * MINUTE);
    advance(10 * MINUTE - SECOND).await;
    assert_eq!(guard.check(&double), Ok(()));
    advance(SECOND).await;
    let level = ReverificationLevel::SecondFactor;
    let again = Reverification::Custom { level, within: 10 * MINUTE };
    assert_eq!(guard.check(&double).unwrap_err().reverification(), Some(again));
}

#[tokio::test(start_paused = true)]
async fn g3_a_token_without_the_claim_meets_no_reverification() {
    let world = world(V2);
    world.fake.add_template("plain", HOUR, serde_json::Map::new());
    let layer = world.layer().template("plain").unwrap();
    for (preset, _) in PRESETS {
        let guard = layer.require(Requirement::new().reverification(preset)).unwrap();
        let response = ask_guarded(&layer, &guard, basic(JANE)).await;
        assert_eq!(response.status(), 403, "{preset:?}");
        assert_eq!(rejection(&response).unwrap().reverification(), None, "it would be of no use");
    }
    let guard = layer.require(Requirement::new().fresh_proof(HOUR)).unwrap();
    assert_eq!(ask_guarded(&layer, &guard, basic(JANE)).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn g3_clerks_clock_counts_and_not_the_machines() {
    // Behind by ten minutes: by its own clock, the token would be from the future.
    let fake = |fake: tower_clerk::testing::FakeClerkBuilder| fake.clock_skew(600);
    let world = World::with(fake, |engine| engine.unlimited_sign_ins());
    let session = session(&world.get(JANE).await).clone();
    let strict = reverification(&world, Reverification::Strict);
    advance(10 * MINUTE - SECOND).await;
    assert_eq!(strict.check(&session), Ok(()));
    advance(SECOND).await;
    assert!(strict.check(&session).is_err());
}

#[tokio::test(start_paused = true)]
async fn g3_a_fresh_proof_counts_from_the_password_and_not_from_the_session() {
    for world in [world(V2), World::backend()] {
        let within = 5 * MINUTE;
        let proof = || Requirement::new().fresh_proof(within);
        assert_eq!(status(&world, JANE, None, proof()).await, 200);
        advance(within - SECOND).await;
        assert_eq!(status(&world, JANE, None, proof()).await, 200);
        advance(SECOND).await;
        assert_eq!(status(&world, JANE, None, proof()).await, 403);
        // The engine proves the password again, on the same Clerk session with the Backend API.
        let user = session(&world.get(JANE).await).user_id().to_owned();
        world.clerk.expire_proofs(&user, world.clock.wall() + MINUTE);
        assert_eq!(in_time(status(&world, JANE, None, proof())).await, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn g3_the_first_factor_of_a_backend_session_is_as_old_as_the_session() {
    let world = World::backend();
    let moderate = || Requirement::new().reverification(Reverification::Moderate);
    assert_eq!(status(&world, JANE, None, moderate()).await, 200);
    advance(2 * HOUR).await;
    assert_eq!(in_time(status(&world, JANE, None, moderate())).await, 403);
    assert_eq!(status(&world, JANE, None, Requirement::new().fresh_proof(MINUTE)).await, 200);
    assert_eq!(status(&world, ADA, None, moderate()).await, 401, "no user of this instance");
}
