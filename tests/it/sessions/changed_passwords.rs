//! Passwords that change during sign-ins, and calls that meet expired proofs (rule K9).

use std::time::Duration;

use tower_clerk::Credentials;
use tower_clerk::testing::Endpoint;

use crate::common::{BOB, JANE, World, ask, basic, code, enroll, run_ready_tasks, session};

const MINUTE: Duration = Duration::from_secs(60);

fn expire(world: &World, user: &str) {
    world.clerk.expire_proofs(user, world.clock.wall());
}

/// The password is compared by the sign-in; the session is found by a look-up that leaves later.
#[tokio::test(start_paused = true)]
async fn k9_an_adopted_session_proves_the_password_of_before_its_look_up() {
    let world = World::with(|fake| fake.device_trust(true), |engine| engine.unlimited_sign_ins());
    enroll(&world, JANE).await;
    let jane = session(&world.get(JANE).await).user_id().to_owned();
    tokio::time::sleep(MINUTE).await;
    expire(&world, &jane);
    tokio::time::sleep(MINUTE).await;
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let layer = world.layer();
    let late = tokio::spawn(async move { ask(&layer, basic(JANE)).await });
    hold.arrived(1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.fake.set_password("jane", "a new password of jane");
    expire(&world, &jane);
    hold.release();
    assert_eq!(code(&late.await.unwrap()), "credentials_rejected");
}

#[tokio::test(start_paused = true)]
async fn k9_a_sign_out_ends_the_session_of_an_expired_proof_too() {
    let world = World::unlimited();
    let jane = session(&world.get(JANE).await).user_id().to_owned();
    tokio::time::sleep(MINUTE).await;
    expire(&world, &jane);
    world.clerk.sign_out(&Credentials::new(JANE.0, JANE.1).unwrap()).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.fake.live_sessions_of("jane"), 0);
}

/// Webhooks tell of any change of a user, mostly with a date of long ago.
#[tokio::test(start_paused = true)]
async fn k9_expired_proofs_of_other_users_supersede_no_sign_in() {
    let world = World::unlimited();
    world.get(BOB).await;
    let long_ago = world.clock.wall() - Duration::from_secs(24 * 3600);
    for before in [long_ago, world.clock.wall()] {
        let hold = world.fake.hold_answer(Endpoint::SignIns);
        let layer = world.layer();
        let late = tokio::spawn(async move { ask(&layer, basic(JANE)).await });
        hold.arrived(1).await;
        let sign_ins = world.fake.count(Endpoint::SignIns);
        (0..1_100).for_each(|_| world.clerk.expire_proofs("user_somebody", before));
        hold.release();
        let jane = session(&late.await.unwrap()).user_id().to_owned();
        assert_eq!(world.fake.count(Endpoint::SignIns), sign_ins);
        world.clerk.revoke_user(&jane);
        tokio::time::sleep(MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn k9_proofs_that_expire_during_a_sign_in_end_no_stored_session() {
    let world = World::backend();
    let first = world.get(JANE).await;
    let (jane, id) = (session(&first).user_id().to_owned(), session(&first).session_id().to_owned());
    // The proof is over, and the session is stored.
    tokio::time::sleep(180 * MINUTE).await;
    let hold = world.fake.hold_answer(Endpoint::VerifyPassword);
    let layer = world.layer();
    let late = tokio::spawn(async move { ask(&layer, basic(JANE)).await });
    hold.arrived(1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    expire(&world, &jane);
    hold.release();
    let late = late.await.unwrap();
    run_ready_tasks().await;
    tokio::time::sleep(MINUTE).await;
    let calls = (world.fake.count(Endpoint::SignIns), world.fake.count(Endpoint::RevokeSession));
    assert_eq!((session(&late).session_id(), calls), (&*id, (1, 0)));
}
