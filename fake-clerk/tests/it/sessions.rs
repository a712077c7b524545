use std::time::Duration;

use fake_clerk::{FakeClerk, SessionStatus};
use tokio::time::advance;

use super::caller::{Caller, JANE, part};

#[tokio::test(start_paused = true)]
async fn a_touch_takes_an_id_or_a_slug_and_stays() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    let touch = format!("{session}/touch");
    let body = caller.post(&touch, &[("active_organization_id", "acme")]).await.ok();
    let id = body["response"]["last_active_organization_id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("org_"));
    assert_eq!(part(&body["response"]["last_active_token"]["jwt"], 1)["o"]["id"], id.as_str());
    // Without the parameter the organization stays; an empty one selects the personal account.
    let jwt = caller.post(&format!("{session}/tokens"), &[]).await.ok()["jwt"].clone();
    assert_eq!(part(&jwt, 1)["o"]["slg"], "acme");
    let body = caller.post(&touch, &[("active_organization_id", "")]).await.ok();
    assert!(body["response"]["last_active_organization_id"].is_null());
    let body = caller.post(&touch, &[("active_organization_id", &id), ("intent", "focus")]).await.ok();
    assert!(body["client"].is_null());
}

#[tokio::test(start_paused = true)]
async fn minting_for_an_organization_does_not_switch_the_session() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    let touched =
        caller.post(&format!("{session}/touch"), &[("active_organization_id", "globex")]).await.ok();
    let globex = touched["response"]["last_active_organization_id"].as_str().unwrap();
    let tokens = format!("{session}/tokens");
    let personal = caller.post(&tokens, &[("organization_id", "")]).await.ok();
    assert!(part(&personal["jwt"], 1).get("o").is_none());
    assert_eq!(part(&caller.post(&tokens, &[]).await.ok()["jwt"], 1)["o"]["id"], globex);
    // Only a touch accepts a slug.
    let by_slug = caller.post(&tokens, &[("organization_id", "globex")]).await;
    assert_eq!(by_slug.refusal(), (404, "organization_not_found_or_unauthorized"));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_organization_looks_like_a_missing_one() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("bob", "hunter2hunter2").await;
    for organization in ["globex", "nonesuch", "org_nonesuch"] {
        let got = caller.post(&format!("{session}/touch"), &[("active_organization_id", organization)]).await;
        assert_eq!(got.refusal(), (404, "organization_not_found_or_unauthorized"), "{organization}");
    }
    assert_eq!(clerk.live_sessions_of("bob"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_membership_that_ends_leaves_the_session_without_the_organization() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    caller.post(&format!("{session}/touch"), &[("active_organization_id", "acme")]).await.ok();
    clerk.remove_member("jane", "acme");
    let jwt = caller.post(&format!("{session}/tokens"), &[]).await.ok()["jwt"].clone();
    assert!(part(&jwt, 1).get("o").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_forced_organization_makes_sessions_pending_until_one_is_chosen() {
    let clerk = FakeClerk::builder().force_organization_selection(true).build();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    let shown = caller.get(&session).await.ok()["response"].clone();
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["tasks"][0]["key"], "choose-organization");
    let jwt = caller.post(&format!("{session}/tokens"), &[]).await.ok()["jwt"].clone();
    assert_eq!(part(&jwt, 1)["sts"], "pending");
    let touch = format!("{session}/touch");
    let body = caller.post(&touch, &[("active_organization_id", "acme")]).await.ok();
    assert_eq!(body["response"]["status"], "active");
    assert!(body["response"]["tasks"].is_null());
    // An empty organization keeps the active one.
    let body = caller.post(&touch, &[("active_organization_id", "")]).await.ok();
    assert!(body["response"]["last_active_organization_id"].is_string());
    let jwt = caller.post(&format!("{session}/tokens"), &[("organization_id", "")]).await.ok()["jwt"].clone();
    assert_eq!(part(&jwt, 1)["o"]["slg"], "acme");
}

#[tokio::test(start_paused = true)]
async fn a_pending_task_of_another_kind_outlives_a_touch() {
    let clerk = FakeClerk::new();
    clerk.pending_task("jane", "setup-mfa");
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    let body = caller.post(&format!("{session}/touch"), &[("active_organization_id", "acme")]).await.ok();
    assert_eq!(body["response"]["status"], "pending");
    assert_eq!(clerk.sessions()[0].tasks(), ["setup-mfa"]);
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_stays_on_the_client_and_a_removed_one_does_not() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    let body = caller.post(&format!("{session}/end"), &[]).await.ok();
    assert_eq!(body["response"]["status"], "ended");
    assert_eq!(body["client"]["sessions"][0]["status"], "ended");
    assert!(body["client"]["sessions"][0]["last_active_token"].is_null());
    assert!(body["client"]["last_active_session_id"].is_null());
    let again = caller.post(&format!("{session}/end"), &[]).await;
    assert_eq!(again.refusal(), (400, "invalid_action_for_session"));
    let body = caller.post(&format!("{session}/remove"), &[]).await.ok();
    assert_eq!(body["client"]["sessions"].as_array().unwrap().len(), 0);
    assert_eq!(caller.get(&session).await.refusal(), (404, "resource_not_found"));
    assert_eq!(clerk.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_visible_to_its_own_client_only() {
    let clerk = FakeClerk::new();
    let session = Caller::new(&clerk).session("jane", JANE).await;
    let mut bob = Caller::new(&clerk);
    bob.session("bob", "hunter2hunter2").await;
    for path in ["/touch", "/tokens", "/tokens/x", "/end", "/remove"] {
        let got = bob.post(&format!("{session}{path}"), &[]).await;
        assert_eq!(got.refusal(), (404, "resource_not_found"), "{path}");
        let got = Caller::new(&clerk).post(&format!("{session}{path}"), &[]).await;
        assert_eq!(got.refusal(), (401, "signed_out"), "{path}");
    }
    assert_eq!(clerk.live_sessions_of("jane"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_gets_no_tokens() {
    let clerk = FakeClerk::builder().no_rate_limit().session_life(Duration::from_secs(3600)).build();
    for (over, status) in [
        (Box::new(|id: &str| assert!(clerk.revoke_session(id))) as Box<dyn Fn(&str)>, SessionStatus::Revoked),
        (Box::new(|_| clerk.ban("jane")), SessionStatus::Revoked),
    ] {
        let mut caller = Caller::new(&clerk);
        let session = caller.session("jane", JANE).await;
        let id = session.rsplit('/').next().unwrap();
        over(id);
        clerk.unban("jane");
        for path in ["/touch", "/tokens"] {
            let got = caller.post(&format!("{session}{path}"), &[]).await;
            assert_eq!(got.refusal(), (401, "authentication_invalid"));
        }
        assert_eq!(clerk.sessions().iter().find(|session| session.id() == id).unwrap().status(), status);
    }
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    advance(Duration::from_secs(3599)).await;
    caller.post(&format!("{session}/tokens"), &[]).await.ok();
    advance(Duration::from_secs(1)).await;
    assert_eq!(caller.post(&format!("{session}/tokens"), &[]).await.status, 401);
    assert_eq!(caller.get(&session).await.ok()["response"]["status"], "expired");
    assert_eq!(clerk.live_sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn signing_out_keeps_the_client() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    caller.session("jane", JANE).await;
    // As sent by clerk-js.
    let body = caller.post("/v1/client/sessions?_method=DELETE", &[]).await.ok();
    assert_eq!(body["response"]["sessions"].as_array().unwrap().len(), 0);
    assert_eq!(clerk.sessions()[0].status(), SessionStatus::Removed);
    caller.session("jane", JANE).await;
    let token = caller.token.clone();
    let request = caller.request("DELETE", "/v1/client", &[]);
    let got = caller.send(request).await;
    assert_eq!(got.header("authorization"), Some(""));
    assert_eq!(clerk.live_sessions(), 0);
    caller.token = token;
    assert_eq!(caller.get("/v1/client").await.refusal(), (401, "signed_out"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_user_leaves_nothing_behind() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    clerk.delete_user("jane");
    assert_eq!(caller.post(&format!("{session}/tokens"), &[]).await.refusal(), (404, "resource_not_found"));
    assert_eq!(Caller::new(&clerk).sign_in("jane", JANE).await.refusal(), (422, "form_identifier_not_found"));
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_ends_no_session() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let session = caller.session("jane", JANE).await;
    clerk.set_password("jane", "another one");
    caller.post(&format!("{session}/tokens"), &[]).await.ok();
    assert_eq!(Caller::new(&clerk).sign_in("jane", JANE).await.status, 422);
    Caller::new(&clerk).session("jane", "another one").await;
}
