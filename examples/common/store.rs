//! The store in the file or the Redis server that the environment names.

use std::error::Error as _;
use std::fs;

use tower_clerk::store::{InvalidStoreKey, RedisStore, SqliteStore, StoreError, StoreErrorKind, StoreKey};
use tower_clerk::{Clerk, ClerkBuilder, ConfigError};
use zeroize::Zeroizing;

/// The URL of an engine that is built only to check the store, and never sends a request.
const NOWHERE: &str = "http://127.0.0.1:1";

pub(crate) enum Store {
    Sqlite(Box<SqliteStore>),
    Redis(Box<RedisStore>),
    InMemory,
}

impl Store {
    /// Opens the file of `STORE_FILE` or takes the server of `REDIS_URL`, with the keys of `STORE_KEYS` or
    /// `STORE_KEYS_FILE`; a file may have its key beside it instead. An error starts with the name of its variable.
    pub(crate) fn from_env(
        variable: impl Fn(&str) -> Result<Option<String>, String>,
    ) -> Result<Self, String> {
        let (file, url) = (variable("STORE_FILE")?, variable("REDIS_URL")?.map(Zeroizing::new));
        let (source, keys) = keys(&variable)?;
        match (file, url) {
            (Some(_), Some(_)) => Err("REDIS_URL: can't be set with STORE_FILE".to_owned()),
            (None, None) if keys.is_some() => {
                Err(format!("{source}: has no effect without STORE_FILE or REDIS_URL; set both or neither"))
            }
            (None, None) => Ok(Self::InMemory),
            (Some(path), None) => sqlite(&path, source, keys.as_deref()),
            (None, Some(url)) => {
                let store = RedisStore::new(&url).map_err(|error| format!("REDIS_URL: {error}"))?;
                let keys = keys.ok_or("STORE_KEYS: must be set with REDIS_URL, to 32 bytes in base64")?;
                let keys = keys_of(&keys).map_err(|error| format!("{source}: {error}"))?;
                if keys.is_empty() {
                    return Err(format!("{source}: has no key"));
                }
                Ok(Self::Redis(Box::new(store.keys(keys))))
            }
        }
    }

    pub(crate) fn apply(self, builder: ClerkBuilder) -> ClerkBuilder {
        match self {
            Self::Sqlite(store) => {
                tracing::info!("store: sessions and devices are kept in STORE_FILE");
                builder.store(*store)
            }
            Self::Redis(store) => {
                tracing::info!(
                    "store: replicas hear of each other over REDIS_URL; a restart forgets the sessions"
                );
                builder.store(*store)
            }
            Self::InMemory => {
                tracing::info!("store: in memory; a restart forgets the sessions");
                builder
            }
        }
    }
}

type Keys = Option<Zeroizing<String>>;

/// The text of the keys, and the variable that it is from.
fn keys(variable: &impl Fn(&str) -> Result<Option<String>, String>) -> Result<(&'static str, Keys), String> {
    match (variable("STORE_KEYS")?.map(Zeroizing::new), variable("STORE_KEYS_FILE")?) {
        (Some(_), Some(_)) => Err("STORE_KEYS: can't be set with STORE_KEYS_FILE".to_owned()),
        (Some(keys), None) => Ok(("STORE_KEYS", Some(keys))),
        (None, Some(path)) => {
            let read = fs::read_to_string(&path).map_err(|error| format!("STORE_KEYS_FILE: {error}"))?;
            Ok(("STORE_KEYS_FILE", Some(Zeroizing::new(read))))
        }
        (None, None) => Ok(("STORE_FILE", None)),
    }
}

fn sqlite(path: &str, source: &str, keys: Option<&String>) -> Result<Store, String> {
    let open = || {
        let store =
            SqliteStore::open(path).map_err(|error| format!("STORE_FILE: {}", with_source(&error)))?;
        Ok::<_, String>(match keys {
            Some(keys) => store.keys(keys_of(keys).map_err(|error| format!("{source}: {error}"))?),
            None => store,
        })
    };
    // The keys are used only when an engine is built, and an error then would name no variable.
    match Clerk::builder(NOWHERE).store(open()?).build() {
        Err(ConfigError::Store(error)) => {
            let name = if error.kind() == StoreErrorKind::Key { source } else { "STORE_FILE" };
            Err(format!("{name}: {}", with_source(&error)))
        }
        _ => Ok(Store::Sqlite(Box::new(open()?))),
    }
}

/// The keys of a text, the current one first, with commas or line breaks between them.
fn keys_of(keys: &str) -> Result<Vec<StoreKey>, InvalidStoreKey> {
    let keys = keys.split([',', '\n']).map(str::trim).filter(|key| !key.is_empty());
    keys.map(str::parse).collect()
}

/// Formats an error with its source, if it has one.
fn with_source(error: &StoreError) -> String {
    match error.source() {
        Some(source) => format!("{error} ({source})"),
        None => error.to_string(),
    }
}
