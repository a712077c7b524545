//! One sign-in serves any number of organizations, and routes for different organizations never affect each other
//! (rules S7, S8).

use std::time::Duration;

use crate::common::{
    BOB, CAROL, JANE, World, ask, basic, code, logged, organization_of, run_ready_tasks, session, wire,
};
use tokio::task::JoinSet;
use tower_clerk::RequestOrganization;
use tower_clerk::testing::{Endpoint, FakeOrganization, Fault, TokenFlaw, TokenVersion};

/// Returns an organization's id, which is the same in every fake.
async fn id_of(slug: &str) -> String {
    let response = World::new().get_for(JANE, slug).await;
    session(&response).organization().unwrap().id().to_owned()
}

#[tokio::test(start_paused = true)]
async fn s7_one_sign_in_serves_all_organizations_of_a_user() {
    for version in [TokenVersion::V1, TokenVersion::V2] {
        let world = World::with(|fake| fake.token_version(version), |engine| engine);
        let acme = world.get_for(JANE, "acme").await;
        let globex = world.get_for(JANE, "globex").await;
        let own = world.get(JANE).await;
        assert_eq!(organization_of(&acme), Some("acme"));
        assert_eq!(organization_of(&globex), Some("globex"));
        assert_eq!(organization_of(&own), None);
        assert!(session(&acme).has_role("org:admin") && session(&acme).has_permission("org:invoices:manage"));
        assert!(session(&globex).has_role("org:member") && !session(&globex).has_role("org:admin"));
        assert!(session(&globex).has_permission("org:invoices:read"));
        assert!(!session(&globex).has_permission("org:invoices:manage"));
        assert!(!session(&own).has_role("org:admin"));
        assert_eq!(session(&acme).session_id(), session(&globex).session_id());
        assert_ne!(session(&acme).token(), session(&globex).token());
        assert_eq!(world.fake.count(Endpoint::SignIns), 1);
        assert_eq!(world.fake.count(Endpoint::Tokens) + world.fake.count(Endpoint::Touch), 2);
        // The tokens are cached, so no more calls are made.
        let calls = world.fake.count(Endpoint::Any);
        for organization in ["acme", "globex"] {
            assert_eq!(organization_of(&world.get_for(JANE, organization).await), Some(organization));
        }
        assert_eq!(world.fake.count(Endpoint::Any), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn s7_an_organization_can_be_named_by_id_or_by_slug() {
    let world = World::new();
    for slug in ["acme", "globex"] {
        let id = id_of(slug).await;
        let by_id = world.get_for(JANE, &id).await;
        assert_eq!(session(&by_id).organization().unwrap().id(), id);
        assert_eq!(organization_of(&by_id), Some(slug));
        let fixed = ask(&world.layer().organization(&id).unwrap(), basic(JANE)).await;
        assert_eq!(organization_of(&fixed), Some(slug));
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

/// Only a slug that the sign-in has not listed is resolved by Clerk.
#[tokio::test(start_paused = true)]
async fn s7_a_slug_listed_by_the_sign_in_needs_no_touch() {
    let world = World::new();
    for slug in ["acme", "globex"] {
        assert_eq!(organization_of(&world.get_for(JANE, slug).await), Some(slug));
    }
    assert_eq!(world.fake.count(Endpoint::Touch), 0);
    world.fake.add_organization(FakeOrganization::new("late"));
    world.fake.add_member("jane", "late", "org:member");
    assert_eq!(organization_of(&world.get_for(JANE, "late").await), Some("late"));
    assert_eq!(world.fake.count(Endpoint::Touch), 1);
}

#[tokio::test(start_paused = true)]
async fn s7_a_non_member_is_403_and_the_session_stays_open() {
    let world = World::new();
    let refused = world.get_for(BOB, "globex").await;
    assert_eq!((refused.status().as_u16(), code(&refused)), (403, "organization_forbidden"));
    assert!(!refused.headers().contains_key("www-authenticate"));
    assert_eq!(organization_of(&world.get_for(BOB, "acme").await), Some("acme"));
    assert_eq!(organization_of(&world.get(BOB).await), None);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    assert_eq!(world.fake.live_sessions_of("bob"), 1);
}

#[tokio::test(start_paused = true)]
async fn s7_an_unknown_organization_is_answered_like_a_foreign_one() {
    let world = World::new();
    let foreign_id = id_of("globex").await;
    let foreign = wire(&world.get_for(BOB, "globex").await);
    assert_eq!(foreign.0, 403);
    for name in ["nobody-knows-it", "org_2abcdefghijklmnopqrstuvwxyzA", &foreign_id] {
        assert_eq!(wire(&world.get_for(BOB, name).await), foreign, "{name}");
    }
    assert_eq!(world.get(BOB).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn k11_a_refused_organization_is_remembered_per_session_for_a_while() {
    let world = World::new();
    assert_eq!(world.get_for(BOB, "globex").await.status(), 403);
    let calls = world.fake.count(Endpoint::Any);
    assert_eq!(world.get_for(BOB, "globex").await.status(), 403);
    assert_eq!(world.fake.count(Endpoint::Any), calls);
    world.fake.add_member("bob", "globex", "org:member");
    tokio::time::advance(Duration::from_secs(11)).await;
    // The membership is newer than the sign-in, so the slug is not listed, and a touch resolves it (rule S7).
    assert_eq!(organization_of(&world.get_for(BOB, "globex").await), Some("globex"));
    assert_eq!(world.fake.count(Endpoint::Touch), 2);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    // The organization that the touch made active does not affect other requests.
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(organization_of(&world.get(BOB).await), None);
    assert_eq!(organization_of(&world.get_for(BOB, "acme").await), Some("acme"));
}

#[tokio::test(start_paused = true)]
async fn s7_a_membership_that_ended_serves_to_the_end_of_its_token_and_no_longer() {
    let world = World::new();
    assert_eq!(world.get_for(JANE, "globex").await.status(), 200);
    world.fake.remove_member("jane", "globex");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(code(&world.get_for(JANE, "globex").await), "organization_forbidden");
    assert_eq!(organization_of(&world.get_for(JANE, "acme").await), Some("acme"));
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn s7_an_invalid_organization_name_is_403_and_costs_no_call() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    let calls = world.fake.count(Endpoint::Any);
    let long = "a".repeat(257);
    for name in ["", "Acme", "acme inc", "../acme", "acme/x", "org_Ä", "a%2fb", "acme?x=1", "acme&b", &long]
    {
        let response = world.get_for(JANE, name).await;
        assert_eq!(
            (response.status().as_u16(), code(&response)),
            (403, "organization_forbidden"),
            "{name:?}"
        );
    }
    assert_eq!(world.fake.count(Endpoint::Any), calls);
    assert!(
        world.layer().organization("Not One").is_err(),
        "a fixed name is checked when the layer is built"
    );
}

#[tokio::test(start_paused = true)]
async fn s7_a_token_that_names_another_organization_is_never_passed_on() {
    for flaw in [TokenFlaw::WrongOrganization, TokenFlaw::NoOrganization] {
        for (endpoint, organization) in [(Endpoint::Tokens, "acme"), (Endpoint::Touch, "globex")] {
            let world = World::new();
            assert_eq!(world.get(BOB).await.status(), 200);
            world.fake.add_member("bob", "globex", "org:admin");
            world.fake.script(endpoint, Fault::TokenWith(flaw));
            let response = world.get_for(BOB, organization).await;
            assert_eq!(code(&response), "organization_forbidden", "{flaw:?} by {endpoint:?}");
            assert_eq!(world.get(BOB).await.status(), 200);
            assert_eq!(world.fake.count(Endpoint::SignIns), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s7_without_an_organization_the_parameter_is_sent_empty() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
    let mints = world.fake.requests_to(Endpoint::Tokens);
    assert!(!mints.is_empty() && mints.iter().all(|mint| mint.form("organization_id") == Some("")));
}

#[tokio::test(start_paused = true)]
async fn s7_an_instance_that_forces_an_organization_is_403_without_one() {
    let world = World::with(|fake| fake.force_organization_selection(true), |engine| engine);
    assert_eq!(world.get(JANE).await.status(), 403);
    assert_eq!(organization_of(&world.get_for(JANE, "acme").await), Some("acme"));
    assert_eq!(organization_of(&world.get_for(JANE, "globex").await), Some("globex"));
    // By now the session is active in some organization, and Clerk mints no token without one.
    tokio::time::advance(Duration::from_secs(10)).await;
    let response = world.get(JANE).await;
    assert_eq!((response.status().as_u16(), code(&response)), (403, "organization_forbidden"));
    assert_eq!(organization_of(&world.get_for(JANE, "acme").await), Some("acme"));
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn s7_a_forced_organization_is_explained_in_the_log() {
    let world = World::with(|fake| fake.force_organization_selection(true), |engine| engine);
    assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
    let log = logged(async {
        assert_eq!(code(&world.get(JANE).await), "organization_forbidden");
    })
    .await;
    assert!(log.contains("this instance forces an organization"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn s7_a_touch_sets_the_organization_of_a_pending_session() {
    let world = World::new();
    world.fake.pending_task("jane", "choose-organization");
    let response = world.get_for(JANE, "acme").await;
    assert_eq!(organization_of(&response), Some("acme"));
    assert_eq!(session(&response).claims().status(), Some("active"));
    assert_eq!(world.fake.count(Endpoint::Touch), 1);
    assert_eq!(organization_of(&world.get_for(JANE, "globex").await), Some("globex"));
    assert_eq!(organization_of(&world.get(JANE).await), None);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn s7_a_pending_session_stays_pending_for_a_foreign_organization() {
    let world = World::new();
    world.fake.pending_task("bob", "choose-organization");
    assert_eq!(code(&world.get_for(BOB, "globex").await), "organization_forbidden");
    assert_eq!(organization_of(&world.get_for(BOB, "acme").await), Some("acme"));
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn s7_other_session_tasks_are_left_to_the_user() {
    for tasks in [&["setup-mfa"][..], &["reset-password"], &["choose-organization", "setup-mfa"]] {
        let world = World::new();
        tasks.iter().for_each(|task| world.fake.pending_task("jane", *task));
        for response in [world.get(JANE).await, world.get_for(JANE, "acme").await] {
            assert_eq!(code(&response), "account_action_required", "{tasks:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn k7_the_least_recently_used_organization_token_is_evicted_first() {
    let world = World::new();
    let names: Vec<String> = (0..17).map(|number| format!("org-{number}")).collect();
    for name in &names {
        world.fake.add_organization(FakeOrganization::new(name.as_str()));
        world.fake.add_member("jane", name, "org:member");
    }
    for name in &names[..16] {
        assert_eq!(organization_of(&world.get_for(JANE, name).await), Some(name.as_str()));
    }
    // The first token is used again, so the seventeenth evicts the second.
    assert_eq!(world.get_for(JANE, &names[0]).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Tokens), 16);
    assert_eq!(organization_of(&world.get_for(JANE, &names[16]).await), Some("org-16"));
    assert_eq!(world.get_for(JANE, &names[0]).await.status(), 200);
    assert_eq!(world.get_for(JANE, &names[2]).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Tokens), 17);
    assert_eq!(organization_of(&world.get_for(JANE, &names[1]).await), Some("org-1"));
    assert_eq!(world.fake.count(Endpoint::Tokens), 18);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn s7_routes_for_different_organizations_never_mix_their_calls_in_flight() {
    let world = World::new();
    assert_eq!(world.get(JANE).await.status(), 200);
    for round in 0..5 {
        tokio::time::advance(Duration::from_secs(60)).await;
        let holds = [world.fake.hold_answer(Endpoint::Tokens), world.fake.hold_answer(Endpoint::Touch)];
        let mut tasks = JoinSet::new();
        for organization in [None, Some("acme"), Some("globex"), Some("acme"), None] {
            let layer = world.layer().organization_from(move |_| {
                organization.map_or(RequestOrganization::Personal, RequestOrganization::named)
            });
            tasks.spawn(async move { (organization, ask(&layer, basic(JANE)).await) });
        }
        run_ready_tasks().await;
        if round % 2 == 0 {
            holds.iter().for_each(|hold| while hold.release_one() {});
        }
        drop(holds);
        for (organization, response) in tasks.join_all().await {
            assert_eq!(organization_of(&response), organization);
        }
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn s7_a_user_in_no_organization_is_403_for_any() {
    let world = World::new();
    assert_eq!(code(&world.get_for(CAROL, "acme").await), "organization_forbidden");
    assert_eq!(world.get(CAROL).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s7_an_invalid_organization_name_costs_no_sign_in() {
    let world = World::new();
    for name in ["Acme", "acme inc", "../acme"] {
        assert_eq!(code(&world.get_for(JANE, name).await), "organization_forbidden", "{name:?}");
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

/// Each unknown name costs a call, so the requests are spread over time.
#[tokio::test(start_paused = true)]
async fn k11_sixty_four_refused_organizations_are_remembered_per_session() {
    let world = World::with(|fake| fake, |engine| engine.negative_ttl(Duration::from_secs(600)));
    assert_eq!(world.get(BOB).await.status(), 200);
    for number in 0..65 {
        let name = format!("nowhere-{number}");
        assert_eq!(code(&world.get_for(BOB, &name).await), "organization_forbidden", "{name}");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    for (number, is_asked) in [(1, false), (64, false), (0, true)] {
        let calls = world.fake.count(Endpoint::Touch);
        assert_eq!(code(&world.get_for(BOB, &format!("nowhere-{number}")).await), "organization_forbidden");
        assert_eq!(world.fake.count(Endpoint::Touch) > calls, is_asked, "nowhere-{number}");
    }
}
