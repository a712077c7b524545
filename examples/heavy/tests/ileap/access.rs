//! Between the published cases: other schemes, other tokens, other organizations, both APIs, outages.

use std::time::Duration;

use axum::http::{HeaderValue, Method};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tower_clerk::testing::{Endpoint, FakeClerk, FakeUser, Fault, basic};

use crate::auth::{Authentication, Template};
use crate::harness::{Answer, JANE, World, event};

const FOOTPRINTS: [&str; 2] = ["/2/footprints", "/2/footprints/5b0e3f5c-2f0b-4d52-9a53-0f6f0a4f7c01"];
const ACTIVITIES: &str = "/2/ileap/tad";

/// The answers of all data routes to requests with these `Authorization` fields: footprints and events, then activities.
async fn data(world: &World, authorization: &[&str]) -> (Vec<Answer>, Answer) {
    let mut fields: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
    let mut of_footprints = Vec::new();
    for path in FOOTPRINTS {
        of_footprints.push(world.ask(Method::GET, path, &fields, "").await);
    }
    let activities = world.ask(Method::GET, ACTIVITIES, &fields, "").await;
    fields.push(("content-type", "application/cloudevents+json"));
    let event = event("ProductFootprintRequest.Created", &json!({ "pf": {} }));
    of_footprints.push(world.ask(Method::POST, "/2/events", &fields, event.to_string()).await);
    (of_footprints, activities)
}

/// Asks all data routes, and checks the errors of footprints and events, and that of activities.
async fn refused(world: &World, authorization: &[&str], footprints: (u16, &str), activities: (u16, &str)) {
    let (of_footprints, of_activities) = data(world, authorization).await;
    for answer in &of_footprints {
        assert_eq!(answer.error(), (footprints.0, footprints.1.to_owned()), "{authorization:?}");
    }
    assert_eq!(of_activities.error(), (activities.0, activities.1.to_owned()), "{authorization:?}");
    for answer in of_footprints.iter().chain([&of_activities]) {
        assert_eq!(answer.field("cache-control"), ["no-store"]);
        let is_of_bearer = answer.field("www-authenticate").iter().all(|field| field.starts_with("Bearer "));
        assert!(is_of_bearer, "no password is asked for: {answer:?}");
        assert!(answer.status != 401 || answer.headers.contains_key("www-authenticate"), "{answer:?}");
    }
}

