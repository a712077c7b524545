//! The known devices: the client token of an identifier's last good sign-in is sent with the next one, so that Clerk's
//! Device Trust recognizes the device (rule S10).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::client_token::{ClientSlot, ClientToken, Ended};
use crate::clock::ClerkTime;
use crate::sessions::{Session, SessionState};
use crate::store::{DEVICE_LIFE, DeviceRecords, If, KnownDevice};
use crate::sync::{lock, now_or_later};

/// Unused entries are removed when the register has grown to twice what the last removal left, plus this number. The
/// cost per new entry then stays constant, however many are in use.
const CLEAR_AT: usize = 1024;

/// The known devices of one engine.
pub(crate) struct Devices {
    store: Arc<DeviceRecords>,
    /// The devices in use in this process, by identifier. Two slots for one client would overwrite each other's
    /// rotations.
    in_use: Mutex<Register>,
    time: Arc<ClerkTime>,
}

#[derive(Default)]
struct Register {
    by_name: HashMap<Box<str>, InUse>,
    /// The clients whose rotations are stored, by identifier. Each lives as long as its client.
    followed: HashMap<Box<str>, Weak<Following>>,
    clear_at: usize,
}

impl Register {
    fn clear_unused(&mut self) {
        if self.by_name.len().max(self.followed.len()) >= self.clear_at {
            // The state of a removed entry is unknown, and is looked up on its next use.
            self.by_name.retain(|_, used| used.client.strong_count() > 0);
            self.followed.retain(|_, followed| followed.strong_count() > 0);
            self.clear_at = 2 * self.by_name.len().max(self.followed.len()) + CLEAR_AT;
        }
    }
}

/// A client whose token is stored again whenever Clerk rotates it, unless the device was forgotten or replaced
/// meanwhile.
struct Following {
    identifier: Box<str>,
    client: Weak<ClientSlot>,
    /// Locked while a write is handed to the store, so that each names the revision of the one before. A write whose
    /// predecessor was removed or replaced, also by another process, changes nothing.
    stored: Mutex<Stored>,
}

impl Following {
    /// Whether another process has written the device since: a sign-in has rotated its token, so that the one here is of
    /// no use any more.
    fn is_before(&self, revision: u64) -> bool {
        lock(&self.stored).revision.is_some_and(|known| known < revision)
    }
}

/// The record as this process has last seen or written it.
struct Stored {
    user_id: Arc<str>,
    session_id: Option<Box<str>>,
    /// That of the last write, which may still be under way. `None` if it has failed.
    revision: Option<u64>,
}

impl Stored {
    fn device(&self, client_token: Arc<ClientToken>, time: &ClerkTime) -> KnownDevice {
        let (user_id, session_id) = (self.user_id.clone(), self.session_id.clone());
        KnownDevice { user_id, client_token, session_id, seen_at: time.now() }
    }
}

struct InUse {
    client: Weak<ClientSlot>,
    ended: Ended,
    /// The last session that this process has opened on the client.
    session_id: Arc<str>,
    session: Weak<Session>,
}

impl InUse {
    fn new(session: &Arc<Session>) -> Self {
        Self {
            client: Arc::downgrade(&session.client),
            ended: session.client.ended(),
            session_id: Arc::clone(&session.id),
            session: Arc::downgrade(session),
        }
    }

    fn state(&self) -> DeviceState {
        match self.session.upgrade() {
            Some(session) if session.state() == SessionState::Live => DeviceState::InUse(session),
            // The session is gone at Clerk, and only a look-up can tell whether the client has another one.
            Some(session) if session.state() == SessionState::Gone => DeviceState::Unknown,
            _ if self.ended.is(&self.session_id) => DeviceState::Free,
            _ => DeviceState::Ending(Arc::clone(&self.session_id)),
        }
    }
}

/// The known device of an identifier.
pub(crate) struct Device {
    pub(crate) user_id: Arc<str>,
    pub(crate) client: Arc<ClientSlot>,
    pub(crate) state: DeviceState,
    /// The last session on it, where that is known.
    session_id: Option<Box<str>>,
}

