//! The keys that an instance signs with.

use serde_json::{Value, json};

use crate::ids;
use crate::tokens::keys;

/// The instance's signing keys.
///
/// A number into the process's pool of keys and a `kid` of the instance's own for each.
pub(crate) struct KeyRing {
    keys: Vec<(String, usize)>,
    made: usize,
}

impl KeyRing {
    /// The ring of an instance whose first key is named after it.
    pub(crate) fn of_instance(host: &str) -> Self {
        Self { keys: vec![(ids::derived("ins", host), 0)], made: 1 }
    }

    /// Adds a key that signs from now on.
    pub(crate) fn rotate(&mut self) {
        self.keys.push((ids::random("ins"), self.made));
        self.made += 1;
    }

    /// Drops all keys but the one that signs.
    pub(crate) fn retire(&mut self) {
        self.keys.drain(..self.keys.len() - 1);
    }

    pub(crate) fn kid(&self) -> &str {
        self.keys.last().map_or("", |(kid, _)| kid)
    }

    pub(crate) fn number(&self) -> usize {
        self.keys.last().map_or(0, |(_, number)| *number)
    }

    /// The public keys, as `/.well-known/jwks.json` shows them.
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
