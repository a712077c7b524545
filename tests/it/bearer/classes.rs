//! Which class of token is accepted (rules B1, B7).

use serde_json::{Map, Value, json};
use tower_clerk::testing::{Endpoint, TokenFlaw};
use tower_clerk::{BearerRefusal, BearerTokens, ClerkSession, ConfigError};

use super::{ACCEPTED, JANE_ID, REFUSED, SECOND, accepting, bearer, jane, refusal, status};
use crate::common::{JANE, Seen, World, ask, basic, code, session, with_authorization};

#[tokio::test(start_paused = true)]
async fn b1_a_session_token_gives_an_ordinary_session_without_a_call_but_for_the_keys() {
    let world = World::new();
    let layer = accepting(&world);
    let (browser, fields) = (jane(&world), ["Bearer", "bearer", "BEARER  "]);
    let jwt = browser.sign();
    for scheme in fields {
        let response = ask(&layer, with_authorization(&format!("{scheme} {jwt} "))).await;
        let session = session(&response);
        assert_eq!((session.token(), session.via(), session.proven_at()), (&*jwt, None, None));
        assert_eq!(session.session_id(), session.claims().session_id().unwrap());
        let seen = response.extensions().get::<Seen>().unwrap();
        assert!(!seen.is_anonymous && !seen.headers.contains_key("authorization"), "{:?}", seen.headers);
    }
    assert_eq!((world.fake.count(Endpoint::Jwks), world.fake.requests().len()), (1, 1));
    // The password gives a session of the same user, and the two don't mix.
    let by_password = ask(&layer, basic(JANE)).await;
    assert!(session(&by_password).via().is_some());
    assert_ne!(session(&by_password).token(), jwt);
    assert_eq!(session(&ask(&layer, bearer(&jwt)).await).token(), jwt);
}

