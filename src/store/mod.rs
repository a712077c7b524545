//! Storage for known devices and open sessions, which can outlive a restart.
//!
//! An engine stores two kinds of values, each behind a trait with a store in memory as its default:
//!
//! | | [`DeviceStore`] | [`SessionStore`] |
//! |---|---|---|
//! | stores | client tokens of users ([`KnownDevice`]) | ids of open sessions ([`StoredSession`]) |
//! | secret | yes | no |
//! | used with | the Frontend API | the Backend API |
//! | saves after a restart | a second factor or an email about a new device | a sign-in per session |
//! | in memory | [`MemoryDevices`], 10,000 by default | [`MemorySessions`], 1,000,000 by default |
//! | in a file | [`DeviceFile`] | [`SessionFile`] |
//!
//! Use the files if one process runs at a time. If several processes should share sessions, implement [`SessionStore`]
//! on a database that they share. Devices cannot be shared, since a client token belongs to one process.

mod device_file;
mod devices;
mod error;
mod inbox;
mod journal;
mod session_file;
mod sessions;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

pub use self::device_file::DeviceFile;
pub use self::devices::{DeviceStore, KnownDevice, MemoryDevices};
pub use self::error::{StoreError, StoreErrorKind};
pub use self::inbox::DeviceInbox;
pub use self::session_file::SessionFile;
pub use self::sessions::{MemorySessions, SessionStore, StoreFuture, StoredSession};

/// Entries that ended longer ago than this are dropped when a file is opened. The margin is wide because the machine's
/// clock may be wrong then. Later the engine ignores ended entries by Clerk's time.
const CLOCK_MARGIN: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a device is used after the last successful sign-in from it.
pub(crate) const DEVICE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most bytes of text per entry, so that a limit on entries also limits memory. Entries from Clerk have about a
/// tenth.
const MAX_TEXT: usize = 16 * 1024;

/// Times are stored as milliseconds since the Unix epoch, as Clerk sends them, both in memory and in files.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A time that `SystemTime` can't represent, as a damaged file may hold, becomes the Unix epoch.
fn from_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}
