//! The known devices: the client token of an identifier's last good sign-in is sent with the next one, so that Clerk's
//! Device Trust recognizes the device (rule S10).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::client_token::{ClientSlot, ClientToken, Ended};
use crate::clock::ClerkTime;
use crate::sessions::{Session, SessionState};
use crate::store::{DEVICE_LIFE, DeviceStore, KnownDevice};
use crate::sync::lock;

/// Unused entries are removed when the register has grown to twice what the last removal left, plus this number. The
/// cost per new entry then stays constant, however many are in use.
const CLEAR_AT: usize = 1024;

/// The known devices of one engine.
pub(crate) struct Devices {
    store: Arc<dyn DeviceStore>,
    /// The devices in use in this process, by identifier. Two slots for one client would overwrite each other's
    /// rotations.
    in_use: Mutex<Register>,
    /// Held across a read of the store and the write that depends on it, so that a rotation does not bring a forgotten
    /// device back. Lock order: a slot's lock first, then this one.
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
    pub(crate) user_id: Box<str>,
    pub(crate) client: Arc<ClientSlot>,
    pub(crate) state: DeviceState,
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
    pub(crate) fn new(store: Arc<dyn DeviceStore>, time: Arc<ClerkTime>) -> Self {
        Self { store, in_use: Mutex::default(), changing: Mutex::default(), time }
    }

    pub(crate) fn get(self: &Arc<Self>, identifier: &str) -> Option<Device> {
        let known = self.store.get(identifier)?;
        let age = self.time.now().duration_since(known.seen_at()).unwrap_or_default();
        // A machine that starts with a wrong clock must not forget its devices, so the age counts only by Clerk's time.
        // The device also stays in the store, since a date may turn out to be wrong, and only the user can enroll it
        // again.
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

    /// Stores the client of a session as the identifier's known device.
    pub(crate) fn put(self: &Arc<Self>, identifier: &str, session: &Arc<Session>) {
        let Some(token) = session.client.current() else { return };
        self.follow_rotations(identifier, &session.client);
        let mut in_use = lock(&self.in_use);
        if in_use.by_name.len() >= in_use.clear_at {
            // The state of a removed entry is unknown, and is looked up on its next use.
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
            // A rotation between the read and the write finds the old device in the store, and does not store its
            // token.
            match session.client.current() {
                Some(current) if Arc::ptr_eq(&current, &token) => return,
                Some(current) => token = current,
                None => return,
            }
        }
    }

    /// Stores a client that was enrolled by hand.
    pub(crate) fn enroll(&self, identifier: &str, user_id: &str, client: &ClientSlot) {
        if let Some(token) = client.current() {
            // The sessions of the former device go on without it.
            lock(&self.in_use).by_name.remove(identifier);
            let _changing = lock(&self.changing);
            self.store.put(identifier, KnownDevice::of(user_id, token, self.time.now()));
        }
    }

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
        self.follow_rotations(identifier, &client);
        client
    }

    /// Stores each rotation of the client's token, unless the device was forgotten or replaced meanwhile.
    fn follow_rotations(self: &Arc<Self>, identifier: &str, client: &ClientSlot) {
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
        let stored = || store.get("ada").map(|device| device.client_token().to_owned());

        let first = client.current().unwrap();
        client.rotate(&first, "second");
        assert_eq!(stored().as_deref(), Some("second"));

        // A sign-in of another process, or an enrollment, has replaced the device.
        store.put("ada", KnownDevice::new("user_1", "enrolled", clock.wall()));
        let second = client.current().unwrap();
        client.rotate(&second, "third");
        assert_eq!(stored().as_deref(), Some("enrolled"));

        devices.forget("ada");
        let third = client.current().unwrap();
        client.rotate(&third, "fourth");
        assert_eq!(stored(), None);
    }
}
