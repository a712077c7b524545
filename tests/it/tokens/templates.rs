//! Template tokens: never replaced by the default token, and always for the requested organization (rule S8).

use std::time::Duration;

use crate::common::{BOB, JANE, World, ask, basic, code, organization_of, run_ready_tasks, session};
use http::Response;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tower_clerk::RequestOrganization;
use tower_clerk::testing::{Endpoint, Fault, TokenFlaw};

fn world() -> World {
    let world = World::new();
    let Value::Object(claims) = json!({ "aud": "partners", "for": "{{org.slug}}", "who": "{{user.id}}" })
    else {
        unreachable!()
    };
    world.fake.add_template("partner", Duration::from_secs(120), claims);
    world
}

/// Returns the user and the organization that the template put into the token.
#[track_caller]
fn partner(response: &Response<String>) -> (String, Option<String>) {
    let claims: Value = session(response).custom_claims().unwrap();
    assert_eq!(claims["aud"], "partners", "the token is not of the template");
    assert_eq!(claims["who"], session(response).user_id());
    let organization = claims["for"].as_str().filter(|slug| !slug.is_empty()).map(str::to_owned);
    (session(response).user_id().to_owned(), organization)
}

#[tokio::test(start_paused = true)]
async fn s8_a_layer_with_a_template_passes_on_its_tokens() {
    let world = world();
    let layer = world.layer().template("partner").unwrap();
    let response = ask(&layer, basic(JANE)).await;
    assert_eq!(partner(&response).1, None);
    // A layer without a template still passes on the default token.
    assert!(
        session(&world.get(JANE).await).custom_claims::<Map<String, Value>>().unwrap().get("aud").is_none()
    );
    let calls = world.fake.count(Endpoint::Any);
    partner(&ask(&layer, basic(JANE)).await);
    assert_eq!(world.fake.count(Endpoint::Any), calls, "the second is a hit");
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn s8_an_unknown_template_is_misconfigured_and_the_session_stays() {
    let world = world();
    let layer = world.layer().template("no-such-template").unwrap();
    for _ in 0..2 {
        let response = ask(&layer, basic(JANE)).await;
        assert_eq!((response.status().as_u16(), code(&response)), (500, "misconfigured"));
    }
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    assert!(world.layer().template("no such/template").is_err());
}

#[tokio::test(start_paused = true)]
async fn s8_a_template_token_is_for_the_requested_organization() {
    let world = world();
    let layer = world.layer().template("partner").unwrap();
    let of = |slug: &'static str| layer.clone().organization(slug).unwrap();
    for slug in ["acme", "globex", "acme"] {
        let response = ask(&of(slug), basic(JANE)).await;
        assert_eq!(partner(&response).1.as_deref(), Some(slug));
        // The template's token names no organization by itself; the session does.
        assert_eq!(organization_of(&response), Some(slug));
    }
    let response = ask(&layer, basic(JANE)).await;
    assert_eq!(partner(&response).1, None, "no organization was requested");
    assert_eq!(organization_of(&response), None);
    assert_eq!(code(&ask(&of("globex"), basic(BOB)).await), "organization_forbidden");
    assert_eq!(partner(&ask(&of("acme"), basic(BOB)).await).1.as_deref(), Some("acme"));
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}

#[tokio::test(start_paused = true)]
async fn s8_touch_and_mint_are_one_critical_section() {
    let world = world();
    assert_eq!(world.get(JANE).await.status(), 200);
    for _ in 0..5 {
        tokio::time::advance(Duration::from_secs(120)).await;
        let holds = [world.fake.hold(Endpoint::Touch), world.fake.hold(Endpoint::TemplateTokens)];
        let mut tasks = JoinSet::new();
        for slug in ["acme", "globex", "", "acme", "globex", ""] {
            let layer = world.layer().template("partner").unwrap();
            let layer = layer.organization_from(move |_| match slug {
                "" => RequestOrganization::Personal,
                slug => RequestOrganization::named(slug),
            });
            tasks.spawn(async move { (slug, ask(&layer, basic(JANE)).await) });
        }
        for _ in 0..20 {
            run_ready_tasks().await;
            assert!(
                holds.iter().map(tower_clerk::testing::Hold::waiting).sum::<usize>() <= 1,
                "one touch or mint at a time"
            );
            holds.iter().for_each(|hold| _ = hold.release_one());
        }
        drop(holds);
        for (slug, response) in tasks.join_all().await {
            assert_eq!(partner(&response).1.as_deref().unwrap_or_default(), slug);
        }
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn s8_an_organization_touched_for_one_route_does_not_leak_into_a_template_of_another() {
    let world = world();
    world.fake.add_member("bob", "globex", "org:member");
    assert_eq!(partner(&ask(&world.layer().template("partner").unwrap(), basic(BOB)).await).1, None);
    // An unlisted slug is resolved by a touch, which makes it the session's active organization.
    world.fake.add_organization(tower_clerk::testing::FakeOrganization::new("late"));
    world.fake.add_member("bob", "late", "org:member");
    assert_eq!(organization_of(&world.get_for(BOB, "late").await), Some("late"));
    tokio::time::advance(Duration::from_secs(120)).await;
    let response = ask(&world.layer().template("partner").unwrap(), basic(BOB)).await;
    assert_eq!(partner(&response).1, None);
    let of_acme = world.layer().template("partner").unwrap().organization("acme").unwrap();
    assert_eq!(partner(&ask(&of_acme, basic(BOB)).await).1.as_deref(), Some("acme"));
}

#[tokio::test(start_paused = true)]
async fn s9_a_template_token_is_verified_like_any_other() {
    let world = world();
    let layer = world.layer().template("partner").unwrap();
    for flaw in [TokenFlaw::WrongSub, TokenFlaw::WrongIssuer, TokenFlaw::AlgNone, TokenFlaw::BadSignature] {
        world.fake.script(Endpoint::TemplateTokens, Fault::TokenWith(flaw));
        assert_eq!(code(&ask(&layer, basic(JANE)).await), "upstream_unavailable", "{flaw:?}");
    }
    partner(&ask(&layer, basic(JANE)).await);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn k8_one_token_flight_serves_all_requests_for_one_template() {
    let world = world();
    assert_eq!(world.get(JANE).await.status(), 200);
    let hold = world.fake.hold(Endpoint::TemplateTokens);
    let requests: JoinSet<_> = (0..50)
        .map(|_| {
            let layer = world.layer().template("partner").unwrap();
            async move { ask(&layer, basic(JANE)).await }
        })
        .collect();
    crate::common::in_time(hold.arrived(1)).await;
    run_ready_tasks().await;
    assert_eq!(hold.waiting(), 1, "all requests wait for one mint");
    let start = tokio::time::Instant::now();
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(start.elapsed(), Duration::ZERO, "a default token does not wait");
    hold.release();
    requests.join_all().await.iter().for_each(|response| _ = partner(response));
    assert_eq!(world.fake.count(Endpoint::TemplateTokens), 1);
}
