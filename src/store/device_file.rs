//! A device store in a file.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::devices::{DEFAULT_LIMIT, Devices};
use super::journal::{Inbox, Out, Persistent, State};
use super::{CLOCK_MARGIN, DEVICE_LIFE, DeviceStore, KnownDevice, StoreError, from_millis, millis};

/// A [`DeviceStore`] in a file, so that a restarted process is still the device that Clerk knows.
///
/// Use it if the instance has Device Trust, or sends its users emails about new devices. The file must be on a local
/// disk, in a directory that the process can write to. It holds client tokens, which are secrets: only its owner can
/// read it, and one process locks it, since a client token belongs to one process. A removed device may stay in the
/// file until the file is rewritten.
///
/// The limit is the same as that of [`MemoryDevices`](crate::store::MemoryDevices). Devices without a sign-in for 395
/// days are dropped when the file is opened; the engine itself uses a device for 30 days. If the file can't be written,
/// an error is logged once a minute, and the store continues in memory. Devices that another process hands in with a
/// [`DeviceInbox`](crate::store::DeviceInbox) are added when the file is opened, and when a look-up finds no device.
///
/// ```no_run
/// use tower_clerk::store::DeviceFile;
///
/// let devices = DeviceFile::open("/var/lib/my-server/devices")?;
/// # Ok::<_, tower_clerk::store::StoreError>(())
/// ```
pub struct DeviceFile {
    file: Persistent<Devices>,
    inbox: Inbox,
}

impl DeviceFile {
    /// Opens or creates the file, and locks it for this process until the store is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if another process or store holds the file, if the path or its content is not such a file, or
    /// if the operating system refuses access: see [`StoreErrorKind`].
    ///
    /// [`StoreErrorKind`]: crate::store::StoreErrorKind
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with_limit(path, DEFAULT_LIMIT)
    }

    /// Like [`open`](Self::open), with room for this many devices instead of 10,000.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`open`](Self::open).
    pub fn open_with_limit(path: impl AsRef<Path>, limit: usize) -> Result<Self, StoreError> {
        let file = Persistent::open(path.as_ref(), Devices::new(limit))?;
        let devices = Self { inbox: file.inbox()?, file };
        devices.collect_handed_in();
        Ok(devices)
    }

    /// Adds the devices that another process has handed in.
    fn collect_handed_in(&self) {
        self.inbox.collect(Devices::FORMAT, |line| self.accept(line));
    }

    /// Adds the device of a line, unless a newer one is stored. Returns whether the line holds a device.
    fn accept(&self, line: &[u8]) -> bool {
        let Ok(Line::Put { identifier, user, token, seen }) = serde_json::from_slice(line) else {
            return false;
        };
        let Some(token) = decode(token) else { return false };
        let device = KnownDevice::new(&user, &token, from_millis(seen));
        if !Devices::fits(&identifier, &device) {
            return false;
        }
        if self.known(&identifier).is_none_or(|known| known.seen_at() < device.seen_at()) {
            self.put(&identifier, device);
        }
        true
    }

    fn known(&self, identifier: &str) -> Option<KnownDevice> {
        self.file.read(|devices| devices.get(identifier))
    }
}

#[cfg(test)]
impl DeviceFile {
    pub(super) fn compact(&self) {
        self.file.compact();
    }

    /// Makes the next miss look for handed in devices without a delay.
    #[cfg(unix)]
    pub(super) fn forget_look(&self) {
        self.inbox.forget_look();
    }

    pub(super) fn swap_file(&self, file: std::fs::File) {
        self.file.swap_file(file);
    }
}

impl fmt::Debug for DeviceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.file.read(State::len);
        f.debug_struct("DeviceFile").field("known", &known).finish_non_exhaustive()
    }
}

