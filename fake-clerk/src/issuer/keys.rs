//! The keys of identity providers.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::sync::lock;
use crate::tokens::keys::SigningKey as RsaKey;

/// An algorithm of [RFC 7518, section 3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1) to sign assertions with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, and a key of 2048 bits.
    Rs256,
    /// RSASSA-PSS with SHA-256, and a key of 2048 bits.
    Ps256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
}

impl SigningAlgorithm {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
        }
    }
}

/// A key of a provider.
#[derive(Clone)]
pub(super) struct SigningKey {
    pub(super) kid: String,
    pub(super) algorithm: SigningAlgorithm,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rsa(Arc<RsaKey>),
    Ec(Arc<EcdsaKeyPair>),
}

/// The RSA keys of this process by issuer and number. Generating one takes a large part of a second in a debug build, and a
/// test suite makes the same provider again and again. Two issuers never share a key: a program that confuses them would
/// otherwise go unnoticed.
static RSA_KEYS: LazyLock<Mutex<RsaKeys>> = LazyLock::new(Mutex::default);

type RsaKeys = HashMap<(String, usize), Arc<RsaKey>>;

impl SigningKey {
    /// Returns a key of an issuer. Its `kid` is random, so that no two providers have the same one by accident.
    pub(super) fn new(issuer: &str, number: usize, algorithm: SigningAlgorithm) -> Self {
        let pair = match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                let mut keys = lock(&RSA_KEYS);
                let key =
                    keys.entry((issuer.to_owned(), number)).or_insert_with(|| Arc::new(RsaKey::generate()));
                Pair::Rsa(Arc::clone(key))
            }
            SigningAlgorithm::Es256 => {
                let key =
                    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key can be made");
                Pair::Ec(Arc::new(key))
            }
        };
        Self { kid: crate::ids::trace(), algorithm, pair }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match (&self.pair, self.algorithm) {
            (Pair::Rsa(key), SigningAlgorithm::Ps256) => key.sign_pss(message),
            (Pair::Rsa(key), _) => key.sign(message),
            (Pair::Ec(key), _) => {
                let signature =
                    key.sign(&SystemRandom::new(), message).expect("P-256 signs a SHA-256 digest");
                signature.as_ref().to_vec()
            }
        }
    }

    /// Returns the public key as a JSON Web Key.
    pub(super) fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Rsa(key) => json!({ "kty": "RSA", "n": key.modulus(), "e": key.exponent() }),
            Pair::Ec(key) => {
                // The uncompressed form of SEC 1, section 2.3.3: a 4, and the two coordinates.
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
            }
        };
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm.as_str());
        jwk["kid"] = json!(self.kid);
        jwk
    }

    /// Returns the public key as bytes that a verifier may have at hand: SubjectPublicKeyInfo, or a point.
    pub(super) fn public(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(key) => key.public_der(),
            Pair::Ec(key) => key.public_key().as_ref().to_vec(),
        }
    }
}
