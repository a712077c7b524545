//! Sessions and their tokens in the Backend API.

use std::time::Duration;

use fake_clerk::{Endpoint, FakeClerk, GoneSession, SessionStatus};
use serde_json::{Map, Value, json};
use tokio::time::advance;

use super::caller::{Caller, Got, JANE, Server, part};

/// Signs jane in by password. Returns the session's path in the Backend API, and the client.
async fn signed_in(clerk: &FakeClerk) -> (String, Caller) {
    let mut caller = Caller::new(clerk);
    let path = caller.session("jane", JANE).await;
    (path.replace("/v1/client", "/v1"), caller)
}

fn claims(minted: Got) -> Value {
    let minted = minted.ok();
    assert_eq!(minted["object"], "token");
    part(&minted["jwt"], 1)
}

#[tokio::test(start_paused = true)]
async fn a_server_mints_for_a_session_of_the_frontend_api() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let (session, mut caller) = signed_in(&clerk).await;
    let minted = claims(server.post(&format!("{session}/tokens"), "").await);
    assert_eq!(minted["sid"], session.rsplit('/').next().unwrap());
    assert_eq!(minted["iss"], clerk.fapi_url());
    assert!(minted.get("azp").is_none() && minted.get("o").is_none());
    let touch = format!("{}/touch", session.replace("/v1", "/v1/client"));
    caller.post(&touch, &[("active_organization_id", "acme")]).await.ok();
    let minted = claims(server.post(&format!("{session}/tokens"), json!({})).await);
    assert_eq!(minted["o"]["slg"], "acme");
    clerk.remove_member("jane", "acme");
    assert!(claims(server.post(&format!("{session}/tokens"), json!({})).await).get("o").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_has_the_requested_lifetime() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let mut template = Map::new();
    template.insert("org".to_owned(), json!("{{org.slug}}"));
    clerk.add_template("partner", Duration::from_secs(300), template);
    let (session, _) = signed_in(&clerk).await;
    for (path, default) in [("tokens", 60), ("tokens/partner", 300)] {
        let path = format!("{session}/{path}");
        let life = |claims: Value| claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(life(claims(server.post(&path, "").await)), default);
        for seconds in [30, 3600, 315_360_000] {
            let body = json!({ "expires_in_seconds": seconds });
            assert_eq!(life(claims(server.post(&path, body).await)), seconds);
        }
        assert_eq!(life(claims(server.post(&path, r#"{"expires_in_seconds":null}"#).await)), default);
        for (wrong, code) in [
            (json!(29), "form_param_value_invalid"),
            (json!(-30), "form_param_value_invalid"),
            (json!(30.5), "form_param_value_invalid"),
            (json!("60"), "form_param_value_invalid"),
            (json!(315_360_001), "form_param_value_too_large"),
        ] {
            let got = server.post(&path, json!({ "expires_in_seconds": wrong })).await;
            assert_eq!(got.refusal(), (422, code), "{wrong}");
        }
    }
    let unknown = server.post(&format!("{session}/tokens/unknown"), "").await;
    assert_eq!(unknown.refusal(), (404, "resource_not_found"));
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_gets_one_of_three_refusals() {
    let clerk = FakeClerk::builder().no_rate_limit().build();
    let server = Server::new(&clerk);
    let mut over = Vec::new();
    for end in ["end", "remove"] {
        let (session, mut caller) = signed_in(&clerk).await;
        caller.post(&format!("{}/{end}", session.replace("/v1", "/v1/client")), &[]).await.ok();
        over.push(session);
    }
    let (revoked, _) = signed_in(&clerk).await;
    assert_eq!(server.post(&format!("{revoked}/revoke"), "").await.ok()["status"], "revoked");
    over.push(revoked);
    over.push(signed_in(&clerk).await.0);
    clerk.ban("jane");
    clerk.unban("jane");
    over.push(signed_in(&clerk).await.0);
    advance(Duration::from_secs(8 * 24 * 3600)).await;
    for (answer, refusal) in [
        (None, (404, "resource_not_found")),
        (Some(GoneSession::AuthenticationInvalid), (401, "authentication_invalid")),
        (Some(GoneSession::InvalidAction), (400, "invalid_action_for_session")),
        (Some(GoneSession::NotFound), (404, "resource_not_found")),
    ] {
        clerk.reconfigure(|settings| answer.into_iter().fold(settings, |it, answer| it.gone_session(answer)));
        for session in &over {
            assert_eq!(server.post(&format!("{session}/tokens"), "").await.refusal(), refusal, "{session}");
        }
        let unknown = server.post("/v1/sessions/sess_nobody/tokens", "").await;
        assert_eq!(unknown.refusal(), (404, "resource_not_found"));
    }
    let twice = server.post(&format!("{}/revoke", over[0]), "").await;
    assert_eq!(twice.refusal(), (400, "invalid_action_for_session"));
}

#[tokio::test(start_paused = true)]
async fn sessions_are_shown_and_listed_by_user_client_and_status() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let (first, _) = signed_in(&clerk).await;
    let (second, _) = signed_in(&clerk).await;
    let shown = server.get(&first).await.ok();
    let (user, client) = (shown["user_id"].as_str().unwrap(), shown["client_id"].as_str().unwrap());
    assert_eq!(client, clerk.sessions()[0].client_id());
    assert!(shown.get("last_active_token").is_none());
    server.post(&format!("{first}/revoke"), "").await.ok();
    let list = async |query: String| {
        let list = server.get(&format!("/v1/sessions?{query}")).await.ok();
        let ids = list
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("/v1/sessions/{}", one["id"].as_str().unwrap()));
        ids.collect::<Vec<_>>()
    };
    assert_eq!(list(format!("user_id={user}")).await, [second.clone(), first.clone()]);
    assert_eq!(list(format!("user_id={user}&status=active")).await, [second]);
    assert_eq!(list(format!("client_id={client}")).await, [first]);
    assert_eq!(list("user_id=user_nobody".to_owned()).await, [""; 0]);
    assert_eq!(server.get("/v1/sessions").await.refusal(), (422, "form_param_missing"));
    let wrong = server.get(&format!("/v1/sessions?user_id={user}&status=alive")).await;
    assert_eq!(wrong.refusal(), (422, "form_param_value_invalid"));
    assert_eq!(server.get("/v1/sessions/sess_nobody").await.refusal(), (404, "resource_not_found"));
}

#[tokio::test(start_paused = true)]
async fn sessions_can_be_created_in_development_only() {
    let clerk = FakeClerk::new();
    let server = Server::new(&clerk);
    let user = server.user("username=jane").await;
    let acme = server.get(&format!("/v1/users/{user}/organization_memberships")).await.ok();
    let acme = &acme["data"][1]["organization"]["id"];
    let body = json!({ "user_id": user, "active_organization_id": acme });
    let made = server.post("/v1/sessions", &body).await.ok();
    assert_eq!((&made["status"], &made["last_active_organization_id"]), (&json!("active"), acme));
    let path = format!("/v1/sessions/{}/tokens", made["id"].as_str().unwrap());
    assert_eq!(claims(server.post(&path, "").await)["o"]["slg"], "acme");
    for (body, refusal) in [
        (json!({}), (422, "form_param_missing")),
        (json!({ "user_id": "user_nobody" }), (404, "resource_not_found")),
        (
            json!({ "user_id": user, "active_organization_id": "org_nobody" }),
            (404, "organization_not_found_or_unauthorized"),
        ),
    ] {
        assert_eq!(server.post("/v1/sessions", body).await.refusal(), refusal);
    }
    clerk.reconfigure(|settings| settings.secret_key("sk_live_0123"));
    let got = Server::new(&clerk).post("/v1/sessions", body).await;
    assert_eq!(got.refusal(), (400, "request_invalid_for_environment"));
}

#[tokio::test(start_paused = true)]
async fn both_apis_have_the_same_keys() {
    let clerk = FakeClerk::new();
    clerk.rotate_keys();
    let backend = Server::new(&clerk).get("/v1/jwks").await.ok();
    assert_eq!(backend, Caller::new(&clerk).get("/.well-known/jwks.json").await.ok());
    assert_eq!(backend["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn mints_at_the_frontend_api_can_be_limited() {
    let clerk = FakeClerk::builder().mint_limit(2, Duration::from_secs(10)).build();
    let server = Server::new(&clerk);
    let (session, mut caller) = signed_in(&clerk).await;
    let own = session.replace("/v1", "/v1/client");
    caller.post(&format!("{own}/tokens"), &[]).await.ok();
    caller.post(&format!("{own}/touch"), &[]).await.ok();
    let got = caller.post(&format!("{own}/tokens"), &[]).await;
    assert_eq!(got.refusal(), (429, "too_many_requests"));
    assert_eq!(got.header("retry-after"), Some("10"));
    // Mints of the Backend API don't count here.
    claims(server.post(&format!("{session}/tokens"), "").await);
    advance(Duration::from_secs(10)).await;
    caller.post(&format!("{own}/tokens"), &[]).await.ok();
    assert_eq!((clerk.count(Endpoint::Tokens), clerk.count(Endpoint::BackendTokens)), (3, 1));
    assert_eq!(clerk.sessions()[0].status(), SessionStatus::Active);
}
