//! Devices that Clerk knows: the client tokens of users' last good sign-ins, sent with the next ones, so that Clerk's
//! Device Trust sees a device that it has let in before (rule S10).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::client_token::{ClientSlot, ClientToken, Ended};
use crate::clock::ClerkTime;
use crate::sessions::{Session, SessionState};
use crate::store::{DEVICE_LIFE, DeviceStore, KnownDevice};
use crate::sync::lock;

/// The register is cleared of what has gone when it has grown by this, and to twice of what was left before: in
/// proportion to what comes in, however much is in use.
const CLEAR_AT: usize = 1024;

/// The known devices of one engine.
pub(crate) struct Devices {
    store: Arc<dyn DeviceStore>,
    /// What this process has of them in use, by identifier. Two slots for one client would overwrite each other's
    /// rotations.
    in_use: Mutex<Register>,
    /// A look at the store and the change that follows from it are one: a rotation must not bring back what was
    /// forgotten meanwhile. Taken after the lock of a slot, never before it.
    changing: Mutex<()>,
    time: Arc<ClerkTime>,
}

#[derive(Default)]
struct Register {
    by_name: HashMap<Box<str>, InUse>,
    clear_at: usize,
}

struct InUse {
    client: Weak<ClientSlot>,
    ended: Ended,
    /// The last session that was opened on it here.
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
            // Clerk says that it is over. A look will tell.
            Some(session) if session.state() == SessionState::Gone => DeviceState::Unknown,
            _ if self.ended.is(&self.session_id) => DeviceState::Free,
            _ => DeviceState::Leaving(Arc::clone(&self.session_id)),
        }
    }
}

/// A client that Clerk knows for this identifier.
pub(crate) struct Device {
    pub(crate) user_id: Box<str>,
    pub(crate) client: Arc<ClientSlot>,
    pub(crate) state: DeviceState,
}

/// What hangs on a client, as far as this process knows.
pub(crate) enum DeviceState {
    /// A session of ours, live as far as is known.
    InUse(Arc<Session>),
    /// This session of ours is over here, and maybe not at Clerk.
    Leaving(Arc<str>),
    /// Nothing: a session of ours was ended.
    Free,
    /// Nobody here knows: another process used it before.
    Unknown,
}

impl Devices {
    pub(crate) fn new(store: Arc<dyn DeviceStore>, time: Arc<ClerkTime>) -> Self {
        Self { store, in_use: Mutex::default(), changing: Mutex::default(), time }
    }

    pub(crate) fn get(self: &Arc<Self>, identifier: &str) -> Option<Device> {
        let known = self.store.get(identifier)?;
        let age = self.time.now().duration_since(known.seen_at()).unwrap_or_default();
        // A machine whose clock is wrong when it starts must not forget all of its devices.
        // Nor is it taken out of the store: a date may turn out to be wrong, and an enrolment takes the user.
        if age >= DEVICE_LIFE && self.time.is_told() {
            return None;
        }
        let user_id = known.user_id().into();
        let in_use = lock(&self.in_use);
        let used = in_use.by_name.get(identifier).map(|used| (used.client.upgrade(), used.state()));
        drop(in_use);
        let (client, state) = used.unwrap_or((None, DeviceState::Unknown));
        let client = client.unwrap_or_else(|| self.slot(identifier, known.shared_token()));
        Some(Device { user_id, client, state })
    }

    /// Remembers the client of a session that a good sign-in has brought.
    pub(crate) fn put(self: &Arc<Self>, identifier: &str, session: &Arc<Session>) {
        let Some(token) = session.client.current() else { return };
        self.keep(identifier, &session.client);
        let mut in_use = lock(&self.in_use);
        if in_use.by_name.len() >= in_use.clear_at {
            // What is forgotten here is looked at anew when it is used next.
            in_use.by_name.retain(|_, used| used.client.strong_count() > 0);
            in_use.clear_at = 2 * in_use.by_name.len() + CLEAR_AT;
        }
        in_use.by_name.insert(identifier.into(), InUse::new(session));
        drop(in_use);
        let mut token = token;
        loop {
            let device = KnownDevice::of(&session.user.id, Arc::clone(&token), self.time.now());
            {
                let _changing = lock(&self.changing);
                self.store.put(identifier, device);
            }
            // It may have been rotated between the look and the change, and then nobody has kept the newer one.
            match session.client.current() {
                Some(current) if Arc::ptr_eq(&current, &token) => return,
                Some(current) => token = current,
                None => return,
            }
        }
    }

    /// Remembers a client that somebody has made known to Clerk by hand.
    pub(crate) fn enroll(&self, identifier: &str, user_id: &str, client: &ClientSlot) {
        if let Some(token) = client.current() {
            // What was in use goes on without being the device.
            lock(&self.in_use).by_name.remove(identifier);
            let _changing = lock(&self.changing);
            self.store.put(identifier, KnownDevice::of(user_id, token, self.time.now()));
        }
    }

    /// Clerk doesn't know this client any more, or it is another's.
    pub(crate) fn forget(&self, identifier: &str) {
        lock(&self.in_use).by_name.remove(identifier);
        let _changing = lock(&self.changing);
        self.store.remove(identifier);
    }

    pub(crate) fn forget_user(&self, user_id: &str) {
        let _changing = lock(&self.changing);
        self.store.remove_user(user_id);
    }

    pub(crate) fn forget_all(&self) {
        let _changing = lock(&self.changing);
        self.store.clear();
    }

    fn slot(self: &Arc<Self>, identifier: &str, token: Arc<ClientToken>) -> Arc<ClientSlot> {
        let client = Arc::new(ClientSlot::of(token));
        self.keep(identifier, &client);
        client
    }

    /// Has a rotation of the client's token kept, unless the device was forgotten or replaced meanwhile.
    fn keep(self: &Arc<Self>, identifier: &str, client: &ClientSlot) {
        let (devices, identifier): (_, Box<str>) = (Arc::downgrade(self), identifier.into());
        client.keep(move |before, after| {
            let Some(devices) = devices.upgrade() else { return };
            let _changing = lock(&devices.changing);
            let Some(known) = devices.store.get(&identifier) else { return };
            if known.client_token() != before.expose() {
                return;
            }
            match after {
                Some(token) => {
                    let device = KnownDevice::of(known.user_id(), Arc::clone(token), devices.time.now());
                    devices.store.put(&identifier, device);
                }
                None => devices.store.remove(&identifier),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::MemoryDevices;

    #[test]
    fn s10_a_rotated_token_is_kept_unless_its_device_was_forgotten() {
        let (store, clock) = (Arc::new(MemoryDevices::default()), Clock::system());
        let devices = Arc::new(Devices::new(store.clone(), Arc::new(ClerkTime::new(clock))));
        store.put("ada", KnownDevice::new("user_1", "first", clock.wall()));
        let client = devices.get("ada").unwrap().client;
        let kept = || store.get("ada").map(|device| device.client_token().to_owned());

        let first = client.current().unwrap();
        client.rotate(&first, "second");
        assert_eq!(kept().as_deref(), Some("second"));

        // Another process' sign-in, or an enrolment, has taken its place.
        store.put("ada", KnownDevice::new("user_1", "enrolled", clock.wall()));
        let second = client.current().unwrap();
        client.rotate(&second, "third");
        assert_eq!(kept().as_deref(), Some("enrolled"));

        devices.forget("ada");
        let third = client.current().unwrap();
        client.rotate(&third, "fourth");
        assert_eq!(kept(), None);
    }
}
