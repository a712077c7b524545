//! Keeps the connections to Redis, sends changes, and receives those of other replicas.
//!
//! There are two connections: one for commands, and one that waits for entries of the log. If one of them fails, both are
//! replaced: a connection that answers no longer, or whose server was demoted, would look well otherwise.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, cmd};
use tokio::time::Instant;

use super::Shared;
use super::change::Change;
use super::dialer::dial;
use super::entry::EntryId;
use super::log::{MOST_KEPT, Waiting};
use crate::sync::{Either, either, lock};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause before another try to connect.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long connections have to last for the pauses to begin anew. A beat is made each second, and one that fails ends them.
const STEADY: Duration = Duration::from_secs(5);

/// How long the server holds a read back while there is nothing new.
const BLOCK: Duration = Duration::from_secs(1);

/// How long the answer to such a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// Entries that are sent at once.
const BATCH: usize = 500;

/// Entries that are read at once. Another writer may have made them long.
const READ_BATCH: usize = 50;

/// How often a replica says that it lives.
const BEAT: Duration = Duration::from_secs(1);

/// How long the log lives after the last entry.
const LOG_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The field of an entry's id. Those of its sealed values have the ids of keys for names.
const ID: &[u8] = b"i";

/// An entry of the log as Redis has it: its place, and names and values in turn.
type Stored = (String, Option<Vec<Vec<u8>>>);

/// The answer to a read of several logs, by their names. There is none if nothing came.
type Streams = Option<Vec<(Vec<u8>, Vec<Stored>)>>;

/// The last entry of the log that was read here: its place, and its id.
#[derive(Clone, Debug, PartialEq)]
struct Cursor {
    place: String,
    /// `None` if it was no entry of a replica's.
    id: Option<EntryId>,
}

/// Runs until the engine is gone.
pub(super) async fn run(shared: Arc<Shared>) {
    let (mut supervisor, mut pause) =
        (Supervisor { shared: Arc::clone(&shared), cursor: None, connected: None }, FIRST_PAUSE);
    loop {
        let error = match either(shared.closed(), supervisor.session()).await {
            Either::First(()) => return shared.limits.leave_cluster().await,
            Either::Second(error) => error,
        };
        shared.is_connected(false);
        drop(shared.limits.disconnected());
        if shared.warnings.is_due("redis", Instant::now()) {
            tracing::warn!(
                place = shared.address.place(),
                error = error.category(),
                code = error.code(),
                "Redis can't be used, so this replica goes on alone: revocations reach the others when it is back"
            );
        }
        if supervisor.connected.take().is_some_and(|connected| connected.elapsed() > STEADY) {
            pause = FIRST_PAUSE;
        }
        // Never more than the pause.
        let wait = shared.jitter.later(pause / 2, 1.0);
        pause = (2 * pause).min(LONGEST_PAUSE);
        if let Either::First(()) = either(shared.closed(), tokio::time::sleep(wait)).await {
            return;
        }
    }
}

struct Supervisor {
    shared: Arc<Shared>,
    cursor: Option<Cursor>,
    connected: Option<Instant>,
}

impl Supervisor {
    /// Connects, and uses the connections until something is wrong with them.
    async fn session(&mut self) -> RedisError {
        let connected = async { Ok((dial(&self.shared.address).await?, dial(&self.shared.address).await?)) };
        let (commands, mut reads) = match connected.await {
            Ok(connections) => connections,
            Err(error) => return error,
        };
        self.connected = Some(Instant::now());
        self.shared.send_unread();
        reads.set_response_timeout(READ_TIMEOUT);
        let shared = Arc::clone(&self.shared);
        let read = async {
            if let Err(error) = self.catch_up(&mut reads).await {
                return error;
            }
            shared.is_connected(true);
            self.read(&mut reads).await
        };
        match either(read, shared.send(commands)).await {
            Either::First(error) | Either::Second(error) => error,
        }
    }

    /// Reads the log where it was left. If it isn't the one that was left, all of it, and sends what it lacks. The cursor moves
    /// when that is done: otherwise an interruption would leave it in a log that still lacks something.
    async fn catch_up(&mut self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        if self.is_where_it_was(connection).await? {
            return Ok(());
        }
        let (mut has, mut read_entries, mut first, mut cursor) = (HashSet::new(), 0, None, None::<Cursor>);
        loop {
            let from = cursor.as_ref().map_or_else(|| "-".to_owned(), |it| format!("({}", it.place));
            let mut read = cmd("XRANGE");
            read.arg(&self.shared.keys.log).arg(from).arg("+").arg("COUNT").arg(READ_BATCH);
            let entries: Vec<Stored> = asked(connection, &read).await?;
            if entries.is_empty() {
                break;
            }
            read_entries += entries.len();
            first = first.or_else(|| entries.first().map(|(place, _)| place.clone()));
            cursor = self.shared.receive_all(entries, |id| _ = has.insert(id)).or(cursor);
        }
        if let (Some(before), Some(first)) = (&self.cursor, first)
            && read_entries >= MOST_KEPT
            && place(&before.place) < place(&first)
        {
            // The log is the one that was left, and has dropped entries that were not read.
            tracing::warn!("the log of changes has gone on without this replica, so it drops all sessions");
            self.shared.carry_out(&Change::Everything, None);
        }
        let again = self.shared.send_again(|id| has.contains(id));
        if again > 0 {
            tracing::info!(entries = again, "Redis has lost changes, which are sent again");
        }
        self.cursor = cursor;
        lock(&self.shared.log).caught_up();
        Ok(())
    }

