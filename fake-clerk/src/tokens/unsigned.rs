//! Tokens before and after signing.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::tokens::key_ring::KeyRing;
use crate::tokens::keys;

/// Seconds by which `nbf` precedes `iat`, an allowance for clock skew.
pub(crate) const NOT_BEFORE_SKEW: i64 = 5;

/// A token before signing, which is slow and happens outside the instance's lock.
#[derive(Clone)]
pub(crate) struct Unsigned {
    pub(crate) key: usize,
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

impl Unsigned {
    pub(crate) fn new(keys: &KeyRing, claims: Map<String, Value>) -> Self {
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!("RS256"));
        header.insert("kid".to_owned(), json!(keys.kid()));
        header.insert("typ".to_owned(), json!("JWT"));
        Self { key: keys.number(), header, claims }
    }

    /// Creates a token for the instance itself to read. It is signed with the pool's first key, so that rotating the
    /// session tokens' keys doesn't end any session.
    pub(crate) fn by_the_first_key(keys: &KeyRing, claims: Map<String, Value>) -> Self {
        Self { key: 0, ..Self::new(keys, claims) }
    }

    /// Returns the compact form.
    pub(crate) fn sign(&self) -> String {
        let key = keys::pooled(self.key);
        let message = self.message();
        let signature = key.sign(message.as_bytes());
        compact(message, &signature)
    }

    pub(crate) fn message(&self) -> String {
        let part = |part: &Map<String, Value>| {
            BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).unwrap_or_default())
        };
        format!("{}.{}", part(&self.header), part(&self.claims))
    }
}

/// Joins a message and its signature to the compact form.
pub(crate) fn compact(message: String, signature: &[u8]) -> String {
    message + "." + &BASE64_URL_SAFE_NO_PAD.encode(signature)
}

/// Returns the payload of a token that this process signed with its first key.
pub(crate) fn read_by_the_first_key(token: &str) -> Option<Map<String, Value>> {
    let (message, signature) = token.rsplit_once('.')?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    if !keys::pooled(0).verify(message.as_bytes(), &signature) {
        return None;
    }
    payload(token)
}

/// Returns the payload of a token without verifying it.
pub(crate) fn payload(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}
