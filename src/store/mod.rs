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
//! all three outlive the process. Losing a store gives no right; it costs sign-ins, and with Device Trust the enrollment of
//! devices.
//!
//! # What a thief of the file gets
//!
//! - **The file alone**: nothing to guess with. Values are encrypted under a data key, which is encrypted under the keys of
//!   the operator; names, users and sessions are hashes under it. How many records there are, of which kind, when they were
//!   written and when they end can be seen.
//! - **The file and a key**: of logins, what a table of well-hashed passwords gives. Each guess at a password costs a run
//!   of Argon2id. The ids of the Backend API's sessions can be read, and are of no use without the secret key. Device
//!   tokens can be read as well: with one, a sign-in with the password passes Device Trust, and while a session of this
//!   server uses it, tokens of its user can be minted.
//! - **Write access**: records can be deleted, or put back in an earlier state until their own end, and never forged,
//!   changed, made to live longer or moved to another user.

mod devices;
mod error;
#[cfg(all(any(test, fuzzing), feature = "sqlite"))]
pub(crate) mod fuzzing;
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
mod waited;

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
pub(crate) use self::waited::{Waited, wait_for};

/// How long a device is used after the last successful sign-in from it.
pub(crate) const DEVICE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many logins are stored of one user: each spelling of an identifier is another one.
pub(crate) const MOST_LOGINS_OF_USER: usize = 16;

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
