//! The users whose credentials were proven here: what a revocation has to find.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::end_queue::EndQueue;
use super::holding::Holding;
use super::proof::Proof;
use super::session::{Session, SessionState};
use crate::membership::Membership;
use crate::scope::OrganizationName;
use crate::sync::lock;

/// Proofs per user. Each spelling of an identifier is a credential of its own, so one user could otherwise fill the cache.
const MAX_PROOFS: usize = 16;

/// Organizations that a user isn't known to be a member of, asked for in any ten seconds: each costs a call.
const MAX_UNKNOWN: u32 = 32;
const UNKNOWN_WINDOW: Duration = Duration::from_secs(10);

/// What becomes of the sessions of a holding when its last proof leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndPolicy {
    /// They are ended where they would be of no more use, and left for the next sign-in where a store keeps them.
    UnlessStored,
    /// They are ended at Clerk: the password was refused, or the user revoked.
    Always,
}

/// The last proof of a holding has left.
#[derive(Debug)]
pub(crate) struct HoldingIsOver;

/// Which proofs of a user share a holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Those of one Clerk session.
    OneSession,
    /// All of them, with a session for each organization.
    AllSessions,
}

/// A proof that has joined a holding.
pub(super) struct Joined {
    pub(super) proof: Arc<Proof>,
    /// The user's oldest proof where there are too many now, to be removed.
    pub(super) oldest: Option<Arc<Proof>>,
    /// The session that had to go.
    pub(super) displaced: Option<Arc<Session>>,
}

/// One user: shared by the sessions and the proven marks that are the user's, and gone with the last of them.
///
/// The lock of `proofs` is the one under which a proof joins a holding and the last proof leaves it: a holding whose last
/// proof has left takes no other.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: Box<str>,
    /// Counts revocations: a mark made before one is worth nothing.
    revoked: AtomicU64,
    proofs: Mutex<Vec<Weak<Proof>>>,
    /// The user's organizations, as of the last answer that listed them.
    memberships: Mutex<Box<[Membership]>>,
    /// Since when how many unknown organizations were asked for.
    unknown: Mutex<Option<(Instant, u32)>>,
}

impl User {
    /// Whether one more organization may be asked for that the user isn't known to be a member of.
    pub(crate) fn may_ask_for_unknown(&self, now: Instant) -> bool {
        let mut unknown = lock(&self.unknown);
        let (_, asked) = match &mut *unknown {
            Some(window) if now.saturating_duration_since(window.0) < UNKNOWN_WINDOW => window,
            stale => stale.insert((now, 0)),
        };
        *asked += 1;
        *asked <= MAX_UNKNOWN
    }

    /// The id of an organization that the user is known to be a member of.
    pub(crate) fn member_of(&self, organization: &OrganizationName) -> Option<Box<str>> {
        Membership::find(&lock(&self.memberships), organization).map(Into::into)
    }

    pub(crate) fn set_memberships(&self, memberships: Box<[Membership]>) {
        *lock(&self.memberships) = memberships;
    }

    pub(crate) fn revocations(&self) -> u64 {
        self.revoked.load(Ordering::Acquire)
    }

    /// Joins a proof to a holding in use that has the session already, or that the user's sessions share, or else to
    /// `own`. There is one live object per Clerk session, since the choice and the joining are under one lock.
    ///
    /// # Errors
    ///
    /// The session is being ended.
    pub(super) fn join(
        &self,
        session: &Arc<Session>,
        own: &Arc<Holding>,
        sharing: Sharing,
        prove: impl FnOnce(Arc<Holding>) -> Arc<Proof>,
    ) -> Result<Joined, HoldingIsOver> {
        let mut proofs = lock(&self.proofs);
        if session.state() != SessionState::Live {
            return Err(HoldingIsOver);
        }
        let known: Vec<_> =
            proofs.iter().filter_map(Weak::upgrade).filter(|known| !known.is_over()).collect();
        let find = |fits: &dyn Fn(&Holding) -> bool| {
            let mut in_use = known.iter().map(|proof| &proof.holding).filter(|holding| !holding.is_over());
            in_use.find(|holding| fits(holding)).cloned()
        };
        let holding = find(&|holding| holding.has_session(&session.id))
            .or_else(|| if sharing == Sharing::AllSessions { find(&|_| true) } else { None })
            .or_else(|| (!own.is_over()).then(|| Arc::clone(own)))
            .unwrap_or_else(|| Holding::new(Arc::clone(session)));
        let displaced = holding.add(Arc::clone(session));
        let proof = prove(holding);
        proofs.retain(|known| known.upgrade().is_some_and(|known| !known.is_over()));
        proofs.push(Arc::downgrade(&proof));
        let oldest = (proofs.len() > MAX_PROOFS).then(|| proofs.remove(0).upgrade()).flatten();
        Ok(Joined { proof, oldest, displaced })
    }

