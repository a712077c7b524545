//! `Clerk::expire_proofs`: passwords are verified again while their sessions stay open (rule K9).

use std::time::{Duration, SystemTime};

use tower_clerk::testing::Endpoint;

use crate::common::{BOB, JANE, Pair, World, ask, basic, code, enroll, run_ready_tasks, session};

const JANE_BY_NAME: Pair = ("jane", JANE.1);
const MINUTE: Duration = Duration::from_secs(60);

fn sign_ins(world: &World) -> usize {
    world.fake.count(Endpoint::SignIns)
}

async fn user_of(world: &World, pair: Pair) -> String {
    session(&world.get(pair).await).user_id().to_owned()
}

fn expire(world: &World, user: &str) {
    world.clerk.expire_proofs(user, world.clock.wall());
}

#[tokio::test(start_paused = true)]
async fn k9_expiring_a_proof_rejects_the_old_password_and_ends_no_session() {
    let world = World::unlimited();
    let jane = user_of(&world, JANE).await;
    world.get(BOB).await;
    world.fake.set_password("jane", "a new password of jane");
    tokio::time::sleep(MINUTE).await;
    expire(&world, &jane);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.fake.live_sessions(), 2, "expiring a proof ends no session");
    assert_eq!(world.get(BOB).await.status(), 200);
    assert_eq!(sign_ins(&world), 2, "no other user's password is verified again");
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
    assert_eq!(sign_ins(&world), 3);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.fake.live_sessions_of("jane"), 0, "the session of a refused credential is ended");
    assert_eq!(world.get_as("jane", "a new password of jane").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn k9_a_password_that_is_still_right_is_verified_once_more() {
    for world in [World::unlimited(), World::backend()] {
        let jane = user_of(&world, JANE).await;
        let asked = |world: &World| sign_ins(world) + world.fake.count(Endpoint::VerifyPassword);
        let once = asked(&world);
        tokio::time::sleep(MINUTE).await;
        expire(&world, &jane);
        for _ in 0..3 {
            assert_eq!(world.get(JANE).await.status(), 200);
        }
        assert_eq!(world.fake.live_sessions_of("jane"), 1);
        assert!(asked(&world) > once);
        let twice = asked(&world);
        tokio::time::sleep(MINUTE).await;
        assert_eq!((world.get(JANE).await.status().as_u16(), asked(&world)), (200, twice));
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_proof_from_after_the_change_stays_valid() {
    let world = World::unlimited();
    let jane = user_of(&world, JANE).await;
    tokio::time::sleep(MINUTE).await;
    let changed_at = world.clock.wall();
    tokio::time::sleep(MINUTE).await;
    world.get(JANE_BY_NAME).await;
    world.clerk.expire_proofs(&jane, changed_at);
    world.get(JANE_BY_NAME).await;
    assert_eq!(sign_ins(&world), 2);
    world.get(JANE).await;
    assert_eq!(sign_ins(&world), 3, "the older proof has expired");
    // No proof is older than the epoch, and every proof is older than a time in the future.
    world.clerk.expire_proofs(&jane, SystemTime::UNIX_EPOCH);
    world.get(JANE).await;
    assert_eq!(sign_ins(&world), 3);
    tokio::time::sleep(MINUTE).await;
    world.clerk.expire_proofs(&jane, SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40));
    world.get(JANE).await;
    world.get(JANE).await;
    assert_eq!(sign_ins(&world), 4);
}

/// Clerk accepts the old password before the change, and its answer arrives after `expire_proofs`.
#[tokio::test(start_paused = true)]
async fn k9_a_sign_in_from_before_the_change_is_repeated() {
    let world = World::unlimited();
    let jane = user_of(&world, JANE).await;
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let layer = world.layer();
    let late = tokio::spawn(async move { ask(&layer, basic(JANE_BY_NAME)).await });
    hold.arrived(1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    expire(&world, &jane);
    world.fake.set_password("jane", "a new password of jane");
    hold.release();
    assert_eq!(code(&late.await.unwrap()), "credentials_rejected");
}

#[tokio::test(start_paused = true)]
async fn k9_a_renewal_from_before_the_change_renews_no_proof() {
    let ttl = Duration::from_secs(15 * 60);
    let world = World::with(|fake| fake, |engine| engine.session_ttl(ttl).unlimited_sign_ins());
    let jane = user_of(&world, JANE).await;
    tokio::time::sleep(ttl.mul_f64(0.92)).await;
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    assert_eq!(world.get(JANE).await.status(), 200, "this request starts the renewal");
    hold.arrived(1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    expire(&world, &jane);
    world.fake.set_password("jane", "a new password of jane");
    hold.release();
    run_ready_tasks().await;
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
}

/// With Device Trust only the known device may sign in, and its open session continues to serve.
#[tokio::test(start_paused = true)]
async fn k9_a_session_is_adopted_again_when_a_new_one_needs_a_known_device() {
    let world = World::with(|fake| fake.device_trust(true), |engine| engine.unlimited_sign_ins());
    enroll(&world, JANE).await;
    let first = world.get(JANE).await;
    let (jane, id) = (session(&first).user_id().to_owned(), session(&first).session_id().to_owned());
    tokio::time::sleep(MINUTE).await;
    expire(&world, &jane);
    let again = world.get(JANE).await;
    assert_eq!((again.status().as_u16(), session(&again).session_id()), (200, &*id));
}
