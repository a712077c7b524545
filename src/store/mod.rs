//! State that outlives the process, so that a restart costs no sign-ins.
//!
//! An engine stores three kinds of records:
//!
//! | | what for | saves after a restart |
//! |---|---|---|
//! | logins | a proven credential, and the session that it opened | a sign-in per user |
//! | devices (Frontend API) | the client token of a user's last sign-in | a second factor, or an e-mail about a new device |
//! | sessions (Backend API) | the ids of sessions that are open at Clerk | a sign-in per user and organization |
//!
//! By default devices and sessions are in memory, 10,000 and a million at most, and logins nowhere. With
#![cfg_attr(feature = "sqlite", doc = "a [`SqliteStore`]")]
#![cfg_attr(not(feature = "sqlite"), doc = "a `SqliteStore` (feature `sqlite`)")]
//! all three outlive the process. Losing a store never gives or takes a right; it costs sign-ins.
//!
//! # What a thief of the file gets
//!
//! - **The file alone**: nothing. Names and values are encrypted under a data key, which is encrypted under the keys of
//!   the operator; how many records there are and when they were written can be seen.
//! - **The file and a key**: what a table of well-hashed passwords gives. Each guess at a password costs a run of
//!   Argon2id. Device tokens and the ids of the Backend API's sessions can be read; a device token opens no session
//!   without the password.
//! - **Write access**: records can be deleted, or put back in an earlier state until their own end, and never forged,
//!   changed, made to live longer or moved to another user.

mod devices;
mod error;
#[cfg(any(feature = "sqlite", feature = "redis"))]
mod key;
mod memory;
mod records;
#[cfg(feature = "redis")]
mod redis;
mod sealing;
mod sessions;
#[cfg(feature = "sqlite")]
mod sqlite;
mod state;
#[cfg(all(test, feature = "sqlite"))]
mod tests;
mod vault;

#[cfg(feature = "sqlite")]
mod logins;
#[cfg(not(feature = "sqlite"))]
#[path = "no_logins.rs"]
mod logins;

use std::time::{Duration, SystemTime};

use serde::Serialize;
use zeroize::Zeroizing;

pub(crate) use self::devices::{DeviceRecords, KnownDevice};
pub use self::error::{StoreError, StoreErrorKind};
#[cfg(any(feature = "sqlite", feature = "redis"))]
pub use self::key::{InvalidStoreKey, StoreKey};
pub(crate) use self::logins::{FoundLogin, LoginName, LoginRecord, LoginSession, Logins};
pub(crate) use self::records::{If, Wait};
#[cfg(feature = "redis")]
pub(crate) use self::redis::Address;
#[cfg(feature = "redis")]
pub use self::redis::{InvalidRedisUrl, RedisStore};
#[cfg(feature = "redis")]
pub(crate) use self::sealing::{aead_key, open, seal};
pub(crate) use self::sessions::{SessionRecords, StoredSession};
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
#[cfg(any(feature = "sqlite", feature = "redis"))]
pub use self::state::Store;
#[cfg(feature = "redis")]
pub(crate) use self::state::StoreKind;
pub(crate) use self::state::{EngineState, Removed};

/// How long a device is used after the last successful sign-in from it.
pub(crate) const DEVICE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most bytes of a value, so that a limit on records also limits memory. Values from Clerk have about a tenth.
const MAX_TEXT: usize = 16 * 1024;

/// Times are stored as milliseconds since the Unix epoch, as Clerk sends them.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A time that `SystemTime` can't represent becomes the Unix epoch.
pub(crate) fn from_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The JSON of a value. `None` if it is too long.
fn json(value: &impl Serialize) -> Option<Zeroizing<Vec<u8>>> {
    // Of the final size, so that no copy of a secret is left behind when the buffer grows.
    let mut bytes = Zeroizing::new(vec![0; MAX_TEXT]);
    let mut rest = &mut bytes[..];
    serde_json::to_writer(&mut rest, value).ok()?;
    let length = MAX_TEXT - rest.len();
    bytes.truncate(length);
    Some(bytes)
}
