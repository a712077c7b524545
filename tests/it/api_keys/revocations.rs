//! The ends of a key (rules T6, K9).

use std::time::Duration;

use tower_clerk::Clerk;
use tower_clerk::testing::{Endpoint, FakeApiKey};

use super::{
    ACCEPTED, MINUTE, REFUSED, SECOND, UNAVAILABLE, accepting, add, secret_of, status, verifications,
};
use crate::common::World;

#[tokio::test(start_paused = true)]
async fn t6_a_key_that_was_revoked_at_clerk_ends_with_its_ttl_or_at_once() {
    let world = World::backend();
    let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
    let (id, _) = world.fake.demo_api_key("jane");
    assert_eq!(status(&layer, &secret).await, ACCEPTED);
    world.fake.revoke_api_key(&id);
    tokio::time::advance(5 * MINUTE - SECOND).await;
    assert_eq!(status(&layer, &secret).await, ACCEPTED, "Clerk sends no event about keys");
    tokio::time::advance(SECOND).await;
    assert_eq!(status(&layer, &secret).await, REFUSED);

    let (id, secret) = add(&world, FakeApiKey::new("jane"));
    assert_eq!(status(&layer, &secret).await, ACCEPTED);
    world.fake.revoke_api_key(&id);
    world.clerk.revoke_api_key(&id);
    assert_eq!(status(&layer, &secret).await, REFUSED);
}

#[tokio::test(start_paused = true)]
async fn t6_each_revocation_drops_the_keys_that_it_is_about_and_no_other() {
    let world =
        World::backend_with(|fake| fake.no_rate_limit(), |engine| engine.backend_rate(10_000, SECOND));
    let (any, acme) = (accepting(&world), accepting(&world).organization("acme").unwrap());
    let jane = secret_of(&world, "jane");
    let user = super::key(&super::with_key(&any, &jane).await).subject().to_owned();
    let organization = "org_ojHFcumdg8ZxYa1pebKSFy9ijB5";
    let (bob_id, bob) = add(&world, FakeApiKey::new("bob"));
    // The keys of Jane, of acme (which Jane has created) and of Bob; Bob's also as a member of acme.
    type Row<'a> = (&'static str, &'a dyn Fn(&Clerk), [usize; 4]);
    let rows: [Row<'_>; 6] = [
        ("nothing", &|_| {}, [0, 0, 0, 0]),
        ("a key", &|clerk| clerk.revoke_api_key(&bob_id), [0, 0, 1, 0]),
        ("a user", &|clerk| clerk.revoke_user(&user), [1, 1, 0, 0]),
        ("an organization", &|clerk| clerk.revoke_organization(organization), [1, 1, 1, 0]),
        ("a stranger", &|clerk| clerk.revoke_user("user_000000000000000000000000000"), [0, 0, 0, 0]),
        ("all", &Clerk::revoke_all, [1, 1, 1, 0]),
    ];
    for (what, revoke, expected) in rows {
        let requests = [(&any, &jane), (&any, &secret_of(&world, "acme")), (&acme, &bob), (&any, &bob)];
        // Jane's key is known for acme as well, so a revocation of acme reaches it.
        for (layer, secret) in requests.iter().copied().chain([(&acme, &jane)]) {
            assert_eq!(status(layer, secret).await, ACCEPTED);
        }
        revoke(&world.clerk);
        for ((layer, secret), verified) in requests.into_iter().zip(expected) {
            let before = verifications(&world);
            assert_eq!(status(layer, secret).await, ACCEPTED, "{what}");
            assert_eq!(verifications(&world) - before, verified, "{what}");
        }
        tokio::time::advance(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn t6_a_banned_user_and_a_removed_creator_lose_their_keys_with_the_revocation() {
    let world = World::backend();
    let layer = accepting(&world);
    let (_, bobs) = add(&world, FakeApiKey::new("bob"));
    let (_, acmes) = add(&world, FakeApiKey::new("acme").created_by("bob"));
    let response = super::with_key(&layer, &bobs).await;
    let bob = super::key(&response).subject().to_owned();
    assert_eq!(status(&layer, &acmes).await, ACCEPTED);
    world.fake.remove_member("bob", "acme");
    world.clerk.revoke_user(&bob);
    assert_eq!((status(&layer, &bobs).await, status(&layer, &acmes).await), (ACCEPTED, REFUSED));
    world.fake.ban("bob");
    world.clerk.revoke_user(&bob);
    assert_eq!(status(&layer, &bobs).await, REFUSED);
}

#[tokio::test(start_paused = true)]
async fn k9_a_revocation_voids_the_verification_that_is_under_way() {
    let world = World::backend();
    let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
    let (id, _) = world.fake.demo_api_key("jane");
    let hold = world.fake.hold_answer(Endpoint::VerifyApiKey);
    let request = tokio::spawn({
        let (layer, secret) = (layer.clone(), secret.clone());
        async move { status(&layer, &secret).await }
    });
    hold.arrived(1).await;
    // Clerk has answered "valid" by now.
    world.fake.revoke_api_key(&id);
    world.clerk.revoke_api_key(&id);
    hold.release();
    assert_eq!(request.await.unwrap(), REFUSED, "it was verified anew");
    assert_eq!((verifications(&world), world.clerk.stats().verified_api_keys), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn k9_a_request_gives_up_when_revocations_overtake_each_of_its_verifications() {
    let world = World::backend();
    let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
    let (id, _) = world.fake.demo_api_key("jane");
    let hold = world.fake.hold_answer(Endpoint::VerifyApiKey);
    let request = tokio::spawn({
        let (layer, secret) = (layer.clone(), secret.clone());
        async move { status(&layer, &secret).await }
    });
    for _ in 0..3 {
        hold.arrived(1).await;
        world.clerk.revoke_api_key(&id);
        hold.release_one();
    }
    assert_eq!(request.await.unwrap(), UNAVAILABLE);
    hold.release();
    assert_eq!(status(&layer, &secret).await, ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn k10_no_key_is_accepted_after_a_shutdown() {
    let world = World::backend();
    let (layer, secret) = (accepting(&world), secret_of(&world, "jane"));
    assert_eq!(status(&layer, &secret).await, ACCEPTED);
    world.clerk.shutdown(Duration::from_secs(1)).await;
    assert_eq!(status(&layer, &secret).await, UNAVAILABLE);
    assert_eq!(verifications(&world), 1);
}
