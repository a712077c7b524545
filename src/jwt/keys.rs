//! The keys of an instance, parsed for verification.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
#[cfg(feature = "token-endpoint")]
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::JwksError;

/// An instance has one key, and two during a rotation.
const MAX_KEYS: usize = 64;

/// The RSA keys of a key set (RFC 7517), by key id.
///
/// Parsed once, because parsing takes longer than a verification.
pub(crate) struct VerificationKeys {
    keys: HashMap<Box<str>, ParsedPublicKey>,
    /// A key set with these keys, for services that verify tokens themselves.
    #[cfg(feature = "token-endpoint")]
    published: Bytes,
}

impl VerificationKeys {
    /// Reads `/.well-known/jwks.json`.
    ///
    /// Skips keys that cannot have signed a session token: keys of other types, for other uses or algorithms, and with
    /// a modulus below 2,048 or above 8,192 bits. Of two keys with the same id, the first counts.
    ///
    /// # Errors
    ///
    /// Returns an error if the bytes are not a key set, or if no key in it is usable. The caller must then go on with
    /// the keys it has.
    pub(crate) fn from_jwks(jwks: &[u8]) -> Result<Self, JwksError> {
        let set: KeySet = serde_json::from_slice(jwks).map_err(|_| JwksError::NotAKeySet)?;
        let mut keys = HashMap::new();
        #[cfg(feature = "token-endpoint")]
        let mut published = Vec::new();
        for (jwk, key) in set.keys.into_iter().filter_map(rsa_key).take(MAX_KEYS) {
            if let Entry::Vacant(place) = keys.entry(jwk.kid.as_str().into()) {
                place.insert(key);
                #[cfg(feature = "token-endpoint")]
                published.push(jwk.published());
            }
        }
        if keys.is_empty() {
            return Err(JwksError::NoUsableKey);
        }
        Ok(Self {
            keys,
            #[cfg(feature = "token-endpoint")]
            published: serde_json::json!({ "keys": published }).to_string().into(),
        })
    }

    /// A key set (RFC 7517) with these keys and nothing but what a verification takes.
    #[cfg(feature = "token-endpoint")]
    pub(crate) fn published(&self) -> Bytes {
        self.published.clone()
    }

    pub(crate) fn contains(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// Whether both sets have a key with the same id and the same public key.
    pub(super) fn shares_a_key_with(&self, others: &Self) -> bool {
        self.keys
            .iter()
            .any(|(kid, key)| others.keys.get(kid).is_some_and(|other| other.as_ref() == key.as_ref()))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the key with this id made the signature; `None` if there is no such key.
    pub(super) fn verify(&self, kid: &str, signed: &[u8], signature: &[u8]) -> Option<bool> {
        Some(self.keys.get(kid)?.verify_sig(signed, signature).is_ok())
    }
}

impl fmt::Debug for VerificationKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

#[derive(Deserialize)]
struct KeySet {
    // Parsed one by one, so that a key of an unknown type doesn't invalidate the others.
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    n: String,
    e: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
}

impl Jwk {
    /// The key as others see it. Members that this crate doesn't know are left out, lest a private one be among them.
    #[cfg(feature = "token-endpoint")]
    fn published(&self) -> Value {
        let Self { kid, n, e, .. } = self;
        serde_json::json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e })
    }
}

fn rsa_key(jwk: Value) -> Option<(Jwk, ParsedPublicKey)> {
    let jwk: Jwk = serde_json::from_value(jwk).ok()?;
    let is_ours = jwk.kty == "RSA"
        && !jwk.kid.is_empty()
        && jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
        && jwk.alg.as_deref().is_none_or(|alg| alg == "RS256");
    if !is_ours {
        return None;
    }
    let (n, e) = (unsigned(&jwk.n)?, unsigned(&jwk.e)?);
    // aws-lc checks the size too, but only when the key is used. Here the key can still be skipped.
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    let is_exponent = e.len() <= 4 && e.last()? % 2 == 1 && e != [1];
    if !(2048..=8192).contains(&bits) || !is_exponent {
        return None;
    }
    let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
    Some((jwk, key))
}

/// Decodes a number, without the leading zeros that some issuers send (RFC 7518 section 2 forbids them).
fn unsigned(encoded: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    Some(bytes[zeros..].to_vec()).filter(|number| !number.is_empty())
}
