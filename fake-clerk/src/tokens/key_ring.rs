//! The signing keys of an instance.

use serde_json::{Value, json};

use crate::ids;
use crate::tokens::keys;

/// The instance's signing keys: for each, an index into the process's pool of keys and a `kid` of the instance's own.
pub(crate) struct KeyRing {
    keys: Vec<(String, usize)>,
    made: usize,
}

impl KeyRing {
    /// Creates the key ring of an instance. The first `kid` is derived from the host.
    pub(crate) fn of_instance(host: &str) -> Self {
        Self { keys: vec![(ids::derived("ins", host), 0)], made: 1 }
    }

    /// Adds a key, which signs from now on.
    pub(crate) fn rotate(&mut self) {
        self.keys.push((ids::random("ins"), self.made));
        self.made += 1;
    }

    /// Removes all keys except the one that signs.
    pub(crate) fn retire(&mut self) {
        self.keys.drain(..self.keys.len() - 1);
    }

    pub(crate) fn kid(&self) -> &str {
        self.keys.last().map_or("", |(kid, _)| kid)
    }

    pub(crate) fn number(&self) -> usize {
        self.keys.last().map_or(0, |(_, number)| *number)
    }

    /// Returns the public keys as `/.well-known/jwks.json` shows them.
    pub(crate) fn jwks(&self) -> Value {
        let key = |(kid, number): &(String, usize)| {
            let key = keys::pooled(*number);
            json!({
                "use": "sig", "kty": "RSA", "kid": kid, "alg": "RS256",
                "n": key.modulus(), "e": key.exponent(),
            })
        };
        json!({ "keys": self.keys.iter().map(key).collect::<Vec<_>>() })
    }
}
