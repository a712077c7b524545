//! Revocations and lifted refusals reach all replicas, and none is lost.

use std::time::{Duration, SystemTime};

use tower_clerk::store::{RedisStore, StoreKey};
use tower_clerk::testing::Clock;
use tower_clerk::{BearerRefusal, BearerTokens, ClerkBasicAuthLayer, Rejection};

use super::server::Redis;
use super::{Replicas, until};
use crate::common::{BOB, JANE, ask, builder, rejection, with_authorization};

#[tokio::test]
async fn h5_a_revocation_reaches_the_other_replicas() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..3).map(|_| redis.store())).await;
    let [a, b, c] = [0, 1, 2];
    let jane = replicas.sign_in(a, JANE).await;
    for replica in [b, c] {
        replicas.sign_in(replica, JANE).await;
        replicas.sign_in(replica, BOB).await;
    }
    replicas.clerks[a].revoke_user(&jane);
    for replica in [b, c] {
        until("jane is revoked", || replicas.sessions(replica) == 1).await;
    }
    // Once: what jane signs in to anew is not revoked by the same change.
    replicas.sign_in(b, JANE).await;
    replicas.clerks[c].revoke_organization("org_1");
    until("all is delivered", || replicas.clerks[c].stats().replica.unwrap().undelivered_changes == 0).await;
    assert_eq!(replicas.sessions(b), 2);
}

#[tokio::test]
async fn h5_revocations_on_both_sides_of_an_outage_are_lost_on_neither() {
    let Some(mut redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..2).map(|_| redis.store())).await;
    let jane = replicas.sign_in(0, JANE).await;
    let bob = replicas.sign_in(1, BOB).await;
    replicas.sign_in(0, BOB).await;
    replicas.sign_in(1, JANE).await;
    redis.kill();
    for clerk in &replicas.clerks {
        until("it is alone", || clerk.stats().replica.unwrap().is_alone).await;
    }
    replicas.clerks[0].revoke_user(&jane);
    replicas.clerks[1].revoke_user(&bob);
    assert_eq!((replicas.sessions(0), replicas.sessions(1)), (1, 1), "each knows its own");
    assert_eq!(replicas.clerks[0].stats().replica.unwrap().undelivered_changes, 1);
    redis.run();
    until("jane and bob are revoked", || replicas.sessions(0) + replicas.sessions(1) == 0).await;
}

/// The replica that has made the change is gone, and the log is lost while another replica doesn't read it.
#[tokio::test]
async fn h5_a_log_that_comes_back_empty_gets_the_changes_from_any_replica_that_knows_them() {
    let Some(mut redis) = Redis::start() else { return };
    let mut replicas = Replicas::unlimited((0..2).map(|_| redis.store())).await;
    let jane = replicas.sign_in(0, JANE).await;
    replicas.clerks[0].revoke_user(&jane);
    replicas.clerks[0].forgive(JANE.0);
    let length =
        |redis: &Redis| redis.log().is_some_and(|log| redis.ask(&["XLEN", &log]) == redis::Value::Int(2));
    until("both are in the log", || length(&redis)).await;
    until("the other has read them", || replicas.clerks[1].stats().replica.unwrap().known_changes == 2).await;
    replicas.clerks.remove(0);
    redis.kill();
    redis.run();
    until("both are in the log again", || length(&redis)).await;
}

/// Everything is deleted under a connection that stays.
#[tokio::test]
async fn h5_a_log_that_is_deleted_is_noticed_and_sent_again() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..2).map(|_| redis.store())).await;
    let jane = replicas.sign_in(0, JANE).await;
    replicas.clerks[0].revoke_user(&jane);
    until("it is known", || replicas.clerks[1].stats().replica.unwrap().known_changes == 1).await;
    redis.ask(&["FLUSHALL"]);
    until("it is back", || redis.log().is_some()).await;
    replicas.sign_in(1, JANE).await;
    replicas.clerks[0].revoke_user(&jane);
    until("jane is revoked", || replicas.sessions(1) == 0).await;
}

