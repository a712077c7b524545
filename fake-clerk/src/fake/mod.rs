//! The handle to a stand-in.

// In the order in which rustdoc should list their methods, which isn't alphabetical.
mod instance;

mod handle;

mod users;

mod profiles;

mod organizations;

mod addresses;

mod linked;

mod api_keys;

mod sessions;

pub(crate) mod token;

mod scripting;

mod webhooks;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::clock::FakeClock;
use crate::faults::Script;
use crate::hold::Gates;
use crate::hooks::Hooks;
use crate::log::Log;
use crate::settings::FakeClerkBuilder;
use crate::state::State;
use crate::webhooks::Webhooks;

/// A Clerk instance in memory.
///
/// See the [crate documentation](crate) for what it covers. A handle is cheap to clone, and all clones refer to the
/// same instance.
#[derive(Clone)]
pub struct FakeClerk {
    pub(crate) inner: Arc<Inner>,
    /// The client address of in-process requests.
    pub(crate) address: Option<IpAddr>,
}

pub(crate) struct Inner {
    pub(crate) clock: FakeClock,
    pub(crate) world: Mutex<World>,
    pub(crate) script: Mutex<Script>,
    pub(crate) log: Mutex<Log>,
    pub(crate) gates: Arc<Gates>,
    pub(crate) hooks: Mutex<Hooks<FakeClerk>>,
    pub(crate) webhooks: Arc<Webhooks>,
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
