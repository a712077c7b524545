//! A runtime that is dropped while one of its tasks is in the middle of a step.
//!
//! From the moment that a runtime closes, a task that is spawned on it is dropped at once, inside the spawning call. A step
//! that began before goes on to its end. A step which spawns under a lock drops the new task under that lock, so the queues
//! spawn under none.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tower_clerk::testing::{Clock, FakeClerk};
use tower_clerk::{Access, Clerk, Credentials};

use crate::common::{BOB, JANE, Pair, backend_builder, builder};
use crate::stores::SharedSessions;

/// How long the end of a runtime may take, in real time. It takes some milliseconds.
const LONG: Duration = Duration::from_secs(3);

/// How long it may take to get so far. Nothing waits for that long but on a machine that is very busy.
const LONGEST: Duration = Duration::from_secs(30);

/// The point in a step at which its runtime is closed.
struct Point {
    reached: mpsc::Sender<()>,
    closed: mpsc::Receiver<()>,
}

impl Point {
    /// Keeps the step at this point until its runtime takes no more tasks.
    fn pass(&self) {
        self.reached.send(()).unwrap();
        self.closed.recv_timeout(LONGEST).expect("the runtime is closed");
    }
}

/// Tells of the closing: a runtime drops the tasks that it has after it has begun to take no more.
struct Closing(mpsc::Sender<()>);

impl Drop for Closing {
    fn drop(&mut self) {
        _ = self.0.send(());
    }
}

/// Drops a runtime in the middle of a step of what was started on it. Whether that came to an end: the thread is
/// left behind where it doesn't.
fn ends(start: impl FnOnce(&Runtime, Point) + Send + 'static) -> bool {
    let (ended, has_ended) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    thread::spawn(move || {
        // One worker for the step, and one to close the runtime meanwhile.
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
        ended.send(()).unwrap();
    });
    assert_eq!(has_begun.recv_timeout(2 * LONGEST), Ok(true), "the step is under way");
    has_ended.recv_timeout(LONG).is_ok()
}

fn credentials((identifier, password): Pair) -> Credentials {
    Credentials::new(identifier, password).unwrap()
}

/// The first that waits for a turn to sign in starts the task that gives turns.
#[test]
fn p1_a_runtime_ends_while_a_sign_in_joins_the_queue() {
    let ended = ends(|runtime, point| {
        let clock = Clock::system();
        let fake = FakeClerk::builder().clock(clock).build();
        let engine = builder(&fake, clock).sign_in_rate(1, LONGEST).sign_in_wait(2 * LONGEST);
        let clerk = engine.build().unwrap();
        let first = runtime.block_on(clerk.enroll(&credentials(JANE)));
        assert!(first.expect("the first has its turn at once").is_done());
        runtime.spawn(async move {
            point.pass();
            // An enrolment joins the queue in the step that it begins in.
            clerk.enroll(&credentials(BOB)).await
        });
    });
    assert!(ended, "a runtime that was dropped while a sign-in joined the queue never ended");
}

/// The first that waits for a call to the Backend API starts the task that gives these turns.
#[test]
fn p1_a_runtime_ends_while_a_call_to_the_backend_api_joins_the_queue() {
    let ended = ends(|runtime, point| {
        let point = Mutex::new(Some(point));
        let store = SharedSessions::before_each_get(move || {
            if let Some(point) = point.lock().unwrap().take() {
                point.pass();
            }
        });
        let clock = Clock::system();
        let fake = FakeClerk::builder().clock(clock).build();
        // Between the look at the store and the session there are more calls than one, so that one of them waits.
        let engine =
            backend_builder(&fake, clock).backend_rate(1, Duration::from_secs(1)).session_store(store);
        let clerk: Arc<Clerk> = Arc::new(engine.build().unwrap());
        runtime.spawn(async move {
            clerk.authenticate(&credentials(JANE), &Access::new().organization("acme")).await
        });
    });
    assert!(ended, "a runtime that was dropped while a call joined the queue never ended");
}
