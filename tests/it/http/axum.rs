//! Sessions as axum extractors (rule A6).

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
use tower_clerk::layer::{ProblemJson, RejectionResponse as _};
use tower_clerk::{BearerTokens, ClerkSession, OrganizationSession, Rejection, RejectionKind};

use crate::common::{CAROL, JANE, Pair, World, authorization, in_time};

async fn required(session: ClerkSession) -> String {
    session.user_id().to_owned()
}

async fn optional(session: Option<ClerkSession>) -> String {
    session.map_or("nobody".to_owned(), |session| session.user_id().to_owned())
}

async fn scoped(session: OrganizationSession) -> String {
    assert!(session.has_role(session.organization().role().unwrap()), "it derefs to the session");
    session.organization().slug().unwrap().to_owned()
}

async fn optionally_scoped(session: Option<OrganizationSession>) -> String {
    session.map_or("nobody".to_owned(), |session| session.into_session().user_id().to_owned())
}

fn handlers() -> Router {
    Router::new()
        .route("/required", get(required))
        .route("/optional", get(optional))
        .route("/scoped", get(scoped))
        .route("/optionally-scoped", get(optionally_scoped))
}

async fn call(app: &Router, path: &str, pair: Option<Pair>) -> Response<Body> {
    let request = Request::get(path);
    let request = match pair {
        Some(pair) => request.header("authorization", authorization(pair)),
        None => request,
    };
    in_time(app.clone().oneshot(request.body(Body::empty()).unwrap())).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// The status, and the code of the problem in the body.
async fn refused(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(response.extensions().get::<Rejection>().is_some());
    let problem: Value = serde_json::from_str(&text(response).await).unwrap();
    (status, problem["code"].as_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a6_extractors_return_the_session_that_the_layer_has_left() {
    let world = World::new();
    let app = handlers().layer(world.layer().organization("acme").unwrap());
    for path in ["/required", "/optional", "/optionally-scoped"] {
        let response = call(&app, path, Some(JANE)).await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(text(response).await.starts_with("user_"), "{path}");
    }
    assert_eq!(text(call(&app, "/scoped", Some(JANE)).await).await, "acme");
}

#[tokio::test(start_paused = true)]
async fn a6_extractors_answer_a_request_without_a_session_with_the_layers_challenge() {
    let world = World::new();
    let app = handlers().layer(world.layer().optional().realm("partners").unwrap());
    for path in ["/required", "/scoped"] {
        let response = call(&app, path, None).await;
        assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"partners\", charset=\"UTF-8\"");
        assert_eq!(refused(response).await, (401, "credentials_missing".to_owned()), "{path}");
    }
    for path in ["/optional", "/optionally-scoped"] {
        assert_eq!(text(call(&app, path, None).await).await, "nobody", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a6_an_organization_session_is_never_one_for_the_personal_account() {
    let world = World::new();
    let app = handlers().layer(world.layer());
    for path in ["/scoped", "/optionally-scoped"] {
        for user in [JANE, CAROL] {
            let response = call(&app, path, Some(user)).await;
            assert!(!response.headers().contains_key("www-authenticate"));
            assert_eq!(refused(response).await, (403, "organization_forbidden".to_owned()), "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b6_an_extractor_of_an_organization_answers_a_bearer_session_insufficient_scope() {
    let world = World::new();
    let app = handlers().layer(world.layer().accept_bearer(BearerTokens::new()).unwrap());
    let jwt = world.fake.token(&world.fake.open_session(JANE.0)).sign();
    for path in ["/scoped", "/optionally-scoped"] {
        let request = Request::get(path).header("authorization", format!("Bearer {jwt}"));
        let response = in_time(app.clone().oneshot(request.body(Body::empty()).unwrap())).await.unwrap();
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert_eq!(challenge, r#"Bearer realm="api", error="insufficient_scope""#, "{path}");
        assert_eq!(refused(response).await, (403, "organization_forbidden".to_owned()), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a6_extractors_answer_a_route_without_a_layer_500() {
    let app = handlers();
    for path in ["/required", "/optional", "/scoped", "/optionally-scoped"] {
        for user in [None, Some(JANE)] {
            let response = call(&app, path, user).await;
            assert_eq!(refused(response).await, (500, "misconfigured".to_owned()), "{path}");
        }
    }
}

/// A `?` in a handler can return a rejection.
#[tokio::test(start_paused = true)]
async fn a2_a_rejection_is_an_axum_response() {
    async fn handler() -> Result<String, Rejection> {
        Err(Rejection::new(RejectionKind::CredentialsMissing))
    }
    let response = call(&Router::new().route("/", get(handler)), "/", None).await;
    assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"api\", charset=\"UTF-8\"");
    let rejection = response.extensions().get::<Rejection>().unwrap().clone();
    let expected: Response<String> = ProblemJson::default().rejection_response(&rejection);
    assert_eq!(text(response).await, *expected.body());
}
