//! Revocations take effect at once, even for sign-ins and mints in flight (rule K9).

use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, Pair, World, ask, basic, code, run_ready_tasks, session};
use http::Response;
use tokio::task::JoinHandle;
use tower_clerk::testing::Endpoint;

const MINUTE: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(15 * 60);

fn world() -> World {
    World::with(|fake| fake, |engine| engine.session_ttl(TTL))
}

fn spawn(world: &World, pair: Pair) -> JoinHandle<Response<String>> {
    let layer = world.layer();
    tokio::spawn(async move { ask(&layer, basic(pair)).await })
}

fn spawn_for(world: &World, pair: Pair, organization: &str) -> JoinHandle<Response<String>> {
    let layer = world.layer().organization(organization).unwrap();
    tokio::spawn(async move { ask(&layer, basic(pair)).await })
}

fn id(response: &Response<String>) -> String {
    session(response).session_id().to_owned()
}

/// Gives background tasks time to end sessions at Clerk.
async fn finish_background() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Returns whether a session is live at Clerk.
fn is_live(world: &World, id: &str) -> bool {
    world.fake.sessions().iter().find(|session| session.id() == id).is_some_and(|it| it.is_live())
}

#[tokio::test(start_paused = true)]
async fn k9_a_user_revoked_during_a_sign_in_gets_a_newer_session() {
    let world = world();
    let jane = session(&world.get(JANE).await).user_id().to_owned();
    world.clerk.revoke_user(&jane);
    run_ready_tasks().await;
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let waiting: Vec<_> = (0..20).map(|_| spawn(&world, JANE)).collect();
    hold.arrived(1).await;
    // Clerk has opened the session, and its answer is held.
    let old = world.fake.sessions().last().unwrap().id().to_owned();
    world.clerk.revoke_user(&jane);
    hold.release();
    for response in waiting {
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_ne!(id(&response), old, "the revoked session serves no request");
    }
    finish_background().await;
    assert!(!is_live(&world, &old), "the revoked session is ended at Clerk");
    assert_eq!(world.fake.live_sessions(), 1);
    assert_eq!(world.fake.count(Endpoint::SignIns), 3, "one sign-in for all waiters");
}

#[tokio::test(start_paused = true)]
async fn k9_revoking_a_user_verifies_only_that_users_password_again() {
    let world = world();
    let jane = world.get(JANE).await;
    world.get(BOB).await;
    world.clerk.revoke_user(session(&jane).user_id());
    finish_background().await;
    assert!(!is_live(&world, session(&jane).session_id()));
    world.fake.set_password("jane", "a new password");
    assert_eq!(world.get(JANE).await.status(), 401, "the password of a revoked user is verified again");
    assert_eq!(world.get(BOB).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 3);
}

