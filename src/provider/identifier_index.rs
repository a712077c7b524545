//! Which user an identifier belongs to: Clerk is asked once, then the user is read by id, and the identifier held
//! against what the user goes by now.

use std::sync::{Arc, Mutex};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::clerk_api::bapi::{Account, Bapi};
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::key::{IdentifierKey, KeySecret, PassThrough};
use crate::sync::lock;

/// Identifiers remembered (rule K7).
const MOST: u64 = 100_000;

/// Identifiers remembered per user, to be dropped with the user.
const MOST_PER_USER: usize = 16;

/// The users behind identifiers. No secrets: keyed hashes and user ids.
pub(super) struct IdentifierIndex {
    by_identifier: Cache<IdentifierKey, Arc<str>, PassThrough>,
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

    /// The user that goes by this identifier now, as they are now. One call, whether the user is remembered or not,
    /// or there is none.
    pub(super) async fn find(
        &self,
        bapi: &Bapi,
        identifier: &str,
        key: IdentifierKey,
        time: &mut TimeLeft,
    ) -> Result<Option<Account>, ApiError> {
        if let Some(user_id) = self.by_identifier.get(&key) {
            match bapi.user(&user_id, time).await {
                Ok(account) if account.goes_by(identifier) => return Ok(Some(account)),
                // The identifier has passed to somebody else, or the user is gone.
                Ok(_) => self.forget(key),
                Err(error) if error.class == ErrorClass::NotFound => self.forget(key),
                Err(error) => return Err(error),
            }
        }
        self.look_up(bapi, identifier, key, time).await
    }

    /// The same, with what is remembered left aside.
    pub(super) async fn look_up(
        &self,
        bapi: &Bapi,
        identifier: &str,
        key: IdentifierKey,
        time: &mut TimeLeft,
    ) -> Result<Option<Account>, ApiError> {
        let mut found = bapi.find(identifier, time).await?;
        let Some(account) = found.pop() else { return Ok(None) };
        if let Some(other) = found.pop() {
            tracing::error!(
                "an identifier is that of two users at Clerk: nobody is let in by it until it is that of one"
            );
            tracing::debug!(
                user_id = &*account.id,
                other_user_id = &*other.id,
                "two users of one identifier"
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
