//! The database goes away and comes back (rule Y3).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fake_clerk::{FakeClerk, FakeUser};
use http::StatusCode;
use tower_clerk_sync::Mirror;

use crate::support::Server;
use crate::world::{World, texts};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn y3_what_was_answered_204_survives_kill_9_of_postgresql_and_the_rest_comes_again() {
    let Some(mut server) = Server::start("") else { return };
    let url = server.create_database().await;
    let fake = FakeClerk::builder().empty().no_rate_limit().build();
    let mirror = Mirror::builder(&url).max_connections(4).connect().await.unwrap();
    let World { fake, .. } = World::of(fake, mirror);
    fake.hold_webhooks();
    for number in 0..200 {
        fake.add_user(FakeUser::new(format!("user{number}@example.com")));
    }
    let ids: Vec<String> = fake.deliveries().iter().map(|it| it.id().to_owned()).collect();
    // Four at a time, so that transactions are open when the server dies.
    let is_killed = Arc::new(AtomicBool::new(false));
    let deliver = |ids: Vec<String>| {
        let (fake, is_killed) = (fake.clone(), Arc::clone(&is_killed));
        tokio::spawn(async move {
            let mut done = Vec::new();
            for id in ids {
                match fake.deliver_webhooks([&id]).await[0] {
                    Some(StatusCode::NO_CONTENT) => done.push(id),
                    Some(StatusCode::SERVICE_UNAVAILABLE) if is_killed.load(Ordering::SeqCst) => break,
                    other => panic!("{other:?}"),
                }
            }
            done
        })
    };
    let deliveries: Vec<_> = ids.chunks(50).map(|ids| deliver(ids.to_vec())).collect();
    while texts(&url, "SELECT id FROM clerk_users").await.len() < 40 {
        tokio::task::yield_now().await;
    }
    is_killed.store(true, Ordering::SeqCst);
    server.kill();
    let mut done = Vec::new();
    for delivery in deliveries {
        done.extend(delivery.await.unwrap());
    }
    assert!(done.len() < ids.len(), "the server died in between");
    server.restart();
    let noted = texts(&url, "SELECT message_id FROM clerk_mirror_deliveries").await;
    let lost: Vec<_> = done.iter().filter(|id| !noted.contains(id)).collect();
    assert!(lost.is_empty(), "answered 204 and lost: {lost:?}");
    let users = texts(&url, "SELECT id FROM clerk_users").await;
    assert_eq!(users.len(), noted.len(), "an id and its effect land together");
    // As Clerk's sender tries again what was not answered 204.
    for id in ids.iter().filter(|id| !done.contains(id)) {
        let mut answer = fake.deliver_webhooks([id]).await[0];
        // Connections that the server's death has left are noticed one by one.
        for _ in 0..10 {
            if answer == Some(StatusCode::NO_CONTENT) {
                break;
            }
            answer = fake.deliver_webhooks([id]).await[0];
        }
        assert_eq!(answer, Some(StatusCode::NO_CONTENT));
    }
    assert_eq!(texts(&url, "SELECT id FROM clerk_users").await.len(), 200);
    let told = texts(&url, "SELECT object_id FROM clerk_changes").await;
    assert_eq!(told.len(), 200, "each once");
}