/// The session that a client has at Clerk, as far as this process can tell.
pub(crate) enum DeviceState {
    /// A live session that this process uses.
    InUse(Arc<Session>),
    /// A session that is over in this process, and may not be over at Clerk yet.
    Ending(Arc<str>),
    /// No session: Clerk has ended the last one.
    Free,
    /// Only a look-up can tell: the device was used by another process, enrolled, or its session is gone.
    Unknown,
}

impl Devices {
    pub(crate) fn new(store: Arc<DeviceRecords>, time: Arc<ClerkTime>) -> Self {
        Self { store, in_use: Mutex::default(), time }
    }

    pub(crate) async fn get(self: &Arc<Self>, identifier: &str) -> Option<Device> {
        let (known, revision) = self.store.get(identifier).await?;
        let age = self.time.now().duration_since(known.seen_at).unwrap_or_default();
        // A machine that starts with a wrong clock must not forget its devices, so the age counts only by Clerk's time.
        // The device also stays in the store, since a date may turn out to be wrong, and only the user can enroll it
        // again.
        if age >= DEVICE_LIFE && self.time.is_told() {
            return None;
        }
        let user_id = known.user_id.clone();
        let in_use = lock(&self.in_use);
        let followed = in_use.followed.get(identifier).and_then(Weak::upgrade);
        let is_replaced = followed.is_some_and(|followed| followed.is_before(revision));
        let used = in_use.by_name.get(identifier).filter(|_| !is_replaced);
        let used = used.map(|used| (used.client.upgrade(), used.state()));
        drop(in_use);
        let (client, state) = used.unwrap_or((None, DeviceState::Unknown));
        let client = client.unwrap_or_else(|| {
            let client = Arc::new(ClientSlot::of(Arc::clone(&known.client_token)));
            let session_id = known.session_id.clone();
            self.follow(
                identifier,
                &client,
                Stored { user_id: known.user_id, session_id, revision: Some(revision) },
            );
            client
        });
        Some(Device { user_id, client, state, session_id: known.session_id })
    }

    /// The client of a session that another process has opened, if the session is the last one of a known device. Its
    /// token follows Clerk's rotations, which that of a login record can't.
    pub(crate) async fn client_of(
        self: &Arc<Self>,
        identifier: &str,
        session_id: &str,
    ) -> Option<Arc<ClientSlot>> {
        let device = self.get(identifier).await?;
        (device.session_id.as_deref() == Some(session_id)).then_some(device.client)
    }

    /// Registers a session that was adopted on the client of the identifier's known device.
    pub(crate) fn use_session(&self, identifier: &str, session: &Arc<Session>) {
        let mut in_use = lock(&self.in_use);
        in_use.clear_unused();
        in_use.by_name.insert(identifier.into(), InUse::new(session));
    }

    /// Stores the client of a session as the identifier's known device. A removal that follows comes after it.
    pub(crate) fn put(self: &Arc<Self>, identifier: &str, session: &Arc<Session>) {
        if session.client.current().is_none() {
            return;
        }
        let (user_id, session_id) = (Arc::<str>::from(&*session.user.id), Some(Box::from(&*session.id)));
        let stored = Stored { user_id: user_id.clone(), session_id: session_id.clone(), revision: None };
        let following = self.follow(identifier, &session.client, stored);
        self.use_session(identifier, session);
        let mut stored = lock(&following.stored);
        let Some(token) = session.client.current() else { return };
        (stored.user_id, stored.session_id) = (user_id, session_id);
        let written = self.write(&following, &mut stored, token, If::Any);
        drop(stored);
        now_or_later(written);
    }

    /// Hands a token of a device to the store. The revision is noted at once, because the next write must not wait for this
    /// one: the file may be locked.
    fn write(
        &self,
        following: &Arc<Following>,
        stored: &mut Stored,
        token: Arc<ClientToken>,
        condition: If,
    ) -> impl Future<Output = ()> + Send + use<> {
        let device = stored.device(token, &self.time);
        let (revision, written) = self.store.put(&following.identifier, &device, condition);
        stored.revision = Some(revision);
        let following = Arc::clone(following);
        async move {
            if written.await.is_err() {
                let mut stored = lock(&following.stored);
                stored.revision = stored.revision.filter(|last| *last != revision);
            }
        }
    }

