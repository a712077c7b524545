//! Records in an SQLite file.

mod apply;
mod file;
mod key_file;
mod keys;
mod network;
mod queue;
mod reader;
mod schema;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use self::queue::{Op, Queue};
use self::reader::Reader;
use super::records::{If, Name, NotWritten, Records, Row, Tag, Targets, Wait};
use super::sealing::{PasswordCost, Sealer};
use super::state::{Departures, EngineState};
use super::vault::Vault;
use super::{StoreError, StoreErrorKind, StoreKey};

/// State in an SQLite file, so that a restart or a crash costs no sign-ins. Give it to
/// [`ClerkBuilder::store`](crate::ClerkBuilder::store).
///
/// The file must be on a local disk, in a directory that belongs to the process's user and that nobody else can write
/// to. Several processes can use it at a time: the old and the new one of a deploy, and a tool that
/// [enrolls](crate::Clerk::enroll) accounts while the server runs. A revocation in one of them removes what is stored for
/// all. A session that another one holds goes on there until its next token if the revocation has ended it at Clerk, and
/// otherwise until its proof ends.
///
/// Its values are encrypted, and the [module](super) says what can be seen. Without [`keys`](Self::keys) the key is made at
/// the first start, in a file beside it whose name ends in `.key`. Both have mode 600. On Windows the access rights of the
/// directory must protect them.
///
/// ```no_run
/// use tower_clerk::Clerk;
/// use tower_clerk::store::SqliteStore;
///
/// let store = SqliteStore::open("/var/lib/my-server/state")?;
/// let clerk = Clerk::builder("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k").store(store).build()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteStore {
    path: PathBuf,
    // Locked by nobody: it makes the store, and so a builder, `Sync`.
    pub(super) connection: Mutex<Connection>,
    keys: Option<Vec<StoreKey>>,
    cost: PasswordCost,
    patience: Duration,
}

