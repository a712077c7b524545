use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fake_clerk::{
    Endpoint, FakeClerk, FakeClock, FakeOrganization, FakeUser, Fault, TokenFlaw, TokenVersion,
};
use serde_json::{Value, json};
use tokio::time::advance;

use super::caller::{Caller, JANE, part};

fn decode(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Whether the key set verifies the token.
fn verifies(jwks: &Value, jwt: &Value) -> bool {
    let kid = part(jwt, 0)["kid"].clone();
    let Some(key) = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid) else {
        return false;
    };
    let (message, signature) = jwt.as_str().unwrap().rsplit_once('.').unwrap();
    let key = RsaPublicKeyComponents {
        n: decode(key["n"].as_str().unwrap()),
        e: decode(key["e"].as_str().unwrap()),
    };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &decode(signature)).is_ok()
}

async fn jwks(clerk: &FakeClerk) -> Value {
    Caller::new(clerk).get("/.well-known/jwks.json").await.ok()
}

async fn jane_at_acme(clerk: &FakeClerk) -> (Caller, String, Value) {
    let mut caller = Caller::new(clerk);
    let session = caller.session("jane", JANE).await;
    let body = caller.post(&format!("{session}/touch"), &[("active_organization_id", "acme")]).await.ok();
    let jwt = body["response"]["last_active_token"]["jwt"].clone();
    (caller, session, jwt)
}

#[tokio::test(start_paused = true)]
async fn version_2_packs_the_organization() {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let clerk = FakeClerk::builder().clock(FakeClock::starting_at(wall)).build();
    let (_, _, jwt) = jane_at_acme(&clerk).await;
    let (header, claims) = (part(&jwt, 0), part(&jwt, 1));
    assert_eq!(header["alg"], "RS256");
    assert_eq!(header["kid"], clerk.kid());
    assert_eq!(header["oiat"], 1_800_000_000);
    assert_eq!(claims["iss"], clerk.issuer());
    assert_eq!(claims["iat"], 1_800_000_000);
    assert_eq!(claims["exp"], 1_800_000_060);
    assert_eq!(claims["v"], 2);
    assert_eq!(claims["sts"], "active");
    assert_eq!(claims["fea"], "o:invoices");
    assert_eq!(claims["o"]["slg"], "acme");
    assert_eq!(claims["o"]["rol"], "admin");
    assert_eq!(claims["o"]["per"], "read,manage");
    assert_eq!(claims["o"]["fpm"], "3");
    assert!(claims.get("azp").is_none());
    assert!(verifies(&jwks(&clerk).await, &jwt));
}

#[tokio::test(start_paused = true)]
async fn a_verified_factor_counts_from_then_on() {
    let clerk = FakeClerk::new();
    let (mut caller, session, _) = jane_at_acme(&clerk).await;
    let mut ages = async || {
        let jwt = caller.post(&format!("{session}/tokens"), &[]).await.ok()["jwt"].clone();
        part(&jwt, 1)["fva"].to_string()
    };
    advance(Duration::from_secs(125)).await;
    assert_eq!(ages().await, "[2,-1]");
    clerk.verify_second_factor("jane");
    advance(Duration::from_secs(60)).await;
    assert_eq!(ages().await, "[3,1]");
    clerk.verify_first_factor("jane@example.com");
    assert_eq!(ages().await, "[0,1]");
}

