//! Sign-in by ticket.

use std::time::Duration;

use fake_clerk::FakeClerk;
use serde_json::{Value, json};
use tokio::time::advance;

use super::caller::{Caller, Got, JANE, Server, part};

async fn redeem(caller: &mut Caller, ticket: &str) -> Got {
    caller.post("/v1/client/sign_ins", &[("strategy", "ticket"), ("ticket", ticket)]).await
}

/// Returns the server and a ticket for a user.
async fn ticket(clerk: &FakeClerk, address: &str) -> (Server, String) {
    let server = Server::new(clerk);
    let user = server.user(&format!("email_address={}", address.replace('@', "%40"))).await;
    let ticket = server.ticket(json!({ "user_id": user })).await;
    (server, ticket)
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_good_for_one_sign_in() {
    let clerk = FakeClerk::new();
    let (_, ticket) = ticket(&clerk, "jane@example.com").await;
    let mut caller = Caller::new(&clerk);
    let body = redeem(&mut caller, &ticket).await.ok();
    assert_eq!(body["response"]["status"], "complete");
    assert_eq!(body["response"]["first_factor_verification"]["strategy"], "ticket");
    let session = &body["client"]["sessions"][0];
    assert_eq!(body["response"]["created_session_id"], session["id"]);
    assert_eq!(part(&session["last_active_token"]["jwt"], 1)["sid"], session["id"]);
    let path = format!("/v1/client/sessions/{}/tokens", session["id"].as_str().unwrap());
    caller.post(&path, &[]).await.ok();
    let again = redeem(&mut Caller::new(&clerk), &ticket).await;
    assert_eq!(again.refusal(), (400, "sign_in_token_already_used_code"));
    assert_eq!(clerk.live_sessions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_token_shows_its_ticket_once() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let user = server.user("username=jane").await;
    let made = server.post("/v1/sign_in_tokens", json!({ "user_id": user })).await.ok();
    let ticket = made["token"].as_str().unwrap();
    assert_eq!((&made["object"], &made["status"]), (&json!("sign_in_token"), &json!("pending")));
    assert_eq!(part(&made["token"], 1)["sid"], made["id"]);
    assert_eq!(made["url"], format!("{}/v1/tickets/accept?ticket={ticket}", clerk.fapi_url()));
    let path = format!("/v1/sign_in_tokens/{}/revoke", made["id"].as_str().unwrap());
    let revoked = server.post(&path, "").await.ok();
    assert_eq!((&revoked["status"], revoked.get("token")), (&json!("revoked"), None));
    assert_eq!(server.post(&path, "").await.refusal(), (400, "sign_in_token_cannot_be_revoked_code"));
    assert_eq!(server.post("/v1/sign_in_tokens/sit_nobody/revoke", "").await.status, 404);
    let got = redeem(&mut Caller::new(&clerk), ticket).await;
    assert_eq!(got.refusal(), (400, "sign_in_token_revoked_code"));
}

#[tokio::test(start_paused = true)]
async fn sign_in_tokens_are_for_users_and_their_organizations() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let user = server.user("username=bob").await;
    let path = "/v1/sign_in_tokens";
    let of = |organization: &str| json!({ "user_id": user, "org_id": organization });
    let missing = (404, "organization_not_found_or_unauthorized");
    for (body, refusal) in [
        (json!({}), (422, "form_param_missing")),
        (json!({ "user_id": "user_nobody" }), (404, "resource_not_found")),
        (json!({ "user_id": user, "expires_in_seconds": 0 }), (422, "form_param_value_invalid")),
        (of("org_nobody"), missing),
    ] {
        assert_eq!(server.post(path, &body).await.refusal(), refusal, "{body}");
    }
    let jane = server.user("username=jane").await;
    let orgs = server.get(&format!("/v1/users/{jane}/organization_memberships")).await.ok();
    let id = |number: usize| orgs["data"][number]["organization"]["id"].as_str().unwrap();
    // Bob isn't a member of globex.
    assert_eq!(server.post(path, of(id(0))).await.refusal(), missing);
    let ticket = server.ticket(of(id(1))).await;
    let body = redeem(&mut Caller::new(&clerk), &ticket).await.ok();
    let session = &body["client"]["sessions"][0];
    assert_eq!(session["last_active_organization_id"], id(1));
    assert_eq!(part(&session["last_active_token"]["jwt"], 1)["o"]["slg"], "acme");
}

#[tokio::test(start_paused = true)]
async fn a_ticket_with_an_organization_resolves_the_pending_task() {
    let clerk = FakeClerk::builder().force_organization_selection(true).build();
    let server = Server::new(&clerk);
    let user = server.user("username=jane").await;
    let orgs = server.get(&format!("/v1/users/{user}/organization_memberships")).await.ok();
    let organization = &orgs["data"][1]["organization"]["id"];
    for (body, status) in [
        (json!({ "user_id": user, "org_id": organization }), "active"),
        (json!({ "user_id": user, "org_id": Value::Null }), "pending"),
    ] {
        let ticket = server.ticket(body).await;
        let body = redeem(&mut Caller::new(&clerk), &ticket).await.ok();
        assert_eq!(body["client"]["sessions"][0]["status"], status);
    }
}

#[tokio::test(start_paused = true)]
async fn tickets_expire() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let user = server.user("username=jane").await;
    let short = server.ticket(json!({ "user_id": user, "expires_in_seconds": 60 })).await;
    let long = server.ticket(json!({ "user_id": user })).await;
    advance(Duration::from_secs(60)).await;
    assert_eq!(redeem(&mut Caller::new(&clerk), &short).await.refusal(), (400, "ticket_expired_code"));
    advance(Duration::from_secs(29 * 24 * 3600)).await;
    redeem(&mut Caller::new(&clerk), &long).await.ok();
}