impl SqliteStore {
    /// Opens or creates the file.
    ///
    /// # Errors
    ///
    /// Returns an error if the path or its content is not such a file, if others could read or replace it, or if the
    /// operating system refuses access: see [`StoreErrorKind`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = file::prepare(path.as_ref())?;
        let connection = Mutex::new(schema::open(&path)?);
        Ok(Self { path, connection, keys: None, cost: PasswordCost::DEFAULT, patience: reader::PATIENCE })
    }

    /// Sets the keys that the file is encrypted under, the current one first: from a file beside it by default.
    ///
    /// To rotate a key, start the program with the new key and the old one, and later with the new one alone. Records
    /// stay. A key that is no longer given opens the file no more.
    #[must_use]
    pub fn keys(mut self, keys: impl IntoIterator<Item = StoreKey>) -> Self {
        self.keys = Some(keys.into_iter().collect());
        self
    }

    /// Sets what a guess at a password costs a thief of the file and its key, and this process for each sign-in and for each
    /// user's first request after a restart: 19,456 KiB and 2 passes of Argon2id by default, [OWASP's minimum].
    /// `memory_kib` must be at least 7,168, and `memory_kib` times `passes` from 35,840 to 16,777,216.
    ///
    /// The function runs for two passwords at a time at most, with so much memory for each.
    ///
    /// [OWASP's minimum]: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
    #[must_use]
    pub fn password_cost(mut self, memory_kib: u32, passes: u32) -> Self {
        self.cost = PasswordCost { memory_kib, passes };
        self
    }

    /// Makes guesses at passwords cheap, for tests.
    #[cfg(any(test, feature = "testing"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    #[must_use]
    pub fn weak_password_cost(mut self) -> Self {
        self.cost = PasswordCost::WEAK;
        self
    }

    /// Sets how long a request waits for a record, for tests on slow disks: 100 ms by default.
    #[cfg(any(test, feature = "testing"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    #[must_use]
    pub fn read_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn has_weak_cost(&self) -> bool {
        #[cfg(any(test, feature = "testing"))]
        if self.cost == PasswordCost::WEAK {
            return false;
        }
        !self.cost.is_sensible()
    }

    /// Opens the data key, and starts the writer.
    pub(super) fn unlock(self, issuer: &str) -> Result<EngineState, StoreError> {
        if self.has_weak_cost() {
            let reason =
                "password_cost must have at least 7,168 KiB, and KiB times passes from 35,840 to 16,777,216";
            return Err(StoreError::new(StoreErrorKind::Setting, &self.path, reason));
        }
        let mut connection = self.connection.into_inner().unwrap_or_else(PoisonError::into_inner);
        let data_key = keys::unlock(&mut connection, &self.path, self.keys.as_deref())?;
        let failed = |error| schema::failed(&self.path, error);
        schema::purge(&connection, SystemTime::now()).map_err(failed)?;
        let sealer = Sealer::new(&data_key, issuer);
        let recent = schema::departures(&connection, sealer.instance).map_err(failed)?;
        let newest = schema::newest(&connection).map_err(failed)?;
        let reading = schema::connect(&self.path)?;
        let reader = Reader::new(reading, self.path.clone(), sealer.instance, self.patience)?;
        let queue = Arc::new(Queue::default());
        writer::start(connection, self.path.clone(), sealer.instance, Arc::clone(&queue))
            .map_err(|error| StoreError::io(&self.path, error))?;
        let records = SqliteRecords {
            reader: Arc::new(reader),
            queue: Arc::new(Closing(Arc::clone(&queue))),
            #[cfg(any(test, feature = "testing"))]
            clocks: Arc::new(tokio::sync::Semaphore::new(32)),
        };
        let note = Box::new(move |at, is_told| _ = queue.push(Op::Departed { at, is_told }, drop));
        let departures = Departures { recent, note };
        let vault = Vault::new(Box::new(records), sealer);
        Ok(EngineState::persistent(vault, self.cost, newest, departures))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Stops the writer, when what is queued is written.
struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct SqliteRecords {
    reader: Arc<Reader>,
    queue: Arc<Closing>,
    /// Callers that keep a test's paused clock from running.
    #[cfg(any(test, feature = "testing"))]
    clocks: Arc<tokio::sync::Semaphore>,
}

impl SqliteRecords {
    /// Queues a write, and returns a future of its result, or of what `lost` returns if it is given up.
    fn write<T: Send + 'static>(
        &self,
        op: Op,
        result: impl FnOnce(queue::Done) -> T + Send + 'static,
        lost: impl FnOnce() -> T + Send + 'static,
    ) -> Wait<T> {
        let (done, waiting) = tokio::sync::oneshot::channel();
        #[cfg_attr(
            not(any(test, feature = "testing")),
            expect(unused_variables, reason = "only tests wait on a thread")
        )]
        let number = self.queue.0.push(op, move |outcome| _ = done.send(result(outcome)));
        #[cfg(any(test, feature = "testing"))]
        let held = self.hold_clock(number);
        Box::pin(async move {
            #[cfg(any(test, feature = "testing"))]
            held.await;
            waiting.await.unwrap_or_else(|_| lost())
        })
    }

    /// Waits on a thread for blocking work, so that a test's paused clock stands still until the disk has answered. No
    /// longer than that: a runtime that shuts down waits for such threads, also while the disk refuses a removal. A program
    /// has no paused clock, and is built without this.
    #[cfg(any(test, feature = "testing"))]
    fn hold_clock(&self, number: u64) -> impl Future<Output = ()> + Send + use<> {
        let (queue, place) = (Arc::clone(&self.queue.0), Arc::clone(&self.clocks).try_acquire_owned());
        async move {
            if let (Ok(place), Ok(runtime)) = (place, tokio::runtime::Handle::try_current()) {
                _ = runtime.spawn_blocking(move || (queue.wait_for(number), place).0).await;
            }
        }
    }
}

impl Records for SqliteRecords {
    fn get(&self, name: Name) -> Wait<Option<Row>> {
        let (reader, queue) = (Arc::clone(&self.reader), Arc::clone(&self.queue));
        Box::pin(async move { reader.get(name, &queue.0).await })
    }

    fn of_user(&self, user: Tag) -> Wait<Vec<Row>> {
        let (reader, queue) = (Arc::clone(&self.reader), Arc::clone(&self.queue));
        Box::pin(async move { reader.of_user(user, &queue.0).await })
    }

    fn put(&self, row: Row, condition: If) -> Wait<Result<(), NotWritten>> {
        let written = |done| matches!(done, queue::Done::Written(true)).then_some(()).ok_or(NotWritten);
        self.write(Op::Put(row, condition), written, || Err(NotWritten))
    }

    fn take(&self, targets: Targets) -> Wait<Vec<Row>> {
        let taken = |done| if let queue::Done::Taken(rows) = done { rows } else { Vec::new() };
        self.write(Op::Take(targets), taken, Vec::new)
    }

    fn flush(&self) -> Wait<()> {
        self.write(Op::Flush, drop, || ())
    }

    fn unwritten(&self) -> usize {
        self.queue.0.unwritten()
    }
}
