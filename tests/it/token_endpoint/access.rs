//! The organization and the template of a token (rule E3).

use std::time::Duration;

use serde_json::{Value, json};
use tower_clerk::Access;
use tower_clerk::testing::Endpoint;
use tower_clerk::token_endpoint::TokenEndpoint;

use super::{token, token_with};
use crate::common::{CAROL, JANE, World};

fn world(backend: bool) -> World {
    let world = if backend { World::backend() } else { World::new() };
    let Value::Object(claims) = json!({ "aud": "partners", "for": "{{org.slug}}" }) else { unreachable!() };
    world.fake.add_template("partner", Duration::from_secs(120), claims);
    world
}

/// The organization that a token names, by id.
fn organization(claims: &Value) -> Option<&str> {
    claims["o"]["id"].as_str().or_else(|| claims["org_id"].as_str())
}

#[tokio::test(start_paused = true)]
async fn e3_organization_and_template_come_from_the_settings() {
    for backend in [false, true] {
        let world = world(backend);
        let personal = token(&world.endpoint(), JANE).await.claims();
        assert_eq!(organization(&personal), None, "{personal}");

        let acme = world.endpoint().organization("acme").unwrap();
        let claims = token(&acme, JANE).await.claims();
        assert!(organization(&claims).is_some_and(|id| id.starts_with("org_")), "{claims}");

        let template = acme.clone().template("partner").unwrap();
        let answer = token(&template, JANE).await;
        assert_eq!((&answer.claims()["aud"], &answer.claims()["for"]), (&json!("partners"), &json!("acme")));
        assert!(answer.expires_in() > 100, "the template's own life: {}", answer.expires_in());

        // Carol is a member of no organization.
        let answer = token(&acme, CAROL).await;
        assert_eq!(answer.failure(), (400, "unauthorized_client"));
        assert_eq!(token(&world.endpoint(), CAROL).await.status, 200, "the session stays");
    }
    let endpoint = World::new().endpoint();
    assert!(endpoint.clone().organization("Acme Inc").is_err());
    assert!(endpoint.clone().template("no such/template").is_err());
    assert!(endpoint.realm("line\nbreak").is_err());
}

#[tokio::test(start_paused = true)]
async fn e3_a_template_that_cannot_be_minted_is_an_error() {
    let world = world(false);
    let answer = token(&world.endpoint().template("no-such-template").unwrap(), JANE).await;
    assert_eq!(answer.failure(), (500, "server_error"));
}

fn by_scope(world: &World) -> TokenEndpoint {
    world.endpoint().access_from(|request| {
        let scopes: Vec<&str> = request.scopes().collect();
        match (&scopes[..], request.audience()) {
            ([], None) => Some(Access::new()),
            (["acme"], None) => Some(Access::new().organization("acme")),
            (["acme", "partner"], None) => Some(Access::new().organization("acme").template("partner")),
            ([], Some("partners")) => Some(Access::new().template("partner")),
            (["malformed"], None) => Some(Access::new().organization("Acme Inc")),
            (["secret"], None) => Some(Access::new().organization("globex")),
            _ => None,
        }
    })
}

#[tokio::test(start_paused = true)]
async fn e3_scope_and_audience_choose_by_a_function() {
    let world = world(false);
    let endpoint = by_scope(&world);
    assert_eq!(organization(&token(&endpoint, JANE).await.claims()), None);
    let acme = token_with(&endpoint, JANE, "scope=acme").await.claims();
    assert!(organization(&acme).is_some());
    let partner = token_with(&endpoint, JANE, "scope=acme+partner").await.claims();
    assert_eq!((&partner["aud"], &partner["for"]), (&json!("partners"), &json!("acme")));
    let audience = token_with(&endpoint, JANE, "audience=partners").await.claims();
    assert_eq!(audience["aud"], "partners");
    assert_eq!(world.fake.count(Endpoint::SignIns), 1, "one sign-in for all");
}

#[tokio::test(start_paused = true)]
async fn e3_an_unknown_scope_is_invalid_scope_once_the_password_is_verified() {
    let world = World::unlimited();
    let endpoint = by_scope(&world);
    let mut answers = Vec::new();
    // Unknown, known but of another organization, and known but of a name that no organization has.
    for parameters in ["scope=nope", "audience=nope", "scope=acme+acme", "scope=malformed"] {
        let answer = token_with(&endpoint, CAROL, parameters).await;
        assert_eq!(answer.failure(), (400, "invalid_scope"), "{parameters}");
        answers.push(answer.json);
    }
    let of_others = token_with(&endpoint, CAROL, "scope=acme").await;
    assert_eq!(of_others.failure(), (400, "invalid_scope"));
    answers.push(of_others.json);
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "one answer: {answers:?}");

    for parameters in ["scope=nope", "scope=acme"] {
        let wrong = token_with(&endpoint, (CAROL.0, "a wrong password"), parameters).await;
        assert_eq!(wrong.failure(), (401, "invalid_client"), "without the password, the list stays secret");
    }
}

#[tokio::test(start_paused = true)]
async fn e3_without_a_function_there_are_no_scopes_and_audience_is_an_unknown_parameter() {
    let world = World::new();
    let answer = token_with(&world.endpoint(), JANE, "scope=acme").await;
    assert_eq!(answer.failure(), (400, "invalid_scope"));
    assert_eq!(world.fake.count(Endpoint::Any), 0);
    assert_eq!(token_with(&world.endpoint(), JANE, "audience=anything").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn e3_a_malformed_scope_is_invalid_scope() {
    let world = World::new();
    let endpoint = world.endpoint().access_from(|_| Some(Access::new()));
    for scope in ["+a", "a+", "a++b", "a%22", "a%5c", "a%0a", "a%09b", "%c3%a4", "+"] {
        let answer = token_with(&endpoint, JANE, &format!("scope={scope}")).await;
        assert_eq!(answer.failure(), (400, "invalid_scope"), "{scope}");
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
    assert_eq!(token_with(&endpoint, JANE, "scope=a:b/c.d+https://x.io/e!").await.status, 200);
}
