//! A service of a program that signs nobody in (rule W7).

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use serde_json::{Value, json};
use tower_clerk::backend::UserQuery;
use tower_clerk::stats::WebhookOutcome;
use tower_clerk::webhook::{ClerkWebhookService, Event, EventData, UserData, WebhookSecrets};

use super::{SECOND, SECRET, event, send, signed, unix};
use crate::common::{World, logged};

/// A service on the clock of the world, and the events that its sink has got.
fn service(world: &World) -> (ClerkWebhookService, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::<Mutex<Vec<Event>>>::default();
    let kept = Arc::clone(&events);
    let service = ClerkWebhookService::without_engine(WebhookSecrets::parse(SECRET).unwrap())
        .clock(world.clock)
        .sink(move |event| {
            let kept = Arc::clone(&kept);
            async move {
                kept.lock().unwrap().push(event);
                Ok(())
            }
        });
    (service, events)
}

fn counted(service: &ClerkWebhookService, outcome: WebhookOutcome) -> u64 {
    service.counts().iter().filter(|it| it.outcome == outcome).map(|it| it.count).sum()
}

#[tokio::test(start_paused = true)]
async fn w7_a_service_without_an_engine_answers_as_one_with_it() {
    let world = World::new();
    let (service, events) = service(&world);
    let body = event(&world, "user.deleted", &json!({ "object": "user", "id": "user_1", "deleted": true }));
    for expected in [204, 204] {
        let response = send(&service, signed(&world, "msg_1", body.clone())).await;
        assert_eq!(response.status(), expected, "{}", response.body());
    }
    assert_eq!(events.lock().unwrap().len(), 1, "a duplicate isn't handed on");
    let mut forged = signed(&world, "msg_2", body.clone());
    forged.headers_mut().insert("svix-signature", "v1,AAAA".parse().unwrap());
    assert_eq!(send(&service, forged).await.status(), 400);
    let old = signed(&world, "msg_3", body.clone());
    tokio::time::advance(301 * SECOND).await;
    assert_eq!(send(&service, old).await.status(), 400);
    use WebhookOutcome::{Done, Duplicate, Signature, Timestamp};
    let counts = [Done, Duplicate, Signature, Timestamp].map(|outcome| counted(&service, outcome));
    assert_eq!(counts, [1, 1, 1, 1]);
    assert_eq!(world.clerk.stats().webhooks.iter().map(|it| it.count).sum::<u64>(), 0);
}

#[tokio::test(start_paused = true)]
async fn w7_a_failure_of_the_sink_comes_again_and_is_warned_of_once_a_minute() {
    let world = World::new();
    let failing = ClerkWebhookService::without_engine(WebhookSecrets::parse(SECRET).unwrap())
        .clock(world.clock)
        .sink(async |_: Event| Err("the database is away".into()));
    let log = logged(async {
        for _ in 0..3 {
            let body = event(&world, "user.created", &json!({ "object": "user", "id": "user_1" }));
            assert_eq!(send(&failing, signed(&world, "msg_1", body)).await.status(), 503);
        }
    })
    .await;
    assert_eq!(log.matches(" WARN ").count(), 1, "{log}");
}

/// Without an engine and without a clock of a test, the time is the system's.
#[tokio::test]
async fn w7_times_are_compared_with_the_clock_of_this_machine() {
    let service = ClerkWebhookService::without_engine(WebhookSecrets::parse(SECRET).unwrap());
    let body = r#"{"type":"user.created","data":{"id":"user_1"}}"#;
    for (offset, status) in [(0, 204), (-400, 400), (400, 400)] {
        let timestamp = (unix(SystemTime::now()).checked_add_signed(offset).unwrap()).to_string();
        let signature = super::signature(SECRET, "msg_1", &timestamp, body.as_bytes());
        let fields =
            [("svix-id", "msg_1".to_owned()), ("svix-timestamp", timestamp), ("svix-signature", signature)];
        assert_eq!(send(&service, super::request(&fields, body)).await.status(), status, "{offset}");
    }
}

/// All fields of a user, as text.
fn fields(user: &UserData) -> Vec<String> {
    let address = user.primary_email_address().unwrap();
    vec![
        user.id.clone(),
        format!("{:?} {:?} {:?}", user.username, user.first_name, user.external_id),
        format!("{:?} {} {}", address.id, address.identifier, address.is_verified),
        format!("{:?} {:?} {:?}", user.banned, user.created_at, user.updated_at),
        user.public_metadata.as_ref().unwrap().as_str().to_owned(),
        user.json.as_str().to_owned(),
    ]
}

/// One set of types: a program applies an event and an entry of a list by the same code.
#[tokio::test(start_paused = true)]
async fn y21_a_user_of_an_event_is_the_user_of_the_list() {
    let world = World::backend();
    let (service, events) = service(&world);
    let clerk = world.fake.clone();
    let secret = tower_clerk::testing::WebhookSecret::random();
    clerk.add_webhook(tower_clerk::testing::WebhookEndpoint::in_process(secret, |_| async {
        http::StatusCode::NO_CONTENT
    }));
    let private = serde_json::from_value(json!({ "internal": "do-not-copy" })).unwrap();
    clerk.edit_user("jane", |jane| jane.name("Jane", "Doe").external_id("42").private_metadata(private));
    clerk.settle_webhooks().await;
    let sent: Value = serde_json::from_slice(clerk.deliveries()[0].body()).unwrap();
    assert!(sent.to_string().contains("do-not-copy"));
    let body = event(&world, "user.updated", &sent["data"]);
    assert_eq!(send(&service, signed(&world, "msg_1", body)).await.status(), 204);
    let EventData::User(told) = events.lock().unwrap()[0].data().clone() else { panic!("a user") };
    let query = UserQuery::new().ids([clerk.user_id("jane").unwrap()]);
    let listed = world.clerk.backend().unwrap().users(&query).await.unwrap().entries.remove(0);
    assert_eq!(fields(&told), fields(&listed));
    assert!(!told.json.as_str().contains("do-not-copy"));
}
