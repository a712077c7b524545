//! The devices that Clerk knows users by (rule S10).

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::table::{Item, Table};
use super::{MAX_TEXT, from_millis, millis};
use crate::client_token::ClientToken;
use crate::sync::lock;

/// Known devices at most, where nothing else is said.
pub(super) const DEFAULT_LIMIT: usize = 10_000;

/// Keeps the devices that Clerk knows users by.
///
/// A client token that Clerk gave at a user's last good sign-in makes the next one come from a known device. Without
/// it an instance with Device Trust asks for an e-mailed code, and others mail the user about a new device. It is no
/// proof of anything: each sign-in still takes the password.
///
/// Synchronous, because a client token belongs to one process: what is shared between processes, or lives far away, can
/// be no such store. Calls come from the middle of a sign-in, so they return at once. [`MemoryDevices`] is the default,
/// [`DeviceFile`](crate::store::DeviceFile) outlives a restart.
///
/// # What an implementation must keep to
///
/// Client tokens are secrets: nothing shows them, and their copies are wiped. A store has a bound, because there are as
/// many identifiers as people care to have. It doesn't judge a device's age: the engine does.
pub trait DeviceStore: Send + Sync + 'static {
    /// The device last known by this identifier, which comes trimmed and in lower case.
    fn get(&self, identifier: &str) -> Option<KnownDevice>;

    /// Keeps a device, in the place of the one that was known by this identifier.
    fn put(&self, identifier: &str, device: KnownDevice);

    /// Forgets the device known by this identifier.
    fn remove(&self, identifier: &str);

    /// Forgets all devices of a user, whatever identifiers they are known by.
    fn remove_user(&self, user_id: &str);

    /// Forgets everything.
    fn clear(&self);
}

// The trait must stay usable as `Arc<dyn DeviceStore>`.
fn _object_safe(_: &dyn DeviceStore) {}

/// A device that Clerk knows a user by: the client token of the user's last good sign-in.
///
/// Clones share the token, which is wiped with the last of them. Times are kept to the millisecond.
///
/// ```
/// use std::time::SystemTime;
/// use tower_clerk::store::KnownDevice;
///
/// let device = KnownDevice::new("user_1", "a secret", SystemTime::now());
/// assert_eq!(device.client_token(), "a secret");
/// assert!(!format!("{device:?}").contains("a secret"));
/// ```
#[derive(Clone)]
pub struct KnownDevice {
    user_id: Arc<str>,
    /// Shared with whoever uses it: there is one copy of the secret in memory.
    client_token: Arc<ClientToken>,
    seen_at: u64,
}

impl KnownDevice {
    /// A device, as a store puts it together again from what it has kept.
    #[must_use]
    pub fn new(user_id: &str, client_token: &str, seen_at: SystemTime) -> Self {
        Self::of(user_id, Arc::new(ClientToken::new(client_token)), seen_at)
    }

    pub(crate) fn of(user_id: &str, client_token: Arc<ClientToken>, seen_at: SystemTime) -> Self {
        Self { user_id: user_id.into(), client_token, seen_at: millis(seen_at) }
    }

    pub(crate) fn shared_token(&self) -> Arc<ClientToken> {
        Arc::clone(&self.client_token)
    }

    /// The id of the user who signed in from it.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The secret that Clerk knows it by.
    #[must_use]
    pub fn client_token(&self) -> &str {
        self.client_token.expose()
    }

    /// When the last good sign-in from it was.
    #[must_use]
    pub fn seen_at(&self) -> SystemTime {
        from_millis(self.seen_at)
    }
}

impl fmt::Debug for KnownDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownDevice")
            .field("user_id", &self.user_id)
            .field("seen_at", &self.seen_at())
            .finish_non_exhaustive()
    }
}

/// Devices in memory, gone with the process.
///
/// Bounded: the ones that were put longest ago make room.
///
/// ```
/// use std::time::SystemTime;
/// use tower_clerk::store::{DeviceStore, KnownDevice, MemoryDevices};
///
/// let devices = MemoryDevices::default();
/// devices.put("ada@example.com", KnownDevice::new("user_1", "a secret", SystemTime::now()));
/// assert!(devices.get("ada@example.com").is_some());
/// devices.remove_user("user_1");
/// assert!(devices.get("ada@example.com").is_none());
/// ```
pub struct MemoryDevices(Mutex<Devices>);

impl MemoryDevices {
    /// Keeps at most so many devices; the default is 10,000.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self(Mutex::new(Devices::new(limit)))
    }
}

impl Default for MemoryDevices {
    fn default() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }
}

impl fmt::Debug for MemoryDevices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = lock(&self.0).0.len();
        f.debug_struct("MemoryDevices").field("known", &known).finish_non_exhaustive()
    }
}

impl DeviceStore for MemoryDevices {
    fn get(&self, identifier: &str) -> Option<KnownDevice> {
        lock(&self.0).get(identifier)
    }

    fn put(&self, identifier: &str, device: KnownDevice) {
        lock(&self.0).put(identifier, device);
    }

    fn remove(&self, identifier: &str) {
        lock(&self.0).remove(identifier);
    }

    fn remove_user(&self, user_id: &str) {
        lock(&self.0).remove_user(user_id);
    }

    fn clear(&self) {
        lock(&self.0).clear();
    }
}

/// What both stores do. Whatever may change nothing says whether it did.
pub(super) struct Devices(pub(super) Table<Device>);

pub(super) struct Device {
    pub(super) identifier: Box<str>,
    pub(super) known: KnownDevice,
}

impl Devices {
    pub(super) fn new(limit: usize) -> Self {
        Self(Table::new(limit))
    }

    /// One that is too large is not kept, and what it would have replaced is of no use any more either.
    pub(super) fn fits(identifier: &str, device: &KnownDevice) -> bool {
        identifier.len() + device.user_id().len() + device.client_token().len() <= MAX_TEXT
    }

    pub(super) fn get(&self, identifier: &str) -> Option<KnownDevice> {
        Some(self.0.get(self.0.named(identifier)?)?.known.clone())
    }

    pub(super) fn put(&mut self, identifier: &str, known: KnownDevice) {
        if Self::fits(identifier, &known) {
            self.0.insert(Device { identifier: identifier.into(), known });
        } else {
            self.remove(identifier);
        }
    }

    pub(super) fn remove(&mut self, identifier: &str) -> bool {
        self.0.named(identifier).is_some_and(|at| self.0.take(at).is_some())
    }

    pub(super) fn remove_user(&mut self, user_id: &str) -> bool {
        !self.0.take_user(user_id).is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.take_all();
    }

    /// Forgets what was last seen before this.
    pub(super) fn expire(&mut self, before: SystemTime) {
        let before = millis(before);
        self.0.retain(|device| device.known.seen_at >= before);
    }
}

impl Item for Device {
    fn name(&self) -> &str {
        &self.identifier
    }

    fn user(&self) -> &str {
        self.known.user_id()
    }

    fn place(&self) -> Option<&str> {
        None
    }

    fn rank(&self) -> u64 {
        0
    }
}
