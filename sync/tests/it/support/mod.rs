//! Databases for tests: a file for SQLite, and Debian's PostgreSQL in a folder of its own.

mod folder;
mod postgres;

pub(crate) use self::folder::Folder;
pub(crate) use self::postgres::Server;

/// A database of one test.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) is_postgres: bool,
    _folder: Option<Folder>,
}

impl Database {
    /// A file in a folder that goes with the test.
    pub(crate) fn sqlite() -> Self {
        let folder = Folder::new();
        let url = format!("sqlite://{}", folder.path().join("mirror.db").display());
        Self { url, is_postgres: false, _folder: Some(folder) }
    }

    /// A database of the server that all tests of this process share; `None` where PostgreSQL isn't installed.
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::of(Server::shared()?).await)
    }

    /// A database of this server.
    pub(crate) async fn of(server: &Server) -> Self {
        Self { url: server.create_database().await, is_postgres: true, _folder: None }
    }
}

/// Runs a test on an empty database of each kind.
pub(crate) async fn each(test: impl AsyncFn(&Database)) {
    test(&Database::sqlite()).await;
    if let Some(database) = Database::postgres().await {
        test(&database).await;
    }
}
