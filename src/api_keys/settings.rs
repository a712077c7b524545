//! Which API keys a layer accepts (rules T1, T5, T6).

use std::time::Duration;

use super::prefix::{Base64Prefix, SECRET, has_id_and_key, is_id};
use crate::credentials::{BasicToken, Credentials};

/// The user name that PyPI has made the usual one for a token.
const DEFAULT_USER_NAME: &str = "__token__";

pub(crate) const SHORTEST_TTL: Duration = Duration::from_secs(1);
pub(crate) const LONGEST_TTL: Duration = Duration::from_secs(60 * 60);
const DEFAULT_TTL: Duration = Duration::from_secs(5 * 60);

/// The API keys that a layer accepts in the password's place, for
/// [`accept_api_keys`](crate::ClerkBasicAuthLayer::accept_api_keys).
///
/// These are keys of users and of organizations, which Clerk makes
/// (<https://clerk.com/docs/guides/development/machine-auth/api-keys>). A client sends one as the password of the user
/// `__token__`:
///
/// ```console
/// $ curl -u __token__:ak_… https://api.example.com/me
/// ```
///
/// ```
/// use std::time::Duration;
/// use tower_clerk::ApiKeys;
///
/// let keys = ApiKeys::new().user_name("token").ttl(Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ApiKeys {
    user_name: Box<str>,
    prefix: Base64Prefix,
    ttl: Duration,
    check_subject: bool,
    check_creator: bool,
}

impl ApiKeys {
    /// Creates the default settings: the user name `__token__`, five minutes, and all checks.
    pub fn new() -> Self {
        Self {
            user_name: DEFAULT_USER_NAME.into(),
            prefix: prefix_of(DEFAULT_USER_NAME),
            ttl: DEFAULT_TTL,
            check_subject: true,
            check_creator: true,
        }
    }

    /// Sets the user name that a client sends with a key: `__token__` by default.
    ///
    /// With any other user name, a password that begins with `ak_` is a password. The one exception is the id of the key's
    /// own user or organization (`user_…`, `org_…`), which is always accepted as well, and must then be the right one.
    pub fn user_name(mut self, name: impl Into<String>) -> Self {
        self.user_name = name.into().into();
        self.prefix = prefix_of(&self.user_name);
        self
    }

    /// Sets for how long a verified key is accepted without asking Clerk again: 5 min by default, from 1 s to 1 h. A key
    /// that expires sooner is accepted until then.
    ///
    /// Clerk sends no event about keys, so this is also how long a key works after it was revoked at Clerk, unless the
    /// program calls [`Clerk::revoke_api_key`](crate::Clerk::revoke_api_key). A key in steady use costs a verification per
    /// `ttl`: 8,640 in 30 days at 5 min, of the 100,000 in a month that Clerk gives away
    /// (<https://clerk.com/pricing>).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets whether Clerk is asked about the user or the organization of a key when the key is verified: on by default.
    ///
    /// A key of a user who is banned or deleted is refused then, and so is one of a deleted organization. It costs a second
    /// call per verification. Clerk doesn't document whether such keys stop by themselves. While a refusal is remembered, it
    /// counts on all layers of the engine, also on those without the check.
    pub fn check_subject(mut self, check: bool) -> Self {
        self.check_subject = check;
        self
    }

    /// Sets whether a key of an organization is refused once the user who has created it is no member any more: on by
    /// default.
    ///
    /// It costs one call per verification of such a key. A key without a creator is accepted.
    pub fn check_creator(mut self, check: bool) -> Self {
        self.check_creator = check;
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.user_name
    }

    /// Whether the user name could be an id, and so claim a subject.
    pub(crate) fn claims_ids(&self) -> bool {
        is_id(&self.user_name)
    }

    pub(crate) fn ttl_of_keys(&self) -> Duration {
        self.ttl
    }

    pub(crate) fn checks_subject(&self) -> bool {
        self.check_subject
    }

    pub(crate) fn checks_creator(&self) -> bool {
        self.check_creator
    }

    /// Whether a Basic token is a key. Runs for each request of a layer that accepts keys, so it decodes almost nothing.
    pub(crate) fn recognize(&self, token: BasicToken<'_>) -> bool {
        self.prefix.begins(token.as_bytes()) || has_id_and_key(token.as_bytes())
    }

    /// Whether credentials are a key. It also finds those that a layer decodes in a way of its own.
    pub(crate) fn are(&self, credentials: &Credentials) -> bool {
        let name = credentials.identifier();
        (name == &*self.user_name || is_id(name)) && credentials.password().starts_with(SECRET)
    }

    /// The subject that credentials claim to be of, if their user name is an id.
    pub(crate) fn claimed_subject<'c>(&self, credentials: &'c Credentials) -> Option<&'c str> {
        let name = credentials.identifier();
        (name != &*self.user_name).then_some(name)
    }
}

impl Default for ApiKeys {
    fn default() -> Self {
        Self::new()
    }
}

fn prefix_of(user_name: &str) -> Base64Prefix {
    Base64Prefix::of(&format!("{user_name}:{SECRET}"))
}
