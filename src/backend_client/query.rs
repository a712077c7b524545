//! The query of each list.

use std::time::SystemTime;

use super::error::BackendError;
use super::list::{List, ListOrder, Paged, check_id};

/// A page of the list of users. By default it is the first 500, the newest first.
///
/// ```
/// use tower_clerk::backend::{ListOrder, UserQuery};
///
/// let first = UserQuery::new().order_by(ListOrder::OldestFirst);
/// let second = first.clone().starting_after("user_2abc");
/// # drop((first, second));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct UserQuery {
    list: List,
    starting_after: Option<String>,
    created_at_after: Option<SystemTime>,
    created_at_before: Option<SystemTime>,
}

impl UserQuery {
    /// The first page, with all defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the order: the newest first by default.
    pub fn order_by(mut self, order: ListOrder) -> Self {
        self.list.order = order;
        self
    }

    /// Sets how many users the page has at most: from 1 to 500, and 500 by default.
    pub fn limit(mut self, limit: u32) -> Self {
        self.list.limit = limit;
        self
    }

    /// Begins after this user: the last one of the previous page, with all else as it was.
    ///
    /// It costs Clerk the same at any place of the list. It can't be combined with an [`offset`](Self::offset).
    pub fn starting_after(mut self, user_id: impl Into<String>) -> Self {
        self.starting_after = Some(user_id.into());
        self
    }

    /// Skips this many users. For more than a few pages, use [`starting_after`](Self::starting_after).
    pub fn offset(mut self, offset: u64) -> Self {
        self.list.offset = offset;
        self
    }

    /// Only users who were created after this time, to the millisecond.
    pub fn created_at_after(mut self, time: SystemTime) -> Self {
        self.created_at_after = Some(time);
        self
    }

    /// Only users who were created before this time, to the millisecond.
    pub fn created_at_before(mut self, time: SystemTime) -> Self {
        self.created_at_before = Some(time);
        self
    }

    /// Only users with one of these ids, from 1 to 100 of them. Clerk leaves out those that it doesn't find.
    pub fn ids<I>(mut self, ids: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.list.set_ids(ids);
        self
    }
}

impl Paged for UserQuery {
    fn limit(&self) -> u32 {
        self.list.limit
    }

    fn check(&self) -> Result<(), BackendError> {
        self.list.check()?;
        self.starting_after.as_deref().map_or(Ok(()), check_id)?;
        if self.starting_after.is_some() && self.list.offset > 0 {
            return Err(BackendError::invalid("cursor_with_offset"));
        }
        Ok(())
    }

    fn path(&self, path: &str, limit: u32) -> String {
        let mut query = List { limit, ..self.list.clone() }.path(path, "user_id");
        if let Some(id) = &self.starting_after {
            query.pair("starting_after", id);
        }
        if let Some(time) = self.created_at_after {
            query.pair("created_at_after", millis(time));
        }
        if let Some(time) = self.created_at_before {
            query.pair("created_at_before", millis(time));
        }
        query.finish()
    }
}

fn millis(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// A page of the list of organizations. By default it is the first 500, the newest first.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct OrganizationQuery(List);

impl OrganizationQuery {
    /// The first page, with all defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the order: the newest first by default.
    pub fn order_by(mut self, order: ListOrder) -> Self {
        self.0.order = order;
        self
    }

    /// Sets how many organizations the page has at most: from 1 to 500, and 500 by default.
    pub fn limit(mut self, limit: u32) -> Self {
        self.0.limit = limit;
        self
    }

    /// Skips this many organizations. A deletion during a scan shifts those behind it, so let pages overlap.
    pub fn offset(mut self, offset: u64) -> Self {
        self.0.offset = offset;
        self
    }

    /// Only organizations with one of these ids, from 1 to 100 of them. Clerk leaves out those that it doesn't find.
    pub fn ids<I>(mut self, ids: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.0.set_ids(ids);
        self
    }
}

impl Paged for OrganizationQuery {
    fn limit(&self) -> u32 {
        self.0.limit
    }

    fn check(&self) -> Result<(), BackendError> {
        self.0.check()
    }

    fn path(&self, path: &str, limit: u32) -> String {
        let mut query = List { limit, ..self.0.clone() }.path(path, "organization_id");
        query.pair("include_members_count", true);
        query.finish()
    }
}

/// A page of a list of memberships. By default it is the first 500, the newest first.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct MembershipQuery(List);

impl MembershipQuery {
    /// The first page, with all defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the order: the newest first by default.
    pub fn order_by(mut self, order: ListOrder) -> Self {
        self.0.order = order;
        self
    }

    /// Sets how many memberships the page has at most: from 1 to 500, and 500 by default.
    pub fn limit(mut self, limit: u32) -> Self {
        self.0.limit = limit;
        self
    }

    /// Skips this many memberships. A deletion during a scan shifts those behind it, so let pages overlap.
    pub fn offset(mut self, offset: u64) -> Self {
        self.0.offset = offset;
        self
    }

    /// Only memberships of these users, from 1 to 100 of them. Clerk has this filter for the memberships of an organization
    /// alone.
    pub fn user_ids<I>(mut self, ids: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.0.set_ids(ids);
        self
    }

    pub(super) fn has_users(&self) -> bool {
        self.0.ids.is_some()
    }
}

impl Paged for MembershipQuery {
    fn limit(&self) -> u32 {
        self.0.limit
    }

    fn check(&self) -> Result<(), BackendError> {
        self.0.check()
    }

    fn path(&self, path: &str, limit: u32) -> String {
        List { limit, ..self.0.clone() }.path(path, "user_id").finish()
    }
}