#[tokio::test(start_paused = true)]
async fn version_1_spells_the_organization_out() {
    let clerk =
        FakeClerk::builder().token_version(TokenVersion::V1).token_life(Duration::from_secs(5)).build();
    let (_, _, jwt) = jane_at_acme(&clerk).await;
    let claims = part(&jwt, 1);
    assert!(claims.get("v").is_none() && claims.get("o").is_none());
    assert_eq!(claims["org_slug"], "acme");
    assert_eq!(claims["org_role"], "org:admin");
    assert_eq!(claims["org_permissions"], json!(["org:invoices:read", "org:invoices:manage"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn tokens_name_the_address_of_their_request() {
    let clerk = FakeClerk::new();
    let mut caller = Caller::new(&clerk);
    let mut request = caller.request("POST", "/x", &[("identifier", "jane"), ("password", JANE)]);
    *request.uri_mut() = "http://127.0.0.1:4400/v1/client/sign_ins?_is_native=1".parse().unwrap();
    request.headers_mut().insert("origin", "https://app.example.com".parse().unwrap());
    let body = caller.send(request).await.ok();
    let claims = part(&body["client"]["sessions"][0]["last_active_token"]["jwt"], 1);
    assert_eq!(claims["iss"], "http://127.0.0.1:4400");
    assert_eq!(claims["azp"], "https://app.example.com");
}

#[tokio::test(start_paused = true)]
async fn keys_rotate_and_old_ones_stay_until_they_are_retired() {
    let clerk = FakeClerk::new();
    let (mut caller, session, old) = jane_at_acme(&clerk).await;
    clerk.rotate_keys();
    let new = caller.post(&format!("{session}/tokens"), &[]).await.ok()["jwt"].clone();
    assert_ne!(part(&old, 0)["kid"], part(&new, 0)["kid"]);
    let keys = jwks(&clerk).await;
    assert!(verifies(&keys, &old) && verifies(&keys, &new));
    clerk.retire_old_keys();
    let keys = jwks(&clerk).await;
    assert!(!verifies(&keys, &old) && verifies(&keys, &new));
    // Rotation ends no session.
    caller.post(&format!("{session}/tokens"), &[]).await.ok();
}

#[tokio::test(start_paused = true)]
async fn templates_fill_in_their_shortcodes() {
    let clerk = FakeClerk::new();
    let claims = json!({
        "aud": "https://api.example.com",
        "org": "{{org.slug}}",
        "label": "{{user.first_name}} <{{user.primary_email_address}}>",
        "nothing": "{{user.primary_phone_number}}",
    });
    clerk.add_template("partner", Duration::from_secs(300), claims.as_object().unwrap().clone());
    let (mut caller, session, _) = jane_at_acme(&clerk).await;
    let claims = part(&caller.post(&format!("{session}/tokens/partner"), &[]).await.ok()["jwt"], 1);
    assert_eq!(claims["aud"], "https://api.example.com");
    assert_eq!(claims["org"], "acme");
    assert_eq!(claims["label"], "Jane <jane@example.com>");
    assert!(claims["nothing"].is_null());
    assert!(claims.get("sid").is_none() && claims.get("o").is_none());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    let got = caller.post(&format!("{session}/tokens/nonesuch"), &[]).await;
    assert_eq!(got.refusal(), (404, "resource_not_found"));
}

#[tokio::test(start_paused = true)]
async fn custom_claims_never_replace_standard_ones() {
    let clerk = FakeClerk::builder().empty().build();
    clerk.add_user(
        FakeUser::new("ann@example.com").password("ann's password").claim("team", "blue").claim("sub", "x"),
    );
    clerk.set_session_claims(json!({ "tier": 3, "iss": "x" }).as_object().unwrap().clone());
    let mut caller = Caller::new(&clerk);
    let session = caller.session("ann@example.com", "ann's password").await;
    let claims = part(&caller.post(&format!("{session}/tokens"), &[]).await.ok()["jwt"], 1);
    assert_eq!((&claims["team"], &claims["tier"]), (&json!("blue"), &json!(3)));
    assert!(claims["sub"].as_str().unwrap().starts_with("user_"));
    assert_eq!(claims["iss"], clerk.issuer());
}

#[tokio::test(start_paused = true)]
async fn plans_and_features_show_in_version_2() {
    let clerk = FakeClerk::builder().empty().build();
    clerk.add_user(FakeUser::new("ann").password("ann's password").plan("free").feature("chat"));
    let role = FakeOrganization::new("acme").role("org:boss", ["org:sys_profile:manage", "org:teams:read"]);
    clerk.add_organization(role.plan("pro").feature("reports"));
    clerk.add_member("ann", "acme", "org:boss");
    let mut caller = Caller::new(&clerk);
    let session = caller.session("ann", "ann's password").await;
    let personal = part(&caller.post(&format!("{session}/tokens"), &[]).await.ok()["jwt"], 1);
    assert_eq!((&personal["pla"], &personal["fea"]), (&json!("u:free"), &json!("u:chat")));
    let body = caller.post(&format!("{session}/touch"), &[("active_organization_id", "acme")]).await.ok();
    let claims = part(&body["response"]["last_active_token"]["jwt"], 1);
    assert_eq!((&claims["pla"], &claims["fea"]), (&json!("o:pro"), &json!("o:teams,o:reports,u:chat")));
    assert_eq!((&claims["o"]["rol"], &claims["o"]["fpm"]), (&json!("boss"), &json!("1,0")));
}

#[tokio::test(start_paused = true)]
async fn a_session_minter_requires_the_previous_token() {
    let clerk = FakeClerk::builder().session_minter(true).build();
    let (mut caller, session, jwt) = jane_at_acme(&clerk).await;
    let tokens = format!("{session}/tokens");
    assert_eq!(caller.post(&tokens, &[]).await.refusal(), (422, "missing_expired_token"));
    advance(Duration::from_secs(120)).await;
    let jwt = jwt.as_str().unwrap();
    caller.post(&format!("{tokens}?expired_token={jwt}"), &[]).await.ok();
    caller.post(&tokens, &[("token", jwt)]).await.ok();
    assert_eq!(caller.post(&tokens, &[("token", "garbage")]).await.status, 422);
}

#[tokio::test(start_paused = true)]
async fn clock_skew_applies_everywhere() {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let clerk = FakeClerk::builder().clock(FakeClock::starting_at(wall)).clock_skew(-90).build();
    let got = Caller::new(&clerk).sign_in("jane", JANE).await;
    let date = httpdate::parse_http_date(got.header("date").unwrap()).unwrap();
    assert_eq!(date, wall - Duration::from_secs(90));
    let session = &got.body["client"]["sessions"][0];
    assert_eq!(part(&session["last_active_token"]["jwt"], 1)["iat"], 1_799_999_910);
    assert_eq!(session["created_at"], 1_799_999_910_000_i64);
}

#[tokio::test(start_paused = true)]
async fn a_token_made_without_a_request_is_what_the_instance_would_mint() {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let clerk = FakeClerk::builder().clock(FakeClock::starting_at(wall)).build();
    let session = clerk.open_session("jane@example.com");
    let made = |jwt: String| json!(jwt);
    let (mut minted, mut plain) = (Caller::new(&clerk), clerk.token(&session));
    let path = minted.session("jane", JANE).await;
    let minted = minted.post(&format!("{path}/tokens"), &[]).await.ok()["jwt"].clone();
    let jwt = made(plain.sign());
    assert!(verifies(&jwks(&clerk).await, &jwt));
    assert_eq!(part(&jwt, 0), part(&minted, 0));
    let names = |jwt: &Value| -> Vec<String> { part(jwt, 1).as_object().unwrap().keys().cloned().collect() };
    assert_eq!(names(&jwt), names(&minted));
    assert_eq!(part(&jwt, 1)["sid"], session);

    plain = plain.organization("acme").origin("https://app.example.com").life(Duration::from_secs(7));
    let jwt = made(plain.clone().header("cat", Value::Null).claim("x", 7).claim("sts", Value::Null).sign());
    let claims = part(&jwt, 1);
    assert_eq!((&claims["o"]["slg"], &claims["azp"]), (&json!("acme"), &json!("https://app.example.com")));
    assert_eq!((&claims["exp"], &claims["x"]), (&json!(1_800_000_007), &json!(7)));
    assert!(claims.get("sts").is_none() && part(&jwt, 0).get("cat").is_none());
    assert!(!verifies(&jwks(&clerk).await, &made(plain.flaw(TokenFlaw::BadSignature).sign())));

    clerk.add_template("partner", Duration::from_secs(30), json!({"aud": "p"}).as_object().unwrap().clone());
    let jwt = made(clerk.token(&session).template("partner").sign());
    let claims = part(&jwt, 1);
    assert_eq!((&claims["aud"], claims.get("sid")), (&json!("p"), None));
    assert_eq!(part(&jwt, 0)["cat"], "cl_B7d4PD222AAA");
    assert!(clerk.requests_to(Endpoint::SignIns).len() == 1, "no request of its own");
}

#[tokio::test(start_paused = true)]
async fn flawed_tokens_have_the_flaw_they_are_named_for() {
    let clerk = FakeClerk::new();
    let (mut caller, session, right) = jane_at_acme(&clerk).await;
    let keys = jwks(&clerk).await;
    let right = part(&right, 1);
    for flaw in [
        TokenFlaw::WrongSub,
        TokenFlaw::WrongIssuer,
        TokenFlaw::WrongSession,
        TokenFlaw::WrongOrganization,
        TokenFlaw::NoOrganization,
        TokenFlaw::Expired,
        TokenFlaw::NoExp,
        TokenFlaw::AbsurdExp,
        TokenFlaw::NotYetValid,
        TokenFlaw::Pending,
        TokenFlaw::AlgNone,
        TokenFlaw::AlgHs256,
        TokenFlaw::UnknownKid,
        TokenFlaw::BadSignature,
    ] {
        clerk.script(Endpoint::Tokens, Fault::TokenWith(flaw));
        let jwt = caller.post(&format!("{session}/tokens"), &[]).await.ok()["jwt"].clone();
        let (header, claims) = (part(&jwt, 0), part(&jwt, 1));
        let flawed = match flaw {
            TokenFlaw::WrongSub => claims["sub"] != right["sub"],
            TokenFlaw::WrongIssuer => claims["iss"] != right["iss"],
            TokenFlaw::WrongSession => claims["sid"] != right["sid"],
            TokenFlaw::WrongOrganization => claims["o"]["id"] != right["o"]["id"],
            TokenFlaw::NoOrganization => claims.get("o").is_none(),
            TokenFlaw::Expired => claims["exp"].as_i64() < right["iat"].as_i64(),
            TokenFlaw::NoExp => claims.get("exp").is_none(),
            TokenFlaw::AbsurdExp => claims["exp"].as_i64().unwrap() > 30_000_000_000,
            TokenFlaw::NotYetValid => claims["nbf"].as_i64() > right["iat"].as_i64(),
            TokenFlaw::Pending => claims["sts"] == "pending",
            TokenFlaw::AlgNone => header["alg"] == "none" && jwt.as_str().unwrap().ends_with('.'),
            TokenFlaw::AlgHs256 => header["alg"] == "HS256",
            _ => true,
        };
        assert!(flawed, "{flaw:?}: {header} {claims}");
        let unsigned =
            [TokenFlaw::AlgNone, TokenFlaw::AlgHs256, TokenFlaw::UnknownKid, TokenFlaw::BadSignature];
        assert_eq!(verifies(&keys, &jwt), !unsigned.contains(&flaw), "{flaw:?}");
    }
}
