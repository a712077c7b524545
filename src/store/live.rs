//! One live session, as the engine holds it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::revocations::{Generation, Target};
use super::tokens::{TokenKey, Tokens};
use super::turnstile::Turnstile;
use super::users::User;
use crate::fapi::{ClientSlot, Membership};
use crate::key::CredentialKey;
use crate::sync::lock;

/// Refusals remembered per session (rule K11).
const MAX_REFUSALS: usize = 64;

/// Sessions of one user for different organizations, beside the first.
const MAX_SIBLINGS: usize = 16;

/// Mints under way per session: one user that asks for many organizations must not take the places of all others.
const MAX_MINTS: usize = 4;

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

/// Why a session gets no token of some kind, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The user isn't one of the organization's.
    Forbidden,
    /// The user has something to do first.
    ActionRequired,
    /// The set-up can't bring it; what to do about it.
    Misconfigured(&'static str),
}

/// A Clerk session that a password has opened, and what is needed to keep it going without the password.
#[derive(Debug)]
pub(crate) struct LiveSession {
    pub(crate) key: CredentialKey,
    pub(crate) user: Arc<User>,
    pub(crate) session_id: Box<str>,
    pub(crate) client: Arc<ClientSlot>,
    pub(crate) tokens: Tokens,
    /// `None` as long as nobody has asked: of a session that was kept.
    memberships: OnceLock<Box<[Membership]>>,
    /// The organization that it was opened for, as it was asked for, and that tokens made with the secret key name.
    opened_for: Option<Box<str>>,
    /// It was, but Clerk has taken the organization from it.
    lost_organization: AtomicBool,
    /// Sessions of the same user that were opened for other organizations.
    siblings: Mutex<Vec<Arc<Self>>>,
    /// When the sign-in left: what the times below are counted from.
    start: Instant,
    /// The end of the proof of the password, or of the Clerk session where that comes first: nanoseconds.
    proof_end: AtomicU64,
    /// The end of the Clerk session, which no proof outlives: nanoseconds.
    session_end: u64,
    /// Renewing the proof ahead of its end.
    pub(crate) proof_renewal: Turnstile,
    /// Waits for an organization to be chosen, and for nothing else.
    pub(crate) choose_organization: AtomicBool,
    /// A touch and the mint that follows it are one critical section (rule S8), and this is its lock.
    pub(crate) active_organization: tokio::sync::Mutex<Active>,
    /// Places for mints of this session.
    pub(crate) mints: Semaphore,
    refusals: Mutex<Vec<(TokenKey, Instant, Refused)>>,
    /// The generation that its sign-in departed in: a revocation of all voids what is older.
    since: Generation,
    over: AtomicBool,
    gone: AtomicBool,
    to_end: AtomicBool,
}

/// What a live session is made of.
pub(crate) struct Parts {
    pub(crate) key: CredentialKey,
    pub(crate) user: Arc<User>,
    pub(crate) session_id: Box<str>,
    pub(crate) client: Arc<ClientSlot>,
    pub(crate) tokens: Tokens,
    pub(crate) memberships: Option<Box<[Membership]>>,
    pub(crate) opened_for: Option<Box<str>>,
    pub(crate) start: Instant,
    pub(crate) proof: Proof,
    pub(crate) session_end: Option<Instant>,
    pub(crate) choose_organization: bool,
    pub(crate) active_organization: Option<Box<str>>,
    pub(crate) since: Generation,
}

/// How long a proof of a password stands, and from when it is renewed ahead of its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    pub(crate) end: Instant,
    pub(crate) renew: Option<Instant>,
}

impl LiveSession {
    pub(crate) fn new(parts: Parts) -> Self {
        let after_start = |at: Instant| nanos(at.saturating_duration_since(parts.start));
        let session_end = parts.session_end.map_or(u64::MAX, after_start);
        Self {
            key: parts.key,
            user: parts.user,
            session_id: parts.session_id,
            client: parts.client,
            tokens: parts.tokens,
            memberships: parts.memberships.map(OnceLock::from).unwrap_or_default(),
            opened_for: parts.opened_for,
            lost_organization: AtomicBool::new(false),
            siblings: Mutex::default(),
            start: parts.start,
            proof_end: AtomicU64::new(after_start(parts.proof.end).min(session_end)),
            session_end,
            proof_renewal: Turnstile::new(parts.proof.renew),
            choose_organization: AtomicBool::new(parts.choose_organization),
            active_organization: tokio::sync::Mutex::new(parts.active_organization.into()),
            mints: Semaphore::new(MAX_MINTS),
            refusals: Mutex::new(Vec::new()),
            since: parts.since,
            over: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            to_end: AtomicBool::new(false),
        }
    }

