//! Taking back what was let in (rule K9).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use super::Clerk;
use crate::clerk_api::{ApiError, TimeLeft};
use crate::credentials::Credentials;
use crate::engine::rejections::from_mint_error;
use crate::provider::Taken;
use crate::rejection::Rejection;
use crate::sessions::{EndPolicy, EndRequest, Proof, SessionState, Target};
use crate::sync::now_or_later;

impl Clerk {
    /// Forgets a user: sessions, tokens, and that any credential of theirs was ever right. The sessions are ended at
    /// Clerk in the background.
    ///
    /// At once, also for a sign-in that is under way: its result is neither stored nor served. The next request must
    /// prove itself at Clerk. It is no ban: that is made in Clerk.
    pub fn revoke_user(&self, user_id: &str) {
        let sign_ins = &self.0.sign_ins;
        sign_ins.revocations.revoke(Target::User(user_id.into()), self.0.clock.now());
        let dropped = self.drop_all(&sign_ins.users.revoke(user_id));
        self.end_taken(sign_ins.provider.forget_user(user_id, dropped));
    }

    /// Drops one session, and ends it at Clerk in the background. Its credential stays good: the next request with
    /// it signs in anew.
    pub fn revoke_session(&self, session_id: &str) {
        let sign_ins = &self.0.sign_ins;
        sign_ins.revocations.revoke(Target::Session(session_id.into()), self.0.clock.now());
        if let Some(session) = sign_ins.sessions.by_id(session_id) {
            session.advance(self.revoked_state());
            if let Some(holding) = session.user.holding_with(session_id) {
                sign_ins.sessions.void(&holding);
            }
        }
        self.end_taken(sign_ins.provider.forget_session(session_id));
    }

    /// Asks for a user's passwords again: credentials that were last proven before this time, by Clerk's clock, let nobody
    /// in until Clerk has accepted them anew. For when a password was changed or a second factor added.
    ///
    /// No session is ended by it. A credential that Clerk still accepts goes on as before; the session of one that it
    /// refuses is ended, as with any refusal. Clerk dates its answers to the second, so a credential that was proven up to
    /// two seconds later may be asked for again as well.
    ///
    /// ```no_run
    /// # fn example(clerk: tower_clerk::Clerk, changed_at: std::time::SystemTime) {
    /// // Clerk's webhook says `password_last_updated_at`.
    /// clerk.expire_proofs("user_2pqaQ9F4o9MNRSlx8VeMRn5hZug", changed_at);
    /// # }
    /// ```
    pub fn expire_proofs(&self, user_id: &str, before: SystemTime) {
        let (sign_ins, now) = (&self.0.sign_ins, self.0.clock.now());
        // Nothing that is held was proven before the first instant that this machine can tell.
        let Some(before) = sign_ins.time.instant_of(before) else { return };
        sign_ins.revocations.revoke(Target::Proofs(user_id.into(), before), now);
        sign_ins.users.expire_proofs(user_id, before);
    }

    /// Drops all tokens for an organization, by its id: the next request for it asks Clerk whether the user is still
    /// a member, and with which permissions. Sessions and other organizations' tokens stay.
    pub fn revoke_organization(&self, organization_id: &str) {
        let target = Target::Organization(organization_id.into());
        self.0.sign_ins.revocations.revoke(target, self.0.clock.now());
    }

    /// Forgets everybody.
    pub fn revoke_all(&self) {
        let sign_ins = &self.0.sign_ins;
        sign_ins.revocations.revoke(Target::All, self.0.clock.now());
        sign_ins.users.revoke_all();
        let dropped = self.drop_all(&sign_ins.sessions.all());
        self.end_taken(sign_ins.provider.forget_all(dropped));
        sign_ins.trusted.forget_all();
        sign_ins.pending_proofs.forget_all();
    }

    /// Ends sessions that a store has been told to forget.
    fn end_taken(&self, taken: Option<Taken>) {
        let Some(taken) = taken else { return };
        let end_queue = Arc::clone(&self.0.sign_ins.end_queue);
        now_or_later(async move {
            taken.await.into_iter().for_each(|id| end_queue.push(EndRequest::by_id(id)));
        });
        if tokio::runtime::Handle::try_current().is_ok() {
            self.0.sign_ins.reaper.start();
        }
    }

    /// Where a store keeps sessions, `end_taken` sees to their ends; otherwise the last proof that leaves does.
    fn revoked_state(&self) -> SessionState {
        if self.0.sign_ins.provider.keeps_sessions() {
            SessionState::EndedElsewhere
        } else {
            SessionState::Ending
        }
    }

    /// Drops these. Returns the ids of the sessions that they pointed at.
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

    /// Ends the session of these credentials, here and at Clerk.
    ///
    /// The credentials stay good: the next request with them signs in anew. By the Backend API, a session that is kept
    /// for the next sign-in, while no request is served by it, is not ended: [`revoke_user`](Self::revoke_user) ends
    /// those too.
    ///
    /// # Errors
    ///
    /// When Clerk couldn't be told. Here the session is over all the same.
    pub async fn sign_out(&self, credentials: &Credentials) -> Result<(), Rejection> {
        let inner = &self.0;
        let key = self.key_of_credentials(credentials);
        let mut sessions = Vec::new();
        // A renewal may put another proof in the place of this one, until it sees that the session was ended.
        while let Some(proof) = inner.sign_ins.sessions.get(&key, inner.clock.now()) {
            let (holding, session) = (Arc::clone(&proof.holding), proof.holding.session());
            session.advance(SessionState::EndedElsewhere);
            // The others of the set are ended in the background, as is whatever else points at this session.
            for proof in holding.user.proofs_on(&holding).into_iter().chain([proof]) {
                inner.sign_ins.invalidate(&proof);
            }
            inner.sign_ins.provider.forget(&session);
            sessions.push(session);
        }
        // In a task of its own: a caller that goes away must not leave the session to Clerk.
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
