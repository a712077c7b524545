//! Limits that several processes share, as the limits of this one see them.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::failure_counts::Failure;
use super::policy::RequestId;
use super::sign_ins::PermitRequest;
use crate::key::IdentifierKey;

pub(crate) type Shared<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A sign-in that has a permit of this process.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "no limits are shared"))]
pub(crate) struct Entry {
    pub(crate) id: RequestId,
    pub(crate) request: PermitRequest,
    /// How many sign-ins may start in any window, and how long a window is.
    pub(crate) budget: Option<(u32, Duration)>,
    /// How many permits untrusted credentials may have.
    pub(crate) untrusted: usize,
    /// The longest further wait.
    pub(crate) patience: Duration,
}

/// A budget of several processes. A sign-in passes it with a permit of its own process.
pub(crate) trait Gate: Debug + Send + Sync {
    /// Waits for a permit of all processes.
    ///
    /// # Errors
    ///
    /// Returns how long until there could be one.
    fn enter(&self, entry: Entry) -> Shared<'_, Result<(), Duration>>;

    /// Takes a permit back. `started` tells whether its call was made, or may have been made.
    fn leave(&self, id: RequestId, started: bool);

    /// Moves a permit to the trusted share.
    fn proved(&self, id: RequestId);
}

/// The failures of a user or identifier in all processes, and how long they pause its sign-ins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SharedPause {
    pub(crate) failures: u32,
    pub(crate) left: Duration,
}

/// Which pauses are lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lift {
    All,
    /// The one for Clerk's lock.
    Lock,
    /// The one that refusals because of a ban have begun.
    Ban,
}

/// The failures of all processes.
pub(crate) trait SharedFailures: Debug + Send + Sync {
    /// Looks the failures of a user or identifier up. `None` if there is no pause, or if they can't be told.
    fn pause(&self, subject: IdentifierKey) -> Shared<'_, Option<SharedPause>>;

    /// Counts a refusal of Clerk's. `warned` tells whether Clerk has warned that it is about to lock the account, and
    /// `known` how many failures this process knows of, with this one.
    fn failed(&self, subject: IdentifierKey, failure: Failure, warned: bool, known: u32);

    /// A user has signed in with an identifier: its failures, those of the user and of the user's `others` are over.
    fn succeeded(&self, identifier: IdentifierKey, user: IdentifierKey, others: &[IdentifierKey]);

    /// A look-up has told the user of an identifier.
    fn found(&self, identifier: IdentifierKey, user: IdentifierKey);

    fn lifted(&self, subject: IdentifierKey, lift: Lift);
}
