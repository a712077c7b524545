//! The settings of an engine that are about Bearer tokens and API keys.

use super::ClerkBuilder;

impl ClerkBuilder {
    /// Sets how many verified Bearer tokens are held: 10,000 by default, from 1 to 100,000,000. Beyond that, the least
    /// recently used one has to be verified again, at the cost of one RSA verification and no call to Clerk.
    ///
    /// It has no effect unless a layer [accepts them](crate::ClerkBasicAuthLayer::accept_bearer). They are apart from the
    /// sessions: neither takes room from the other.
    pub fn max_verified_tokens(mut self, tokens: u64) -> Self {
        self.settings.max_verified_tokens = tokens;
        self
    }

    /// Sets how many verified API keys are held: 10,000 by default, from 1 to 100,000,000. Beyond that, the least recently
    /// used one has to be verified again, which costs a call to Clerk.
    ///
    /// It has no effect unless a layer [accepts them](crate::ClerkBasicAuthLayer::accept_api_keys). They are apart from the
    /// sessions: neither takes room from the other.
    pub fn max_verified_api_keys(mut self, keys: u64) -> Self {
        self.settings.max_verified_api_keys = keys;
        self
    }
}
