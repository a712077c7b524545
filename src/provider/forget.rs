//! Forgetting known devices, login records, stored sessions, and the users behind identifiers.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::Provider;
use crate::client_token::ClientSlot;
use crate::sessions::{EndRequest, Session, User};
use crate::store::{EngineState, Removed, Wait};

/// Resolves to the sessions to end, when the store has removed them.
pub(crate) type Taken = Pin<Box<dyn Future<Output = Vec<EndRequest>> + Send>>;

impl Provider {
    /// Forgets a user, whose records the store removes. `dropped` are the user's sessions in use, since the store may have
    /// lost some of them.
    pub(crate) fn forget_user(
        &self,
        state: &EngineState,
        user_id: &str,
        dropped: HashSet<Arc<str>>,
        taken: Wait<Removed>,
    ) -> Taken {
        if let Self::Backend(backend) = self {
            backend.passwords.forget_user(user_id);
        }
        self.taken(state, dropped, taken)
    }

    /// Forgets one session, and removes its records.
    pub(crate) fn forget_session(&self, state: &EngineState, session_id: &str) -> Taken {
        self.taken(state, HashSet::from([session_id.into()]), state.take_session(session_id))
    }

    /// Forgets all users, like [`forget_user`](Self::forget_user).
    pub(crate) fn forget_all(
        &self,
        state: &EngineState,
        dropped: HashSet<Arc<str>>,
        taken: Wait<Removed>,
    ) -> Taken {
        if let Self::Backend(backend) = self {
            backend.passwords.forget_all();
            backend.open_sessions.forget_clients();
        }
        self.taken(state, dropped, taken)
    }

    /// The sessions to end. With the Frontend API the last proof of a dropped one queues its end, which leaves those that
    /// this process has not used since it started: they can be ended where a known device has their client token. A
    /// login record has it sealed under the password.
    fn taken(&self, state: &EngineState, dropped: HashSet<Arc<str>>, taken: Wait<Removed>) -> Taken {
        if let Self::Backend(backend) = self {
            return backend.open_sessions.taken(dropped, taken);
        }
        if !state.outlives_process() {
            return Box::pin(std::future::ready(Vec::new()));
        }
        Box::pin(async move {
            let mut ended = Vec::new();
            for device in taken.await.devices {
                let unused = device.session_id.filter(|id| !dropped.contains(&**id));
                let client = Arc::new(ClientSlot::of(device.client_token));
                ended.extend(unused.map(|id| EndRequest { client, ..EndRequest::by_id(id.into()) }));
            }
            ended
        })
    }

    /// Takes a user's sessions that are not in use out of the store.
    pub(crate) fn take_unused(&self, user: Arc<User>) -> Option<Taken> {
        let Self::Backend(backend) = self else { return None };
        let open_sessions = backend.open_sessions.clone();
        Some(Box::pin(async move {
            let mut unused = Vec::new();
            for session in open_sessions.store.of_user(&user.id).await {
                if user.holding_with(session.session_id()).is_none() {
                    open_sessions.remove(session.session_id());
                    unused.push(EndRequest::by_id(Arc::from(session.session_id())));
                }
            }
            unused
        }))
    }

    /// Removes a session from the store, so that no later sign-in gets it.
    pub(crate) fn forget(&self, session: &Session) {
        if let Self::Backend(backend) = self {
            backend.open_sessions.forget(session);
        }
    }

    /// The sessions that a shutdown must end: those in use and those stored, except for those that another process can
    /// go on with.
    pub(crate) async fn ended_by_shutdown(
        &self,
        state: &EngineState,
        in_use: Vec<Arc<Session>>,
    ) -> Vec<EndRequest> {
        match self {
            Self::Frontend(_) => in_use.iter().map(|session| EndRequest::of(session)).collect(),
            Self::Backend(_) if state.outlives_process() => Vec::new(),
            Self::Backend(_) => {
                let in_use = in_use.iter().map(|session| Arc::clone(&session.id)).collect();
                self.taken(state, in_use, state.take_all()).await
            }
        }
    }
}
