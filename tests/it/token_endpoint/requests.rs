//! Requests that are malformed, and those that only look so (rule E1).

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::{Body, Frame};
use http_body_util::Full;
use tokio::time::Instant;
use tower_clerk::testing::Endpoint;

use super::{FORM, GRANT, form, send};
use crate::common::{JANE, World, authorization};

/// A body that sends its frames one by one, and then ends, fails or hangs.
struct Frames {
    frames: VecDeque<Frame<Bytes>>,
    end: End,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Whole,
    Broken,
    Hanging,
}

impl Frames {
    fn of(chunks: &[&str], end: End) -> Self {
        let chunks = chunks.iter().map(|chunk| Frame::data(Bytes::copy_from_slice(chunk.as_bytes())));
        Self { frames: chunks.collect(), end }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match (self.frames.pop_front(), self.end) {
            (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
            (None, End::Whole) => Poll::Ready(None),
            (None, End::Broken) => Poll::Ready(Some(Err("reset by the peer"))),
            (None, End::Hanging) => Poll::Pending,
        }
    }
}

fn with_body<B>(body: B) -> Request<B> {
    Request::post("/token")
        .header("authorization", authorization(JANE))
        .header(CONTENT_TYPE, FORM)
        .body(body)
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn e1_a_malformed_request_is_invalid_request_and_costs_no_call() {
    let world = World::new();
    let endpoint = world.endpoint();
    for (body, expected) in [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("grant_type", "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&grant%5Ftype=password", "invalid_request"),
        ("grant_type=client_credentials&x=1&x=2", "invalid_request"),
        ("grant_type=client_credentials&scope=&scope=", "invalid_request"),
        ("grant_type=client_credentials%", "invalid_request"),
        ("grant_type=client_credentials&%zz=1", "invalid_request"),
        ("grant_type=%ff", "invalid_request"),
        ("grant_type=password&username=a&password=b", "unsupported_grant_type"),
        ("grant_type=CLIENT_CREDENTIALS", "unsupported_grant_type"),
        ("grant_type= client_credentials", "unsupported_grant_type"),
        ("{\"grant_type\":\"client_credentials\"}", "invalid_request"),
    ] {
        let answer = send(endpoint.clone(), form(Some(&authorization(JANE)), body)).await;
        assert_eq!(answer.failure(), (400, expected), "{body:?}");
        assert_eq!(answer.field("cache-control"), "no-store");
        assert!(answer.error.is_some() && answer.rejection.is_none(), "{body:?}");
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
    assert_eq!(world.clerk.stats().total(), 0, "no credentials were looked at");
}

#[tokio::test(start_paused = true)]
async fn e1_unknown_parameters_and_empty_ones_are_ignored() {
    let world = World::new();
    for body in [
        "grant_type=client_credentials&x=1&y=%ff&scope=&audience=api",
        "&&grant_type=client%5fcredentials&",
        "client_id=&client_secret=&grant_type=client_credentials",
    ] {
        let answer = send(world.endpoint(), form(Some(&authorization(JANE)), body)).await;
        assert_eq!(answer.status, 200, "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn e1_only_post_is_allowed() {
    let world = World::new();
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
        let mut request = form(Some(&authorization(JANE)), GRANT);
        *request.method_mut() = method.clone();
        let answer = send(world.endpoint(), request).await;
        assert_eq!(answer.failure(), (405, "invalid_request"), "{method}");
        assert_eq!(answer.field("allow"), "POST");
    }
    assert_eq!(world.fake.count(Endpoint::Any), 0);
}

#[tokio::test(start_paused = true)]
async fn e1_the_content_type_is_that_of_a_form() {
    let world = World::new();
    let ask = async |types: &[&'static str]| {
        let mut request = form(Some(&authorization(JANE)), GRANT);
        request.headers_mut().remove(CONTENT_TYPE);
        for value in types {
            request.headers_mut().append(CONTENT_TYPE, HeaderValue::from_static(value));
        }
        send(world.endpoint(), request).await
    };
    for good in
        [FORM, "Application/X-WWW-Form-Urlencoded; charset=UTF-8", "application/x-www-form-urlencoded ;a=b"]
    {
        assert_eq!(ask(&[good]).await.status, 200, "{good}");
    }
    for bad in
        [&[][..], &["application/json"], &["text/plain"], &[FORM, FORM], &["multipart/form-data; boundary=x"]]
    {
        assert_eq!(ask(bad).await.failure(), (400, "invalid_request"), "{bad:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn e1_a_body_over_8_kib_is_413() {
    let world = World::new();
    let padded = |len: usize| format!("{GRANT}&x={}", "y".repeat(len - GRANT.len() - 3));
    let answer = send(world.endpoint(), with_body(Full::new(Bytes::from(padded(8 * 1024))))).await;
    assert_eq!(answer.status, 200);
    // Once its length is known, and once it is not.
    let long = padded(8 * 1024 + 1);
    let answer = send(world.endpoint(), with_body(Full::new(Bytes::from(long.clone())))).await;
    assert_eq!(answer.failure(), (413, "invalid_request"));
    let chunks = Frames::of(&[&long[..8000], &long[8000..]], End::Hanging);
    let answer = send(world.endpoint(), with_body(chunks)).await;
    assert_eq!(answer.failure(), (413, "invalid_request"), "without waiting for its end");
}

#[tokio::test(start_paused = true)]
async fn e1_a_body_may_come_in_pieces_with_trailers_and_must_come_whole_within_10_s() {
    let world = World::new();
    let mut pieces = Frames::of(&["grant_type=cli", "", "ent_credentials"], End::Whole);
    pieces.frames.push_back(Frame::trailers(HeaderMap::new()));
    assert_eq!(send(world.endpoint(), with_body(pieces)).await.status, 200);

    let broken = send(world.endpoint(), with_body(Frames::of(&[GRANT], End::Broken))).await;
    assert_eq!(broken.failure(), (400, "invalid_request"));

    let start = Instant::now();
    let slow = send(world.endpoint(), with_body(Frames::of(&[GRANT], End::Hanging))).await;
    assert_eq!(slow.failure(), (408, "invalid_request"));
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

/// A body whose data isn't `Bytes`, and that is neither `Unpin` nor `Sync`.
struct Odd {
    form: Cell<Option<VecDeque<u8>>>,
    _pinned: PhantomPinned,
}

impl Body for Odd {
    type Data = VecDeque<u8>;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<VecDeque<u8>>, Infallible>>> {
        Poll::Ready(self.form.take().map(|data| Ok(Frame::data(data))))
    }
}

#[tokio::test(start_paused = true)]
async fn e1_any_body_will_do() {
    let world = World::new();
    // In two pieces, as a ring buffer may be.
    let mut form: VecDeque<u8> = GRANT[5..].bytes().collect();
    GRANT[..5].bytes().rev().for_each(|byte| form.push_front(byte));
    let odd = Odd { form: Cell::new(Some(form)), _pinned: PhantomPinned };
    assert_eq!(send(world.endpoint(), with_body(odd)).await.status, 200);
}
