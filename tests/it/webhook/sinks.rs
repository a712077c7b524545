//! The application's sink (rule W4).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::sync::Semaphore;
use tower_clerk::stats::WebhookOutcome;
use tower_clerk::testing::Endpoint;
use tower_clerk::webhook::{ClerkWebhookService, Event};

use super::{SECOND, counted, event, send, service, signed};
use crate::common::{JANE, World, run_ready_tasks, session};

/// A service whose sink fails while it has no permit left, and the events that it got.
fn recording(
    world: &World,
    successes: usize,
) -> (ClerkWebhookService, Arc<Semaphore>, Arc<Mutex<Vec<String>>>) {
    let (permits, seen) = (Arc::new(Semaphore::new(successes)), Arc::<Mutex<Vec<String>>>::default());
    let of_sink = (Arc::clone(&permits), Arc::clone(&seen));
    let service = service(world).sink(move |event: Event| {
        of_sink.1.lock().unwrap().push(event.id().to_owned());
        let has_room = of_sink.0.try_acquire().map(tokio::sync::SemaphorePermit::forget);
        async move { has_room.map_err(Into::into) }
    });
    (service, permits, seen)
}

#[tokio::test(start_paused = true)]
async fn w4_an_event_comes_again_until_the_sink_succeeds_and_then_no_more() {
    let world = World::unlimited();
    let (service, permits, seen) = recording(&world, 0);
    let body = event(&world, "organizationDomain.created", &json!({ "id": "orgdmn_1" }));
    let statuses = async |times: usize| {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(send(&service, signed(&world, "msg_1", body.clone())).await.status().as_u16());
            tokio::time::advance(5 * SECOND).await;
        }
        statuses
    };
    assert_eq!(statuses(3).await, [503, 503, 503]);
    permits.add_permits(10);
    assert_eq!(statuses(3).await, [204, 204, 204]);
    assert_eq!(seen.lock().unwrap().len(), 4, "the sink gets no duplicate of an event that is done");
    let outcomes = [WebhookOutcome::Deferred, WebhookOutcome::Done, WebhookOutcome::Duplicate];
    assert_eq!(outcomes.map(|outcome| counted(&world, outcome)), [3, 1, 2]);
    assert_eq!(send(&service, signed(&world, "msg_2", body.clone())).await.status(), 204, "another id");
    assert_eq!(seen.lock().unwrap().len(), 5);
    tokio::time::advance(48 * 3600 * SECOND).await;
    assert_eq!(statuses(1).await, [204]);
    assert_eq!(seen.lock().unwrap().len(), 6, "after 48 h the id is forgotten");
}

#[tokio::test(start_paused = true)]
async fn w4_the_engine_acts_before_the_sink_and_although_it_fails() {
    let world = World::unlimited();
    let user = session(&world.get(JANE).await).user_id().to_owned();
    let clerk = world.clerk.clone();
    let service = service(&world).sink(move |_| {
        assert_eq!(clerk.stats().sessions, 0, "the engine has acted");
        async { Err("the database is away".into()) }
    });
    let body = event(&world, "user.deleted", &json!({ "id": user, "deleted": true }));
    assert_eq!(send(&service, signed(&world, "msg_1", body)).await.status(), 503);
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::SignIns), 2);
}

#[tokio::test(start_paused = true)]
async fn w4_a_duplicate_that_arrives_while_the_sink_is_at_work_is_503() {
    let world = World::unlimited();
    let (gate, calls) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU32::new(0)));
    let of_sink = (Arc::clone(&gate), Arc::clone(&calls));
    let service = service(&world).sink(move |_| {
        of_sink.1.fetch_add(1, Ordering::Relaxed);
        let gate = Arc::clone(&of_sink.0);
        async move { gate.acquire().await.map(drop).map_err(Into::into) }
    });
    let body = event(&world, "email.created", &json!({}));
    let first = tokio::spawn({
        let (service, request) = (service.clone(), signed(&world, "msg_1", body.clone()));
        async move { send(&service, request).await.status() }
    });
    run_ready_tasks().await;
    assert_eq!(send(&service, signed(&world, "msg_1", body.clone())).await.status(), 503);
    gate.add_permits(1);
    assert_eq!(first.await.unwrap(), 204);
    assert_eq!(send(&service, signed(&world, "msg_1", body)).await.status(), 204);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn w4_a_sink_that_hangs_is_dropped_after_15_seconds_and_one_whose_client_goes_away_at_once() {
    struct Dropped(Arc<AtomicU32>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let world = World::unlimited();
    let dropped = Arc::new(AtomicU32::new(0));
    let of_sink = Arc::clone(&dropped);
    let service = service(&world).sink(move |_| {
        let held = Dropped(Arc::clone(&of_sink));
        async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok(())
        }
    });
    let body = event(&world, "email.created", &json!({}));
    let began = world.clock.now();
    assert_eq!(send(&service, signed(&world, "msg_1", body.clone())).await.status(), 503);
    assert_eq!((world.clock.now() - began, dropped.load(Ordering::Relaxed)), (15 * SECOND, 1));
    let task = tokio::spawn({
        let (service, request) = (service.clone(), signed(&world, "msg_1", body));
        async move { send(&service, request).await }
    });
    run_ready_tasks().await;
    task.abort();
    run_ready_tasks().await;
    assert_eq!(dropped.load(Ordering::Relaxed), 2, "and its id is not under way any more");
}

#[tokio::test(start_paused = true)]
async fn w4_slow_sinks_keep_no_event_from_the_engine() {
    let world = World::unlimited();
    let user = session(&world.get(JANE).await).user_id().to_owned();
    let service = service(&world).sink(async |_| std::future::pending().await);
    for at in 0..64 {
        let body = event(&world, "email.created", &json!({ "id": at }));
        let (service, request) = (service.clone(), signed(&world, &format!("msg_{at}"), body));
        tokio::spawn(async move { send(&service, request).await });
    }
    run_ready_tasks().await;
    world.fake.ban("jane");
    let body = event(&world, "user.updated", &super::user(&user, "jane", &json!({ "banned": true })));
    assert_eq!(send(&service, signed(&world, "msg_ban", body)).await.status(), 503);
    assert_eq!(world.get(JANE).await.status(), 401);
}
