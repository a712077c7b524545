//! The walk over all users, by cursor.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tower_clerk::backend::{
    BackendClient, BackendError, BackendErrorKind, ListOrder, Page, UserData, UserQuery,
};

use crate::time;

/// A walk over all users of the instance, oldest first.
///
/// A page that isn't full is the end of the list, or the answer to a cursor whose user has been deleted. The walk can't
/// tell, so it asks once more for the users that are not older than the last one, and ends when that brings nobody new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserWalk {
    /// Only users created at this time or later, in ms.
    not_before: Option<i64>,
    /// The last user so far since the list was begun at that time.
    cursor: Option<String>,
    /// The latest time of creation so far, in ms.
    latest: i64,
    /// The user that the list ended with when it was begun before.
    end: Option<String>,
    is_done: bool,
}

impl UserWalk {
    /// The next page, or `None` at the end.
    pub(crate) async fn next(
        &mut self,
        client: &BackendClient,
        limit: u32,
    ) -> Result<Option<(Page<UserData>, u64)>, BackendError> {
        while !self.is_done {
            let page = match client.users(&self.query(limit)).await {
                Ok(page) => page,
                // The cursor may be a user who is gone.
                Err(error) if self.cursor.is_some() && error.kind() == BackendErrorKind::Invalid => {
                    self.begin_at_latest();
                    continue;
                }
                Err(error) => return Err(error),
            };
            let is_last = page.is_last();
            let new = self.step(&page.entries, is_last);
            if !page.entries.is_empty() {
                return Ok(Some((page, new)));
            }
        }
        Ok(None)
    }

    fn query(&self, limit: u32) -> UserQuery {
        let mut query = UserQuery::new().order_by(ListOrder::OldestFirst).limit(limit);
        if let Some(at) = self.not_before {
            // Clerk's filter is "after", and a whole millisecond earlier is right whether or not it means "at" as well.
            query = query.created_at_after(time::time(at) - Duration::from_millis(1));
        }
        match &self.cursor {
            Some(id) => query.starting_after(id),
            None => query,
        }
    }

    /// Goes on from a page, and returns how many of its users are later ones than the list was begun at.
    fn step(&mut self, users: &[UserData], is_last: bool) -> u64 {
        let created = |user: &UserData| user.created_at.map_or(0, time::millis);
        let new = users.iter().filter(|user| self.not_before.is_none_or(|at| created(user) > at)).count();
        self.latest = users.iter().map(created).fold(self.latest, i64::max);
        if let Some(last) = users.last() {
            self.cursor = Some(last.id.clone());
        }
        if is_last && (self.cursor.is_none() || self.cursor == self.end) {
            self.is_done = true;
        } else if is_last {
            self.begin_at_latest();
        }
        new as u64
    }

    fn begin_at_latest(&mut self) {
        self.not_before = Some(self.latest);
        self.end = self.cursor.take();
    }
}
