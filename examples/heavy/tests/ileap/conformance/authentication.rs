//! PACT's cases 1, 2, 18 and 19: a token for credentials.

use axum::http::Method;

use crate::harness::{JANE, World};

#[tokio::test]
async fn i1_pact_tc01_valid_credentials_get_a_token() {
    let world = World::new().await;
    let answer = world.authenticate("/auth/token", JANE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert!(json["access_token"].as_str().is_some_and(|token| token.starts_with("eyJ")));
    assert_eq!(json["token_type"].as_str().unwrap().to_ascii_lowercase(), "bearer");
    assert!(json["expires_in"].as_u64().unwrap() >= 29);
    assert_eq!(answer.field("cache-control"), ["no-store"]);
}

#[tokio::test]
async fn i1_pact_tc02_invalid_credentials_are_400_invalid_request() {
    let world = World::new().await;
    let refused = world.authenticate("/auth/token", ("wrong-user", "wrong-password")).await;
    assert_eq!(refused.oauth(), (400, "invalid_request".to_owned()));
    let refused = world.authenticate("/auth/token", (JANE.0, "wrong")).await;
    assert_eq!(refused.oauth(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn i1_pact_tc18_the_token_endpoint_is_found_by_the_discovery_document() {
    let world = World::new().await;
    let document = world.ask(Method::GET, "/.well-known/openid-configuration", &[], "").await.json();
    for name in ["issuer", "token_endpoint", "jwks_uri"] {
        assert!(document[name].as_str().is_some_and(|value| value.starts_with("http")), "{document}");
    }
    let answer = world.authenticate(document["token_endpoint"].as_str().unwrap(), JANE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(world.get("/2/footprints", &token).await.status, 200);

    let keys = world.ask(Method::GET, document["jwks_uri"].as_str().unwrap(), &[], "").await;
    assert_eq!(keys.status, 200);
    assert!(keys.json()["keys"].as_array().is_some_and(|keys| !keys.is_empty()));
}

#[tokio::test]
async fn i1_pact_tc19_invalid_credentials_at_the_discovered_endpoint_are_400() {
    let world = World::new().await;
    let document = world.ask(Method::GET, "/.well-known/openid-configuration", &[], "").await.json();
    let endpoint = document["token_endpoint"].as_str().unwrap();
    let refused = world.authenticate(endpoint, ("wrong-user", "wrong-password")).await;
    assert_eq!(refused.status, 400, "{refused:?}");
}

#[tokio::test]
async fn i1_the_token_endpoint_is_at_the_root_too() {
    let world = World::new().await;
    let answer = world.authenticate("/", JANE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let refused = world.authenticate("/", ("wrong-user", "wrong-password")).await;
    assert_eq!(refused.oauth(), (400, "invalid_request".to_owned()));
}
