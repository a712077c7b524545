//! Tests of an application behind the layer: put your own router into `app`.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request, StatusCode, header::AUTHORIZATION};
use axum::{Router, routing::get};
use tower::ServiceExt as _;
use tower_clerk::testing::{self, Endpoint, FakeClerk, FakeUser, Fault};
use tower_clerk::{Clerk, ClerkBasicAuthLayer, OrganizationSession, Requirement, Role};

const ADMIN: Role = Role::new("org:admin");

fn app(clerk: Clerk) -> Router {
    let acme = ClerkBasicAuthLayer::new(clerk).problem_json().organization("acme").unwrap();
    let admin = acme.require(Requirement::new().role(ADMIN)).unwrap();
    let who = async |session: OrganizationSession| session.organization().id().to_owned();
    Router::new().route("/invoices", get(who)).route("/admin", get(who).layer(admin)).layer(acme)
}

/// The application on a stand-in for Clerk, with ada as an admin of the organization acme and grace as a member.
fn world() -> (FakeClerk, Clerk, Router) {
    let (fake, clerk) = testing::unlimited();
    for (user, role) in [("ada@example.com", "org:admin"), ("grace@example.com", "org:member")] {
        fake.add_user(FakeUser::new(user).password("difference engine"));
        fake.add_member(user, "acme", role);
    }
    let app = app(clerk.clone());
    (fake, clerk, app)
}

async fn ask(app: &Router, path: &str, credentials: Option<HeaderValue>) -> (StatusCode, String) {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    if let Some(credentials) = credentials {
        request.headers_mut().insert(AUTHORIZATION, credentials);
    }
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn ada() -> Option<HeaderValue> {
    Some(testing::basic("ada@example.com", "difference engine"))
}

fn grace() -> Option<HeaderValue> {
    Some(testing::basic("grace@example.com", "difference engine"))
}

#[tokio::test]
async fn members_are_let_in_and_nobody_else() {
    let (fake, _clerk, app) = world();
    let acme = fake.organization_id("acme").unwrap();
    assert_eq!(ask(&app, "/invoices", ada()).await, (StatusCode::OK, acme));
    assert_eq!(ask(&app, "/invoices", None).await.0, StatusCode::UNAUTHORIZED);
    let wrong = Some(testing::basic("ada@example.com", "analytical engine"));
    let (status, body) = ask(&app, "/invoices", wrong).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body.contains("credentials_rejected"), "{body}");
    fake.add_user(FakeUser::new("eve@example.com").password("listening"));
    let stranger = Some(testing::basic("eve@example.com", "listening"));
    assert_eq!(ask(&app, "/invoices", stranger).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn admins_alone_reach_the_page_of_admins() {
    let (_fake, _clerk, app) = world();
    assert_eq!(ask(&app, "/admin", ada()).await.0, StatusCode::OK);
    assert_eq!(ask(&app, "/admin", grace()).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_password_goes_to_clerk_once() {
    let (fake, _clerk, app) = world();
    for _ in 0..10 {
        assert_eq!(ask(&app, "/invoices", ada()).await.0, StatusCode::OK);
    }
    assert_eq!(fake.count(Endpoint::SignIns), 1);
}

#[tokio::test]
async fn an_outage_of_clerk_is_503_for_new_users_and_nothing_for_the_others() {
    let (fake, _clerk, app) = world();
    assert_eq!(ask(&app, "/invoices", ada()).await.0, StatusCode::OK);
    fake.script_always(Endpoint::Any, Fault::Refused);
    assert_eq!(ask(&app, "/invoices", ada()).await.0, StatusCode::OK);
    assert_eq!(ask(&app, "/invoices", grace()).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_banned_user_is_out_at_once_when_the_webhook_says_so() {
    let (fake, clerk, app) = world();
    assert_eq!(ask(&app, "/invoices", ada()).await.0, StatusCode::OK);
    fake.ban("ada@example.com");
    // The service of the feature `webhook` does this when Clerk sends `user.updated`.
    clerk.revoke_user(&fake.user_id("ada@example.com").unwrap());
    assert_eq!(ask(&app, "/invoices", ada()).await.0, StatusCode::UNAUTHORIZED);
}
