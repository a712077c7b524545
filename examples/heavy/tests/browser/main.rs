//! The example `browser`: tower-http's CORS layer outside of the layer.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../browser/main.rs"]
#[allow(dead_code, reason = "the example's main is not called")]
mod example;

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_clerk::testing;

const PAGE: &str = "https://app.example";
const JANE: (&str, &str) = ("jane@example.com", "correct horse battery staple");

fn api() -> Router {
    let (_fake, clerk) = testing::unlimited();
    example::api(&clerk, PAGE, example::page("https://api.example")).unwrap()
}

async fn ask(api: &Router, pair: Option<(&str, &str)>, origin: &str) -> Response<Body> {
    let mut request = Request::get("/me").header("origin", origin).header("sec-fetch-dest", "empty");
    if let Some((identifier, password)) = pair {
        request = request.header("authorization", testing::basic(identifier, password));
    }
    api.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// A field that is a list, in lower case.
fn list(headers: &HeaderMap, name: &str) -> BTreeSet<String> {
    let fields = headers.get_all(name).iter().map(|field| field.to_str().unwrap());
    let items = fields.flat_map(|field| field.split(','));
    items.map(|item| item.trim().to_ascii_lowercase()).filter(|item| !item.is_empty()).collect()
}

/// Whether a browser lets the page read the response, as the page asked for with its credentials.
fn is_readable(response: &Response<Body>) -> bool {
    let headers = response.headers();
    headers.get("access-control-allow-origin").is_some_and(|origin| origin == PAGE)
        && headers.get("access-control-allow-credentials").is_some_and(|allowed| allowed == "true")
}

#[tokio::test]
async fn a7_a_page_of_another_origin_reads_rejections_through_a_cors_layer_outside() {
    let api = api();
    let response = ask(&api, None, PAGE).await;
    assert_eq!(response.status(), 401);
    assert!(is_readable(&response), "{response:?}");
    let exposed = list(response.headers(), "access-control-expose-headers");
    assert_eq!(exposed, ["retry-after", "www-authenticate"].map(str::to_owned).into());
    assert_eq!(response.headers()["www-authenticate"], r#"xBasic realm="api", charset="UTF-8""#);
    let varies = list(response.headers(), "vary");
    for field in ["origin", "sec-fetch-dest", "sec-fetch-mode", "x-requested-with"] {
        assert!(varies.contains(field), "neither layer drops what the other has said: {varies:?}");
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["code"], "credentials_missing");

    let mut throttled = None;
    for number in 0..10 {
        let response = ask(&api, Some(("bob@example.com", &format!("wrong{number}"))), PAGE).await;
        assert!(is_readable(&response), "{response:?}");
        if response.status() == 429 {
            throttled = Some(response);
            break;
        }
        assert_eq!(response.status(), 401);
    }
    let throttled = throttled.expect("some wrong password is one too many");
    let wait: u32 = throttled.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait > 0 && list(throttled.headers(), "access-control-expose-headers").contains("retry-after"));

    assert!(is_readable(&ask(&api, Some(JANE), PAGE).await));
    let response = ask(&api, Some(JANE), "https://elsewhere.example").await;
    assert!(!is_readable(&response), "no other origin");
}

#[tokio::test]
async fn a7_a_cors_layer_outside_answers_preflights_itself() {
    let preflight = Request::options("/me")
        .header("origin", PAGE)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    let response = api().oneshot(preflight.body(Body::empty()).unwrap()).await.unwrap();
    assert!(response.status() == 200 && is_readable(&response), "{response:?}");
    assert!(list(response.headers(), "access-control-allow-headers").contains("authorization"));
    assert!(!response.headers().contains_key("www-authenticate"));
}

#[test]
fn a7_the_page_about_browsers_shows_the_cors_layer_of_the_example() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let (page, example) = (read("docs/browsers.md"), read("examples/heavy/browser/main.rs"));
    let shown = page.split("```rust,ignore\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(shown.contains("CorsLayer::new()") && example.contains(shown), "{shown}");
}