#[tokio::test(start_paused = true)]
async fn b1_bearer_is_no_credentials_for_a_layer_that_does_not_accept_it() {
    let world = World::new();
    let jwt = jane(&world).sign();
    assert_eq!(code(&ask(&world.layer(), bearer(&jwt)).await), "credentials_missing");
    assert_eq!(ask(&world.layer().optional(), bearer(&jwt)).await.body(), "nobody");
    assert_eq!(world.fake.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn b1_two_fields_are_malformed_whatever_they_are() {
    let world = World::new();
    let mut request = bearer(&jane(&world).sign());
    request.headers_mut().append("authorization", "Bearer x".parse().unwrap());
    assert_eq!(code(&ask(&accepting(&world), request).await), "credentials_malformed");
}

#[tokio::test(start_paused = true)]
async fn b1_a_token_that_is_no_session_token_is_refused_with_its_reason() {
    let world = World::new();
    let layer = accepting(&world);
    let good = jane(&world);
    assert_eq!(status(&layer, &good.sign()).await, ACCEPTED);
    for cat in [json!("cl_B7d4PD111AAA"), json!("cl_I7d4PD111III"), Value::Null] {
        assert_eq!(status(&layer, &good.clone().header("cat", cat).sign()).await, ACCEPTED);
    }
    const NOT_A_SESSION: &str = "the token is not a session token";
    const NOT_RS256: &str = "the token is not signed with RS256";
    let with_cat = |cat: &str| good.clone().header("cat", cat);
    let flawed = |flaw| good.clone().flaw(flaw);
    for (token, reason) in [
        (with_cat("cl_B7d4PD333AAA"), NOT_A_SESSION),
        (with_cat("cl_B7d4PD444AAA"), NOT_A_SESSION),
        (with_cat(""), NOT_A_SESSION),
        (with_cat("cl_B7d4PD222AAA"), "tokens of this JWT template are not accepted"),
        (
            with_cat("cl_I7d4PD111III").claim("sid", Value::Null),
            "tokens of this JWT template are not accepted",
        ),
        (good.clone().header("typ", "at+jwt"), NOT_A_SESSION),
        (good.clone().header("typ", "application/at+jwt"), NOT_A_SESSION),
        (good.clone().claim("sid", Value::Null), "the token is not this session's"),
        (good.clone().claim("sid", ""), "the token is not this session's"),
        (good.clone().claim("sub", "mch_2vYVtestTESTtestTESTtestTESTtest"), "the token is not this user's"),
        (flawed(TokenFlaw::WrongIssuer), "the token is from another issuer"),
        (flawed(TokenFlaw::AlgNone), NOT_RS256),
        (flawed(TokenFlaw::AlgHs256), NOT_RS256),
        (flawed(TokenFlaw::BadSignature), "the token's signature is wrong"),
        (flawed(TokenFlaw::UnknownKid), "the instance has no key with the token's key id"),
        (flawed(TokenFlaw::NoExp), "the token is not a JWT of Clerk's"),
        (flawed(TokenFlaw::AbsurdExp), "the token was issued for too long a life"),
        (flawed(TokenFlaw::NotYetValid), "the token is not valid yet"),
        (flawed(TokenFlaw::Pending), "the token's session is pending"),
    ] {
        let jwt = token.sign();
        let response = ask(&layer, bearer(&jwt)).await;
        assert_eq!(refusal(&response), (401, Some(BearerRefusal::Other), reason), "{token:?}");
        assert_eq!(code(&response), "credentials_rejected");
    }
}

#[tokio::test(start_paused = true)]
async fn b1_a_string_that_is_no_token_is_refused_and_never_anonymous() {
    let world = World::new();
    let layer = accepting(&world).optional();
    let long = format!("Bearer {}", "x".repeat(20_000));
    for field in
        ["Bearer", "Bearer ", "Bearer\tx", "bearer x", "Bearer a.b.c", "Bearer ak_1234", "Bearer x y", &long]
    {
        let response = ask(&layer, with_authorization(field)).await;
        assert_eq!(refusal(&response).1, Some(BearerRefusal::Other), "{field:.20}");
    }
    for field in ["Digest a=b", "Bearers x"] {
        assert_eq!(ask(&layer, with_authorization(field)).await.body(), "nobody", "{field}");
    }
    assert_eq!(world.fake.requests().len(), 0, "no key has been asked for");
}

fn audience(aud: Value) -> Map<String, Value> {
    [("aud".to_owned(), aud), ("email".to_owned(), json!("{{user.primary_email_address}}"))]
        .into_iter()
        .collect()
}

#[tokio::test(start_paused = true)]
async fn b1_a_templates_token_is_accepted_only_by_its_audience() {
    let world = World::new();
    world.fake.add_template("partner", 60 * SECOND, audience(json!("https://partner.example.com")));
    world.fake.add_template("several", 60 * SECOND, audience(json!(["x", "https://partner.example.com"])));
    world.fake.add_template("other", 60 * SECOND, audience(json!("https://other.example.com")));
    world.fake.add_template("bare", 60 * SECOND, Map::new());
    let browser = jane(&world);
    let of = |template: &str| browser.clone().template(template).sign();
    let plain = accepting(&world);
    for template in ["partner", "several", "other", "bare"] {
        assert_eq!(status(&plain, &of(template)).await, REFUSED, "{template}");
    }
    let tokens = BearerTokens::new().template("partner", "https://partner.example.com");
    let layer = world.layer().accept_bearer(tokens.clone()).unwrap();
    assert_eq!(status(&layer, &browser.sign()).await, ACCEPTED, "session tokens stay accepted");
    for (template, expected) in
        [("partner", ACCEPTED), ("several", ACCEPTED), ("other", REFUSED), ("bare", REFUSED)]
    {
        assert_eq!(status(&layer, &of(template)).await, expected, "{template}");
    }
    let response = ask(&layer, bearer(&of("partner"))).await;
    assert_eq!(session(&response).session_id(), "");
    let claims: Value = session(&response).custom_claims().unwrap();
    assert_eq!(claims["email"], JANE_ID);
    // A session token with this audience is no template's token, and a template's token that names a session is none of
    // a session.
    let of_template = layer.template("partner").unwrap();
    let audience = browser.clone().claim("aud", "https://partner.example.com");
    assert_eq!(status(&of_template, &audience.sign()).await, REFUSED);
    let session_id = session(&response).claims().subject().to_owned();
    assert_eq!(
        status(&plain, &browser.clone().template("partner").claim("sid", session_id).sign()).await,
        REFUSED
    );
}

#[tokio::test(start_paused = true)]
async fn b1_a_layer_that_hands_on_a_templates_tokens_accepts_only_these() {
    let world = World::new();
    world.fake.add_template("partner", 60 * SECOND, audience(json!("p")));
    world.fake.add_template("other", 60 * SECOND, audience(json!("o")));
    let tokens = BearerTokens::new().template("partner", "p").template("other", "o");
    let layer = world.layer().template("partner").unwrap().accept_bearer(tokens).unwrap();
    let browser = jane(&world);
    assert_eq!(status(&layer, &browser.clone().template("partner").sign()).await, ACCEPTED);
    assert_eq!(status(&layer, &browser.clone().template("other").sign()).await, REFUSED);
    let response = ask(&layer, bearer(&browser.sign())).await;
    assert_eq!(refusal(&response).2, "a token of a JWT template is required");
    let by_password = ask(&layer, basic(JANE)).await;
    let aud = |session: &ClerkSession| session.custom_claims::<Value>().unwrap()["aud"].clone();
    assert_eq!(aud(session(&by_password)), "p");
}

#[tokio::test(start_paused = true)]
async fn b1_settings_that_accept_no_token_are_errors() {
    let world = World::new();
    let with = |tokens| world.layer().accept_bearer(tokens).unwrap_err();
    let none: [&str; 0] = [];
    assert!(matches!(with(BearerTokens::new().authorized_parties(none)), ConfigError::NoAuthorizedParty));
    for party in ["app.example.com", "https://app.example.com/", "https://app.example.com/x", "*", ""] {
        let error = with(BearerTokens::new().authorized_parties(["https://a.example.com", party]));
        assert!(matches!(error, ConfigError::AuthorizedParty { .. }), "{error}");
    }
    let error = with(BearerTokens::new().template("no such/name", "p"));
    assert!(matches!(error, ConfigError::Template { .. }), "{error}");
    for tokens in [
        BearerTokens::new().template("partner", ""),
        BearerTokens::new().template("partner", "p").template("other", "p"),
    ] {
        assert!(matches!(with(tokens), ConfigError::Audience { .. }));
    }
    let (template, tokens) =
        (world.layer().template("partner").unwrap(), BearerTokens::new().template("x", "x"));
    let errors = [
        template.accept_bearer(tokens.clone()).unwrap_err(),
        world.layer().accept_bearer(tokens).unwrap().template("partner").unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, ConfigError::TemplateNotAccepted { .. }), "{error}");
    }
}
