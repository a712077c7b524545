//! The state that an engine stores, over one set of records.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::memory::MemoryRecords;
use super::records::{Row, Targets, Wait};
use super::sealing::{DataKey, Sealer};
use super::sessions::{SessionRecords, StoredSession};
use super::vault::Vault;
use super::{DeviceRecords, KnownDevice, Logins, millis};

/// The stored state of one engine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EngineState {
    pub(super) vault: Arc<Vault>,
    /// Only in a store that outlives the process.
    pub(crate) logins: Option<Arc<Logins>>,
    pub(crate) devices: Arc<DeviceRecords>,
    pub(crate) sessions: Arc<SessionRecords>,
    shared: Option<Arc<Shared>>,
}

/// The things that a store which outlives the process knows besides its records.
struct Shared {
    newest: Option<SystemTime>,
    departures: Departures,
}

/// When sign-ins have departed, also those of the process before this one: both count for Clerk's limit.
pub(crate) struct Departures {
    /// As they were when the store was opened.
    pub(super) recent: Vec<SystemTime>,
    pub(super) note: Box<dyn Fn(u64, bool) + Send + Sync>,
}

impl Departures {
    /// The departures in the window before the store was opened.
    pub(crate) fn recent(&self, window: Duration, now: SystemTime) -> Vec<SystemTime> {
        let is_recent = |at: &&SystemTime| now.duration_since(**at).is_ok_and(|age| age < window);
        self.recent.iter().filter(is_recent).copied().collect()
    }

    /// Notes a departure, for the process after this one. The time is Clerk's if `is_told`, and otherwise that of a clock
    /// that may be wrong.
    pub(crate) fn note(&self, at: SystemTime, is_told: bool) {
        (self.note)(millis(at), is_told);
    }
}

/// The records that a removal has taken and whose sessions may still be open at Clerk. A login's can't be told, since its record is
/// sealed under the password.
pub(crate) struct Removed {
    pub(crate) sessions: Vec<StoredSession>,
    pub(crate) devices: Vec<KnownDevice>,
}

impl EngineState {
    /// State that nothing outlives.
    ///
    /// # Panics
    ///
    /// Panics if the system provides no random bytes: without them TLS would not be safe either.
    pub(crate) fn in_memory(issuer: &str) -> Self {
        let data_key = DataKey::random().expect("the system provides random bytes");
        Self::new(Vault::new(Box::new(MemoryRecords::new()), Sealer::new(&data_key, issuer)))
    }

    fn new(vault: Arc<Vault>) -> Self {
        Self {
            logins: None,
            devices: Arc::new(DeviceRecords::new(Arc::clone(&vault))),
            sessions: Arc::new(SessionRecords::new(Arc::clone(&vault))),
            vault,
            shared: None,
        }
    }

    #[cfg(feature = "sqlite")]
    pub(super) fn persistent(
        vault: Arc<Vault>,
        cost: super::sealing::PasswordCost,
        newest: Option<SystemTime>,
        departures: Departures,
    ) -> Self {
        let logins = Some(Arc::new(Logins::new(Arc::clone(&vault), cost)));
        Self { logins, shared: Some(Arc::new(Shared { newest, departures })), ..Self::new(vault) }
    }

    /// Whether the state is there for the next process.
    pub(crate) fn outlives_process(&self) -> bool {
        self.logins.is_some()
    }

    /// The newest time by Clerk's clock in the store when it was opened: now is no earlier, whatever the machine's clock
    /// says.
    pub(crate) fn newest(&self) -> Option<SystemTime> {
        self.shared.as_ref()?.newest
    }

    pub(crate) fn departures(&self) -> Option<&Departures> {
        self.shared.as_ref().map(|shared| &shared.departures)
    }

    /// Removes all records of a user. Resolves when the store has removed them.
    pub(crate) fn take_user(&self, user_id: &str) -> Wait<Removed> {
        self.take(Targets::User(self.vault.sealer.user(user_id)))
    }

    /// Removes the records of a session. A device stays known without it.
    pub(crate) fn take_session(&self, session_id: &str) -> Wait<Removed> {
        self.take(Targets::Session(self.vault.sealer.session(session_id), None))
    }

    /// Removes all records.
    pub(crate) fn take_all(&self) -> Wait<Removed> {
        self.take(Targets::All)
    }

    /// Removes the logins of a user whose password was last accepted before this time.
    pub(crate) fn expire_logins(&self, user_id: &str, before: SystemTime) -> Wait<()> {
        self.vault.delete(Targets::LoginsBefore(self.vault.sealer.user(user_id), millis(before)))
    }

    fn take(&self, targets: Targets) -> Wait<Removed> {
        let (taken, vault) = (self.vault.records.take(targets), Arc::clone(&self.vault));
        Box::pin(async move {
            let rows: Vec<Row> = taken.await;
            Removed {
                sessions: rows.iter().filter_map(|row| SessionRecords::of(&vault, row)).collect(),
                devices: rows.iter().filter_map(|row| DeviceRecords::of(&vault, row)).collect(),
            }
        })
    }

    /// Waits until all writes so far are done or given up.
    pub(crate) async fn flush(&self) {
        self.vault.records.flush().await;
    }

    /// Number of removals that have not reached the store, because it refuses writes.
    pub(crate) fn unwritten(&self) -> usize {
        self.vault.records.unwritten()
    }

    /// How often a record could not be opened.
    pub(crate) fn unopenable(&self) -> u64 {
        self.vault.unopenable()
    }
}

/// A store, for [`ClerkBuilder::store`](crate::ClerkBuilder::store): a `SqliteStore` (feature `sqlite`) for what outlives a
/// process, or a `RedisStore` (feature `redis`) for what replicas share.
#[cfg(any(feature = "sqlite", feature = "redis"))]
#[derive(Debug)]
pub struct Store(pub(crate) StoreKind);

#[cfg(any(feature = "sqlite", feature = "redis"))]
#[derive(Debug)]
pub(crate) enum StoreKind {
    #[cfg(feature = "sqlite")]
    Sqlite(Box<super::SqliteStore>),
    #[cfg(feature = "redis")]
    Redis(Box<super::RedisStore>),
}

#[cfg(feature = "sqlite")]
impl Store {
    /// Opens the store for an instance: from here on its records can be read.
    pub(crate) fn unlock(self, issuer: &str) -> Result<EngineState, super::StoreError> {
        match self.0 {
            StoreKind::Sqlite(store) => store.unlock(issuer),
            #[cfg(feature = "redis")]
            StoreKind::Redis(_) => Ok(EngineState::in_memory(issuer)),
        }
    }
}

#[cfg(feature = "sqlite")]
impl From<super::SqliteStore> for Store {
    fn from(store: super::SqliteStore) -> Self {
        Self(StoreKind::Sqlite(Box::new(store)))
    }
}

#[cfg(feature = "redis")]
impl From<super::RedisStore> for Store {
    fn from(store: super::RedisStore) -> Self {
        Self(StoreKind::Redis(Box::new(store)))
    }
}