    /// Whether the last entry that was read is in the log. Otherwise it is another one, or has lost its end.
    async fn is_where_it_was(&self, connection: &mut MultiplexedConnection) -> RedisResult<bool> {
        let Some(cursor) = &self.cursor else { return Ok(false) };
        let mut read = cmd("XRANGE");
        read.arg(&self.shared.keys.log).arg(&cursor.place).arg(&cursor.place);
        let entries: Vec<Stored> = asked(connection, &read).await?;
        Ok(entries
            .first()
            .is_some_and(|(_, fields)| id_of(fields.as_deref().unwrap_or_default()) == cursor.id))
    }

    /// Receives entries as they come.
    async fn read(&mut self, connection: &mut MultiplexedConnection) -> RedisError {
        loop {
            let from = self.cursor.as_ref().map_or_else(|| "0-0".to_owned(), |cursor| cursor.place.clone());
            let mut read = cmd("XREAD");
            read.arg("COUNT").arg(READ_BATCH).arg("BLOCK").arg(BLOCK.as_millis() as u64);
            read.arg("STREAMS").arg(&self.shared.keys.log).arg(from);
            let result: RedisResult<Streams> = read.query_async(connection).await;
            let entries = match result {
                Ok(streams) => streams.unwrap_or_default(),
                Err(error) => return error,
            };
            // Entries after the cursor may be those of another log, so the cursor comes first.
            if self.cursor.is_some() {
                match self.is_where_it_was(connection).await {
                    Ok(true) => {}
                    Ok(false) => match self.catch_up(connection).await {
                        Ok(()) => continue,
                        Err(error) => return error,
                    },
                    Err(error) => return error,
                }
            }
            for (_, entries) in entries {
                self.cursor = self.shared.receive_all(entries, drop).or_else(|| self.cursor.take());
            }
        }
    }
}

impl Shared {
    /// Acts on entries of the log. Returns the last one.
    fn receive_all(&self, entries: Vec<Stored>, mut has: impl FnMut(EntryId)) -> Option<Cursor> {
        let mut cursor = None;
        for (place, fields) in entries {
            let fields = fields.unwrap_or_default();
            let id = id_of(&fields);
            cursor = Some(Cursor { place, id });
            let Some(id) = id else { continue };
            if self.receive(id, &fields) {
                has(id);
            }
        }
        cursor
    }

    /// Sends changes as they come.
    async fn send(&self, mut connection: MultiplexedConnection) -> RedisError {
        let mut next_beat = Instant::now();
        loop {
            if self.limits.takes_beat() || next_beat <= Instant::now() {
                next_beat = Instant::now() + BEAT;
                if let Err(error) = self.limits.beat(&mut connection).await {
                    return error;
                }
            }
            // Many calls of limits delay no revocation.
            let batch = lock(&self.log).next(BATCH);
            if !batch.is_empty() {
                match asked_all(&mut connection, &self.additions(&batch)).await {
                    Ok(()) => self.acknowledge(&batch),
                    Err(error) => return error,
                }
            }
            match self.limits.make_calls(&mut connection).await {
                Ok(false) => continue,
                Ok(true) => self.limits.connected(&connection),
                Err(error) => return error,
            }
            if batch.is_empty() {
                _ = tokio::time::timeout_at(next_beat, self.added.notified()).await;
            }
        }
    }

    fn additions(&self, batch: &[Waiting]) -> Pipeline {
        let mut pipeline = redis::pipe();
        for (_, entry) in batch {
            let add = pipeline.cmd("XADD").arg(&self.keys.log).arg("MAXLEN").arg("~").arg(MOST_KEPT);
            add.arg("*").arg(ID).arg(&entry.id[..]);
            for (key, sealed) in self.seals.seal(entry) {
                add.arg(&key[..]).arg(sealed);
            }
            add.ignore();
        }
        pipeline.cmd("PEXPIRE").arg(&self.keys.log).arg(LOG_LIFE.as_millis() as u64).ignore();
        pipeline
    }
}

/// The answer to a command that changes nothing if it is sent twice. It is, once, if there is no answer in time.
async fn asked<T: FromRedisValue>(connection: &mut MultiplexedConnection, command: &Cmd) -> RedisResult<T> {
    match command.query_async(connection).await {
        Err(error) if error.is_timeout() => command.query_async(connection).await,
        answer => answer,
    }
}

/// The same for several commands.
async fn asked_all(connection: &mut MultiplexedConnection, commands: &Pipeline) -> RedisResult<()> {
    match commands.query_async(connection).await {
        Err(error) if error.is_timeout() => commands.query_async(connection).await,
        answer => answer,
    }
}

fn id_of(fields: &[Vec<u8>]) -> Option<EntryId> {
    fields.chunks_exact(2).find(|pair| pair[0] == ID)?[1].as_slice().try_into().ok()
}

/// A place in the log, to be compared.
fn place(text: &str) -> Option<(u64, u64)> {
    let (time, number) = text.split_once('-')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}
