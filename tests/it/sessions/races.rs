//! Races between renewals, revocations, evictions and requests, each in a scripted order (rules K3, K4, K8, K9, K10,
//! K12).

use std::time::Duration;

use crate::common::{BOB, CAROL, JANE, Pair, World, ask, basic, code, in_time, run_ready_tasks, session};
use http::Response;
use tokio::task::JoinHandle;
use tower_clerk::Credentials;
use tower_clerk::testing::{Endpoint, Fault};

const TTL: Duration = Duration::from_secs(15 * 60);

fn world() -> World {
    World::with(|fake| fake, |engine| engine.session_ttl(TTL))
}

fn spawn(world: &World, pair: Pair) -> JoinHandle<Response<String>> {
    let layer = world.layer();
    tokio::spawn(async move { ask(&layer, basic(pair)).await })
}

/// Gives background tasks time to end sessions at Clerk.
async fn finish_background() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Signs Jane in, and advances to when the renewal of her proof is due. Returns her user id.
async fn proof_due(world: &World) -> String {
    let user = session(&world.get(JANE).await).user_id().to_owned();
    tokio::time::advance(TTL.mul_f64(0.905)).await;
    // Her token has expired too: the next request mints one, and the request after it starts the proof renewal.
    user
}

#[tokio::test(start_paused = true)]
async fn k3_a_renewal_that_finishes_after_a_revocation_restores_nothing() {
    let world = world();
    let before = world.get(JANE).await;
    tokio::time::advance(Duration::from_secs(46)).await;
    let hold = world.fake.hold_answer(Endpoint::Tokens);
    assert_eq!(world.get(JANE).await.status(), 200, "the old token serves");
    hold.arrived(1).await;
    world.clerk.revoke_user(session(&before).user_id());
    let after = world.get(JANE).await;
    hold.release();
    finish_background().await;
    assert_ne!(session(&after).session_id(), session(&before).session_id());
    assert_eq!(session(&world.get(JANE).await).session_id(), session(&after).session_id());
    assert_eq!(world.fake.live_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn k3_a_renewal_that_finishes_after_an_eviction_restores_nothing() {
    let world = World::with(|fake| fake, |engine| engine.max_sessions(1));
    world.get(JANE).await;
    tokio::time::advance(Duration::from_secs(46)).await;
    let hold = world.fake.hold_answer(Endpoint::Tokens);
    assert_eq!(world.get(JANE).await.status(), 200);
    hold.arrived(1).await;
    assert_eq!(world.get(BOB).await.status(), 200);
    hold.release();
    finish_background().await;
    assert_eq!(world.clerk.stats().sessions, 1);
    assert_eq!((world.fake.live_sessions_of("jane"), world.fake.live_sessions_of("bob")), (0, 1));
    let sign_ins = world.fake.count(Endpoint::SignIns);
    assert_eq!(world.get(BOB).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), sign_ins, "Bob's session was cached all along");
}

/// The late renewal belongs to a session that was replaced in the meantime.
#[tokio::test(start_paused = true)]
async fn k3_a_renewal_that_finishes_late_replaces_no_fresher_token() {
    let world = world();
    world.get(JANE).await;
    // Cache more than one token, for the organization by slug and by id.
    let acme = world.get_for(JANE, "acme").await;
    let by_id = session(&acme).organization().unwrap().id().to_owned();
    world.get_for(JANE, &by_id).await;
    tokio::time::advance(Duration::from_secs(46)).await;
    let hold = world.fake.hold_answer(Endpoint::Tokens);
    assert_eq!(world.get(JANE).await.status(), 200, "this request starts a renewal, which is held");
    hold.arrived(1).await;
    // The session is replaced in the meantime, and its successor's token is fresher.
    world.clerk.revoke_session(session(&world.get(JANE).await).session_id());
    tokio::time::advance(Duration::from_secs(3)).await;
    let fresh = world.get(JANE).await;
    hold.release();
    run_ready_tasks().await;
    assert_eq!(session(&world.get(JANE).await).token(), session(&fresh).token());
}

#[tokio::test(start_paused = true)]
async fn k4_a_renewal_that_finds_its_session_gone_fails_no_waiting_request() {
    let world = world();
    let old = world.get(JANE).await;
    tokio::time::advance(Duration::from_secs(46)).await;
    let hold = world.fake.hold(Endpoint::Tokens);
    assert_eq!(world.get(JANE).await.status(), 200);
    hold.arrived(1).await;
    world.fake.revoke_session(session(&old).session_id());
    // The token expires while the renewal is in flight, so this request joins the renewal.
    tokio::time::advance(Duration::from_secs(5)).await;
    let joined = spawn(&world, JANE);
    run_ready_tasks().await;
    assert_eq!(hold.waiting(), 1);
    hold.release();
    let joined = joined.await.unwrap();
    assert_ne!(session(&joined).session_id(), session(&old).session_id());
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
    assert_eq!(session(&world.get(JANE).await).session_id(), session(&joined).session_id());
    assert_eq!(world.fake.count(Endpoint::End), 0, "a session that is gone is not ended");
}

/// Dropping a session that is gone must not drop its replacement.
#[tokio::test(start_paused = true)]
async fn k4_a_late_answer_that_a_session_is_gone_leaves_its_successor_alone() {
    let world = world();
    let old = world.get(JANE).await;
    tokio::time::advance(Duration::from_secs(46)).await;
    world.fake.revoke_session(session(&old).session_id());
    let hold = world.fake.hold_answer(Endpoint::Tokens);
    assert_eq!(world.get(JANE).await.status(), 200);
    hold.arrived(1).await;
    world.clerk.revoke_session(session(&old).session_id());
    let new = world.get(JANE).await;
    hold.release();
    run_ready_tasks().await;
    assert_eq!(session(&world.get(JANE).await).session_id(), session(&new).session_id());
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}

#[tokio::test(start_paused = true)]
async fn k8_a_leader_cancelled_in_the_queue_leaves_its_permit_to_the_joiner() {
    let world = World::with(|fake| fake, |engine| engine.sign_in_rate(1, Duration::from_secs(5)));
    world.get(BOB).await;
    let leader = spawn(&world, JANE);
    run_ready_tasks().await;
    let joiner = spawn(&world, JANE);
    run_ready_tasks().await;
    leader.abort();
    run_ready_tasks().await;
    assert_eq!(joiner.await.unwrap().status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}

/// The last waiter leaves at the moment when the next request arrives.
#[tokio::test(start_paused = true)]
async fn k8_a_request_that_arrives_as_the_last_waiter_leaves_gets_a_flight() {
    for yields in 0..8 {
        let world = World::with(|fake| fake, |engine| engine.sign_in_rate(1, Duration::from_secs(5)));
        world.get(BOB).await;
        let leader = spawn(&world, JANE);
        run_ready_tasks().await;
        leader.abort();
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.get(JANE).await.status(), 200, "after {yields} yields");
        assert_eq!(world.fake.count(Endpoint::SignIns), 2);
        assert_eq!(world.clerk.stats().sign_in_flights, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn k10_a_hit_at_the_very_end_of_a_proof_is_served_or_signs_in_but_never_fails() {
    let world = World::with(|fake| fake, |engine| engine.session_ttl(TTL).proof_renewal(false));
    world.get(JANE).await;
    let mut sessions = std::collections::HashSet::new();
    let start = world.clock.now();
    while world.clock.now() - start < TTL + Duration::from_secs(30) {
        // The sweeper may run before, between or after these requests.
        let (one, other) = (spawn(&world, JANE), spawn(&world, JANE));
        tokio::time::sleep(Duration::from_millis(900)).await;
        for response in [one.await.unwrap(), other.await.unwrap()] {
            assert_eq!(response.status(), 200);
            sessions.insert(session(&response).session_id().to_owned());
        }
    }
    assert_eq!(sessions.len(), 2);
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
    finish_background().await;
    assert_eq!(world.fake.live_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn k12_a_proof_renewed_while_its_user_is_revoked_restores_nothing() {
    let world = world();
    let user = proof_due(&world).await;
    world.get(JANE).await;
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    world.get(JANE).await;
    hold.arrived(1).await;
    let renewed = world.fake.sessions().last().unwrap().id().to_owned();
    world.clerk.revoke_user(&user);
    let after = spawn(&world, JANE);
    run_ready_tasks().await;
    hold.release();
    let after = after.await.unwrap();
    assert_eq!(after.status(), 200);
    assert_ne!(session(&after).session_id(), renewed);
    finish_background().await;
    assert_eq!(world.fake.live_sessions(), 1);
    assert_eq!(session(&world.get(JANE).await).session_id(), session(&after).session_id());
}

/// A revocation must hold even if minting the renewed session's tokens takes long after it.
#[tokio::test(start_paused = true)]
async fn k12_a_revocation_holds_however_long_a_proof_renewal_takes() {
    let world = World::with(|fake| fake.token_life(TTL), |engine| engine.session_ttl(TTL));
    world.get(JANE).await;
    for at in 0..12 {
        let organization = format!("organization-{at}");
        world.fake.add_organization(tower_clerk::testing::FakeOrganization::new(&organization));
        world.fake.add_member("jane", &organization, "org:member");
    }
    let user = session(&world.get(JANE).await).user_id().to_owned();
    for at in 0..12 {
        assert_eq!(world.get_for(JANE, &format!("organization-{at}")).await.status(), 200);
    }
    tokio::time::advance(TTL.mul_f64(0.905)).await;
    for endpoint in [Endpoint::Tokens, Endpoint::Touch] {
        world.fake.script_always(endpoint, Fault::Delay(Duration::from_secs(4)));
    }
    world.get(JANE).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.clerk.revoke_user(&user);
    let renewed = world.fake.sessions().last().unwrap().id().to_owned();
    // Revocations of other users evict the tombstone once it is older than any flight can be.
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.clerk.revoke_user("user_unknown");
    }
    finish_background().await;
    let live = world.fake.sessions();
    assert!(!live.iter().any(|session| session.id() == renewed && session.is_live()), "{live:?}");
    assert_eq!(world.clerk.stats().sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn k8_a_flight_superseded_twice_is_503_and_leaves_no_session_open() {
    let world = World::unlimited();
    let user = session(&world.get(CAROL).await).user_id().to_owned();
    world.clerk.revoke_user(&user);
    let hold = world.fake.hold_answer(Endpoint::SignIns);
    let waiting = spawn(&world, CAROL);
    for _ in 0..2 {
        hold.arrived(1).await;
        world.clerk.revoke_user(&user);
        hold.release_one();
        run_ready_tasks().await;
    }
    assert_eq!(waiting.await.unwrap().status(), 503);
    drop(hold);
    finish_background().await;
    assert_eq!(world.fake.live_sessions(), 0);
    assert_eq!(world.clerk.stats().sign_in_flights, 0);
}

/// A second credential of the user adopts the session that the first one opened on the known client. The revocation
/// comes after Clerk has answered which session that is.
#[tokio::test(start_paused = true)]
async fn k9_a_session_adopted_while_its_user_is_revoked_is_neither_stored_nor_served() {
    const USER: Pair = ("newdevice@example.com", "trust me on a device");
    let world = World::unlimited();
    let credentials = Credentials::new(USER.0, USER.1).unwrap();
    let mut enrollment = world.clerk.enroll(&credentials).await.unwrap();
    let factor = enrollment.factors()[0].clone();
    enrollment.send_code(&factor).await.unwrap();
    let code_sent = world.fake.last_code(USER.0).unwrap();
    enrollment.confirm(&factor, &code_sent).await.unwrap();
    let first = world.get(USER).await;
    let user_id = session(&first).user_id().to_owned();

    let hold = world.fake.hold_answer(Endpoint::Client);
    let second = {
        let world = world.clone();
        tokio::spawn(async move { world.get(("NewDevice@example.com", USER.1)).await })
    };
    in_time(hold.arrived(1)).await;
    world.clerk.revoke_user(&user_id);
    hold.release();
    assert_eq!(code(&second.await.unwrap()), "upstream_unavailable", "the session is being ended");
    // The device is forgotten with the user, so Clerk asks for a code again.
    assert_eq!(code(&world.get(USER).await), "account_action_required");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!((world.clerk.stats().sessions, world.fake.live_sessions()), (0, 0), "the session is ended");
}
