//! The holding that proofs point at: one Clerk session, or the set of a user's sessions, with the tokens minted for
//! them.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::revocations::{Concerned, Target};
use super::session::{Session, SessionState};
use super::tokens::{HeldToken, Tokens};
use super::users::User;
use crate::access::Access;
use crate::scope::{OrganizationName, Scope};
use crate::sync::lock;

/// Refusals remembered per holding (rule K11).
const MAX_REFUSALS: usize = 64;

/// Sessions per holding with the Backend API, each for another organization.
const MAX_SESSIONS: usize = 16;

/// Concurrent mints per holding, so that one user with many organizations can't use up the calls of all others.
const MAX_MINTS: usize = 4;

/// Why Clerk refused a token for some scope. Remembered for a while (rule K11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenRefusal {
    /// The user is not a member of the organization.
    Forbidden,
    /// The user has a pending task at Clerk, and must complete it first.
    ActionRequired,
    /// The instance or this engine is not set up for it. The text says how to fix that.
    Misconfigured(&'static str),
    /// Clerk's answer is one that this version doesn't know (rule S3).
    Unknown,
}

/// The sessions that serve one or several credentials of a user, with their tokens.
///
/// With the Frontend API it is one session, which mints for all organizations. With the Backend API it is one session
/// for each organization that a request has named.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) user: Arc<User>,
    pub(crate) tokens: Tokens,
    /// Limits the concurrent mints.
    pub(crate) mints: Semaphore,
    sessions: Mutex<Vec<Arc<Session>>>,
    refusals: Mutex<Vec<(Scope, Instant, TokenRefusal)>>,
    /// The last proof has left, so no other can join. Changed under the user's lock.
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

    /// Whether a live proof points at it.
    pub(crate) fn is_in_use(self: &Arc<Self>, now: Instant) -> bool {
        self.user.proofs_on(self).iter().any(|proof| proof.is_live(now))
    }

    /// Marks that the last proof has left.
    pub(super) fn close(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.sessions).clone()
    }

    /// The session that the holding was created with, or the one that has replaced it.
    pub(crate) fn session(&self) -> Arc<Session> {
        // There is always one: `add` never removes the first session without replacing it.
        Arc::clone(&lock(&self.sessions)[0])
    }

    /// The live session for this organization, or for the personal account. A slug is looked up in the user's
    /// memberships.
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

    /// Adds a session. It replaces one for the same organization, which is marked as ending; if the holding is full,
    /// the oldest session other than the first makes room. Returns the displaced session, whose tokens are dropped.
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

    /// The user and the sessions, for a comparison with revocations.
    pub(crate) fn concerned(&self) -> Concerned {
        let sessions = self.sessions();
        sessions.iter().fold(Concerned::user(&self.user.id), |concerned, session| {
            concerned.and(Target::Session(Arc::clone(&session.id)))
        })
    }

    /// The last token for this access, or the last plain one, even if it has expired: some instances ask for it when
    /// they mint the next one (422 `missing_expired_token`).
    pub(crate) fn last_token(&self, access: &Access) -> Option<Arc<HeldToken>> {
        self.tokens.held(access).or_else(|| self.tokens.held(&Access::default()))
    }

    /// The remembered refusal of tokens for this scope, if there is one.
    pub(crate) fn refused(&self, scope: &Scope, now: Instant) -> Option<TokenRefusal> {
        let refusals = lock(&self.refusals);
        refusals.iter().find(|(refused, until, _)| refused == scope && *until > now).map(|(.., why)| *why)
    }

    /// Forgets that organizations were refused, whatever names they were requested by.
    pub(crate) fn forget_refused_organizations(&self) {
        lock(&self.refusals)
            .retain(|(scope, _, why)| scope.organization.is_none() || *why != TokenRefusal::Forbidden);
    }

    pub(crate) fn refuse(&self, scope: Scope, why: TokenRefusal, now: Instant, ttl: Duration) {
        let mut refusals = lock(&self.refusals);
        refusals.retain(|(refused, until, _)| *until > now && *refused != scope);
        if refusals.len() >= MAX_REFUSALS {
            refusals.remove(0);
        }
        refusals.push((scope, now + ttl, why));
    }
}

/// A holding as a map key, compared by address. The key keeps the holding alive, so its address isn't reused.
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
