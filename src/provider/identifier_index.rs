//! The users behind identifiers. Clerk is asked once per identifier; later the user is read by id, and must still have
//! the identifier.

use std::sync::{Arc, Mutex};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::clerk_api::bapi::{Account, Bapi};
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::key::{IdentifierKey, KeySecret, PassThrough};
use crate::limits::Urgency;
use crate::sync::lock;

/// Identifiers remembered at most (rule K7).
const MOST: u64 = 100_000;

/// Identifiers remembered per user at most.
const MOST_PER_USER: usize = 16;

/// The users behind identifiers. Holds no secrets, only keyed hashes and user ids.
pub(super) struct IdentifierIndex {
    by_identifier: Cache<IdentifierKey, Arc<str>, PassThrough>,
    /// Finds a user's identifiers when the user is forgotten.
    by_user: Cache<IdentifierKey, Arc<Mutex<Vec<IdentifierKey>>>, PassThrough>,
    secret: Arc<KeySecret>,
}

impl IdentifierIndex {
    pub(super) fn new(secret: Arc<KeySecret>) -> Self {
        let by_identifier = Cache::builder()
            .max_capacity(MOST)
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        let by_user = Cache::builder()
            .max_capacity(MOST)
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        Self { by_identifier, by_user, secret }
    }

    /// Fetches the user who has this identifier now.
    ///
    /// Takes one call whether the user is remembered, not remembered or unknown, so that its duration tells nothing.
    /// Only a stale entry takes two calls.
    pub(super) async fn find(
        &self,
        bapi: &Bapi,
        identifier: &str,
        key: IdentifierKey,
        time: &mut TimeLeft,
    ) -> Result<Option<Account>, ApiError> {
        if let Some(user_id) = self.by_identifier.get(&key) {
            match bapi.user(&user_id, Urgency::Proof, time).await {
                Ok(account) if account.goes_by(identifier) => return Ok(Some(account)),
                // The identifier was removed from the user, or the user was deleted.
                Ok(_) => self.forget(key),
                Err(error) if error.class == ErrorClass::NotFound => self.forget(key),
                Err(error) => return Err(error),
            }
        }
        self.look_up(bapi, identifier, key, time).await
    }

    /// Fetches the user by the identifier, and remembers them.
    pub(super) async fn look_up(
        &self,
        bapi: &Bapi,
        identifier: &str,
        key: IdentifierKey,
        time: &mut TimeLeft,
    ) -> Result<Option<Account>, ApiError> {
        let mut found = bapi.find(identifier, Urgency::Proof, time).await?;
        let Some(account) = found.pop() else { return Ok(None) };
        if let Some(other) = found.pop() {
            tracing::error!(
                "two users at Clerk have the same identifier: sign-ins with it are refused until only one user has it"
            );
            tracing::debug!(
                user_id = &*account.id,
                other_user_id = &*other.id,
                "two users have the same identifier"
            );
            return Ok(None);
        }
        self.remember(key, &account.id);
        Ok(Some(account))
    }

    fn remember(&self, key: IdentifierKey, user_id: &str) {
        self.by_identifier.insert(key, user_id.into());
        let keys = self.by_user.get_with(self.secret.user(user_id), Arc::default);
        let mut keys = lock(&keys);
        keys.retain(|known| *known != key);
        if keys.len() >= MOST_PER_USER {
            self.by_identifier.invalidate(&keys.remove(0));
        }
        keys.push(key);
    }

    pub(super) fn forget(&self, key: IdentifierKey) {
        self.by_identifier.invalidate(&key);
    }

    pub(super) fn forget_user(&self, user_id: &str) {
        let user = self.secret.user(user_id);
        if let Some(keys) = self.by_user.get(&user) {
            lock(&keys).drain(..).for_each(|key| self.forget(key));
        }
        self.by_user.invalidate(&user);
    }

    pub(super) fn forget_all(&self) {
        self.by_identifier.invalidate_all();
        self.by_user.invalidate_all();
    }
}
