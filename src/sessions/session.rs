//! One Clerk session, as this process knows it.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use tokio::time::Instant;

use super::index::SessionIndex;
use super::users::User;
use crate::client_token::ClientSlot;
use crate::store::{LoginName, MOST_LOGINS_OF_USER};
use crate::sync::lock;

/// A session's active organization at Clerk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Active {
    /// A touch is under way, or its answer was lost.
    Unknown,
    Personal,
    Organization(Box<str>),
}

impl From<Option<Box<str>>> for Active {
    fn from(id: Option<Box<str>>) -> Self {
        id.map_or(Self::Personal, Self::Organization)
    }
}

/// The lifecycle of a session. States are ordered; a session only advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SessionState {
    Live,
    /// To be ended at Clerk as soon as no proof points at it, or being ended now.
    Ending,
    /// A sign-out or the shutdown ends it, so the end queue must not.
    EndedElsewhere,
    /// Over at Clerk already.
    Gone,
}

/// A Clerk session, with what it takes to mint its tokens without the password.
///
/// There is one `Session` per Clerk session, however many credentials use it.
#[derive(Debug)]
pub(crate) struct Session {
    /// Shared with the index.
    pub(crate) id: Arc<str>,
    pub(crate) user: Arc<User>,
    pub(crate) client: Arc<ClientSlot>,
    /// The id of the organization that the session was opened for, which the Backend API puts into its tokens.
    organization: Option<Box<str>>,
    /// The user has left the organization, so Clerk has removed it from the session.
    lost_organization: AtomicBool,
    /// When it ends at Clerk, if Clerk has said so.
    pub(crate) end: Option<Instant>,
    /// The session is pending only because the user must choose an organization.
    pub(crate) choose_organization: AtomicBool,
    /// Held across a touch and the mint that follows it (rule S8).
    pub(crate) active_organization: tokio::sync::Mutex<Active>,
    state: AtomicU8,
    /// The login records that name the session, of one credential each.
    kept: Mutex<Vec<Kept>>,
    /// The index that lists this session.
    listed: OnceLock<Weak<SessionIndex>>,
}

/// A login record by which this process after a restart, or another one, goes on with a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) name: LoginName,
    /// As this process has last seen or written it.
    pub(crate) revision: u64,
    /// The end of the proof in it.
    pub(crate) until: Instant,
}

/// A session as a sign-in or a store describes it.
pub(crate) struct NewSession {
    pub(crate) id: Arc<str>,
    pub(crate) user: Arc<User>,
    pub(crate) client: Arc<ClientSlot>,
    pub(crate) organization: Option<Box<str>>,
    pub(crate) end: Option<Instant>,
    pub(crate) choose_organization: bool,
    pub(crate) active_organization: Active,
}

impl Session {
    pub(crate) fn new(new: NewSession) -> Arc<Self> {
        Arc::new(Self {
            id: new.id,
            user: new.user,
            client: new.client,
            organization: new.organization,
            lost_organization: AtomicBool::new(false),
            end: new.end,
            choose_organization: AtomicBool::new(new.choose_organization),
            active_organization: tokio::sync::Mutex::new(new.active_organization),
            state: AtomicU8::new(SessionState::Live as u8),
            kept: Mutex::default(),
            listed: OnceLock::new(),
        })
    }

    pub(crate) fn state(&self) -> SessionState {
        match self.state.load(Ordering::Acquire) {
            0 => SessionState::Live,
            1 => SessionState::Ending,
            2 => SessionState::EndedElsewhere,
            _ => SessionState::Gone,
        }
    }

    /// Advances to a later state. Does nothing if the session is there already, or further.
    pub(crate) fn advance(&self, to: SessionState) {
        self.state.fetch_max(to as u8, Ordering::AcqRel);
    }

    /// Notes that a login record names the session, in place of an earlier one of the same name. Of more records than a
    /// store has of one user the oldest goes, as it does there.
    pub(crate) fn keep(&self, record: Kept) {
        let mut kept = lock(&self.kept);
        kept.retain(|known| known.name != record.name);
        if kept.len() >= MOST_LOGINS_OF_USER {
            kept.remove(0);
        }
        kept.push(record);
    }

    /// Notes that the record of this name no longer names the session.
    pub(crate) fn release(&self, name: &LoginName) {
        lock(&self.kept).retain(|known| known.name != *name);
    }

    /// Whether a record with a live proof names the session.
    pub(crate) fn is_kept(&self, now: Instant) -> bool {
        lock(&self.kept).iter().any(|record| record.until > now)
    }

    pub(super) fn records(&self) -> Vec<Kept> {
        lock(&self.kept).clone()
    }

    pub(super) fn listed_in(&self, index: &Arc<SessionIndex>) {
        _ = self.listed.set(Arc::downgrade(index));
    }

    /// The id of the organization that the session was opened for.
    pub(crate) fn organization(&self) -> Option<&str> {
        self.organization.as_deref()
    }

    /// Whether tokens that the Backend API mints from this session name this organization, or none.
    pub(super) fn is_for(&self, organization: Option<&str>) -> bool {
        self.organization() == organization && !self.lost_organization.load(Ordering::Relaxed)
    }

    pub(crate) fn lose_organization(&self) {
        self.lost_organization.store(true, Ordering::Relaxed);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(index) = self.listed.get().and_then(Weak::upgrade) {
            index.unlist(self);
        }
    }
}
