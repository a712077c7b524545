//! Checks that every request to the Backend API has to pass.

use std::time::Duration;

use bytes::Bytes;
use fake_clerk::{Endpoint, FakeClerk, Fault};
use http::Request;
use serde_json::json;
use tokio::time::{Instant, advance};

use super::caller::{Caller, JANE, Server};

#[tokio::test(start_paused = true)]
async fn only_the_instances_secret_key_is_accepted() {
    let clerk = FakeClerk::new();
    let mut server = Server::new(&clerk);
    let got = server.get("/v1/users").await;
    assert!(got.header("date").is_some() && got.header("authorization").is_none());
    assert_eq!(got.status, 200);
    let wrong = (401, "clerk_key_invalid");
    let malformed = (401, "authorization_header_format_invalid");
    for (key, refusal) in [
        (format!("{}x", server.key), wrong),
        (format!("Bearer {}", FakeClerk::builder().host("clerk.other.example").build().secret_key()), wrong),
        (clerk.secret_key(), malformed),
        ("Bearer ".to_owned(), malformed),
        ("Basic amFuZTpw".to_owned(), malformed),
        (String::new(), malformed),
    ] {
        server.key = key;
        assert_eq!(server.get("/v1/users").await.refusal(), refusal, "{}", server.key);
        assert_eq!(server.get("/v1/jwks").await.refusal(), refusal, "{}", server.key);
    }
    let without = Request::get(clerk.backend_url() + "/v1/users").body(Bytes::new()).unwrap();
    assert_eq!(server.send(without).await.refusal(), malformed);
    // The key has Clerk's format, and is the same at every start.
    let key = clerk.secret_key();
    assert!(key.starts_with("sk_test_") && key.len() == 50, "{key}");
    assert_eq!(key, FakeClerk::new().secret_key());
}

#[tokio::test(start_paused = true)]
async fn each_api_is_at_its_own_host() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    assert_eq!(clerk.backend_url(), "https://api.fake-clerk.example");
    for path in ["/v1/environment", "/.well-known/jwks.json", "/v1/client", "/v1/no_such_thing"] {
        assert_eq!(server.get(path).await.refusal(), (404, "resource_not_found"), "{path}");
    }
    let mut caller = Caller::new(&clerk);
    for path in ["/v1/users", "/v1/jwks", "/v1/sessions/sess_any"] {
        assert_eq!(caller.get(path).await.refusal(), (404, "resource_not_found"), "{path}");
    }
    assert_eq!(clerk.count(Endpoint::Backend), 0);
    assert_eq!(clerk.count(Endpoint::Unknown), 7);
    assert_eq!(server.post("/v1/users", json!({})).await.status, 405);
}

