//! Files that aren't ours, or that others could get at.

use std::path::Path;

use super::{Dir, open, sql};
use crate::store::{SqliteStore, StoreErrorKind};

fn refused(path: &Path) -> Option<StoreErrorKind> {
    let error = SqliteStore::open(path).err()?;
    assert!(error.to_string().contains(error.path().to_str().unwrap()), "the error names the path");
    Some(error.kind())
}

#[test]
fn h8_a_corrupt_or_foreign_file_is_refused_and_left_as_it_was() {
    type Make = fn(&Path);
    let files: [(&str, Make); 8] = [
        ("text", |path| std::fs::write(path, "Dear diary, ".repeat(1000)).unwrap()),
        ("another program's", |path| {
            sql(path).execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
        }),
        ("of a later version", |path| {
            drop(open(path));
            sql(path).pragma_update(None, "user_version", 2).unwrap();
        }),
        ("with a trigger", |path| {
            drop(open(path));
            let trigger = "CREATE TRIGGER t BEFORE DELETE ON records BEGIN SELECT RAISE(IGNORE); END";
            sql(path).execute_batch(trigger).unwrap();
        }),
        ("without an index", |path| {
            drop(open(path));
            sql(path).execute_batch("DROP INDEX records_user").unwrap();
        }),
        ("in the mode of a write-ahead log", |path| {
            drop(open(path));
            let mode: String =
                sql(path).pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
        }),
        ("with garbage in it", |path| {
            drop(open(path));
            let mut bytes = std::fs::read(path).unwrap();
            bytes[4096..4196].fill(0xff);
            std::fs::write(path, bytes).unwrap();
        }),
        ("cut off", |path| {
            drop(open(path));
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
    ];
    for (what, make) in files {
        let dir = Dir::new();
        make(&dir.path());
        let before = std::fs::read(dir.path()).unwrap();
        assert_eq!(refused(&dir.path()), Some(StoreErrorKind::Format), "{what}");
        assert!(std::fs::read(dir.path()).unwrap() == before, "{what}");
    }
}

#[test]
fn h8_a_foreign_journal_is_not_rolled_back_into_a_foreign_file() {
    let dir = Dir::new();
    std::fs::write(dir.path(), "not a database").unwrap();
    let journal = dir.path().with_file_name("state-journal");
    std::fs::write(&journal, "somebody's").unwrap();
    assert_eq!(refused(&dir.path()), Some(StoreErrorKind::Format));
    assert_eq!(std::fs::read(dir.path()).unwrap(), b"not a database");
    assert_eq!(std::fs::read(&journal).unwrap(), b"somebody's");
}

#[cfg(unix)]
#[test]
fn h6_links_other_owners_and_shared_directories_are_refused() {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let dir = Dir::new();
    drop(open(&dir.path()));
    let link = dir.path().with_file_name("link");
    symlink(dir.path(), &link).unwrap();
    assert_eq!(refused(&link), Some(StoreErrorKind::NotAFile));
    symlink(dir.path().with_file_name("nowhere"), dir.path().with_file_name("dangling")).unwrap();
    assert_eq!(refused(&dir.path().with_file_name("dangling")), Some(StoreErrorKind::NotAFile));
    assert!(!dir.path().with_file_name("nowhere").exists());
    std::fs::create_dir(dir.0.join("directory")).unwrap();
    assert_eq!(refused(&dir.0.join("directory")), Some(StoreErrorKind::NotAFile));
    let hard = dir.path().with_file_name("hard");
    std::fs::hard_link(dir.path(), &hard).unwrap();
    assert_eq!(refused(&dir.path()), Some(StoreErrorKind::Unsafe));
    std::fs::remove_file(hard).unwrap();
    let journal = dir.path().with_file_name("state-journal");
    symlink("/etc/passwd", &journal).unwrap();
    assert_eq!(refused(&dir.path()), Some(StoreErrorKind::NotAFile));
    std::fs::remove_file(journal).unwrap();
    for open_to_others in [0o770, 0o707, 0o1777] {
        mode(&dir.0, open_to_others);
        assert_eq!(refused(&dir.path()), Some(StoreErrorKind::Unsafe), "{open_to_others:o}");
    }
    mode(&dir.0, 0o755);
    mode(&dir.path(), 0o644);
    drop(open(&dir.path()));
    assert_eq!(std::fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o600);
    // Only the superuser can give a file away.
    if chown(dir.path(), Some(1), None).is_ok() {
        assert_eq!(refused(&dir.path()), Some(StoreErrorKind::Unsafe));
        chown(dir.path(), Some(0), None).unwrap();
        chown(&dir.0, Some(1), None).unwrap();
        assert_eq!(refused(&dir.path()), Some(StoreErrorKind::Unsafe));
    }
}

#[test]
fn a_path_with_any_characters_is_a_path() {
    let dir = Dir::new();
    let path = dir.0.join("a b?immutable=1#c%20é");
    drop(open(&path));
    drop(open(&path));
    assert!(path.exists());
    assert_eq!(refused(&dir.0.join("missing").join("state")), Some(StoreErrorKind::Io));
}

#[test]
fn h8_a_write_ahead_log_beside_the_file_is_not_read_into_it() {
    let dir = Dir::new();
    drop(open(&dir.path()));
    let log = dir.path().with_file_name("state-wal");
    std::fs::write(&log, "somebody's").unwrap();
    assert_eq!(refused(&dir.path()), Some(StoreErrorKind::Format));
    assert_eq!(std::fs::read(&log).unwrap(), b"somebody's");
}

/// `VACUUM` writes the tables in an order of its own.
#[test]
fn a_file_that_was_vacuumed_is_opened() {
    let dir = Dir::new();
    drop(open(&dir.path()));
    sql(&dir.path()).execute_batch("VACUUM").unwrap();
    assert_eq!(refused(&dir.path()), None);
}

/// The journal's removal ends a transaction, and is on the disk only when its directory is synced.
#[test]
fn h5_a_transaction_that_is_over_survives_a_power_failure() {
    let dir = Dir::new();
    let store = SqliteStore::open(dir.path()).unwrap();
    let connection = store.connection.lock().unwrap();
    let pragma =
        |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
    assert_eq!(pragma("journal_mode").unwrap(), "delete".to_owned().into());
    // `EXTRA`, https://www.sqlite.org/pragma.html#pragma_synchronous.
    assert_eq!(pragma("synchronous").unwrap(), 3.into());
}
