//! The seals of entries, under each of the operator's keys.

use aws_lc_rs::aead::LessSafeKey;

use super::entry::{Entry, EntryId};
use crate::store::{StoreKey, aead_key, open, seal};

// Entries depend on these strings: never change one.
const ENTRIES: &str = "tower-clerk 2026-12-01 cluster, entries";
const IDS: &str = "tower-clerk 2026-12-01 cluster, id of an operator's key";

/// More than any change has. A longer value is somebody's who fills the memory of replicas.
const MOST_SEALED: usize = 1 << 20;

/// Tells which key a value is sealed under.
pub(super) type KeyId = [u8; 8];

/// Seals entries under all keys, and opens them by any. So replicas with the old key, with both, and with the new one
/// understand each other while a key is rotated.
pub(super) struct Seals(Vec<(KeyId, LessSafeKey)>);

impl Seals {
    /// The context is a part of all keys: an entry of one cluster or instance opens in no other.
    pub(super) fn new(keys: &[StoreKey], context: &[&str]) -> Self {
        let of = |key: &StoreKey| {
            let mut id = KeyId::default();
            id.copy_from_slice(&key.derive(IDS, context)[..8]);
            (id, aead_key(&key.derive(ENTRIES, context)))
        };
        Self(keys.iter().map(of).collect())
    }

    /// The sealed values, each with the id of its key. Empty if the system provides no random bytes.
    pub(super) fn seal(&self, entry: &Entry) -> Vec<(KeyId, Vec<u8>)> {
        let bytes = entry.encode();
        self.0.iter().filter_map(|(id, key)| Some((*id, seal(key, &entry.id, &bytes)?))).collect()
    }

    /// The entry of these fields, names and values in turn. `None` if nothing in it was sealed under a key of this replica and for this id, or if a later version
    /// has sealed it.
    pub(super) fn open(&self, id: EntryId, fields: &[Vec<u8>]) -> Option<Entry> {
        let opened = self.0.iter().find_map(|(key_id, key)| {
            let sealed = fields.chunks_exact(2).find(|field| field[0][..] == key_id[..])?;
            open(key, &id, sealed.get(1).filter(|value| value.len() <= MOST_SEALED)?)
        })?;
        Entry::decode(id, &opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::change::Change;

    fn seals(keys: &[u8]) -> Seals {
        let keys: Vec<StoreKey> = keys.iter().map(|key| StoreKey::from([*key; 32])).collect();
        Seals::new(&keys, &["prod", "https://clerk.example.com"])
    }

    fn sealed(seals: &Seals, entry: &Entry) -> Vec<Vec<u8>> {
        seals.seal(entry).into_iter().flat_map(|(id, value)| [id.to_vec(), value]).collect()
    }

    #[test]
    fn h6_an_entry_opens_under_a_key_of_the_cluster_and_its_own_id_only() {
        let entry = Entry::new(Change::User("user_1".into()), 5);
        let mut value = sealed(&seals(&[1]), &entry);
        assert!(!value[1].windows(6).any(|window| window == b"user_1"));
        assert_eq!(seals(&[1]).open(entry.id, &value).unwrap().change, entry.change);
        assert!(seals(&[2]).open(entry.id, &value).is_none());
        assert!(seals(&[1]).open([0; 16], &value).is_none(), "another id");
        let other = Seals::new(&[StoreKey::from([1; 32])], &["test", "https://clerk.example.com"]);
        assert!(other.open(entry.id, &value).is_none(), "another cluster");
        *value[1].last_mut().unwrap() ^= 1;
        assert!(seals(&[1]).open(entry.id, &value).is_none(), "changed");
    }

    #[test]
    fn h6_a_key_of_replicas_rotates_while_all_understand_each_other() {
        let (old, both, new) = (seals(&[1]), seals(&[2, 1]), seals(&[2]));
        let entry = Entry::new(Change::All, 5);
        for (from, to) in [(&old, &both), (&both, &old), (&both, &new), (&new, &both)] {
            assert_eq!(to.open(entry.id, &sealed(from, &entry)).unwrap().change, Change::All);
        }
    }

    #[test]
    fn h8_a_change_of_a_later_version_is_as_if_absent() {
        let mut entry = Entry::new(Change::All, 5);
        let key = aead_key(&StoreKey::from([1; 32]).derive(ENTRIES, &["prod", "https://clerk.example.com"]));
        let later = br#"{"t":5,"c":{"Later":"x"}}"#;
        let value = vec![seals(&[1]).0[0].0.to_vec(), seal(&key, &entry.id, later).unwrap()];
        assert!(seals(&[1]).open(entry.id, &value).is_none());
        entry.at = 6;
        let known = vec![value[0].clone(), seal(&key, &entry.id, br#"{"t":6,"c":"All","x":1}"#).unwrap()];
        assert_eq!(seals(&[1]).open(entry.id, &known).unwrap().at, 6, "unknown fields are ignored");
    }
}
