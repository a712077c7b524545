//! Good and bad deliveries, each with its answer (rules W1, W2). Nothing comes of a bad one.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use tower::ServiceExt as _;
use tower_clerk::stats::WebhookOutcome;
use tower_clerk::testing::Endpoint;
use tower_clerk::webhook::{
    ClerkWebhookService, EventData, WebhookErrorKind, WebhookSecrets, WebhookVerifier,
};

use super::{SECRET, counted, event, fields, request, send, service, signature, signed, unix};
use crate::common::{JANE, World, logged, session};

const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Jane, and the event of her deletion.
async fn jane(world: &World) -> String {
    let id = session(&world.get(JANE).await).user_id().to_owned();
    event(world, "user.deleted", &json!({ "object": "user", "id": id, "deleted": true }))
}

/// The header fields with some of them replaced; an empty value removes the field.
fn with(fields: &[(&'static str, String)], changes: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut changed: Vec<_> = fields.to_vec();
    for (name, value) in changes {
        changed.retain(|(field, _)| field != name);
        if !value.is_empty() {
            changed.push((name, (*value).to_owned()));
        }
    }
    changed
}

#[tokio::test(start_paused = true)]
async fn w1_a_bad_delivery_is_400_and_does_nothing() {
    let world = World::unlimited();
    let body = jane(&world).await;
    let service = service(&world);
    let good = fields(&world, "msg_1", body.as_bytes());
    let (id, timestamp, right) = (&*good[0].1, &*good[1].1, &*good[2].1);
    let of = |id: &str, timestamp: &str| signature(SECRET, id, timestamp, body.as_bytes());
    let now = unix(world.clock.wall());
    let at = |seconds: i64| now.checked_add_signed(seconds).unwrap().to_string();
    let re_signed = |name: &'static str, value: &str| {
        let (id, timestamp) = if name == "svix-id" { (value, timestamp) } else { (id, value) };
        with(&good, &[(name, value), ("svix-signature", &of(id, timestamp))])
    };
    let webhook = |changes: &[(&'static str, &str)]| {
        let fields = [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", right)];
        with(&fields.map(|(name, value)| (name, value.to_owned())), changes)
    };
    let repeated = |name: &'static str| {
        let value = good.iter().find(|(field, _)| *field == name).unwrap().1.clone();
        [good.to_vec(), vec![(name, value)]].concat()
    };
    let other = signature(OTHER, id, timestamp, body.as_bytes());
    let eight = ["v1,AAAA"; 8].join(" ");
    let bad: Vec<(&str, Vec<(&'static str, String)>)> = vec![
        ("no field", Vec::new()),
        ("no id", with(&good, &[("svix-id", "")])),
        ("no timestamp", with(&good, &[("svix-timestamp", "")])),
        ("no signature", with(&good, &[("svix-signature", "")])),
        (
            "mixed",
            [with(&good, &[("svix-signature", "")]), vec![("webhook-signature", right.to_owned())]].concat(),
        ),
        ("mixed id", webhook(&[("webhook-id", ""), ("svix-id", id)])),
        ("a bit of svix before all of webhook", webhook(&[("svix-id", id)])),
        ("repeated id", repeated("svix-id")),
        ("repeated timestamp", repeated("svix-timestamp")),
        ("repeated signature", repeated("svix-signature")),
        ("a long id", re_signed("svix-id", &"m".repeat(257))),
        ("an id with a space", re_signed("svix-id", "msg 1")),
        ("old", re_signed("svix-timestamp", &at(-301))),
        ("future", re_signed("svix-timestamp", &at(301))),
        ("zero", re_signed("svix-timestamp", "0")),
        ("negative", re_signed("svix-timestamp", &format!("-{timestamp}"))),
        ("the least number", re_signed("svix-timestamp", "-9223372036854775808")),
        ("a plus", re_signed("svix-timestamp", &format!("+{timestamp}"))),
        ("huge", re_signed("svix-timestamp", "999999999999")),
        ("13 digits", re_signed("svix-timestamp", "1000000000000")),
        ("very huge", re_signed("svix-timestamp", &"9".repeat(400))),
        ("milliseconds", re_signed("svix-timestamp", &format!("{timestamp}000"))),
        ("a fraction", re_signed("svix-timestamp", &format!("{timestamp}.0"))),
        ("no number", re_signed("svix-timestamp", "now")),
        ("another timestamp", with(&good, &[("svix-timestamp", &at(1))])),
        ("another id", with(&good, &[("svix-id", "msg_2")])),
        ("another secret", with(&good, &[("svix-signature", &other)])),
        ("v1a only", with(&good, &[("svix-signature", &right.replace("v1,", "v1a,"))])),
        ("no version", with(&good, &[("svix-signature", &right.replace("v1,", ""))])),
        ("v2", with(&good, &[("svix-signature", &right.replace("v1,", "v2,"))])),
        ("an empty signature", with(&good, &[("svix-signature", "v1,")])),
        ("without padding", with(&good, &[("svix-signature", right.trim_end_matches('='))])),
        ("cut off", with(&good, &[("svix-signature", &right[..30])])),
        ("twice as long", with(&good, &[("svix-signature", &format!("{right}{}", &right[3..]))])),
        ("by commas", with(&good, &[("svix-signature", &format!("v1,AAAA,{right}"))])),
        ("nine entries", with(&good, &[("svix-signature", &format!("{eight} {right}"))])),
        ("over 4 KiB", with(&good, &[("svix-signature", &format!("{right} v1,{}", "A".repeat(4096)))])),
    ];
    let count = bad.len() as u64;
    for (name, fields) in bad {
        let response = send(&service, request(&fields, body.clone())).await;
        assert_eq!(response.status(), 400, "{name}");
        assert!(
            !response.body().is_empty() && !response.body().contains(right),
            "{name}: {}",
            response.body()
        );
        assert!(!response.headers().contains_key("allow"), "{name}");
    }
    // The body is another one, in a byte, in white space or in its length.
    for changed in
        [body.replace("user_", "user-"), format!("{body} "), body[..body.len() - 1].to_owned(), String::new()]
    {
        assert_eq!(send(&service, request(&good, changed)).await.status(), 400);
    }
    let refused = [WebhookOutcome::Headers, WebhookOutcome::Timestamp, WebhookOutcome::Signature];
    assert_eq!(refused.map(|outcome| counted(&world, outcome)).iter().sum::<u64>(), count + 4);
    world.fake.clear_log();
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Any), 0, "nothing was revoked");
    // The delivery that all of them are made of.
    assert_eq!(send(&service, request(&good, body)).await.status(), 204);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1, "the user was revoked");
}

