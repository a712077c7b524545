//! The thread that writes. All writes of a process go through it, in their order.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::apply::apply;
use super::queue::{Done, Op, Queue};
use super::schema;
use crate::limits::WarnThrottle;
use crate::store::records::Tag;

/// Writes per transaction. Each transaction waits for the disk.
const AT_ONCE: usize = 64;

/// How often records that have ended are removed.
const PURGE: Duration = Duration::from_secs(3600);

/// Pauses between attempts to write.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How long writes are still tried after the engine is gone.
const LAST_ATTEMPTS: Duration = Duration::from_secs(2);

struct Writer {
    connection: Connection,
    path: PathBuf,
    instance: Tag,
    queue: Arc<Queue>,
    warnings: WarnThrottle,
    purged: Instant,
    pause: Duration,
    closed: Option<Instant>,
}

/// Starts the thread that writes the records of an instance.
pub(super) fn start(
    connection: Connection,
    path: PathBuf,
    instance: Tag,
    queue: Arc<Queue>,
) -> io::Result<()> {
    let (warnings, purged) = (WarnThrottle::default(), Instant::now());
    let mut writer =
        Writer { connection, path, instance, queue, warnings, purged, pause: PAUSES.0, closed: None };
    let thread = std::thread::Builder::new().name("tower-clerk store".to_owned());
    thread.spawn(move || while writer.step() {}).map(drop)
}

impl Writer {
    /// Writes what is queued. Returns whether more may come.
    fn step(&mut self) -> bool {
        let Some(next) = self.queue.next(AT_ONCE) else { return false };
        let failed = match self.write(&next) {
            Ok(done) => {
                self.queue.done(next.iter().map(|(number, _)| *number).zip(done));
                None
            }
            // Another process holds the file, for all writes alike.
            Err(error) if is_busy(&error) => Some(error),
            Err(_) => self.write_each(&next),
        };
        if let Some(error) = failed {
            return self.failed(&error);
        }
        self.pause = PAUSES.0;
        self.purge();
        true
    }

    fn write(&mut self, ops: &[(u64, Arc<Op>)]) -> rusqlite::Result<Vec<Done>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let apply = |(_, op): &(u64, Arc<Op>)| apply(&transaction, self.instance, op);
        let done = ops.iter().map(apply).collect::<rusqlite::Result<_>>()?;
        transaction.commit()?;
        Ok(done)
    }

    /// Writes one after the other: the one that is at fault must not take the others with it. One that may be lost is
    /// lost then. Returns the error of a removal, which later writes must not overtake.
    fn write_each(&mut self, ops: &[(u64, Arc<Op>)]) -> Option<rusqlite::Error> {
        for op in ops {
            match self.write(std::slice::from_ref(op)) {
                Ok(done) => self.queue.done(done.into_iter().map(|done| (op.0, done))),
                Err(error) if is_busy(&error) || op.1.must_be_done() => return Some(error),
                Err(error) => {
                    self.queue.lost(op.0);
                    self.warn_of_lost(&error);
                }
            }
        }
        None
    }

    /// The queue is tried again, because a restart would bring back what a removal takes.
    fn failed(&mut self, error: &rusqlite::Error) -> bool {
        if self.queue.failed() > 0 {
            self.warn_of_lost(error);
        }
        let (path, unwritten) = (self.path.display(), self.queue.unwritten());
        if unwritten > 0 && self.warnings.is_due("removal", tokio::time::Instant::now()) {
            tracing::error!(
                %path, %error, unwritten,
                "a revocation can't be written to a store's file: it is in force in this process, and tried again; a \
                 restart before it is written would undo it"
            );
        }
        if self.queue.is_closed() {
            std::thread::sleep(PAUSES.0);
            return self.closed.get_or_insert_with(Instant::now).elapsed() < LAST_ATTEMPTS;
        }
        std::thread::sleep(self.pause);
        self.pause = (2 * self.pause).min(PAUSES.1);
        true
    }

    fn warn_of_lost(&self, error: &rusqlite::Error) {
        if self.warnings.is_due("write", tokio::time::Instant::now()) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "a store's file can't be written: records are lost");
        }
    }

    fn purge(&mut self) {
        if self.purged.elapsed() >= PURGE {
            self.purged = Instant::now();
            if let Err(error) = schema::purge(&self.connection, SystemTime::now()) {
                tracing::debug!(%error, "ended records could not be removed from a store's file");
            }
        }
    }
}

/// Whether another process holds the file, and has done so for longer than a write waits.
fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
