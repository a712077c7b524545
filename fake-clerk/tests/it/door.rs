//! Checks that every request to the Frontend API has to pass.

use bytes::Bytes;
use fake_clerk::FakeClerk;
use http::Request;

use super::caller::{Caller, JANE, part};

#[tokio::test(start_paused = true)]
async fn only_forms_are_accepted() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let json = |kind: Option<&str>| {
        let mut request = Request::post(format!("{}/v1/client/sign_ins?_is_native=1", clerk.fapi_url()));
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        request.body(Bytes::from(r#"{"identifier":"jane"}"#)).unwrap()
    };
    for kind in [Some("application/json"), Some("multipart/form-data"), None] {
        assert_eq!(caller.send(json(kind)).await.refusal(), (415, "unsupported_content_type"));
    }
    // An empty body needs no content type.
    caller.post("/v1/client", &[]).await.ok();
}

#[tokio::test(start_paused = true)]
async fn browser_requests_are_refused_unless_enabled() {
    let sign_in = |clerk: &FakeClerk| {
        let body = format!("identifier=jane&password={}", JANE.replace(' ', "+"));
        Request::post(format!("{}/v1/client/sign_ins", clerk.fapi_url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(body))
            .unwrap()
    };
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    assert_eq!(caller.send(sign_in(&clerk)).await.refusal(), (401, "dev_browser_unauthenticated"));
    clerk.reconfigure(|settings| settings.browser_mode(true));
    let got = caller.send(sign_in(&clerk)).await;
    let cookie = got.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(got.header("authorization").is_none());
    let request = Request::get(format!("{}/v1/client", clerk.fapi_url())).header("cookie", cookie);
    let body = caller.send(request.body(Bytes::new()).unwrap()).await.ok();
    assert_eq!(body["response"]["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_native_api_shows_in_the_environment() {
    let clerk = FakeClerk::builder().native_api(false).build();
    let mut caller = Caller::new(&clerk);
    assert_eq!(caller.sign_in("jane", JANE).await.refusal(), (400, "native_api_disabled"));
    let environment = caller.get("/v1/environment").await.ok();
    assert_eq!(environment["auth_config"]["native_settings"]["api_enabled"], false);
}

#[tokio::test(start_paused = true)]
async fn the_environment_shows_the_settings() {
    let lock = std::time::Duration::from_secs(1800);
    let clerk = FakeClerk::builder().lockout(7, lock).single_session_mode(false).passwords(false).build();
    let environment = Caller::new(&clerk).get("/v1/environment").await.ok();
    let lockout = &environment["user_settings"]["attack_protection"]["user_lockout"];
    assert_eq!(lockout.to_string(), r#"{"duration_in_minutes":30,"enabled":true,"max_attempts":7}"#);
    assert_eq!(environment["auth_config"]["single_session_mode"], false);
    assert_eq!(environment["user_settings"]["attributes"]["password"]["enabled"], false);
}

#[tokio::test(start_paused = true)]
async fn origin_and_authorization_are_mutually_exclusive() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    caller.get("/v1/client").await.ok();
    let mut both = caller.request("GET", "/v1/client", &[]);
    both.headers_mut().insert("origin", "https://app.example.com".parse().unwrap());
    assert_eq!(caller.send(both).await.refusal(), (400, "origin_authorization_headers_conflict"));
    let mut two = caller.request("GET", "/v1/client", &[]);
    two.headers_mut().append("authorization", "more".parse().unwrap());
    assert_eq!(caller.send(two).await.refusal(), (400, "multiple_authorization_header_values_forbidden"));
    caller.token = None;
    let mut two = caller.request("GET", "/v1/client", &[]);
    two.headers_mut().append("origin", "https://a.example.com".parse().unwrap());
    two.headers_mut().append("origin", "https://b.example.com".parse().unwrap());
    assert_eq!(caller.send(two).await.refusal(), (400, "multiple_origin_header_values_forbidden"));
}

#[tokio::test(start_paused = true)]
async fn a_version_is_a_single_date() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    caller.get("/v1/environment?__clerk_api_version=2026-05-12").await.ok();
    for (query, header) in [("2026-05-12", Some("2026-05-12")), ("newest", None), ("2020-01-01", None)] {
        let mut request = caller.request("GET", &format!("/v1/environment?__clerk_api_version={query}"), &[]);
        if let Some(version) = header {
            request.headers_mut().insert("clerk-api-version", version.parse().unwrap());
        }
        assert_eq!(caller.send(request).await.refusal(), (400, "api_version_invalid"), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_token_may_have_a_bearer_prefix() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let id = caller.get("/v1/client").await.ok()["response"]["id"].clone();
    let token = caller.token.clone().unwrap();
    assert_eq!(part(&token.as_str().into(), 1)["id"], id);
    for spelled in [token.clone(), format!("Bearer {token}"), format!("bearer {token}")] {
        caller.token = Some(spelled);
        assert_eq!(caller.get("/v1/client").await.ok()["response"]["id"], id);
    }
    for (wrong, refusal) in [
        ("Basic amFuZTpw".to_owned(), (401, "authorization_header_format_invalid")),
        ("nonsense".to_owned(), (401, "authorization_header_format_invalid")),
        (format!("{}x", &token[..token.len() - 1]), (401, "signed_out")),
    ] {
        caller.token = Some(wrong);
        assert_eq!(caller.get("/v1/client").await.refusal(), refusal);
    }
    // Expo sends an empty header while it has no token.
    caller.token = Some(String::new());
    assert_ne!(caller.get("/v1/client").await.ok()["response"]["id"], id);
}

#[tokio::test(start_paused = true)]
async fn unknown_targets_and_large_bodies_are_refused() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    assert_eq!(caller.get("/v1/me").await.refusal(), (404, "resource_not_found"));
    assert_eq!(caller.get("/v1/client/sign_ins").await.status, 405);
    assert_eq!(caller.post("/.well-known/jwks.json", &[]).await.status, 405);
    let large = "x".repeat(1024 * 1024);
    assert_eq!(caller.sign_in("jane", &large).await.refusal(), (413, "request_body_too_large"));
    assert_eq!(caller.get("/v1/health").await.ok()["status"], "healthy");
}

#[tokio::test(start_paused = true)]
async fn invalid_utf_8_is_reported_with_its_parameter() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let mut request = caller.request("POST", "/v1/client/sign_ins", &[("identifier", "jane")]);
    *request.body_mut() = Bytes::from("identifier=jane&password=%ff");
    let got = caller.send(request).await;
    assert_eq!(got.refusal(), (422, "form_param_value_invalid"));
    assert_eq!(got.body["errors"][0]["meta"]["param_name"], "password");
}

#[test]
fn a_request_is_answered_outside_of_tokio() {
    let clerk = FakeClerk::new();
    let keys = Request::get(clerk.fapi_url() + "/.well-known/jwks.json").body(Bytes::new()).unwrap();
    let mut answer = std::pin::pin!(clerk.handle(keys));
    let polled = answer.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, std::task::Poll::Ready(Ok(response)) if response.status() == 200));
}
