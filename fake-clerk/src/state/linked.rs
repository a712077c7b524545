//! Users by their accounts at OAuth providers.

use std::collections::{BTreeSet, HashMap};

use crate::accounts::FakeUser;

/// Numbers of the users who have an account, by provider and by the provider's id of its owner, verified or not.
#[derive(Default)]
pub(crate) struct ProviderIds {
    holders: HashMap<(String, String), BTreeSet<usize>>,
}

impl ProviderIds {
    pub(crate) fn add(&mut self, number: usize, account: &FakeUser) {
        for key in keys(account) {
            self.holders.entry(key).or_default().insert(number);
        }
    }

    pub(crate) fn remove(&mut self, number: usize, account: &FakeUser) {
        for key in keys(account) {
            if let Some(holders) = self.holders.get_mut(&key) {
                holders.remove(&number);
                if holders.is_empty() {
                    self.holders.remove(&key);
                }
            }
        }
    }

    /// Returns the numbers of the users who have one of these accounts at a provider.
    pub(crate) fn of_any<'i>(&self, provider: &str, ids: impl Iterator<Item = &'i str>) -> BTreeSet<usize> {
        let found = ids.filter_map(|id| self.holders.get(&(provider.to_owned(), id.to_owned())));
        found.flatten().copied().collect()
    }
}

fn keys(account: &FakeUser) -> impl Iterator<Item = (String, String)> {
    let linked = account.external_accounts.iter();
    linked.map(|linked| (linked.provider.clone(), linked.provider_user_id.clone()))
}
