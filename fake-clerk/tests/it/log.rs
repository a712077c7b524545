//! The request log, as a failed assertion prints it.

use bytes::Bytes;
use fake_clerk::FakeClerk;
use http::Request;

use super::caller::Caller;

const FORM: &str = "application/x-www-form-urlencoded";

/// Sends a sign-in with this body. Returns the response's status and how the log shows the request.
async fn shown(clerk: &FakeClerk, kind: &str, body: &'static str) -> (u16, String) {
    let request = Request::post(clerk.fapi_url() + "/v1/client/sign_ins?_is_native=1")
        .header("content-type", kind)
        .body(Bytes::from_static(body.as_bytes()))
        .unwrap();
    let status = Caller::new(clerk).send(request).await.status;
    (status, format!("{:?}", clerk.requests().last().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn a_body_of_another_type_is_not_logged_as_a_form() {
    let clerk = FakeClerk::new();
    let json = r#"{"strategy":"password","identifier":"jane","password":"hunter2"}"#;
    for kind in ["application/json", "text/plain", "application/x-www-form-urlencodedx"] {
        let (status, text) = shown(&clerk, kind, json).await;
        assert_eq!(status, 415, "{kind}");
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(clerk.requests().last().unwrap().form_params(), [], "{kind}");
    }
    let (status, _) =
        shown(&clerk, "Application/X-WWW-Form-urlencoded; charset=utf-8", "identifier=jane").await;
    assert_eq!(status, 200);
}

#[tokio::test(start_paused = true)]
async fn no_part_of_an_unescaped_password_is_printed() {
    let clerk = FakeClerk::new();
    for (body, hidden) in [
        ("strategy=password&identifier=jane&password=correct&horse=battery", ["correct", "horse", "battery"]),
        (r#"{"identifier":"jane","password":"hunter2"}"#, ["hunter2", "password\"", "jane"]),
        ("identifier=jane&Password=hunter2&pass=s3cret", ["hunter2", "Password", "s3cret"]),
    ] {
        let (status, text) = shown(&clerk, FORM, body).await;
        assert_eq!(status, 422, "{body}");
        assert!(text.contains("***") && hidden.iter().all(|part| !text.contains(part)), "{text}");
    }
    let (_, text) = shown(&clerk, FORM, "strategy=password&identifier=jane&password=hunter2").await;
    for part in [r#"("identifier", "jane")"#, r#"("strategy", "password")"#, r#"("password", "***")"#] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_harmless_headers_and_json_values_are_printed() {
    let clerk = FakeClerk::new();
    let body = r#"{"user_id":"user_1","totp_secret":"JBSWY3DP","backup_codes":["11112222"],
        "public_metadata":{"status":"fine","note":"private"},"A Name":"nameless","password_digest":"$2a$10"}"#;
    let request = Request::post(clerk.backend_url() + "/v1/sign_in_tokens?limit=3&ticket=eyT&rotating=ro7")
        .header("content-type", "application/json")
        .header("user-agent", "curl/8")
        .header("authorization", "Bearer sk_test_a")
        .header("clerk-secret-key", "sk_test_b")
        .header("clerk-proxy-url", "https://user:pass@example.com")
        .body(Bytes::from(body))
        .unwrap();
    assert_eq!(Caller::new(&clerk).send(request).await.status, 401);
    let text = format!("{:?}", clerk.requests()[0]);
    for known in ["user_1", "fine", "curl/8", "application/json", "totp_secret", "clerk-secret-key", r#""3""#]
    {
        assert!(text.contains(known), "{known} in {text}");
    }
    for secret in [
        "JBSWY3DP",
        "11112222",
        "private",
        "nameless",
        "A Name",
        "$2a$10",
        "sk_test",
        "eyT",
        "ro7",
        "user:pass",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    // The accessors return everything.
    assert_eq!(clerk.requests()[0].header("clerk-secret-key"), Some("sk_test_b"));
    let text =
        Request::post(clerk.backend_url() + "/v1/sign_in_tokens").body(Bytes::from("\"hunter2\"")).unwrap();
    Caller::new(&clerk).send(text).await;
    assert!(!format!("{:?}", clerk.requests()).contains("hunter2"));
}
