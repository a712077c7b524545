//! What outlives a restart, in the files that the environment names.

use std::error::Error;

use tower_clerk::ClerkBuilder;
use tower_clerk::store::{DeviceFile, SessionFile, StoreError, StoreErrorKind};

use crate::settings::Settings;

#[derive(Default)]
pub(crate) struct Stores {
    devices: Option<DeviceFile>,
    sessions: Option<SessionFile>,
    /// What is worth a line on stderr.
    pub(crate) notes: Vec<String>,
}

impl Stores {
    pub(crate) fn open(settings: &Settings) -> Result<Self, String> {
        let mut stores = Self::default();
        match &settings.device_file {
            Some(_) if settings.secret_key.is_some() => stores.notes.push(
                "DEVICE_FILE: has no effect with CLERK_SECRET_KEY, where no device has to be known"
                    .to_owned(),
            ),
            Some(path) => stores.devices = stores.held("DEVICE_FILE", DeviceFile::open(path))?,
            None => {}
        }
        if let Some(path) = &settings.session_store_file {
            stores.sessions = stores.held("SESSION_STORE_FILE", SessionFile::open(path))?;
        }
        Ok(stores)
    }

    /// A file that another process holds is no reason not to serve, as when a new version starts before the old one
    /// has stopped: then memory has to do.
    fn held<T>(&mut self, name: &str, opened: Result<T, StoreError>) -> Result<Option<T>, String> {
        match opened {
            Ok(store) => Ok(Some(store)),
            Err(error) if error.kind() == StoreErrorKind::InUse => {
                self.notes.push(format!("{name}: {error}; until the next start it is kept in memory"));
                Ok(None)
            }
            Err(error) => Err(match error.source() {
                Some(source) => format!("{name}: {error} ({source})"),
                None => format!("{name}: {error}"),
            }),
        }
    }

    pub(crate) fn apply(self, mut builder: ClerkBuilder) -> ClerkBuilder {
        if let Some(devices) = self.devices {
            builder = builder.device_store(devices);
        }
        if let Some(sessions) = self.sessions {
            builder = builder.session_store(sessions);
        }
        builder
    }
}
