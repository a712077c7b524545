//! One write inside a transaction.

use rusqlite::{OptionalExtension as _, ToSql, Transaction, params};

use super::queue::{Done, Op};
use super::schema::{self, sql_time};
use crate::store::records::{If, Kind, Row, Targets};
use crate::store::sealing::header_of;

/// How many records of a kind one user has: each spelling of an identifier is another login, so one user could
/// otherwise fill the disk.
fn most_of_user(kind: Kind) -> i64 {
    match kind {
        Kind::Login | Kind::Device => 16,
        Kind::Session => 256,
    }
}

const STORED: &str = "SELECT sealed FROM records WHERE name = ?1";
const PUT: &str = "INSERT OR REPLACE INTO records (name, kind, user, session, ends, revision, sealed) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const CROWD: &str = "DELETE FROM records WHERE name IN (SELECT name FROM records WHERE user = ?1 AND kind = ?2 \
                     ORDER BY revision DESC, name = ?3 DESC LIMIT -1 OFFSET ?4)";
const DELETE: &str = "DELETE FROM records WHERE name = ?1";
const DEPART: &str = "INSERT INTO departures (at) VALUES (?1)";

pub(super) fn apply(transaction: &Transaction<'_>, op: &Op) -> rusqlite::Result<Done> {
    Ok(match op {
        Op::Put(row, condition) => Done::Written(put(transaction, row, *condition)?),
        Op::Take(targets) => Done::Taken(take(transaction, *targets)?),
        Op::Departed(at) => {
            transaction.prepare_cached(DEPART)?.execute([sql_time(*at)])?;
            Done::Nothing
        }
        Op::Flush => Done::Nothing,
    })
}

fn put(transaction: &Transaction<'_>, row: &Row, condition: If) -> rusqlite::Result<bool> {
    let (name, header) = (&row.name.0[..], &row.header);
    let sealed = |row: &rusqlite::Row<'_>| row.get::<_, Vec<u8>>(0);
    let stored = match transaction.prepare_cached(STORED)?.query_row([name], sealed).optional()? {
        None => None,
        Some(sealed) => match header_of(&sealed) {
            // A later version has written it, and may still use it.
            None => return Ok(false),
            header => header,
        },
    };
    if !condition.holds(stored.as_ref(), Some(header)) {
        return Ok(false);
    }
    let (user, session, kind) = (&header.user.0[..], &header.session.0[..], header.kind as u8);
    transaction.prepare_cached(PUT)?.execute(params![
        name,
        kind,
        user,
        session,
        sql_time(header.ends),
        sql_time(header.revision),
        &row.sealed[..],
    ])?;
    let most = most_of_user(header.kind);
    transaction.prepare_cached(CROWD)?.execute(params![user, kind, name, most])?;
    Ok(true)
}

fn take(transaction: &Transaction<'_>, targets: Targets) -> rusqlite::Result<Vec<Row>> {
    let (condition, value): (&str, Option<&dyn ToSql>) = match &targets {
        Targets::Name(name, _) => ("name = ?1", Some(&name.0 as &dyn ToSql)),
        Targets::User(user) | Targets::LoginsBefore(user, _) => ("user = ?1", Some(&user.0)),
        Targets::Session(session, _) => ("session = ?1", Some(&session.0)),
        // Also what can't be read as a record.
        Targets::All => ("TRUE", None),
    };
    let mut select = transaction.prepare_cached(&format!("{} WHERE {condition}", schema::SELECT_ALL))?;
    let mut found = Vec::new();
    let mut rows = select.query(rusqlite::params_from_iter(value))?;
    while let Some(row) = rows.next()? {
        found.push((row.get::<_, Vec<u8>>(0)?, schema::row(row)?));
    }
    drop(rows);
    let mut delete = transaction.prepare_cached(DELETE)?;
    let mut taken = Vec::new();
    for (name, row) in found {
        let included = match &row {
            Some(row) => targets.include(row.name, &row.header),
            // A record of a later version goes with its user or session, but its login's time can't be told.
            None => !matches!(targets, Targets::Name(_, If::Revision(_) | If::NotOlder)),
        };
        if included {
            delete.execute([&name[..]])?;
            taken.extend(row);
        }
    }
    Ok(taken)
}
