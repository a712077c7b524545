//! A user.

use std::fmt;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Json;
use super::scalar::Scalar;

/// A user. Of the event `user.deleted`, only the id is set.
///
/// ```
/// # #[cfg(feature = "backend")]
/// fn greeting(user: &tower_clerk::backend::UserData) -> String {
///     let address = user.primary_email_address().filter(|address| address.is_verified);
///     let name = user.first_name.as_deref().or(address.map(|it| it.identifier.as_str()));
///     format!("Hello, {}!", name.unwrap_or(&user.id))
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct UserData {
    /// The id (`user_…`).
    pub id: String,
    /// The user name, if there is one.
    pub username: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The id that another system has given the user.
    pub external_id: Option<String>,
    /// The language that the user has chosen, such as `en-US`.
    pub locale: Option<String>,
    /// The address of the picture, which is there for each user.
    pub image_url: Option<String>,
    /// Whether the picture is one that the user has chosen.
    pub has_image: Option<bool>,
    /// The id of the primary one of [`email_addresses`](Self::email_addresses).
    pub primary_email_address_id: Option<String>,
    /// The id of the primary one of [`phone_numbers`](Self::phone_numbers).
    pub primary_phone_number_id: Option<String>,
    /// The email addresses, in Clerk's order, which says nothing about the primary one.
    pub email_addresses: Vec<VerifiableIdentifier>,
    /// The phone numbers.
    pub phone_numbers: Vec<VerifiableIdentifier>,
    /// Whether the user is banned.
    pub banned: Option<bool>,
    /// Whether the user is locked after too many failed attempts.
    pub locked: Option<bool>,
    /// Whether a directory has taken the user's access away.
    pub deprovisioned: Option<bool>,
    /// Whether the user has a password.
    pub password_enabled: Option<bool>,
    /// Whether the user has a second factor.
    pub two_factor_enabled: Option<bool>,
    /// Metadata that everyone who sees the user sees, and that only servers can set.
    pub public_metadata: Option<Json>,
    /// Metadata that the user can set: never decide anything by it.
    pub unsafe_metadata: Option<Json>,
    /// When the password was last changed.
    pub password_last_updated_at: Option<SystemTime>,
    /// When a second factor was last enabled. It stays when the factor is disabled.
    pub mfa_enabled_at: Option<SystemTime>,
    /// When the user last signed in.
    pub last_sign_in_at: Option<SystemTime>,
    /// When a session of the user was last active, to the day.
    pub last_active_at: Option<SystemTime>,
    /// When the user was created.
    pub created_at: Option<SystemTime>,
    /// When the user was last changed.
    pub updated_at: Option<SystemTime>,
    /// The whole object as Clerk sent it, without `private_metadata` and backup codes.
    pub json: Json,
}

/// An email address or a phone number of a user.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiableIdentifier {
    /// The id (`idn_…`).
    pub id: Option<String>,
    /// The address or the number.
    pub identifier: String,
    /// Whether Clerk has verified that it is the user's.
    pub is_verified: bool,
}

impl UserData {
    /// The primary email address, if there is one. It may not be verified.
    #[must_use]
    pub fn primary_email_address(&self) -> Option<&VerifiableIdentifier> {
        with_id(&self.email_addresses, self.primary_email_address_id.as_deref()?)
    }

    /// The primary phone number, if there is one. It may not be verified.
    #[must_use]
    pub fn primary_phone_number(&self) -> Option<&VerifiableIdentifier> {
        with_id(&self.phone_numbers, self.primary_phone_number_id.as_deref()?)
    }

    /// Reads a user of a list. Identifiers that can't be read are an error, since a user without them would be taken for one
    /// who has none.
    #[cfg(feature = "backend")]
    pub(crate) fn read(json: &str) -> Result<Self, serde_json::Error> {
        Self::new(json, serde_json::from_str(json)?)
    }

    /// Reads the user of an event. If Clerk changes the form of identifiers, a ban is still understood.
    #[cfg(feature = "webhook")]
    pub(crate) fn read_of_event(json: &str) -> Result<Self, serde_json::Error> {
        Self::new(json, serde_json::from_str(json).unwrap_or_default())
    }

