//! Changes that Redis has lost are sent again.

use std::time::Duration;

use super::proxy::Proxy;
use super::server::Redis;
use super::{Replicas, until};
use crate::common::JANE;

fn length(redis: &Redis) -> i64 {
    let Some(log) = redis.log() else { return 0 };
    let redis::Value::Int(length) = redis.ask(&["XLEN", &log]) else { panic!("no number") };
    length
}

fn waiting(replicas: &Replicas) -> usize {
    replicas.clerks[0].stats().replica.unwrap().undelivered_changes
}

/// The connection breaks after the first entries of a new log, which are those of another replica.
#[tokio::test]
async fn h5_a_log_that_was_lost_gets_its_changes_if_reading_it_is_interrupted() {
    let Some(mut redis) = Redis::start() else { return };
    let proxy = Proxy::start(&redis);
    let replicas = Replicas::unlimited([proxy.store()]).await;
    let jane = replicas.sign_in(0, JANE).await;
    replicas.clerks[0].revoke_user(&jane);
    until("it is delivered", || waiting(&replicas) == 0).await;
    let log = redis.log().unwrap();
    proxy.close(true);
    redis.kill();
    redis.run();
    redis.ask(&["XADD", &log, "*", "i", "0123456789abcdef", "x", "y"]);
    // The first looks for the last entry that was read, the second reads the other replica's.
    proxy.break_at("XRANGE", 2);
    proxy.close(false);
    until("reading is interrupted", || proxy.broken() == 1).await;
    until("the change is in the log again", || length(&redis) == 2).await;
}

/// A server that can be read, and refuses changes.
#[tokio::test]
async fn h5_a_server_that_takes_no_changes_is_tried_less_and_less_often() {
    let Some(redis) = Redis::start() else { return };
    let proxy = Proxy::start(&redis);
    let replicas = Replicas::unlimited([proxy.store()]).await;
    let jane = replicas.sign_in(0, JANE).await;
    redis.ask(&["ACL", "SETUSER", "default", "-xadd"]);
    replicas.clerks[0].revoke_user(&jane);
    let before = proxy.connections();
    let time = until("six pairs of connections", || proxy.connections() >= before + 12).await;
    assert!(time > Duration::from_millis(700), "{time:?}");
    redis.ask(&["ACL", "SETUSER", "default", "+xadd"]);
    until("it is delivered", || waiting(&replicas) == 0).await;
}

/// A user of Redis who may not touch the failures.
#[tokio::test]
async fn h5_a_limit_that_redis_refuses_delays_no_revocation_and_costs_no_connection() {
    let Some(redis) = Redis::start() else { return };
    let proxy = Proxy::start(&redis);
    let replicas = Replicas::unlimited([proxy.store()]).await;
    redis.ask(&["ACL", "SETUSER", "default", "resetkeys", "~*:log", "~*:members:*", "~*:permits:*"]);
    let before = proxy.connections();
    let jane = replicas.sign_in(0, JANE).await;
    // The calls of the sign-in are made between the first and the second.
    for _ in 0..2 {
        replicas.clerks[0].revoke_user(&jane);
        until("it is delivered", || waiting(&replicas) == 0).await;
    }
    assert_eq!(proxy.connections(), before);
}
