//! An identity provider in memory, beside the Clerk instance.

pub(crate) mod assertion;
mod certificate;
mod documents;
mod faults;
mod flaw;
mod key_set;
mod keys;

use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::clock::{FakeClock, Now};
use crate::issuer::faults::Documents;
pub use crate::issuer::faults::{IssuerDocument, IssuerFault};
pub use crate::issuer::flaw::AssertionFlaw;
use crate::issuer::key_set::KeySet;
pub use crate::issuer::keys::SigningAlgorithm;
use crate::sync::lock;

/// An OpenID provider in memory: a discovery document, a key set, and assertions, true ones and all kinds of false ones.
///
/// Companies, build servers and clusters prove who someone is by such assertions. Use it to test a program that takes them,
/// for example one that exchanges them for a session at Clerk. It has no pages to sign in at and no endpoints but the two
/// documents: a test makes each [assertion](Self::assertion) itself.
///
/// Requests are answered in process by [`handle`](Self::handle), or on a socket by `FakeIssuer::serve` (feature `server`).
/// A handle is cheap to clone, and all clones refer to the same provider.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bytes::Bytes;
/// use fake_clerk::{AssertionFlaw, FakeIssuer};
///
/// let issuer = FakeIssuer::new("https://token.ci.example");
/// let keys = http::Request::get("https://token.ci.example/jwks").body(Bytes::new())?;
/// assert_eq!(issuer.handle(keys).await?.status(), 200);
///
/// let sub = "repo:acme/app:ref:refs/heads/main";
/// let true_one = issuer.assertion(sub, "https://api.acme.example").claim("event_name", "push").sign();
/// let forged = issuer.assertion(sub, "https://api.acme.example").flaw(AssertionFlaw::AlgNone).sign();
/// assert_eq!((true_one.matches('.').count(), forged.ends_with('.')), (2, true));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct FakeIssuer {
    inner: Arc<Inner>,
}

struct Inner {
    issuer: String,
    state: Mutex<State>,
}

struct State {
    clock: FakeClock,
    keys: KeySet,
    documents: Documents,
}

impl FakeIssuer {
    /// Creates a provider with an issuer, the `iss` of its assertions, such as `https://token.ci.example`.
    ///
    /// It signs with RS256 until [`rotate_to`](Self::rotate_to) is called, and its clock is the system's.
    pub fn new(issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        let state =
            State { clock: FakeClock::system(), keys: KeySet::new(&issuer), documents: Documents::default() };
        Self { inner: Arc::new(Inner { issuer, state: Mutex::new(state) }) }
    }

    /// Sets the clock. Give it that of the program under test, so that both agree on the time.
    #[must_use]
    pub fn clock(self, clock: FakeClock) -> Self {
        lock(&self.inner.state).clock = clock;
        self
    }

    /// Returns the issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// Adds a key, and signs with it from now on. The others stay in the key set until
    /// [`retire_old_keys`](Self::retire_old_keys) is called.
    pub fn rotate_keys(&self) {
        let algorithm = lock(&self.inner.state).keys.current().algorithm;
        self.rotate_to(algorithm);
    }

    /// Adds a key for an algorithm, and signs with it from now on.
    pub fn rotate_to(&self, algorithm: SigningAlgorithm) {
        lock(&self.inner.state).keys.rotate(&self.inner.issuer, algorithm);
    }

    /// Removes all keys from the key set except the one that signs.
    pub fn retire_old_keys(&self) {
        lock(&self.inner.state).keys.retire();
    }

    /// Adds an entry to the key set as it is given: a key of another kind, one for encryption, one twice.
    ///
    /// ```
    /// let issuer = fake_clerk::FakeIssuer::new("https://token.ci.example");
    /// issuer.publish_key(serde_json::json!({ "kty": "oct", "kid": "shared", "k": "c2VjcmV0" }));
    /// ```
    pub fn publish_key(&self, key: Value) {
        lock(&self.inner.state).keys.publish(key);
    }

    /// Returns the `kid` of the key that signs.
    #[must_use]
    pub fn kid(&self) -> String {
        lock(&self.inner.state).keys.current().kid.clone()
    }

    fn keys<T>(&self, read: impl FnOnce(&KeySet) -> T) -> T {
        read(&lock(&self.inner.state).keys)
    }

    fn unix(&self) -> i64 {
        Now::read(&lock(&self.inner.state).clock, 0).unix()
    }
}

impl fmt::Debug for FakeIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeIssuer").field("issuer", &self.inner.issuer).finish_non_exhaustive()
    }
}
