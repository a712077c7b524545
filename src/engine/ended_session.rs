//! Sessions that Clerk has ended or made pending: what is held of them goes, and nothing is ended (rule W5).

use super::Clerk;
use crate::bearer::CutoffTarget;
use crate::cluster::Change;
use crate::sessions::{SessionState, Target};
use crate::sync::now_or_later;

impl Clerk {
    /// Drops a session's tokens by the session's id (`sess_…`), and leaves the session as it is.
    ///
    /// Call it when a session has become pending, which Clerk's webhook `session.pending` tells: the next request mints
    /// a new token, so Clerk decides again. A token from a mint that is under way is not stored. Bearer tokens that were
    /// issued before stay valid until they expire, by default within 60 s: a session begins as pending where its user
    /// has to choose an organization, and the tokens that it gets then must be accepted at once.
    pub fn drop_session_tokens(&self, session_id: &str) {
        self.change(Change::SessionTokens(session_id.into()));
    }

    pub(super) fn drop_session_tokens_here(&self, session_id: &str) {
        let sign_ins = &self.0.sign_ins;
        // A token that a sign-in under way has brought along is for a session that isn't held yet.
        if self.may_be_opening() || sign_ins.sessions.by_id(session_id).is_some() {
            sign_ins.revocations.revoke(Target::TokensOf(session_id.into()), self.0.clock.now());
        }
        let session = sign_ins.sessions.by_id(session_id);
        if let Some(holding) = session.and_then(|session| session.user.holding_with(session_id)) {
            holding.tokens.forget_session(session_id);
        }
    }

    /// Drops a session that Clerk has ended, by its id (`sess_…`).
    ///
    /// Call it when Clerk's webhook reports `session.ended`, `session.removed` or `session.revoked`. It has the effect
    /// of [`revoke_session`](Self::revoke_session), except that nothing is ended at Clerk. Of a session that the engine
    /// doesn't hold, such as a browser's, only Bearer tokens are affected: with the Backend API the store is
    /// asked to remove it, and nothing else is done.
    pub fn drop_session(&self, session_id: &str) {
        self.change(Change::EndedSession(session_id.into()));
    }

    pub(super) fn drop_session_here(&self, session_id: &str) {
        let sign_ins = &self.0.sign_ins;
        self.0.revoke_bearer(CutoffTarget::Session(session_id.into()));
        // Out of the store first: a sign-in that begins from here on can't find the session.
        let removed = sign_ins.provider.forget_session(&sign_ins.state, session_id);
        // In this order, since a flight may store its session and leave in between.
        if self.may_be_opening() || sign_ins.sessions.by_id(session_id).is_some() {
            sign_ins.revocations.revoke(Target::Session(session_id.into()), self.0.clock.now());
        }
        if let Some(session) = sign_ins.sessions.by_id(session_id) {
            session.advance(SessionState::Gone);
            if let Some(holding) = session.user.holding_with(session_id) {
                sign_ins.sessions.void(&holding);
            }
        }
        now_or_later(async move { _ = removed.await });
    }

    /// Whether a flight is under way that may bring a session.
    fn may_be_opening(&self) -> bool {
        self.0.sign_in_flights.len() + self.0.openings.len() > 0
    }
}
