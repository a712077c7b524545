//! Clients that are no part of this repository, where they are installed. `.ci/clients` asks the examples by more of them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_clerk::testing::{self, FakeUser};
use tower_clerk::{ClerkBasicAuthLayer, ClerkSession};

/// Asks by `requests`, with a password as `str`, as bytes in UTF-8, and as the same text that is decomposed.
const ASK: &str = r#"
import json, sys, unicodedata, requests
session = requests.Session()
session.trust_env = False
password = "p\u00e4ssw\u00f6rd"
pairs = [("jonas", password), (b"jonas", password.encode()), (b"jonas", unicodedata.normalize("NFD", password).encode())]
answers = [session.get(sys.argv[1], auth=pair, timeout=20) for pair in pairs]
print(json.dumps([[answer.status_code, answer.json().get("code")] for answer in answers]))
"#;

/// A Python that has `requests`: Debian's packages are for its own.
fn python() -> Option<&'static str> {
    let found = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let run = Command::new(python).args(["-c", "import requests"]).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    });
    let is_required = std::env::var_os("REQUIRE_CLIENTS").is_some();
    assert!(found.is_some() || !is_required, "python3-requests isn't installed");
    if found.is_none() {
        // Past the capture of tests that pass.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "LEFT OUT, not installed: python3-requests").unwrap();
    }
    found
}

async fn serve(layer: ClerkBasicAuthLayer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = get(async |session: ClerkSession| json!({ "user": session.user_id() }).to_string());
    let app = Router::new().route("/", answer).layer(layer.problem_json());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_requests_sends_a_str_in_latin_1() {
    let Some(python) = python() else { return };
    let (fake, clerk) = testing::unlimited();
    fake.add_user(FakeUser::new("jonas").password("p\u{e4}ssw\u{f6}rd"));
    let layer = ClerkBasicAuthLayer::new(clerk);
    let (ok, rejected) = (json!([200, null]), json!([401, "credentials_rejected"]));
    let malformed = json!([401, "credentials_malformed"]);
    for (layer, expected) in [
        (layer.clone(), [&malformed, &ok, &rejected]),
        (layer.clone().latin1_fallback(), [&ok, &ok, &rejected]),
        (layer.latin1_fallback().normalize_nfc(), [&ok, &ok, &ok]),
    ] {
        let url = format!("http://{}/", serve(layer).await);
        let run = Command::new(python).args(["-c", ASK, &url]).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let answers: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(answers, json!(expected));
    }
}
