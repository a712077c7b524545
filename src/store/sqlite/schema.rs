//! The tables, which never change: so nothing is migrated, and an older version of this crate can read the file again.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::store::records::{Header, Kind, Name, Row, Tag};
use crate::store::sealing::header_of;
use crate::store::{StoreError, StoreErrorKind, from_millis, millis};

/// `tclk`, in the header of the file, <https://www.sqlite.org/fileformat.html#application_id>.
pub(super) const APPLICATION: u32 = 0x7463_6c6b;

/// The version of the tables.
pub(super) const VERSION: u32 = 1;

/// By name. The instance is that of the engine which wrote the record.
const TABLES: [(&str, &str); 6] = [
    ("data_keys", "CREATE TABLE data_keys (id BLOB PRIMARY KEY NOT NULL, sealed BLOB NOT NULL) STRICT"),
    (
        "departures",
        "CREATE TABLE departures (instance BLOB NOT NULL, at INTEGER NOT NULL, told INTEGER NOT NULL) STRICT",
    ),
    ("departures_at", "CREATE INDEX departures_at ON departures (at)"),
    (
        "records",
        "CREATE TABLE records (name BLOB PRIMARY KEY NOT NULL, instance BLOB NOT NULL, kind INTEGER NOT NULL, \
         user BLOB NOT NULL, session BLOB NOT NULL, ends INTEGER NOT NULL, revision INTEGER NOT NULL, \
         sealed BLOB NOT NULL) STRICT",
    ),
    ("records_session", "CREATE INDEX records_session ON records (session)"),
    ("records_user", "CREATE INDEX records_user ON records (user)"),
];

/// The records of an instance. One that was given to another instance is absent for both.
pub(super) const SELECT_ALL: &str =
    "SELECT name, kind, user, session, ends, revision, sealed FROM records WHERE instance = ?1";
pub(super) const SELECT: &str =
    "SELECT name, kind, user, session, ends, revision, sealed FROM records WHERE instance = ?1 AND name = ?2";
pub(super) const SELECT_OF_USER: &str =
    "SELECT name, kind, user, session, ends, revision, sealed FROM records WHERE instance = ?1 AND user = ?2";

/// How long another process may hold the file before a write or the start fails.
const BUSY: Duration = Duration::from_secs(5);

/// Records are removed this long after their end. The margin is wide because the machine's clock may be wrong: the
/// engine ignores ended ones by Clerk's time. Only the user can enroll a device again, so its margin is wider.
const MARGIN: Duration = Duration::from_secs(60 * 24 * 3600);
const DEVICE_MARGIN: Duration = Duration::from_secs(365 * 24 * 3600);

/// The most records of each kind.
const MOST: i64 = 1_000_000;

/// Files of more pages than this aren't checked as a whole at the start: 64 MiB.
const PAGES_CHECKED: i64 = 16_384;

/// Opens a connection, after [`file::prepare`](super::file::prepare) has checked the file.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let set = |connection: &Connection| {
        connection.busy_timeout(BUSY)?;
        // The file may have been made by someone else: nothing in it may act.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        // A revocation that was written must not be undone by a power failure, and a removed record not be readable.
        // `FULL` doesn't sync the directory after a transaction has removed its journal, which could come back.
        connection.pragma_update(None, "synchronous", "EXTRA")?;
        connection.pragma_update(None, "secure_delete", true)
    };
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(path, error))?;
    set(&connection).map_err(|error| failed(path, error))?;
    Ok(connection)
}

/// Opens the file, and makes the tables if it is new. A file that isn't one of this store is left as it is.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    check(path)?;
    let mut connection = connect(path)?;
    let is_ours = create_or_check(&mut connection).map_err(|error| failed(path, error))?;
    if is_ours { Ok(connection) } else { Err(format(path)) }
}

/// Reads what the file says it is, without locks and journals: a foreign file's journal must not be rolled back into it,
/// nor a forged one into ours.
fn check(path: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_URI;
    let read = || {
        let connection = Connection::open_with_flags(immutable(path), flags)?;
        let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let marks = (number("application_id")?, number("user_version")?);
        let is_empty = number("schema_version")? == 0 && marks == (0, 0);
        Ok(is_empty || marks == (APPLICATION.into(), VERSION.into()))
    };
    match read() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format(path)),
        Err(error) => Err(failed(path, error)),
    }
}

