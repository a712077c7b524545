//! The limits of bodies (rule W2).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use serde_json::json;
use tokio::task::JoinHandle;
use tower_clerk::stats::WebhookOutcome;
use tower_clerk::webhook::ClerkWebhookService;

use super::{SECOND, counted, event, send, service, signed};
use crate::common::{World, run_ready_tasks};

const MIB: usize = 1024 * 1024;

/// A body that sends a byte after each pause, and never ends.
struct Slow(Pin<Box<tokio::time::Sleep>>, Duration);

impl Slow {
    fn every(pause: Duration) -> Self {
        Self(Box::pin(tokio::time::sleep(pause)), pause)
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::ready!(self.0.as_mut().poll(cx));
        self.0 = Box::pin(tokio::time::sleep(self.1));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }
}

/// A body of pieces, whose length isn't known before.
struct Pieces(Vec<Result<Bytes, &'static str>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.0.pop().map(|piece| piece.map(Frame::data)))
    }
}

/// An event whose body has this many bytes.
fn of_size(world: &World, size: usize) -> Bytes {
    let mut body = event(world, "email.created", &json!({}));
    body += &" ".repeat(size - body.len());
    body.into()
}

#[tokio::test(start_paused = true)]
async fn w2_a_body_over_one_mebibyte_is_413_whether_its_length_is_known_or_not() {
    let world = World::unlimited();
    let service = service(&world);
    for (size, status) in [(MIB, 204), (MIB + 1, 413), (8 * MIB, 413)] {
        let body = of_size(&world, size);
        let known = signed(&world, &format!("msg_{size}"), body.clone());
        assert_eq!(send(&service, known).await.status(), status, "{size}");
        let chunked = signed(&world, &format!("msg_{size}_chunked"), body.clone());
        let pieces = body.chunks(1000).rev().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        assert_eq!(
            send(&service, chunked.map(|_| Pieces(pieces))).await.status(),
            status,
            "{size} in chunks"
        );
    }
    assert_eq!(counted(&world, WebhookOutcome::TooLarge), 4);
}

/// A body without an end, which counts what is read of it.
struct Endless(Arc<AtomicUsize>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(MIB, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b' '; MIB])))))
    }
}

#[tokio::test(start_paused = true)]
async fn w2_a_body_without_an_end_is_413_after_16_mebibytes() {
    let (world, read) = (World::unlimited(), Arc::new(AtomicUsize::new(0)));
    let request = signed(&world, "msg_1", "").map(|_| Endless(Arc::clone(&read)));
    assert_eq!(send(&service(&world), request).await.status(), 413);
    assert_eq!(read.load(Ordering::Relaxed), 17 * MIB);
}

#[tokio::test(start_paused = true)]
async fn w2_a_chunked_body_is_put_together() {
    let world = World::unlimited();
    let body = Bytes::from(event(&world, "email.created", &json!({ "a": "ä€😀" })));
    let pieces = body.iter().rev().flat_map(|byte| [Ok(Bytes::new()), Ok(Bytes::copy_from_slice(&[*byte]))]);
    let request = signed(&world, "msg_1", body.clone()).map(|_| Pieces(pieces.collect()));
    assert_eq!(send(&service(&world), request).await.status(), 204);
}

#[tokio::test(start_paused = true)]
async fn w2_a_body_that_breaks_off_is_503() {
    let world = World::unlimited();
    let body = Bytes::from(event(&world, "email.created", &json!({})));
    for cut in [vec![Err("reset")], vec![Err("reset"), Ok(body.slice(..20))]] {
        let request = signed(&world, "msg_1", body.clone()).map(|_| Pieces(cut));
        assert_eq!(send(&service(&world), request).await.status(), 503);
    }
    assert_eq!(counted(&world, WebhookOutcome::Unread), 2);
}

#[tokio::test(start_paused = true)]
async fn w2_a_slow_body_is_503_after_ten_seconds() {
    let world = World::unlimited();
    let service = service(&world);
    for pause in [SECOND / 10, 3600 * SECOND] {
        let began = world.clock.now();
        let request = signed(&world, "msg_1", "").map(|_| Slow::every(pause));
        assert_eq!(send(&service, request).await.status(), 503);
        let took = world.clock.now() - began;
        assert!(took >= 10 * SECOND && took < 11 * SECOND, "{took:?}");
    }
}

/// Starts this many deliveries whose bodies begin with `size` bytes and never end.
async fn unfinished(
    world: &World,
    service: &ClerkWebhookService,
    count: usize,
    size: usize,
) -> Vec<JoinHandle<StatusCode>> {
    let start = |at| {
        let (service, request) = (service.clone(), signed(world, &format!("msg_{at}"), ""));
        let body = Unfinished(Some(Bytes::from(vec![b' '; size])));
        tokio::spawn(async move { send(&service, request.map(|_| body)).await.status() })
    };
    let started = (0..count).map(start).collect();
    run_ready_tasks().await;
    started
}

/// A body that begins, and never ends.
struct Unfinished(Option<Bytes>);

impl Body for Unfinished {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |begin| Poll::Ready(Some(Ok(Frame::data(begin)))))
    }
}

/// An attacker needs no secret to begin a body, and must not keep Clerk's out by that.
#[tokio::test(start_paused = true)]
async fn w2_a_thousand_connections_that_send_a_byte_each_keep_no_event_out() {
    let world = World::unlimited();
    let service = service(&world);
    let slow = unfinished(&world, &service, 1000, 1).await;
    let body = event(&world, "email.created", &json!({}));
    assert_eq!(send(&service, signed(&world, "msg_good", body)).await.status(), 204);
    for task in slow {
        assert_eq!(task.await.unwrap(), 503);
    }
}

#[tokio::test(start_paused = true)]
async fn w2_64_mebibytes_of_bodies_are_read_at_once_and_the_next_one_after_them() {
    let world = World::unlimited();
    let service = service(&world);
    let large = unfinished(&world, &service, 64, MIB).await;
    let body = event(&world, "email.created", &json!({}));
    let refused = send(&service, signed(&world, "msg_good", body.clone())).await;
    assert_eq!(refused.status(), 503);
    // A request that lacks the fields of a signature, or is too large, takes no room, and is answered as ever.
    let unsigned: Request<Full<Bytes>> = super::request(&[], body.clone());
    assert_eq!(send(&service, unsigned).await.status(), 400);
    let too_large = of_size(&world, MIB + 1);
    assert_eq!(send(&service, signed(&world, "msg_large", too_large)).await.status(), 413);
    for task in large {
        assert_eq!(task.await.unwrap(), 503);
    }
    for at in 0..65 {
        let body = of_size(&world, MIB);
        assert_eq!(
            send(&service, signed(&world, &format!("msg_good_{at}"), body)).await.status(),
            204,
            "{at}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn w2_a_body_that_its_client_gives_up_leaves_its_room() {
    let world = World::unlimited();
    let service = service(&world);
    for at in 0..200 {
        let (service, request) = (service.clone(), signed(&world, &format!("msg_{at}"), ""));
        let body = Unfinished(Some(Bytes::from(vec![b' '; MIB])));
        let task = tokio::spawn(async move { send(&service, request.map(|_| body)).await });
        run_ready_tasks().await;
        task.abort();
        run_ready_tasks().await;
    }
    let body = event(&world, "email.created", &json!({}));
    assert_eq!(send(&service, signed(&world, "msg_1", body).map(BodyExt::boxed)).await.status(), 204);
}