async fn allowed(world: &World, token: &str) {
    let (of_footprints, activities) = data(world, &[&format!("Bearer {token}")]).await;
    for answer in of_footprints.iter().chain([&activities]) {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn i6_basic_on_a_data_route_is_answered_like_no_token_and_costs_no_sign_in() {
    let world = World::new().await;
    refused(&world, &[], (400, "BadRequest"), (403, "AccessDenied")).await;
    let password = basic(JANE.0, JANE.1);
    for field in [password.to_str().unwrap(), "Digest a", "Basic !", "Bearer"] {
        let footprints = if field == "Bearer" { (401, "BadRequest") } else { (400, "BadRequest") };
        refused(&world, &[field], footprints, (403, "AccessDenied")).await;
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test]
async fn i6_two_authorization_fields_are_400_bad_request() {
    let world = World::new().await;
    let token = format!("Bearer {}", world.token().await);
    refused(&world, &[&token, &token], (400, "BadRequest"), (400, "BadRequest")).await;
}

#[tokio::test]
async fn i6_bearer_on_the_token_route_is_401_invalid_client_and_asks_for_basic() {
    let world = World::new().await;
    let token = world.token().await;
    world.fake.clear_log();
    for path in ["/auth/token", "/"] {
        let field = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let answer = world.authenticate_with(path, &field).await;
        assert_eq!(answer.oauth(), (401, "invalid_client".to_owned()));
        assert_eq!(answer.field("www-authenticate"), ["Basic realm=\"api\", charset=\"UTF-8\""]);
        assert_eq!(world.get(path, &token).await.status, 405);
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test]
async fn i6_an_expired_token_is_401_token_expired_on_all_data_routes() {
    let world = World::new().await;
    let token = format!("Bearer {}", world.token().await);
    world.advance(Duration::from_secs(70)).await;
    refused(&world, &[&token], (401, "TokenExpired"), (401, "TokenExpired")).await;
}

#[tokio::test]
async fn i6_a_revoked_or_foreign_token_is_refused_as_an_invalid_one() {
    let world = World::new().await;
    let token = world.token().await;
    let foreign = FakeClerk::builder().host("clerk.elsewhere.example").build();
    let foreign = foreign.token(&foreign.open_session(JANE.0)).sign();
    refused(&world, &[&format!("Bearer {foreign}")], (401, "BadRequest"), (403, "AccessDenied")).await;
    allowed(&world, &token).await;
    world.clerk.revoke_user(claims(&token)["sub"].as_str().unwrap());
    refused(&world, &[&format!("Bearer {token}")], (401, "BadRequest"), (403, "AccessDenied")).await;
}

#[tokio::test]
async fn i6_a_token_of_another_organization_is_403_access_denied() {
    let acme = Authentication { organization: Some("acme".to_owned()), ..Authentication::default() };
    let world = World::with(acme, |_, builder| builder).await;
    let session = world.fake.open_session(JANE.0);
    let denied = (403, "AccessDenied");
    let globex = world.fake.token(&session).organization("globex").sign();
    refused(&world, &[&format!("Bearer {globex}")], denied, denied).await;
    let personal = world.fake.token(&session).sign();
    refused(&world, &[&format!("Bearer {personal}")], denied, denied).await;
    allowed(&world, &world.fake.token(&session).organization("acme").sign()).await;

    let world = World::new().await;
    let session = world.fake.open_session(JANE.0);
    let acme = world.fake.token(&session).organization("acme").sign();
    refused(&world, &[&format!("Bearer {acme}")], denied, denied).await;
}

#[tokio::test]
async fn i6_access_tokens_are_for_the_organization_of_the_host() {
    let acme = Authentication { organization: Some("acme".to_owned()), ..Authentication::default() };
    let world = World::with(acme, |_, builder| builder).await;
    let token = world.token().await;
    assert_eq!(claims(&token)["o"]["slg"], "acme", "{}", claims(&token));
    allowed(&world, &token).await;
    let answer = world.authenticate("/auth/token", ("carol@example.com", "personal account only")).await;
    assert_eq!(answer.oauth(), (400, "unauthorized_client".to_owned()));
}

#[tokio::test]
async fn i6_access_tokens_of_a_template_are_accepted_by_its_audience() {
    let template = Template { name: "partner".to_owned(), audience: "https://api.example.com".to_owned() };
    let of_template = Authentication { template: Some(template), ..Authentication::default() };
    let world = World::with(of_template, |_, builder| builder).await;
    for (name, audience) in [("partner", "https://api.example.com"), ("other", "https://other.example.com")] {
        let claims = json!({ "aud": audience, "email": "{{user.primary_email_address}}" });
        world.fake.add_template(name, Duration::from_secs(60), claims.as_object().unwrap().clone());
    }
    let token = world.token().await;
    assert_eq!(claims(&token)["email"], JANE.0);
    allowed(&world, &token).await;
    let session = world.fake.open_session(JANE.0);
    for token in [world.fake.token(&session).sign(), world.fake.token(&session).template("other").sign()] {
        refused(&world, &[&format!("Bearer {token}")], (401, "BadRequest"), (403, "AccessDenied")).await;
    }
}

#[tokio::test]
async fn i6_the_backend_api_leads_to_tokens_too() {
    let world = World::with(Authentication::default(), |fake, builder| {
        builder.secret_key(fake.secret_key()).backend_url(fake.backend_url())
    });
    let world = world.await;
    let token = world.token().await;
    assert_eq!(world.fake.count(Endpoint::SignIns), 1, "the ticket");
    assert_ne!(world.fake.count(Endpoint::Backend), 0);
    allowed(&world, &token).await;
    let refused = world.authenticate("/auth/token", (JANE.0, "wrong")).await;
    assert_eq!(refused.oauth(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn i6_credentials_are_form_encoded_so_a_plus_is_a_space() {
    let world = World::new().await;
    world.fake.add_user(FakeUser::new("user+tag@x.io").password("p%41ss + one"));
    let of = |pair: &str| HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair))).unwrap();
    let encoded = of("user%2Btag%40x.io:p%2541ss+%2B+one");
    assert_eq!(world.authenticate_with("/auth/token", &encoded).await.status, 200);
    let as_it_is = of("user+tag@x.io:p%41ss + one");
    assert_eq!(world.authenticate_with("/auth/token", &as_it_is).await.status, 400);
    let broken = world.authenticate_with("/auth/token", &of("user:100%")).await;
    assert_eq!(broken.oauth(), (401, "invalid_client".to_owned()));
}

#[tokio::test]
async fn i6_an_outage_is_503_and_never_says_that_a_token_is_invalid() {
    let world = World::new().await;
    let token = world.fake.token(&world.fake.open_session(JANE.0)).sign();
    world.fake.script_always(Endpoint::Any, Fault::Status(503));
    let (of_footprints, activities) = data(&world, &[&format!("Bearer {token}")]).await;
    for answer in of_footprints.iter().chain([&activities]) {
        assert_eq!(answer.error(), (503, "InternalError".to_owned()));
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    }
    let answer = world.authenticate("/auth/token", JANE).await;
    assert_eq!(answer.oauth(), (503, "temporarily_unavailable".to_owned()));
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
}

#[tokio::test]
async fn i2_links_do_not_come_from_the_host_field() {
    let world = World::new().await;
    let token = format!("Bearer {}", world.token().await);
    let fields = [("authorization", &*token), ("host", "evil.example"), ("x-forwarded-host", "evil.example")];
    for path in ["/2/footprints?limit=1", "/2/ileap/tad?limit=1"] {
        let answer = world.ask(Method::GET, path, &fields, "").await;
        assert!(answer.next().unwrap().starts_with(&world.url), "{answer:?}");
    }
    let document = world.ask(Method::GET, "/.well-known/openid-configuration", &fields[1..], "").await.json();
    assert_eq!(document["token_endpoint"], format!("{}/auth/token", world.url));
    assert_eq!(document["jwks_uri"], format!("{}/jwks", world.url));
}
