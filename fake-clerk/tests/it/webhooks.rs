//! How webhooks are signed, sent and retried, and what a test can make of them.

use std::time::Duration;

use fake_clerk::{DeliveryStatus, FakeClerk, WebhookEndpoint, WebhookFault, WebhookHeaders, WebhookSecret};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::inbox::{Inbox, header};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Made by Python:
/// `"v1," + base64.b64encode(hmac.new(key, f"{id}.{time}.".encode() + body, hashlib.sha256).digest()).decode()`,
/// with the bytes from 0 on as keys of 24 and 32 bytes, and those from 255 down as the key of 64.
const SIGNATURES: [(&str, &str, i64, &[u8], &str); 3] = [
    (
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        "msg_1",
        0,
        b"",
        "v1,W9PZMWjJ2kuruF2O1vxh5jodPysakySIEiOr0eie3Zs=",
    ),
    (
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "msg_2kVOw6R1v7JsmgzBZ5CdrCX2iY8",
        1_796_045_435,
        "{\"name\":\"José\",\"type\":\"user.updated\"}".as_bytes(),
        "v1,j9v6Hk1wjaPQgfL0BZdDaVhbm2nU5/4p5+48DDsYKeM=",
    ),
    (
        "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eDf3t3c29rZ2NfW1dTT0tHQz87NzMvKycjHxsXEw8LBwA==",
        "m",
        253_402_300_799,
        b"\x00\xff\n\r",
        "v1,Y/XoheJAScbLTR+q+wyj5UnKrhp67XvsdZ4AJOdWcF0=",
    ),
];

#[test]
fn signatures_are_those_of_pythons_hmac() {
    for (secret, id, timestamp, body, signature) in SIGNATURES {
        let secret: WebhookSecret = secret.parse().unwrap();
        assert_eq!(secret.sign(id, timestamp, body), signature);
    }
}

