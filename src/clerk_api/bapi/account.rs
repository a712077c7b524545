//! A user of the instance, with their identifiers.

use super::wire;
use crate::clerk_api::{verified_emails, verified_phones};
use crate::key::international;

/// The kind of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentifierKind {
    EmailAddress,
    PhoneNumber,
    Username,
}

/// The current state of a user.
pub(crate) struct Account {
    pub(crate) id: Box<str>,
    pub(crate) banned: bool,
    pub(crate) locked: bool,
    pub(crate) password_enabled: bool,
    pub(crate) two_factor_enabled: bool,
    /// The verified addresses and numbers, and the user name.
    identifiers: Vec<(IdentifierKind, String)>,
    /// The linked accounts at providers, in any state.
    #[cfg(feature = "federation")]
    pub(super) linked: super::linked::LinkedAccounts,
}

impl IdentifierKind {
    /// Recognizes the kind by shape: an address has an `@`, a number has a plus and then only digits and separators,
    /// and any other identifier is a user name.
    pub(crate) fn of(identifier: &str) -> Self {
        if identifier.contains('@') {
            Self::EmailAddress
        } else if international(identifier).is_some() {
            Self::PhoneNumber
        } else {
            Self::Username
        }
    }

    pub(super) fn parameter(self) -> &'static str {
        match self {
            Self::EmailAddress => "email_address",
            Self::PhoneNumber => "phone_number",
            Self::Username => "username",
        }
    }

    /// The spelling that is sent to Clerk and compared.
    pub(super) fn canonical(self, identifier: &str) -> String {
        let identifier = identifier.trim();
        match self {
            Self::PhoneNumber => {
                let digits = identifier.chars().filter(char::is_ascii_digit);
                std::iter::once('+').chain(digits).collect()
            }
            _ => identifier.to_lowercase(),
        }
    }
}

impl Account {
    /// Whether the identifier belongs to the user and is verified.
    pub(crate) fn goes_by(&self, identifier: &str) -> bool {
        let kind = IdentifierKind::of(identifier);
        let wanted = kind.canonical(identifier);
        self.identifiers.iter().any(|(known, value)| *known == kind && kind.canonical(value) == wanted)
    }

    pub(crate) fn into_identifiers(self) -> Vec<String> {
        self.identifiers.into_iter().map(|(_, value)| value).collect()
    }
}

impl From<wire::User> for Account {
    fn from(user: wire::User) -> Self {
        #[cfg(feature = "federation")]
        let linked = super::linked::LinkedAccounts::of(user.external_accounts, user.enterprise_accounts);
        let (emails, phones) = (verified_emails(user.email_addresses), verified_phones(user.phone_numbers));
        let identifiers = emails
            .map(|address| (IdentifierKind::EmailAddress, address))
            .chain(phones.map(|number| (IdentifierKind::PhoneNumber, number)))
            .chain(user.username.map(|name| (IdentifierKind::Username, name)));
        Self {
            id: user.id.into(),
            banned: user.banned || user.deprovisioned.unwrap_or(false),
            locked: user.locked,
            password_enabled: user.password_enabled,
            two_factor_enabled: user.two_factor_enabled,
            identifiers: identifiers.collect(),
            #[cfg(feature = "federation")]
            linked,
        }
    }
}
