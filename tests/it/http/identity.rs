//! Identity headers (rule A10).

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, ORIGIN};
use http::{HeaderName, Method, Request};
use tower_clerk::ClerkBasicAuthLayer;
use tower_clerk::layer::{IdentityField, IdentityHeaders};

use crate::common::{CAROL, JANE, Pair, Seen, World, ask, authorization, session};

/// Fields that a client sends in the hope that the inner service takes them for the layer's.
const SMUGGLED: &[(&str, &str)] = &[
    ("X-Clerk-User-Id", "user_admin"),
    ("x-clerk-user-id", "user_admin"),
    ("X_Clerk_User_Id", "user_admin"),
    ("X-Clerk_User-Id", "user_admin"),
    ("x.clerk.user.id", "user_admin"),
    ("X-CLERK-SESSION-ID", "sess_admin"),
    ("x_clerk_session_id", "sess_admin"),
    ("X-Clerk-Org-Id", "org_admin"),
    ("X-Clerk-Org-Slug", "globex"),
    ("x-clerk-org_slug", "globex"),
    ("X-Clerk-Org-Role", "org:admin"),
    ("X_CLERK_ORG_ROLE", "org:admin"),
    ("X-Clerk-Org-Role", ""),
    ("X-Clerk-Org-Permissions", "org:invoices:manage"),
    ("x|clerk|org|permissions", "org:invoices:manage"),
    ("X-Clerk-Org-Permissions", "%6Frg:invoices:manage"),
    ("Connection", "X-Clerk-User-Id"),
    ("Connection", "close, x-clerk-org-role"),
    ("Connection", "X_Clerk_Org_Id"),
    ("Connection", "keep-alive,X-Clerk-Org-Permissions,upgrade"),
];

fn smuggling(method: Method, pair: Option<Pair>) -> Request<()> {
    let mut request = Request::builder().method(method).uri("/me");
    for (name, value) in SMUGGLED {
        request = request.header(*name, *value);
    }
    if let Some(pair) = pair {
        request = request.header(AUTHORIZATION, authorization(pair));
    }
    request
        .header(ORIGIN, "https://evil.example")
        .header(ACCESS_CONTROL_REQUEST_METHOD, "GET")
        .body(())
        .unwrap()
}

/// The fields that the inner service could take for the identity, sorted.
async fn seen(layer: &ClerkBasicAuthLayer, request: Request<()>) -> Vec<(String, String)> {
    let response = ask(layer, request).await;
    assert_eq!(response.status(), 200);
    let headers = &response.extensions().get::<Seen>().unwrap().headers;
    let named = headers
        .get_all("connection")
        .iter()
        .any(|line| line.to_str().unwrap().to_lowercase().contains("clerk"));
    assert!(!named, "{headers:?}");
    let mut fields: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name.as_str().contains("clerk") || name.as_str().starts_with("x-user"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    fields.sort();
    fields
}

fn field(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a10_only_the_layers_own_fields_reach_the_inner_service_with_a_session() {
    let world = World::new();
    let layer = world.layer().organization("acme").unwrap().identity_headers(IdentityHeaders::new());
    let janes = session(&ask(&layer, smuggling(Method::GET, Some(JANE))).await).clone();
    // On a miss, above, and on a hit.
    for _ in 0..2 {
        let organization = janes.organization().unwrap();
        assert_eq!(
            seen(&layer, smuggling(Method::GET, Some(JANE))).await,
            [
                field("x-clerk-org-id", organization.id()),
                field("x-clerk-org-permissions", "org:invoices:read,org:invoices:manage"),
                field("x-clerk-org-role", "org:admin"),
                field("x-clerk-org-slug", "acme"),
                field("x-clerk-session-id", janes.session_id()),
                field("x-clerk-user-id", janes.user_id()),
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a10_no_field_of_the_clients_reaches_the_inner_service_without_a_session() {
    let world = World::new();
    let layer = || world.layer().identity_headers(IdentityHeaders::new());
    let (optional, exempt, preflight) =
        (layer().optional(), layer().exempt(|_| true), layer().pass_preflight());
    assert_eq!(seen(&optional, smuggling(Method::GET, None)).await, []);
    assert_eq!(seen(&exempt, smuggling(Method::GET, Some(JANE))).await, []);
    assert_eq!(seen(&preflight, smuggling(Method::OPTIONS, None)).await, []);
}

#[tokio::test(start_paused = true)]
async fn a10_an_absent_claim_leaves_no_field_or_an_empty_one() {
    let world = World::new();
    let carols = |fields: Vec<(String, String)>| fields.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let layer = world.layer().identity_headers(IdentityHeaders::new());
    let fields = seen(&layer, smuggling(Method::GET, Some(CAROL))).await;
    assert_eq!(carols(fields), ["x-clerk-session-id", "x-clerk-user-id"]);
    let layer = world.layer().identity_headers(IdentityHeaders::new().send_absent_as_empty());
    let fields = seen(&layer, smuggling(Method::GET, Some(CAROL))).await;
    let empty: Vec<_> =
        fields.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name.as_str()).collect();
    let of_keys = ["x-clerk-api-key-id", "x-clerk-api-key-scopes", "x-clerk-api-key-subject"];
    let of_organizations =
        ["x-clerk-org-id", "x-clerk-org-permissions", "x-clerk-org-role", "x-clerk-org-slug"];
    assert_eq!(empty, [&of_keys[..], &of_organizations].concat());
    let fields = seen(&layer.optional(), smuggling(Method::GET, None)).await;
    assert_eq!(fields.len(), IdentityField::ALL.len());
    assert!(fields.iter().all(|(_, value)| value.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a10_a_field_can_have_another_name() {
    let world = World::new();
    let headers = IdentityHeaders::new().name(IdentityField::UserId, HeaderName::from_static("x-user"));
    let layer = world.layer().identity_headers(headers);
    let mut request = smuggling(Method::GET, Some(CAROL));
    request.headers_mut().insert("x_user", "admin".parse().unwrap());
    let fields = seen(&layer, request).await;
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-clerk-session-id", "x-user"]);
    assert!(fields[1].1.starts_with("user_"));
}
