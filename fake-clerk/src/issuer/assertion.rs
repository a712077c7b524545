//! Assertions before and after signing.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::issuer::FakeIssuer;
use crate::issuer::flaw::AssertionFlaw;
use crate::tokens::unsigned::compact;

/// How long an assertion is valid unless a test says otherwise, as for the tokens of GitHub's jobs.
const LIFE: Duration = Duration::from_secs(5 * 60);

/// An assertion of a [`FakeIssuer`], to be changed and signed. [`FakeIssuer::assertion`] returns one.
///
/// Without changes it has the claims `iss`, `sub`, `aud`, `iat`, `exp` five minutes later and a random `jti`, and the key
/// that signs now signs it. The claims of a provider, and every lie that a signature can be put under, are set by
/// [`claim`](Self::claim) and [`header`](Self::header); a [flaw](Self::flaw) is about the signature itself.
#[must_use = "it is an assertion only when it is signed"]
#[derive(Clone)]
pub struct FakeAssertion {
    issuer: FakeIssuer,
    skew: i64,
    life: Duration,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    flaw: Option<AssertionFlaw>,
}

impl FakeIssuer {
    /// Makes an assertion about a subject for an audience, to be changed and signed.
    pub fn assertion(&self, subject: impl Into<String>, audience: impl Into<Value>) -> FakeAssertion {
        let assertion = FakeAssertion {
            issuer: self.clone(),
            skew: 0,
            life: LIFE,
            header: Map::new(),
            claims: Map::new(),
            flaw: None,
        };
        assertion.claim("sub", subject.into()).claim("aud", audience)
    }
}

impl FakeAssertion {
    /// Sets a claim; null removes it.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a member of the header; null removes it.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Sets how long the assertion is valid: 5 min by default.
    pub fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// Moves its times by seconds: into the future, as where the provider's clock is ahead, or into the past if negative.
    pub fn skew(mut self, seconds: i64) -> Self {
        self.skew = seconds;
        self
    }

    /// Gives it a flaw.
    pub fn flaw(mut self, flaw: AssertionFlaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    /// Signs it, and returns it in its compact form.
    #[must_use]
    pub fn sign(&self) -> String {
        let key = self.issuer.keys(|keys| keys.current().clone());
        let issued = self.issuer.unix() + self.skew;
        let expires = issued + i64::try_from(self.life.as_secs()).unwrap_or(i64::MAX / 2);
        let mut claims = object(json!({
            "iss": self.issuer.issuer(), "iat": issued, "exp": expires, "jti": ids::trace(),
        }));
        let mut header = object(json!({ "typ": "JWT", "alg": key.algorithm.as_str(), "kid": key.kid }));
        let signer = match self.flaw {
            Some(flaw) => flaw.prepare(&mut header, &key),
            None => Box::new(move |message: &[u8]| key.sign(message)),
        };
        for (part, changes) in [(&mut header, &self.header), (&mut claims, &self.claims)] {
            part.extend(changes.clone());
            part.retain(|_, value| !value.is_null());
        }
        let encode =
            |part: Map<String, Value>| BASE64_URL_SAFE_NO_PAD.encode(Value::Object(part).to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = signer(message.as_bytes());
        compact(message, &signature)
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

impl fmt::Debug for FakeAssertion {
    /// Shows no claims, so that a test may search the log of the program under test for them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuer, flaw, .. } = self;
        f.debug_struct("FakeAssertion")
            .field("issuer", &issuer.issuer())
            .field("flaw", flaw)
            .finish_non_exhaustive()
    }
}