/// The URI of a file that is only read, <https://www.sqlite.org/uri.html>.
fn immutable(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~:".contains(&byte);
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\\' if cfg!(windows) => uri.push('/'),
            byte if is_plain(byte) => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri + "?immutable=1"
}

fn create_or_check(connection: &mut Connection) -> rusqlite::Result<bool> {
    // Immediate, so that of two processes that start at once only one makes the tables.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let number = |pragma: &str| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if tables == 0 && number("application_id")? == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        for (_, sql) in TABLES {
            transaction.execute(sql, [])?;
        }
        transaction.commit()?;
        return Ok(true);
    }
    let journal = transaction.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))?;
    let is_ours = journal != "wal"
        && number("application_id")? == i64::from(APPLICATION)
        && number("user_version")? == i64::from(VERSION)
        && has_tables(&transaction)?
        && (number("page_count")? > PAGES_CHECKED || is_whole(&transaction)?);
    transaction.rollback()?;
    Ok(is_ours)
}

/// Whether there are our tables, and nothing but them. An index that belongs to a primary key has no SQL.
fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let mut select =
        connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
    let found = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).eq(TABLES))
}

fn is_whole(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).map(|it| it == "ok")
}

pub(super) fn format(path: &Path) -> StoreError {
    let reason =
        "it is not a file of this store, is damaged, or was written by a later version; it was left as it is";
    StoreError::new(StoreErrorKind::Format, path, reason)
}

/// An error of SQLite, at the start.
pub(super) fn failed(path: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => format(path).caused_by(error),
        _ => {
            let reason = "SQLite can't read and write it";
            StoreError::new(StoreErrorKind::Io, path, reason).caused_by(error)
        }
    }
}

/// SQLite's integers have a sign, and our times don't need the bit.
pub(super) fn sql_time(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// A record. `None` if it can't be one of this version.
pub(super) fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Row>> {
    let bytes = |at| row.get::<_, Vec<u8>>(at);
    let (name, user, session, sealed) = (bytes(0)?, bytes(2)?, bytes(3)?, bytes(6)?);
    let numbers: [i64; 3] = [row.get(1)?, row.get(4)?, row.get(5)?];
    Ok(record(&name, &user, &session, sealed, numbers))
}

fn record(
    name: &[u8],
    user: &[u8],
    session: &[u8],
    sealed: Vec<u8>,
    [kind, ends, revision]: [i64; 3],
) -> Option<Row> {
    let columns = header_of(&sealed)?;
    let header = Header {
        kind: Kind::of(u8::try_from(kind).ok()?)?,
        revision: u64::try_from(revision).ok()?,
        ends: u64::try_from(ends).ok()?,
        user: Tag(user.try_into().ok()?),
        session: Tag(session.try_into().ok()?),
        ..columns
    };
    Some(Row { name: Name(name.try_into().ok()?), header, sealed: sealed.into() })
}

/// Removes records that have ended long ago, and those that are too many.
pub(super) fn purge(connection: &Connection, now: SystemTime) -> rusqlite::Result<()> {
    for kind in Kind::ALL {
        let margin = if kind == Kind::Device { DEVICE_MARGIN } else { MARGIN };
        let before = now.checked_sub(margin).map_or(0, millis);
        connection
            .prepare_cached("DELETE FROM records WHERE kind = ?1 AND ends < ?2")?
            .execute((kind as u8, sql_time(before)))?;
        connection
            .prepare_cached(
                "DELETE FROM records WHERE name IN \
                 (SELECT name FROM records WHERE kind = ?1 ORDER BY ends DESC LIMIT -1 OFFSET ?2)",
            )?
            .execute((kind as u8, MOST))?;
    }
    Ok(())
}

/// The departures of an instance in the last hour.
pub(super) fn departures(connection: &Connection, instance: Tag) -> rusqlite::Result<Vec<SystemTime>> {
    let mut select = connection.prepare("SELECT at FROM departures WHERE instance = ?1 ORDER BY at")?;
    let times = select.query_map([&instance.0[..]], |row| row.get::<_, i64>(0))?;
    times.map(|at| at.map(|at| from_millis(at.unsigned_abs()))).collect()
}

/// The last departure that was noted by Clerk's time. The clock of a process that has not heard it may be wrong.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<Option<SystemTime>> {
    let newest = "SELECT max(at) FROM departures WHERE told <> 0";
    let at: Option<i64> = connection.query_row(newest, [], |row| row.get(0))?;
    Ok(at.map(|at| from_millis(at.unsigned_abs())))
}