#[tokio::test]
async fn h5_a_server_that_stops_answering_costs_no_revocation() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..2).map(|_| redis.store())).await;
    let jane = replicas.sign_in(0, JANE).await;
    replicas.sign_in(1, JANE).await;
    redis.signal("-STOP");
    replicas.clerks[0].revoke_user(&jane);
    until("it is noticed", || replicas.clerks[0].stats().replica.unwrap().is_alone).await;
    assert_eq!((replicas.sessions(0), replicas.sessions(1)), (0, 1));
    redis.signal("-CONT");
    until("jane is revoked", || replicas.sessions(1) == 0).await;
}

/// While a server is demoted it answers, and takes no writes.
#[tokio::test]
async fn h5_a_revocation_waits_for_the_end_of_a_failover() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..2).map(|_| redis.store())).await;
    let jane = replicas.sign_in(0, JANE).await;
    replicas.sign_in(1, JANE).await;
    redis.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    replicas.clerks[0].revoke_user(&jane);
    until("it is noticed", || replicas.clerks[0].stats().replica.unwrap().is_alone).await;
    redis.ask(&["REPLICAOF", "NO", "ONE"]);
    until("jane is revoked", || replicas.sessions(1) == 0).await;
}

#[tokio::test]
async fn h6_without_a_key_of_the_cluster_nothing_in_redis_revokes_anything() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited([redis.store(), redis.store_with_key(8), redis.store()]).await;
    let jane = replicas.sign_in(0, JANE).await;
    replicas.sign_in(2, JANE).await;
    replicas.clerks[1].revoke_user(&jane);
    until("it can't be opened", || replicas.clerks[2].stats().replica.unwrap().unopenable_changes == 1).await;
    let log = redis.log().unwrap();
    for garbage in [&["i", "short"][..], &["x", "y"], &["i", "0123456789abcdef", "x", "y"]] {
        redis.ask(&[&["XADD", &log, "*"], garbage].concat());
    }
    until("garbage is read", || replicas.clerks[2].stats().replica.unwrap().unopenable_changes == 2).await;
    assert_eq!((replicas.sessions(0), replicas.sessions(2)), (1, 1));
    assert!(
        replicas.clerks.iter().all(|clerk| !clerk.stats().replica.unwrap().is_alone),
        "garbage stops no replica"
    );
    // A replay of all entries, from before: each is known.
    replicas.clerks[0].revoke_user(&jane);
    until("jane is revoked", || replicas.sessions(2) == 0).await;
    replicas.sign_in(2, JANE).await;
    let redis::Value::Array(entries) = redis.ask(&["XRANGE", &log, "-", "+"]) else { panic!("no list") };
    for entry in &entries {
        let redis::Value::Array(parts) = entry else { panic!("no entry") };
        let redis::Value::Array(fields) = &parts[1] else { panic!("no fields") };
        let mut again = redis::cmd("XADD");
        again.arg(&log).arg("*");
        for field in fields {
            let redis::Value::BulkString(bytes) = field else { panic!("no field") };
            again.arg(bytes);
        }
        redis.send(&again);
    }
    replicas.clerks[0].revoke_organization("org_1");
    until("the replay is read", || replicas.clerks[2].stats().replica.unwrap().known_changes == 2).await;
    assert_eq!(replicas.sessions(2), 1);
}

