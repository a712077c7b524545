//! Malformed credentials and remembered denials, and whom they must not affect (rules C1-C5, K5, K6, K11).

use std::time::Duration;

use crate::common::{JANE, World, ask, authorization, basic, code, rejection, session, with_authorization};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Request;
use http::header::AUTHORIZATION;
use tower_clerk::testing::{Endpoint, FakeUser, Fault};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn malformed() -> Vec<String> {
    let encode = |pair: &[u8]| format!("Basic {}", BASE64_STANDARD.encode(pair));
    let right = authorization(JANE);
    let mut fields = vec![
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic =".to_owned(),
        "Basic !!!!".to_owned(),
        // Padding to a length that is no multiple of four, too much padding, padding in the middle.
        format!("{right}="),
        format!("{right}=="),
        format!("{right}==="),
        "Basic YTpi=".to_owned(),
        "Basic YT=pi".to_owned(),
        // URL-safe letters; a second token; non-zero trailing bits.
        "Basic YTo_Pz8-".to_owned(),
        format!("{right} {right}"),
        format!("{right}, {right}"),
        "Basic YTpiYh==".to_owned(),
        // The pair itself.
        encode(b"no colon"),
        encode(b":no identifier"),
        encode(b"no password:"),
        encode(b":"),
        encode(b"not:utf-8 \xff"),
        encode(b"line:break\n"),
        encode(b"nul\0:byte"),
        encode("c1:\u{85}".as_bytes()),
    ];
    fields.push(encode(format!("jane:{}", "x".repeat(8 * 1024)).as_bytes()));
    fields
}

