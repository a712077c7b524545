//! The stored devices that Clerk knows users by.
//!
//! With the client token of a user's last successful sign-in, the next sign-in comes from a known device. Without it,
//! an instance with [Device Trust](https://clerk.com/docs/guides/protect/device-trust) asks for a code or link sent by
//! email or SMS. The token doesn't replace the password: each sign-in still needs that.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::records::{Header, If, Kind, Name, NotWritten, Row, Tag, Targets, Wait};
use super::vault::Vault;
use super::{DEVICE_LIFE, from_millis, json, millis};
use crate::client_token::ClientToken;

/// A device that Clerk knows a user by.
#[derive(Clone)]
pub(crate) struct KnownDevice {
    pub(crate) user_id: Arc<str>,
    /// The client token of the user's last successful sign-in. Shared, so that there is one copy of it in memory.
    pub(crate) client_token: Arc<ClientToken>,
    /// The session that was opened last on this client.
    pub(crate) session_id: Option<Box<str>>,
    /// When the last successful sign-in from the device was.
    pub(crate) seen_at: SystemTime,
}

impl fmt::Debug for KnownDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownDevice")
            .field("user_id", &self.user_id)
            .field("seen_at", &self.seen_at)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    user: Box<str>,
    client: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Box<str>>,
    seen: u64,
}

pub(super) fn decode(value: &[u8]) -> Option<KnownDevice> {
    let Wire { user, client, session, seen } = serde_json::from_slice(value).ok()?;
    Some(KnownDevice {
        user_id: user.into(),
        client_token: Arc::new(ClientToken::new(&client)),
        session_id: session,
        seen_at: from_millis(seen),
    })
}

/// The known devices in a store, by the identifier's device name.
pub(crate) struct DeviceRecords(Arc<Vault>);

impl DeviceRecords {
    pub(super) fn new(vault: Arc<Vault>) -> Self {
        Self(vault)
    }

    fn name(&self, identifier: &str) -> Name {
        self.0.sealer.name(Kind::Device, &[identifier.as_bytes()])
    }

    /// The device of an identifier, of any age, and its revision.
    pub(crate) async fn get(&self, identifier: &str) -> Option<(KnownDevice, u64)> {
        let (header, value) = self.0.get(self.name(identifier)).await?;
        Some((decode(&value)?, header.revision))
    }

    pub(super) fn of(vault: &Vault, row: &Row) -> Option<KnownDevice> {
        if row.header.kind != Kind::Device {
            return None;
        }
        decode(&vault.open(row)?)
    }

    /// Stores a device. Returns its revision at once, for the next write to name, and whether it was written later.
    pub(crate) fn put(
        &self,
        identifier: &str,
        device: &KnownDevice,
        condition: If,
    ) -> (u64, Wait<Result<(), NotWritten>>) {
        let wire = Wire {
            user: (*device.user_id).into(),
            client: Zeroizing::new(device.client_token.expose().to_owned()),
            session: device.session_id.clone(),
            seen: millis(device.seen_at),
        };
        let revision = self.0.revision(condition);
        let header = Header {
            kind: Kind::Device,
            revision,
            departed: wire.seen,
            position: 0,
            ends: millis(device.seen_at + DEVICE_LIFE),
            user: self.0.sealer.user(&device.user_id),
            // A device outlives its sessions, so it isn't removed with one.
            session: Tag::NONE,
        };
        (revision, self.0.put(self.name(identifier), header, json(&wire), condition))
    }

    pub(crate) fn delete(&self, identifier: &str, condition: If) -> Wait<()> {
        self.0.delete(Targets::Name(self.name(identifier), condition))
    }
}
