use std::net::IpAddr;
use std::time::Duration;

use fake_clerk::{FakeClerk, FakeUser};
use tokio::time::advance;

use super::caller::{Caller, JANE, part};

#[tokio::test(start_paused = true)]
async fn a_right_password_opens_a_session() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let body = caller.sign_in("jane@example.com", JANE).await.ok();
    let session = &body["client"]["sessions"][0];
    assert_eq!(body["response"]["status"], "complete");
    assert_eq!(body["response"]["created_session_id"], session["id"]);
    assert_eq!(body["client"]["last_active_session_id"], session["id"]);
    assert!(body["client"]["sign_in"].is_null());
    assert_eq!(part(&session["last_active_token"]["jwt"], 1)["sid"], session["id"]);
    assert_eq!(session["user"]["organization_memberships"].as_array().unwrap().len(), 2);
    assert_eq!(clerk.sessions()[0].id(), session["id"]);
    assert!(caller.token.is_some());
}

#[tokio::test(start_paused = true)]
async fn each_demo_account_has_its_documented_outcome() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    for (identifier, password, status) in [
        ("JANE", JANE, "complete"),
        ("bob", "hunter2hunter2", "complete"),
        ("carol@example.com", "personal account only", "complete"),
        ("mfa@example.com", "second factor please", "needs_second_factor"),
        ("newdevice@example.com", "trust me on a device", "needs_client_trust"),
        ("expired@example.com", "please choose a new one", "needs_new_password"),
    ] {
        let body = Caller::new(&clerk).sign_in(identifier, password).await.ok();
        assert_eq!(body["response"]["status"], status, "{identifier}");
        assert_eq!(body["response"]["first_factor_verification"]["status"], "verified", "{identifier}");
    }
    for (identifier, password, refusal) in [
        ("locked@example.com", "locked out for an hour", (403, "user_locked")),
        ("banned@example.com", "banned for good", (403, "user_banned")),
        ("sso@example.com", "anything", (400, "strategy_for_user_invalid")),
        ("jane", "wrong", (422, "form_password_incorrect")),
        ("nobody@example.com", "wrong", (422, "form_identifier_not_found")),
        ("not an identifier", "wrong", (422, "form_param_format_invalid")),
    ] {
        let got = Caller::new(&clerk).sign_in(identifier, password).await;
        assert_eq!(got.refusal(), refusal, "{identifier}");
        assert!(got.body["meta"]["client"].is_object());
        assert!(got.body["clerk_trace_id"].is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn demo_ids_are_the_same_at_every_start() {
    let id = |clerk: &FakeClerk| {
        let mut caller = Caller::new(clerk);
        async move { caller.sign_in("jane", JANE).await.ok()["client"]["sessions"][0]["user"]["id"].clone() }
    };
    assert_eq!(id(&FakeClerk::new()).await, id(&FakeClerk::new()).await);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_five_sign_ins_in_any_ten_seconds() {
    let clerk = FakeClerk::new();
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let got = Caller::new(&clerk).sign_in("jane", "wrong").await;
        statuses.push(got.status);
        if got.status == 429 {
            assert_eq!(got.refusal().1, "too_many_requests");
            assert_eq!(got.header("retry-after"), Some("5"));
        }
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(statuses, [422, 422, 422, 422, 422, 429]);
    // Another address has its own limit.
    let elsewhere = clerk.at_address(IpAddr::from([192, 0, 2, 1]));
    assert_eq!(Caller::new(&elsewhere).sign_in("jane", JANE).await.status, 200);
    advance(Duration::from_secs(4)).await;
    assert_eq!(Caller::new(&clerk).sign_in("jane", JANE).await.status, 200);
    assert_eq!(Caller::new(&clerk).sign_in("jane", JANE).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn the_tenth_wrong_password_locks_the_user_for_an_hour() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    for attempt in 1..=10 {
        let got = Caller::new(&clerk).sign_in("jane", "wrong").await;
        let warned = got.codes() == ["form_password_incorrect", "account_lockout_warning"];
        assert_eq!(warned, attempt >= 8, "{attempt}");
    }
    let got = Caller::new(&clerk).sign_in("jane", JANE).await;
    assert_eq!(got.refusal(), (403, "user_locked"));
    let text = got.body["errors"][0]["long_message"].as_str().unwrap();
    assert!(text.contains("try again in 1 hour."), "{text}");
    advance(Duration::from_secs(3600)).await;
    assert_eq!(Caller::new(&clerk).sign_in("jane", JANE).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_right_password_clears_the_failures() {
    let clerk = FakeClerk::builder().no_rate_limit().lockout(3, Duration::from_secs(60)).build();
    for password in ["wrong", "wrong", JANE, "wrong", "wrong", JANE] {
        Caller::new(&clerk).sign_in("jane", password).await;
    }
    assert_eq!(clerk.live_sessions_of("jane"), 2);
}

#[tokio::test(start_paused = true)]
async fn enumeration_protection_hides_unknown_identifiers() {
    let clerk = FakeClerk::builder().enumeration_protection(true).build();
    for identifier in ["jane", "nobody@example.com", "sso@example.com"] {
        let got = Caller::new(&clerk).sign_in(identifier, "wrong").await;
        assert_eq!(got.refusal(), (422, "form_password_or_identifier_incorrect"), "{identifier}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_authenticator_app_finishes_a_sign_in() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let body = caller.sign_in("mfa@example.com", "second factor please").await.ok();
    assert_eq!(body["response"]["supported_second_factors"][0]["strategy"], "totp");
    assert_eq!(clerk.live_sessions(), 0);
    let path =
        format!("/v1/client/sign_ins/{}/attempt_second_factor", body["response"]["id"].as_str().unwrap());
    let wrong = caller.post(&path, &[("strategy", "totp"), ("code", "000000")]).await;
    assert_eq!(wrong.refusal(), (422, "form_code_incorrect"));
    let code = clerk.totp_code("mfa@example.com").unwrap();
    let body = caller.post(&path, &[("strategy", "totp"), ("code", &code)]).await.ok();
    assert_eq!(body["response"]["status"], "complete");
    assert_eq!(
        part(&body["client"]["sessions"][0]["last_active_token"]["jwt"], 1)["fva"].to_string(),
        "[0,0]"
    );
}

/// Signs in on a new device with the mailed code.
async fn trust(clerk: &FakeClerk, caller: &mut Caller) {
    let body = caller.sign_in("newdevice@example.com", "trust me on a device").await.ok();
    assert_eq!(body["response"]["client_trust_state"], "new");
    assert_eq!(body["response"]["supported_second_factors"][0]["strategy"], "email_code");
    let path = format!("/v1/client/sign_ins/{}", body["response"]["id"].as_str().unwrap());
    caller.post(&format!("{path}/prepare_second_factor"), &[("strategy", "email_code")]).await.ok();
    let code = clerk.last_code("newdevice@example.com").unwrap();
    let form = [("strategy", "email_code"), ("code", code.as_str())];
    let body = caller.post(&format!("{path}/attempt_second_factor"), &form).await.ok();
    assert_eq!(body["response"]["status"], "complete");
}

#[tokio::test(start_paused = true)]
async fn a_device_stays_known_after_its_session_ended() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    trust(&clerk, &mut caller).await;
    let session = clerk.sessions()[0].id().to_owned();
    caller.post(&format!("/v1/client/sessions/{session}/end"), &[]).await.ok();
    let body = caller.sign_in("newdevice@example.com", "trust me on a device").await.ok();
    assert_eq!(body["response"]["status"], "complete");
    assert_eq!(body["response"]["client_trust_state"], "known");
}

#[tokio::test(start_paused = true)]
async fn legacy_device_trust_looks_like_a_second_factor() {
    let clerk = FakeClerk::builder().device_trust(true).legacy_device_trust(true).build();
    let mut caller = Caller::new(&clerk);
    let response = caller.sign_in("jane", JANE).await.ok()["response"].clone();
    assert_eq!(response["status"], "needs_second_factor");
    assert_eq!(response["client_trust_state"], "new");
    assert_eq!(response["supported_second_factors"][0]["strategy"], "email_code");
    clerk.add_user(FakeUser::new("robot@example.com").password("beep boop").bypass_device_trust());
    assert_eq!(caller.sign_in("robot@example.com", "beep boop").await.ok()["response"]["status"], "complete");
}

#[tokio::test(start_paused = true)]
async fn a_new_password_clears_the_requirement() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let body = caller.sign_in("expired@example.com", "please choose a new one").await.ok();
    let path = format!("/v1/client/sign_ins/{}/reset_password", body["response"]["id"].as_str().unwrap());
    let short = caller.post(&path, &[("password", "short")]).await;
    assert_eq!(short.refusal(), (422, "form_password_length_too_short"));
    assert_eq!(
        caller.post(&path, &[("password", "long enough")]).await.ok()["response"]["status"],
        "complete"
    );
    Caller::new(&clerk).session("expired@example.com", "long enough").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_in_single_session_mode_has_one_session() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    caller.session("jane", JANE).await;
    let got = caller.sign_in("bob", "hunter2hunter2").await;
    assert_eq!(got.refusal(), (400, "session_exists"));
    assert_eq!(clerk.live_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_in_multi_session_mode_has_one_session_for_each_user() {
    let clerk = FakeClerk::builder().single_session_mode(false).build();
    let mut caller = Caller::new(&clerk);
    caller.session("jane", JANE).await;
    caller.session("bob", "hunter2hunter2").await;
    let got = caller.sign_in("jane", JANE).await;
    assert_eq!(got.refusal(), (400, "identifier_already_signed_in"));
    assert_eq!(got.body["errors"][0]["meta"]["session_id"], clerk.sessions()[0].id());
}

#[tokio::test(start_paused = true)]
async fn the_client_token_rotates_at_sign_in() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    caller.get("/v1/client").await.ok();
    let old = caller.token.clone();
    caller.session("jane", JANE).await;
    assert_ne!(caller.token, old);
    let mut stale = Caller { clerk: clerk.clone(), token: old.clone() };
    let got = stale.get("/v1/client").await;
    assert_eq!(got.refusal(), (401, "signed_out"));
    // The refusal carries the token of a new, empty client.
    assert_ne!(stale.token, old);
    assert_eq!(stale.get("/v1/client").await.ok()["response"]["sessions"].as_array().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_replaces_the_clients_previous_one() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let first = caller.post("/v1/client/sign_ins", &[("identifier", "jane")]).await.ok();
    assert_eq!(first["response"]["status"], "needs_first_factor");
    let second = caller.post("/v1/client/sign_ins", &[("identifier", "bob")]).await.ok();
    assert_eq!(second["client"]["id"], first["client"]["id"]);
    let path = |body: &serde_json::Value| {
        format!("/v1/client/sign_ins/{}", body["response"]["id"].as_str().unwrap())
    };
    assert_eq!(caller.get(&path(&first)).await.refusal(), (404, "resource_not_found"));
    let form = [("strategy", "password"), ("password", "hunter2hunter2")];
    let body = caller.post(&format!("{}/attempt_first_factor", path(&second)), &form).await.ok();
    assert_eq!(body["response"]["status"], "complete");
}

#[tokio::test(start_paused = true)]
async fn parameters_are_checked_as_clerk_checks_them() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    let mut caller = Caller::new(&clerk);
    for (form, code, param) in [
        (vec![("strategy", "password"), ("password", "x")], "form_param_missing", "identifier"),
        (vec![("strategy", "password"), ("identifier", "jane")], "form_param_missing", "password"),
        (vec![("identifier", "jane"), ("password", "")], "form_param_nil", "password"),
        (vec![("identifier", "jane"), ("remember_me", "1")], "form_param_unknown", "remember_me"),
        (
            vec![("strategy", "oauth_telepathy"), ("identifier", "jane")],
            "form_param_value_invalid",
            "strategy",
        ),
    ] {
        let got = caller.post("/v1/client/sign_ins", &form).await;
        assert_eq!(got.refusal(), (422, code), "{form:?}");
        assert_eq!(got.body["errors"][0]["meta"]["param_name"], param);
    }
    // clerk-js sends parameters that aren't in the description.
    let form =
        [("identifier", "jane"), ("password", JANE), ("timezone", "Europe/Berlin"), ("locale", "de-DE")];
    caller.post("/v1/client/sign_ins", &form).await.ok();
}

#[tokio::test(start_paused = true)]
async fn without_passwords_the_parameter_is_unknown() {
    let clerk = FakeClerk::builder().passwords(false).build();
    let got = Caller::new(&clerk).sign_in("jane", JANE).await;
    assert_eq!(got.refusal(), (422, "form_param_unknown"));
}

#[tokio::test(start_paused = true)]
async fn an_unverified_address_is_not_an_identifier() {
    let clerk = FakeClerk::builder().empty().build();
    clerk.add_user(FakeUser::new("eve").unverified_email("eve@example.com").password("eve's password"));
    assert_eq!(
        Caller::new(&clerk).sign_in("eve@example.com", "eve's password").await.refusal(),
        (422, "form_identifier_not_found")
    );
    Caller::new(&clerk).session("eve", "eve's password").await;
}
