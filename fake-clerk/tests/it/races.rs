//! Holds and the request log.

use std::time::Duration;

use fake_clerk::{Endpoint, FakeClerk};
use tokio::time::advance;

use super::caller::{Caller, JANE};

fn spawn_sign_in(clerk: &FakeClerk) -> tokio::task::JoinHandle<u16> {
    let clerk = clerk.clone();
    tokio::spawn(async move { Caller::new(&clerk).sign_in("jane", JANE).await.status })
}

#[tokio::test(start_paused = true)]
async fn held_requests_change_nothing_until_released() {
    let clerk = FakeClerk::new();
    let hold = clerk.hold(Endpoint::SignIns);
    let first = spawn_sign_in(&clerk);
    hold.arrived(1).await;
    let second = spawn_sign_in(&clerk);
    hold.arrived(2).await;
    assert_eq!(clerk.count(Endpoint::SignIns), 2);
    assert_eq!(clerk.live_sessions(), 0);
    assert!(hold.release_one());
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!((clerk.live_sessions(), hold.waiting()), (1, 1));
    hold.release();
    assert_eq!(second.await.unwrap(), 200);
    assert_eq!(spawn_sign_in(&clerk).await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_held_response_belongs_to_a_request_that_was_carried_out() {
    let clerk = FakeClerk::new();
    let hold = clerk.hold_answer(Endpoint::SignIns);
    let answer = spawn_sign_in(&clerk);
    hold.arrived(1).await;
    assert_eq!(clerk.live_sessions(), 1);
    assert!(!answer.is_finished());
    drop(hold);
    assert_eq!(answer.await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_is_not_held() {
    let clerk = FakeClerk::new();
    let hold = clerk.hold(Endpoint::Any);
    let gone = spawn_sign_in(&clerk);
    hold.arrived(1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert_eq!(hold.waiting(), 0);
    assert!(!hold.release_one());
    assert_eq!(clerk.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_log_prints_requests_without_secrets() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    caller.post(&format!("{session}/tokens"), &[("organization_id", "")]).await.ok();
    caller.sign_in("bob", "wrong").await;
    let requests = clerk.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].form("identifier"), Some("jane"));
    assert_eq!(requests[0].query("_is_native"), Some("1"));
    assert_eq!(requests[0].status().unwrap(), 200);
    assert_eq!(requests[1].endpoint(), Endpoint::Tokens);
    assert_eq!(requests[2].status().unwrap(), 400);
    let shown = format!("{requests:?}");
    let token = caller.token.unwrap();
    assert!(!shown.contains("horse") && !shown.contains(&token) && shown.contains("jane"), "{shown}");
    assert_eq!(clerk.count(Endpoint::SignIns), 2);
    assert_eq!(clerk.requests_to(Endpoint::Tokens).len(), 1);
    clerk.clear_log();
    assert_eq!((clerk.count(Endpoint::Any), clerk.requests().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_log_can_verify_a_rate_limit() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    for pause in [0, 4, 4, 2, 20, 1] {
        advance(Duration::from_secs(pause)).await;
        caller.get("/v1/environment").await.ok();
    }
    // At 0, 4, 8, 10, 30, 31: the one at 10 isn't in the window that starts at 0.
    assert_eq!(clerk.max_in_window(Endpoint::Environment, Duration::from_secs(10)), 3);
    assert_eq!(clerk.max_in_window(Endpoint::Environment, Duration::from_secs(60)), 6);
    assert_eq!(clerk.max_in_window(Endpoint::Jwks, Duration::from_secs(60)), 0);
}

#[tokio::test(start_paused = true)]
async fn a_simulated_day_takes_no_real_time() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    for _ in 0..24 {
        advance(Duration::from_secs(3600)).await;
        caller.post(&format!("{session}/tokens"), &[]).await.ok();
    }
    let request = caller.request("GET", "/v1/client", &[]);
    assert_eq!(clerk.handle(request).await.unwrap().status(), 200);
    assert_eq!(clerk.live_sessions(), 1);
}
