//! Flaws of assertions that a verifier must reject.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::issuer::certificate::self_signed;
use crate::issuer::keys::{SigningAlgorithm, SigningKey};

/// A flaw in the signature of an assertion.
///
/// Each is an attack on verifiers that let the token say how it is to be verified
/// ([RFC 8725, section 2](https://www.rfc-editor.org/rfc/rfc8725#section-2)), except the last two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssertionFlaw {
    /// `alg` is `none`, and there is no signature.
    AlgNone,
    /// The assertion is signed with HMAC, and the secret is the public key.
    AlgHs256,
    /// A key of the attacker's signs, and the header brings it as `jwk`.
    OwnJwk,
    /// A key of the attacker's signs, and the header names a key set of the attacker's as `jku`:
    /// `https://attacker.example/jwks`, unless a test sets the header itself.
    OwnJku,
    /// A key of the attacker's signs, and the header brings a certificate of it as `x5c`.
    OwnX5c,
    /// A key of the attacker's signs, and the header has the `kid` of the provider's key.
    ForeignKey,
    /// The `kid` is in no key set.
    UnknownKid,
    /// A bit of the signature is wrong.
    BadSignature,
}

type Signer = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// The issuer that the attacker's key belongs to.
const ATTACKER: &str = "https://attacker.example";

impl AssertionFlaw {
    /// Changes the header, and returns what signs.
    pub(super) fn prepare(self, header: &mut Map<String, Value>, key: &SigningKey) -> Signer {
        let mut set = |name: &str, value: Value| drop(header.insert(name.to_owned(), value));
        let attacker = || SigningKey::new(ATTACKER, 0, SigningAlgorithm::Rs256);
        let signs = |key: SigningKey| -> Signer { Box::new(move |message| key.sign(message)) };
        match self {
            Self::AlgNone => {
                set("alg", json!("none"));
                Box::new(|_| Vec::new())
            }
            Self::AlgHs256 => {
                set("alg", json!("HS256"));
                let secret = hmac::Key::new(hmac::HMAC_SHA256, &key.public());
                Box::new(move |message| hmac::sign(&secret, message).as_ref().to_vec())
            }
            Self::UnknownKid => {
                set("kid", json!(ids::trace()));
                signs(key.clone())
            }
            Self::BadSignature => {
                let key = key.clone();
                Box::new(move |message| {
                    let mut signature = key.sign(message);
                    signature[0] ^= 1;
                    signature
                })
            }
            Self::ForeignKey | Self::OwnJwk | Self::OwnJku | Self::OwnX5c => {
                let own = attacker();
                set("alg", json!(own.algorithm.as_str()));
                if self != Self::ForeignKey {
                    set("kid", json!(own.kid));
                }
                match self {
                    Self::OwnJwk => set("jwk", own.jwk()),
                    Self::OwnJku => set("jku", json!(format!("{ATTACKER}/jwks"))),
                    Self::OwnX5c => {
                        let certificate = self_signed(&own.public(), |message| own.sign(message));
                        set("x5c", json!([BASE64_STANDARD.encode(certificate)]));
                    }
                    _ => {}
                }
                signs(own)
            }
        }
    }
}
