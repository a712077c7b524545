//! Webhooks arrive at one replica, and concern all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tower_clerk::ConfigError;
use tower_clerk::store::SqliteStore;
use tower_clerk::testing::Clock;
use tower_clerk::webhook::Event;

use super::server::Redis;
use super::{Replicas, until};
use crate::common::{JANE, World, builder};
use crate::stores::StoreFile;
use crate::webhook::{event, millis, send, service, signed, user};

#[tokio::test]
async fn h5_a_webhook_is_503_until_the_other_replicas_can_read_of_it() {
    let Some(mut redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..2).map(|_| redis.store())).await;
    let jane = replicas.sign_in(1, JANE).await;
    let world =
        World { clock: Clock::system(), fake: replicas.fake.clone(), clerk: replicas.clerks[0].clone() };
    let (handed, counted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&handed);
    let service = service(&world).sink(move |_: Event| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    });
    let deliver = async |id: &str, kind: &str| {
        counted.fetch_add(1, Ordering::Relaxed);
        let body = event(&world, kind, &user(&jane, "jane", &json!({})));
        send(&service, signed(&world, id, body)).await.status()
    };
    redis.kill();
    until("it is alone", || world.clerk.stats().replica.unwrap().is_alone).await;
    assert_eq!(deliver("msg_1", "user.deleted").await, 503);
    assert_eq!(deliver("msg_2", "email.created").await, 204, "it changes nothing");
    redis.run();
    until("it is connected", || !world.clerk.stats().replica.unwrap().is_alone).await;
    assert_eq!(deliver("msg_1", "user.deleted").await, 204);
    until("jane is revoked", || replicas.sessions(1) == 0).await;
    assert_eq!(deliver("msg_1", "user.deleted").await, 204, "a duplicate");
    assert_eq!((handed.load(Ordering::Relaxed), counted.load(Ordering::Relaxed)), (3, 4));
}

/// The second delivery of a changed password changes nothing: the first has, and still waits.
#[tokio::test]
async fn h5_a_webhook_that_comes_again_is_503_until_the_other_replicas_can_read_of_it() {
    let Some(mut redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited([redis.store()]).await;
    let jane = replicas.sign_in(0, JANE).await;
    let world =
        World { clock: Clock::system(), fake: replicas.fake.clone(), clerk: replicas.clerks[0].clone() };
    let service = service(&world);
    let changed =
        json!({ "password_last_updated_at": millis(world.clock.wall()), "banned": null, "locked": null });
    let deliver = async || {
        let user = user(&jane, "jane", &changed);
        send(&service, signed(&world, "msg_1", event(&world, "user.updated", &user))).await.status()
    };
    redis.kill();
    until("it is alone", || world.clerk.stats().replica.unwrap().is_alone).await;
    assert_eq!(deliver().await, 503);
    assert_eq!(world.clerk.stats().replica.unwrap().undelivered_changes, 1);
    assert_eq!(deliver().await, 503);
    assert_eq!(world.clerk.stats().replica.unwrap().undelivered_changes, 1, "it tells no more");
    redis.run();
    until("it is connected", || !world.clerk.stats().replica.unwrap().is_alone).await;
    assert_eq!(deliver().await, 204);
}

#[test]
fn h6_two_stores_are_refused_by_build() {
    let file = StoreFile::new();
    let redis = tower_clerk::store::RedisStore::new("redis://h").unwrap();
    let fake = tower_clerk::testing::FakeClerk::builder().build();
    let engine = || builder(&fake, Clock::system());
    let error = engine().store(SqliteStore::open(file.path()).unwrap()).store(redis).build().unwrap_err();
    assert!(matches!(error, ConfigError::TwoStores), "{error}");
    let without_keys = tower_clerk::store::RedisStore::new("redis://h").unwrap();
    let error = engine().store(without_keys).build().unwrap_err();
    assert!(matches!(error, ConfigError::Redis { .. }), "{error}");
    assert!(error.to_string().contains("openssl rand"), "{error}");
}