#[tokio::test(start_paused = true)]
async fn w1_good_deliveries_in_all_their_forms_are_204() {
    let world = World::unlimited();
    let secrets = WebhookSecrets::parse(&format!("{OTHER},{SECRET}")).unwrap();
    let service = ClerkWebhookService::new(world.clerk.clone(), secrets);
    let body = event(&world, "email.created", &json!({ "id": "ema_1" }));
    let now = unix(world.clock.wall());
    for (at, (names, timestamp, secret, others)) in [
        ("svix", now, SECRET, ""),
        ("webhook", now, SECRET, ""),
        ("svix", now - 300, SECRET, ""),
        ("svix", now + 300, SECRET, ""),
        ("svix", now, OTHER, ""),
        ("svix", now, SECRET, "v1a,AAAA v1,AAAA v1,!!! v2,x  nothing "),
    ]
    .into_iter()
    .enumerate()
    {
        let (id, timestamp) = (format!("msg_{at}"), timestamp.to_string());
        let signature = others.to_owned() + &signature(secret, &id, &timestamp, body.as_bytes());
        let request = Request::post("/any/path")
            .header(format!("{names}-id"), id)
            .header(format!("{names}-timestamp"), timestamp)
            .header(format!("{names}-signature"), signature)
            .body(Full::new(Bytes::from(body.clone())));
        let response = send(&service, request.unwrap()).await;
        assert_eq!((response.status().as_u16(), &**response.body()), (204, ""), "{at}");
    }
    // Of two complete families, the one of Svix counts.
    let mut both = fields(&world, "msg_both", body.as_bytes()).to_vec();
    both.extend(["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| (name, "1".to_owned())));
    assert_eq!(send(&service, request(&both, body)).await.status(), 204);
    assert_eq!(counted(&world, WebhookOutcome::Done), 7);
}

#[tokio::test(start_paused = true)]
async fn w1_times_are_compared_with_clerks_time_and_not_with_a_wrong_clock_of_this_machine() {
    let world = World::unlimited();
    let hour = 3600 * super::SECOND;
    let slow = tower_clerk::Clock::starting_at(world.clock.wall() - hour);
    let clerk = crate::common::builder(&world.fake, slow).unlimited_sign_ins().build().unwrap();
    let service = ClerkWebhookService::new(clerk.clone(), WebhookSecrets::parse(SECRET).unwrap());
    let body = event(&world, "email.created", &json!({}));
    let first = send(&service, signed(&world, "msg_1", body.clone())).await;
    assert_eq!(first.status(), 400, "no answer of Clerk's has told the time yet");
    let credentials = tower_clerk::Credentials::new(JANE.0, JANE.1).unwrap();
    clerk.authenticate(&credentials, &tower_clerk::Access::new()).await.unwrap();
    assert_eq!(send(&service, signed(&world, "msg_1", body)).await.status(), 204);
}

#[tokio::test(start_paused = true)]
async fn w2_another_method_is_405_and_says_which_one_is_allowed() {
    let world = World::unlimited();
    let service = service(&world);
    let body = jane(&world).await;
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        let mut request = signed(&world, "msg_1", body.clone());
        *request.method_mut() = method.clone();
        let response = send(&service, request).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["allow"]),
            (405, &"POST".parse().unwrap()),
            "{method}"
        );
    }
    assert_eq!(counted(&world, WebhookOutcome::Method), 6);
    world.fake.clear_log();
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test(start_paused = true)]
async fn w2_a_signed_body_that_is_no_event_is_400() {
    let world = World::unlimited();
    let service = service(&world);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for (at, body) in [
        Bytes::new(),
        Bytes::from_static(b"null"),
        Bytes::from_static(b"{}"),
        Bytes::from_static(br#"{"type":1}"#),
        Bytes::from_static(br#"{"type":null,"data":{}}"#),
        Bytes::from_static(b"{\"type\":\"user.deleted\",\"data\":{\"id\":\"\xff\"}}"),
        Bytes::from_static(b"\xef\xbb\xbf{\"type\":\"user.deleted\"}"),
        Bytes::from_static(br#"{"type":"user.deleted"} {}"#),
        Bytes::from(deep),
    ]
    .into_iter()
    .enumerate()
    {
        let response = send(&service, signed(&world, &format!("msg_{at}"), body)).await;
        assert_eq!(response.status(), 400, "{at}");
    }
    assert_eq!(counted(&world, WebhookOutcome::Body), 9);
}

/// A user can set `unsafe_metadata` to JSON that is nested deeply, which must not keep a ban from the engine.
#[tokio::test(start_paused = true)]
async fn w3_json_that_a_user_has_nested_deeply_hides_no_event() {
    let world = World::unlimited();
    let user = session(&world.get(JANE).await).user_id().to_owned();
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    // Also no half of a surrogate pair, no number out of range and no name that is there twice.
    let odd = r#"{"\ud800":"\udfff","a":1e999,"a":-1e999}"#;
    let body = format!(
        r#"{{"type":"user.updated","data":{{"unsafe_metadata":{{"a":{deep},"b":{odd}}},"banned":true,"id":"{user}","locked":{deep}}},"x":{deep}}}"#
    );
    assert_eq!(send(&service(&world), signed(&world, "msg_1", body)).await.status(), 204);
    world.fake.ban("jane");
    assert_eq!(world.get(JANE).await.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn w3_an_event_is_read_field_by_field_and_its_json_is_beside() {
    let world = World::unlimited();
    let verifier = WebhookVerifier::new(WebhookSecrets::parse(SECRET).unwrap()).clock(world.clock);
    let read = |body: &str| {
        let request = signed(&world, "msg_7", body.to_owned());
        verifier.verify(request.headers(), body.as_bytes())
    };
    let body = r#"{"data":{"id":"user_1","username":"jane","banned":true,"password_last_updated_at":1716883200500,
        "email_addresses":[{"email_address":"a@x.io","verification":{"status":"verified"}},
        {"email_address":"b@x.io","verification":null},{"email_address":7}]},
        "type":"user.updated","timestamp":1716883200,"instance_id":"ins_1","object":"event"}"#;
    let user = read(body).unwrap();
    assert_eq!((user.id(), user.event_type(), user.instance_id()), ("msg_7", "user.updated", Some("ins_1")));
    assert_eq!((user.time().map(unix), user.json()), (Some(1_716_883_200), body));
    let EventData::User(data) = user.data() else { panic!("{user:?}") };
    assert_eq!(
        (&*data.id, data.username.as_deref(), data.banned, data.locked),
        ("user_1", Some("jane"), Some(true), None)
    );
    assert_eq!(data.password_last_updated_at.map(super::millis), Some(1_716_883_200_500));
    let emails: Vec<_> = data.email_addresses.iter().map(|it| (&*it.identifier, it.is_verified)).collect();
    assert_eq!(emails, [("a@x.io", true), ("b@x.io", false)]);
    assert!(
        !format!("{user:?} {data:?} {:?}", data.email_addresses).contains("x.io"),
        "personal data isn't shown"
    );
    #[derive(serde::Deserialize)]
    struct Own {
        username: String,
    }
    assert_eq!(user.data_as::<Own>().unwrap().username, "jane");
    // A list of another form hides no ban.
    let odd =
        read(r#"{"type":"user.updated","data":{"id":"user_1","banned":true,"email_addresses":"none"}}"#)
            .unwrap();
    assert!(matches!(odd.data(), EventData::User(user) if user.banned == Some(true)), "{odd:?}");
    for unknown in [
        r#"{"type":"subscription.active","data":{"id":"sub_1"}}"#,
        r#"{"type":"user.deleted","data":null}"#,
        r#"{"type":"user.deleted","data":{"id":7}}"#,
        r#"{"type":"user.deleted"}"#,
        r#"{"type":"user.updated","data":{"id":"user_1","banned":false,"banned":true}}"#,
        r#"{"type":"user.deleted","data":{"id":"user_1"},"data":{"id":"user_2"}}"#,
        r#"{"type":""}"#,
    ] {
        let event = read(unknown).unwrap();
        assert!(matches!(event.data(), EventData::Unknown) && event.time().is_none(), "{event:?}");
    }
    let refused = verifier.verify(&http::HeaderMap::new(), body.as_bytes()).unwrap_err();
    assert_eq!(refused.kind(), WebhookErrorKind::Headers);
}

#[tokio::test(start_paused = true)]
async fn w2_a_route_of_axum_outside_of_the_layer_takes_deliveries() {
    let world = World::unlimited();
    let app: axum::Router = axum::Router::new()
        .route("/me", axum::routing::get(async || "me"))
        .layer(world.layer())
        .route_service("/webhooks/clerk", service(&world));
    let body = event(&world, "email.created", &json!({}));
    let request = signed(&world, "msg_1", body).map(axum::body::Body::new);
    assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 204);
    let anonymous = Request::get("/me").body(axum::body::Body::empty()).unwrap();
    assert_eq!(app.oneshot(anonymous).await.unwrap().status(), 401);
}

#[tokio::test(start_paused = true)]
async fn c6_no_log_line_and_no_answer_to_a_webhook_shows_the_secret_or_a_signature() {
    let world = World::unlimited();
    let body = jane(&world).await;
    let failing = service(&world).sink(async |_| Err("the database is away".into()));
    let right = fields(&world, "msg_1", body.as_bytes());
    let mut answers = String::new();
    let log = logged(async {
        for service in [service(&world), failing.clone()] {
            let wrong = with(&right, &[("svix-signature", "v1,AAAA")]);
            for request in
                [request(&right, body.clone()), request(&wrong, body.clone()), request(&[], body.clone())]
            {
                answers += &format!("{:?}", send(&service, request).await);
            }
        }
    })
    .await;
    let secrets = WebhookSecrets::parse(SECRET).unwrap();
    let shown = format!("{log}{answers}{failing:?}{secrets:?}{:?}", WebhookVerifier::new(secrets.clone()));
    assert!(log.contains("a webhook arrived") && log.contains("the database is away"), "{log}");
    assert!(log.contains("check that the signing secret is the one"), "{log}");
    for secret in [SECRET, &SECRET[6..], &right[2].1[3..], "49, 242, 144, 246"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
