//! RSA signing keys.

use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair as _, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::sync::lock;

/// The keys of this process, shared by all its stand-ins: generating one takes a large part of a second in a debug
/// build, and a test suite has hundreds of stand-ins. The `kid` keeps their keys apart.
static POOL: Mutex<Vec<Arc<SigningKey>>> = Mutex::new(Vec::new());

/// An RSA key of 2048 bits, the size of Clerk's keys.
pub(crate) struct SigningKey {
    pair: KeyPair,
    modulus: String,
    exponent: String,
}

/// Returns a key of the pool, and generates it on first use.
pub(crate) fn pooled(number: usize) -> Arc<SigningKey> {
    let mut pool = lock(&POOL);
    while pool.len() <= number {
        pool.push(Arc::new(SigningKey::generate()));
    }
    Arc::clone(&pool[number])
}

impl SigningKey {
    pub(crate) fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be made");
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let modulus = encode(pair.public_key().modulus().big_endian_without_leading_zero());
        let exponent = encode(pair.public_key().exponent().big_endian_without_leading_zero());
        Self { pair, modulus, exponent }
    }

    /// Returns an RS256 signature.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_by(&signature::RSA_PKCS1_SHA256, message)
    }

    /// Returns a PS256 signature.
    pub(crate) fn sign_pss(&self, message: &[u8]) -> Vec<u8> {
        self.sign_by(&signature::RSA_PSS_SHA256, message)
    }

    fn sign_by(&self, encoding: &'static dyn signature::RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(encoding, &SystemRandom::new(), message, &mut bytes)
            .expect("a 2048-bit key signs a SHA-256 digest");
        bytes
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let public = UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, self.pair.public_key());
        public.verify(message, signature).is_ok()
    }

    /// Returns the public key as SubjectPublicKeyInfo, for tokens that misuse it as an HS256 secret.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        self.pair.public_key().as_der().map(|der| der.as_ref().to_vec()).unwrap_or_default()
    }

    /// Returns `n` of the JSON Web Key.
    pub(crate) fn modulus(&self) -> &str {
        &self.modulus
    }

    /// Returns `e` of the JSON Web Key.
    pub(crate) fn exponent(&self) -> &str {
        &self.exponent
    }
}

// Threads that sign at the same time share a key.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<SigningKey>>();
};
