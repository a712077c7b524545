//! Known devices that outlive a restart.

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
use super::journal::{Kept, Out, State, Tray};
use super::{CLOCK_MARGIN, DEVICE_LIFE, DeviceStore, KnownDevice, StoreError, from_millis, millis};

/// Devices in a file, so that a restarted process is still the device that Clerk knows.
///
/// Use it where the instance has Device Trust, or mails its users about new devices. The file holds client tokens, which
/// are secrets: only its owner can read it, and a process holds it for itself, since a client token belongs to one. A
/// device that is forgotten may stand in the file until that is written anew. Give it a local disk, and a directory that
/// the process may write to.
///
/// Bounded like [`MemoryDevices`](crate::store::MemoryDevices). What is older than 30 days is dropped when the file is opened.
/// A file that can't be written to any more is logged, and memory goes on. What another process has handed in by a
/// [`DeviceInbox`](crate::store::DeviceInbox) is taken in when the file is opened, and when a device isn't known.
///
/// ```no_run
/// use tower_clerk::store::DeviceFile;
///
/// let devices = DeviceFile::open("/var/lib/my-server/devices")?;
/// # Ok::<_, tower_clerk::store::StoreError>(())
/// ```
pub struct DeviceFile {
    kept: Kept<Devices>,
    tray: Tray,
}

impl DeviceFile {
    /// Opens the file, or makes it, and keeps it for this process until dropped.
    ///
    /// # Errors
    ///
    /// Somebody else holds the file, it is none of this kind, or the system refuses: see [`StoreErrorKind`].
    ///
    /// [`StoreErrorKind`]: crate::store::StoreErrorKind
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with_limit(path, DEFAULT_LIMIT)
    }

    /// As [`open`](Self::open), with room for so many devices instead of 10,000.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) has them.
    pub fn open_with_limit(path: impl AsRef<Path>, limit: usize) -> Result<Self, StoreError> {
        let kept = Kept::open(path.as_ref(), Devices::new(limit))?;
        let devices = Self { tray: kept.tray()?, kept };
        devices.take_in();
        Ok(devices)
    }

    /// Takes in the devices that another process has handed in.
    fn take_in(&self) {
        self.tray.collect(Devices::FORMAT, |line| self.accept(line));
    }

    /// Whether the line is a device's, which is known from now on, unless a newer one is.
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
        self.kept.read(|devices| devices.get(identifier))
    }
}

#[cfg(test)]
impl DeviceFile {
    pub(super) fn compact(&self) {
        self.kept.compact();
    }

    /// The next miss looks for what was handed in, however soon.
    #[cfg(unix)]
    pub(super) fn forget_look(&self) {
        self.tray.forget_look();
    }

    pub(super) fn swap_file(&self, file: std::fs::File) {
        self.kept.swap_file(file);
    }
}

impl fmt::Debug for DeviceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.kept.read(State::len);
        f.debug_struct("DeviceFile").field("known", &known).finish_non_exhaustive()
    }
}

impl DeviceStore for DeviceFile {
    fn get(&self, identifier: &str) -> Option<KnownDevice> {
        self.known(identifier).or_else(|| {
            self.tray.collect_if_due(Devices::FORMAT, |line| self.accept(line));
            self.known(identifier)
        })
    }

    fn put(&self, identifier: &str, device: KnownDevice) {
        if !Devices::fits(identifier, &device) {
            return self.remove(identifier);
        }
        let token = encode(device.client_token());
        let line = Line::put(identifier, &device, &token);
        self.kept.change(&line, |devices| {
            devices.put(identifier, device.clone());
            Some(())
        });
    }

    fn remove(&self, identifier: &str) {
        let line = Line::Remove { identifier: identifier.into() };
        self.kept.change(&line, |devices| devices.remove(identifier).then_some(()));
    }

    fn remove_user(&self, user_id: &str) {
        // Or one that waits to be taken in would be known afterwards.
        self.take_in();
        let line = Line::RemoveUser { user: user_id.into() };
        self.kept.change(&line, |devices| devices.remove_user(user_id).then_some(()));
    }

    fn clear(&self) {
        self.take_in();
        self.kept.clear(Devices::clear);
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
        /// In base64, which needs no escapes in JSON: what has some is read through a buffer that nobody wipes.
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
            // The error may show what it met.
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

// Through buffers of their final size, and not by what encodes through one of its own.
pub(super) fn encode(token: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(vec![0; token.len().div_ceil(3) * 4]);
    let length = STANDARD.encode_slice(token, &mut encoded).unwrap_or_default();
    encoded.truncate(length);
    // Base64 is ASCII. Checked in place: a `Vec` that is taken over is not copied.
    Zeroizing::new(String::from_utf8(std::mem::take(&mut *encoded)).unwrap_or_default())
}

fn decode(encoded: &str) -> Option<Zeroizing<String>> {
    let mut token = Zeroizing::new(vec![0; encoded.len().div_ceil(4) * 3]);
    let length = STANDARD.decode_slice(encoded, &mut token).ok()?;
    token.truncate(length);
    let token = std::str::from_utf8(&token).ok()?;
    Some(Zeroizing::new(token.to_owned()))
}