    fn new(json: &str, identifiers: Identifiers) -> Result<Self, serde_json::Error> {
        let user: User<'_> = serde_json::from_str(json)?;
        let emails = identifiers.email_addresses.unwrap_or_default().into_iter();
        let phones = identifiers.phone_numbers.unwrap_or_default().into_iter();
        Ok(Self {
            id: user.id,
            username: identifiers.username.text(),
            first_name: user.first_name.text(),
            last_name: user.last_name.text(),
            external_id: user.external_id.text(),
            locale: user.locale.text(),
            image_url: user.image_url.text(),
            has_image: user.has_image.flag(),
            primary_email_address_id: user.primary_email_address_id.text(),
            primary_phone_number_id: user.primary_phone_number_id.text(),
            email_addresses: emails.filter_map(Identifier::of_email).collect(),
            phone_numbers: phones.filter_map(Identifier::of_phone).collect(),
            banned: user.banned.flag(),
            locked: user.locked.flag(),
            deprovisioned: user.deprovisioned.flag(),
            password_enabled: user.password_enabled.flag(),
            two_factor_enabled: user.two_factor_enabled.flag(),
            public_metadata: Json::metadata(user.public_metadata),
            unsafe_metadata: Json::metadata(user.unsafe_metadata),
            password_last_updated_at: user.password_last_updated_at.time(),
            mfa_enabled_at: user.mfa_enabled_at.time(),
            last_sign_in_at: user.last_sign_in_at.time(),
            last_active_at: user.last_active_at.time(),
            created_at: user.created_at.time(),
            updated_at: user.updated_at.time(),
            json: Json::of_object(json)?,
        })
    }
}

fn with_id<'a>(all: &'a [VerifiableIdentifier], id: &str) -> Option<&'a VerifiableIdentifier> {
    all.iter().find(|it| it.id.as_deref() == Some(id))
}

#[derive(Deserialize)]
struct User<'a> {
    id: String,
    #[serde(default)]
    first_name: Scalar,
    #[serde(default)]
    last_name: Scalar,
    #[serde(default)]
    external_id: Scalar,
    #[serde(default)]
    locale: Scalar,
    #[serde(default)]
    image_url: Scalar,
    #[serde(default)]
    has_image: Scalar,
    #[serde(default)]
    primary_email_address_id: Scalar,
    #[serde(default)]
    primary_phone_number_id: Scalar,
    #[serde(default)]
    banned: Scalar,
    #[serde(default)]
    locked: Scalar,
    #[serde(default)]
    deprovisioned: Scalar,
    #[serde(default)]
    password_enabled: Scalar,
    #[serde(default)]
    two_factor_enabled: Scalar,
    #[serde(default, borrow)]
    public_metadata: Option<&'a RawValue>,
    #[serde(default, borrow)]
    unsafe_metadata: Option<&'a RawValue>,
    #[serde(default)]
    password_last_updated_at: Scalar,
    #[serde(default)]
    mfa_enabled_at: Scalar,
    #[serde(default)]
    last_sign_in_at: Scalar,
    #[serde(default)]
    last_active_at: Scalar,
    #[serde(default)]
    created_at: Scalar,
    #[serde(default)]
    updated_at: Scalar,
}

/// A user's identifiers, read apart.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Identifiers {
    username: Scalar,
    email_addresses: Option<Vec<Identifier>>,
    phone_numbers: Option<Vec<Identifier>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Identifier {
    id: Scalar,
    email_address: Scalar,
    phone_number: Scalar,
    verification: Option<Verification>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Verification {
    status: Scalar,
}

impl Identifier {
    fn of_email(self) -> Option<VerifiableIdentifier> {
        Self::verifiable(self.email_address, self.id, self.verification)
    }

    fn of_phone(self) -> Option<VerifiableIdentifier> {
        Self::verifiable(self.phone_number, self.id, self.verification)
    }

    fn verifiable(
        identifier: Scalar,
        id: Scalar,
        verification: Option<Verification>,
    ) -> Option<VerifiableIdentifier> {
        let status = verification.and_then(|it| it.status.text());
        let is_verified = status.as_deref() == Some("verified");
        Some(VerifiableIdentifier { id: id.text(), identifier: identifier.text()?, is_verified })
    }
}

// Without the identifiers, which are personal data.
impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserData").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifiableIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiableIdentifier").field("is_verified", &self.is_verified).finish_non_exhaustive()
    }
}
