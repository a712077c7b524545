//! The parts of the Backend API's answers that this crate needs. As lenient as those of the Frontend API.

use serde::Deserialize;
use zeroize::Zeroizing;

#[cfg(feature = "federation")]
use crate::clerk_api::Verification;
use crate::clerk_api::{EmailAddress, PhoneNumber};

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    #[serde(default)]
    pub(super) banned: bool,
    #[serde(default)]
    pub(super) locked: bool,
    pub(super) deprovisioned: Option<bool>,
    // Required: without them a password cannot be known to suffice. An answer without them is an upstream error, not a
    // refusal.
    pub(super) password_enabled: bool,
    pub(super) two_factor_enabled: bool,
    pub(super) username: Option<String>,
    pub(super) email_addresses: Option<Vec<EmailAddress>>,
    pub(super) phone_numbers: Option<Vec<PhoneNumber>>,
    #[cfg(feature = "federation")]
    pub(super) external_accounts: Option<Vec<ExternalAccount>>,
    #[cfg(feature = "federation")]
    pub(super) enterprise_accounts: Option<Vec<EnterpriseAccount>>,
}

/// An account at a provider that is linked to a user by OAuth.
#[cfg(feature = "federation")]
#[derive(Deserialize)]
pub(super) struct ExternalAccount {
    pub(super) provider: Option<String>,
    pub(super) provider_user_id: Option<String>,
    pub(super) verification: Option<Verification>,
}

/// An account of an enterprise connection.
#[cfg(feature = "federation")]
#[derive(Deserialize)]
pub(super) struct EnterpriseAccount {
    #[serde(default)]
    pub(super) active: bool,
    pub(super) provider_user_id: Option<String>,
    pub(super) enterprise_connection_id: Option<String>,
    pub(super) enterprise_connection: Option<EnterpriseConnection>,
    pub(super) verification: Option<Verification>,
}

#[cfg(feature = "federation")]
#[derive(Deserialize)]
pub(super) struct EnterpriseConnection {
    pub(super) id: String,
    pub(super) active: bool,
}

#[derive(Deserialize)]
pub(super) struct Verified {
    pub(super) verified: bool,
}

#[derive(Deserialize)]
pub(super) struct SignInToken {
    pub(super) token: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) status: String,
}

#[derive(Deserialize)]
pub(super) struct Memberships {
    pub(super) data: Vec<Membership>,
}

#[derive(Deserialize)]
pub(super) struct Membership {
    pub(super) organization: Organization,
}

/// An API key. Without its flags and scopes a key can't be known to be valid, so an answer without them is an upstream
/// error.
#[derive(Deserialize)]
pub(super) struct ApiKey {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) name: Option<String>,
    pub(super) claims: Option<serde_json::Value>,
    pub(super) scopes: Vec<String>,
    pub(super) revoked: bool,
    pub(super) expired: bool,
    pub(super) expiration: Option<f64>,
    pub(super) created_by: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Organization {
    pub(super) id: String,
    pub(super) slug: Option<String>,
}
