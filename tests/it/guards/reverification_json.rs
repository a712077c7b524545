//! The answer that Clerk's browser clients recognize.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};
use tokio::time::advance;
use tower_clerk::Requirement;
use tower_clerk::guard::{Reverification, ReverificationLevel};
use tower_clerk::testing::TokenVersion::V2;

use super::{ADA, MINUTE, ask_guarded, world};
use crate::common::{basic, code};

#[tokio::test(start_paused = true)]
async fn g6_a_failed_reverification_is_answered_as_clerk_answers_it() {
    let world = world(V2);
    let layer = world.layer();
    ask_guarded(&layer, &layer.require(Requirement::new().deny_impersonation()).unwrap(), basic(ADA)).await;
    advance(10 * MINUTE).await;
    let level = ReverificationLevel::MultiFactor;
    for (reverification, json) in [
        (Reverification::Strict, r#""strict""#),
        (Reverification::StrictMfa, r#""strict_mfa""#),
        (
            Reverification::Custom { level, within: 10 * MINUTE },
            r#"{"afterMinutes":10,"level":"multi_factor"}"#,
        ),
    ] {
        let requirement = Requirement::new().reverification(reverification);
        let guard = layer.require(requirement).unwrap().reverification_json();
        let response = ask_guarded(&layer, &guard, basic(ADA)).await;
        assert_eq!((response.status().as_u16(), code(&response)), (403, "forbidden"));
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        // Of equal content to `JSON.stringify(reverificationError(config))`.
        let expected = format!(
            r#"{{"clerk_error":{{"type":"forbidden","reason":"reverification-error","metadata":{{"reverification":{json}}}}}}}"#
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(response.body()), value(&expected));
    }
}

#[tokio::test(start_paused = true)]
async fn g6_other_rejections_keep_the_form_of_the_layer() {
    let world = world(V2);
    let layer = world.layer().problem_json().optional();
    let strict = || Requirement::new().reverification(Reverification::Strict);
    let guard = layer.require(strict().role("admin")).unwrap().reverification_json();
    for (request, status) in [(basic(ADA), 403), (Request::new(()), 401)] {
        let response = ask_guarded(&layer, &guard, request).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert!(!response.body().contains("clerk_error"), "{}", response.body());
    }
    let plain = layer.require(strict()).unwrap();
    ask_guarded(&layer, &plain, basic(ADA)).await;
    advance(10 * MINUTE).await;
    let response = ask_guarded(&layer, &plain, basic(ADA)).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    assert!(response.body().contains("the user has to verify a factor again"), "{}", response.body());
}

#[tokio::test(start_paused = true)]
async fn g6_a_grpc_request_gets_the_answer_of_a_layer_with_grpc_rejections() {
    let world = world(V2);
    let layer = world.layer().problem_json().grpc_rejections();
    let requirement = Requirement::new().reverification(Reverification::Strict);
    let guard = layer.require(requirement).unwrap().reverification_json();
    ask_guarded(&layer, &guard, basic(ADA)).await;
    advance(10 * MINUTE).await;
    let mut request = basic(ADA);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let response = ask_guarded(&layer, &guard, request).await;
    assert_eq!((response.status().as_u16(), code(&response)), (200, "forbidden"));
    assert_eq!(response.headers()["grpc-status"], "7");
    assert_eq!(response.headers()["grpc-message"], "the user has to verify a factor again");
    assert_eq!(response.body(), "");
    let response = ask_guarded(&layer, &guard, basic(ADA)).await;
    assert_eq!((response.status().as_u16(), code(&response)), (403, "forbidden"));
    assert!(response.body().contains("clerk_error"), "{}", response.body());
}
