//! Flaws of tokens that a verifier must reject.

use aws_lc_rs::hmac;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::tokens::keys;
use crate::tokens::unsigned::{NOT_BEFORE_SKEW, Unsigned, compact};

/// A flaw that [`Fault::TokenWith`](crate::Fault::TokenWith) puts into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenFlaw {
    /// The subject is another user.
    WrongSub,
    /// The issuer is another instance.
    WrongIssuer,
    /// The session is another one.
    WrongSession,
    /// The organization is another one.
    WrongOrganization,
    /// There is no organization.
    NoOrganization,
    /// `alg` is `none`, and there is no signature.
    AlgNone,
    /// The token is signed with HMAC, and the secret is the public key.
    AlgHs256,
    /// The `kid` is in no key set.
    UnknownKid,
    /// The signature is invalid.
    BadSignature,
    /// Its times are an hour too early, so that a token with a lifetime of less than an hour has expired.
    Expired,
    /// There is no `exp`.
    NoExp,
    /// The `exp` is a thousand years in the future.
    AbsurdExp,
    /// The token becomes valid in an hour.
    NotYetValid,
    /// The `sts` is `pending`.
    Pending,
}

impl Unsigned {
    fn set(&mut self, claim: &str, value: impl Into<Value>) {
        self.claims.insert(claim.to_owned(), value.into());
    }

    fn time(&self, claim: &str) -> i64 {
        self.claims.get(claim).and_then(Value::as_i64).unwrap_or_default()
    }

    /// Returns the compact form of a token that no verifier should accept.
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
                // An hour earlier, which exceeds any allowance for clock skew.
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
                // A verifier that lets the token choose the algorithm accepts the public key as the HMAC secret.
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

/// Replaces the organization of a token of either version.
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

/// Removes the organization of a token.
fn name_no_organization(claims: &mut Map<String, Value>) {
    for claim in ["o", "org_id", "org_slug", "org_role", "org_permissions"] {
        claims.remove(claim);
    }
}