#[tokio::test(start_paused = true)]
async fn invalid_tickets_are_refused() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    let (_, good) = ticket(&clerk, "jane@example.com").await;
    let (_, others) = ticket(&FakeClerk::builder().host("clerk.b.example").build(), "jane@example.com").await;
    let mut caller = Caller::new(&clerk);
    for wrong in ["nonsense", "a.b.c", &others, &format!("{}A", &good[..good.len() - 3])] {
        assert_eq!(redeem(&mut caller, wrong).await.refusal(), (400, "ticket_invalid_code"), "{wrong}");
    }
    assert_eq!(redeem(&mut caller, "").await.refusal(), (422, "form_param_nil"));
    let without = caller.post("/v1/client/sign_ins", &[("strategy", "ticket")]).await;
    assert_eq!(without.refusal(), (422, "form_param_missing"));
    // A client token is signed with the same key, but isn't a ticket.
    caller.session("jane", JANE).await;
    let token = caller.token.clone().unwrap();
    assert_eq!(redeem(&mut Caller::new(&clerk), &token).await.refusal(), (400, "ticket_invalid_code"));
}

#[tokio::test(start_paused = true)]
async fn a_ticket_skips_device_trust_and_the_password_change() {
    let clerk = FakeClerk::builder().device_trust(true).build();
    for address in ["jane@example.com", "newdevice@example.com", "expired@example.com", "sso@example.com"] {
        let (_, ticket) = ticket(&clerk, address).await;
        let body = redeem(&mut Caller::new(&clerk), &ticket).await.ok();
        assert_eq!(body["response"]["status"], "complete", "{address}");
    }
}

#[tokio::test(start_paused = true)]
async fn skipping_the_second_factor_by_ticket_is_configurable() {
    let clerk = FakeClerk::new();
    let (_, first) = ticket(&clerk, "mfa@example.com").await;
    let body = redeem(&mut Caller::new(&clerk), &first).await.ok();
    assert_eq!(body["response"]["status"], "complete");
    assert_eq!(body["client"]["sessions"][0]["factor_verification_age"], json!([0, -1]));
    clerk.reconfigure(|settings| settings.tickets_skip_second_factor(false));
    let (_, second) = ticket(&clerk, "mfa@example.com").await;
    let mut caller = Caller::new(&clerk);
    let body = redeem(&mut caller, &second).await.ok();
    assert_eq!(body["response"]["status"], "needs_second_factor");
    let path =
        format!("/v1/client/sign_ins/{}/attempt_second_factor", body["response"]["id"].as_str().unwrap());
    let code = clerk.totp_code("mfa@example.com").unwrap();
    let body = caller.post(&path, &[("strategy", "totp"), ("code", &code)]).await.ok();
    assert_eq!(body["response"]["status"], "complete");
    assert_eq!(body["client"]["sessions"][0]["factor_verification_age"], json!([0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_refused_ticket_sign_in_leaves_the_ticket_valid() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    for (address, refusal) in
        [("banned@example.com", (403, "user_banned")), ("locked@example.com", (403, "user_locked"))]
    {
        let (_, ticket) = ticket(&clerk, address).await;
        assert_eq!(redeem(&mut Caller::new(&clerk), &ticket).await.refusal(), refusal);
        clerk.unban(address);
        clerk.unlock(address);
        redeem(&mut Caller::new(&clerk), &ticket).await.ok();
    }
    let (_, ticket) = ticket(&clerk, "bob@example.com").await;
    let mut caller = Caller::new(&clerk);
    caller.session("jane", JANE).await;
    assert_eq!(redeem(&mut caller, &ticket).await.refusal(), (400, "session_exists"));
    clerk.delete_user("bob");
    let gone = redeem(&mut Caller::new(&clerk), &ticket).await;
    assert_eq!(gone.refusal(), (400, "sign_in_identification_or_user_deleted"));
}

#[tokio::test(start_paused = true)]
async fn sign_ins_by_ticket_count_towards_the_rate_limit() {
    let clerk = FakeClerk::new();
    for _ in 0..5 {
        assert_eq!(redeem(&mut Caller::new(&clerk), "nonsense").await.status, 400);
    }
    let (_, ticket) = ticket(&clerk, "jane@example.com").await;
    assert_eq!(redeem(&mut Caller::new(&clerk), &ticket).await.refusal(), (429, "too_many_requests"));
    // The refused attempt didn't spend the ticket.
    advance(Duration::from_secs(10)).await;
    redeem(&mut Caller::new(&clerk), &ticket).await.ok();
}
