//! The keys of assertions and of their subjects.

use super::{CredentialKey, KeySecret};

/// The part of an assertion that identifies it, so that it is used once.
#[derive(Clone, Copy)]
pub(crate) enum AssertionId<'a> {
    Jti(&'a str),
    SignedPart(&'a str),
}

/// The key of several texts. Each is preceded by its length, so that no others have the same bytes.
fn parts_hashed(key: &[u8; 32], parts: &[&str]) -> CredentialKey {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    CredentialKey(*hasher.finalize().as_bytes())
}

impl KeySecret {
    /// The key of an assertion, by the whole JWT.
    pub(crate) fn assertion(&self, jwt: &[u8]) -> CredentialKey {
        CredentialKey(*blake3::keyed_hash(&self.assertion, jwt).as_bytes())
    }

    /// The key under which an assertion is used once: by its `jti`, or by its signed part if it has none.
    pub(crate) fn assertion_id(&self, issuer: &str, id: AssertionId<'_>) -> CredentialKey {
        let (kind, id) = match id {
            AssertionId::Jti(jti) => ("jti", jti),
            AssertionId::SignedPart(signed) => ("signed", signed),
        };
        parts_hashed(&self.assertion_id, &[issuer, kind, id])
    }

    /// The key of a provider's subject, and of the user whom a rule names. Other claims may have rules map the same subject
    /// to another user.
    pub(crate) fn providers_subject(&self, issuer: &str, subject: &str, user_id: &str) -> CredentialKey {
        parts_hashed(&self.providers_subject, &[issuer, subject, user_id])
    }
}
