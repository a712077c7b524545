//! Forgetting known devices, stored sessions, and the users behind identifiers.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::Provider;
use crate::sessions::{EndRequest, Session, User};
use crate::sync::now_or_later;

/// Resolves to the ids of sessions to end, when the store has removed them.
pub(crate) type Taken = Pin<Box<dyn Future<Output = HashSet<Arc<str>>> + Send>>;

impl Provider {
    /// Forgets a user. `dropped` are the user's sessions in use, since the store may have lost some of them.
    ///
    /// Returns `None` if sessions are not stored: then each ends with its last proof.
    pub(crate) fn forget_user(&self, user_id: &str, dropped: HashSet<Arc<str>>) -> Option<Taken> {
        match self {
            Self::Frontend(frontend) => {
                frontend.devices.forget_user(user_id);
                None
            }
            Self::Backend(backend) => {
                backend.passwords.forget_user(user_id);
                let (store, user_id) = (Arc::clone(&backend.open_sessions.store), user_id.to_owned());
                Some(backend.open_sessions.taken(dropped, async move { store.take_user(&user_id).await }))
            }
        }
    }

    /// Forgets one session, like [`forget_user`](Self::forget_user).
    pub(crate) fn forget_session(&self, session_id: &str) -> Option<Taken> {
        match self {
            Self::Frontend(_) => None,
            Self::Backend(backend) => {
                let (store, id) = (Arc::clone(&backend.open_sessions.store), session_id.to_owned());
                let taken = async move { store.take_session(&id).await.into_iter().collect() };
                Some(backend.open_sessions.taken(HashSet::from([session_id.into()]), taken))
            }
        }
    }

    /// Forgets all users, like [`forget_user`](Self::forget_user).
    pub(crate) fn forget_all(&self, dropped: HashSet<Arc<str>>) -> Option<Taken> {
        match self {
            Self::Frontend(frontend) => {
                frontend.devices.forget_all();
                None
            }
            Self::Backend(backend) => {
                backend.passwords.forget_all();
                backend.open_sessions.forget_clients();
                let store = Arc::clone(&backend.open_sessions.store);
                Some(backend.open_sessions.taken(dropped, async move { store.take_all().await }))
            }
        }
    }

    /// Takes a user's sessions that are not in use out of the store.
    pub(crate) fn take_unused(&self, user: Arc<User>) -> Option<Taken> {
        let Self::Backend(backend) = self else { return None };
        let store = Arc::clone(&backend.open_sessions.store);
        let unused = async move {
            let mut unused = Vec::new();
            for session in store.take_user(&user.id).await {
                if user.holding_with(session.session_id()).is_none() {
                    unused.push(session);
                } else {
                    store.put(session).await;
                }
            }
            unused
        };
        Some(backend.open_sessions.taken(HashSet::new(), unused))
    }

    /// Removes a session from the store, so that no later sign-in gets it.
    pub(crate) fn forget(&self, session: &Arc<Session>) {
        let Self::Backend(backend) = self else { return };
        let (open_sessions, session) = (backend.open_sessions.clone(), Arc::clone(session));
        let removal = open_sessions.removals.begin();
        now_or_later(async move {
            open_sessions.forget(&session).await;
            drop(removal);
        });
    }

    /// The sessions that a shutdown must end: those in use and those stored, or none if the store outlives the process.
    pub(crate) async fn ended_by_shutdown(&self, in_use: Vec<EndRequest>) -> Vec<EndRequest> {
        match self {
            Self::Frontend(_) => in_use,
            Self::Backend(backend) if backend.open_sessions.store.outlives_process() => Vec::new(),
            Self::Backend(backend) => {
                let mut ids: HashSet<Arc<str>> =
                    in_use.into_iter().map(|request| request.session_id).collect();
                ids.extend(
                    backend
                        .open_sessions
                        .store
                        .take_all()
                        .await
                        .iter()
                        .map(|stored| Arc::from(stored.session_id())),
                );
                ids.into_iter().map(EndRequest::by_id).collect()
            }
        }
    }
}
