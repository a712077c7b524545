//! A store that another program has locked, as on a busy disk. Its reads and writes wait in threads of their own, so no
//! mint, no revocation and no hit waits for them.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use tower_clerk::ClerkBuilder;
use tower_clerk::stats::Outcome;
use tower_clerk::store::SqliteStore;
use tower_clerk::testing::{Endpoint, FakeClerkBuilder};

use crate::common::{BOB, JANE, World, session, warm_up};
use crate::stores::StoreFile;

/// The longest that unrelated work may take while the store is locked, in real time.
const LONG: Duration = Duration::from_secs(2);

/// Signs in Jane, with a token for `acme` too, and Bob, and locks the store. Returns the lock as well.
async fn locked(store: &StoreFile, world: World, begin: &str) -> (World, Connection) {
    warm_up(&world.fake).await;
    for response in [world.get(JANE).await, world.get_for(JANE, "acme").await, world.get(BOB).await] {
        assert_eq!(response.status(), 200, "both are signed in");
    }
    let lock = store.connect();
    // The engine may still be writing the records of the sign-ins.
    lock.busy_timeout(Duration::from_secs(30)).unwrap();
    lock.execute_batch(begin).unwrap();
    (world, lock)
}

/// As in a program, so that a lock is felt.
fn impatient(store: &StoreFile) -> SqliteStore {
    store.open().read_patience(Duration::from_millis(100))
}

async fn world(store: &StoreFile) -> (World, Connection) {
    let engine = |engine: ClerkBuilder| engine.unlimited_sign_ins().store(impatient(store));
    locked(store, World::with(FakeClerkBuilder::no_rate_limit, engine), "BEGIN EXCLUSIVE").await
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, work).await.expect("it waited for the store")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn h3_a_locked_store_delays_no_mint() {
    let store = StoreFile::new();
    let (world, _lock) = world(&store).await;
    assert_eq!(in_time(world.get_for(JANE, "globex")).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn h3_a_locked_store_delays_no_revocation_and_no_sign_in() {
    let store = StoreFile::new();
    let (world, _lock) = world(&store).await;
    let bob = session(&world.get(BOB).await).session_id().to_owned();
    let began = Instant::now();
    world.clerk.revoke_session(&bob);
    assert!(began.elapsed() < LONG, "a revocation waited for the store");
    assert_ne!(session(&in_time(world.get(BOB)).await).session_id(), bob);
}

/// The file can be read. A sign-in by the known device rotates its token, and the write of that is still waiting when the
/// device is stored again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn h3_a_write_that_waits_for_a_locked_store_delays_no_sign_in_by_the_same_device() {
    let store = StoreFile::new();
    let engine = |engine: ClerkBuilder| engine.unlimited_sign_ins().store(impatient(&store));
    let world = World::with(FakeClerkBuilder::no_rate_limit, engine);
    let (world, _lock) = locked(&store, world, "BEGIN IMMEDIATE").await;
    let bob = session(&in_time(world.get(BOB)).await).session_id().to_owned();
    world.clerk.revoke_session(&bob);
    // The token of the sign-in has to be verified with new keys, and meanwhile the rotated token is stored.
    world.fake.rotate_keys();
    let (hold, fetched) = (world.fake.hold(Endpoint::Jwks), world.fake.count(Endpoint::Jwks));
    let request = {
        let world = world.clone();
        tokio::spawn(async move { world.get(BOB).await })
    };
    while world.fake.count(Endpoint::Jwks) == fetched {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    drop(hold);
    assert_ne!(session(&in_time(request).await.unwrap()).session_id(), bob);
}

/// The file still has the session, and can be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn k9_a_revoked_session_is_not_reused_while_its_store_is_locked() {
    let store = StoreFile::new();
    let world = World::backend_with(FakeClerkBuilder::no_rate_limit, |engine| {
        engine.unlimited_sign_ins().store(impatient(&store))
    });
    let (world, lock) = locked(&store, world, "BEGIN IMMEDIATE").await;
    let response = world.get(BOB).await;
    let bob = session(&response).session_id().to_owned();
    world.clerk.revoke_user(session(&response).user_id());
    let next = session(&in_time(world.get(BOB)).await).session_id().to_owned();
    assert_ne!(next, bob);
    // The next process finds the new session only.
    drop(lock);
    assert_eq!(world.clerk.shutdown(Duration::from_secs(20)).await, 0);
    let again = world.restarted(|engine| engine.unlimited_sign_ins().store(impatient(&store)));
    assert_ne!(session(&again.get(BOB).await).session_id(), bob);
}

/// The end of a session is asked for when its record is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn k10_a_shutdown_ends_the_sessions_that_a_locked_store_has_yet_to_remove() {
    let store = StoreFile::new();
    let world = World::backend_with(FakeClerkBuilder::no_rate_limit, |engine| {
        engine.unlimited_sign_ins().store(impatient(&store))
    });
    let (world, lock) = locked(&store, world, "BEGIN IMMEDIATE").await;
    let response = world.get(BOB).await;
    world.clerk.revoke_user(session(&response).user_id());
    let clerk = world.clerk.clone();
    let shutdown = tokio::spawn(async move { clerk.shutdown(Duration::from_secs(20)).await });
    // The shutdown has begun.
    while world.get(JANE).await.status() == 200 {
        tokio::task::yield_now().await;
    }
    drop(lock);
    assert_eq!(shutdown.await.unwrap(), 0);
    assert_eq!(world.fake.count(Endpoint::RevokeSession), 1);
}

/// A request that asked the store would wait for half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn h1_a_hit_asks_no_store() {
    let store = StoreFile::new();
    let engine = |engine: ClerkBuilder| engine.unlimited_sign_ins().store(store.open());
    let world = World::with(FakeClerkBuilder::no_rate_limit, engine);
    let (world, _lock) = locked(&store, world, "BEGIN EXCLUSIVE").await;
    world.clerk.revoke_organization("org_that_is_not_asked_for");
    let calls = world.fake.count(Endpoint::Any);
    let began = Instant::now();
    for hit in [world.get(JANE).await, world.get_for(JANE, "acme").await] {
        assert_eq!((hit.status().as_u16(), world.fake.count(Endpoint::Any)), (200, calls), "it is a hit");
    }
    // The look for a session is not asynchronous, so a timeout would not end a wait in it.
    assert!(began.elapsed() < LONG, "a hit waited for the store");
    assert_eq!(world.clerk.stats().count(Outcome::Hit), 2);
}
