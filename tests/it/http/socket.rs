//! The built-in HTTP client on a real socket: the requests it sends, redirects, cookies and proxies (rules S1, S4, S5).

use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{JANE, ask, basic, code, session, warm_up};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tower_clerk::testing::{Endpoint, FakeClerk, FakeClerkServer, Fault, RetryAfter};
use tower_clerk::{Clerk, ClerkBasicAuthLayer, ClerkBuilder};

async fn on_a_socket(
    change: impl FnOnce(ClerkBuilder) -> ClerkBuilder,
) -> (FakeClerk, FakeClerkServer, ClerkBasicAuthLayer) {
    let fake = FakeClerk::builder().no_rate_limit().build();
    warm_up(&fake).await;
    let server = fake.serve("127.0.0.1:0").await.unwrap();
    let builder = Clerk::builder(server.url()).unlimited_sign_ins().upstream_timeout(Duration::from_secs(2));
    let layer = ClerkBasicAuthLayer::new(change(builder).build().unwrap());
    (fake, server, layer)
}

#[tokio::test]
async fn s1_every_request_is_in_native_mode() {
    let (fake, _server, layer) = on_a_socket(|engine| engine).await;
    fake.add_template("partner", Duration::from_secs(60), serde_json::Map::new());
    for layer in [
        layer.clone(),
        layer.clone().organization("acme").unwrap(),
        layer.organization("globex").unwrap().template("partner").unwrap(),
    ] {
        let response = ask(&layer, basic(JANE)).await;
        assert!(session(&response).claims().issuer().starts_with("http://127.0.0.1:"));
    }
    let requests = fake.requests();
    assert!(requests.len() >= 5, "a sign-in, the keys, two tokens and a touch");
    for request in &requests {
        let shown = format!("{request:?}");
        let has = |name: &str| request.headers().contains_key(name);
        assert!(!has("origin") && !has("referer") && !has("cookie") && !has("accept-encoding"), "{shown}");
        assert_eq!(request.header("clerk-api-version"), Some("2025-11-10"), "{shown}");
        assert!(request.header("user-agent").unwrap().starts_with("tower-clerk/"), "{shown}");
        assert!(request.status().unwrap().is_success(), "{shown}");
        if request.endpoint() == Endpoint::Jwks {
            assert!(!has("authorization"), "{shown}");
            continue;
        }
        assert_eq!(request.query("_is_native"), Some("1"), "{shown}");
        if !request.form_params().is_empty() {
            assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"), "{shown}");
        }
        // A sign-in comes from a client that Clerk does not know. All other requests carry its client token.
        assert_eq!(has("authorization"), request.endpoint() != Endpoint::SignIns, "{shown}");
        assert!(
            !request.header("authorization").is_some_and(|token| token.starts_with("Bearer")),
            "the client token is sent verbatim, without a scheme"
        );
    }
    assert_eq!(fake.count(Endpoint::SignIns), 1);
}

#[tokio::test]
async fn every_fault_on_the_wire_is_a_503_in_time_and_the_next_request_works() {
    let (fake, _server, layer) = on_a_socket(|engine| engine).await;
    for fault in [
        Fault::Hang,
        Fault::Refused,
        Fault::Status(500),
        Fault::Html(200),
        Fault::Html(502),
        Fault::Redirect,
        Fault::DelayAnswer(Duration::from_secs(10)),
        Fault::Reset,
        Fault::Truncated,
        Fault::Oversized,
        Fault::WrongTypes,
        Fault::Empty,
        Fault::NotJson,
        Fault::RateLimited { retry_after: RetryAfter::Seconds(1) },
    ] {
        let name = format!("{fault:?}");
        fake.clear_log();
        fake.add_user(tower_clerk::testing::FakeUser::new("fresh").password(name.as_str()));
        fake.script(Endpoint::SignIns, fault);
        let start = Instant::now();
        let response = ask(&layer, basic(("fresh", &name))).await;
        assert_eq!(response.status(), 503, "{name}");
        assert!(start.elapsed() < Duration::from_secs(4), "{name}");
        assert_eq!(fake.count(Endpoint::SignIns), 1, "rule S5: {name} is not retried");
        assert_eq!(ask(&layer, basic(("fresh", &name))).await.status(), 200, "{name}");
        fake.delete_user("fresh");
    }
}

