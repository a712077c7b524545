//! What proofs point at: a Clerk session, or the sessions of a user, with the tokens minted for them.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::revocations::Target;
use super::session::{Session, SessionState};
use super::tokens::{HeldToken, Tokens};
use super::users::User;
use crate::access::Access;
use crate::scope::{OrganizationName, Scope};
use crate::sync::lock;

/// Refusals remembered per holding (rule K11).
const MAX_REFUSALS: usize = 64;

/// Sessions of one user by the Backend API, each for another organization.
const MAX_SESSIONS: usize = 16;

/// Mints under way per holding: one user that asks for many organizations must not take the places of all others.
const MAX_MINTS: usize = 4;

/// Why there is no token of some kind, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenRefusal {
    /// The user isn't one of the organization's.
    Forbidden,
    /// The user has something to do first.
    ActionRequired,
    /// The set-up can't bring it; what to do about it.
    Misconfigured(&'static str),
    /// Clerk has answered with something that this version cannot act on (rule S3).
    Unknown,
}

/// The sessions that one or several credentials of a user are served by, with their tokens.
///
/// By the Frontend API it is one session, which mints for all organizations. By the Backend API it is one for each
/// organization that was asked for.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) user: Arc<User>,
    pub(crate) tokens: Tokens,
    /// Places for mints.
    pub(crate) mints: Semaphore,
    sessions: Mutex<Vec<Arc<Session>>>,
    refusals: Mutex<Vec<(Scope, Instant, TokenRefusal)>>,
    /// The last proof has left, so that no other can join. Changed under the user's lock.
    over: AtomicBool,
}

impl Holding {
    pub(crate) fn new(session: Arc<Session>) -> Arc<Self> {
        Arc::new(Self {
            user: Arc::clone(&session.user),
            tokens: Tokens::default(),
            mints: Semaphore::new(MAX_MINTS),
            sessions: Mutex::new(vec![session]),
            refusals: Mutex::new(Vec::new()),
            over: AtomicBool::new(false),
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether a proof that stands points at it.
    pub(crate) fn is_in_use(self: &Arc<Self>, now: Instant) -> bool {
        self.user.proofs_on(self).iter().any(|proof| proof.is_live(now))
    }

    /// The last proof has left.
    pub(super) fn close(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.sessions).clone()
    }

    /// The session that was there first.
    pub(crate) fn session(&self) -> Arc<Session> {
        // There is always one: `remove` leaves the last.
        Arc::clone(&lock(&self.sessions)[0])
    }

    /// The live session that is for this organization, or for none. A slug is looked up in the user's memberships.
    pub(crate) fn session_for(&self, organization: Option<&OrganizationName>) -> Option<Arc<Session>> {
        let id = match organization {
            None => None,
            Some(OrganizationName::Id(id)) => Some(id.clone()),
            Some(slug) => Some(self.user.member_of(slug)?),
        };
        let is_it = |it: &&Arc<Session>| it.is_for(id.as_deref()) && it.state() == SessionState::Live;
        lock(&self.sessions).iter().find(is_it).cloned()
    }

    pub(crate) fn session_with(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.sessions).iter().find(|session| *session.id == *id).cloned()
    }

    pub(crate) fn has_session(&self, id: &str) -> bool {
        lock(&self.sessions).iter().any(|session| *session.id == *id)
    }

    /// Adds a session for another organization, in the place of one for the same. The oldest of too many goes. Returns
    /// the session that had to go: its tokens are dropped, and it is marked as one to end if another has replaced it.
    pub(super) fn add(&self, session: Arc<Session>) -> Option<Arc<Session>> {
        let mut sessions = lock(&self.sessions);
        if sessions.iter().any(|known| known.id == session.id) {
            return None;
        }
        let organization = session.organization().map(Box::<str>::from);
        let displaced = match sessions.iter().position(|known| known.is_for(organization.as_deref())) {
            Some(at) => {
                let replaced = std::mem::replace(&mut sessions[at], session);
                replaced.advance(SessionState::Ending);
                Some(replaced)
            }
            None => {
                let oldest = (sessions.len() >= MAX_SESSIONS).then(|| sessions.remove(1));
                sessions.push(session);
                oldest
            }
        };
        drop(sessions);
        displaced.inspect(|displaced| self.tokens.forget_session(&displaced.id))
    }

    /// Whether a revocation is about one of its sessions, or its user.
    pub(crate) fn concerns(&self, target: &Target) -> bool {
        match target {
            Target::User(id) => *id == self.user.id,
            Target::Session(id) => self.has_session(id),
            Target::Organization(_) | Target::Proofs(..) => false,
            Target::All => true,
        }
    }

    /// The last token of this kind, or the last plain one, good or not: some instances want to see it (422
    /// `missing_expired_token`).
    pub(crate) fn last_token(&self, access: &Access) -> Option<Arc<HeldToken>> {
        self.tokens.held(access).or_else(|| self.tokens.held(&Access::default()))
    }

    /// Why there is no token of this kind, if that was found out a moment ago.
    pub(crate) fn refused(&self, kind: &Scope, now: Instant) -> Option<TokenRefusal> {
        let refusals = lock(&self.refusals);
        refusals.iter().find(|(refused, until, _)| refused == kind && *until > now).map(|(.., why)| *why)
    }

    pub(crate) fn refuse(&self, kind: Scope, why: TokenRefusal, now: Instant, ttl: Duration) {
        let mut refusals = lock(&self.refusals);
        refusals.retain(|(refused, until, _)| *until > now && *refused != kind);
        if refusals.len() >= MAX_REFUSALS {
            refusals.remove(0);
        }
        refusals.push((kind, now + ttl, why));
    }
}

/// A holding as a key. It equals itself alone, and as long as the key is kept, its address is that of no other.
#[derive(Clone, Debug)]
pub(crate) struct HoldingKey(pub(crate) Arc<Holding>);

impl PartialEq for HoldingKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for HoldingKey {}

impl Hash for HoldingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}
