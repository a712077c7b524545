//! Descriptions of users to add to a stand-in.

use std::fmt;

use serde_json::{Map, Value};

use crate::accounts::linked::{FakeEnterpriseAccount, FakeExternalAccount};
use crate::ids;

/// A user to add to a [`FakeClerk`](crate::FakeClerk) with [`add_user`](crate::FakeClerk::add_user).
///
/// By default the user has one verified identifier and no password, like a user who signs in through an identity
/// provider.
///
/// ```
/// use fake_clerk::{FakeClerk, FakeUser};
///
/// let clerk = FakeClerk::builder().empty().build();
/// let id = clerk.add_user(FakeUser::new("jane@example.com").username("jane").password("correct horse"));
/// assert!(id.starts_with("user_"));
/// ```
#[derive(Clone)]
#[must_use]
pub struct FakeUser {
    pub(crate) id: String,
    /// Addresses, and whether each is verified.
    pub(crate) emails: Vec<(String, bool)>,
    pub(crate) phone: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) first_name: Option<String>,
    pub(crate) last_name: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) totp: Option<String>,
    pub(crate) device_trust: bool,
    pub(crate) bypass_device_trust: bool,
    pub(crate) locked: bool,
    pub(crate) banned: bool,
    pub(crate) deprovisioned: bool,
    pub(crate) new_password: bool,
    pub(crate) claims: Map<String, Value>,
    pub(crate) public_metadata: Map<String, Value>,
    pub(crate) private_metadata: Map<String, Value>,
    pub(crate) unsafe_metadata: Map<String, Value>,
    pub(crate) external_id: Option<String>,
    pub(crate) external_accounts: Vec<FakeExternalAccount>,
    pub(crate) enterprise_accounts: Vec<FakeEnterpriseAccount>,
    pub(crate) plan: Option<String>,
    pub(crate) features: Vec<String>,
}

impl FakeUser {
    /// Creates a user with one identifier: an e-mail address, a phone number (starting with `+`) or otherwise a
    /// username.
    pub fn new(identifier: impl Into<String>) -> Self {
        let user = Self {
            id: ids::random("user"),
            emails: Vec::new(),
            phone: None,
            username: None,
            first_name: None,
            last_name: None,
            password: None,
            totp: None,
            device_trust: false,
            bypass_device_trust: false,
            locked: false,
            banned: false,
            deprovisioned: false,
            new_password: false,
            claims: Map::new(),
            public_metadata: Map::new(),
            private_metadata: Map::new(),
            unsafe_metadata: Map::new(),
            external_id: None,
            external_accounts: Vec::new(),
            enterprise_accounts: Vec::new(),
            plan: None,
            features: Vec::new(),
        };
        let identifier = identifier.into();
        if identifier.contains('@') {
            user.email(identifier)
        } else if identifier.starts_with('+') {
            user.phone(identifier)
        } else {
            user.username(identifier)
        }
    }

    /// Sets the id, such as `user_1`. The default is random.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Adds a verified e-mail address. The first address of a user is the primary one.
    pub fn email(mut self, address: impl Into<String>) -> Self {
        self.emails.push((address.into(), true));
        self
    }

    /// Adds an unverified e-mail address.
    ///
    /// The user can't sign in with it, but the Backend API finds the user by it.
    pub fn unverified_email(mut self, address: impl Into<String>) -> Self {
        self.emails.push((address.into(), false));
        self
    }

    /// Sets a verified phone number, in E.164 form.
    pub fn phone(mut self, number: impl Into<String>) -> Self {
        self.phone = Some(number.into());
        self
    }

    /// Sets the username.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Sets the first and the last name.
    pub fn name(mut self, first: impl Into<String>, last: impl Into<String>) -> Self {
        self.first_name = Some(first.into());
        self.last_name = Some(last.into());
        self
    }

    /// Sets the password. Without one, the user can't sign in by password.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Removes the password: a sign-in by password fails with 400 `strategy_for_user_invalid`.
    pub fn no_password(mut self) -> Self {
        self.password = None;
        self
    }

    /// Requires a code from an authenticator app with this base-32 secret at each sign-in.
    ///
    /// [`FakeClerk::totp_code`](crate::FakeClerk::totp_code) computes the current code.
    pub fn second_factor_totp(mut self, secret: impl Into<String>) -> Self {
        self.totp = Some(secret.into());
        self
    }

    /// Requires a mailed code from each device that is new to this user, whatever the instance's setting.
    ///
    /// This is Clerk's Device Trust for one user;
    /// [`FakeClerkBuilder::device_trust`](crate::FakeClerkBuilder::device_trust) turns it on for all.
    pub fn device_trust(mut self) -> Self {
        self.device_trust = true;
        self
    }

    /// Exempts the user from Device Trust, like `bypass_client_trust` on Clerk.
    pub fn bypass_device_trust(mut self) -> Self {
        self.bypass_device_trust = true;
        self
    }

    /// Locks the user until [`FakeClerk::unlock`](crate::FakeClerk::unlock) is called.
    pub fn locked(mut self) -> Self {
        self.locked = true;
        self
    }

    /// Bans the user: sign-ins fail with 403 `user_banned`.
    pub fn banned(mut self) -> Self {
        self.banned = true;
        self
    }

    /// Deprovisions the user, as a company's directory does it: sign-ins fail with 401 `deprovisioned`.
    pub fn deprovisioned(mut self) -> Self {
        self.deprovisioned = true;
        self
    }

    /// Requires a new password at the next sign-in, which therefore ends in `needs_new_password`.
    pub fn needs_new_password(mut self) -> Self {
        self.new_password = true;
        self
    }

    /// Adds a custom claim to the user's session tokens.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Adds several custom claims to the user's session tokens.
    pub fn claims(mut self, claims: Map<String, Value>) -> Self {
        self.claims.extend(claims);
        self
    }

    /// Links an account at an OAuth provider.
    ///
    /// Nothing checks that it is linked to this user alone: Clerk lets several users begin to link one account, and a
    /// program that looks users up by it must not rely on there being one.
    pub fn external_account(mut self, account: FakeExternalAccount) -> Self {
        self.external_accounts.push(account);
        self
    }

    /// Links an account of an enterprise connection.
    pub fn enterprise_account(mut self, account: FakeEnterpriseAccount) -> Self {
        self.enterprise_accounts.push(account);
        self
    }

    /// Sets the public metadata, which JWT templates can refer to.
    pub fn public_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.public_metadata = metadata;
        self
    }

    /// Sets the private metadata, which the Backend API and webhooks show.
    pub fn private_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.private_metadata = metadata;
        self
    }

    /// Sets the unsafe metadata, which on Clerk the user can set.
    pub fn unsafe_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.unsafe_metadata = metadata;
        self
    }

    /// Sets the id that another system has given the user.
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.external_id = Some(id.into());
        self
    }

    /// Sets the plan that the user pays for: the `pla` claim of tokens without an organization.
    pub fn plan(mut self, plan: impl Into<String>) -> Self {
        self.plan = Some(plan.into());
        self
    }

    /// Adds a feature of the user: `u:…` in the `fea` claim of version 2 tokens.
    pub fn feature(mut self, feature: impl Into<String>) -> Self {
        self.features.push(feature.into());
        self
    }
}

impl fmt::Debug for FakeUser {
    /// Masks the password and the secret of the authenticator app.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeUser")
            .field("id", &self.id)
            .field("emails", &self.emails)
            .field("phone", &self.phone)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