#[tokio::test(start_paused = true)]
async fn c1_malformed_credentials_cost_no_call_on_a_miss_or_a_hit() {
    let world = World::new();
    for is_hit in [false, true] {
        if is_hit {
            assert_eq!(world.get(JANE).await.status(), 200);
        }
        let calls = world.fake.count(Endpoint::Any);
        for field in malformed() {
            for layer in [world.layer(), world.layer().optional(), world.layer().form_encoded_credentials()] {
                let response = ask(&layer, with_authorization(&field)).await;
                let start: String = field.chars().take(60).collect();
                assert_eq!(code(&response), "credentials_malformed", "{start}, hit: {is_hit}");
                assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"api\", charset=\"UTF-8\"");
            }
        }
        let twice = Request::get("/me")
            .header(AUTHORIZATION, authorization(JANE))
            .header(AUTHORIZATION, authorization(JANE))
            .body(())
            .unwrap();
        assert_eq!(
            code(&ask(&world.layer(), twice).await),
            "credentials_malformed",
            "two fields are malformed"
        );
        assert_eq!(world.fake.count(Endpoint::Any), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn c1_all_spellings_of_one_credential_share_one_key() {
    let world = World::new();
    let token = BASE64_STANDARD.encode(format!("{}:{}", JANE.0, JANE.1));
    let bare = token.trim_end_matches('=');
    for field in [
        format!("Basic {token}"),
        format!("basic {bare}"),
        format!("BASIC   {token}  "),
        format!("bAsIc {bare}\t"),
    ] {
        assert_eq!(ask(&world.layer(), with_authorization(&field)).await.status(), 200, "{field}");
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

#[tokio::test(start_paused = true)]
async fn c3_a_password_may_contain_colons_and_any_text() {
    let world = World::with(|fake| fake, |engine| engine.sign_in_wait(secs(60)));
    for (name, password) in [
        ("colons", "a:b::c"),
        ("plus", "a+b%20c&d=e"),
        ("unicode", "pässwörd 🔑"),
        ("spaces", " leading and trailing "),
        ("replacement", "\u{fffd}\u{fffd}\u{fffd}"),
    ] {
        world.fake.add_user(FakeUser::new(name).password(password));
        let response = world.get((name, password)).await;
        assert_eq!(response.status(), 200, "{name}");
        let sent = world.fake.requests_to(Endpoint::SignIns).pop().unwrap();
        assert_eq!((sent.form("identifier"), sent.form("password")), (Some(name), Some(password)));
    }
}

#[tokio::test(start_paused = true)]
async fn c4_form_decoding_is_opt_in_per_layer_and_shares_no_key_with_others() {
    let world = World::new();
    world.fake.add_user(FakeUser::new("user+tag@example.com").password("50%25 off+tax"));
    let pair = ("user+tag@example.com", "50%25 off+tax");
    assert_eq!(world.get(pair).await.status(), 200, "without decoding");
    let form = world.layer().form_encoded_credentials();
    assert_eq!(
        code(&ask(&form, basic(pair)).await),
        "credentials_rejected",
        "decoding makes another credential of it"
    );
    let encoded = ("user%2Btag%40example.com", "50%2525+off%2Btax");
    assert_eq!(ask(&form, basic(encoded)).await.status(), 200);
    // Malformed after decoding: a colon in the identifier, control characters, invalid UTF-8, an invalid escape.
    for (identifier, password) in [("a%3Ab", "c"), ("a", "%00"), ("a", "%ff"), ("a", "%zz"), ("a", "%0a")] {
        let response = ask(&form, basic((identifier, password))).await;
        assert_eq!(code(&response), "credentials_malformed", "{identifier}:{password}");
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 3);
}

#[tokio::test(start_paused = true)]
async fn c5_another_scheme_is_missing_credentials_at_any_size() {
    let world = World::new();
    let long = format!("Negotiate {}", "x".repeat(20_000));
    for field in ["Bearer a.b.c", "Digest username=\"a\", realm=\"b\"", "BasicX YTpi", &long] {
        assert_eq!(
            code(&ask(&world.layer(), with_authorization(field)).await),
            "credentials_missing",
            "{field:.20}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn k5_a_wrong_password_never_affects_a_cached_user() {
    let world = World::new();
    let first = world.get(JANE).await;
    let start = world.clock.now();
    for guess in 0..50 {
        let wrong = format!("guess number {guess}");
        let layer = world.layer();
        let guess = tokio::spawn(async move { ask(&layer, basic((JANE.0, &wrong))).await });
        crate::common::run_ready_tasks().await;
        let response = world.get(JANE).await;
        assert_eq!(session(&response).token(), session(&first).token());
        drop(guess);
    }
    assert_eq!(world.clock.now(), start, "no hit has waited for a guess");
    // This holds even if the token must be renewed when Clerk has locked the account.
    world.fake.lock("jane");
    tokio::time::advance(secs(60)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn k6_after_a_change_the_new_password_works_at_once_and_the_old_one_until_its_proof_ends() {
    let world = World::with(|fake| fake, |engine| engine.session_ttl(secs(300)));
    assert_eq!(world.get(JANE).await.status(), 200);
    assert_eq!(world.get((JANE.0, "not yet set")).await.status(), 401);
    world.fake.set_password("jane", "the new one");
    assert_eq!(world.get((JANE.0, "the new one")).await.status(), 200);
    assert_eq!(world.get(JANE).await.status(), 200, "its proof is still valid");
    tokio::time::advance(secs(300)).await;
    assert_eq!(world.get(JANE).await.status(), 401);
    assert_eq!(world.get((JANE.0, "the new one")).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn k11_each_further_refusal_of_a_credential_is_remembered_for_longer() {
    let world = World::new();
    let mut asked = 0;
    for life in [10, 60, 600, 3_600, 3_600] {
        let response = world.get((JANE.0, "wrong")).await;
        asked += 1;
        assert_eq!(world.fake.count(Endpoint::SignIns), asked, "before the denial of {life} s");
        // The answer may be 429 once the free attempts are used up (rule P3).
        assert!([401, 429].contains(&response.status().as_u16()));
        assert!(asked > 3 || code(&response) == "credentials_rejected");
        for share in [1, life - 2] {
            tokio::time::advance(secs(share)).await;
            assert_ne!(world.get((JANE.0, "wrong")).await.status(), 200);
            assert_eq!(world.fake.count(Endpoint::SignIns), asked, "within the denial of {life} s");
        }
        tokio::time::advance(secs(1)).await;
    }
    // Denials are per credential, so the right password still gets in.
    assert_eq!(world.get(JANE).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn k11_negative_ttl_is_the_life_of_the_first_denial() {
    let world = World::with(|fake| fake, |engine| engine.negative_ttl(secs(120)));
    let wrong = (JANE.0, "wrong");
    assert_eq!(world.get(wrong).await.status(), 401);
    tokio::time::advance(secs(119)).await;
    assert_eq!(world.get(wrong).await.status(), 401);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    // The engine notices the new password only after the denial expires.
    world.fake.set_password("jane", "wrong");
    tokio::time::advance(secs(1)).await;
    assert_eq!(world.get(wrong).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn s3_an_unknown_answer_is_503_and_remembered_for_negative_ttl_per_credential() {
    let world = World::new();
    world.fake.script(Endpoint::SignIns, Fault::StatusWithCode(422, "a_code_of_tomorrow".to_owned()));
    for _ in 0..2 {
        let response = world.get(JANE).await;
        assert_eq!((response.status().as_u16(), code(&response)), (503, "upstream_unavailable"));
        assert_eq!(rejection(&response).unwrap().upstream_code(), Some("a_code_of_tomorrow"));
        assert!(response.headers().contains_key("retry-after"));
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
    assert_eq!(world.get(crate::common::BOB).await.status(), 200);
    tokio::time::advance(secs(10)).await;
    assert_eq!(world.get(JANE).await.status(), 200);
}
