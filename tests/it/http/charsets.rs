//! Credentials in the charsets and forms that clients send (rules C2, K1, A9).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Request;
use tower_clerk::ClerkBasicAuthLayer;
use tower_clerk::error::MalformedReason;
use tower_clerk::stats::Outcome;
use tower_clerk::testing::{Endpoint, FakeUser};

use crate::common::{World, ask, logged, rejection, session, with_authorization};

/// `pässwörd`, as the account has it, with decomposed letters, and as Python's `requests` sends it.
const UTF8: &[u8] = "p\u{e4}ssw\u{f6}rd".as_bytes();
const NFD: &[u8] = "pa\u{308}sswo\u{308}rd".as_bytes();
const LATIN1: &[u8] = b"p\xe4ssw\xf6rd";

fn world() -> World {
    let world = World::unlimited();
    world.fake.add_user(FakeUser::new("jonas").password("p\u{e4}ssw\u{f6}rd"));
    world
}

fn jonas(password: &[u8]) -> Request<()> {
    let pair = [b"jonas:", password].concat();
    with_authorization(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

/// A layer without opt-ins, with each of the two, and with both.
fn layers(world: &World) -> [(&'static str, ClerkBasicAuthLayer); 4] {
    [
        ("plain", world.layer()),
        ("latin1", world.layer().latin1_fallback()),
        ("nfc", world.layer().normalize_nfc()),
        ("both", world.layer().latin1_fallback().normalize_nfc()),
    ]
}

/// The lines of the log about rejections.
fn rejections(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("tower_clerk::rejection")).collect()
}

#[tokio::test(start_paused = true)]
async fn c2_a_password_beyond_ascii_is_answered_and_logged_as_each_opt_in_says() {
    const MALFORMED: (&str, Option<&str>) = ("credentials_malformed", Some("the credentials are not UTF-8"));
    const REJECTED: (&str, Option<&str>) = ("credentials_rejected", None);
    let world = world();
    for (name, password, expected) in [
        ("UTF-8", UTF8, [None, None, None, None]),
        ("Latin-1", LATIN1, [Some(MALFORMED), None, Some(MALFORMED), None]),
        ("NFD", NFD, [Some(REJECTED), Some(REJECTED), None, None]),
    ] {
        for ((opt_ins, layer), expected) in layers(&world).into_iter().zip(expected) {
            // Otherwise the rejection is logged at debug, as another one of its kind in the same second.
            tokio::time::advance(std::time::Duration::from_secs(2)).await;
            let mut answers = Vec::new();
            let log = logged(async {
                answers.push(ask(&layer, jonas(password)).await);
                answers.push(ask(&layer.problem_json(), jonas(password)).await);
            })
            .await;
            let Some((code, detail)) = expected else {
                assert!(answers.iter().all(|answer| answer.status() == 200), "{name}, {opt_ins}");
                assert_eq!(rejections(&log), [""; 0], "{name}, {opt_ins}");
                let sent = world.fake.requests_to(Endpoint::SignIns).pop().unwrap();
                assert_eq!(sent.form("password").map(str::as_bytes), Some(UTF8));
                continue;
            };
            for answer in &answers {
                assert_eq!(answer.status(), 401, "{name}, {opt_ins}");
                assert_eq!(answer.headers()["www-authenticate"], "Basic realm=\"api\", charset=\"UTF-8\"");
                let rejection = rejection(answer).unwrap();
                assert_eq!((rejection.code(), rejection.detail()), (code, detail), "{name}, {opt_ins}");
                let reason = detail.map(|_| MalformedReason::NotUtf8);
                assert_eq!(rejection.malformed_reason(), reason);
            }
            assert_eq!(answers[0].body(), "");
            let problem: serde_json::Value = serde_json::from_str(answers[1].body()).unwrap();
            assert_eq!((problem["code"].as_str(), problem["detail"].as_str()), (Some(code), detail));
            // The advice is for the operator (rule A9).
            assert!(!answers[1].body().contains("latin1_fallback"));
            let lines = rejections(&log);
            assert!(lines.len() == 2 && lines[0].contains(" INFO ") && lines[1].contains("DEBUG"), "{log}");
            for line in lines {
                assert!(line.contains(code), "{line}");
                assert_eq!(line.contains("reason=\"the credentials are not UTF-8\""), detail.is_some());
                assert_eq!(line.contains("advice=\"") && line.contains("latin1_fallback"), detail.is_some());
            }
            assert!(!log.contains("ssw\u{f6}") && !log.contains("sswo\u{308}"), "{log}");
        }
    }
    let stats = world.clerk.stats();
    let not_utf8 = stats.malformed.iter().find(|(reason, _)| *reason == MalformedReason::NotUtf8).unwrap();
    assert_eq!((not_utf8.1, stats.count(Outcome::Malformed)), (4, 4));
    assert_eq!(stats.malformed.len(), MalformedReason::ALL.len());
    assert_eq!(stats.malformed.iter().map(|(_, count)| count).sum::<u64>(), 4);
}

#[tokio::test(start_paused = true)]
async fn k1_layers_with_different_opt_ins_share_no_key() {
    let world = world();
    let mut sign_ins = 0;
    for (opt_ins, layer) in layers(&world) {
        for layer in [layer.clone(), layer.form_encoded_credentials()] {
            sign_ins += 1;
            for _ in 0..2 {
                let response = ask(&layer, jonas(UTF8)).await;
                assert!(!session(&response).token().is_empty());
                assert_eq!(world.fake.count(Endpoint::SignIns), sign_ins, "{opt_ins}");
            }
        }
    }
    // Neither do two encodings of one credential, which are two credentials to the layers without opt-ins.
    let both = world.layer().latin1_fallback().normalize_nfc();
    for password in [LATIN1, NFD] {
        sign_ins += 1;
        for _ in 0..2 {
            assert_eq!(ask(&both, jonas(password)).await.status(), 200);
        }
        assert_eq!(world.fake.count(Endpoint::SignIns), sign_ins);
    }
    assert_eq!(
        ask(&world.layer(), jonas(LATIN1)).await.status(),
        401,
        "a hit of another layer lets no one in"
    );
    assert_eq!(ask(&world.layer(), jonas(NFD)).await.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn c4_form_encoded_credentials_are_decoded_before_their_charset() {
    let world = world();
    let layer = world.layer().form_encoded_credentials().latin1_fallback().normalize_nfc();
    for password in [&b"p%E4ssw%F6rd"[..], b"pa%CC%88sswo%cc%88rd", b"p%C3%A4ssw%C3%B6rd", LATIN1, NFD] {
        assert_eq!(ask(&layer, jonas(password)).await.status(), 200, "{}", password.escape_ascii());
    }
    // The euro sign of Windows-1252 is a control character in ISO-8859-1.
    let response = ask(&layer, jonas(b"%80")).await;
    let reason = rejection(&response).unwrap().malformed_reason();
    assert_eq!(reason, Some(MalformedReason::ControlCharacter));
}
