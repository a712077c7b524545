//! Descriptions of API keys to add to a stand-in.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::ids;

/// An API key to add to a [`FakeClerk`](crate::FakeClerk) with [`add_api_key`](crate::FakeClerk::add_api_key).
///
/// The id and the secret are random unless they are set.
///
/// ```
/// use fake_clerk::{FakeApiKey, FakeClerk};
///
/// let clerk = FakeClerk::new();
/// let id = clerk.add_api_key(FakeApiKey::new("jane").name("nightly build").scopes(["invoices:read"]));
/// assert!(clerk.api_key_secret(&id).starts_with("ak_"));
/// ```
#[derive(Clone)]
#[must_use]
pub struct FakeApiKey {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// As the test names it, until the key is added.
    pub(crate) subject: String,
    pub(crate) name: String,
    pub(crate) secret: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) claims: Value,
    pub(crate) created_by: Option<String>,
    pub(crate) life: Option<Duration>,
}

impl FakeApiKey {
    /// Creates a key of a user, by the user's id or any identifier, or of an organization, by its id or slug.
    ///
    /// A subject that begins with `mch_` is a machine, which the stand-in knows nothing else about.
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            id: ids::api_key(),
            kind: "api_key".to_owned(),
            subject: subject.into(),
            name: "api key".to_owned(),
            secret: format!("ak_{}", ids::base62(SECRET_LENGTH)),
            scopes: Vec::new(),
            claims: Value::Null,
            created_by: None,
            life: None,
        }
    }

    /// A demo key, whose id and secret are the same at every start.
    pub(crate) fn demo(subject: &str) -> Self {
        let secret = ids::derived_text(SECRET_LENGTH, &format!("api key/{subject}"));
        Self { id: ids::derived_api_key(subject), secret: format!("ak_{secret}"), ..Self::new(subject) }
    }

    /// Sets the id: `ak_` and 32 hexadecimal digits.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets the secret, which a client presents. Clerk's begin with `ak_`.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = secret.into();
        self
    }

    /// Sets the type. The default is `api_key`; keys of machines have another one.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Sets the name. The default is `api key`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the scopes. By default there are none.
    pub fn scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the claims. The default is `null`.
    pub fn claims(mut self, claims: Map<String, Value>) -> Self {
        self.claims = Value::Object(claims);
        self
    }

    /// Sets the user who has created the key, by id or any identifier. By default no user has, as for keys that a
    /// server creates.
    pub fn created_by(mut self, user: impl Into<String>) -> Self {
        self.created_by = Some(user.into());
        self
    }

    /// Sets for how long the key is valid. By default it doesn't expire.
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.life = Some(life);
        self
    }
}

/// Number of characters of a secret after its prefix.
const SECRET_LENGTH: usize = 40;

/// Shows no secret, so that a test may search the log of the program under test for one.
impl std::fmt::Debug for FakeApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, subject, name, .. } = self;
        f.debug_struct("FakeApiKey")
            .field("id", id)
            .field("subject", subject)
            .field("name", name)
            .finish_non_exhaustive()
    }
}
