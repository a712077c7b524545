//! The discovery document and the key set (rule E6).

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{Method, Request};
use serde_json::{Value, json};
use tower_clerk::testing::{Endpoint, Fault};

use super::{Answer, send, token};
use crate::common::{JANE, World, run_ready_tasks};

async fn keys(world: &World) -> Answer {
    send(world.endpoint().key_set(), Request::get("/jwks").body(()).unwrap()).await
}

fn kids(answer: &Answer) -> Vec<String> {
    let keys = answer.json["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The key id in a token's header.
fn kid(answer: &Answer) -> String {
    let header = BASE64_URL_SAFE_NO_PAD.decode(answer.token().split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn e6_the_key_set_is_fetched_once_and_verifies_the_tokens() {
    let world = World::new();
    let handed_out = kid(&token(&world.endpoint(), JANE).await);
    for _ in 0..10 {
        let answer = keys(&world).await;
        assert_eq!(answer.status, 200);
        assert_eq!(kids(&answer), [&*handed_out]);
        assert_eq!(answer.field("cache-control"), "public, max-age=60");
        assert_eq!(answer.field("content-type"), "application/json");
    }
    assert_eq!(world.fake.count(Endpoint::Jwks), 1, "the engine's own fetch");
    let set = keys(&world).await.json;
    let members: Vec<&String> = set["keys"][0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"], "nothing else");
}

#[tokio::test(start_paused = true)]
async fn e6_the_key_set_is_fetched_on_demand_and_shared_by_requests_at_once() {
    let world = World::new();
    world.fake.script(Endpoint::Jwks, Fault::Delay(Duration::from_secs(1)));
    let (first, second, third) = tokio::join!(keys(&world), keys(&world), keys(&world));
    assert_eq!([first.status, second.status, third.status], [200; 3]);
    assert_eq!(world.fake.count(Endpoint::Jwks), 1);
    token(&world.endpoint(), JANE).await;
    assert_eq!(world.fake.count(Endpoint::Jwks), 1, "the engine uses it too");
}

#[tokio::test(start_paused = true)]
async fn e6_an_old_key_set_is_refetched_in_the_background_and_survives_an_outage() {
    let world = World::new();
    let old = kids(&keys(&world).await);
    world.fake.rotate_keys();
    world.fake.retire_old_keys();
    tokio::time::sleep(Duration::from_secs(301)).await;
    world.fake.script(Endpoint::Jwks, Fault::Status(502));
    assert_eq!(kids(&keys(&world).await), old, "no request waits");
    run_ready_tasks().await;
    // The fetch has failed. Requests cause another one after 30 s.
    for _ in 0..100 {
        assert_eq!(kids(&keys(&world).await), old);
        run_ready_tasks().await;
    }
    assert_eq!(world.fake.count(Endpoint::Jwks), 2);
    tokio::time::sleep(Duration::from_secs(31)).await;
    keys(&world).await;
    run_ready_tasks().await;
    assert_eq!(kids(&keys(&world).await), [world.fake.kid()]);
    assert_eq!(world.fake.count(Endpoint::Jwks), 3);
}

#[tokio::test(start_paused = true)]
async fn e6_the_key_of_a_token_that_was_handed_out_is_in_the_key_set() {
    let world = World::new();
    keys(&world).await;
    world.fake.rotate_keys();
    let handed_out = kid(&token(&world.endpoint(), JANE).await);
    assert!(kids(&keys(&world).await).contains(&handed_out));
}

#[tokio::test(start_paused = true)]
async fn e6_without_keys_the_answer_is_503_and_few_fetches_are_tried() {
    let world = World::new();
    world.fake.script_always(Endpoint::Jwks, Fault::Status(502));
    for _ in 0..100 {
        let answer = keys(&world).await;
        assert_eq!(answer.failure(), (503, "temporarily_unavailable"));
        assert_eq!((answer.field("retry-after"), answer.field("cache-control")), ("1", "no-store"));
    }
    assert_eq!(world.fake.count(Endpoint::Jwks), 1);
    world.fake.clear_script(Endpoint::Jwks);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(keys(&world).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn e6_the_discovery_document_has_the_settings_addresses_and_the_issuer_of_the_tokens() {
    let world = World::new();
    let (url, jwks) = ("https://api.example.com/auth/token", "https://api.example.com/jwks");
    let ask = async |endpoint: tower_clerk::token_endpoint::TokenEndpoint| {
        let request = Request::get("/.well-known/openid-configuration").header("host", "evil.example");
        send(endpoint.discovery(url, jwks).unwrap(), request.body(()).unwrap()).await
    };
    let answer = ask(world.endpoint()).await;
    assert_eq!((answer.status, answer.field("cache-control")), (200, "public, max-age=60"));
    assert_eq!(
        answer.json,
        json!({
            "issuer": world.fake.issuer(),
            "token_endpoint": url,
            "jwks_uri": jwks,
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    );
    assert_eq!(token(&world.endpoint(), JANE).await.claims()["iss"], answer.json["issuer"]);
    let methods =
        &ask(world.endpoint().credentials_in_form()).await.json["token_endpoint_auth_methods_supported"];
    assert_eq!(*methods, json!(["client_secret_basic", "client_secret_post"]));
}

#[tokio::test(start_paused = true)]
async fn e6_addresses_in_the_discovery_document_are_absolute() {
    let endpoint = World::new().endpoint();
    let good = "http://127.0.0.1:3000/jwks";
    for bad in [
        "",
        "/auth/token",
        "api.example.com/token",
        "ftp://x.io/",
        "https://",
        "https://a@x.io/",
        "https://x.io/#a",
    ] {
        let error = endpoint.discovery(bad, good).unwrap_err();
        assert!(error.to_string().starts_with("token_endpoint must be"), "{bad}: {error}");
        let error = endpoint.discovery(good, bad).unwrap_err();
        assert!(error.to_string().starts_with("jwks_uri must be"), "{bad}: {error}");
    }
    assert!(endpoint.discovery(good, "https://x.io/jwks?a=b").is_ok());
}

#[tokio::test(start_paused = true)]
async fn e6_the_documents_are_only_read() {
    let world = World::new();
    let document = world.endpoint().discovery("https://x.io/token", "https://x.io/jwks").unwrap();
    for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS, Method::DELETE] {
        let request = || Request::builder().method(method.clone()).body(()).unwrap();
        let is_read = [Method::GET, Method::HEAD].contains(&method);
        for answer in
            [send(document.clone(), request()).await, send(world.endpoint().key_set(), request()).await]
        {
            assert_eq!(answer.status, if is_read { 200 } else { 405 }, "{method}");
            assert_eq!(answer.field("allow"), if is_read { "" } else { "GET, HEAD" });
        }
    }
}

/// Each of the services is one that axum and hyper serve as it is.
#[tokio::test(start_paused = true)]
async fn e6_the_services_are_routes_of_axum() {
    fn is_infallible<S: tower::Service<Request<axum::body::Body>, Error = Infallible>>(_: &S) {}

    let world = World::new();
    let endpoint = world.endpoint();
    is_infallible(&endpoint);
    let discovery = endpoint.discovery("https://x.io/auth/token", "https://x.io/auth/jwks").unwrap();
    let auth = axum::Router::new()
        .route_service("/jwks", endpoint.key_set())
        .route_service("/token", endpoint.clone());
    let app: axum::Router = axum::Router::new()
        .nest("/auth", auth)
        .nest_service("/other", endpoint)
        .route_service("/.well-known/openid-configuration", discovery);
    for (path, status) in [
        ("/auth/jwks", 200),
        ("/auth/token", 405),
        ("/other/anything", 405),
        ("/.well-known/openid-configuration", 200),
    ] {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(app.clone(), request).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
}
