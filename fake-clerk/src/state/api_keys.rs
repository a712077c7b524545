//! API keys, indexed by id, secret and subject.

use std::collections::{BTreeMap, HashMap};

use crate::accounts::FakeApiKey;
use crate::clock::Now;

/// An API key. Its times are Unix times in milliseconds.
pub(crate) struct ApiKey {
    /// A sequence number, because many keys can be added at the same instant under a paused clock.
    pub(crate) number: usize,
    pub(crate) about: FakeApiKey,
    pub(crate) description: Option<String>,
    /// Set once the key is revoked, with the reason if there is one.
    pub(crate) revoked: Option<Option<String>>,
    pub(crate) expiration: Option<i64>,
    pub(crate) last_used: Option<i64>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
}

impl ApiKey {
    pub(crate) fn is_expired(&self, now: Now) -> bool {
        self.expiration.is_some_and(|at| at <= now.ms)
    }

    pub(crate) fn is_valid(&self, now: Now) -> bool {
        self.revoked.is_none() && !self.is_expired(now)
    }
}

#[derive(Default)]
pub(crate) struct ApiKeys {
    by_id: HashMap<String, ApiKey>,
    /// Ids by secret.
    by_secret: HashMap<String, String>,
    /// Ids by subject, in the order in which the keys were added.
    by_subject: HashMap<String, BTreeMap<usize, String>>,
    /// Number of keys ever added.
    added: usize,
}

impl ApiKeys {
    /// Adds a key, whose subject is given by id.
    pub(crate) fn add(&mut self, about: FakeApiKey, now: Now) -> &mut ApiKey {
        self.added += 1;
        let life = about.life.map(|life| i64::try_from(life.as_millis()).unwrap_or(i64::MAX));
        let (id, number) = (about.id.clone(), self.added);
        self.by_secret.insert(about.secret.clone(), id.clone());
        self.by_subject.entry(about.subject.clone()).or_default().insert(number, id.clone());
        let key = ApiKey {
            number,
            about,
            description: None,
            revoked: None,
            expiration: life.map(|life| now.ms.saturating_add(life)),
            last_used: None,
            created: now.ms,
            updated: now.ms,
        };
        self.by_id.entry(id).insert_entry(key).into_mut()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&ApiKey> {
        self.by_id.get(id)
    }

    /// Returns a key for changes of anything except its secret and its subject, which are indexed.
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut ApiKey> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn by_secret(&self, secret: &str) -> Option<&ApiKey> {
        self.by_id.get(self.by_secret.get(secret)?)
    }

    /// Returns a subject's keys, newest first.
    pub(crate) fn of_subject(&self, subject: &str) -> impl Iterator<Item = &ApiKey> {
        let ids = self.by_subject.get(subject).into_iter().flat_map(|ids| ids.values().rev());
        ids.filter_map(|id| self.by_id.get(id))
    }

    pub(crate) fn set_subject(&mut self, id: &str, subject: &str) {
        let Some(key) = self.by_id.get_mut(id) else { return };
        if let Some(ids) = self.by_subject.get_mut(&key.about.subject) {
            ids.remove(&key.number);
        }
        subject.clone_into(&mut key.about.subject);
        self.by_subject.entry(subject.to_owned()).or_default().insert(key.number, id.to_owned());
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<ApiKey> {
        let key = self.by_id.remove(id)?;
        self.by_secret.remove(&key.about.secret);
        if let Some(ids) = self.by_subject.get_mut(&key.about.subject) {
            ids.remove(&key.number);
        }
        Some(key)
    }
}
