//! The data key of a file, under the operator's keys.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{key_file, schema};
use crate::store::sealing::{DataKey, unwrap, wrap};
use crate::store::{StoreError, StoreErrorKind, StoreKey};

/// Opens the data key, or makes it in a new file. Encrypts it under the first of the keys, and removes what was
/// encrypted under keys that are no longer given.
pub(super) fn unlock(
    connection: &mut Connection,
    path: &Path,
    given: Option<&[StoreKey]>,
) -> Result<DataKey, StoreError> {
    let failed = |error| schema::failed(path, error);
    // Immediate, so that two processes that start at once make one key.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let stored = stored(&transaction).map_err(failed)?;
    let is_new = stored.is_empty() && is_empty(&transaction).map_err(failed)?;
    let from_file;
    let keys = match given {
        Some([]) => return Err(no_key(path, "no key was given")),
        Some(keys) => keys,
        None => {
            from_file = [key_file::read_or_make(path, is_new)?];
            &from_file[..]
        }
    };
    let data_key = if stored.is_empty() {
        let random = DataKey::random().filter(|_| is_new);
        random.ok_or_else(|| no_key(path, "it has records, but not the key that they are encrypted under"))?
    } else {
        let opened = keys.iter().find_map(|key| {
            let (_, sealed) = stored.iter().find(|(id, _)| id[..] == key.id())?;
            unwrap(sealed, key)
        });
        let reason = "none of the keys opens it: give the key that it was last used with, too";
        opened.ok_or_else(|| no_key(path, reason))?
    };
    let written = write(&transaction, &stored, keys, &data_key).and_then(|()| transaction.commit());
    written.map_err(failed)?;
    Ok(data_key)
}

fn no_key(path: &Path, reason: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Key, path, reason)
}

type Stored = Vec<(Vec<u8>, Vec<u8>)>;

fn stored(transaction: &Transaction<'_>) -> rusqlite::Result<Stored> {
    let mut select = transaction.prepare("SELECT id, sealed FROM data_keys")?;
    let stored = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    stored.collect()
}

fn is_empty(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    transaction.query_row("SELECT NOT EXISTS (SELECT 1 FROM records)", [], |row| row.get(0))
}

fn write(
    transaction: &Transaction<'_>,
    stored: &Stored,
    keys: &[StoreKey],
    data_key: &DataKey,
) -> rusqlite::Result<()> {
    for (id, _) in stored.iter().filter(|(id, _)| keys.iter().all(|key| id[..] != key.id())) {
        transaction.execute("DELETE FROM data_keys WHERE id = ?1", [id])?;
    }
    for key in keys.iter().filter(|key| stored.iter().all(|(id, _)| id[..] != key.id())) {
        // Without random bytes the file stays as it is, and the next start tries again.
        if let Some(sealed) = wrap(data_key, key) {
            let insert = "INSERT OR REPLACE INTO data_keys (id, sealed) VALUES (?1, ?2)";
            transaction.execute(insert, (&key.id()[..], sealed))?;
        }
    }
    Ok(())
}
