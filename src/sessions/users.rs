//! The users whose credentials were proven here, so that a revocation can find their proofs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::end_queue::EndQueue;
use super::holding::Holding;
use super::proof::Proof;
use super::session::{Session, SessionState};
use super::weak_map::WeakMap;
use crate::membership::Membership;
use crate::scope::OrganizationName;
use crate::sync::lock;

/// The most proofs per user. Each spelling of an identifier is another credential, so one user could otherwise fill the
/// cache.
const MAX_PROOFS: usize = 16;

/// How many organizations without a known membership a user may request per window. Each costs a call.
const MAX_UNKNOWN: u32 = 32;
const UNKNOWN_WINDOW: Duration = Duration::from_secs(10);

/// How a holding's sessions end when its last proof leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndPolicy {
    /// End the sessions at Clerk, unless a store holds them for the next sign-in.
    UnlessStored,
    /// End the sessions at Clerk: the password was refused, or the user was revoked.
    Always,
}

/// The error if the last proof of a holding has left, so that no proof or session can join it.
#[derive(Debug)]
pub(crate) struct HoldingIsOver;

/// Which proofs of a user share a holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// The proofs of one Clerk session share a holding.
    OneSession,
    /// All proofs of the user share one holding, which has a session for each organization.
    AllSessions,
}

/// A proof that has joined a holding.
pub(super) struct Joined {
    pub(super) proof: Arc<Proof>,
    /// The user's oldest proof if there are too many now. The caller must remove it.
    pub(super) oldest: Option<Arc<Proof>>,
    /// The session that the new one has displaced from the holding.
    pub(super) displaced: Option<Arc<Session>>,
}

/// A user, shared by the user's sessions and trust records, and dropped with the last of them.
///
/// A proof joins a holding, and the last proof leaves it, under the lock of `proofs`. So no proof can join a holding
/// whose last proof has left.
#[derive(Debug)]
pub(crate) struct User {
    /// Shared with the map of users.
    pub(crate) id: Arc<str>,
    /// The number of revocations. A trust record or a pending proof from before the last one is void.
    revoked: AtomicU64,
    /// Proofs from before this instant have expired.
    expired: Mutex<Option<Instant>>,
    proofs: Mutex<Vec<Weak<Proof>>>,
    /// The user's organizations, as of the last answer that listed them.
    memberships: Mutex<Box<[Membership]>>,
    /// The start of the current window, and how many organizations without a known membership were requested in it.
    unknown: Mutex<Option<(Instant, u32)>>,
}

impl User {
    /// Whether the user may request another organization without a known membership. Counts the request.
    pub(crate) fn may_ask_for_unknown(&self, now: Instant) -> bool {
        let mut unknown = lock(&self.unknown);
        let (_, asked) = match &mut *unknown {
            Some(window) if now.saturating_duration_since(window.0) < UNKNOWN_WINDOW => window,
            stale => stale.insert((now, 0)),
        };
        *asked += 1;
        *asked <= MAX_UNKNOWN
    }

    /// The id of an organization, if the user is known to be a member of it.
    pub(crate) fn member_of(&self, organization: &OrganizationName) -> Option<Box<str>> {
        Membership::find(&lock(&self.memberships), organization).map(Into::into)
    }

    pub(crate) fn memberships(&self) -> Box<[Membership]> {
        lock(&self.memberships).clone()
    }

    pub(crate) fn set_memberships(&self, memberships: Box<[Membership]>) {
        *lock(&self.memberships) = memberships;
    }

    /// Clerk is asked again the next time that the organization is named so.
    pub(crate) fn forget_membership(&self, organization: &OrganizationName) {
        let mut memberships = lock(&self.memberships);
        let known = std::mem::take(&mut *memberships).into_vec();
        let is_other = |it: &Membership| Membership::find(std::slice::from_ref(it), organization).is_none();
        *memberships = known.into_iter().filter(is_other).collect();
    }

    pub(crate) fn revocations(&self) -> u64 {
        self.revoked.load(Ordering::Acquire)
    }

    /// Joins a proof to the holding in use that has the session or that `sharing` selects, and otherwise to `own`. The
    /// choice and the joining are under one lock, so that there is one live holding per Clerk session.
    ///
    /// # Errors
    ///
    /// Returns an error if the session is being ended.
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

