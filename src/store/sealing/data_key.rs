//! The data key of a store, and how it is stored: encrypted under each of the operator's keys.

use zeroize::Zeroizing;

use super::Secret;
#[cfg(feature = "sqlite")]
use crate::store::key::StoreKey;

/// Names and seals all records of a store. Random, made once, and never replaced: rotating the operator's keys
/// encrypts it anew.
pub(crate) struct DataKey(Secret);

impl DataKey {
    /// A new key. `None` if the system provides no random bytes.
    pub(crate) fn random() -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(key.as_mut_slice()).ok()?;
        Some(Self(key))
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for DataKey {
    fn from(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }
}

#[cfg(feature = "sqlite")]
const WRAPS: &str = "tower-clerk 2026-11-30 store, encryption of the data key";
#[cfg(feature = "sqlite")]
const WRAP_IDS: &str = "tower-clerk 2026-11-30 store, id of an operator's key";

/// Tells which of the operator's keys a data key is encrypted under.
#[cfg(feature = "sqlite")]
pub(in crate::store) type WrapId = [u8; 16];

#[cfg(feature = "sqlite")]
fn derived(purpose: &str, key: &StoreKey) -> Secret {
    let mut hasher = blake3::Hasher::new_derive_key(purpose);
    hasher.update(key.expose());
    Zeroizing::new(*hasher.finalize().as_bytes())
}

#[cfg(feature = "sqlite")]
impl StoreKey {
    pub(in crate::store) fn id(&self) -> WrapId {
        let mut id = [0; 16];
        id.copy_from_slice(&derived(WRAP_IDS, self)[..16]);
        id
    }
}

/// Encrypts a data key under one of the operator's keys.
#[cfg(feature = "sqlite")]
pub(in crate::store) fn wrap(data_key: &DataKey, key: &StoreKey) -> Option<Vec<u8>> {
    super::seal(&super::aead_key(&derived(WRAPS, key)), &key.id(), data_key.expose())
}

#[cfg(feature = "sqlite")]
pub(in crate::store) fn unwrap(wrapped: &[u8], key: &StoreKey) -> Option<DataKey> {
    let opened = super::open(&super::aead_key(&derived(WRAPS, key)), &key.id(), wrapped)?;
    opened.as_slice().try_into().ok().map(|key: [u8; 32]| DataKey(Zeroizing::new(key)))
}
