//! Passwords that have to be proven again, though no session is over (rule K9).

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
async fn k9_an_expired_proof_lets_nobody_in_and_ends_no_session() {
    let world = World::unlimited();
    let jane = user_of(&world, JANE).await;
    world.get(BOB).await;
    world.fake.set_password("jane", "a new password of jane");
    tokio::time::sleep(MINUTE).await;
    expire(&world, &jane);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.fake.live_sessions(), 2, "nothing is ended by it");
    assert_eq!(world.get(BOB).await.status(), 200);
    assert_eq!(sign_ins(&world), 2, "other users are not asked");
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
    assert_eq!(sign_ins(&world), 3);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(
        world.fake.live_sessions_of("jane"),
        0,
        "the session of a credential that is refused is ended"
    );
    assert_eq!(world.get_as("jane", "a new password of jane").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn k9_a_password_that_is_right_still_is_proven_again_once() {
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
async fn k9_a_proof_of_after_the_change_stands() {
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
    assert_eq!(sign_ins(&world), 3, "the older one is asked about");
    // A time that nothing can be older than, and one that is yet to come.
    world.clerk.expire_proofs(&jane, SystemTime::UNIX_EPOCH);
    world.get(JANE).await;
    assert_eq!(sign_ins(&world), 3);
    tokio::time::sleep(MINUTE).await;
    world.clerk.expire_proofs(&jane, SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40));
    world.get(JANE).await;
    world.get(JANE).await;
    assert_eq!(sign_ins(&world), 4);
}

/// The password was shown before the change, and accepted after it was told here.
#[tokio::test(start_paused = true)]
async fn k9_a_sign_in_from_before_the_change_is_asked_again() {
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
async fn k9_a_renewal_from_before_the_change_makes_no_proof_of_it() {
    let ttl = Duration::from_secs(15 * 60);
    let world = World::with(|fake| fake, |engine| engine.session_ttl(ttl).unlimited_sign_ins());
    let jane = user_of(&world, JANE).await;
    tokio::time::sleep(ttl.mul_f64(0.92)).await;
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    assert_eq!(world.get(JANE).await.status(), 200, "and the renewal departs");
    hold.arrived(1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    expire(&world, &jane);
    world.fake.set_password("jane", "a new password of jane");
    hold.release();
    run_ready_tasks().await;
    assert_eq!(code(&world.get(JANE).await), "credentials_rejected");
}

/// Clerk's Device Trust lets nobody in but from the known device, and the session on that one serves on.
#[tokio::test(start_paused = true)]
async fn k9_a_session_is_adopted_again_where_a_new_one_would_take_a_trusted_device() {
    let world = World::with(|fake| fake.device_trust(true), |engine| engine.unlimited_sign_ins());
    enroll(&world, JANE).await;
    let first = world.get(JANE).await;
    let (jane, id) = (session(&first).user_id().to_owned(), session(&first).session_id().to_owned());
    tokio::time::sleep(MINUTE).await;
    expire(&world, &jane);
    let again = world.get(JANE).await;
    assert_eq!((again.status().as_u16(), session(&again).session_id()), (200, &*id));
}
