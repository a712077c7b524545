//! Where SQLite and PostgreSQL differ.

use crate::error::MirrorError;

/// The database's dialect of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    #[cfg(feature = "sqlite")]
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Dialect {
    /// The dialect of a database's address.
    pub(crate) fn of(url: &str) -> Result<Self, MirrorError> {
        match url.split_once(':').map_or("", |(scheme, _)| scheme) {
            #[cfg(feature = "sqlite")]
            "sqlite" => Ok(Self::Sqlite),
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => Ok(Self::Postgres),
            scheme if ["sqlite", "postgres", "postgresql"].contains(&scheme) => {
                Err(MirrorError::setting("this program is built without the driver of that database"))
            }
            _ => Err(MirrorError::setting(
                "the database's address begins with neither `sqlite://` nor `postgres://`",
            )),
        }
    }

    /// The statement that begins a transaction that writes.
    ///
    /// SQLite: with the lock, since a transaction that begins as a reader fails when another one has written meanwhile.
    /// PostgreSQL: the rules rest on each statement seeing what was committed before it, whatever the server's default is.
    pub(crate) const fn begin(self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "BEGIN IMMEDIATE",
            #[cfg(feature = "postgres")]
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// Ends a `SELECT` whose rows nobody else may change until the transaction ends. SQLite has one writer at a time.
    pub(crate) const fn for_update(self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "",
            #[cfg(feature = "postgres")]
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// As [`for_update`](Self::for_update), but with others who do the same.
    pub(crate) const fn for_share(self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "",
            #[cfg(feature = "postgres")]
            Self::Postgres => " FOR SHARE",
        }
    }

    /// The type that a parameter with JSON is cast to.
    pub(crate) const fn json(self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "TEXT",
            #[cfg(feature = "postgres")]
            Self::Postgres => "JSONB",
        }
    }
}
