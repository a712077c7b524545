//! The sessions in use, by Clerk's id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use super::holding::Holding;
use super::session::Session;
use crate::sync::lock;

/// Finds the session that a revocation names. A session is unlisted when the last proof of its holding leaves, or when
/// it is dropped, so the index needs no sweeper.
#[derive(Debug, Default)]
pub(crate) struct SessionIndex(Mutex<HashMap<Arc<str>, Weak<Session>>>);

impl SessionIndex {
    pub(super) fn list(self: &Arc<Self>, session: &Arc<Session>) {
        lock(&self.0).insert(Arc::clone(&session.id), Arc::downgrade(session));
        session.listed_in(self);
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.0).get(id).and_then(Weak::upgrade)
    }

    /// Unlists the sessions of a holding whose last proof has left. The cache may drop the proof only later.
    pub(super) fn unlist_all(&self, holding: &Holding) {
        holding.sessions().iter().for_each(|session| self.unlist(session));
    }

    /// Unlists exactly this session: another one may have been listed under the same id since.
    pub(super) fn unlist(&self, session: &Session) {
        let mut index = lock(&self.0);
        if index.get(&session.id).is_some_and(|listed| std::ptr::eq(listed.as_ptr(), session)) {
            index.remove(&session.id);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}
