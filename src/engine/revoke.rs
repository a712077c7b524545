//! Revocation: drops sessions, tokens and proofs before they expire (rule K9).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::{Clerk, pending_proofs};
use crate::bearer::CutoffTarget;
use crate::clerk_api::{ApiError, TimeLeft};
use crate::cluster::Change;
use crate::credentials::Credentials;
use crate::engine::rejections::from_mint_error;
use crate::provider::Taken;
use crate::rejection::Rejection;
use crate::sessions::{EndPolicy, EndRequest, Proof, SessionState, Target};
use crate::sync::now_or_later;

impl Clerk {
    /// Drops everything that the engine holds of a user, by the user's id (`user_…`): sessions, tokens, proofs of
    /// passwords and known devices.
    ///
    /// Call it when a user is deleted or banned, or has reported a stolen password; Clerk's
    /// [webhooks](https://clerk.com/docs/guides/development/webhooks/overview) tell a program about the first two.
    ///
    /// It takes effect at once, also on a sign-in that is under way, whose session is then neither stored nor served.
    /// The user's sessions of this engine are ended at Clerk in the background; with the Frontend API all but those that only
    /// a login record of the store names, whose client token goes with the record. A token that was handed out before stays valid for the
    /// services that verify it until it expires, by default within 60 s. A layer that
    /// [accepts Bearer tokens](crate::ClerkBasicAuthLayer::accept_bearer) refuses it, though, as this and the other
    /// revocations reach all tokens that were issued before; to be on the safe side also those of the next 6 s, or of the
    /// next minute if no answer of Clerk's has told its time yet.
    ///
    /// It is not a ban: the next request with a password that Clerk accepts signs in again, and so does one with the
    /// assertion of an identity provider, until that expires. To keep a user out, ban the user at Clerk as well. With Device
    /// Trust, an account that was [enrolled](Self::enroll) must be enrolled again.
    pub fn revoke_user(&self, user_id: &str) {
        self.change(Change::User(user_id.into()));
    }

    pub(super) fn revoke_user_here(&self, user_id: &str) {
        let (sign_ins, now) = (&self.0.sign_ins, self.0.clock.now());
        // Pending proofs first: a sign-in that goes on from one notes its generation before it looks whether it is void.
        sign_ins.users.revoke(user_id);
        let target = Target::User(user_id.into());
        let taken = sign_ins.revocations.revoke_stored(target, now, || sign_ins.state.take_user(user_id));
        self.0.revoke_bearer(CutoffTarget::User(user_id.into()));
        self.0.revoke_api_keys_of(user_id);
        let dropped = self.drop_all(&sign_ins.users.revoke(user_id));
        self.end_taken(sign_ins.provider.forget_user(&sign_ins.state, user_id, dropped, taken));
    }

    /// Drops a session by its id (`sess_…`), and ends it at Clerk in the background: with the Frontend API, one that the
    /// engine holds, since it knows the client token of no other.
    ///
    /// Call it when a session must not be used any longer although its user may stay, for instance when Clerk's webhook
    /// reports `session.revoked`. It takes effect at once, also on Bearer tokens of a session that the engine doesn't hold,
    /// such as a browser's. The credentials that were served by the session are not
    /// revoked: the next request with them proves the password at Clerk again.
    pub fn revoke_session(&self, session_id: &str) {
        self.change(Change::Session(session_id.into()));
    }

    pub(super) fn revoke_session_here(&self, session_id: &str) {
        let (sign_ins, now) = (&self.0.sign_ins, self.0.clock.now());
        let target = Target::Session(session_id.into());
        let take = || sign_ins.provider.forget_session(&sign_ins.state, session_id);
        let taken = sign_ins.revocations.revoke_stored(target, now, take);
        self.0.revoke_bearer(CutoffTarget::Session(session_id.into()));
        if let Some(session) = sign_ins.sessions.by_id(session_id) {
            session.advance(self.revoked_state());
            if let Some(holding) = session.user.holding_with(session_id) {
                sign_ins.sessions.void(&holding);
            }
        }
        self.end_taken(taken);
    }

