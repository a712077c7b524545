//! What the Backend API sends, as far as it is needed; lenient like the Frontend API's.

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::clerk_api::{EmailAddress, PhoneNumber};

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    #[serde(default)]
    pub(super) banned: bool,
    #[serde(default)]
    pub(super) locked: bool,
    pub(super) deprovisioned: Option<bool>,
    // Without these nobody could say that a password is enough: their lack is Clerk's error, not a "no".
    pub(super) password_enabled: bool,
    pub(super) two_factor_enabled: bool,
    pub(super) username: Option<String>,
    pub(super) email_addresses: Option<Vec<EmailAddress>>,
    pub(super) phone_numbers: Option<Vec<PhoneNumber>>,
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

#[derive(Deserialize)]
pub(super) struct Organization {
    pub(super) id: String,
    pub(super) slug: Option<String>,
}