#[test]
fn a_secret_has_24_to_64_bytes_and_is_not_printed() {
    for wrong in ["", "whsec_", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY", "whsec_not base64", "v1,AAEC"] {
        let error = wrong.parse::<WebhookSecret>().unwrap_err();
        assert_eq!(error.to_string(), "must be whsec_ and 24 to 64 bytes in base64", "{wrong}");
    }
    let random = WebhookSecret::random();
    assert_ne!(random.expose(), WebhookSecret::random().expose());
    assert_eq!(random.expose().parse::<WebhookSecret>().unwrap().sign("a", 1, b""), random.sign("a", 1, b""));
    let endpoint = WebhookEndpoint::in_process(random.clone(), |_| async { StatusCode::OK });
    for text in [format!("{random:?}"), format!("{endpoint:?}")] {
        assert!(!text.contains(random.expose().trim_start_matches("whsec_")), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_signed_for_its_id_its_time_and_its_body() {
    for (headers, [id, timestamp, signature]) in [
        (WebhookHeaders::Svix, ["svix-id", "svix-timestamp", "svix-signature"]),
        (WebhookHeaders::Standard, ["webhook-id", "webhook-timestamp", "webhook-signature"]),
    ] {
        let (inbox, old) = (Inbox::new(), WebhookSecret::random());
        let clerk = FakeClerk::new();
        clerk.add_webhook(inbox.endpoint().headers(headers).also_signed_by(old.clone()));
        clerk.ban("jane");
        clerk.settle_webhooks().await;
        let [request] = inbox.take().try_into().unwrap();
        let families = ["svix-", "webhook-"]
            .map(|family| request.headers().keys().filter(|name| name.as_str().starts_with(family)).count());
        assert_eq!(families.iter().sum::<usize>(), 3, "{headers:?}: one family alone");
        assert_eq!(header(&request, "content-type"), "application/json");
        let (id, time) = (header(&request, id), header(&request, timestamp).parse().unwrap());
        assert_eq!(id, clerk.deliveries()[0].id());
        let wall = clerk.clock().wall().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(u64::try_from(time).unwrap(), wall.as_secs());
        let expected = [&inbox.secret, &old].map(|secret| secret.sign(id, time, request.body()));
        assert_eq!(header(&request, signature), expected.join(" "));
    }
}

#[tokio::test(start_paused = true)]
async fn eight_attempts_follow_svixs_schedule() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    inbox.answer([500, 404, 302, 400, 503, 199, 429, 500]);
    let start = Instant::now();
    clerk.unlock("jane");
    sleep(2 * DAY).await;
    let [delivery] = clerk.deliveries().try_into().unwrap();
    let after: Vec<u64> = delivery.attempts().iter().map(|it| (it.at() - start).as_secs()).collect();
    assert_eq!(after, [0, 5, 305, 2_105, 9_305, 27_305, 63_305, 99_305]);
    assert_eq!(delivery.status(), DeliveryStatus::Failed);
    assert_eq!(delivery.attempts()[2].status(), Some(StatusCode::FOUND));
    let requests = inbox.take();
    let times: Vec<u64> =
        requests.iter().map(|it| header(it, "svix-timestamp").parse::<u64>().unwrap()).collect();
    let after: Vec<u64> = times.iter().map(|time| time - times[0]).collect();
    assert_eq!(after.last(), Some(&99_305));
    assert!(requests.iter().all(|it| header(it, "svix-id") == delivery.id()));
}

#[tokio::test(start_paused = true)]
async fn a_success_ends_the_attempts() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    inbox.answer([503, 200]);
    clerk.unlock("jane");
    clerk.settle_webhooks().await;
    assert_eq!(clerk.deliveries()[0].status(), DeliveryStatus::Pending);
    sleep(2 * DAY).await;
    let delivery = &clerk.deliveries()[0];
    assert_eq!((delivery.status(), delivery.attempts().len()), (DeliveryStatus::Delivered, 2));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_has_15_s_for_its_answer() {
    let clerk = FakeClerk::new();
    clerk.add_webhook(WebhookEndpoint::in_process(WebhookSecret::random(), |_| std::future::pending()));
    let start = Instant::now();
    clerk.unlock("jane");
    clerk.settle_webhooks().await;
    assert_eq!(start.elapsed().as_secs(), 15);
    let delivery = &clerk.deliveries()[0];
    assert_eq!((delivery.attempts().len(), delivery.attempts()[0].status()), (1, None));
    sleep(Duration::from_secs(21)).await;
    let second = clerk.deliveries()[0].attempts()[1].at();
    assert_eq!((second - start).as_secs(), 20, "counted from the failure of the first attempt");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_for_five_days_is_disabled_until_it_is_enabled() {
    let inbox = Inbox::new();
    let clerk = FakeClerk::new();
    let endpoint = clerk.add_webhook(inbox.endpoint());
    inbox.answer([500; 60]);
    for _ in 0..4 {
        clerk.unlock("jane");
        sleep(DAY + DAY / 5).await;
        assert!(clerk.webhook_is_enabled(&endpoint));
    }
    clerk.unlock("jane");
    sleep(DAY).await;
    assert!(!clerk.webhook_is_enabled(&endpoint));
    assert_eq!(clerk.deliveries().last().unwrap().status(), DeliveryStatus::Failed);
    let (before, requests) = (clerk.deliveries().len(), inbox.take().len());
    assert!(requests < 60, "{requests}: some scripted failures are left");
    clerk.unlock("jane");
    clerk.settle_webhooks().await;
    assert_eq!(clerk.deliveries().len(), before, "an event for nobody");
    clerk.enable_webhook(&endpoint);
    clerk.unlock("jane");
    clerk.settle_webhooks().await;
    assert_eq!((inbox.take().len(), clerk.webhook_is_enabled(&endpoint)), (1, true));
}

#[tokio::test(start_paused = true)]
async fn one_success_within_five_days_keeps_an_endpoint() {
    let inbox = Inbox::new();
    let clerk = FakeClerk::new();
    let endpoint = clerk.add_webhook(inbox.endpoint());
    for day in 0..12 {
        inbox.answer([if day % 4 == 3 { 204 } else { 500 }]);
        let id = clerk.send_webhook("test", json!({}));
        clerk.settle_webhooks().await;
        // It isn't tried again then.
        clerk.drop_webhook(&id);
        sleep(DAY).await;
        assert_eq!(inbox.take().len(), 1);
    }
    assert!(clerk.webhook_is_enabled(&endpoint));
}

#[tokio::test(start_paused = true)]
async fn held_events_are_delivered_in_any_order_and_more_than_once() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    clerk.hold_webhooks();
    clerk.ban("jane");
    clerk.unban("jane");
    clerk.settle_webhooks().await;
    assert_eq!(inbox.take().len(), 0);
    let [ban, unban] = clerk.deliveries().try_into().unwrap();
    assert_eq!((ban.status(), ban.attempts().len()), (DeliveryStatus::Held, 0));
    inbox.answer([204, 204, 503]);
    let got = clerk.deliver_webhooks([unban.id(), ban.id(), ban.id()]).await;
    assert_eq!(got, [204, 204, 503].map(|status| StatusCode::from_u16(status).ok()));
    let banned: Vec<Value> =
        inbox.events(&clerk).await.into_iter().map(|(_, data)| data["banned"].clone()).collect();
    assert_eq!(banned, [false, true, true]);
    // From now on they go out by themselves, and those that are still held go first.
    clerk.lock("jane");
    clerk.release_webhooks();
    clerk.unlock("jane");
    assert_eq!(inbox.types(&clerk).await, ["user.updated", "user.updated"]);
}

#[tokio::test(start_paused = true)]
async fn a_seed_decides_the_order_of_held_events() {
    let order = async |seed| {
        let (clerk, inbox) = Inbox::of(FakeClerk::builder());
        clerk.hold_webhooks();
        for number in 0..6 {
            clerk.send_webhook("test", json!({ "number": number }));
        }
        assert_eq!(clerk.deliver_webhooks_shuffled(seed).await.len(), 6);
        let events = inbox.events(&clerk).await;
        events.into_iter().map(|(_, data)| data["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(order(1).await, order(1).await);
    assert_ne!(order(1).await, order(2).await);
}

#[tokio::test(start_paused = true)]
async fn scripted_events_are_dropped_delayed_and_duplicated() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    let minute = Duration::from_secs(60);
    for fault in [WebhookFault::Drop, WebhookFault::Delay(minute), WebhookFault::Duplicate] {
        clerk.script_webhook(fault);
    }
    let [dropped, delayed, duplicated, plain] =
        [0, 1, 2, 3].map(|number| clerk.send_webhook("test", json!({ "number": number })));
    clerk.settle_webhooks().await;
    let mut ids: Vec<String> = inbox.take().iter().map(|it| header(it, "svix-id").to_owned()).collect();
    ids.sort_by_key(|id| *id == plain);
    assert_eq!(ids, [duplicated.clone(), duplicated, plain]);
    sleep(2 * minute).await;
    assert_eq!(header(&inbox.take()[0], "svix-id"), delayed);
    sleep(DAY).await;
    assert_eq!(clerk.deliveries()[0].status(), DeliveryStatus::Dropped);
    clerk.replay_webhook(&dropped);
    clerk.settle_webhooks().await;
    assert_eq!(header(&inbox.take()[0], "svix-id"), dropped);
}

#[tokio::test(start_paused = true)]
async fn a_replay_has_the_same_id_and_body_and_a_new_time() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    clerk.ban("jane");
    clerk.settle_webhooks().await;
    clerk.unban("jane");
    sleep(DAY).await;
    let [first, _] = inbox.take().try_into().unwrap();
    clerk.replay_webhook(header(&first, "svix-id"));
    clerk.settle_webhooks().await;
    let [again] = inbox.take().try_into().unwrap();
    assert_eq!((header(&again, "svix-id"), again.body()), (header(&first, "svix-id"), first.body()));
    let time = |it| header(it, "svix-timestamp").parse::<u64>().unwrap();
    assert_eq!(time(&again) - time(&first), 24 * 3600);
    assert_eq!(clerk.deliveries()[0].attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_receives_the_events_it_wants_while_it_is_registered() {
    let (clerk, all) = Inbox::of(FakeClerk::builder());
    let (some, late) = (Inbox::new(), Inbox::new());
    let id = clerk.add_webhook(some.endpoint().events(["organization.deleted"]));
    clerk.ban("jane");
    clerk.add_webhook(late.endpoint());
    clerk.delete_organization("globex");
    assert_eq!(some.types(&clerk).await, ["organization.deleted"]);
    assert_eq!(late.types(&clerk).await, ["organization.deleted"]);
    assert_eq!(all.types(&clerk).await, ["organization.deleted", "user.updated"]);
    clerk.remove_webhook(&id);
    clerk.delete_organization("acme");
    assert_eq!(some.types(&clerk).await, Vec::<String>::new());
}

#[test]
fn a_change_outside_of_a_runtime_is_sent_within_one() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    clerk.ban("jane");
    assert_eq!(inbox.take().len(), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert_eq!(runtime.block_on(inbox.types(&clerk)), ["user.updated"]);
}

#[tokio::test(start_paused = true)]
async fn retries_end_with_the_instance() {
    let (clerk, inbox) = Inbox::of(FakeClerk::builder());
    inbox.answer([500; 8]);
    clerk.ban("jane");
    clerk.settle_webhooks().await;
    drop(clerk);
    sleep(2 * DAY).await;
    assert_eq!(inbox.take().len(), 1);
}
