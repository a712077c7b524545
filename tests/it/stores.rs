//! Stores that outlive the engines that use them, as files do.

use std::sync::Arc;

use tower_clerk::store::{
    DeviceStore, KnownDevice, MemoryDevices, MemorySessions, SessionStore, StoreFuture, StoredSession,
};

/// A device store that several engines share and a test can inspect.
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

/// A session store that several engines share. It calls a function before each `get`.
#[derive(Clone)]
pub(crate) struct SharedSessions {
    sessions: Arc<MemorySessions>,
    before_get: Arc<dyn Fn() + Send + Sync>,
}

impl SharedSessions {
    pub(crate) fn before_each_get(before_get: impl Fn() + Send + Sync + 'static) -> Self {
        Self { sessions: Arc::default(), before_get: Arc::new(before_get) }
    }
}

impl Default for SharedSessions {
    fn default() -> Self {
        Self::before_each_get(|| ())
    }
}

impl SessionStore for SharedSessions {
    fn get<'a>(
        &'a self,
        user_id: &'a str,
        organization: Option<&'a str>,
    ) -> StoreFuture<'a, Option<StoredSession>> {
        (self.before_get)();
        self.sessions.get(user_id, organization)
    }

    fn put(&self, session: StoredSession) -> StoreFuture<'_, ()> {
        self.sessions.put(session)
    }

    fn remove<'a>(&'a self, user_id: &'a str, session_id: &'a str) -> StoreFuture<'a, ()> {
        self.sessions.remove(user_id, session_id)
    }

    fn take_user<'a>(&'a self, user_id: &'a str) -> StoreFuture<'a, Vec<StoredSession>> {
        self.sessions.take_user(user_id)
    }

    fn take_session<'a>(&'a self, session_id: &'a str) -> StoreFuture<'a, Option<StoredSession>> {
        self.sessions.take_session(session_id)
    }

    fn take_all(&self) -> StoreFuture<'_, Vec<StoredSession>> {
        self.sessions.take_all()
    }
}

/// A store that stores nothing.
pub(crate) struct EmptyStore;

impl SessionStore for EmptyStore {
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
