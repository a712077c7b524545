//! Tokens that a verifier must refuse.

use aws_lc_rs::hmac;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::tokens::keys;
use crate::tokens::unsigned::{NOT_BEFORE_SKEW, Unsigned, compact};

/// A flaw of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenFlaw {
    /// It is another user's.
    WrongSub,
    /// Another instance minted it.
    WrongIssuer,
    /// It belongs to another session.
    WrongSession,
    /// It names another organization.
    WrongOrganization,
    /// It names no organization.
    NoOrganization,
    /// It says `alg: none` and has no signature.
    AlgNone,
    /// It is signed by HMAC, with the public key as the secret.
    AlgHs256,
    /// Its `kid` is in no key set.
    UnknownKid,
    /// Its signature is wrong.
    BadSignature,
    /// It was over an hour ago.
    Expired,
    /// It has no `exp`.
    NoExp,
    /// Its `exp` is a thousand years away.
    AbsurdExp,
    /// It begins in an hour.
    NotYetValid,
    /// Its `sts` is `pending`.
    Pending,
}

impl Unsigned {
    fn set(&mut self, claim: &str, value: impl Into<Value>) {
        self.claims.insert(claim.to_owned(), value.into());
    }

    fn time(&self, claim: &str) -> i64 {
        self.claims.get(claim).and_then(Value::as_i64).unwrap_or_default()
    }

    /// The compact form of a token that no verifier should take.
    pub(crate) fn sign_with(mut self, flaw: TokenFlaw) -> String {
        let (iat, exp) = (self.time("iat"), self.time("exp"));
        match flaw {
            TokenFlaw::WrongSub => self.set("sub", ids::random("user")),
            TokenFlaw::WrongIssuer => self.set("iss", "https://clerk.another-instance.example"),
            TokenFlaw::WrongSession => self.set("sid", ids::random("sess")),
            TokenFlaw::WrongOrganization => name_another_organization(&mut self.claims),
            TokenFlaw::NoOrganization => name_no_organization(&mut self.claims),
            TokenFlaw::Pending => self.set("sts", "pending"),
            TokenFlaw::NoExp => drop(self.claims.remove("exp")),
            TokenFlaw::AbsurdExp => self.set("exp", iat + 1_000 * 365 * 24 * 3600),
            TokenFlaw::Expired => {
                // An hour ago, by more than any allowance for clocks.
                for (claim, time) in [("iat", iat), ("nbf", iat - NOT_BEFORE_SKEW), ("exp", exp)] {
                    self.set(claim, time - 3600);
                }
            }
            TokenFlaw::NotYetValid => {
                for (claim, time) in [("iat", iat), ("nbf", iat), ("exp", exp)] {
                    self.set(claim, time + 3600);
                }
            }
            TokenFlaw::UnknownKid => drop(self.header.insert("kid".to_owned(), json!(ids::random("ins")))),
            TokenFlaw::BadSignature => {
                let key = keys::pooled(self.key);
                let message = self.message();
                let mut signature = key.sign(message.as_bytes());
                signature[0] ^= 1;
                return compact(message, &signature);
            }
            TokenFlaw::AlgNone => {
                self.header.insert("alg".to_owned(), json!("none"));
                return compact(self.message(), &[]);
            }
            TokenFlaw::AlgHs256 => {
                // The public key as the secret: accepted by a verifier that lets the token choose the algorithm.
                self.header.insert("alg".to_owned(), json!("HS256"));
                let secret = hmac::Key::new(hmac::HMAC_SHA256, &keys::pooled(self.key).public_der());
                let message = self.message();
                let tag = hmac::sign(&secret, message.as_bytes());
                return compact(message, tag.as_ref());
            }
        }
        self.sign()
    }
}

/// Puts another organization into a token, in whichever version it is.
fn name_another_organization(claims: &mut Map<String, Value>) {
    let other = ids::random("org");
    if !claims.contains_key("v") {
        claims.insert("org_id".to_owned(), json!(other));
        claims.insert("org_slug".to_owned(), json!("another"));
        claims.insert("org_role".to_owned(), json!("org:admin"));
        return;
    }
    let about = claims.entry("o").or_insert_with(|| json!({ "rol": "admin" }));
    about["id"] = json!(other);
    about["slg"] = json!("another");
}

/// Takes the organization out of a token.
fn name_no_organization(claims: &mut Map<String, Value>) {
    for claim in ["o", "org_id", "org_slug", "org_role", "org_permissions"] {
        claims.remove(claim);
    }
}
