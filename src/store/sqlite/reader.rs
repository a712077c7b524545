//! Reading: off the runtime, for a short time only, and not at all while the file is known to be out of reach.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::queue::Queue;
use super::schema;
use crate::limits::WarnThrottle;
use crate::store::records::{Name, Row, Tag};
use crate::store::{StoreError, waited};
use crate::sync::lock;

/// How long a request waits for records in all, whatever happens.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// How long the file is left alone after it could not be read.
const AWAY: Duration = Duration::from_secs(1);

/// Reads that wait at once, each on a thread.
const MOST_READS: usize = 64;

pub(super) struct Reader {
    connection: Mutex<Connection>,
    path: PathBuf,
    instance: Tag,
    places: Arc<Semaphore>,
    away_until: Mutex<Option<Instant>>,
    /// Until then no read waits for a write that is under way.
    behind_until: Mutex<Option<Instant>>,
    patience: Duration,
    warnings: WarnThrottle,
}

impl Reader {
    pub(super) fn new(
        connection: Connection,
        path: PathBuf,
        instance: Tag,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let set = || {
            connection.busy_timeout(patience)?;
            connection.pragma_update(None, "query_only", true)
        };
        set().map_err(|error| schema::failed(&path, error))?;
        Ok(Self {
            connection: Mutex::new(connection),
            path,
            instance,
            places: Arc::new(Semaphore::new(MOST_READS)),
            away_until: Mutex::default(),
            behind_until: Mutex::default(),
            patience,
            warnings: WarnThrottle::default(),
        })
    }

    /// The record of a name. One that can't be read in time is absent.
    pub(super) async fn get(self: &Arc<Self>, name: Name, queue: &Arc<Queue>) -> Option<Row> {
        let found = self.run(queue, move |reader, queue| {
            let is_settled = reader.is_settled(queue, |row| row.name == name);
            if is_settled { reader.select(schema::SELECT, &name.0, queue) } else { Ok(Vec::new()) }
        });
        found.await.into_iter().next()
    }

    /// The records of a user.
    pub(super) async fn of_user(self: &Arc<Self>, user: Tag, queue: &Arc<Queue>) -> Vec<Row> {
        let found = self.run(queue, move |reader, queue| {
            let is_settled = reader.is_settled(queue, |row| row.header.user == user);
            if is_settled { reader.select(schema::SELECT_OF_USER, &user.0, queue) } else { Ok(Vec::new()) }
        });
        found.await
    }

    /// Waits until the writes of some records are done. If one takes too long, the reads of the next second find what it
    /// writes absent without a wait.
    fn is_settled(&self, queue: &Queue, of: impl Fn(&Row) -> bool) -> bool {
        let is_behind = lock(&self.behind_until).is_some_and(|until| Instant::now() < until);
        // The other half is for the read.
        let is_settled = queue.settled(if is_behind { Duration::ZERO } else { self.patience / 2 }, of);
        if !is_settled && !is_behind {
            *lock(&self.behind_until) = Some(Instant::now() + AWAY);
        }
        is_settled
    }

    async fn run(
        self: &Arc<Self>,
        queue: &Arc<Queue>,
        read: impl FnOnce(&Self, &Queue) -> rusqlite::Result<Vec<Row>> + Send + 'static,
    ) -> Vec<Row> {
        let now = Instant::now();
        if lock(&self.away_until).is_some_and(|until| now < until) {
            return Vec::new();
        }
        let left = waited::left_of(self.patience);
        if left.is_zero() {
            return Vec::new();
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return Vec::new() };
        let (reader, queue) = (Arc::clone(self), Arc::clone(queue));
        let reading = tokio::task::spawn_blocking(move || {
            let rows = read(&reader, &queue);
            drop(place);
            rows
        });
        let reason = match waited::wait_for(reading, self.patience).await {
            Some(Ok(Ok(rows))) => {
                *lock(&self.away_until) = None;
                return rows;
            }
            Some(Ok(Err(error))) => error.to_string(),
            Some(Err(_)) => "the runtime is shutting down".to_owned(),
            // Another read may be done in time.
            None if left < self.patience => return Vec::new(),
            None => "it took too long".to_owned(),
        };
        self.failed(now, &reason);
        Vec::new()
    }

    fn failed(&self, now: Instant, reason: &str) {
        *lock(&self.away_until) = Some(now + AWAY);
        if self.warnings.is_due("read", now) {
            let path = self.path.display();
            tracing::warn!(%path, reason, "a store's file can't be read: sign-ins go on without it");
        }
    }

    fn select(&self, sql: &str, value: &[u8], queue: &Queue) -> rusqlite::Result<Vec<Row>> {
        loop {
            let taken = queue.taken();
            let connection = lock(&self.connection);
            let mut select = connection.prepare_cached(sql)?;
            let values = [&self.instance.0[..], value];
            let rows = select.query_map(values, schema::row)?.collect::<rusqlite::Result<Vec<_>>>()?;
            drop(select);
            drop(connection);
            // A removal that was queued when the record was read, and is done now, is not in the queue any more.
            if queue.taken() == taken {
                return Ok(rows.into_iter().flatten().filter(|row| !queue.takes(row)).collect());
            }
        }
    }
}
