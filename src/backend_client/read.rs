//! A read with its repeats, and a list in pages that fit.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Page;
use super::client::BackendClient;
use super::error::BackendError;
use super::list::Paged;
use crate::clerk_api::{ApiError, ErrorClass, OVERSIZED, Raw, unreadable};
use crate::counters::Operation;

/// How many answers of 429 a read waits out.
const PAUSES: usize = 5;

/// The pauses before a read is repeated that no answer came to. They are lengthened by up to a half at random, so that
/// several programs don't repeat theirs at once.
const REPEATS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Reads an entry of a list.
type ReadEntry<T> = fn(&str) -> Result<T, serde_json::Error>;

/// The entries of a list, and how many there are in all if Clerk says so.
pub(super) type Entries<'a> = (Vec<&'a RawValue>, Option<u64>);

impl BackendClient {
    /// Reads a path. A read changes nothing at Clerk, so it is repeated after any failure that may pass.
    pub(super) async fn read(&self, operation: Operation, path: &str) -> Result<Raw, ApiError> {
        let (mut pauses, mut repeats) = (0, REPEATS.iter());
        loop {
            let error = match self.bapi.read(operation, path, self.timeout).await {
                Ok(raw) => return Ok(raw),
                Err(error) => error,
            };
            match error.class {
                // The next attempt's permit comes after the pause that Clerk asks for.
                ErrorClass::RateLimited if pauses < PAUSES => pauses += 1,
                ErrorClass::Unavailable if is_passing(&error) => match repeats.next() {
                    Some(pause) => tokio::time::sleep(self.jitter.later(*pause, 0.5)).await,
                    None => return Err(error),
                },
                _ => return Err(error),
            }
        }
    }

    /// Reads a page. One that is too large is asked for again in halves.
    pub(super) async fn page<T>(
        &self,
        operation: Operation,
        path: &str,
        query: &impl Paged,
        entries: fn(&[u8]) -> Result<Entries<'_>, serde_json::Error>,
        entry: ReadEntry<T>,
    ) -> Result<Page<T>, BackendError> {
        query.check()?;
        let mut limit = query.limit();
        let raw = loop {
            match self.read(operation, &query.path(path, limit)).await {
                Err(error) if is_oversized(&error) && limit > 1 => limit /= 2,
                answer => break answer?,
            }
        };
        let read_at = read_at(raw.timing.date)?;
        let (found, total_count) = entries(&raw.body).map_err(|_| unreadable())?;
        // A page without one of its entries must not be taken for a whole one.
        let entries: Result<Vec<T>, _> = found.into_iter().map(|json| entry(json.get())).collect();
        Ok(Page { entries: entries.map_err(|_| unreadable())?, total_count, limit, read_at })
    }
}

/// Whether a repeat may help: of an outage, but not of an answer that is too large.
fn is_passing(error: &ApiError) -> bool {
    error.is_outage() && !is_oversized(error)
}

fn is_oversized(error: &ApiError) -> bool {
    error.code.as_deref() == Some(OVERSIZED)
}

/// The time of an answer by Clerk's clock. A copy is compared by it, so there is no substitute.
pub(super) fn read_at(date: Option<SystemTime>) -> Result<SystemTime, ApiError> {
    date.ok_or_else(unreadable)
}

/// The entries of a list that is an array.
pub(super) fn of_array(body: &[u8]) -> Result<Entries<'_>, serde_json::Error> {
    serde_json::from_slice(body).map(|entries| (entries, None))
}

/// The entries of a list with its total.
pub(super) fn of_object(body: &[u8]) -> Result<Entries<'_>, serde_json::Error> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
        total_count: u64,
    }
    serde_json::from_slice(body).map(|List { data, total_count }| (data, Some(total_count)))
}
