//! A store in a file, which outlives the engines that use it, as a file does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tower_clerk::store::SqliteStore;

use crate::common::settle;

/// The kinds of records in the file.
pub(crate) const LOGIN: i64 = 1;
pub(crate) const DEVICE: i64 = 2;
pub(crate) const SESSION: i64 = 3;

/// A store that several engines open, one after another or at a time, and that a test can damage. Removed with its last
/// clone.
#[derive(Clone)]
pub(crate) struct StoreFile(Arc<Directory>);

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

impl StoreFile {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("tower-clerk-it-{}-{count}", std::process::id()));
        _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        Self(Arc::new(Directory(directory)))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.0.join("store")
    }

    /// The store, with a password function that costs no time, and on a disk that is waited for.
    pub(crate) fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path()).unwrap().weak_password_cost().read_patience(Duration::from_secs(30))
    }

    /// Changes the file behind the engines' back.
    pub(crate) fn change(&self, sql: &str) {
        self.connect().execute_batch(sql).unwrap();
    }

    /// Loses the records of a kind, once those of all sign-ins so far are written.
    pub(crate) async fn lose(&self, kind: i64) {
        settle().await;
        self.change(&format!("DELETE FROM records WHERE kind = {kind}"));
    }

    /// Loses the login records, so that the next engine proves each password anew.
    pub(crate) async fn lose_logins(&self) {
        self.lose(LOGIN).await;
    }

    pub(crate) fn count(&self, kind: i64) -> i64 {
        let count = "SELECT COUNT(*) FROM records WHERE kind = ?1";
        self.connect().query_row(count, [kind], |row| row.get(0)).unwrap()
    }

    /// The encrypted content of the records of a kind.
    pub(crate) fn sealed(&self, kind: i64) -> Vec<Vec<u8>> {
        let connection = self.connect();
        let mut query =
            connection.prepare("SELECT sealed FROM records WHERE kind = ?1 ORDER BY name").unwrap();
        query.query_map([kind], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}
