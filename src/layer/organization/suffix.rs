//! An organization at the end of the identifier, as in `jane@example.com/acme`.

use super::RequestOrganization;
use super::allow_list::AllowList;
use crate::credentials::{Credentials, MalformedCredentials};

/// A suffix of the identifier that names the organization.
#[derive(Debug)]
pub(in crate::layer) struct IdentifierSuffix {
    separator: char,
    allowed: AllowList,
}

impl IdentifierSuffix {
    /// # Errors
    ///
    /// Returns what is wrong with the separator, or with the names on the list.
    pub(super) fn new(separator: char, allowed: AllowList) -> Result<Self, &'static str> {
        // Other characters have several encodings, of which a layer may compose one into another.
        if !separator.is_ascii_punctuation() || matches!(separator, '@' | ':') {
            return Err("its separator must be an ASCII punctuation character other than @ and :");
        }
        if allowed.names().any(|name| name.contains(separator)) {
            return Err("its separator is in a name on the allow-list, which the last separator would cut");
        }
        Ok(Self { separator, allowed })
    }

    /// Cuts the identifier at the last separator.
    ///
    /// # Errors
    ///
    /// Returns an error if nothing is in front of the separator.
    pub(in crate::layer) fn cut(
        &self,
        credentials: Credentials,
    ) -> Result<(Credentials, RequestOrganization), MalformedCredentials> {
        let Some((identifier, name)) = credentials.identifier().rsplit_once(self.separator) else {
            return Ok((credentials, RequestOrganization::Refused));
        };
        let organization = self.allowed.answer(name.to_owned());
        Ok((Credentials::new(identifier, credentials.password())?, organization))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::MalformedReason;

    fn list() -> AllowList {
        AllowList::new(Some(vec!["acme".into(), "a-b".into()])).unwrap()
    }

    #[test]
    fn a8_an_identifier_is_cut_at_its_last_separator() {
        let suffix = IdentifierSuffix::new('/', list()).unwrap();
        let cut = |identifier: &str| {
            let (credentials, organization) =
                suffix.cut(Credentials::new(identifier, "p/acme").unwrap()).unwrap();
            assert_eq!(credentials.password(), "p/acme");
            (credentials.identifier().to_owned(), organization)
        };
        let named = RequestOrganization::named;
        for (identifier, rest, organization) in [
            ("jane@example.com/acme", "jane@example.com", named("acme")),
            ("jane/globex/acme", "jane/globex", named("acme")),
            ("jane/acme/globex", "jane/acme", RequestOrganization::Unlisted),
            ("jane//acme", "jane/", named("acme")),
            ("jane/", "jane", named("")),
            ("jane/Acme", "jane", named("Acme")),
            ("jane\\acme", "jane\\acme", RequestOrganization::Refused),
            ("jane", "jane", RequestOrganization::Refused),
        ] {
            assert_eq!(cut(identifier), (rest.to_owned(), organization), "{identifier}");
        }
        let error = suffix.cut(Credentials::new("/acme", "p").unwrap()).unwrap_err();
        assert_eq!(error.reason(), MalformedReason::EmptyIdentifier);
    }

    #[test]
    fn a8_a_separator_is_checked() {
        for separator in ['/', '+', '#', '%', '_', '.', '|', '\\'] {
            assert!(IdentifierSuffix::new(separator, list()).is_ok(), "{separator}");
        }
        for separator in ['@', ':', 'a', 'Z', '0', ' ', '\n', '\0', '\u{7f}', '\u{e4}', '\u{301}', '\u{ff0f}']
        {
            assert!(IdentifierSuffix::new(separator, list()).is_err(), "{separator:?}");
        }
        assert!(IdentifierSuffix::new('-', list()).unwrap_err().contains("allow-list"));
        let ids = AllowList::new(Some(vec!["org_1".into()])).unwrap();
        assert!(IdentifierSuffix::new('_', ids).is_err());
    }
}
