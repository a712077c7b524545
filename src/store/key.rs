//! The operator's keys of a store.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A key that a store's content is encrypted under: 32 random bytes.
///
/// It is wiped from memory when dropped, and not shown by `Debug`. As text it is standard base64, which
/// `openssl rand -base64 32` prints.
///
/// ```
/// use tower_clerk::store::StoreKey;
///
/// let key: StoreKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse()?;
/// assert_eq!(format!("{key:?}"), "StoreKey(..)");
/// # Ok::<(), tower_clerk::store::InvalidStoreKey>(())
/// ```
pub struct StoreKey {
    bytes: Zeroizing<[u8; 32]>,
}

impl StoreKey {
    #[cfg(feature = "sqlite")]
    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Another key for a purpose, within a context.
    #[cfg(feature = "redis")]
    pub(crate) fn derive(&self, purpose: &str, context: &[&str]) -> Zeroizing<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(self.bytes.as_slice());
        for part in context {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        Zeroizing::new(*hasher.finalize().as_bytes())
    }

    /// The key as text, for its file.
    #[cfg(feature = "sqlite")]
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(48));
        STANDARD.encode_string(self.bytes.as_slice(), &mut text);
        text
    }
}

impl From<[u8; 32]> for StoreKey {
    fn from(key: [u8; 32]) -> Self {
        Self { bytes: Zeroizing::new(key) }
    }
}

impl FromStr for StoreKey {
    type Err = InvalidStoreKey;

    fn from_str(text: &str) -> Result<Self, InvalidStoreKey> {
        let mut bytes = Zeroizing::new([0; 48]);
        let length = STANDARD.decode_slice(text.trim(), bytes.as_mut_slice()).map_err(|_| InvalidStoreKey)?;
        let key: [u8; 32] = bytes[..length].try_into().map_err(|_| InvalidStoreKey)?;
        if key == [0; 32] {
            return Err(InvalidStoreKey);
        }
        Ok(Self::from(key))
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// The error of a text that is not a [`StoreKey`]. It doesn't show the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidStoreKey;

impl fmt::Display for InvalidStoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a key of a store is standard base64 of 32 random bytes, as `openssl rand -base64 32` prints it",
        )
    }
}

impl std::error::Error for InvalidStoreKey {}
