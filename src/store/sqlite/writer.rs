//! The thread that writes. All writes of a process go through it, in their order.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, TransactionBehavior};

use super::apply::apply;
use super::queue::{Done, Op, Queue};
use super::schema;
use crate::limits::WarnThrottle;

/// Writes per transaction. Each transaction waits for the disk.
const AT_ONCE: usize = 64;

/// How often records that have ended are removed.
const PURGE: Duration = Duration::from_secs(60);

/// Pauses between attempts to write a removal.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How long removals are still tried after the engine is gone.
const LAST_ATTEMPTS: Duration = Duration::from_secs(2);

struct Writer {
    connection: Connection,
    path: PathBuf,
    queue: Arc<Queue>,
    warnings: WarnThrottle,
    purged: Instant,
    pause: Duration,
    closed: Option<Instant>,
}

pub(super) fn start(connection: Connection, path: PathBuf, queue: Arc<Queue>) -> io::Result<()> {
    let warnings = WarnThrottle::default();
    let mut writer =
        Writer { connection, path, queue, warnings, purged: Instant::now(), pause: PAUSES.0, closed: None };
    let thread = std::thread::Builder::new().name("tower-clerk store".to_owned());
    thread.spawn(move || while writer.step() {}).map(drop)
}

impl Writer {
    /// Writes what is queued. Returns whether more may come.
    fn step(&mut self) -> bool {
        let Some(next) = self.queue.next(AT_ONCE) else { return false };
        let result = match self.write(&next) {
            // One of them may be at fault, and must not take the others with it.
            Err(_) if next.len() > 1 => self.write(&next[..1]),
            result => result,
        };
        match result {
            Ok(done) => {
                self.pause = PAUSES.0;
                let numbers = next.iter().map(|(number, _)| *number);
                self.queue.done(numbers.zip(done));
                self.purge();
            }
            Err(error) => return self.failed(&next[0], &error),
        }
        true
    }

    fn write(&mut self, ops: &[(u64, Arc<Op>)]) -> rusqlite::Result<Vec<Done>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = ops.iter().map(|(_, op)| apply(&transaction, op)).collect::<rusqlite::Result<_>>()?;
        transaction.commit()?;
        Ok(done)
    }

    /// A write that may be lost is lost. A removal is tried again, because a restart would bring back what it takes.
    fn failed(&mut self, (number, op): &(u64, Arc<Op>), error: &rusqlite::Error) -> bool {
        let path = self.path.display();
        if !op.must_be_done() {
            self.queue.done([(*number, Done::Nothing)]);
            if self.warnings.is_due("write", tokio::time::Instant::now()) {
                tracing::warn!(%path, %error, "a store's file can't be written: records are lost");
            }
            return true;
        }
        self.queue.failed();
        if self.warnings.is_due("removal", tokio::time::Instant::now()) {
            let unwritten = self.queue.unwritten();
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

    fn purge(&mut self) {
        if self.purged.elapsed() >= PURGE {
            self.purged = Instant::now();
            if let Err(error) = schema::purge(&self.connection, SystemTime::now()) {
                tracing::debug!(%error, "ended records could not be removed from a store's file");
            }
        }
    }
}
