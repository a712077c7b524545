//! A gone session voids the proof of the password, since a password change may have ended it (rule K4).
//!
//! This matters for a user's further sessions for organizations, which are opened by ticket, without the password.

use std::time::Duration;

use tower_clerk::testing::Endpoint;

use crate::common::{JANE, Pair, World, code, organization_of, session};
use crate::stores::StoreFile;

const MINUTE: Duration = Duration::from_secs(60);

/// Longer than the lifetime of a token.
const TOKEN_LIFE: Duration = Duration::from_secs(61);

/// A restarted process with two of Jane's sessions: one for her personal account, and one for `acme`.
///
/// The store holds no client tokens, so after the restart each session serves one organization.
async fn world() -> (World, StoreFile) {
    let store = StoreFile::new();
    let first = World::backend_with(|fake| fake, |engine| engine.store(store.open()));
    assert_eq!(first.get(JANE).await.status(), 200);
    store.lose_logins().await;
    let process = first.restarted(|engine| engine.store(store.open()));
    let personal = process.get(JANE).await;
    let acme = process.get_for(JANE, "acme").await;
    assert_eq!(organization_of(&acme), Some("acme"));
    assert_ne!(session(&personal).session_id(), session(&acme).session_id(), "each has its own session");
    (process, store)
}

/// Changes Jane's password and signs out all her sessions, as a user would in Clerk's profile.
fn sign_out_everywhere(world: &World, password: &str) {
    world.fake.set_password("jane", password);
    for session in world.fake.sessions() {
        world.fake.revoke_session(session.id());
    }
    assert_eq!(world.fake.live_sessions_of("jane"), 0);
}

/// A ticket needs no password, so the organization's session is replaced only after a new proof.
#[tokio::test(start_paused = true)]
async fn k4_an_old_password_does_not_replace_a_gone_session() {
    let (world, _store) = world().await;
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
    assert_eq!(world.get_for(new, "acme").await.status(), 200, "the new password opens a session");
}

/// A correct password is verified again, once, and the request is served.
#[tokio::test(start_paused = true)]
async fn k4_a_gone_organization_session_is_replaced_after_one_new_proof() {
    let (world, _store) = world().await;
    let gone = session(&world.get_for(JANE, "acme").await).session_id().to_owned();
    assert!(world.fake.revoke_session(&gone), "the session was live");
    tokio::time::sleep(TOKEN_LIFE).await;
    let proofs = world.fake.count(Endpoint::VerifyPassword);
    let response = world.get_for(JANE, "acme").await;
    assert_eq!(organization_of(&response), Some("acme"), "the request is served");
    assert_ne!(session(&response).session_id(), gone);
    let proofs = world.fake.count(Endpoint::VerifyPassword) - proofs;
    assert!(proofs == 1, "a gone session was replaced after {proofs} password verifications");
}

/// Requests for an organization also end the proof of an old password, long before the proof expires after an hour.
#[tokio::test(start_paused = true)]
async fn k4_an_old_password_is_rejected_within_a_token_life_of_the_sign_out() {
    let (world, _store) = world().await;
    sign_out_everywhere(&world, "a new password");
    let start = world.clock.now();
    let mut last = Duration::ZERO;
    while world.clock.now() - start < 90 * MINUTE {
        if world.get_for(JANE, "acme").await.status() == 200 {
            last = world.clock.now() - start;
        }
        tokio::time::sleep(MINUTE / 4).await;
    }
    assert!(last <= TOKEN_LIFE, "an old password was accepted for {last:?} after the sign-out");
}
