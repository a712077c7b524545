//! Behind the layer: header fields, guards and extractors (rules T3, T4, A5, A6, A10, G2).

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};
use tower_clerk::layer::{IdentityField, IdentityHeaders};
use tower_clerk::testing::FakeApiKey;
use tower_clerk::{
    AuthorizationHeader, ClerkApiKey, ClerkPrincipal, ClerkSession, ConfigError, OrganizationSession,
    Requirement,
};

use super::{TOKEN, accepting, add, key, secret_of, with_key};
use crate::common::{BOB, JANE, Seen, World, ask, authorization, basic, session};

#[tokio::test(start_paused = true)]
async fn t3_the_handler_sees_a_key_and_no_session() {
    let world = World::backend();
    let claims = json!({ "pipeline": "nightly" }).as_object().unwrap().clone();
    let (id, secret) =
        add(&world, FakeApiKey::new("jane").name("n").scopes(["a", "b"]).claims(claims).created_by("bob"));
    let response = with_key(&accepting(&world), &secret).await;
    assert!(response.extensions().get::<ClerkSession>().is_none());
    let key = key(&response);
    assert_eq!((key.id(), key.name(), key.user_id()), (&*id, "n", Some(key.subject())));
    assert_eq!(
        (key.scopes().collect::<Vec<_>>(), key.has_scope("a"), key.has_scope("A")),
        (vec!["a", "b"], true, false)
    );
    assert_eq!(key.claims::<Value>().unwrap()["pipeline"], "nightly");
    assert!(key.created_by().unwrap().starts_with("user_") && key.created_by() != key.user_id());
    assert_eq!(key.expires_at(), None);
    assert!(!format!("{key:?}").contains(&secret[3..]));
    let (_, plain) = add(&world, FakeApiKey::new("jane"));
    let response = with_key(&accepting(&world), &plain).await;
    assert_eq!(super::key(&response).claims::<Option<Value>>().unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn t4_a_key_has_identity_headers_of_its_own_and_leaves_none_of_the_clients() {
    let world = World::backend();
    let secret = secret_of(&world, "acme");
    let forged = |pair: (&str, &str)| {
        Request::get("/me")
            .header("authorization", authorization(pair))
            .header("X-Clerk-User-Id", "user_forged")
            .header("x_clerk_api_key_scopes", "everything")
            .header("X-Clerk-Api-Key-Subject", "user_forged")
            .body(())
            .unwrap()
    };
    let layer = accepting(&world).identity_headers(IdentityHeaders::new());
    let response = ask(&layer, forged((TOKEN, &secret))).await;
    let headers = &response.extensions().get::<Seen>().unwrap().headers;
    let names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(headers["x-clerk-api-key-id"], world.fake.demo_api_key("acme").0);
    assert_eq!(headers["x-clerk-api-key-subject"], "org_ojHFcumdg8ZxYa1pebKSFy9ijB5");
    assert_eq!(headers["x-clerk-api-key-scopes"], "invoices:read,invoices:manage");
    // A session has none of a key's.
    let response = ask(&layer, forged(JANE)).await;
    let headers = &response.extensions().get::<Seen>().unwrap().headers;
    assert!(headers.contains_key("x-clerk-user-id") && !headers.contains_key("x-clerk-api-key-id"));
    assert!(
        !headers.contains_key("x-clerk-api-key-scopes") && !headers.contains_key("x_clerk_api_key_scopes")
    );
    // Where absent fields are sent empty, those of the other kind are empty.
    let layer = accepting(&world).identity_headers(IdentityHeaders::new().send_absent_as_empty());
    let response = ask(&layer, forged((TOKEN, &secret))).await;
    let headers = &response.extensions().get::<Seen>().unwrap().headers;
    assert_eq!(headers.len(), IdentityField::ALL.len());
    assert!(headers["x-clerk-user-id"].is_empty() && headers["x-clerk-org-id"].is_empty());
}

/// However a request passes without a key, and whether the layer accepts keys or not.
#[tokio::test(start_paused = true)]
async fn a10_no_way_past_the_layer_leaves_a_clients_own_fields_of_a_key() {
    let world = World::backend();
    let with = |layer: tower_clerk::ClerkBasicAuthLayer| layer.identity_headers(IdentityHeaders::new());
    for (what, layer) in [
        ("exempt", with(accepting(&world)).exempt(|_| true)),
        ("preflight", with(accepting(&world)).pass_preflight()),
        ("anonymous", with(accepting(&world)).optional()),
        ("a layer without keys", with(world.layer()).optional()),
    ] {
        let request = Request::options("/me")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "GET")
            .header("X-Clerk-Api-Key-Id", "ak_forged")
            .header("X_Clerk_Api_Key_Subject", "org_forged")
            .header("x-clerk-api-key-scopes", "everything")
            .body(())
            .unwrap();
        let response = ask(&layer, request).await;
        let seen = &response.extensions().get::<Seen>().unwrap_or_else(|| panic!("{what}")).headers;
        assert!(seen.keys().all(|name| !name.as_str().contains("clerk")), "{what}: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a5_the_secret_ends_at_the_layer_unless_it_is_to_keep_the_field() {
    let world = World::backend();
    let secret = secret_of(&world, "jane");
    for (layer, expected) in [
        (accepting(&world), false),
        (accepting(&world).authorization_header(AuthorizationHeader::Keep).unwrap(), true),
    ] {
        for _ in 0..2 {
            let response = with_key(&layer, &secret).await;
            let field = response.extensions().get::<Seen>().unwrap().headers.get("authorization").cloned();
            assert_eq!(field.as_ref().is_some_and(http::HeaderValue::is_sensitive), expected);
        }
    }
}

/// A key of an outer layer must not count behind an inner one.
#[tokio::test(start_paused = true)]
async fn a5_a_key_of_another_layer_is_removed() {
    let world = World::backend();
    let secret = secret_of(&world, "jane");
    let inner = service_fn(|request: Request<()>| async move {
        let principal = ClerkPrincipal::of(request.extensions());
        Ok::<_, Infallible>(http::Response::new(format!("{}", principal.is_some())))
    });
    let stack = ServiceBuilder::new().layer(accepting(&world)).layer(world.layer().optional()).service(inner);
    let response = stack.oneshot(basic((TOKEN, &secret))).await.unwrap();
    assert_eq!(response.body(), "false");
}

#[tokio::test(start_paused = true)]
async fn t4_a_guard_of_a_session_is_closed_to_keys_and_one_of_a_scope_to_sessions() {
    let world = World::backend();
    let layer = accepting(&world).organization("acme").unwrap();
    let secret = secret_of(&world, "acme");
    let within = std::time::Duration::from_secs(3600);
    let second = tower_clerk::guard::SecondFactor::Required { within };
    let new = Requirement::new;
    for (requirement, of_key, of_session) in [
        (new().scope("invoices:read"), true, false),
        (new().scope("invoices:write"), false, false),
        (new().scope("invoices:read").scope("invoices:manage"), true, false),
        (new().role("org:admin"), false, true),
        (new().permission("org:invoices:read"), false, true),
        (new().feature("reports"), false, false),
        (new().plan("pro"), false, false),
        (new().second_factor(second), false, false),
        (new().fresh_proof(within), false, true),
        (new().deny_impersonation(), false, true),
        (new().organization(), true, true),
        (new().role("org:admin").scope("invoices:read"), false, false),
        (Requirement::any_of([new().role("org:admin"), new().scope("invoices:read")]), true, true),
    ] {
        let what = format!("{requirement:?}");
        let guard = layer.require(requirement).unwrap();
        let service = ServiceBuilder::new()
            .layer(layer.clone())
            .layer(guard.clone())
            .service(service_fn(crate::common::me));
        for (pair, passes) in [((TOKEN, &*secret), of_key), (JANE, of_session)] {
            let response = service.clone().oneshot(basic(pair)).await.unwrap();
            let expected = if passes { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(response.status(), expected, "{what} for {}", pair.0);
            if !passes {
                assert_eq!(crate::common::code(&response), "forbidden");
            }
        }
        let key = with_key(&layer, &secret).await;
        assert_eq!(guard.check_api_key(super::key(&key)).is_ok(), of_key);
        assert_eq!(guard.check(session(&ask(&layer, basic(JANE)).await)).is_ok(), of_session);
    }
    for scope in ["", " a", "a\n"] {
        let error = layer.require(Requirement::new().scope(scope)).unwrap_err();
        assert!(matches!(error, ConfigError::Requirement(_)), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn t4_extractors_of_sessions_answer_a_key_403_and_the_other_way_round() {
    let world = World::backend();
    let layer = accepting(&world).organization("acme").unwrap().optional();
    let app = Router::new()
        .route("/session", get(async |_: ClerkSession| "ok"))
        .route("/session/optional", get(async |_: Option<ClerkSession>| "ok"))
        .route("/organization", get(async |_: OrganizationSession| "ok"))
        .route("/organization/optional", get(async |_: Option<OrganizationSession>| "ok"))
        .route("/key", get(async |_: ClerkApiKey| "ok"))
        .route("/key/optional", get(async |_: Option<ClerkApiKey>| "ok"))
        .route("/any", get(async |_: ClerkPrincipal| "ok"))
        .route("/any/optional", get(async |_: Option<ClerkPrincipal>| "ok"))
        .layer(layer);
    let (secret, (ok, no, who)) = (secret_of(&world, "jane"), (200, 403, 401));
    for (path, of_key, of_session, of_nobody) in [
        ("/session", no, ok, who),
        ("/session/optional", no, ok, ok),
        ("/organization", no, ok, who),
        ("/organization/optional", no, ok, ok),
        ("/key", ok, no, who),
        ("/key/optional", ok, no, ok),
        ("/any", ok, ok, who),
        ("/any/optional", ok, ok, ok),
    ] {
        let credentials = [Some(authorization((TOKEN, &secret))), Some(authorization(BOB)), None];
        for (credentials, expected) in credentials.into_iter().zip([of_key, of_session, of_nobody]) {
            let mut request = Request::get(path);
            if let Some(credentials) = &credentials {
                request = request.header("authorization", credentials);
            }
            let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), expected, "{path} {credentials:?}");
        }
    }
    let alone = Router::new().route("/", get(async |_: ClerkPrincipal| "ok"));
    let response = alone.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 500, "a route without a layer");
}

#[tokio::test(start_paused = true)]
async fn t4_the_challenge_is_that_of_basic_alone() {
    let world = World::backend();
    let response = with_key(&accepting(&world), "ak_unknown").await;
    let challenges: Vec<_> = response.headers().get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, [r#"Basic realm="api", charset="UTF-8""#]);
    let service = accepting(&world).layer(service_fn(crate::common::me));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], r#"Basic realm="api", charset="UTF-8""#);
}
