//! One session at Clerk, as this process knows it.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use tokio::time::Instant;

use super::index::SessionIndex;
use super::users::User;
use crate::client_token::ClientSlot;

/// The organization that Clerk has as a session's active one.
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

/// How far a session is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SessionState {
    Live,
    /// It is to be ended at Clerk as soon as no proof points at it, or it is being ended.
    Ending,
    /// Somebody else ends it: a call to sign out, or the shutdown.
    EndedElsewhere,
    /// It is over at Clerk, so there is nothing to end.
    Gone,
}

/// A Clerk session, and what is needed to mint for it without the password.
///
/// There is one of these per Clerk session, however many credentials use it.
#[derive(Debug)]
pub(crate) struct Session {
    /// Shared with whatever finds the session by it.
    pub(crate) id: Arc<str>,
    pub(crate) user: Arc<User>,
    pub(crate) client: Arc<ClientSlot>,
    /// The id of the organization that it was opened for, and that tokens made with the secret key name.
    organization: Option<Box<str>>,
    /// Clerk has taken the organization from it.
    lost_organization: AtomicBool,
    /// When it ends at Clerk, where Clerk has said so.
    pub(crate) end: Option<Instant>,
    /// Waits for an organization to be chosen, and for nothing else.
    pub(crate) choose_organization: AtomicBool,
    /// A touch and the mint that follows it are one critical section (rule S8), and this is its lock.
    pub(crate) active_organization: tokio::sync::Mutex<Active>,
    state: AtomicU8,
    /// Where it is listed by its id, as long as it lives.
    listed: OnceLock<Weak<SessionIndex>>,
}

/// What a sign-in, or a store of earlier sign-ins, says of a session.
pub(crate) struct NewSession {
    pub(crate) id: Arc<str>,
    pub(crate) user: Arc<User>,
    pub(crate) client: Arc<ClientSlot>,
    pub(crate) organization: Option<Box<str>>,
    pub(crate) end: Option<Instant>,
    pub(crate) choose_organization: bool,
    pub(crate) active_organization: Option<Box<str>>,
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
            active_organization: tokio::sync::Mutex::new(new.active_organization.into()),
            state: AtomicU8::new(SessionState::Live as u8),
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

    /// Moves on to a later state; a session never comes back.
    pub(crate) fn advance(&self, to: SessionState) {
        self.state.fetch_max(to as u8, Ordering::AcqRel);
    }

    pub(super) fn listed_in(&self, index: &Arc<SessionIndex>) {
        _ = self.listed.set(Arc::downgrade(index));
    }

    /// The id of the organization that it was opened for.
    pub(crate) fn organization(&self) -> Option<&str> {
        self.organization.as_deref()
    }

    /// Whether tokens that are made with the secret key name the organization of this id, or none.
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
