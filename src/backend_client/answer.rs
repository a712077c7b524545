//! Clerk's answers.

use std::time::SystemTime;

/// A page of a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<T> {
    /// The entries, in the order of the query.
    pub entries: Vec<T>,
    /// How many entries the list has in all. Clerk doesn't say it of users: see
    /// [`count_users`](super::BackendClient::count_users).
    pub total_count: Option<u64>,
    /// How many entries were asked for: fewer than the query says if the page was too large. Use it for the next page, which
    /// is likely to be as large.
    pub limit: u32,
    /// When Clerk answered, by its own clock, in whole seconds. A later change may be missing from the page.
    pub read_at: SystemTime,
}

impl<T> Page<T> {
    /// Whether the list ends with this page, which has fewer entries than were asked for.
    ///
    /// A [cursor](super::UserQuery::starting_after) whose user is gone may look like the end, too.
    #[must_use]
    pub fn is_last(&self) -> bool {
        u32::try_from(self.entries.len()).is_ok_and(|entries| entries < self.limit)
    }
}

/// An answer that is no list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The value that was asked for.
    pub value: T,
    /// When Clerk answered, by its own clock, in whole seconds.
    pub read_at: SystemTime,
}

/// The instance that a secret key belongs to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InstanceData {
    /// The id (`ins_…`). Webhooks have it as well.
    pub id: String,
    /// `production`, `development` or `staging`.
    pub environment: Option<String>,
}
