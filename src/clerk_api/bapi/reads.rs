//! Reads in the background: lists, and objects for a copy of them.

use std::time::Duration;

use super::client::{Bapi, id};
use crate::clerk_api::{ApiError, Raw, TimeLeft};
use crate::counters::Operation;
use crate::limits::Urgency;

impl Bapi {
    /// `GET` of this path, at the lowest urgency. `timeout` is for the answer; the wait for a permit isn't counted.
    pub(crate) async fn read(
        &self,
        operation: Operation,
        path: &str,
        timeout: Duration,
    ) -> Result<Raw, ApiError> {
        let mut time = TimeLeft::new(timeout, self.clock());
        self.get(operation, Urgency::List, path, &mut time).await
    }
}

/// Whether an id can be part of a path and a value of a filter, where a leading `-` would exclude it.
pub(crate) fn is_id(text: &str) -> bool {
    !text.starts_with('-') && id(text).is_ok()
}
