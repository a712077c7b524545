//! The axum app of the README and the nested one of the cookbook, driven.

use axum::body::Body;
use axum::{Router, routing::get};
use http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_clerk::{
    Clerk, ClerkBasicAuthLayer, ClerkSession, ConfigError, OrganizationSelector, OrganizationSession,
    Requirement, Role,
};

use crate::common::{BOB, CAROL, JANE, Pair, World, authorization, in_time};

const ADMIN: Role = Role::new("org:admin");

fn app(clerk: Clerk) -> Result<Router, ConfigError> {
    let layer = ClerkBasicAuthLayer::new(clerk).problem_json();
    let acme = layer.clone().organization("acme")?;
    let by_path = layer.clone().organization_by(OrganizationSelector::path("/orgs/{org}/{*rest}"))?;
    let admin = acme.require(Requirement::new().role(ADMIN))?;
    Ok(Router::new()
        .route("/me", get(me).layer(layer.clone()))
        .route("/hello", get(hello).layer(layer.optional()))
        .route("/orgs/{org}/invoices", get(invoices).layer(by_path))
        .route("/admin", get(me).layer((acme, admin)))
        .route("/healthz", get(async || "ok")))
}

async fn me(session: ClerkSession) -> String {
    session.user_id().to_owned()
}

async fn hello(session: Option<ClerkSession>) -> String {
    session.map_or("hello stranger".to_owned(), |session| format!("hello {}", session.user_id()))
}

async fn invoices(session: OrganizationSession) -> String {
    format!("the invoices of {}", session.organization().id())
}

fn nested(clerk: Clerk) -> Result<Router, ConfigError> {
    let path = OrganizationSelector::path("/orgs/{org}/{*rest}");
    let of_organization = Router::new()
        .route("/invoices", get(async |session: OrganizationSession| session.organization().id().to_owned()))
        .layer(ClerkBasicAuthLayer::new(clerk).organization_by(path)?);
    Ok(Router::new().nest("/orgs/{org}", of_organization))
}

async fn call(app: &Router, path: &str, pair: Option<Pair>) -> (u16, String) {
    let request = Request::get(path);
    let request = match pair {
        Some(pair) => request.header("authorization", authorization(pair)),
        None => request,
    };
    let response = in_time(app.clone().oneshot(request.body(Body::empty()).unwrap())).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a6_the_app_of_the_readme_has_five_kinds_of_routes() {
    let world = World::new();
    let app = app(world.clerk.clone()).unwrap();
    for (path, of_nobody, of_carol, of_bob, of_jane) in [
        ("/me", 401, 200, 200, 200),
        ("/hello", 200, 200, 200, 200),
        ("/orgs/acme/invoices", 401, 403, 200, 200),
        ("/orgs/globex/invoices", 401, 403, 403, 200),
        ("/admin", 401, 403, 403, 200),
        ("/healthz", 200, 200, 200, 200),
    ] {
        for (pair, status) in
            [(None, of_nobody), (Some(CAROL), of_carol), (Some(BOB), of_bob), (Some(JANE), of_jane)]
        {
            assert_eq!(call(&app, path, pair).await.0, status, "{path} {pair:?}");
        }
    }
    assert_eq!(call(&app, "/hello", None).await.1, "hello stranger");
    assert!(call(&app, "/hello", Some(JANE)).await.1.starts_with("hello user_"));
    assert!(call(&app, "/orgs/globex/invoices", Some(JANE)).await.1.starts_with("the invoices of org_"));
}

#[tokio::test(start_paused = true)]
async fn a8_the_nested_app_of_the_readme_sees_the_whole_path() {
    let world = World::new();
    let app = nested(world.clerk.clone()).unwrap();
    for (pair, of_acme, of_globex) in
        [(None, 401, 401), (Some(CAROL), 403, 403), (Some(BOB), 200, 403), (Some(JANE), 200, 200)]
    {
        for (slug, status) in [("acme", of_acme), ("globex", of_globex)] {
            assert_eq!(
                call(&app, &format!("/orgs/{slug}/invoices"), pair).await.0,
                status,
                "{slug} {pair:?}"
            );
        }
    }
}

/// The example of the README and the cookbook, in twelve lines.
#[test]
fn a6_the_readme_has_this_app() {
    let (readme, source) = (include_str!("../../../README.md"), include_str!("readme.rs"));
    let cookbook = include_str!("../../../docs/cookbook.md");
    for (page, start) in [
        (readme, "fn app("),
        (readme, "async fn me("),
        (readme, "async fn hello("),
        (readme, "async fn invoices("),
        (cookbook, "fn nested("),
    ] {
        let at = source.find(&format!("\n{start}")).unwrap() + 1;
        let end = at + source[at..].find("\n}\n").unwrap() + 3;
        let function = &source[at..end];
        assert!(page.contains(function), "the page has another `{start}`");
        assert!(function.lines().count() <= 12, "{start}");
    }
}
