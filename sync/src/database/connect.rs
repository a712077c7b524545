//! How the database is opened.

use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions, Connection as _};

use super::dialect::Dialect;
use crate::error::MirrorError;

/// A connection that was used within this time is used again without a ping.
const TRUSTED: Duration = Duration::from_secs(1);

/// Opens the database. It is reached at once, so that a wrong address is found at the start.
pub(crate) async fn open(
    url: &str,
    dialect: Dialect,
    connections: u32,
    wait: Duration,
) -> Result<AnyPool, MirrorError> {
    sqlx::any::install_default_drivers();
    // The address isn't shown: it may hold a password.
    let options = AnyConnectOptions::from_str(url)
        .map_err(|_| MirrorError::setting("the database's address is no URL"))?
        .disable_statement_logging();
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(wait)
        // A ping before each transaction would be one of its six round trips.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        });
    let pool = match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            sqlite::create_file(&options)?;
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
    #[cfg(feature = "postgres")]
    let options = if dialect == Dialect::Postgres { postgres::without_unknown(options) } else { options };
    Ok(pool.connect_with(options).await?)
}

#[cfg(feature = "postgres")]
mod postgres {
    use sqlx::any::AnyConnectOptions;

    /// The parameters of an address that sqlx knows
    /// (<https://docs.rs/sqlx/0.9.0/sqlx/postgres/struct.PgConnectOptions.html>, and `options[…]`).
    const KNOWN: [&str; 18] = [
        "sslmode",
        "ssl-mode",
        "sslrootcert",
        "ssl-root-cert",
        "ssl-ca",
        "sslcert",
        "ssl-cert",
        "sslkey",
        "ssl-key",
        "statement-cache-capacity",
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "password",
        "application_name",
        "options",
    ];

    /// Leaves out the parameters that sqlx doesn't know: it logs each with its value, and one of them is `libpq`'s `sslpassword`.
    pub(super) fn without_unknown(mut options: AnyConnectOptions) -> AnyConnectOptions {
        let url = &mut options.database_url;
        let is_known = |name: &str| KNOWN.contains(&name) || name.starts_with("options[");
        let given: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        if given.iter().all(|(name, _)| is_known(name)) {
            return options;
        }
        url.set_query(None);
        for (name, value) in given {
            if is_known(&name) {
                url.query_pairs_mut().append_pair(&name, &value);
            }
        }
        // The names aren't shown: a `&` in a password that wasn't encoded makes a name of the rest.
        tracing::warn!(
            target: "tower_clerk_sync",
            "the database's address has parameters that sqlx doesn't know, and that have no effect"
        );
        options
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::fs::{self, OpenOptions};
    use std::io::{self, ErrorKind};
    use std::path::Path;

    use sqlx::ConnectOptions as _;
    use sqlx::any::AnyConnectOptions;
    use sqlx::sqlite::SqliteConnectOptions;

    use crate::error::MirrorError;

    /// Each commit is on disk before it is answered for: Clerk's sender doesn't send an event again after a 204.
    /// `secure_delete` overwrites what a tombstone erases.
    pub(super) const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                                      PRAGMA secure_delete = ON;";

    /// Creates the file with mode 600. SQLite gives the files beside it (`-wal`, `-shm`) the same mode.
    pub(super) fn create_file(options: &AnyConnectOptions) -> Result<(), MirrorError> {
        // The path as the driver reads it, so that it doesn't create another file, with another mode.
        let is_memory = options.database_url.as_str().contains("mode=memory");
        let options = SqliteConnectOptions::from_url(&options.database_url)
            .map_err(|_| MirrorError::setting("the database's address is none of a SQLite file"))?;
        let path = options.get_filename();
        let name = path.as_os_str();
        let in_memory = name.to_string_lossy().starts_with("file:sqlx-in-memory-");
        if name.is_empty() || in_memory || is_memory {
            return Err(MirrorError::setting(
                "the mirror needs a file, such as `sqlite://mirror.db`: each connection would have a memory of its own",
            ));
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let checked = match options.open(path) {
            Ok(_) => Ok(()),
            // A link that points to nothing is no file to open, and SQLite would create one with another mode behind it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => check_mode(path),
            Err(error) => Err(error),
        };
        checked.map_err(|error| {
            MirrorError::setting(format!("the database's file can't be created or opened: {error}"))
        })
    }

    /// A file that was there may be the application's own, whose mode isn't for the mirror to change.
    fn check_mode(path: &Path) -> io::Result<()> {
        let found = fs::metadata(path)?;
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&found.permissions());
            if mode & 0o007 != 0 {
                tracing::warn!(
                    target: "tower_clerk_sync",
                    mode = %format_args!("{:o}", mode & 0o777),
                    "the database's file, which holds personal data, is open to all users of the machine: use `chmod o=`"
                );
            }
        }
        #[cfg(not(unix))]
        let _ = found;
        Ok(())
    }
}