/// Two credentials of one user, with two of the user's identifiers.
#[tokio::test(start_paused = true)]
async fn k9_revoking_a_user_ends_all_of_the_users_sessions() {
    let world = world();
    let one = world.get(JANE).await;
    let other = world.get(("jane", JANE.1)).await;
    assert_ne!(id(&one), id(&other));
    world.clerk.revoke_user(session(&one).user_id());
    finish_background().await;
    assert_eq!(world.fake.live_sessions(), 0);
    assert_eq!(world.clerk.stats().sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn k6_a_changed_password_works_at_once_and_the_old_one_until_the_proofs_end_or_a_revocation() {
    for revoke in [false, true] {
        let world = world();
        let jane = session(&world.get(JANE).await).user_id().to_owned();
        world.fake.set_password("jane", "a new password");
        let new = (JANE.0, "a new password");
        assert_eq!(world.get(new).await.status(), 200);
        assert_eq!(world.get(JANE).await.status(), 200, "the proof of the old password is still valid");
        if revoke {
            world.clerk.revoke_user(&jane);
            assert_eq!(world.get(JANE).await.status(), 401);
            assert_eq!(world.get(new).await.status(), 200);
            continue;
        }
        // Constant use starts the renewal of the proof before its end, and Clerk refuses the old password.
        let mut last = Duration::ZERO;
        let start = world.clock.now();
        while world.clock.now() - start < TTL + MINUTE {
            tokio::time::advance(Duration::from_secs(5)).await;
            run_ready_tasks().await;
            if world.get(JANE).await.status() == 200 {
                last = world.clock.now() - start;
            }
        }
        assert!(last > TTL / 2 && last <= TTL, "the old password worked for {last:?}");
        assert_eq!(world.get(JANE).await.status(), 401);
        assert_eq!(world.get(new).await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn k12_a_second_factor_added_between_two_proofs_is_required_at_the_next() {
    let world = world();
    assert_eq!(world.get(JANE).await.status(), 200);
    world.fake.require_second_factor("jane", true);
    let mut out_after = None;
    let start = world.clock.now();
    while out_after.is_none() && world.clock.now() - start < TTL {
        tokio::time::advance(Duration::from_secs(5)).await;
        run_ready_tasks().await;
        let response = world.get(JANE).await;
        if response.status() != 200 {
            assert_eq!(code(&response), "second_factor_required");
            out_after = Some(world.clock.now() - start);
        }
    }
    let out_after = out_after.expect("the proof was renewed ahead of its end");
    assert!(out_after >= TTL.mul_f64(0.8) && out_after <= TTL.mul_f64(0.9) + Duration::from_secs(10));
    finish_background().await;
    assert_eq!(world.fake.live_sessions(), 0, "the session is ended");
}

#[tokio::test(start_paused = true)]
async fn k9_a_revoked_session_is_ended_and_its_credential_still_works() {
    let world = world();
    let (jane, bob) = (id(&world.get(JANE).await), id(&world.get(BOB).await));
    world.clerk.revoke_session(&jane);
    finish_background().await;
    assert!(!is_live(&world, &jane));
    let again = world.get(JANE).await;
    assert_eq!(again.status(), 200);
    assert_ne!(id(&again), jane);
    assert_eq!(id(&world.get(BOB).await), bob);
    world.clerk.revoke_session("sess_unknown");
    assert_eq!(id(&world.get(BOB).await), bob);
}

#[tokio::test(start_paused = true)]
async fn k9_revoking_an_organization_mints_only_its_tokens_again() {
    let world = world();
    for organization in ["acme", "globex"] {
        assert_eq!(world.get_for(JANE, organization).await.status(), 200);
    }
    let acme = session(&world.get_for(JANE, "acme").await).organization().unwrap().id().to_owned();
    world.fake.remove_member("jane", "acme");
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200, "the token is still valid");
    let mints = world.fake.count(Endpoint::Tokens);
    world.clerk.revoke_organization(&acme);
    assert_eq!(world.get_for(JANE, "globex").await.status(), 200);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Tokens), mints, "no other token is minted again");
    let response = world.get_for(JANE, "acme").await;
    assert_eq!((response.status().as_u16(), code(&response)), (403, "organization_forbidden"));
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    assert_eq!(world.fake.live_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn k9_an_organization_revoked_during_a_mint_is_minted_for_again() {
    let world = world();
    assert_eq!(world.get(JANE).await.status(), 200);
    let hold = world.fake.hold_answer(Endpoint::Tokens);
    let acme = spawn_for(&world, JANE, "acme");
    hold.arrived(1).await;
    let globex = spawn_for(&world, JANE, "globex");
    hold.arrived(2).await;
    let asked = world.fake.requests_to(Endpoint::Tokens);
    let organization = asked[0].form("organization_id").unwrap().to_owned();
    world.fake.remove_member("jane", "acme");
    world.clerk.revoke_organization(&organization);
    hold.release();
    let acme = acme.await.unwrap();
    assert_eq!(code(&acme), "organization_forbidden", "{:?}", acme.status());
    assert_eq!(globex.await.unwrap().status(), 200, "the mint for the other organization is not affected");
    assert_eq!(world.fake.live_sessions_of("jane"), 1);
}

/// A template token names no organization, but still depends on the membership in the one that was requested.
#[tokio::test(start_paused = true)]
async fn k9_revoking_an_organization_mints_its_template_tokens_again() {
    let world = world();
    world.fake.add_template("partner", Duration::from_secs(60), serde_json::Map::new());
    let layer = world.layer().organization("acme").unwrap().template("partner").unwrap();
    let response = ask(&layer, basic(JANE)).await;
    let acme = session(&response).organization().unwrap().id().to_owned();
    world.fake.remove_member("jane", "acme");
    world.clerk.revoke_organization(&acme);
    assert_eq!(code(&ask(&layer, basic(JANE)).await), "organization_forbidden");
}

#[tokio::test(start_paused = true)]
async fn s8_a_former_member_gets_no_template_tokens_for_the_organization() {
    let world = world();
    world.fake.add_template("partner", Duration::from_secs(60), serde_json::Map::new());
    let layer = world.layer().organization("acme").unwrap().template("partner").unwrap();
    assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
    world.fake.remove_member("jane", "acme");
    tokio::time::advance(MINUTE).await;
    assert_eq!(code(&ask(&layer, basic(JANE)).await), "organization_forbidden");
}

#[tokio::test(start_paused = true)]
async fn k9_revoke_all_verifies_every_password_again() {
    let world = world();
    for pair in [JANE, BOB, CAROL] {
        assert_eq!(world.get(pair).await.status(), 200);
    }
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let late = spawn(&world, ("jane", JANE.1));
    hold.arrived(1).await;
    world.clerk.revoke_all();
    hold.release();
    assert_eq!(late.await.unwrap().status(), 200);
    finish_background().await;
    assert_eq!(world.fake.live_sessions(), 1, "only the session from after the revocation");
    assert_eq!(world.fake.sessions().len(), 5);
    assert_eq!((world.clerk.stats().sessions, world.clerk.stats().trusted_credentials), (1, 1));
}

/// There are far more revocations than tombstones, and the first one must still take effect.
#[tokio::test(start_paused = true)]
async fn k9_many_revocations_never_hide_an_earlier_one() {
    let world = world();
    let jane = session(&world.get(JANE).await).user_id().to_owned();
    world.clerk.revoke_user(&jane);
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let waiting = spawn(&world, JANE);
    hold.arrived(1).await;
    let old = world.fake.sessions().last().unwrap().id().to_owned();
    world.clerk.revoke_user(&jane);
    (0..5_000).for_each(|at| world.clerk.revoke_user(&format!("user_{at}")));
    hold.release();
    assert_ne!(id(&waiting.await.unwrap()), old);
    finish_background().await;
    assert_eq!(world.fake.live_sessions(), 1);
}
