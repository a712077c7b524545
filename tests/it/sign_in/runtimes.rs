//! A runtime is dropped while one of its tasks is being polled.
//!
//! Once a runtime shuts down, spawning a task on it drops the task inside the spawning call, while a poll that has
//! begun runs to its end. A poll that spawns while it holds a lock would drop the new task under that lock and could
//! deadlock, so the queues spawn without holding one.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::runtime::Runtime;
use tower_clerk::testing::{Clock, FakeClerk};
use tower_clerk::transport::{Transport, TransportFuture};
use tower_clerk::{Access, Clerk, Credentials};

use crate::common::{BOB, JANE, Pair, backend_builder, builder};

/// The longest that a runtime may take to shut down, in real time. It usually takes some milliseconds.
const LONG: Duration = Duration::from_secs(3);

/// The longest that the setup may take. Only a very busy machine comes close to it.
const LONGEST: Duration = Duration::from_secs(30);

/// The point in a poll at which the runtime is shut down.
struct Point {
    reached: mpsc::Sender<()>,
    closed: mpsc::Receiver<()>,
}

impl Point {
    /// Blocks the poll until the runtime accepts no more tasks.
    fn pass(&self) {
        self.reached.send(()).unwrap();
        self.closed.recv_timeout(LONGEST).expect("the runtime shuts down");
    }
}

/// Reports the shutdown when it is dropped: a runtime stops accepting tasks before it drops those that it has.
struct Closing(mpsc::Sender<()>);

impl Drop for Closing {
    fn drop(&mut self) {
        _ = self.0.send(());
    }
}

/// Drops a runtime in the middle of a poll. Returns whether the drop finished. If it did not, its thread is leaked.
fn ends(start: impl FnOnce(&Runtime, Point) + Send + 'static) -> bool {
    let (done, is_done) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    thread::spawn(move || {
        // One worker for the poll, and one to shut the runtime down.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (reached, is_reached) = mpsc::channel();
        let (closing, closed) = mpsc::channel();
        let closing = Closing(closing);
        runtime.spawn(async move {
            let _closing = closing;
            std::future::pending::<()>().await;
        });
        start(&runtime, Point { reached, closed });
        begun.send(is_reached.recv_timeout(LONGEST).is_ok()).unwrap();
        drop(runtime);
        done.send(()).unwrap();
    });
    assert_eq!(has_begun.recv_timeout(2 * LONGEST), Ok(true), "the poll has begun");
    is_done.recv_timeout(LONG).is_ok()
}

fn credentials((identifier, password): Pair) -> Credentials {
    Credentials::new(identifier, password).unwrap()
}

/// The first sign-in that waits for a permit starts the task that grants permits.
#[test]
fn p1_a_runtime_ends_while_a_sign_in_joins_the_queue() {
    let ended = ends(|runtime, point| {
        let clock = Clock::system();
        let fake = FakeClerk::builder().clock(clock).build();
        let engine = builder(&fake, clock).sign_in_rate(1, LONGEST).sign_in_wait(2 * LONGEST);
        let clerk = engine.build().unwrap();
        let first = runtime.block_on(clerk.enroll(&credentials(JANE)));
        assert!(first.expect("the first sign-in gets a permit at once").is_done());
        runtime.spawn(async move {
            point.pass();
            // An enrollment joins the queue in its first poll.
            clerk.enroll(&credentials(BOB)).await
        });
    });
    assert!(ended, "a runtime that was dropped while a sign-in joined the queue never ended");
}

/// Passes a point when the first answer has arrived. The next call is prepared in the same poll.
struct PassOnce {
    fake: FakeClerk,
    point: Mutex<Option<Point>>,
}

impl Transport for PassOnce {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            let response = self.fake.send(request).await;
            if let Some(point) = self.point.lock().unwrap().take() {
                point.pass();
            }
            response
        })
    }
}

/// The first Backend API call that waits for a permit starts the task that grants those permits.
#[test]
fn p1_a_runtime_ends_while_a_call_to_the_backend_api_joins_the_queue() {
    let ended = ends(|runtime, point| {
        let clock = Clock::system();
        let fake = FakeClerk::builder().clock(clock).build();
        let transport = PassOnce { fake: fake.clone(), point: Mutex::new(Some(point)) };
        // A proof takes two calls, so that the second one waits.
        let engine =
            backend_builder(&fake, clock).transport(transport).backend_rate(1, Duration::from_secs(1));
        let clerk: Arc<Clerk> = Arc::new(engine.build().unwrap());
        runtime.spawn(async move {
            clerk.authenticate(&credentials(JANE), &Access::new().organization("acme")).await
        });
    });
    assert!(ended, "a runtime that was dropped while a call joined the queue never ended");
}
