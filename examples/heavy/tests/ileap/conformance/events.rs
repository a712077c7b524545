//! PACT's cases 12, 14.A, 15, 16 and 21: events.

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{World, event};

const ID: &str = "3a6c14a7-4deb-498a-b5ea-16ce2535b576";

fn published() -> Value {
    event("ProductFootprint.Published", &json!({ "pfIds": [ID] }))
}

fn requested(product: &str) -> Value {
    let data = json!({ "pf": { "productIds": [product] }, "comment": "Please send PCF data for this year." });
    event("ProductFootprintRequest.Created", &data)
}

#[tokio::test]
async fn i5_pact_tc12_a_request_for_footprints_is_200_with_an_empty_body() {
    let world = World::new().await;
    let product = "urn:pathfinder:product:customcode:vendor-assigned:shipment:S-1001";
    let answer = world.post_event(&world.token().await, &requested(product)).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
}

#[tokio::test]
async fn i5_pact_tc14a_a_request_that_will_be_rejected_is_200() {
    let world = World::new().await;
    let answer = world.post_event(&world.token().await, &requested("urn:pact:null")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn i5_pact_tc15_a_published_event_is_200() {
    let world = World::new().await;
    let answer = world.post_event(&world.token().await, &published()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn i5_pact_tc16_an_event_with_an_invalid_token_is_401_bad_request() {
    let world = World::new().await;
    let answer = world.post_event("very-invalid-access-token-jL0pQv8aZ3kTnY5w", &published()).await;
    assert_eq!(answer.error(), (401, "BadRequest".to_owned()));
}

#[tokio::test]
async fn i5_pact_tc21_a_malformed_event_is_400_bad_request() {
    let world = World::new().await;
    let token = world.token().await;
    let with = |name: &str, value: Value| {
        let mut event = published();
        event[name] = value;
        event
    };
    let of = |ids: Value| event("ProductFootprint.Published", &json!({ "pfIds": ids }));
    let mut without_data = published();
    without_data.as_object_mut().unwrap().remove("data");
    for malformed in [
        // The published case: an id of a footprint is a UUID and no URN.
        of(json!(["urn:gtin:4712345060507"])),
        of(json!([format!("urn:uuid:{ID}")])),
        of(json!([ID.replace('-', "")])),
        of(json!([])),
        of(json!(ID)),
        without_data,
        with("data", Value::Null),
        with("data", json!("")),
        with("specversion", json!("0.3")),
        with("specversion", json!("1.0.0")),
        with("specversion", json!(1.0)),
        with("id", json!("")),
        with("id", json!(7)),
        with("source", json!("")),
        with("time", json!("yesterday")),
        with("type", Value::Null),
        event("ProductFootprintRequest.Created", &json!({ "pf": [] })),
        event("ProductFootprintRequest.Fulfilled", &json!({ "pfs": [] })),
        event("ProductFootprintRequest.Rejected", &json!({ "requestEventId": "1" })),
        json!([]),
    ] {
        let answer = world.post_event(&token, &malformed).await;
        assert_eq!(answer.error(), (400, "BadRequest".to_owned()), "{malformed}");
    }
    let other = world.post_event(&token, &event("ProductFootprint.Deleted", &json!({}))).await;
    assert_eq!(other.error(), (400, "NotImplemented".to_owned()));
}

/// The log shows the id of an event, and an error may quote a part of it.
#[tokio::test]
async fn i5_an_attribute_over_1_kib_is_400_and_a_message_quotes_no_more_than_that() {
    let world = World::new().await;
    let token = world.token().await;
    for name in ["id", "source", "type"] {
        let mut event = published();
        for (length, status) in [(1024, if name == "type" { 400 } else { 200 }), (1025, 400)] {
            event[name] = json!("a".repeat(length));
            assert_eq!(world.post_event(&token, &event).await.status, status, "{name} of {length} bytes");
        }
    }
    for name in ["id", "source", "type", "time", "specversion", "data"] {
        let mut event = published();
        event[name] = json!("é\u{7f}".repeat(100_000));
        let answer = world.post_event(&token, &event).await;
        assert_eq!(answer.error().0, 400, "{name}");
        assert!(answer.body.len() < 2048, "{name} is echoed: {} bytes", answer.body.len());
    }
}

#[tokio::test]
async fn i5_the_answers_to_a_request_are_taken_too() {
    let world = World::new().await;
    let token = world.token().await;
    let error = json!({ "code": "NotFound", "message": "There is none." });
    for event in [
        event("ProductFootprintRequest.Fulfilled", &json!({ "requestEventId": "1", "pfs": [{}] })),
        event("ProductFootprintRequest.Rejected", &json!({ "requestEventId": "1", "error": error })),
    ] {
        assert_eq!(world.post_event(&token, &event).await.status, 200, "{event}");
    }
}

#[tokio::test]
async fn i5_a_body_that_is_no_cloud_event_or_is_over_one_mebibyte_is_400() {
    let world = World::new().await;
    let bearer = format!("Bearer {}", world.token().await);
    let post = async |media_type: &str, body: String| {
        let fields = [("authorization", &*bearer), ("content-type", media_type)];
        world.ask(Method::POST, "/2/events", &fields, body).await.error()
    };
    let bad_request = (400, "BadRequest".to_owned());
    for media_type in ["application/json", "text/plain", "application/cloudevents-batch+json"] {
        assert_eq!(post(media_type, published().to_string()).await, bad_request, "{media_type}");
    }
    let cloud_event = "Application/CloudEvents+JSON";
    assert_eq!(post(cloud_event, "{".to_owned()).await, bad_request);
    let long = published().to_string() + &" ".repeat(1024 * 1024);
    assert_eq!(post(cloud_event, long).await, bad_request);
}