    /// Requires that Clerk accept a user's credentials again if they were last proven before `before`, a time by
    /// Clerk's clock.
    ///
    /// Call it when a user has changed the password or added a second factor. Without it, the old password works until
    /// its proof expires ([`session_ttl`](crate::ClerkBuilder::session_ttl), 1 h by default).
    ///
    /// It ends no session by itself. A credential that Clerk accepts again continues with its session; if Clerk refuses
    /// the credential, its session is ended, as after any refusal. Clerk dates its answers to the second, so a
    /// credential that was proven up to two seconds after `before` may have to be proven again as well.
    ///
    /// ```no_run
    /// # fn example(clerk: tower_clerk::Clerk, changed_at: std::time::SystemTime) {
    /// // `password_last_updated_at` of the user in Clerk's `user.updated` webhook.
    /// clerk.expire_proofs("user_2pqaQ9F4o9MNRSlx8VeMRn5hZug", changed_at);
    /// # }
    /// ```
    pub fn expire_proofs(&self, user_id: &str, before: SystemTime) {
        let changed = self.0.sign_ins.time.no_later_than_now(before);
        // Each later event of the user tells the same change again, also that of a sign-in, which must not void itself.
        if !self.0.sign_ins.revocations.knows_change(user_id, changed) {
            self.change(Change::Proofs(user_id.into(), before.max(SystemTime::UNIX_EPOCH)));
        }
    }

    pub(super) fn expire_proofs_here(&self, user_id: &str, before: SystemTime) {
        let (sign_ins, now) = (&self.0.sign_ins, self.0.clock.now());
        let changed = sign_ins.time.no_later_than_now(before);
        // Another replica may have told it meanwhile.
        if sign_ins.revocations.knows_change(user_id, changed) {
            return;
        }
        // `None` is a time before the first `Instant` of this machine, and no proof in memory is that old.
        let instant = sign_ins.time.instant_of(before);
        let at = instant.map_or(changed, |instant| sign_ins.time.at(instant));
        let remove = || sign_ins.state.expire_logins(user_id, at);
        let removed = match instant {
            Some(before) if self.may_bring_proof_from_before(before) => {
                // As in `revoke_user`.
                sign_ins.users.expire_proofs(user_id, before);
                sign_ins.revocations.expire_proofs(user_id, changed, before, now, remove)
            }
            _ => remove(),
        };
        if let Some(before) = instant {
            sign_ins.users.expire_proofs(user_id, before);
        }
        now_or_later(removed);
    }

    /// Whether a flight under way may bring a proof from before this instant: a pending one, or that of a login record,
    /// which may be of any age. Otherwise no tombstone is needed, since the proofs in memory are checked either way.
    fn may_bring_proof_from_before(&self, instant: Instant) -> bool {
        let sign_ins = &self.0.sign_ins;
        let oldest = sign_ins.revocations.longest_flight() + pending_proofs::LIFE;
        sign_ins.state.outlives_process() || self.0.clock.now().saturating_duration_since(instant) < oldest
    }

    /// Drops everything that the engine holds of all users: sessions, tokens, proofs of passwords and known devices.
    ///
    /// Call it after an incident, for instance if the memory or the stores of the process may have been read, or after
    /// the machine was suspended, since proofs do not age while it sleeps. It has the effect of
    /// [`revoke_user`](Self::revoke_user) for every user. Each user must then sign in again, within the sign-in budget.
    pub fn revoke_all(&self) {
        self.change(Change::All);
    }

