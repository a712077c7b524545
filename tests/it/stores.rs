//! Stores that outlive the engines which use them, as a file does.

use std::sync::Arc;

use tower_clerk::store::{
    DeviceStore, KnownDevice, MemoryDevices, MemorySessions, SessionStore, StoreFuture, StoredSession,
};

/// A store of devices that several engines use in turn, and a test can look into.
#[derive(Clone, Default)]
pub(crate) struct SharedDevices(Arc<MemoryDevices>);

impl DeviceStore for SharedDevices {
    fn get(&self, identifier: &str) -> Option<KnownDevice> {
        self.0.get(identifier)
    }

    fn put(&self, identifier: &str, device: KnownDevice) {
        self.0.put(identifier, device);
    }

    fn remove(&self, identifier: &str) {
        self.0.remove(identifier);
    }

    fn remove_user(&self, user_id: &str) {
        self.0.remove_user(user_id);
    }

    fn clear(&self) {
        self.0.clear();
    }
}

/// A store of sessions that several engines use in turn. It runs a function before each look.
#[derive(Clone)]
pub(crate) struct SharedSessions {
    kept: Arc<MemorySessions>,
    look: Arc<dyn Fn() + Send + Sync>,
}

impl SharedSessions {
    pub(crate) fn before_each_look(look: impl Fn() + Send + Sync + 'static) -> Self {
        Self { kept: Arc::default(), look: Arc::new(look) }
    }
}

impl Default for SharedSessions {
    fn default() -> Self {
        Self::before_each_look(|| ())
    }
}

impl SessionStore for SharedSessions {
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

/// A store that finds nothing and keeps nothing.
pub(crate) struct Nowhere;

impl SessionStore for Nowhere {
    fn get<'a>(&'a self, _: &'a str, _: Option<&'a str>) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async { None })
    }

    fn put(&self, _: StoredSession) -> StoreFuture<'_, ()> {
        Box::pin(async {})
    }

    fn remove<'a>(&'a self, _: &'a str, _: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async {})
    }

    fn take_user<'a>(&'a self, _: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        Box::pin(async { Vec::new() })
    }

    fn take_session<'a>(&'a self, _: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        Box::pin(async { None })
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        Box::pin(async { Vec::new() })
    }

    fn outlives_process(&self) -> bool {
        false
    }
}
