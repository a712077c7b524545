//! What the tests of this room share.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use super::{KnownDevice, StoreFuture, StoredSession};

/// A directory of a test's own, gone with it.
pub(super) struct Dir(PathBuf);

impl Dir {
    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tower-clerk-kept-{}-{count}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What these futures answer, none of which waits for anything.
pub(super) fn ready<T>(mut future: StoreFuture<'_, T>) -> T {
    match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits for something"),
    }
}

pub(super) fn device(user: &str, token: &str) -> KnownDevice {
    KnownDevice::new(user, token, SystemTime::now())
}

/// A session that ends in so many hours.
pub(super) fn session(user: &str, organization: Option<&str>, id: &str, hours: u64) -> StoredSession {
    StoredSession::new(user, organization, id, SystemTime::now() + Duration::from_secs(hours * 3600))
}

pub(super) fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