#[tokio::test]
async fn s1_redirects_are_not_followed() {
    let (fake, _server, layer) = on_a_socket(|engine| engine).await;
    // A server that would receive the password if the client followed the redirect.
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("http://{}/v1/client/sign_ins", elsewhere.local_addr().unwrap());
    let redirecting = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", redirecting.local_addr().unwrap());
    tokio::spawn(async move {
        for status in ["307 Temporary Redirect", "308 Permanent Redirect", "302 Found"] {
            let (mut stream, _) = redirecting.accept().await.unwrap();
            let answer = format!(
                "HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            // Reads to the end before closing, since unread data would reset the connection.
            let mut rest = Vec::new();
            _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
        }
    });
    let clerk =
        Clerk::builder(url).unlimited_sign_ins().upstream_timeout(Duration::from_secs(2)).build().unwrap();
    for _ in 0..3 {
        let response = ask(&ClerkBasicAuthLayer::new(clerk.clone()), basic(JANE)).await;
        assert_eq!(code(&response), "upstream_unavailable");
    }
    let connection = tokio::time::timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(connection.is_err(), "the client followed the redirect");
    assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
    assert_eq!(fake.count(Endpoint::SignIns), 1);
}

#[tokio::test]
async fn s1_cookies_are_neither_stored_nor_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = tokio::spawn(async move {
        let mut requests = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = "HTTP/1.1 503 Service Unavailable\r\nset-cookie: __client=stored; Path=/\r\n\
                          content-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut request = Vec::new();
            _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut request).await;
            requests.push(String::from_utf8(request).unwrap().to_lowercase());
        }
        requests
    });
    let clerk = Clerk::builder(url).unlimited_sign_ins().build().unwrap();
    for _ in 0..2 {
        let response = ask(&ClerkBasicAuthLayer::new(clerk.clone()), basic(JANE)).await;
        assert_eq!(code(&response), "upstream_unavailable");
    }
    for request in requests.await.unwrap() {
        assert!(request.starts_with("post /v1/client/sign_ins"), "{request}");
        assert!(!request.contains("cookie"), "{request}");
    }
}

#[tokio::test]
async fn s4_an_unreachable_clerk_is_a_503_until_it_is_back() {
    let (fake, server, layer) = on_a_socket(|engine| engine).await;
    let address = server.addr();
    server.shutdown().await;
    let response = ask(&layer, basic(JANE)).await;
    assert_eq!(code(&response), "upstream_unavailable");
    assert!(response.headers().contains_key("retry-after"));
    let _server = fake.serve(address).await.unwrap();
    assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
}

const CHILD: &str = "TOWER_CLERK_TEST_PROXY_CHILD";

/// Runs itself again in a child process with proxy variables, since changing the environment of this process would
/// affect other tests.
#[tokio::test]
async fn s1_a_proxy_from_the_environment_gets_no_password_for_a_plain_http_url() {
    if std::env::var_os(CHILD).is_some() {
        let (fake, _server, layer) = on_a_socket(|engine| engine).await;
        assert_eq!(ask(&layer, basic(JANE)).await.status(), 200);
        assert_eq!(fake.count(Endpoint::SignIns), 1);
        return;
    }
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "http::socket::s1_a_proxy_from_the_environment_gets_no_password_for_a_plain_http_url",
        ])
        .env(CHILD, "1");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"] {
        child.env(name, &address);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy").env_remove("REQUEST_METHOD");
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot run the test binary again (was it rebuilt meanwhile?): {error}")
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    let connection = tokio::time::timeout(Duration::from_millis(50), proxy.accept()).await;
    assert!(connection.is_err(), "the client connected to the proxy");
}