    /// Adds a session to a holding that is in use. Returns the session that had to go.
    ///
    /// # Errors
    ///
    /// The last proof of the holding has left.
    pub(super) fn add_session(
        &self,
        holding: &Holding,
        session: &Arc<Session>,
    ) -> Result<Option<Arc<Session>>, HoldingIsOver> {
        let _proofs = lock(&self.proofs);
        if holding.is_over() {
            return Err(HoldingIsOver);
        }
        Ok(holding.add(Arc::clone(session)))
    }

    /// A proof leaves its holding. The last one takes the holding's sessions along: they are ended, or where sessions
    /// outlive their proofs, left for the next sign-in unless they are to be ended.
    pub(super) fn leave(&self, proof: &Proof, policy: EndPolicy, queue: &EndQueue) -> bool {
        let mut proofs = lock(&self.proofs);
        proofs.retain(|known| !std::ptr::eq(known.as_ptr(), proof));
        self.release(&proofs, &proof.holding, policy, queue)
    }

    /// Gives a holding up that no proof may have joined. Whether it was the last to use it.
    pub(super) fn abandon(&self, holding: &Arc<Holding>, policy: EndPolicy, queue: &EndQueue) -> bool {
        let proofs = lock(&self.proofs);
        self.release(&proofs, holding, policy, queue)
    }

    fn release(
        &self,
        proofs: &[Weak<Proof>],
        holding: &Arc<Holding>,
        policy: EndPolicy,
        queue: &EndQueue,
    ) -> bool {
        let is_used = |known: &Weak<Proof>| {
            known.upgrade().is_some_and(|known| !known.is_over() && Arc::ptr_eq(&known.holding, holding))
        };
        if holding.is_over() || proofs.iter().any(is_used) {
            return false;
        }
        holding.close();
        for session in holding.sessions() {
            if policy == EndPolicy::Always {
                session.advance(SessionState::Ending);
            }
            queue.leave(&session);
        }
        true
    }

    /// A holding in use that has this session.
    pub(crate) fn holding_with(&self, session_id: &str) -> Option<Arc<Holding>> {
        self.holding(|holding| holding.has_session(session_id))
    }

    /// A holding in use that fits.
    pub(crate) fn holding(&self, fits: impl Fn(&Holding) -> bool) -> Option<Arc<Holding>> {
        let proofs = self.proofs();
        let mut held = proofs.iter().filter(|proof| !proof.is_over()).map(|proof| &proof.holding);
        held.find(|holding| !holding.is_over() && fits(holding)).cloned()
    }

    pub(crate) fn proofs(&self) -> Vec<Arc<Proof>> {
        lock(&self.proofs).iter().filter_map(Weak::upgrade).collect()
    }

    /// The proofs that point at this holding.
    pub(crate) fn proofs_on(&self, holding: &Arc<Holding>) -> Vec<Arc<Proof>> {
        self.proofs().into_iter().filter(|proof| Arc::ptr_eq(&proof.holding, holding)).collect()
    }

    /// Passwords that were last proven before then must be proven again.
    fn expire_proofs(&self, before: Instant) {
        self.proofs().iter().for_each(|proof| proof.expire(before));
    }

    /// Voids the user's marks, and returns the proofs that are held.
    fn revoke(&self) -> Vec<Arc<Proof>> {
        self.revoked.fetch_add(1, Ordering::AcqRel);
        self.proofs()
    }
}

/// All users, by id.
#[derive(Debug, Default)]
pub(crate) struct Users(Mutex<Register>);

#[derive(Debug, Default)]
struct Register {
    by_id: HashMap<Box<str>, Weak<User>>,
    /// The size at which those that are gone are cleared out next.
    clear_at: usize,
}

impl Users {
    pub(crate) fn of(&self, id: &str) -> Arc<User> {
        let mut register = lock(&self.0);
        if let Some(user) = register.by_id.get(id).and_then(Weak::upgrade) {
            return user;
        }
        if register.by_id.len() >= register.clear_at {
            register.by_id.retain(|_, user| user.strong_count() > 0);
            register.clear_at = 2 * register.by_id.len() + 1024;
        }
        let user = Arc::new(User {
            id: id.into(),
            revoked: AtomicU64::new(0),
            proofs: Mutex::default(),
            memberships: Mutex::default(),
            unknown: Mutex::default(),
        });
        register.by_id.insert(id.into(), Arc::downgrade(&user));
        user
    }

    /// Voids what is known of a user, and returns the proofs that are held.
    pub(crate) fn revoke(&self, id: &str) -> Vec<Arc<Proof>> {
        let user = lock(&self.0).by_id.get(id).and_then(Weak::upgrade);
        user.map(|user| user.revoke()).unwrap_or_default()
    }

    /// Passwords of a user that were last proven before then must be proven again.
    pub(crate) fn expire_proofs(&self, id: &str, before: Instant) {
        let user = lock(&self.0).by_id.get(id).and_then(Weak::upgrade);
        if let Some(user) = user {
            user.expire_proofs(before);
        }
    }

    /// Voids what is known of everybody.
    pub(crate) fn revoke_all(&self) {
        let users: Vec<_> = lock(&self.0).by_id.values().filter_map(Weak::upgrade).collect();
        users.iter().for_each(|user| _ = user.revoke());
    }
}
