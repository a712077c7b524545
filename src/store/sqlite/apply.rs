//! One write inside a transaction.

use rusqlite::{OptionalExtension as _, ToSql, Transaction, params};

use super::queue::{Done, Op};
use super::schema::{self, sql_time};
use crate::store::MOST_LOGINS_OF_USER;
use crate::store::records::{If, Kind, Row, Tag, Targets};
use crate::store::sealing::header_of;

/// How many records of a kind one user has, who could otherwise fill the disk.
fn most_of_user(kind: Kind) -> i64 {
    match kind {
        Kind::Login | Kind::Device => MOST_LOGINS_OF_USER as i64,
        Kind::Session => 256,
    }
}

const STORED: &str = "SELECT sealed FROM records WHERE name = ?1";
const PUT: &str = "INSERT OR REPLACE INTO records (name, instance, kind, user, session, ends, revision, sealed) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const CROWD: &str = "DELETE FROM records WHERE name IN (SELECT name FROM records WHERE user = ?1 AND kind = ?2 \
                     ORDER BY revision DESC, name = ?3 DESC LIMIT -1 OFFSET ?4)";
const DELETE: &str = "DELETE FROM records WHERE name = ?1";
const DEPART: &str = "INSERT INTO departures (instance, at, told) VALUES (?1, ?2, ?3)";
const OTHER_TIMES: &str = "DELETE FROM departures WHERE at < ?1 OR at > ?2";

/// How long departures are kept, in milliseconds. No window of a budget is longer than an hour.
const DEPARTURES: i64 = 3600 * 1000;

pub(super) fn apply(transaction: &Transaction<'_>, instance: Tag, op: &Op) -> rusqlite::Result<Done> {
    Ok(match op {
        Op::Put(row, condition) => Done::Written(put(transaction, instance, row, *condition)?),
        Op::Take(targets) => Done::Taken(take(transaction, instance, *targets)?),
        Op::Departed { at, is_told } => {
            let at = sql_time(*at);
            transaction.prepare_cached(DEPART)?.execute(params![&instance.0[..], at, is_told])?;
            // Clerk's time shows which ones are old, and which were noted by a clock that was fast.
            if *is_told {
                transaction.prepare_cached(OTHER_TIMES)?.execute([at - DEPARTURES, at])?;
            }
            Done::Nothing
        }
        Op::Flush => Done::Nothing,
    })
}

fn put(transaction: &Transaction<'_>, instance: Tag, row: &Row, condition: If) -> rusqlite::Result<bool> {
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
        &instance.0[..],
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

/// Also takes what can't be read as a record.
fn take(transaction: &Transaction<'_>, instance: Tag, targets: Targets) -> rusqlite::Result<Vec<Row>> {
    let (condition, value): (&str, Option<&dyn ToSql>) = match &targets {
        Targets::Name(name, _) => ("AND name = ?2", Some(&name.0 as &dyn ToSql)),
        Targets::User(user) | Targets::LoginsBefore(user, _) => ("AND user = ?2", Some(&user.0)),
        Targets::Session(session, _) => ("AND session = ?2", Some(&session.0)),
        Targets::All => ("", None),
    };
    let mut select = transaction.prepare_cached(&format!("{} {condition}", schema::SELECT_ALL))?;
    let mut found = Vec::new();
    let values = [Some(&instance.0 as &dyn ToSql), value];
    let mut rows = select.query(rusqlite::params_from_iter(values.into_iter().flatten()))?;
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