    /// Adds a session to a holding. Returns the session that it has displaced.
    ///
    /// # Errors
    ///
    /// Returns an error if the last proof of the holding has left.
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

    /// Removes a proof from its holding. If it was the last one, closes the holding and releases its sessions by
    /// `policy`. Returns whether it was the last one.
    pub(super) fn leave(&self, proof: &Proof, policy: EndPolicy, queue: &EndQueue) -> bool {
        let mut proofs = lock(&self.proofs);
        proofs.retain(|known| !std::ptr::eq(known.as_ptr(), proof));
        self.release(&proofs, &proof.holding, policy, queue)
    }

    /// Closes a holding that no proof uses, and releases its sessions by `policy`. Returns whether it did.
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

    /// A holding in use for which `fits` returns true.
    pub(crate) fn holding(&self, fits: impl Fn(&Holding) -> bool) -> Option<Arc<Holding>> {
        let proofs = self.proofs();
        let mut held = proofs.iter().filter(|proof| !proof.is_over()).map(|proof| &proof.holding);
        held.find(|holding| !holding.is_over() && fits(holding)).cloned()
    }

    pub(crate) fn proofs(&self) -> Vec<Arc<Proof>> {
        lock(&self.proofs).iter().filter_map(Weak::upgrade).collect()
    }

    /// The holdings in use, each once.
    pub(crate) fn holdings(&self) -> Vec<Arc<Holding>> {
        let mut holdings: Vec<Arc<Holding>> = Vec::new();
        for proof in self.proofs().iter().filter(|proof| !proof.is_over()) {
            if !holdings.iter().any(|known| Arc::ptr_eq(known, &proof.holding)) {
                holdings.push(Arc::clone(&proof.holding));
            }
        }
        holdings
    }

    /// The proofs that point at this holding.
    pub(crate) fn proofs_on(&self, holding: &Arc<Holding>) -> Vec<Arc<Proof>> {
        self.proofs().into_iter().filter(|proof| Arc::ptr_eq(&proof.holding, holding)).collect()
    }

    /// Lets no request in by a password that was last proven before `before`, until it is proven again.
    fn expire_proofs(&self, before: Instant) {
        let mut expired = lock(&self.expired);
        *expired = (*expired).max(Some(before));
        drop(expired);
        self.proofs().iter().for_each(|proof| proof.expire(before));
    }

    /// Whether a proof from this instant has expired.
    pub(crate) fn has_expired(&self, at: Instant) -> bool {
        lock(&self.expired).is_some_and(|before| at < before)
    }

    /// Voids the user's trust records and pending proofs. Returns the user's proofs, which the caller must remove.
    fn revoke(&self) -> Vec<Arc<Proof>> {
        self.revoked.fetch_add(1, Ordering::AcqRel);
        self.proofs()
    }
}

/// All users, by id.
#[derive(Debug, Default)]
pub(crate) struct Users(WeakMap<Arc<str>, User>);

impl Users {
    pub(crate) fn of(&self, id: &str) -> Arc<User> {
        let id: Arc<str> = id.into();
        self.0.get_or_insert(Arc::clone(&id), || User {
            id,
            revoked: AtomicU64::new(0),
            expired: Mutex::default(),
            proofs: Mutex::default(),
            memberships: Mutex::default(),
            unknown: Mutex::default(),
        })
    }

    /// The user with this id, while a proof or a trust record is held of it.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<User>> {
        self.0.get(id)
    }

    /// Voids a user's trust records and pending proofs. Returns the user's proofs, which the caller must remove.
    pub(crate) fn revoke(&self, id: &str) -> Vec<Arc<Proof>> {
        self.get(id).map(|user| user.revoke()).unwrap_or_default()
    }

    /// Lets no request of a user in by a password that was last proven before `before`, until it is proven again.
    pub(crate) fn expire_proofs(&self, id: &str, before: Instant) {
        if let Some(user) = self.get(id) {
            user.expire_proofs(before);
        }
    }

    /// Voids the trust records and pending proofs of all users.
    pub(crate) fn revoke_all(&self) {
        self.0.all().iter().for_each(|user| _ = user.revoke());
    }
}
