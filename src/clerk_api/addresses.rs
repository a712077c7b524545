//! Email addresses and phone numbers of a user, as both APIs send them.

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct EmailAddress {
    email_address: Option<String>,
    verification: Option<Verification>,
}

#[derive(Deserialize)]
pub(crate) struct PhoneNumber {
    phone_number: Option<String>,
    verification: Option<Verification>,
}

/// The verification state of an address, a number or a first factor.
#[derive(Deserialize)]
pub(crate) struct Verification {
    status: Option<String>,
}

impl Verification {
    pub(crate) fn is_done(&self) -> bool {
        self.status.as_deref() == Some("verified")
    }
}

/// Skips unverified addresses, because a user can add anyone's address to their own account.
pub(crate) fn verified_emails(all: Option<Vec<EmailAddress>>) -> impl Iterator<Item = String> {
    let all = all.into_iter().flatten();
    all.filter_map(|it| it.email_address.filter(|_| it.verification.is_some_and(|it| it.is_done())))
}

/// Skips unverified numbers for the same reason as [`verified_emails`].
pub(crate) fn verified_phones(all: Option<Vec<PhoneNumber>>) -> impl Iterator<Item = String> {
    let all = all.into_iter().flatten();
    all.filter_map(|it| it.phone_number.filter(|_| it.verification.is_some_and(|it| it.is_done())))
}
