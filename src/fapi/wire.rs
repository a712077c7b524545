//! What Clerk sends, as far as it is needed. Never public, and lenient: unknown fields and values are fine
//! (the OpenAPI files forbid additional properties, real answers have them), missing ones that we need are not.

use serde::Deserialize;
use zeroize::Zeroizing;

#[derive(Deserialize)]
pub(super) struct SignInAnswer {
    pub(super) response: SignIn,
    pub(super) client: Option<Client>,
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    pub(super) status: String,
    pub(super) created_session_id: Option<String>,
    pub(super) client_trust_state: Option<String>,
    pub(super) first_factor_verification: Option<Verification>,
    pub(super) supported_second_factors: Option<Vec<Factor>>,
}

#[derive(Deserialize)]
pub(super) struct Verification {
    pub(super) status: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Factor {
    pub(super) strategy: String,
}

#[derive(Deserialize)]
pub(super) struct Client {
    #[serde(default)]
    pub(super) sessions: Vec<Session>,
}

#[derive(Deserialize)]
pub(super) struct TouchAnswer {
    pub(super) response: Session,
}

#[derive(Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) status: String,
    /// Milliseconds since the epoch.
    pub(super) expire_at: Option<i64>,
    pub(super) last_active_organization_id: Option<String>,
    pub(super) last_active_token: Option<Token>,
    pub(super) tasks: Option<Vec<Task>>,
    pub(super) user: Option<User>,
}

#[derive(Deserialize)]
pub(super) struct Task {
    pub(super) key: String,
}

#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) jwt: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) organization_memberships: Option<Vec<Membership>>,
    pub(super) username: Option<String>,
    pub(super) email_addresses: Option<Vec<EmailAddress>>,
    pub(super) phone_numbers: Option<Vec<PhoneNumber>>,
}

#[derive(Deserialize)]
pub(super) struct EmailAddress {
    pub(super) email_address: Option<String>,
    pub(super) verification: Option<Verification>,
}

#[derive(Deserialize)]
pub(super) struct PhoneNumber {
    pub(super) phone_number: Option<String>,
    pub(super) verification: Option<Verification>,
}

#[derive(Deserialize)]
pub(super) struct Membership {
    pub(super) organization: MembershipOrganization,
}

#[derive(Deserialize)]
pub(super) struct MembershipOrganization {
    pub(super) id: String,
    pub(super) slug: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Errors {
    pub(super) errors: Vec<ErrorItem>,
}

#[derive(Deserialize)]
pub(super) struct ErrorItem {
    pub(super) code: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Environment {
    pub(super) auth_config: Option<AuthConfig>,
    pub(super) user_settings: Option<UserSettings>,
    pub(super) fraud_settings: Option<FraudSettings>,
    pub(super) maintenance_mode: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct AuthConfig {
    pub(super) single_session_mode: Option<bool>,
    pub(super) native_settings: Option<NativeSettings>,
}

#[derive(Deserialize)]
pub(super) struct NativeSettings {
    pub(super) api_enabled: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct UserSettings {
    pub(super) attributes: Option<Attributes>,
    pub(super) attack_protection: Option<AttackProtection>,
}

#[derive(Deserialize)]
pub(super) struct Attributes {
    pub(super) password: Option<Switch>,
}

#[derive(Deserialize)]
pub(super) struct Switch {
    pub(super) enabled: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct AttackProtection {
    pub(super) user_lockout: Option<UserLockout>,
}

#[derive(Deserialize)]
pub(super) struct UserLockout {
    pub(super) enabled: Option<bool>,
    pub(super) max_attempts: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct FraudSettings {
    pub(super) native: Option<NativeFraudSettings>,
}

#[derive(Deserialize)]
pub(super) struct NativeFraudSettings {
    pub(super) device_attestation_mode: Option<String>,
}
