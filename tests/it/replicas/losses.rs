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

/// A replica of Redis that takes over may have the last entry that was read, and lack a later one.
#[tokio::test]
async fn h5_a_change_that_was_acknowledged_and_not_read_is_sent_again_by_the_next_connection() {
    let Some(redis) = Redis::start() else { return };
    let proxy = Proxy::start(&redis);
    let mut replicas = Replicas::unlimited([proxy.store(), redis.store()]).await;
    let jane = replicas.sign_in(0, JANE).await;
    replicas.clerks[1].forgive(JANE.0);
    until("it is read", || replicas.clerks[0].stats().replica.unwrap().known_changes == 1).await;
    // It would send the change again if it had read it.
    drop(replicas.clerks.pop());
    // An answer to a read has the name of the log.
    proxy.swallow(":log");
    replicas.clerks[0].revoke_user(&jane);
    until("it is acknowledged", || waiting(&replicas) == 0 && length(&redis) == 2).await;
    let log = redis.log().unwrap();
    let redis::Value::Array(entries) = redis.ask(&["XRANGE", &log, "-", "+"]) else { panic!("no list") };
    let redis::Value::Array(parts) = &entries[1] else { panic!("no entry") };
    let redis::Value::BulkString(place) = &parts[0] else { panic!("no place") };
    redis.send(redis::cmd("XDEL").arg(&log).arg(place));
    until("the change is in the log again", || length(&redis) == 2).await;
}

/// An entry that was forged, with the id of a change that the new log lacks.
#[tokio::test]
async fn h6_a_forged_entry_does_not_keep_the_change_of_its_id_from_being_sent_again() {
    let Some(mut redis) = Redis::start() else { return };
    let proxy = Proxy::start(&redis);
    let replicas = Replicas::unlimited([proxy.store()]).await;
    let jane = replicas.sign_in(0, JANE).await;
    replicas.clerks[0].revoke_user(&jane);
    until("it is delivered", || waiting(&replicas) == 0).await;
    let log = redis.log().unwrap();
    let redis::Value::Array(entries) = redis.ask(&["XRANGE", &log, "-", "+"]) else { panic!("no list") };
    let redis::Value::Array(parts) = &entries[0] else { panic!("no entry") };
    let redis::Value::Array(fields) = &parts[1] else { panic!("no fields") };
    let redis::Value::BulkString(id) = &fields[1] else { panic!("no id") };
    proxy.close(true);
    redis.kill();
    redis.run();
    redis.send(redis::cmd("XADD").arg(&log).arg("*").arg("i").arg(id).arg("x").arg("y"));
    proxy.close(false);
    until("the change is in the log again", || length(&redis) == 2).await;
}

/// The entries that came meanwhile are another cluster's, or garbage.
#[tokio::test]
async fn k7_a_replica_that_the_log_has_left_behind_drops_all_sessions_whatever_is_in_it() {
    let Some(redis) = Redis::start() else { return };
    let proxy = Proxy::start(&redis);
    let replicas = Replicas::unlimited([proxy.store(), redis.store()]).await;
    replicas.sign_in(0, JANE).await;
    replicas.clerks[1].forgive(JANE.0);
    until("it is read", || replicas.clerks[0].stats().replica.unwrap().known_changes == 1).await;
    proxy.close(true);
    proxy.break_at("XREAD", 0);
    until("it is broken", || proxy.broken() == 1).await;
    let log = redis.log().unwrap();
    let fill = "for i = 1, 100000 do redis.call('XADD', KEYS[1], '*', 'x', 'y') end";
    redis.ask(&["EVAL", fill, "1", &log]);
    redis.ask(&["XTRIM", &log, "MAXLEN", "100000"]);
    assert_eq!(replicas.sessions(0), 1);
    proxy.close(false);
    until("all sessions are dropped", || replicas.sessions(0) == 0).await;
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
