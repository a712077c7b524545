//! The parameters of all lists. Limits and parameters are those of Clerk's OpenAPI file, `bapi/2025-11-10.yml`
//! (<https://github.com/clerk/openapi-specs>), and the same in 2026-05-12.

use std::fmt::Display;

use super::error::BackendError;
use crate::clerk_api::bapi::is_id;

/// The most entries of a page.
const MOST_ENTRIES: u32 = 500;

/// The most values of a filter.
const MOST_IDS: usize = 100;

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListOrder {
    /// By the time of creation, the oldest first. A scan in this order meets each entry that is there from beginning to end,
    /// and those that are added meanwhile at its end.
    OldestFirst,
    /// By the time of creation, the newest first. This is Clerk's own order.
    #[default]
    NewestFirst,
}

/// The settings that all lists have.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) order: ListOrder,
    pub(super) limit: u32,
    pub(super) offset: u64,
    pub(super) ids: Option<Vec<String>>,
}

impl Default for List {
    fn default() -> Self {
        Self { order: ListOrder::default(), limit: MOST_ENTRIES, offset: 0, ids: None }
    }
}

impl List {
    pub(super) fn set_ids<I>(&mut self, ids: I)
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.ids = Some(ids.into_iter().map(Into::into).collect());
    }

    pub(super) fn check(&self) -> Result<(), BackendError> {
        if !(1..=MOST_ENTRIES).contains(&self.limit) {
            return Err(BackendError::invalid("limit_out_of_bounds"));
        }
        // Without a value the filter would be left out, and the answer would be the whole list.
        if self.ids.as_ref().is_some_and(|ids| ids.is_empty() || ids.len() > MOST_IDS) {
            return Err(BackendError::invalid("ids_out_of_bounds"));
        }
        self.ids.iter().flatten().try_for_each(|id| check_id(id))
    }

    /// The path and the query. Clerk's defaults aren't relied on.
    pub(super) fn path(&self, path: &str, filter: &str) -> Query {
        let order = match self.order {
            ListOrder::OldestFirst => "created_at",
            ListOrder::NewestFirst => "-created_at",
        };
        let mut query = Query::new(path);
        query.pair("order_by", order);
        query.pair("limit", self.limit);
        if self.offset > 0 {
            query.pair("offset", self.offset);
        }
        self.ids.iter().flatten().for_each(|id| query.pair(filter, id));
        query
    }
}

pub(super) struct Query(form_urlencoded::Serializer<'static, String>);

impl Query {
    fn new(path: &str) -> Self {
        let start = format!("{path}?");
        let length = start.len();
        Self(form_urlencoded::Serializer::for_suffix(start, length))
    }

    pub(super) fn pair(&mut self, name: &str, value: impl Display) {
        self.0.append_pair(name, &value.to_string());
    }

    pub(super) fn finish(mut self) -> String {
        self.0.finish()
    }
}

pub(super) fn check_id(id: &str) -> Result<(), BackendError> {
    if is_id(id) { Ok(()) } else { Err(BackendError::invalid("unusable_id")) }
}

/// A query that can be asked with another limit.
pub(super) trait Paged {
    fn limit(&self) -> u32;
    fn check(&self) -> Result<(), BackendError>;
    fn path(&self, path: &str, limit: u32) -> String;
}
