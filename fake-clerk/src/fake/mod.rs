//! The handle on a stand-in.

// In the order that the documentation shows their methods in, which is not that of the alphabet.
mod instance;

mod handle;

mod users;

mod addresses;

mod sessions;

mod scripting;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::clock::FakeClock;
use crate::faults::Script;
use crate::hold::Gates;
use crate::log::Log;
use crate::settings::FakeClerkBuilder;
use crate::state::State;

/// A Clerk instance in memory.
///
/// See the [crate's documentation](crate) for what it is and isn't. A handle is cheap to clone; all clones are of
/// the same instance.
#[derive(Clone)]
pub struct FakeClerk {
    pub(crate) inner: Arc<Inner>,
    /// Where this handle's own requests come from.
    pub(crate) address: Option<IpAddr>,
}

pub(crate) struct Inner {
    pub(crate) clock: FakeClock,
    pub(crate) world: Mutex<World>,
    pub(crate) script: Mutex<Script>,
    pub(crate) log: Mutex<Log>,
    pub(crate) gates: Arc<Gates>,
}

pub(crate) struct World {
    pub(crate) settings: FakeClerkBuilder,
    pub(crate) state: State,
}

impl Default for FakeClerk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeClerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClerk").field("fapi_url", &self.fapi_url()).finish_non_exhaustive()
    }
}
