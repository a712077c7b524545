//! Sessions of one user for several organizations, which are opened by ticket: one that is gone at Clerk voids the proof
//! of the password (rule K4), since a change of the password may have been what ended it.

use std::time::Duration;

use tower_clerk::testing::Endpoint;

use crate::common::{JANE, Pair, World, code, organization_of, session};
use crate::stores::SharedSessions;

const MINUTE: Duration = Duration::from_secs(60);

/// Longer than a token lives.
const TOKEN_LIFE: Duration = Duration::from_secs(61);

/// A process that has Jane's sessions from a store: one for her personal account, and one for `acme`.
///
/// It was restarted, so that it doesn't have their clients, and each session serves one organization.
async fn world() -> World {
    let store = SharedSessions::default();
    let first = World::backend_with(|fake| fake, |engine| engine.session_store(store.clone()));
    assert_eq!(first.get(JANE).await.status(), 200);
    let process = first.restarted(|engine| engine.session_store(store));
    let personal = process.get(JANE).await;
    let acme = process.get_for(JANE, "acme").await;
    assert_eq!(organization_of(&acme), Some("acme"));
    assert_ne!(session(&personal).session_id(), session(&acme).session_id(), "each has a session of its own");
    process
}

/// What happens when a user changes the password and signs out all other sessions.
fn sign_out_everywhere(world: &World, password: &str) {
    world.fake.set_password("jane", password);
    for session in world.fake.sessions() {
        world.fake.revoke_session(session.id());
    }
    assert_eq!(world.fake.live_sessions_of("jane"), 0);
}

/// A ticket needs no password, so the session for the organization is replaced only after a new proof.
#[tokio::test(start_paused = true)]
async fn k4_an_old_password_opens_no_session_in_the_place_of_one_that_is_gone() {
    let world = world().await;
    sign_out_everywhere(&world, "a new password");
    tokio::time::sleep(TOKEN_LIFE).await;
    let tickets = world.fake.count(Endpoint::SignInTokens);
    let response = world.get_for(JANE, "acme").await;
    let tickets = world.fake.count(Endpoint::SignInTokens) - tickets;
    assert!(
        code(&response) == "credentials_rejected" && tickets == 0,
        "an old password opened a session: {}, {tickets} tickets",
        response.status()
    );
    let new: Pair = (JANE.0, "a new password");
    assert_eq!(world.get_for(new, "acme").await.status(), 200, "the new password does");
}

/// A right password is verified anew as well, once, and the request at hand is served.
#[tokio::test(start_paused = true)]
async fn k4_a_session_of_an_organization_that_is_gone_is_replaced_by_the_password_once() {
    let world = world().await;
    let gone = session(&world.get_for(JANE, "acme").await).session_id().to_owned();
    assert!(world.fake.revoke_session(&gone), "the session was live");
    tokio::time::sleep(TOKEN_LIFE).await;
    let proofs = world.fake.count(Endpoint::VerifyPassword);
    let response = world.get_for(JANE, "acme").await;
    assert_eq!(organization_of(&response), Some("acme"), "the request at hand is served");
    assert_ne!(session(&response).session_id(), gone);
    let proofs = world.fake.count(Endpoint::VerifyPassword) - proofs;
    assert!(proofs == 1, "a session that is gone was replaced without the password: asked {proofs} times");
}

/// Requests for an organization alone end the proof of an old password as well, long before the hour that it stands.
#[tokio::test(start_paused = true)]
async fn k4_an_old_password_is_out_within_a_tokens_life_of_the_sessions() {
    let world = world().await;
    sign_out_everywhere(&world, "a new password");
    let start = world.clock.now();
    let mut last = Duration::ZERO;
    while world.clock.now() - start < 90 * MINUTE {
        if world.get_for(JANE, "acme").await.status() == 200 {
            last = world.clock.now() - start;
        }
        tokio::time::sleep(MINUTE / 4).await;
    }
    assert!(last <= TOKEN_LIFE, "an old password went on after all sessions were signed out: for {last:?}");
}