    /// Whether the proof still stands. It is the same clock reading that the token is judged by.
    pub(crate) fn is_live(&self, now: Instant) -> bool {
        let since_start = nanos(now.saturating_duration_since(self.start));
        since_start < self.proof_end.load(Ordering::Relaxed) && !self.is_over()
    }

    pub(crate) fn proof_end(&self) -> Instant {
        self.start + Duration::from_nanos(self.proof_end.load(Ordering::Relaxed))
    }

    /// The password has been proven anew, without a new session.
    pub(crate) fn renew_proof(&self, proof: Proof) {
        let end = nanos(proof.end.saturating_duration_since(self.start)).min(self.session_end);
        self.proof_end.fetch_max(end, Ordering::Relaxed);
        if let Some(renew) = proof.renew {
            self.proof_renewal.open_at(renew);
        }
    }

    /// Nothing of it is handed on any more, whoever still holds it.
    pub(crate) fn mark_over(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// It is over at Clerk, so there is nothing to end.
    pub(crate) fn mark_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// It is to be ended at Clerk, also where sessions are kept.
    pub(crate) fn mark_to_end(&self) {
        self.to_end.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_to_end(&self) -> bool {
        self.to_end.load(Ordering::Relaxed)
    }

    pub(crate) fn since(&self) -> Generation {
        self.since
    }

    /// Whether this is its id, or that of a sibling.
    pub(crate) fn goes_by(&self, session_id: &str) -> bool {
        *self.session_id == *session_id
            || lock(&self.siblings).iter().any(|sibling| *sibling.session_id == *session_id)
    }

    /// Whether a revocation is about this session, or its user.
    pub(crate) fn concerns(&self, target: &Target) -> bool {
        match target {
            Target::User(id) => *id == self.user.id,
            Target::Session(id) => self.goes_by(id),
            Target::Organization(_) => false,
            Target::All => true,
        }
    }

    fn memberships(&self) -> &[Membership] {
        self.memberships.get().map_or(&[], |memberships| memberships)
    }

    pub(crate) fn opened_for(&self) -> Option<&str> {
        self.opened_for.as_deref()
    }

    /// The session among this one and its siblings whose active organization is this one.
    pub(crate) fn carrier(self: &Arc<Self>, organization: Option<&str>) -> Option<Arc<Self>> {
        if self.is_for(organization) {
            return Some(Arc::clone(self));
        }
        let siblings = lock(&self.siblings);
        siblings.iter().find(|sibling| sibling.is_for(organization)).cloned()
    }

    fn is_for(&self, organization: Option<&str>) -> bool {
        self.opened_for.as_deref() == organization && !self.lost_organization.load(Ordering::Relaxed)
    }

    /// Adds a sibling; the oldest of too many goes.
    pub(crate) fn add_sibling(&self, sibling: Arc<Self>) {
        let mut siblings = lock(&self.siblings);
        siblings.retain(|known| !known.is_for(sibling.opened_for.as_deref()));
        if siblings.len() >= MAX_SIBLINGS {
            siblings.remove(0);
        }
        siblings.push(sibling);
    }

    pub(crate) fn lose_organization(&self) {
        self.lost_organization.store(true, Ordering::Relaxed);
    }

    pub(crate) fn siblings(&self) -> Vec<Arc<Self>> {
        lock(&self.siblings).clone()
    }

    pub(crate) fn drop_sibling(&self, session_id: &str) {
        lock(&self.siblings).retain(|sibling| *sibling.session_id != *session_id);
    }

    /// Whether the user was a member of this organization at sign-in.
    pub(crate) fn is_member(&self, id: &str) -> bool {
        self.memberships().iter().any(|membership| &*membership.id == id)
    }

    /// The id of an organization that the user was a member of at sign-in, by its slug.
    pub(crate) fn membership_by_slug(&self, slug: &str) -> Option<&str> {
        self.memberships()
            .iter()
            .find(|membership| membership.slug.as_deref() == Some(slug))
            .map(|it| &*it.id)
    }

    /// Why there is no token of this kind, if that was found out a moment ago.
    pub(crate) fn refused(&self, kind: &TokenKey, now: Instant) -> Option<Refused> {
        let refusals = lock(&self.refusals);
        refusals.iter().find(|(refused, until, _)| refused == kind && *until > now).map(|(.., why)| *why)
    }

    pub(crate) fn refuse(&self, kind: TokenKey, why: Refused, now: Instant, ttl: Duration) {
        let mut refusals = lock(&self.refusals);
        refusals.retain(|(refused, until, _)| *until > now && *refused != kind);
        if refusals.len() >= MAX_REFUSALS {
            refusals.remove(0);
        }
        refusals.push((kind, now + ttl, why));
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX - 1)
}
