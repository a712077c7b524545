//! The stores that survive a restart, in the files that the environment names.

use std::error::Error;

use tower_clerk::ClerkBuilder;
use tower_clerk::store::{DeviceFile, SessionFile, StoreError, StoreErrorKind};

use crate::settings::Settings;

#[derive(Default)]
pub(crate) struct Stores {
    devices: Option<DeviceFile>,
    sessions: Option<SessionFile>,
    /// Notes to print to stderr.
    pub(crate) notes: Vec<String>,
}

impl Stores {
    pub(crate) fn open(settings: &Settings) -> Result<Self, String> {
        let mut stores = Self::default();
        match &settings.device_file {
            Some(_) if settings.has_secret_key => stores.notes.push(
                "DEVICE_FILE: has no effect with CLERK_SECRET_KEY, where no device has to be known"
                    .to_owned(),
            ),
            Some(path) => stores.devices = stores.open_or_note("DEVICE_FILE", DeviceFile::open(path))?,
            None => {}
        }
        if let Some(path) = &settings.session_store_file {
            stores.sessions = stores.open_or_note("SESSION_STORE_FILE", SessionFile::open(path))?;
        }
        Ok(stores)
    }

    /// Falls back to memory if another process has the file open, for example when a new version starts before the
    /// old one has stopped.
    fn open_or_note<T>(&mut self, name: &str, opened: Result<T, StoreError>) -> Result<Option<T>, String> {
        match opened {
            Ok(store) => Ok(Some(store)),
            Err(error) if error.kind() == StoreErrorKind::InUse => {
                self.notes.push(format!("{name}: {error}; stored in memory until the next start"));
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
