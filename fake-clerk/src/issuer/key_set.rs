//! The key set of a provider.

use serde_json::{Value, json};

use crate::issuer::keys::{SigningAlgorithm, SigningKey};

pub(super) struct KeySet {
    /// The last one signs.
    keys: Vec<SigningKey>,
    made: usize,
    /// Entries that are published as a test has given them.
    others: Vec<Value>,
}

impl KeySet {
    pub(super) fn new(issuer: &str) -> Self {
        let mut set = Self { keys: Vec::new(), made: 0, others: Vec::new() };
        set.rotate(issuer, SigningAlgorithm::Rs256);
        set
    }

    pub(super) fn rotate(&mut self, issuer: &str, algorithm: SigningAlgorithm) {
        self.keys.push(SigningKey::new(issuer, self.made, algorithm));
        self.made += 1;
    }

    pub(super) fn retire(&mut self) {
        self.keys.drain(..self.keys.len() - 1);
    }

    pub(super) fn publish(&mut self, key: Value) {
        self.others.push(key);
    }

    pub(super) fn current(&self) -> &SigningKey {
        self.keys.last().expect("a key set is made with a key, and the last one is never removed")
    }

    pub(super) fn jwks(&self) -> Value {
        let keys = self.keys.iter().map(SigningKey::jwk).chain(self.others.iter().cloned());
        json!({ "keys": keys.collect::<Vec<_>>() })
    }
}
