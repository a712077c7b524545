use std::time::Duration;

use fake_clerk::{ConnectionFault, Endpoint, FakeClerk, Fault, RetryAfter};
use tokio::time::{Instant, timeout};

use super::caller::{Caller, JANE};

#[tokio::test(start_paused = true)]
async fn queued_faults_apply_in_order_and_once() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    clerk.script(Endpoint::SignIns, Fault::Status(503));
    clerk.script_times(Endpoint::SignIns, 2, Fault::StatusWithCode(401, "requires_captcha".to_owned()));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let got = caller.sign_in("jane", JANE).await;
        seen.push((got.status, got.refusal().1.to_owned()));
    }
    let seen: Vec<_> = seen.iter().map(|(status, code)| (*status, code.as_str())).collect();
    let expected =
        [(503, "service_unavailable"), (401, "requires_captcha"), (401, "requires_captcha"), (200, "")];
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_fault_lasts_until_it_is_cleared() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    clerk.script_always(Endpoint::Any, Fault::Status(500));
    for _ in 0..3 {
        assert_eq!(caller.get("/v1/environment").await.refusal(), (500, "internal_clerk_error"));
    }
    clerk.clear_script(Endpoint::Any);
    caller.get("/v1/environment").await.ok();
}

#[tokio::test(start_paused = true)]
async fn some_faults_prevent_the_request_and_others_alter_the_response() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    for (fault, carried_out) in [
        (Fault::Refused, false),
        (Fault::Html(502), false),
        (Fault::Redirect, false),
        (Fault::Reset, true),
        (Fault::Truncated, true),
        (Fault::Oversized, true),
        (Fault::Empty, true),
        (Fault::NotJson, true),
        (Fault::WrongTypes, true),
    ] {
        let before = clerk.live_sessions();
        clerk.script(Endpoint::SignIns, fault.clone());
        let mut caller = Caller::new(&clerk);
        let request =
            caller.request("POST", "/v1/client/sign_ins", &[("identifier", "jane"), ("password", JANE)]);
        let answer = caller.try_send(request).await;
        let failed = [Fault::Refused, Fault::Reset, Fault::Truncated].contains(&fault);
        assert_eq!(answer.is_err(), failed, "{fault:?}");
        if let Err(error) = answer {
            assert_eq!(matches!(error, ConnectionFault::Refused), fault == Fault::Refused);
        }
        assert_eq!(clerk.live_sessions() - before, usize::from(carried_out), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_seconds_a_date_or_missing() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    for retry_after in [
        RetryAfter::Seconds(7),
        RetryAfter::Date(Duration::from_secs(7)),
        RetryAfter::Raw("soon".to_owned()),
        RetryAfter::Missing,
    ] {
        clerk.script(Endpoint::Tokens, Fault::RateLimited { retry_after: retry_after.clone() });
        let got = caller.post("/v1/client/sessions/sess_x/tokens", &[]).await;
        assert_eq!(got.refusal(), (429, "too_many_requests"));
        match retry_after {
            RetryAfter::Seconds(_) => assert_eq!(got.header("retry-after"), Some("7")),
            RetryAfter::Date(_) => {
                let at = |name| httpdate::parse_http_date(got.header(name).unwrap()).unwrap();
                assert_eq!(at("retry-after").duration_since(at("date")).unwrap(), Duration::from_secs(7));
            }
            RetryAfter::Raw(_) => assert_eq!(got.header("retry-after"), Some("soon")),
            _ => assert_eq!(got.header("retry-after"), None),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn delays_follow_the_driven_clock() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    for fault in [Fault::Delay(Duration::from_secs(300)), Fault::DelayAnswer(Duration::from_secs(300))] {
        clerk.script(Endpoint::Environment, fault);
        let start = Instant::now();
        caller.get("/v1/environment").await.ok();
        assert_eq!(start.elapsed(), Duration::from_secs(300));
    }
    clerk.script(Endpoint::Environment, Fault::Hang);
    let hung = timeout(Duration::from_secs(3600), caller.get("/v1/environment")).await;
    assert!(hung.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_session_list_can_be_reordered_or_incomplete() {
    let clerk = FakeClerk::new();
    clerk.script(Endpoint::SignIns, Fault::OtherSessionFirst);
    let body = Caller::new(&clerk).sign_in("jane", JANE).await.ok();
    let sessions = body["client"]["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_ne!(sessions[0]["id"], body["response"]["created_session_id"]);
    assert_ne!(sessions[0]["user"]["id"], sessions[1]["user"]["id"]);
    assert_eq!(sessions[1]["id"], body["response"]["created_session_id"]);

    clerk.script(Endpoint::SignIns, Fault::MissingSession);
    let body = Caller::new(&clerk).sign_in("jane", JANE).await.ok();
    assert_eq!(body["client"]["sessions"].as_array().unwrap().len(), 0);

    clerk.script(Endpoint::SignIns, Fault::NullToken);
    let body = Caller::new(&clerk).sign_in("jane", JANE).await.ok();
    assert!(body["client"]["sessions"][0]["last_active_token"].is_null());

    clerk.script(Endpoint::SignIns, Fault::EmptyJwt);
    let body = Caller::new(&clerk).sign_in("jane", JANE).await.ok();
    assert_eq!(body["client"]["sessions"][0]["last_active_token"]["jwt"], "");
}

#[tokio::test(start_paused = true)]
async fn an_oversized_response_is_padded_with_two_mebibytes() {
    let clerk = FakeClerk::new();
    clerk.script(Endpoint::Environment, Fault::Oversized);
    let request = Caller::new(&clerk).request("GET", "/v1/environment", &[]);
    assert!(clerk.handle(request).await.unwrap().body().len() > 2 * 1024 * 1024);
}

#[tokio::test(start_paused = true)]
async fn a_truncated_response_is_whole_but_prints_no_token() {
    let clerk = FakeClerk::new();
    clerk.script(Endpoint::SignIns, Fault::Truncated);
    let caller = Caller::new(&clerk);
    let form = [("identifier", "jane"), ("password", JANE)];
    let fault = clerk.handle(caller.request("POST", "/v1/client/sign_ins", &form)).await.unwrap_err();
    assert_eq!(format!("{fault:?}: {fault}"), "Truncated(200): the connection ended within the body");
    let ConnectionFault::Truncated(response) = fault else { panic!("not truncated") };
    assert!(serde_json::from_slice::<serde_json::Value>(response.body()).is_ok());
    assert_eq!(clerk.requests()[0].status().unwrap(), 200);
}