    pub(super) fn revoke_all_here(&self) {
        let (sign_ins, now) = (&self.0.sign_ins, self.0.clock.now());
        // As in `revoke_user`.
        sign_ins.pending_proofs.forget_all();
        let taken = sign_ins.revocations.revoke_stored(Target::All, now, || sign_ins.state.take_all());
        self.0.revoke_bearer(CutoffTarget::All);
        if let Some(keys) = &self.0.api_keys {
            keys.revoke_all();
        }
        sign_ins.users.revoke_all();
        let dropped = self.drop_all(&sign_ins.sessions.all());
        self.end_taken(sign_ins.provider.forget_all(&sign_ins.state, dropped, taken));
        sign_ins.trusted.forget_all();
        sign_ins.pending_proofs.forget_all();
    }

    /// Queues the end of sessions that were taken out of a store.
    fn end_taken(&self, taken: Taken) {
        self.0.sign_ins.end_queue.push_later(taken);
        if tokio::runtime::Handle::try_current().is_ok() {
            self.0.sign_ins.reaper.start();
        }
    }

    /// With the Backend API, `end_taken` queues the ends of stored sessions. With the Frontend API, the last proof of a
    /// session queues its end when it is removed.
    fn revoked_state(&self) -> SessionState {
        if self.0.sign_ins.provider.keeps_sessions() {
            SessionState::EndedElsewhere
        } else {
            SessionState::Ending
        }
    }

    /// Drops proofs, and returns the ids of the sessions that they pointed at.
    fn drop_all(&self, proofs: &[Arc<Proof>]) -> HashSet<Arc<str>> {
        let mut dropped = HashSet::new();
        for proof in proofs {
            for session in proof.holding.sessions() {
                session.advance(self.revoked_state());
                dropped.insert(Arc::clone(&session.id));
            }
            self.0.sign_ins.sessions.remove(proof, EndPolicy::UnlessStored);
        }
        dropped
    }

    /// Ends the session of these credentials, in the engine and at Clerk.
    ///
    /// Call it when a client signs out. The credentials are not revoked: the next request with them signs in again.
    /// With the Backend API, the user's stored sessions that are not in use are not ended;
    /// [`revoke_user`](Self::revoke_user) ends them too.
    ///
    /// # Errors
    ///
    /// Returns an error if Clerk did not confirm the end of the session within
    /// [`upstream_timeout`](crate::ClerkBuilder::upstream_timeout), 5 s by default. The engine has dropped the session
    /// in any case.
    pub async fn sign_out(&self, credentials: &Credentials) -> Result<(), Rejection> {
        let inner = &self.0;
        let key = self.key_of_credentials(credentials);
        let mut sessions = Vec::new();
        // A loop, because a renewal may replace the proof until it sees that the session has ended.
        while let Some(proof) = inner.sign_ins.sessions.find(&key, inner.clock.now()) {
            let (holding, session) = (Arc::clone(&proof.holding), proof.holding.session());
            session.advance(SessionState::EndedElsewhere);
            for session in holding.sessions().iter() {
                inner.revoke_bearer(CutoffTarget::Session((&*session.id).into()));
                self.publish(|| Change::EndedSession((&*session.id).into()));
            }
            // Invalidating all proofs of the holding queues the ends of its other sessions as well.
            for proof in holding.user.proofs_on(&holding).into_iter().chain([proof]) {
                inner.sign_ins.invalidate(&proof);
            }
            inner.sign_ins.provider.forget(&session);
            // Also the records of the session's other credentials, which this process may never have seen.
            drop(inner.sign_ins.state.take_session(&session.id));
            sessions.push(session);
        }
        // In a task of its own, so that the session is ended even if the caller drops this future.
        let (sign_ins, timeout) = (Arc::clone(&inner.sign_ins), inner.settings.upstream_timeout);
        let ended = tokio::spawn(async move {
            let mut ended = Ok(());
            for session in sessions {
                let time = TimeLeft::new(timeout, sign_ins.clock);
                ended = sign_ins.provider.end(&EndRequest::of(&session), time).await.and(ended);
            }
            ended
        });
        let ended = ended.await.unwrap_or_else(|_| Err(ApiError::unavailable("end_lost")));
        ended.map_err(|error| from_mint_error(&error.into()))
    }
}
