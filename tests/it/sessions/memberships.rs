//! A change of one membership concerns one user's tokens for one organization (rules K9, K11, W5).

use std::time::Duration;

use tokio::task::JoinHandle;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder};

use crate::common::{BOB, JANE, Pair, World, ask, basic, code, organization_of, run_ready_tasks, session};
use http::Response;

fn worlds() -> [World; 2] {
    let unlimited = World::backend_with(FakeClerkBuilder::no_rate_limit, |engine| {
        engine.unlimited_sign_ins().backend_rate(10_000, Duration::from_secs(1))
    });
    [World::unlimited(), unlimited]
}

fn mints(world: &World) -> usize {
    [Endpoint::Tokens, Endpoint::Touch, Endpoint::BackendTokens].iter().map(|it| world.fake.count(*it)).sum()
}

fn spawn_for(world: &World, pair: Pair, organization: &'static str) -> JoinHandle<Response<String>> {
    let world = world.clone();
    tokio::spawn(async move { world.get_for(pair, organization).await })
}

/// The ids of a session's user and organization.
fn ids(response: &Response<String>) -> (String, String) {
    let session = session(response);
    (session.user_id().to_owned(), session.organization().unwrap().id().to_owned())
}

#[tokio::test(start_paused = true)]
async fn k9_a_revoked_membership_is_minted_for_again_and_no_other() {
    for world in worlds() {
        let before = world.get_for(JANE, "acme").await;
        let (jane, acme) = ids(&before);
        let by_id = world.get_for(JANE, &acme).await;
        let mut others = Vec::new();
        for (pair, organization) in [(JANE, "globex"), (BOB, "acme")] {
            others.push((pair, organization, world.get_for(pair, organization).await));
        }
        let own = world.get(JANE).await;
        assert!(session(&before).has_role("org:admin") && session(&by_id).has_role("org:admin"));
        let sign_ins = world.fake.count(Endpoint::SignIns);
        world.fake.add_member("jane", "acme", "org:member");
        assert!(
            session(&world.get_for(JANE, "acme").await).has_role("org:admin"),
            "the token is still valid"
        );
        world.clerk.revoke_membership(&jane, &acme);
        let minted = mints(&world);
        for (pair, organization, response) in &others {
            let again = world.get_for(*pair, organization).await;
            assert_eq!(session(&again).token(), session(response).token(), "{pair:?} {organization}");
        }
        assert_eq!(session(&world.get(JANE).await).token(), session(&own).token());
        assert_eq!(mints(&world), minted, "no other token is minted again");
        for name in ["acme", &acme] {
            let after = world.get_for(JANE, name).await;
            assert!(session(&after).has_role("org:member") && !session(&after).has_role("org:admin"));
        }
        assert!(mints(&world) <= minted + 2, "one mint for each name");
        assert_eq!(world.fake.count(Endpoint::SignIns), sign_ins);
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_removed_member_is_refused_at_once_and_let_in_again_when_added() {
    for world in worlds() {
        let (bob, acme) = ids(&world.get_for(BOB, "acme").await);
        world.get_for(JANE, "acme").await;
        world.fake.remove_member("bob", "acme");
        world.clerk.revoke_membership(&bob, &acme);
        for _ in 0..2 {
            assert_eq!(code(&world.get_for(BOB, "acme").await), "organization_forbidden");
        }
        assert_eq!(world.get(BOB).await.status(), 200, "the session stays");
        assert_eq!(organization_of(&world.get_for(JANE, "acme").await), Some("acme"));
        world.fake.add_member("bob", "acme", "org:admin");
        world.clerk.forgive_organizations(&bob);
        assert!(session(&world.get_for(BOB, "acme").await).has_role("org:admin"));
        // An event of a membership that was revoked lifts the refusal as well.
        world.fake.remove_member("bob", "acme");
        world.clerk.revoke_membership(&bob, &acme);
        assert_eq!(code(&world.get_for(BOB, "acme").await), "organization_forbidden");
        world.fake.add_member("bob", "acme", "org:member");
        world.clerk.revoke_membership(&bob, &acme);
        assert_eq!(world.get_for(BOB, "acme").await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn k9_a_membership_revoked_during_a_mint_is_minted_for_again() {
    let world = World::unlimited();
    for pair in [JANE, BOB] {
        assert_eq!(world.get(pair).await.status(), 200);
    }
    let (bob, acme) = ids(&World::unlimited().get_for(BOB, "acme").await);
    let hold = world.fake.hold_answer(Endpoint::Tokens);
    let (bobs, janes) = (spawn_for(&world, BOB, "acme"), spawn_for(&world, JANE, "acme"));
    hold.arrived(2).await;
    world.fake.add_member("bob", "acme", "org:admin");
    world.clerk.revoke_membership(&bob, &acme);
    hold.release();
    let bobs = bobs.await.unwrap();
    assert!(session(&bobs).has_role("org:admin"), "the mint from before brought another role");
    assert_eq!(janes.await.unwrap().status(), 200);
    assert_eq!(world.fake.count(Endpoint::Tokens), 3, "no other member's mint is voided");
    assert!(session(&world.get_for(BOB, "acme").await).has_role("org:admin"));
}

/// With the Backend API, the answer to a sign-in brings a token for the organization of the request.
#[tokio::test(start_paused = true)]
async fn k9_a_token_that_a_sign_in_brings_is_dropped_if_its_membership_was_revoked_meanwhile() {
    for revoke_all_members in [false, true] {
        let world = World::backend();
        let (bob, acme) = ids(&World::backend().get_for(BOB, "acme").await);
        let hold = world.fake.hold_answer(Endpoint::SignIns);
        let waiting = spawn_for(&world, BOB, "acme");
        while hold.waiting() == 0 {
            run_ready_tasks().await;
        }
        world.fake.add_member("bob", "acme", "org:admin");
        if revoke_all_members {
            world.clerk.revoke_organization(&acme);
        } else {
            world.clerk.revoke_membership(&bob, &acme);
        }
        hold.release();
        assert!(session(&waiting.await.unwrap()).has_role("org:admin"));
        assert!(session(&world.get_for(BOB, "acme").await).has_role("org:admin"));
        assert_eq!((world.fake.count(Endpoint::SignIns), world.fake.live_sessions()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn k11_a_refusal_of_an_organization_is_forgotten_when_its_user_becomes_a_member() {
    let globex = ids(&World::unlimited().get_for(JANE, "globex").await).1;
    for world in worlds() {
        let bob = session(&world.get(BOB).await).user_id().to_owned();
        for name in ["globex", &globex, "nowhere"] {
            assert_eq!(code(&world.get_for(BOB, name).await), "organization_forbidden");
        }
        let calls = world.fake.count(Endpoint::Any);
        world.fake.add_member("bob", "globex", "org:member");
        assert_eq!(code(&world.get_for(BOB, "globex").await), "organization_forbidden");
        world.clerk.forgive_organizations("user_stranger");
        assert_eq!(code(&world.get_for(BOB, &globex).await), "organization_forbidden");
        assert_eq!(world.fake.count(Endpoint::Any), calls, "remembered");
        world.clerk.forgive_organizations(&bob);
        for name in ["globex", &globex] {
            assert_eq!(organization_of(&world.get_for(BOB, name).await), Some("globex"));
        }
        assert_eq!(code(&world.get_for(BOB, "nowhere").await), "organization_forbidden");
    }
}

#[tokio::test(start_paused = true)]
async fn k11_a_refusal_by_a_mint_under_way_is_not_remembered_after_a_change_of_the_membership() {
    let [frontend, backend] = worlds();
    for (world, endpoint) in [(frontend, Endpoint::Touch), (backend, Endpoint::UserMemberships)] {
        let bob = session(&world.get(BOB).await).user_id().to_owned();
        let hold = world.fake.hold_answer(endpoint);
        let waiting = spawn_for(&world, BOB, "globex");
        while hold.waiting() == 0 {
            run_ready_tasks().await;
        }
        world.fake.add_member("bob", "globex", "org:member");
        world.clerk.forgive_organizations(&bob);
        hold.release();
        assert_eq!(code(&waiting.await.unwrap()), "organization_forbidden");
        assert_eq!(organization_of(&world.get_for(BOB, "globex").await), Some("globex"), "{endpoint:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn w5_a_renamed_organization_loses_the_tokens_that_name_it_by_another_slug() {
    for world in worlds() {
        let (_, acme) = ids(&world.get_for(JANE, "acme").await);
        world.get_for(BOB, "acme").await;
        let minted = mints(&world);
        // Any other change of the organization, and a stranger's.
        world.clerk.revoke_renamed_organization(&acme, Some("acme"));
        world.clerk.revoke_renamed_organization("org_stranger", Some("stranger"));
        for pair in [JANE, BOB] {
            assert_eq!(world.get_for(pair, "acme").await.status(), 200);
        }
        assert_eq!(mints(&world), minted);
        world.clerk.revoke_renamed_organization(&acme, Some("acme-inc"));
        for pair in [JANE, BOB] {
            assert_eq!(world.get_for(pair, "acme").await.status(), 200);
        }
        assert_eq!(mints(&world), minted + 2, "Clerk is asked again");
    }
}

#[tokio::test(start_paused = true)]
async fn w5_changed_permissions_drop_long_lived_tokens_alone() {
    let world = World::unlimited();
    for (name, life) in [("long", 600), ("short", 60)] {
        world.fake.add_template(name, Duration::from_secs(life), serde_json::Map::new());
    }
    let get = async |template: &str, organization: &str| {
        let layer = world.layer().template(template).unwrap().organization(organization).unwrap();
        let response = ask(&layer, basic(JANE)).await;
        session(&response).token().to_owned()
    };
    let long = [get("long", "acme").await, get("long", "globex").await];
    let short = get("short", "acme").await;
    let plain = [world.get(JANE).await, world.get_for(JANE, "acme").await];
    world.clerk.drop_long_lived_tokens();
    assert_eq!(get("short", "acme").await, short);
    for (before, after) in plain.iter().zip([world.get(JANE).await, world.get_for(JANE, "acme").await]) {
        assert_eq!(session(before).token(), session(&after).token());
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    let again = [get("long", "acme").await, get("long", "globex").await];
    assert!(long[0] != again[0] && long[1] != again[1]);
    assert_eq!(get("long", "acme").await, again[0], "the new one is good");
    // A mint under way.
    tokio::time::advance(Duration::from_secs(590)).await;
    let hold = world.fake.hold_answer(Endpoint::TemplateTokens);
    let layer = world.layer().template("long").unwrap().organization("acme").unwrap();
    let waiting = tokio::spawn(async move { ask(&layer, basic(JANE)).await });
    hold.arrived(1).await;
    world.clerk.drop_long_lived_tokens();
    let calls = world.fake.count(Endpoint::TemplateTokens);
    hold.release();
    assert_eq!(waiting.await.unwrap().status(), 200);
    assert_eq!(world.fake.count(Endpoint::TemplateTokens), calls + 1, "it is minted again");
}
