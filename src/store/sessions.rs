//! The stored ids of sessions that the Backend API has opened and that are still open at Clerk.
//!
//! Opening a session takes a sign-in of a limited budget, while a session that is still open only needs a new token. A
//! session id is not a secret: without the secret key it is of no use.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::records::{Header, If, Kind, Name, Row, Targets, Wait};
use super::vault::Vault;
use super::{from_millis, json, millis};

/// A session that is open at Clerk. Times are truncated to the millisecond.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredSession {
    user: Box<str>,
    session: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<Box<str>>,
    ends: u64,
}

impl StoredSession {
    /// `organization` is the id (`org_…`) of the one that the session was opened for, or `None`.
    pub(crate) fn new(
        user_id: &str,
        organization: Option<&str>,
        session_id: &str,
        expire_at: SystemTime,
    ) -> Self {
        Self {
            user: user_id.into(),
            session: session_id.into(),
            organization: organization.map(Into::into),
            ends: millis(expire_at),
        }
    }

    pub(crate) fn user_id(&self) -> &str {
        &self.user
    }

    /// The id of the organization that the session was opened for. `None` is the personal account.
    pub(crate) fn organization(&self) -> Option<&str> {
        self.organization.as_deref()
    }

    pub(crate) fn session_id(&self) -> &str {
        &self.session
    }

    /// When the session expires at Clerk.
    pub(crate) fn expire_at(&self) -> SystemTime {
        from_millis(self.ends)
    }
}

impl fmt::Debug for StoredSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSession")
            .field("user_id", &self.user)
            .field("organization", &self.organization)
            .field("session_id", &self.session)
            .field("expire_at", &self.expire_at())
            .finish()
    }
}

/// The sessions in a store. There is at most one per user and organization.
pub(crate) struct SessionRecords(Arc<Vault>);

impl SessionRecords {
    pub(super) fn new(vault: Arc<Vault>) -> Self {
        Self(vault)
    }

    fn name(&self, user_id: &str, organization: Option<&str>) -> Name {
        let parts = [Some(user_id), organization];
        let parts: Vec<_> = parts.into_iter().flatten().map(str::as_bytes).collect();
        self.0.sealer.name(Kind::Session, &parts)
    }

    /// The session of a user that was opened for the organization with this id, or for none.
    pub(crate) async fn get(&self, user_id: &str, organization: Option<&str>) -> Option<StoredSession> {
        let (_, value) = self.0.get(self.name(user_id, organization)).await?;
        serde_json::from_slice(&value).ok()
    }

    /// The sessions of a user.
    pub(crate) async fn of_user(&self, user_id: &str) -> Vec<StoredSession> {
        let rows = self.0.records.of_user(self.0.sealer.user(user_id)).await;
        rows.iter().filter_map(|row| Self::of(&self.0, row)).collect()
    }

    /// Stores a session, replacing the one of the same user and organization.
    pub(crate) fn put(&self, session: &StoredSession) -> Wait<()> {
        let header = Header {
            kind: Kind::Session,
            revision: self.0.revision(If::Any),
            departed: 0,
            position: 0,
            ends: session.ends,
            user: self.0.sealer.user(&session.user),
            session: self.0.sealer.session(&session.session),
        };
        let name = self.name(&session.user, session.organization());
        let written = self.0.put(name, header, json(session), If::Any);
        Box::pin(async move { _ = written.await })
    }

    /// Removes a session by its id.
    pub(crate) fn remove(&self, session_id: &str) -> Wait<()> {
        self.0.delete(Targets::Session(self.0.sealer.session(session_id), Some(Kind::Session)))
    }

    pub(super) fn of(vault: &Vault, row: &Row) -> Option<StoredSession> {
        if row.header.kind != Kind::Session {
            return None;
        }
        let value = vault.open(row)?;
        serde_json::from_slice(&value).ok()
    }
}
