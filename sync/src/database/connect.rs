//! How the database is opened.

use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions};

use super::dialect::Dialect;
use crate::error::MirrorError;

/// Opens the database. It is reached at once, so that a wrong address is found at the start.
pub(crate) async fn open(
    url: &str,
    dialect: Dialect,
    connections: u32,
    wait: Duration,
) -> Result<AnyPool, MirrorError> {
    sqlx::any::install_default_drivers();
    let pool = AnyPoolOptions::new().max_connections(connections).acquire_timeout(wait);
    let pool = match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            sqlite::create_file(url)?;
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(sqlite::PRAGMAS).execute(connection).await?;
                    Ok(())
                })
            })
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => pool,
    };
    // The address isn't shown: it may hold a password.
    let options = AnyConnectOptions::from_str(url)
        .map_err(|_| MirrorError::setting("the database's address is no URL"))?
        .disable_statement_logging();
    Ok(pool.connect_with(options).await?)
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::fs::OpenOptions;
    use std::io::ErrorKind;

    use crate::error::MirrorError;

    /// Each commit is on disk before it is answered for: Clerk's sender doesn't send an event again after a 204.
    /// `secure_delete` overwrites what a tombstone erases.
    pub(super) const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                                      PRAGMA secure_delete = ON;";

    /// Creates the file with mode 600. SQLite gives the files beside it (`-wal`, `-shm`) the same mode.
    pub(super) fn create_file(url: &str) -> Result<(), MirrorError> {
        let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
        let path = path.split('?').next().unwrap_or_default();
        if path.is_empty() || path == ":memory:" || url.contains("mode=memory") {
            return Err(MirrorError::setting(
                "the mirror needs a file, such as `sqlite://mirror.db`: each connection would have a memory of its own",
            ));
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(MirrorError::setting(format!("the database's file can't be created: {error}"))),
        }
    }
}
