//! Identifiers: their formats, and their comparison.

use crate::accounts::FakeUser;

/// Returns the identifiers that a user can sign in with, which excludes unverified addresses.
pub(crate) fn verified_identifiers(account: &FakeUser) -> impl Iterator<Item = &str> {
    let emails = account.emails.iter().filter(|(_, verified)| *verified).map(|(address, _)| address);
    emails.chain(&account.phone).chain(&account.username).map(String::as_str)
}

/// Returns the identifiers that a user can be looked up by, including unverified addresses.
pub(crate) fn all_identifiers(account: &FakeUser) -> impl Iterator<Item = &str> {
    let emails = account.emails.iter().map(|(address, _)| address);
    emails.chain(&account.phone).chain(&account.username).map(String::as_str)
}

/// Identifiers are compared ignoring case, and phone numbers also ignoring punctuation.
pub(crate) fn normalize(identifier: &str) -> String {
    let identifier = identifier.trim();
    if identifier.starts_with('+') {
        return identifier.chars().filter(|c| *c == '+' || c.is_ascii_digit()).collect();
    }
    identifier.to_lowercase()
}

/// Whether a text is an e-mail address, a phone number or a username.
pub(crate) fn is_identifier(text: &str) -> bool {
    if let Some((local, domain)) = text.rsplit_once('@') {
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '@';
        return !local.is_empty()
            && domain.contains('.')
            && text.len() <= 320
            && local.chars().chain(domain.chars()).all(plain);
    }
    if let Some(number) = text.strip_prefix('+') {
        return number.chars().filter(char::is_ascii_digit).count() >= 4
            && number.chars().all(|c| c.is_ascii_digit() || " -().".contains(c));
    }
    !text.is_empty() && text.len() <= 256 && text.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_an_address_a_number_or_a_username() {
        for right in
            ["jane@example.com", "a+b@x.io", "+15555550100", "+49 30 1234", "jane", "jane_doe-2", "josé"]
        {
            assert!(is_identifier(right), "{right}");
        }
        for wrong in [
            "",
            "jane@",
            "@example.com",
            "jane@localhost",
            "jane doe",
            "a b@example.com",
            "+1",
            "+abc",
            "j:x",
        ] {
            assert!(!is_identifier(wrong), "{wrong}");
        }
    }
}
