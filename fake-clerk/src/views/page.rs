//! A response before its tokens are signed.

use serde_json::{Value, json};

use crate::clock::Now;
use crate::settings::FakeClerkBuilder;
use crate::state::State;
use crate::tokens::Unsigned;

/// The picture of every user and organization.
pub(crate) const IMAGE: &str = "https://img.clerk.com/fake";

/// A response before signing: the state that it shows, and the tokens in it that are yet to be signed.
pub(crate) struct Page<'a> {
    pub(crate) state: &'a State,
    pub(crate) settings: &'a FakeClerkBuilder,
    /// The issuer of the tokens.
    pub(crate) issuer: &'a str,
    /// The origin that the tokens are issued for.
    pub(crate) origin: Option<&'a str>,
    pub(crate) now: Now,
    pub(crate) tokens: Vec<Unsigned>,
    /// The sessions of these tokens. A session that is shown twice has one token.
    pub(crate) token_of: Vec<String>,
}

impl<'a> Page<'a> {
    pub(crate) fn new(
        state: &'a State,
        settings: &'a FakeClerkBuilder,
        issuer: &'a str,
        origin: Option<&'a str>,
        now: Now,
    ) -> Self {
        Self { state, settings, issuer, origin, now, tokens: Vec::new(), token_of: Vec::new() }
    }

    pub(crate) fn ms(&self, instant: tokio::time::Instant) -> Value {
        json!(self.now.ms_at(instant))
    }

    /// Renders a token. Its `jwt` is the index of the unsigned token until [`fill_tokens`] replaces it.
    ///
    /// [`fill_tokens`]: crate::tokens::fill::fill_tokens
    pub(crate) fn token(&mut self, token: Unsigned) -> Value {
        self.tokens.push(token);
        json!({ "object": "token", "jwt": self.tokens.len() - 1 })
    }
}
