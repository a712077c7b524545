//! The keys of an instance, parsed for verification.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
#[cfg(feature = "token-endpoint")]
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::{Algorithm, JwksError};

/// An instance of Clerk has one key, and two during a rotation. The largest providers have about a dozen.
const MAX_KEYS: usize = 64;

/// The length of each coordinate of a key on P-256 (RFC 7518, section 6.2.1.2).
const COORDINATE: usize = 32;

/// The keys of a key set (RFC 7517), by algorithm and key id.
///
/// Parsed once, because parsing takes longer than a verification.
pub(crate) struct VerificationKeys {
    /// One map for each algorithm, so that no key verifies a signature of another one. Clerk's keys are in a single map.
    by_algorithm: Box<[(Algorithm, KeysById)]>,
    /// A key set with these keys, for services that verify tokens themselves.
    #[cfg(feature = "token-endpoint")]
    published: Bytes,
}

type KeysById = HashMap<Box<str>, ParsedPublicKey>;

impl VerificationKeys {
    /// Reads a key set, such as `/.well-known/jwks.json`.
    ///
    /// Skips keys that cannot have signed with one of these algorithms: keys of other types or curves, for other uses or
    /// algorithms, and with a modulus below 2,048 or above 8,192 bits. Of two keys with the same id, the first counts.
    ///
    /// # Errors
    ///
    /// Returns an error if the bytes are not a key set, or if no key in it is usable. The caller must then go on with
    /// the keys it has.
    pub(crate) fn from_jwks(jwks: &[u8], algorithms: &[Algorithm]) -> Result<Self, JwksError> {
        let set: KeySet = serde_json::from_slice(jwks).map_err(|_| JwksError::NotAKeySet)?;
        let mut by_algorithm: Box<[_]> =
            algorithms.iter().map(|algorithm| (*algorithm, KeysById::new())).collect();
        #[cfg(feature = "token-endpoint")]
        let mut published = Vec::new();
        let jwks = set.keys.into_iter().filter_map(|jwk| serde_json::from_value::<Jwk>(jwk).ok());
        let usable = jwks.filter_map(|jwk| {
            let keys: Vec<_> = algorithms.iter().map(|algorithm| jwk.key(*algorithm)).collect();
            keys.iter().any(Option::is_some).then_some((jwk, keys))
        });
        for (jwk, parsed) in usable.take(MAX_KEYS) {
            for ((_, keys), key) in by_algorithm.iter_mut().zip(parsed) {
                if let Entry::Vacant(place) = keys.entry(jwk.kid.as_str().into())
                    && let Some(key) = key
                {
                    place.insert(key);
                    #[cfg(feature = "token-endpoint")]
                    published.extend((jwk.kty == "RSA").then(|| jwk.published()));
                }
            }
        }
        if by_algorithm.iter().all(|(_, keys)| keys.is_empty()) {
            return Err(JwksError::NoUsableKey);
        }
        Ok(Self {
            by_algorithm,
            #[cfg(feature = "token-endpoint")]
            published: serde_json::json!({ "keys": published }).to_string().into(),
        })
    }

    /// A key set (RFC 7517) with the keys for RS256 and nothing but what a verification takes.
    #[cfg(feature = "token-endpoint")]
    pub(crate) fn published(&self) -> Bytes {
        self.published.clone()
    }

    pub(crate) fn contains(&self, kid: &str) -> bool {
        self.by_algorithm.iter().any(|(_, keys)| keys.contains_key(kid))
    }

    /// Whether both sets have a key with the same id and the same public key.
    pub(super) fn shares_a_key_with(&self, others: &Self) -> bool {
        let all =
            self.by_algorithm.iter().flat_map(|(algorithm, keys)| keys.iter().map(|it| (*algorithm, it)));
        all.into_iter().any(|(algorithm, (kid, key))| {
            others.key(kid, algorithm).is_some_and(|other| other.as_ref() == key.as_ref())
        })
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_algorithm.iter().map(|(_, keys)| keys.len()).sum()
    }

    fn key(&self, kid: &str, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let (_, keys) = self.by_algorithm.iter().find(|(other, _)| *other == algorithm)?;
        keys.get(kid)
    }

    /// Whether the key with this id made the signature with this algorithm; `None` if there is no such key.
    pub(super) fn verify(
        &self,
        kid: &str,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        Some(self.key(kid, algorithm)?.verify_sig(signed, signature).is_ok())
    }
}

impl fmt::Debug for VerificationKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.by_algorithm.iter().flat_map(|(_, keys)| keys.keys());
        f.debug_set().entries(ids).finish()
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
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
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

    /// The key, if it may have signed with this algorithm.
    fn key(&self, algorithm: Algorithm) -> Option<ParsedPublicKey> {
        let is_for_it = !self.kid.is_empty()
            && self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.alg.as_deref().is_none_or(|alg| alg == algorithm.name());
        if !is_for_it {
            return None;
        }
        match algorithm {
            Algorithm::Rs256 => self.rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Ps256 => self.rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::Es256 => self.p256(),
        }
    }

    fn rsa(&self, parameters: &'static RsaParameters) -> Option<ParsedPublicKey> {
        if self.kty != "RSA" {
            return None;
        }
        let (n, e) = (unsigned(self.n.as_deref()?)?, unsigned(self.e.as_deref()?)?);
        // aws-lc checks the size too, but only when the key is used. Here the key can still be skipped.
        let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
        let is_exponent = e.len() <= 4 && e.last()? % 2 == 1 && e != [1];
        if !(2048..=8192).contains(&bits) || !is_exponent {
            return None;
        }
        RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()
    }

    /// A point on P-256, which aws-lc checks to be one.
    fn p256(&self) -> Option<ParsedPublicKey> {
        if self.kty != "EC" || self.crv.as_deref() != Some("P-256") {
            return None;
        }
        let coordinate =
            |encoded: &str| URL_SAFE_NO_PAD.decode(encoded).ok().filter(|bytes| bytes.len() == COORDINATE);
        let (x, y) = (coordinate(self.x.as_deref()?)?, coordinate(self.y.as_deref()?)?);
        // The prefix of an uncompressed point (SEC 1, section 2.3.3).
        let point = [&[4], &x[..], &y[..]].concat();
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()
    }
}

/// Decodes a number, without the leading zeros that some issuers send (RFC 7518 section 2 forbids them).
fn unsigned(encoded: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    Some(bytes[zeros..].to_vec()).filter(|number| !number.is_empty())
}