#[tokio::test(start_paused = true)]
async fn bodies_are_json_objects_of_known_parameters() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let path = format!("/v1/users/{}/verify_password", server.user("username=jane").await);
    for (body, refusal) in [
        ("{\"password\":", (400, "request_body_invalid")),
        ("[]", (400, "request_body_invalid")),
        ("password=hunter2", (400, "request_body_invalid")),
        ("{}", (422, "form_param_missing")),
        (r#"{"password":null}"#, (422, "form_param_missing")),
        (r#"{"password":7}"#, (422, "form_param_value_invalid")),
        (r#"{"password":"x","pin":1}"#, (422, "form_param_unknown")),
    ] {
        assert_eq!(server.post(&path, body).await.refusal(), refusal, "{body}");
    }
    let mut form = server.request("POST", &path, "password=x");
    form.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    assert_eq!(server.send(form).await.refusal(), (415, "unsupported_content_type"));
    let mut old = server.request("GET", "/v1/users", "");
    old.headers_mut().insert("clerk-api-version", "2020-01-01".parse().unwrap());
    assert_eq!(server.send(old).await.refusal(), (400, "api_version_invalid"));
    let large = format!("{{\"password\":\"{}\"}}", "x".repeat(1 << 20));
    assert_eq!(server.post(&path, large).await.refusal(), (413, "request_body_too_large"));
}

#[tokio::test(start_paused = true)]
async fn native_api_and_browser_mode_settings_do_not_affect_servers() {
    let clerk = FakeClerk::builder().native_api(false).passwords(false).build();
    Server::new(&clerk).get("/v1/users").await.ok();
}

#[tokio::test(start_paused = true)]
async fn a_development_key_has_a_hundred_requests_in_any_ten_seconds() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    for path in ["/v1/users", "/v1/instance"].iter().cycle().take(100) {
        server.get(path).await.ok();
    }
    advance(Duration::from_secs(4)).await;
    let got = server.get("/v1/users").await;
    assert_eq!(got.refusal(), (429, "too_many_requests"));
    assert_eq!(got.header("retry-after"), Some("6"));
    // Refused requests and key sets don't count.
    server.get("/v1/jwks").await.ok();
    advance(Duration::from_secs(6)).await;
    server.get("/v1/users").await.ok();
    clerk.reconfigure(|settings| settings.secret_key("sk_live_abc"));
    let server = Server::new(&clerk);
    for _ in 0..999 {
        server.get("/v1/instance").await.ok();
    }
    assert_eq!(server.get("/v1/users").await.status, 429);
    clerk.reconfigure(|settings| settings.backend_limit(1001, Duration::from_secs(10)));
    server.get("/v1/users").await.ok();
    assert_eq!(server.get("/v1/users").await.status, 429);
    clerk.reconfigure(|settings| settings.no_rate_limit());
    server.get("/v1/users").await.ok();
}

#[tokio::test(start_paused = true)]
async fn faults_holds_and_counts_cover_the_backend_api() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    clerk.script(Endpoint::Backend, Fault::Status(503));
    clerk.script(Endpoint::Users, Fault::StatusWithCode(409, "resource_locked".to_owned()));
    // The endpoint's own fault comes first.
    assert_eq!(server.get("/v1/users").await.refusal(), (409, "resource_locked"));
    Caller::new(&clerk).sign_in("jane", JANE).await.ok();
    assert_eq!(server.get("/v1/users").await.status, 503);
    clerk.script(Endpoint::Users, Fault::Oversized);
    let oversized = clerk.handle(server.request("GET", "/v1/users", "")).await.unwrap();
    assert!(oversized.body().len() > 2 * 1024 * 1024);
    assert_eq!((clerk.count(Endpoint::Users), clerk.count(Endpoint::Backend)), (3, 3));
    assert_eq!(clerk.requests_to(Endpoint::Backend).len(), 3);
    assert_eq!(clerk.max_in_window(Endpoint::Backend, Duration::from_secs(1)), 3);
    let hold = clerk.hold(Endpoint::Backend);
    let held = tokio::spawn(async move { server.get("/v1/instance").await.status });
    hold.arrived(1).await;
    hold.release();
    assert_eq!(held.await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_log_has_hosts_and_bodies_but_prints_no_secret() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let id = server.user("username=jane").await;
    server.post(&format!("/v1/users/{id}/verify_password"), json!({ "password": JANE })).await.ok();
    let ticket = server.ticket(json!({ "user_id": id })).await;
    let ticket = [("strategy", "ticket"), ("ticket", ticket.as_str())];
    Caller::new(&clerk).post("/v1/client/sign_ins", &ticket).await.ok();
    let requests = clerk.requests();
    let hosts: Vec<_> = requests.iter().map(|request| request.host()).collect();
    let (api, frontend) = ("api.fake-clerk.example", "clerk.fake-clerk.example");
    assert_eq!(hosts, [api, api, api, frontend]);
    assert_eq!(requests[1].json().unwrap()["password"], JANE);
    let shown = format!("{requests:?}");
    assert!(shown.contains(api) && shown.contains(&id), "{shown}");
    for secret in [JANE, clerk.secret_key().as_str(), ticket[1].1] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_password_checks_are_slowed_down() {
    let time = Duration::from_millis(250);
    let clerk = FakeClerk::builder().verify_password_time(time).build();
    let server = Server::new(&clerk);
    let jane = server.user("username=jane").await;
    let sso = server.user("email_address=sso%40example.com").await;
    for (user, password, status, expected) in [
        (jane.as_str(), JANE, 200, time),
        (&jane, "wrong", 422, time),
        (&sso, "any", 400, Duration::ZERO),
        ("user_nobody", "any", 404, Duration::ZERO),
    ] {
        let begun = Instant::now();
        let body = json!({ "password": password });
        assert_eq!(server.post(&format!("/v1/users/{user}/verify_password"), body).await.status, status);
        assert_eq!(begun.elapsed(), expected, "{user}");
    }
}
