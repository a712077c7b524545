//! Plain TCP, to see the bytes that any client sees.

use std::net::SocketAddr;

use fake_clerk::{Endpoint, FakeClerk, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::caller::part;

/// Sends a request and returns everything that the server sends on the connection.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Some faults break the connection.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

pub(crate) fn sign_in(address: SocketAddr) -> String {
    let body = "strategy=password&identifier=jane&password=correct+horse+battery+staple";
    format!(
        "POST /v1/client/sign_ins?_is_native=1 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_sign_in_over_a_socket_names_the_servers_address() {
    let clerk = FakeClerk::new();
    let server = clerk.serve("127.0.0.1:0").await.unwrap();
    let answer = exchange(server.addr(), &sign_in(server.addr())).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("\r\nauthorization: ey") && head.contains("\r\ndate: "), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let claims = part(&body["client"]["sessions"][0]["last_active_token"]["jwt"], 1);
    assert_eq!(claims["iss"], server.url());
    assert_eq!(clerk.requests()[0].peer().unwrap().to_string(), "127.0.0.1");
    let address = server.addr();
    server.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn connection_faults_break_the_socket() {
    let clerk = FakeClerk::new();
    let server = clerk.serve("127.0.0.1:0").await.unwrap();
    clerk.script(Endpoint::SignIns, Fault::Reset);
    assert_eq!(exchange(server.addr(), &sign_in(server.addr())).await, "");
    assert_eq!(clerk.live_sessions(), 1);
    clerk.script(Endpoint::SignIns, Fault::Truncated);
    let answer = exchange(server.addr(), &sign_in(server.addr())).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(!body.is_empty() && body.len() < length.parse().unwrap(), "{head}");
}

#[tokio::test]
async fn an_oversized_body_is_refused() {
    let clerk = FakeClerk::new();
    let server = clerk.serve("127.0.0.1:0").await.unwrap();
    let request =
        sign_in(server.addr()).replace("identifier=jane", &format!("identifier={}", "x".repeat(1 << 20)));
    let (head, rest) = request.split_once("\r\nContent-Length: ").unwrap();
    let body = rest.split_once("\r\n\r\n").unwrap().1;
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert!(exchange(server.addr(), &request).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn shutdown_does_not_wait_for_hanging_requests() {
    let clerk = FakeClerk::new();
    let server = clerk.serve("127.0.0.1:0").await.unwrap();
    let hold = clerk.hold(Endpoint::SignIns);
    let address = server.addr();
    let request = tokio::spawn(async move { exchange(address, &sign_in(address)).await });
    hold.arrived(1).await;
    server.shutdown().await;
    assert_eq!(request.await.unwrap(), "");
}

#[tokio::test]
async fn a_server_has_both_apis_at_one_address() {
    let clerk = FakeClerk::new();
    let server = clerk.serve("127.0.0.1:0").await.unwrap();
    exchange(server.addr(), &sign_in(server.addr())).await;
    let path = format!("/v1/sessions/{}/tokens", clerk.sessions()[0].id());
    let mint = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        server.addr(),
        clerk.secret_key()
    );
    let answer = exchange(server.addr(), &mint).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK") && !head.contains("authorization"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(part(&body["jwt"], 1)["iss"], server.url());
    assert_eq!(clerk.requests_to(Endpoint::BackendTokens)[0].host(), server.addr().to_string());
}