    /// Stores a client that was enrolled by hand. Returns whether it is stored.
    pub(crate) async fn enroll(&self, identifier: &str, user_id: &str, client: &ClientSlot) -> bool {
        let Some(client_token) = client.current() else { return false };
        // The sessions of the former device go on without it.
        self.disuse(identifier);
        let seen_at = self.time.now();
        let device = KnownDevice { user_id: user_id.into(), client_token, session_id: None, seen_at };
        self.store.put(identifier, &device, If::Any).1.await.is_ok()
    }

    pub(crate) fn forget(&self, identifier: &str) {
        self.disuse(identifier);
        drop(self.store.delete(identifier, If::Any));
    }

    fn disuse(&self, identifier: &str) {
        let mut in_use = lock(&self.in_use);
        in_use.by_name.remove(identifier);
        in_use.followed.remove(identifier);
    }

    /// Stores each rotation of the client's token from now on, if it isn't done already.
    fn follow(
        self: &Arc<Self>,
        identifier: &str,
        client: &Arc<ClientSlot>,
        stored: Stored,
    ) -> Arc<Following> {
        let mut in_use = lock(&self.in_use);
        let followed = in_use.followed.get(identifier).and_then(Weak::upgrade);
        if let Some(followed) = followed.filter(|it| std::ptr::eq(it.client.as_ptr(), &**client)) {
            return followed;
        }
        in_use.clear_unused();
        let following = Arc::new(Following {
            identifier: identifier.into(),
            client: Arc::downgrade(client),
            stored: Mutex::new(stored),
        });
        in_use.followed.insert(identifier.into(), Arc::downgrade(&following));
        drop(in_use);
        let (devices, follower) = (Arc::downgrade(self), Arc::clone(&following));
        client.keep(move || {
            if let Some(devices) = devices.upgrade() {
                // Not here: the slot is locked.
                now_or_later(devices.rotated(Arc::clone(&follower)));
            }
        });
        following
    }

    /// Stores the present token of a client, unless its device was forgotten or replaced meanwhile.
    async fn rotated(self: Arc<Self>, following: Arc<Following>) {
        // Yields once, since the caller holds the lock of the slot.
        tokio::task::yield_now().await;
        let written = {
            let mut stored = lock(&following.stored);
            let (Some(client), Some(revision)) = (following.client.upgrade(), stored.revision) else {
                return;
            };
            let Some(token) = client.current() else {
                stored.revision = None;
                drop(self.store.delete(&following.identifier, If::Revision(revision)));
                return;
            };
            self.write(&following, &mut stored, token, If::Revision(revision))
        };
        written.await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::store::EngineState;

    #[tokio::test(start_paused = true)]
    async fn s10_a_rotated_token_is_kept_unless_its_device_was_forgotten() {
        let (state, clock) = (EngineState::in_memory("https://clerk.example.com"), Clock::system());
        let store = &state.devices;
        let devices = Arc::new(Devices::new(Arc::clone(store), Arc::new(ClerkTime::new(clock))));
        let put = async |token: &str| {
            let client_token = Arc::new(ClientToken::new(token));
            let (user_id, seen_at) = (Arc::from("user_1"), clock.wall());
            let device = KnownDevice { user_id, client_token, session_id: None, seen_at };
            store.put("ada", &device, If::Any).1.await.unwrap();
        };
        let stored = async || {
            // The write is in a task of its own.
            tokio::time::sleep(Duration::from_millis(1)).await;
            store.get("ada").await.map(|(device, _)| device.client_token.expose().to_owned())
        };
        put("first").await;
        let client = devices.get("ada").await.unwrap().client;
        for (from, to) in [("first", "second"), ("second", "third")] {
            let held = client.current().unwrap();
            assert_eq!(held.expose(), from);
            client.rotate(&held, to);
            assert_eq!(stored().await.as_deref(), Some(to));
        }
        // A sign-in of another process, or an enrollment, has replaced the device.
        put("enrolled").await;
        client.rotate(&client.current().unwrap(), "fourth");
        assert_eq!(stored().await.as_deref(), Some("enrolled"));

        devices.forget("ada");
        client.rotate(&client.current().unwrap(), "fifth");
        assert_eq!(stored().await, None);
    }
}
