//! The tables, in the form that this version of the crate knows.

use sqlx::AnyPool;
use sqlx::migrate::Migrator;

use super::dialect::Dialect;
use crate::error::{MirrorError, MirrorErrorKind};

#[cfg(feature = "sqlite")]
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
#[cfg(feature = "postgres")]
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// An application has migrations of its own in sqlx's table of the default name, and each would take the other's for unknown.
const TABLE: &str = "clerk_mirror_migrations";

fn migrator(dialect: Dialect) -> Migrator {
    let embedded = match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => &SQLITE,
        #[cfg(feature = "postgres")]
        Dialect::Postgres => &POSTGRES,
    };
    let mut migrator = Migrator::with_migrations(embedded.iter().cloned().collect());
    migrator.dangerous_set_table_name(TABLE);
    migrator
}

/// Brings the tables up to date. Processes that start at once wait for each other.
pub(crate) async fn migrate(pool: &AnyPool, dialect: Dialect) -> Result<(), MirrorError> {
    Ok(migrator(dialect).run(pool).await?)
}

/// Compares the tables with those that this program knows, without a change.
pub(crate) async fn check(pool: &AnyPool, dialect: Dialect) -> Result<(), MirrorError> {
    let known = migrator(dialect).iter().map(|migration| migration.version).max();
    let found: Result<Option<i64>, sqlx::Error> =
        sqlx::query_scalar("SELECT MAX(version) FROM clerk_mirror_migrations").fetch_one(pool).await;
    let schema = |detail| Err(MirrorError::new(MirrorErrorKind::Schema, detail));
    match found {
        Ok(found) if found == known => Ok(()),
        Ok(found) if found > known => {
            schema("the mirror's tables are newer than this program: update the program")
        }
        Ok(_) => schema("the mirror's tables are older than this program: run `clerk-sync migrate`"),
        // The table isn't there.
        Err(sqlx::Error::Database(_)) => schema("the database has no mirror: run `clerk-sync migrate`"),
        Err(error) => Err(error.into()),
    }
}