impl DeviceStore for DeviceFile {
    fn get(&self, identifier: &str) -> Option<KnownDevice> {
        self.known(identifier).or_else(|| {
            self.inbox.collect_if_due(Devices::FORMAT, |line| self.accept(line));
            self.known(identifier)
        })
    }

    fn put(&self, identifier: &str, device: KnownDevice) {
        if !Devices::fits(identifier, &device) {
            return self.remove(identifier);
        }
        let token = encode(device.client_token());
        let line = Line::put(identifier, &device, &token);
        self.file.change(&line, |devices| {
            devices.put(identifier, device.clone());
            Some(())
        });
    }

    fn remove(&self, identifier: &str) {
        let line = Line::Remove { identifier: identifier.into() };
        self.file.change(&line, |devices| devices.remove(identifier).then_some(()));
    }

    fn remove_user(&self, user_id: &str) {
        // Otherwise a device that was handed in before this would be added after it.
        self.collect_handed_in();
        let line = Line::RemoveUser { user: user_id.into() };
        self.file.change(&line, |devices| devices.remove_user(user_id).then_some(()));
    }

    fn clear(&self) {
        self.collect_handed_in();
        self.file.clear(Devices::clear);
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Put {
        #[serde(borrow)]
        identifier: Cow<'a, str>,
        #[serde(borrow)]
        user: Cow<'a, str>,
        /// In base64, which has no JSON escapes: serde_json reads strings with escapes through a buffer that isn't
        /// wiped.
        token: &'a str,
        seen: u64,
    },
    Remove {
        #[serde(borrow)]
        identifier: Cow<'a, str>,
    },
    RemoveUser {
        #[serde(borrow)]
        user: Cow<'a, str>,
    },
}

impl<'a> Line<'a> {
    pub(super) fn put(identifier: &'a str, device: &'a KnownDevice, token: &'a str) -> Self {
        let (user, seen) = (device.user_id().into(), millis(device.seen_at()));
        Self::Put { identifier: identifier.into(), user, token, seen }
    }
}

impl State for Devices {
    const FORMAT: &'static str = "tower-clerk devices";

    fn replay(&mut self, line: &[u8]) -> bool {
        match serde_json::from_slice(line) {
            Ok(Line::Put { identifier, user, token, seen }) => {
                let Some(token) = decode(token) else { return false };
                self.put(&identifier, KnownDevice::new(&user, &token, from_millis(seen)));
            }
            Ok(Line::Remove { identifier }) => _ = self.remove(&identifier),
            Ok(Line::RemoveUser { user }) => _ = self.remove_user(&user),
            // Don't log the error: it may quote the secret.
            Err(_) => return false,
        }
        true
    }

    fn replayed(&mut self) {
        if let Some(before) = SystemTime::now().checked_sub(DEVICE_LIFE + CLOCK_MARGIN) {
            self.expire(before);
        }
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn write_out(&self, out: &mut Out<'_>) -> io::Result<()> {
        self.0.iter().try_for_each(|device| {
            let token = encode(device.known.client_token());
            out.line(&Line::put(&device.identifier, &device.known, &token))
        })
    }
}

// Use buffers of the final size, so that no copy of the secret is left behind when one grows.
pub(super) fn encode(token: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(vec![0; token.len().div_ceil(3) * 4]);
    let length = STANDARD.encode_slice(token, &mut encoded).unwrap_or_default();
    encoded.truncate(length);
    // Base64 is ASCII, so this can't fail. It takes the buffer over without a copy.
    Zeroizing::new(String::from_utf8(std::mem::take(&mut *encoded)).unwrap_or_default())
}

fn decode(encoded: &str) -> Option<Zeroizing<String>> {
    let mut token = Zeroizing::new(vec![0; encoded.len().div_ceil(4) * 3]);
    let length = STANDARD.decode_slice(encoded, &mut token).ok()?;
    token.truncate(length);
    let token = std::str::from_utf8(&token).ok()?;
    Some(Zeroizing::new(token.to_owned()))
}
