//! API keys, as their owners and an administrator change them.

use crate::accounts::FakeApiKey;
use crate::fake::FakeClerk;
use crate::state::ApiKey;

/// API keys.
///
/// Methods accept a key's id, and panic if there is no such key.
impl FakeClerk {
    /// Adds an API key and returns its id.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user or organization, or if another key has the secret.
    pub fn add_api_key(&self, mut key: FakeApiKey) -> String {
        self.change(|state, _, now| {
            if !key.subject.starts_with("mch_") {
                let (users, organizations) = (&state.users, &state.organizations);
                let subject = users.id_of(&key.subject).or_else(|| organizations.id_of(&key.subject));
                key.subject = subject.unwrap_or_else(|| panic!("no user or organization {:?}", key.subject));
            }
            key.created_by = key
                .created_by
                .take()
                .map(|user| state.users.id_of(&user).unwrap_or_else(|| panic!("no user {user:?}")));
            assert!(state.api_keys.by_secret(&key.secret).is_none(), "another API key has the secret");
            state.api_keys.add(key, now).about.id.clone()
        })
    }

    /// Returns the id and the secret of the [demo key](crate#demo-accounts) of `jane` or `acme`.
    ///
    /// # Panics
    ///
    /// Panics if there is no such key.
    #[must_use]
    pub fn demo_api_key(&self, subject: &str) -> (String, String) {
        let FakeApiKey { id, secret, .. } = FakeApiKey::demo(subject);
        self.change_api_key(&id, |_| (id.clone(), secret))
    }

    /// Returns a key's secret.
    ///
    /// # Panics
    ///
    /// Panics if there is no such key.
    #[must_use]
    pub fn api_key_secret(&self, id: &str) -> String {
        self.change_api_key(id, |key| key.about.secret.clone())
    }

    /// Revokes a key.
    ///
    /// # Panics
    ///
    /// Panics if there is no such key.
    pub fn revoke_api_key(&self, id: &str) {
        self.change_api_key(id, |key| key.revoked = Some(None));
    }

    /// Deletes a key.
    ///
    /// # Panics
    ///
    /// Panics if there is no such key.
    pub fn delete_api_key(&self, id: &str) {
        let removed = self.change(|state, _, _| state.api_keys.remove(id));
        assert!(removed.is_some(), "no API key {id:?}");
    }

    fn change_api_key<T>(&self, id: &str, change: impl FnOnce(&mut ApiKey) -> T) -> T {
        self.change(|state, _, _| match state.api_keys.get_mut(id) {
            Some(key) => change(key),
            None => panic!("no API key {id:?}"),
        })
    }
}
