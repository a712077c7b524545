//! Sessions and tokens, as an administrator sees and changes them in Clerk's dashboard.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::authentication::session::open;
use crate::fake::FakeClerk;
use crate::fake::token::FakeToken;
use crate::state::{Client, FakeSession, Session, SessionStatus, Template};

/// Sessions and tokens.
impl FakeClerk {
    /// Returns every session so far, oldest first, except those of deleted users.
    #[must_use]
    pub fn sessions(&self) -> Vec<FakeSession> {
        self.change(|state, _, now| {
            let mut sessions: Vec<_> = state.sessions.all().collect();
            sessions.sort_by_key(|session| session.number);
            sessions.into_iter().map(|session| session.public(now)).collect()
        })
    }

    /// Returns the number of live sessions.
    #[must_use]
    pub fn live_sessions(&self) -> usize {
        self.change(|state, _, now| {
            state.sessions.all().filter(|session| session.is_live(now.instant)).count()
        })
    }

    /// Returns the number of a user's live sessions.
    ///
    /// Unlike the methods that change accounts, it doesn't panic for an unknown user, but returns 0.
    #[must_use]
    pub fn live_sessions_of(&self, user: &str) -> usize {
        self.change(|state, _, now| {
            let Some(user) = state.users.id_of(user) else { return 0 };
            state.sessions.of_user(&user).filter(|session| session.is_live(now.instant)).count()
        })
    }

    /// Revokes a session, like an administrator. Returns whether it was live.
    pub fn revoke_session(&self, session: &str) -> bool {
        self.change(|state, _, now| state.end_session(session, SessionStatus::Revoked, now))
    }

    /// Gives a live session a task, so that it is pending from now on: `setup-mfa` or `reset-password` for example.
    ///
    /// Clerk does it when the instance requires something new of its users. Returns whether the session was live.
    pub fn add_task(&self, session: &str, task: impl Into<String>) -> bool {
        self.change(|state, _, now| {
            let live = state.sessions.get_mut(session).filter(|session| session.is_live(now.instant));
            let Some(live) = live else { return false };
            live.tasks.push(task.into());
            state.set_session_status(session, SessionStatus::Pending, now);
            true
        })
    }

    /// Verifies the first factor of a user's live sessions once more, as Clerk's reverification in a browser does.
    ///
    /// The `fva` claim of later tokens counts from now.
    ///
    /// # Panics
    ///
    /// Panics if the user is unknown.
    pub fn verify_first_factor(&self, user: &str) {
        self.verify(user, |session, now| session.first_factor = now);
    }

    /// Verifies the second factor of a user's live sessions, as Clerk's reverification in a browser does.
    ///
    /// The `fva` claim of later tokens counts from now. It names a second factor even if the account has none.
    ///
    /// # Panics
    ///
    /// Panics if the user is unknown.
    pub fn verify_second_factor(&self, user: &str) {
        self.verify(user, |session, now| session.second_factor = Some(now));
    }

    fn verify(&self, user: &str, verify: impl Fn(&mut Session, Instant)) {
        self.change(|state, _, now| {
            let id = state.users.id_of(user).unwrap_or_else(|| panic!("no user {user:?}"));
            state.sessions.change_of_user(&id, |session| {
                if session.is_live(now.instant) {
                    verify(session, now.instant);
                }
            });
        });
    }

    /// Opens a session of a user on a client of its own, as if the user had signed in with a browser, and returns its id.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn open_session(&self, user: &str) -> String {
        self.change(|state, settings, now| {
            let id = state.users.id_of(user).unwrap_or_else(|| panic!("no user {user:?}"));
            let mut client = Client::new(now);
            let session = open(state, settings, now, &mut client, &id, None, false);
            state.clients.insert(client.id.clone(), client);
            session.unwrap_or_else(|| panic!("no user {user:?}"))
        })
    }

    /// Returns a token of a session, to be changed and signed: what a browser has, or what an attacker makes of it.
    ///
    /// It needs no request, so it takes no part of Clerk's limits and is in no log.
    ///
    /// ```
    /// use fake_clerk::FakeClerk;
    ///
    /// let clerk = FakeClerk::new();
    /// let session = clerk.open_session("jane@example.com");
    /// let jwt = clerk.token(&session).organization("acme").origin("https://app.example.com").sign();
    /// assert_eq!(jwt.split('.').count(), 3);
    /// ```
    pub fn token(&self, session: &str) -> FakeToken {
        FakeToken::new(self.clone(), session)
    }

    /// Adds a JWT template with the lifetime and the claims of its tokens.
    ///
    /// Claims may contain shortcodes of Clerk's templates: `{{user.id}}`, `{{user.primary_email_address}}`,
    /// `{{user.username}}`, `{{user.first_name}}`, `{{user.last_name}}`, `{{user.public_metadata.…}}`, `{{org.id}}`,
    /// `{{org.slug}}`, `{{org.name}}`, `{{org.role}}`, `{{session.id}}`.
    pub fn add_template(&self, name: impl Into<String>, life: Duration, claims: Map<String, Value>) {
        self.change(|state, _, _| state.templates.insert(name.into(), Template { life, claims }));
    }

    /// Sets custom claims of all session tokens. They never replace the standard claims.
    pub fn set_session_claims(&self, claims: Map<String, Value>) {
        self.change(|state, _, _| state.session_claims = claims);
    }

    /// Signs tokens with a new key from now on. The old key stays in the key set until
    /// [`retire_old_keys`](Self::retire_old_keys).
    pub fn rotate_keys(&self) {
        self.change(|state, _, _| state.keys.rotate());
    }

    /// Removes all keys but the newest from the key set.
    pub fn retire_old_keys(&self) {
        self.change(|state, _, _| state.keys.retire());
    }

    /// Returns the `kid` of the current signing key.
    #[must_use]
    pub fn kid(&self) -> String {
        self.change(|state, _, _| state.keys.kid().to_owned())
    }
}
