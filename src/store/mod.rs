//! What outlives a restart: the devices that Clerk knows users by, and the ids of sessions that are still open.

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

/// What has been over for longer is dropped when a file is opened. The machine's clock may be wrong then, so the margin is
/// wide; what is over is left aside anyway once Clerk's time is known.
const CLOCK_MARGIN: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a device is of use after the last good sign-in from it.
pub(crate) const DEVICE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most text that one entry may hold, so that a bound on entries is one on bytes. What Clerk sends is a tenth.
const MAX_TEXT: usize = 16 * 1024;

/// Times are kept as milliseconds since the Unix epoch, which is what Clerk sends, in memory as in the file.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A time out of a file may be one that the system has no name for.
fn from_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}
