//! Taking back what a provider keeps: known devices, kept sessions, what is known of a user.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::Provider;
use crate::sessions::{EndRequest, Session, User};
use crate::sync::now_or_later;

/// The ids of sessions to end, when a store has been told to forget them.
pub(crate) type Taken = Pin<Box<dyn Future<Output = HashSet<Arc<str>>> + Send>>;

impl Provider {
    /// Forgets a user. `dropped` are the sessions that were in use, since a store may have lost some. `None` where no
    /// store keeps sessions: each is ended with its last proof.
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

    /// The same of one session.
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

    /// The same of all users.
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

    /// Takes the sessions of a user that are kept and not in use.
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

    /// Sees to it that no later sign-in goes on with this session.
    pub(crate) fn forget(&self, session: &Arc<Session>) {
        let Self::Backend(backend) = self else { return };
        let (open_sessions, session) = (backend.open_sessions.clone(), Arc::clone(session));
        let removal = open_sessions.removals.begin();
        now_or_later(async move {
            open_sessions.forget(&session).await;
            drop(removal);
        });
    }

    /// Which sessions a shutdown ends: none where a store keeps them beyond this process, and otherwise those that were
    /// in use and those that a store has.
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
