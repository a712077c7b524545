//! Accounts at identity providers, as users link them and directories remove them.

use crate::accounts::{FakeEnterpriseAccount, FakeExternalAccount, VerificationStatus};
use crate::fake::FakeClerk;
use crate::state::User;

/// Accounts at identity providers.
///
/// Methods accept a user's id or any identifier, and the account's id, `eac_…`.
impl FakeClerk {
    /// Links an account at an OAuth provider to a user, and returns the account's id.
    ///
    /// ```
    /// use fake_clerk::{FakeClerk, FakeExternalAccount, VerificationStatus};
    ///
    /// let clerk = FakeClerk::new();
    /// let id = clerk.link_external_account("jane", FakeExternalAccount::new("oauth_google", "1017"));
    /// clerk.set_account_verification("jane", &id, VerificationStatus::Transferable);
    /// clerk.unlink_account("jane", &id);
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn link_external_account(&self, user: &str, account: FakeExternalAccount) -> String {
        let id = account.id.clone();
        self.change_linked_accounts(user, |user| user.account.external_accounts.push(account));
        id
    }

    /// Links an account of an enterprise connection to a user, and returns the account's id.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn link_enterprise_account(&self, user: &str, account: FakeEnterpriseAccount) -> String {
        let id = account.id.clone();
        self.change_linked_accounts(user, |user| user.account.enterprise_accounts.push(account));
        id
    }

    /// Removes an account of either kind from a user.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user or account.
    pub fn unlink_account(&self, user: &str, id: &str) {
        self.change_linked_accounts(user, |user| {
            let account = &mut user.account;
            let count = account.external_accounts.len() + account.enterprise_accounts.len();
            account.external_accounts.retain(|linked| linked.id != id);
            account.enterprise_accounts.retain(|linked| linked.id != id);
            let left = account.external_accounts.len() + account.enterprise_accounts.len();
            assert!(left < count, "no account {id:?}");
        });
    }

    /// Sets how far the verification of an account of either kind has got.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user or account.
    pub fn set_account_verification(&self, user: &str, id: &str, status: VerificationStatus) {
        self.change_linked_accounts(user, |user| {
            let account = &mut user.account;
            let external = account.external_accounts.iter_mut().find(|linked| linked.id == id);
            let enterprise = account.enterprise_accounts.iter_mut().find(|linked| linked.id == id);
            let found = external
                .map(|linked| &mut linked.status)
                .or_else(|| enterprise.map(|linked| &mut linked.status));
            *found.unwrap_or_else(|| panic!("no account {id:?}")) = Some(status);
        });
    }

    /// Sets whether an account of an enterprise connection is active, and whether its connection is.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user or account.
    pub fn set_enterprise_account_active(&self, user: &str, id: &str, account: bool, connection: bool) {
        self.change_linked_accounts(user, |user| {
            let mut linked = user.account.enterprise_accounts.iter_mut();
            let linked = linked.find(|linked| linked.id == id);
            let linked = linked.unwrap_or_else(|| panic!("no account {id:?}"));
            (linked.active, linked.connection_active) = (account, connection);
        });
    }

    /// Sets whether a user is deprovisioned, as a company's directory does it. Existing sessions stay live.
    ///
    /// # Panics
    ///
    /// Panics if there is no such user.
    pub fn set_deprovisioned(&self, user: &str, deprovisioned: bool) {
        self.update_user(user, |user, _, _| user.account.deprovisioned = deprovisioned);
    }

    fn change_linked_accounts(&self, user: &str, change: impl FnOnce(&mut User)) {
        let id = self.change_user(user, |user, _, _| user.account.id.clone());
        self.change(|state, _, now| {
            state.users.change_identifiers(&id, change);
            state.update_user(&id, now, |_| {});
        });
    }
}
