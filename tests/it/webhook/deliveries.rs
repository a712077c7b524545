//! The stand-in's own deliveries in every order, and each one several times: the end state is Clerk's (rule W5).

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::ServiceExt as _;
use tower_clerk::testing::{DeliveryStatus, WebhookEndpoint};

use super::app::{Accepts, App, Provider, fresh, secret, world};
use super::changes::{ACME, NEW, calls, with_ids};
use super::{SECOND, service};
use crate::common::{JANE, World};

/// Changes one after the other, which send up to four events.
const HISTORIES: [&[&str]; 9] = [
    &["ban lifted", "new password"],
    &["new password", "ban"],
    &["member added", "new password", "session revoked"],
    &["session revoked", "second factor", "member removed"],
    &["role changed", "organization gone", "new password"],
    &["slug changed", "member removed", "no password"],
    &["member removed", "ban lifted"],
    &["new password", "session revoked", "deleted"],
    &["other name", "new password", "other name", "role changed"],
];

/// All orders of `count` things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![Vec::new()], |orders, next| {
        let longer = |order: Vec<usize>| {
            (0..=order.len()).map(move |at| {
                let mut order = order.clone();
                order.insert(at, next);
                order
            })
        };
        orders.into_iter().flat_map(longer).collect()
    })
}

/// An app that has forgotten the ids of earlier deliveries at each one, as after a restart: duplicates have effect.
fn forgetful(world: World) -> App {
    let receiver = world.clone();
    let endpoint = WebhookEndpoint::in_process(secret(), move |request: Request<Bytes>| {
        let service = service(&receiver);
        async move { service.oneshot(request.map(Full::new)).await.unwrap().status() }
    });
    world.fake.add_webhook(endpoint);
    App::of(world, Accepts::Basic)
}

/// The answers to the old password, the new one, and the one that is right for the organization.
async fn answers(app: &App) -> [String; 3] {
    // After many refusals the same refusal is 429, by the number of attempts that were seen here.
    let answer = |code: String| if code == "throttled" { "credentials_rejected".to_owned() } else { code };
    let (old, new) = (answer(app.ask("/me", JANE).await), answer(app.ask("/me", NEW).await));
    let pair = if new == "credentials_rejected" { JANE } else { NEW };
    [old, new, answer(app.ask(ACME, pair).await)]
}

async fn deliver(app: &App, id: &str) {
    let statuses = app.world.fake.deliver_webhooks([id]).await;
    assert!(statuses.iter().all(|status| status.is_some_and(|status| status == 204)), "{statuses:?}");
}

/// Makes the changes, and returns the ids of the events that tell of them, which are held.
async fn history(app: &App, changes: &[&str]) -> Vec<String> {
    let fake = &app.world.fake;
    tokio::time::advance(10 * SECOND).await;
    answers(app).await;
    fake.settle_webhooks().await;
    fake.hold_webhooks();
    for call in changes.iter().flat_map(|change| calls(change)) {
        tokio::time::advance(10 * SECOND).await;
        app.make(&with_ids(&app.world, call).unwrap()).await;
    }
    let held = fake.deliveries().into_iter().filter(|it| it.status() == DeliveryStatus::Held);
    held.map(|it| it.id().to_owned()).collect()
}

async fn check(provider: Provider, changes: &[&str], order: &[usize]) -> usize {
    let name = format!("{changes:?} as {order:?}, {provider:?}");
    let app = forgetful(world(provider));
    let events = history(&app, changes).await;
    if order.len() != events.len() {
        return events.len();
    }
    for at in order {
        // The engine asks, remembers and stores in between, after any part of the deliveries.
        answers(&app).await;
        deliver(&app, &events[*at]).await;
    }
    // The sign-ins in between have events of their own.
    app.world.fake.deliver_webhooks_shuffled(order[0] as u64).await;
    let expected = answers(&fresh(&app.world, provider)).await;
    assert_eq!(answers(&app).await, expected, "{name}");
    for at in order.iter().rev() {
        deliver(&app, &events[*at]).await;
        assert_eq!(answers(&app).await, expected, "{name}, and again");
    }
    app.world.fake.deliver_webhooks_shuffled(order[0] as u64 + 7).await;
    assert_eq!(answers(&app).await, expected, "{name}, and all of them again");
    events.len()
}

#[tokio::test(start_paused = true)]
async fn w5_the_deliveries_of_the_sender_in_every_order_and_again_lead_to_clerks_state() {
    assert_eq!((orders(3).len(), orders(4).len()), (6, 24));
    for provider in [Provider::Frontend, Provider::Backend] {
        for changes in HISTORIES {
            let count = check(provider, changes, &[]).await;
            assert!((2..=4).contains(&count), "{changes:?}, {provider:?}: {count} events");
            for order in orders(count) {
                check(provider, changes, &order).await;
            }
        }
    }
}
