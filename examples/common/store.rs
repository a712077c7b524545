//! The store that survives a restart, in the file that the environment names.

use std::error::Error as _;
use std::fs;

use tower_clerk::store::{InvalidStoreKey, SqliteStore, StoreError, StoreErrorKind, StoreKey};
use tower_clerk::{Clerk, ClerkBuilder, ConfigError};
use zeroize::Zeroizing;

/// The URL of an engine that is built only to check the store, and never sends a request.
const NOWHERE: &str = "http://127.0.0.1:1";

pub(crate) struct Store(Option<SqliteStore>);

impl Store {
    /// Opens the file of `STORE_FILE`, if it is set, with the keys of `STORE_KEYS` or `STORE_KEYS_FILE`, or with the one
    /// beside it. An error starts with the name of its variable.
    pub(crate) fn from_env(
        variable: impl Fn(&str) -> Result<Option<String>, String>,
    ) -> Result<Self, String> {
        let [file, keys, keys_file] = ["STORE_FILE", "STORE_KEYS", "STORE_KEYS_FILE"].map(variable);
        let (file, keys, keys_file) = (file?, keys?.map(Zeroizing::new), keys_file?);
        let (source, keys) = match (keys, keys_file) {
            (Some(_), Some(_)) => return Err("STORE_KEYS: can't be set with STORE_KEYS_FILE".to_owned()),
            (Some(keys), None) => ("STORE_KEYS", Some(keys)),
            (None, Some(path)) => {
                let read = fs::read_to_string(&path).map_err(|error| format!("STORE_KEYS_FILE: {error}"))?;
                ("STORE_KEYS_FILE", Some(Zeroizing::new(read)))
            }
            (None, None) => ("STORE_FILE", None),
        };
        let Some(path) = file else {
            return match keys {
                Some(_) => Err(format!("{source}: has no effect without STORE_FILE; set both or neither")),
                None => Ok(Self(None)),
            };
        };
        let open = || {
            let store =
                SqliteStore::open(&path).map_err(|error| format!("STORE_FILE: {}", with_source(&error)))?;
            Ok::<_, String>(match &keys {
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
            _ => Ok(Self(Some(open()?))),
        }
    }

    pub(crate) fn apply(self, builder: ClerkBuilder) -> ClerkBuilder {
        match self.0 {
            Some(store) => {
                tracing::info!("store: sessions and devices are kept in STORE_FILE");
                builder.store(store)
            }
            None => {
                tracing::info!("store: in memory; a restart forgets the sessions");
                builder
            }
        }
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
