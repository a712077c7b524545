//! The parts of the Frontend API's answers that this crate needs. Never public.
//!
//! Parsing is lenient: unknown fields and values are accepted (real answers have properties that the OpenAPI files
//! forbid), but a missing field that is needed is an error.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::answer::SignedIn;
use crate::clerk_api::{
    ApiError, EmailAddress, Minted, PhoneNumber, Timing, Token, Verification, is_path_segment,
    verified_emails, verified_phones,
};
use crate::client_token::ClientSlot;
use crate::membership::Membership as Member;

#[derive(Deserialize)]
pub(super) struct SignInAnswer {
    pub(super) response: SignIn,
    pub(super) client: Option<Client>,
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    pub(super) id: Option<String>,
    pub(super) status: String,
    pub(super) created_session_id: Option<String>,
    pub(super) client_trust_state: Option<String>,
    pub(super) first_factor_verification: Option<Verification>,
    pub(super) supported_second_factors: Option<Vec<Factor>>,
}

#[derive(Deserialize)]
pub(super) struct Factor {
    pub(super) strategy: String,
    pub(super) safe_identifier: Option<String>,
    pub(super) email_address_id: Option<String>,
    pub(super) phone_number_id: Option<String>,
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
pub(super) struct User {
    pub(super) id: String,
    pub(super) organization_memberships: Option<Vec<Membership>>,
    pub(super) username: Option<String>,
    pub(super) email_addresses: Option<Vec<EmailAddress>>,
    pub(super) phone_numbers: Option<Vec<PhoneNumber>>,
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

impl Session {
    /// Converts a session that a sign-in created, or that the client already had.
    pub(super) fn signed_in(self, client: &Arc<ClientSlot>, timing: Timing) -> Result<SignedIn, ApiError> {
        let pending = match self.status.as_str() {
            "active" => None,
            "pending" => Some(task_keys(self.tasks)),
            _ => return Err(ApiError::unavailable("created_session_not_active")),
        };
        let user = self.user.ok_or_else(|| ApiError::unavailable("no_user"))?;
        if !is_path_segment(&self.id) || !is_path_segment(&user.id) {
            return Err(ApiError::unavailable("unusable_id"));
        }
        let (emails, phones) = (verified_emails(user.email_addresses), verified_phones(user.phone_numbers));
        let identifiers = emails.chain(phones).chain(user.username).collect();
        let memberships = user.organization_memberships.into_iter().flatten().map(|membership| Member {
            id: membership.organization.id.into(),
            slug: membership.organization.slug.map(Into::into),
        });
        let jwt = self.last_active_token.and_then(Token::into_jwt);
        Ok(SignedIn {
            user_id: user.id.into(),
            session_id: self.id.into(),
            client: Arc::clone(client),
            pending,
            active_organization: none_if_empty(self.last_active_organization_id),
            token: jwt.map(|jwt| Minted { jwt, timing }),
            memberships: memberships.collect(),
            identifiers,
            expire_at: self.expire_at.and_then(from_millis),
            timing,
        })
    }
}

pub(super) fn task_keys(tasks: Option<Vec<Task>>) -> Box<[Box<str>]> {
    tasks.into_iter().flatten().map(|task| task.key.into()).collect()
}

pub(super) fn none_if_empty(id: Option<String>) -> Option<Box<str>> {
    id.filter(|id| !id.is_empty()).map(Into::into)
}

fn from_millis(millis: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(millis).ok()?))
}
