//! Taking back what a provider keeps: known devices, kept sessions, what is known of a user.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::Roads;
use crate::sessions::{EndRequest, Session, User};
use crate::sync::now_or_later;

/// The ids of sessions to end, when a store has been told to forget them.
pub(crate) type Taken = Pin<Box<dyn Future<Output = HashSet<Arc<str>>> + Send>>;

impl Roads {
    /// Forgets a user. `dropped` are the sessions that were in use, since a store may have lost some. `None` where no
    /// store keeps sessions: each is ended with its last proof.
    pub(crate) fn forget_user(&self, user_id: &str, dropped: HashSet<Arc<str>>) -> Option<Taken> {
        match self {
            Self::Frontend(road) => {
                road.devices.forget_user(user_id);
                None
            }
            Self::Backend(road) => {
                road.passwords.forget_user(user_id);
                let (store, user_id) = (Arc::clone(&road.kept.store), user_id.to_owned());
                Some(road.kept.taken(dropped, async move { store.take_user(&user_id).await }))
            }
        }
    }

    /// The same of one session.
    pub(crate) fn forget_session(&self, session_id: &str) -> Option<Taken> {
        match self {
            Self::Frontend(_) => None,
            Self::Backend(road) => {
                let (store, id) = (Arc::clone(&road.kept.store), session_id.to_owned());
                let taken = async move { store.take_session(&id).await.into_iter().collect() };
                Some(road.kept.taken(HashSet::from([session_id.into()]), taken))
            }
        }
    }

    /// The same of all users.
    pub(crate) fn forget_all(&self, dropped: HashSet<Arc<str>>) -> Option<Taken> {
        match self {
            Self::Frontend(road) => {
                road.devices.forget_all();
                None
            }
            Self::Backend(road) => {
                road.passwords.forget_all();
                road.kept.forget_clients();
                let store = Arc::clone(&road.kept.store);
                Some(road.kept.taken(dropped, async move { store.take_all().await }))
            }
        }
    }

    /// Takes the sessions of a user that are kept and not in use.
    pub(crate) fn take_unused(&self, user: Arc<User>) -> Option<Taken> {
        let Self::Backend(road) = self else { return None };
        let store = Arc::clone(&road.kept.store);
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
        Some(road.kept.taken(HashSet::new(), unused))
    }

    /// Sees to it that no later sign-in goes on with this session.
    pub(crate) fn forget(&self, session: &Arc<Session>) {
        let Self::Backend(road) = self else { return };
        let (kept, session) = (road.kept.clone(), Arc::clone(session));
        let removal = kept.removals.begin();
        now_or_later(async move {
            kept.forget(&session).await;
            drop(removal);
        });
    }

    /// Which sessions a shutdown ends: none where a store keeps them beyond this process, and otherwise those that were
    /// in use and those that a store has.
    pub(crate) async fn ended_by_shutdown(&self, in_use: Vec<EndRequest>) -> Vec<EndRequest> {
        match self {
            Self::Frontend(_) => in_use,
            Self::Backend(road) if road.kept.store.outlives_process() => Vec::new(),
            Self::Backend(road) => {
                let mut ids: HashSet<Arc<str>> =
                    in_use.into_iter().map(|request| request.session_id).collect();
                ids.extend(road.kept.store.take_all().await.iter().map(|kept| Arc::from(kept.session_id())));
                ids.into_iter().map(EndRequest::by_id).collect()
            }
        }
    }
}
