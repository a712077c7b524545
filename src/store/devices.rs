//! The stored devices that Clerk knows users by.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::table::{Item, Table};
use super::{MAX_TEXT, from_millis, millis};
use crate::client_token::ClientToken;
use crate::sync::lock;

pub(super) const DEFAULT_LIMIT: usize = 10_000;

/// Stores the devices that Clerk knows users by.
///
/// With the client token of a user's last successful sign-in, the next sign-in comes from a known device. Without it,
/// an instance with [Device Trust] asks for a code or link sent by email or SMS, and other instances send the user an
/// email about a new device. The token doesn't replace the password: each sign-in still needs that.
///
/// The methods are synchronous, because a client token belongs to one process: a store can't be shared between
/// processes or live on another machine. They are called during a sign-in, so they must not block.
///
/// [`MemoryDevices`] is the default; [`DeviceFile`](crate::store::DeviceFile) outlives a restart. Set the store with
/// [`device_store`](crate::ClerkBuilder::device_store).
///
/// # Requirements for implementations
///
/// - Client tokens are secrets: a store must not log or print them, and must wipe its copies.
/// - A store must have a size limit, because users can have any number of identifiers.
/// - A store returns devices of any age: the engine decides whether a device is too old.
///
/// [Device Trust]: https://clerk.com/docs/guides/protect/device-trust
pub trait DeviceStore: Send + Sync + 'static {
    /// Returns the device last stored for this identifier, which is trimmed and in lower case.
    fn get(&self, identifier: &str) -> Option<KnownDevice>;

    /// Stores a device, replacing the one of this identifier.
    fn put(&self, identifier: &str, device: KnownDevice);

    /// Removes the device of this identifier.
    fn remove(&self, identifier: &str);

    /// Removes all devices of a user, under all identifiers.
    fn remove_user(&self, user_id: &str);

    /// Removes all devices.
    fn clear(&self);
}

// The trait must stay usable as `Arc<dyn DeviceStore>`.
fn _object_safe(_: &dyn DeviceStore) {}

/// A device that Clerk knows a user by: the client token of the user's last successful sign-in.
///
/// Clones share the token, which is wiped when the last clone is dropped. Times are truncated to the millisecond.
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
    /// Shared, so that there is one copy of the secret in memory.
    client_token: Arc<ClientToken>,
    seen_at: u64,
}

impl KnownDevice {
    /// Creates a device from stored values.
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

    /// The id of the user who signed in from the device.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The secret that Clerk knows the device by.
    #[must_use]
    pub fn client_token(&self) -> &str {
        self.client_token.expose()
    }

    /// When the last successful sign-in from the device was.
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

/// A [`DeviceStore`] in memory.
///
/// It holds 10,000 devices by default. When it is full, the devices that were stored longest ago are removed.
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
    /// Creates a store with room for this many devices instead of 10,000.
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

/// The common part of both stores. A method that may change nothing returns whether it did.
pub(super) struct Devices(pub(super) Table<Device>);

pub(super) struct Device {
    pub(super) identifier: Box<str>,
    pub(super) known: KnownDevice,
}

impl Devices {
    pub(super) fn new(limit: usize) -> Self {
        Self(Table::new(limit))
    }

    /// Whether the text of a device is short enough to store. If not, the device that it would have replaced is
    /// removed, too.
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

    /// Removes the devices that were last seen before `before`.
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
