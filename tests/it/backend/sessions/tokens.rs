//! Tokens, which the Frontend API mints while it is available, and otherwise the Backend API.

use std::time::Duration;

use super::{MINUTE, sign_ins, world};
use crate::common::{BOB, CAROL, JANE, World, ask, basic, code, organization_of, session};
use crate::stores::StoreFile;
use tower_clerk::testing::{Endpoint, Fault};

#[tokio::test(start_paused = true)]
async fn p2_tokens_come_from_the_frontend_api_while_it_works_and_otherwise_from_the_backend_api() {
    let world = World::backend_with(|fake| fake.mint_limit(2, MINUTE), |engine| engine);
    for _ in 0..10 {
        assert_eq!(world.get(JANE).await.status(), 200);
        assert_eq!(world.get_for(JANE, "acme").await.status(), 200);
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
    let limited = world.fake.requests_to(Endpoint::Tokens);
    let limited = limited.iter().filter(|it| it.status().is_some_and(|status| status == 429)).count();
    assert!((1..5).contains(&limited), "{limited} calls were answered 429");
    assert!(world.fake.count(Endpoint::BackendTokens) > 0);
    assert!(world.fake.count(Endpoint::Tokens) > limited);

    // The Frontend API fails altogether.
    let world = World::backend();
    assert_eq!(world.get(JANE).await.status(), 200);
    for fault in [Fault::Status(503), Fault::Hang, Fault::Reset] {
        world.fake.script_always(Endpoint::Tokens, fault);
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(world.get(JANE).await.status(), 200);
    }
    assert_eq!(sign_ins(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn p4_an_unavailable_frontend_api_is_not_called_for_a_while() {
    let world = World::backend();
    for pair in [JANE, BOB, CAROL] {
        assert_eq!(world.get(pair).await.status(), 200);
    }
    world.fake.script_always(Endpoint::Tokens, Fault::Status(503));
    tokio::time::sleep(2 * MINUTE).await;
    for pair in [JANE, BOB, CAROL] {
        assert_eq!(world.get(pair).await.status(), 200);
    }
    assert_eq!((world.fake.count(Endpoint::Tokens), world.fake.count(Endpoint::BackendTokens)), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn k2_tokens_live_for_the_configured_lifetime() {
    let world = World::backend_with(|fake| fake, |engine| engine.token_lifetime(Duration::from_secs(600)));
    let response = world.get(JANE).await;
    tokio::time::sleep(2 * MINUTE).await;
    let response =
        if session(&response).claims().expires_at() - session(&response).claims().issued_at() == 600 {
            response
        } else {
            world.get(JANE).await
        };
    let claims = session(&response).claims();
    assert_eq!(claims.expires_at() - claims.issued_at(), 600);
    assert_eq!(world.fake.count(Endpoint::Tokens), 0, "the Frontend API cannot set a lifetime");
    assert_eq!(organization_of(&world.get_for(JANE, "acme").await), Some("acme"));
    assert_eq!(world.clerk.stats().max_active_users, Some(3_600));
}

#[tokio::test(start_paused = true)]
async fn s8_the_backend_api_mints_templates_for_the_requested_organization() {
    let store = StoreFile::new();
    let first = world(&store);
    let claims = serde_json::json!({ "org": "{{org.slug}}", "who": "{{user.username}}" });
    let claims = claims.as_object().unwrap().clone();
    first.fake.add_template("partner", MINUTE, claims);
    let layer = |world: &World| world.layer().organization("acme").unwrap().template("partner").unwrap();
    store.lose_logins().await;
    for world in [first.clone(), first.restarted(|engine| engine.store(store.open()))] {
        let response = ask(&layer(&world), basic(JANE)).await;
        let claims: serde_json::Value = session(&response).custom_claims().unwrap();
        assert_eq!((claims["org"].as_str(), claims["who"].as_str()), (Some("acme"), Some("jane")));
        assert_eq!(organization_of(&response), Some("acme"));
    }
    first.fake.remove_member("jane", "acme");
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(code(&ask(&layer(&first), basic(JANE)).await), "organization_forbidden");
    let missing = first.layer().template("nowhere").unwrap();
    assert_eq!(code(&ask(&missing, basic(BOB)).await), "misconfigured");
}
