//! Webhooks over a socket.

use std::sync::{Arc, Mutex};

use fake_clerk::{DeliveryStatus, FakeClerk, WebhookEndpoint, WebhookSecret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Received = Arc<Mutex<Vec<String>>>;

/// Reads a request with a `Content-Length`.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.unwrap();
        text.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&text);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == length.parse::<usize>().unwrap() || count == 0 {
            return text.into_owned();
        }
    }
}

/// Answers each connection with this head. Returns the URL and what was received.
async fn receiver(answer: &'static str) -> (String, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/clerk?from=clerk", listener.local_addr().unwrap());
    let received = Received::default();
    let log = Arc::clone(&received);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            log.lock().unwrap().push(request);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, received)
}

async fn ban(url: &str) -> (FakeClerk, String) {
    let clerk = FakeClerk::new();
    let endpoint = clerk.add_webhook(WebhookEndpoint::at(url, WebhookSecret::random()).unwrap());
    clerk.ban("jane");
    clerk.settle_webhooks().await;
    (clerk, endpoint)
}

#[tokio::test]
async fn a_delivery_arrives_as_a_post() {
    let (url, received) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    let (clerk, _) = ban(&url).await;
    let [delivery] = clerk.deliveries().try_into().unwrap();
    assert_eq!((delivery.status(), delivery.url()), (DeliveryStatus::Delivered, url.as_str()));
    let request = received.lock().unwrap()[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /webhooks/clerk?from=clerk HTTP/1.1\r\n"), "{head}");
    let host = url.split('/').nth(2).unwrap();
    for line in [format!("host: {host}"), format!("svix-id: {}", delivery.id())] {
        assert_eq!(head.lines().filter(|it| *it == line).count(), 1, "{line} in {head}");
    }
    assert_eq!(body.as_bytes(), delivery.body());
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    let (url, received) = receiver(answer).await;
    let (clerk, _) = ban(&url).await;
    let delivery = &clerk.deliveries()[0];
    assert_eq!(delivery.attempts()[0].status().map(|status| status.as_u16()), Some(302));
    assert_eq!((delivery.status(), received.lock().unwrap().len()), (DeliveryStatus::Pending, 1));
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_has_no_status() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let (clerk, _) = ban(&url).await;
    let delivery = &clerk.deliveries()[0];
    assert_eq!((delivery.attempts().len(), delivery.attempts()[0].status()), (1, None));
}

#[tokio::test]
async fn an_endpoint_can_stop_a_message_and_disable_itself() {
    for (control, is_enabled) in [("abort-message", true), ("disable", false)] {
        let answer = format!("HTTP/1.1 500 Oops\r\nwebhook-delivery: {control}\r\ncontent-length: 0\r\n\r\n");
        let (url, _) = receiver(answer.leak()).await;
        let (clerk, endpoint) = ban(&url).await;
        assert_eq!(clerk.deliveries()[0].status(), DeliveryStatus::Failed, "{control}");
        assert_eq!(clerk.webhook_is_enabled(&endpoint), is_enabled, "{control}");
    }
}

#[tokio::test]
async fn a_thousand_events_at_once_arrive() {
    let (url, received) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    let clerk = FakeClerk::new();
    clerk.add_webhook(WebhookEndpoint::at(&url, WebhookSecret::random()).unwrap());
    for number in 0..1000 {
        clerk.send_webhook("test", serde_json::json!({ "number": number }));
    }
    clerk.settle_webhooks().await;
    assert_eq!(received.lock().unwrap().len(), 1000);
    assert!(clerk.deliveries().iter().all(|it| it.status() == DeliveryStatus::Delivered));
}
