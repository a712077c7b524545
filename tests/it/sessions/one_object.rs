//! The engine has one live object per Clerk session, even when two credentials find the session at the same time.

use std::time::Duration;

use crate::common::{
    JANE, NEWDEVICE, NEWDEVICE_RESPELLED, Pair, World, ask, basic, builder, enroll, in_time, rest, session,
};
use crate::stores::StoreFile;
use http::Response;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tower_clerk::Credentials;
use tower_clerk::testing::Endpoint;

/// Jane's username.
const JANE_BY_NAME: Pair = ("jane", JANE.1);

fn spawn(world: &World, pair: Pair) -> JoinHandle<Response<String>> {
    let world = world.clone();
    tokio::spawn(async move { world.get(pair).await })
}

/// Signs both credentials in at once: each has opened or found the session, and waits for the key set, before either is
/// stored.
async fn meet(world: &World, one: Pair, other: Pair) -> String {
    let hold = world.fake.hold(Endpoint::Jwks);
    let one = spawn(world, one);
    in_time(hold.arrived(1)).await;
    let other = spawn(world, other);
    tokio::time::sleep(Duration::from_secs(1)).await;
    hold.release();
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert_eq!(session(&one).session_id(), session(&other).session_id());
    session(&one).session_id().to_owned()
}

/// A restarted engine on the Frontend API, whose known device still has a session open at Clerk.
async fn restarted() -> (World, StoreFile) {
    let devices = StoreFile::new();
    let first =
        World::with(|fake| fake.no_rate_limit(), |engine| engine.unlimited_sign_ins().store(devices.open()));
    let claims = json!({ "organization": "{{org.slug}}", "role": "{{org.role}}" });
    first.fake.add_template("partner", Duration::from_secs(120), claims.as_object().unwrap().clone());
    first.fake.add_member(NEWDEVICE.0, "acme", "org:member");
    first.fake.add_member(NEWDEVICE.0, "globex", "org:admin");
    enroll(&first, NEWDEVICE).await;
    rest().await;
    first.get(NEWDEVICE).await;
    devices.lose_logins().await;
    let engine = builder(&first.fake, first.clock).unlimited_sign_ins().store(devices.open());
    let world = World { clock: first.clock, fake: first.fake.clone(), clerk: engine.build().unwrap() };
    // Like a killed process, which ends no session.
    std::mem::forget(first);
    (world, devices)
}

async fn is_served_by_another(world: &World, pairs: [Pair; 2], id: &str) {
    for pair in pairs {
        assert_ne!(session(&world.get(pair).await).session_id(), id, "{}", pair.0);
    }
}

#[tokio::test(start_paused = true)]
async fn k9_revoking_a_session_found_by_two_credentials_at_once_takes_it_from_both() {
    let world = World::backend();
    let id = meet(&world, JANE, JANE_BY_NAME).await;
    world.clerk.revoke_session(&id);
    is_served_by_another(&world, [JANE, JANE_BY_NAME], &id).await;

    let (world, _store) = restarted().await;
    let id = meet(&world, NEWDEVICE, NEWDEVICE_RESPELLED).await;
    world.clerk.revoke_session(&id);
    is_served_by_another(&world, [NEWDEVICE, NEWDEVICE_RESPELLED], &id).await;
}

#[tokio::test(start_paused = true)]
async fn k10_ending_a_session_found_by_two_credentials_at_once_takes_it_from_both() {
    let world = World::backend();
    let id = meet(&world, JANE, JANE_BY_NAME).await;
    world.clerk.sign_out(&Credentials::new(JANE_BY_NAME.0, JANE_BY_NAME.1).unwrap()).await.unwrap();
    is_served_by_another(&world, [JANE, JANE_BY_NAME], &id).await;
}

/// A touch and the mint after it are one critical section per Clerk session, shared by all its credentials.
#[tokio::test(start_paused = true)]
async fn s8_two_credentials_on_one_session_never_mint_for_each_others_organization() {
    let (world, _store) = restarted().await;
    meet(&world, NEWDEVICE, NEWDEVICE_RESPELLED).await;
    let ask_for = |pair: Pair, organization: &'static str| {
        let layer = world.layer().template("partner").unwrap().organization(organization).unwrap();
        tokio::spawn(async move { ask(&layer, basic(pair)).await })
    };
    let hold = world.fake.hold(Endpoint::TemplateTokens);
    let acme = ask_for(NEWDEVICE, "acme");
    in_time(hold.arrived(1)).await;
    let globex = ask_for(NEWDEVICE_RESPELLED, "globex");
    tokio::time::sleep(Duration::from_millis(100)).await;
    hold.release();
    let organization = |response: &Response<String>| {
        let claims: Value = session(response).custom_claims().unwrap();
        claims["organization"].clone()
    };
    let (acme, globex) = (acme.await.unwrap(), globex.await.unwrap());
    assert_eq!((organization(&acme), organization(&globex)), ("acme".into(), "globex".into()));
}
