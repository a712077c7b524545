//! Sessions and tokens, as an administrator sees and changes them in Clerk's dashboard.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::fake::FakeClerk;
use crate::state::{FakeSession, SessionStatus, Template};

/// Sessions and tokens.
impl FakeClerk {
    /// Every session there ever was, oldest first, except those of users that were deleted.
    #[must_use]
    pub fn sessions(&self) -> Vec<FakeSession> {
        self.change(|state, _, now| {
            let mut sessions: Vec<_> = state.sessions.all().collect();
            sessions.sort_by_key(|session| session.number);
            sessions.into_iter().map(|session| session.public(now)).collect()
        })
    }

    /// How many sessions are live: opened, and not ended since.
    #[must_use]
    pub fn live_sessions(&self) -> usize {
        self.change(|state, _, now| {
            state.sessions.all().filter(|session| session.is_live(now.instant)).count()
        })
    }

    /// How many sessions of a user are live; 0 if there is no such user, where the methods of accounts panic.
    #[must_use]
    pub fn live_sessions_of(&self, user: &str) -> usize {
        self.change(|state, _, now| {
            let Some(user) = state.users.id_of(user) else { return 0 };
            state.sessions.of_user(&user).filter(|session| session.is_live(now.instant)).count()
        })
    }

    /// Revokes a session, as an administrator does. Returns whether it was live.
    pub fn revoke_session(&self, session: &str) -> bool {
        self.change(|state, _, now| match state.sessions.get_mut(session) {
            Some(session) if session.is_live(now.instant) => {
                session.status = SessionStatus::Revoked;
                true
            }
            _ => false,
        })
    }

    /// Adds a JWT template: its name, how long its tokens live, and their claims.
    ///
    /// Claims may have the shortcodes of Clerk's templates in them: `{{user.id}}`, `{{user.primary_email_address}}`,
    /// `{{user.username}}`, `{{user.first_name}}`, `{{user.last_name}}`, `{{user.public_metadata.…}}`, `{{org.id}}`,
    /// `{{org.slug}}`, `{{org.name}}`, `{{org.role}}`, `{{session.id}}`.
    pub fn add_template(&self, name: impl Into<String>, life: Duration, claims: Map<String, Value>) {
        self.change(|state, _, _| state.templates.insert(name.into(), Template { life, claims }));
    }

    /// Sets claims that every session token has, beside its own.
    pub fn set_session_claims(&self, claims: Map<String, Value>) {
        self.change(|state, _, _| state.session_claims = claims);
    }

    /// Signs with a new key from now on. The old one stays in the key set.
    pub fn rotate_keys(&self) {
        self.change(|state, _, _| state.keys.rotate());
    }

    /// Takes all keys but the newest out of the key set.
    pub fn retire_old_keys(&self) {
        self.change(|state, _, _| state.keys.retire());
    }

    /// The `kid` of the key that signs.
    #[must_use]
    pub fn kid(&self) -> String {
        self.change(|state, _, _| state.keys.kid().to_owned())
    }
}