#[tokio::test]
async fn h6_what_is_in_redis_shows_no_user_and_no_identifier() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited([redis.store(), redis.store()]).await;
    let jane = replicas.sign_in(0, JANE).await;
    replicas.clerks[0].revoke_user(&jane);
    replicas.clerks[0].forgive(JANE.0);
    until("it is known", || replicas.clerks[1].stats().replica.unwrap().known_changes == 2).await;
    let all = redis.everything();
    assert!(all.len() > 100, "it has entries");
    for secret in [&*jane, &jane[5..], JANE.0, "jane", JANE.1] {
        assert!(!all.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}

#[tokio::test]
async fn h6_keys_of_replicas_rotate_without_losing_a_revocation() {
    let Some(redis) = Redis::start() else { return };
    let (old, new) = (|| StoreKey::from([7; 32]), || StoreKey::from([9; 32]));
    let stores = [redis.store(), redis.store().keys([new(), old()]), redis.store().keys([new()])];
    let replicas = Replicas::unlimited(stores).await;
    let mut jane = String::new();
    for replica in 0..3 {
        jane = replicas.sign_in(replica, JANE).await;
    }
    replicas.clerks[1].revoke_user(&jane);
    for replica in 0..3 {
        until("jane is revoked", || replicas.sessions(replica) == 0).await;
    }
}

#[tokio::test]
async fn h5_a_replica_that_starts_refuses_bearer_tokens_that_were_revoked_before() {
    let Some(redis) = Redis::start() else { return };
    let mut replicas = Replicas::unlimited([redis.store()]).await;
    let [jane, bob] = [JANE, BOB].map(|(name, _)| replicas.fake.open_session(name));
    let [jane, bob] = [jane, bob].map(|session| replicas.fake.token(&session).sign());
    let id = replicas.sign_in(0, JANE).await;
    replicas.clerks[0].revoke_user(&id);
    until("it is delivered", || replicas.clerks[0].stats().replica.unwrap().undelivered_changes == 0).await;
    let clerk = builder(&replicas.fake, Clock::system()).store(redis.store()).build().unwrap();
    replicas.clerks.push(clerk.clone());
    until("it is connected", || !clerk.stats().replica.unwrap().is_alone).await;
    let layer = ClerkBasicAuthLayer::new(clerk).accept_bearer(BearerTokens::new()).unwrap();
    let status = async |jwt: &str| {
        let response = ask(&layer, with_authorization(&format!("Bearer {jwt}"))).await;
        (response.status().as_u16(), rejection(&response).and_then(Rejection::bearer_refusal))
    };
    assert_eq!(status(&jane).await, (401, Some(BearerRefusal::Revoked)));
    assert_eq!(status(&bob).await, (200, None));
}

/// Its clock is wrong until Clerk answers for the first time.
#[tokio::test]
async fn h5_a_replica_that_starts_with_a_fast_clock_hears_of_revocations() {
    let Some(redis) = Redis::start() else { return };
    let mut replicas = Replicas::unlimited([redis.store()]).await;
    let clock = Clock::starting_at(SystemTime::now() + Duration::from_secs(600));
    replicas.clerks.push(builder(&replicas.fake, clock).store(redis.store()).build().unwrap());
    until("it is connected", || !replicas.clerks[1].stats().replica.unwrap().is_alone).await;
    let jane = replicas.sign_in(1, JANE).await;
    replicas.clerks[0].revoke_user(&jane);
    until("jane is revoked", || replicas.sessions(1) == 0).await;
}

/// The user of Redis is the one that the page on deploying sets up.
#[tokio::test]
async fn h6_the_documented_rights_suffice() {
    let Some(redis) = Redis::start() else { return };
    let page = include_str!("../../../docs/deploying.md");
    let line = page.lines().find(|line| line.starts_with("ACL SETUSER")).unwrap();
    redis.ask(&line.split(' ').collect::<Vec<_>>());
    let store = || {
        let url = format!("redis+unix://{}?user=my-server&pass=password", redis.socket().display());
        RedisStore::new(&url).unwrap().keys([StoreKey::from([7; 32])]).cluster("prod")
    };
    let replicas = Replicas::unlimited([store(), store()]).await;
    let jane = replicas.sign_in(0, JANE).await;
    replicas.sign_in(1, JANE).await;
    replicas.clerks[0].revoke_user(&jane);
    until("jane is revoked", || replicas.sessions(1) == 0).await;
    assert_eq!(redis.ask(&["ACL", "LOG"]), redis::Value::Array(Vec::new()), "nothing was denied");
}

/// `cargo test --all-features --test it -- --ignored --nocapture h5_how_long`.
#[tokio::test]
#[ignore = "a measurement"]
async fn h5_how_long_a_revocation_takes_to_reach_another_replica() {
    let Some(redis) = Redis::start() else { return };
    let replicas = Replicas::unlimited((0..2).map(|_| redis.store())).await;
    let mut times = Vec::new();
    for _ in 0..1000 {
        let jane = replicas.sign_in(1, JANE).await;
        replicas.clerks[0].revoke_user(&jane);
        times.push(until("jane is revoked", || replicas.sessions(1) == 0).await);
    }
    times.sort_unstable();
    let (p50, p99, most) = (times[500], times[990], times[999]);
    println!("a revocation reaches another replica in {p50:?} (p50), {p99:?} (p99), {most:?} at most");
    assert!(p99 < Duration::from_millis(50), "{p99:?}");
}
