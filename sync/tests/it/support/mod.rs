//! Databases for tests: a file for SQLite, and Debian's PostgreSQL in a folder of its own.

mod folder;
mod postgres;

pub(crate) use self::folder::Folder;
pub(crate) use self::postgres::Server;

/// A database of one test.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) is_postgres: bool,
    pub(crate) folder: Option<Folder>,
}

impl Database {
    /// A file in a folder that goes with the test.
    pub(crate) fn sqlite() -> Self {
        let folder = Folder::new();
        let url = format!("sqlite://{}", folder.path().join("mirror.db").display());
        Self { url, is_postgres: false, folder: Some(folder) }
    }

    /// A database of the server that all tests of this process share; `None` where PostgreSQL isn't installed.
    pub(crate) async fn postgres() -> Option<Self> {
        let url = Server::shared()?.create_database().await;
        Some(Self { url, is_postgres: true, folder: None })
    }
}

/// Runs a test on an empty database of each kind.
pub(crate) async fn each(test: impl AsyncFn(&Database)) {
    test(&Database::sqlite()).await;
    if let Some(database) = Database::postgres().await {
        test(&database).await;
    }
}
