//! Descriptions of accounts at identity providers that are linked to a user.

use crate::ids;

/// How far Clerk has got with verifying an account of a user at an identity provider.
///
/// The names are those of Clerk's
/// [description](https://github.com/clerk/openapi-specs/blob/main/bapi/2026-05-12.yml) (`verification_oauth`,
/// `verification_saml`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerificationStatus {
    /// The user has begun to link the account, and hasn't come back from the provider.
    Unverified,
    /// The account is linked. A sign-in through it is a sign-in of this user.
    Verified,
    /// The provider has refused, or the user has.
    Failed,
    /// The user hasn't come back in time.
    Expired,
    /// The account could be linked, but belongs to another user or to none so far.
    Transferable,
}

impl VerificationStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Transferable => "transferable",
        }
    }
}

/// An account at an OAuth provider to link to a user, an entry of `external_accounts`.
///
/// It is verified, has no address and a random id unless it is told otherwise. The Backend API finds users by it:
/// `GET /v1/users?provider=oauth_google&provider_user_id=…`.
///
/// ```
/// use fake_clerk::{FakeClerk, FakeExternalAccount, FakeUser};
///
/// let clerk = FakeClerk::new();
/// let google = FakeExternalAccount::new("oauth_google", "1017").email("ada@example.com", Some(true));
/// clerk.add_user(FakeUser::new("ada@example.com").external_account(google));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FakeExternalAccount {
    pub(crate) id: String,
    pub(crate) identification: String,
    pub(crate) provider: String,
    pub(crate) provider_user_id: String,
    pub(crate) email: String,
    pub(crate) email_verified: Option<bool>,
    pub(crate) status: Option<VerificationStatus>,
}

impl FakeExternalAccount {
    /// Creates an account at a provider, such as `oauth_google` or `oauth_custom_acme`, with the provider's id of its
    /// owner.
    pub fn new(provider: impl Into<String>, provider_user_id: impl Into<String>) -> Self {
        Self {
            id: ids::random("eac"),
            identification: ids::random("idn"),
            provider: provider.into(),
            provider_user_id: provider_user_id.into(),
            email: String::new(),
            email_verified: None,
            status: Some(VerificationStatus::Verified),
        }
    }

    /// Sets the id, such as `eac_1`.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets the address at the provider, and what the provider has said about it: `None` where it has said nothing, as
    /// custom providers do. The address is none of the user's own addresses unless the user has it as well.
    pub fn email(mut self, address: impl Into<String>, verified: Option<bool>) -> Self {
        self.email = address.into();
        self.email_verified = verified;
        self
    }

    /// Sets how far the verification has got. `None` shows `verification: null`, which Clerk's description allows.
    pub fn verification(mut self, status: impl Into<Option<VerificationStatus>>) -> Self {
        self.status = status.into();
        self
    }
}

/// An account at the identity provider of an enterprise connection, an entry of `enterprise_accounts`, and of
/// `saml_accounts` if the connection is one by SAML.
///
/// It is verified and active, as is its connection, unless it is told otherwise. The Backend API has no search for it:
/// the user is found by address or id.
///
/// ```
/// use fake_clerk::{FakeClerk, FakeEnterpriseAccount, FakeUser};
///
/// let clerk = FakeClerk::new();
/// let okta = FakeEnterpriseAccount::new("ent_1", "00u1").provider("saml_okta").email("ada@example.com");
/// clerk.add_user(FakeUser::new("ada@example.com").enterprise_account(okta));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FakeEnterpriseAccount {
    pub(crate) id: String,
    pub(crate) connection: String,
    pub(crate) provider: String,
    pub(crate) provider_user_id: Option<String>,
    pub(crate) email: String,
    pub(crate) active: bool,
    pub(crate) connection_active: bool,
    pub(crate) status: Option<VerificationStatus>,
}

impl FakeEnterpriseAccount {
    /// Creates an account of a connection, by the connection's id, with the provider's id of its owner: a subject of
    /// OpenID Connect, or a name id of SAML.
    pub fn new(connection: impl Into<String>, provider_user_id: impl Into<String>) -> Self {
        Self {
            id: ids::random("eac"),
            connection: connection.into(),
            provider: "oidc_custom".to_owned(),
            provider_user_id: Some(provider_user_id.into()),
            email: String::new(),
            active: true,
            connection_active: true,
            status: Some(VerificationStatus::Verified),
        }
    }

    /// Sets the id, such as `eac_1`.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets the kind of the connection's provider. The default is `oidc_custom`; those that begin with `saml_` have the
    /// protocol SAML.
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = provider.into();
        self
    }

    /// Removes the provider's id of the owner, as for an account that nobody has signed in through yet.
    pub fn no_provider_user_id(mut self) -> Self {
        self.provider_user_id = None;
        self
    }

    /// Sets the address at the provider.
    pub fn email(mut self, address: impl Into<String>) -> Self {
        self.email = address.into();
        self
    }

    /// Sets whether the account is active. The user can't sign in through one that isn't.
    pub fn active(mut self, active: bool) -> Self {
        self.active = active;
        self
    }

    /// Sets whether the account's connection is active.
    pub fn connection_active(mut self, active: bool) -> Self {
        self.connection_active = active;
        self
    }

    /// Sets how far the verification has got. `None` shows `verification: null`, which Clerk's description allows.
    pub fn verification(mut self, status: impl Into<Option<VerificationStatus>>) -> Self {
        self.status = status.into();
        self
    }

    pub(crate) fn is_saml(&self) -> bool {
        self.provider.starts_with("saml_")
    }

    /// The part of the address after the `@`.
    pub(crate) fn domain(&self) -> &str {
        self.email.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}
