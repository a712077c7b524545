//! Known defects, one test for each way to see them.
//!
//! Each test asserts what is right, so each fails today, and is marked as expected to. The text of `expected` belongs to
//! the one assertion that shows the defect: a test that panics elsewhere fails, and so does one whose defect is mended
//! while its mark is still there. Such a test moves to its subject's folder without the mark.

mod index;
mod known_devices;
mod passwords;
mod runtimes;
mod template_tokens;
mod waits;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use crate::common::{Pair, World, settle};
use tower_clerk::{Credentials, MemorySessions, SessionStore, StoreFuture, StoredSession};

/// A user whom Clerk lets in from known devices alone.
const NEWDEVICE: Pair = ("newdevice@example.com", "trust me on a device");

/// The same credential spelled in another way: Clerk takes it for the same user, the engine for another credential.
const NEWDEVICE_RESPELLED: Pair = ("NewDevice@example.com", "trust me on a device");

/// Makes the engine's device known to Clerk as that of [`NEWDEVICE`].
async fn enroll(world: &World) {
    let credentials = Credentials::new(NEWDEVICE.0, NEWDEVICE.1).unwrap();
    let mut enrollment = world.clerk.enroll(&credentials).await.unwrap();
    let factor = enrollment.factors()[0].clone();
    enrollment.send_code(&factor).await.unwrap();
    let sent = world.fake.last_code(NEWDEVICE.0).unwrap();
    enrollment.confirm(&factor, &sent).await.unwrap();
    assert!(enrollment.is_done(), "the device is enrolled");
    // Clerk's budget of sign-ins is as it was before.
    tokio::time::sleep(Duration::from_secs(30)).await;
    settle().await;
}

/// A session store that outlives the engines which use it, and runs a function before each look.
#[derive(Clone)]
struct Store {
    kept: Arc<MemorySessions>,
    look: Arc<dyn Fn() + Send + Sync>,
}

impl Store {
    fn new(look: impl Fn() + Send + Sync + 'static) -> Self {
        Self { kept: Arc::default(), look: Arc::new(look) }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new(|| ())
    }
}

impl SessionStore for Store {
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>> {
        (self.look)();
        self.kept.get(user_id, organization)
    }

    fn put(&self, session: StoredSession) -> StoreFuture<'_, ()> {
        self.kept.put(session)
    }

    fn remove<'a>(&'a self, user_id: &'a str, session_id: &'a str) -> StoreFuture<'a, ()> {
        self.kept.remove(user_id, session_id)
    }

    fn take_user<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        self.kept.take_user(user_id)
    }

    fn take_session<'a>(&'a self, session_id: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        self.kept.take_session(session_id)
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        self.kept.take_all()
    }
}
