//! Names and seals: everything in a store is named and encrypted under its data key.
//!
//! AES-256-GCM-SIV ([RFC 8452](https://www.rfc-editor.org/rfc/rfc8452)), because a nonce that a broken source of
//! randomness repeats shows no more than that two values are equal. The name and the header are associated data, so a
//! value can't be put under another name, given to another user or made to live longer.

mod data_key;
mod header;
#[cfg(feature = "sqlite")]
mod password;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

pub(crate) use self::data_key::DataKey;
#[cfg(feature = "sqlite")]
pub(super) use self::data_key::{unwrap, wrap};
pub(super) use self::header::HEADER_LEN;
#[cfg(feature = "sqlite")]
pub(crate) use self::password::{PasswordCost, password_key};
use super::records::{Header, Kind, Name, Row, Tag};

/// 32 secret bytes, wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

const TAG_LEN: usize = 16;

// Stored records depend on these strings: never change one.
const NAMES: &str = "tower-clerk 2026-11-30 store, names";
const USERS: &str = "tower-clerk 2026-11-30 store, users";
const SESSIONS: &str = "tower-clerk 2026-11-30 store, sessions";
const VALUES: &str = "tower-clerk 2026-11-30 store, values";
#[cfg(feature = "sqlite")]
const INSTANCES: &str = "tower-clerk 2026-11-30 store, instances";
#[cfg(feature = "sqlite")]
const LOGINS: &str = "tower-clerk 2026-11-30 store, passwords";

/// Names and seals the records of one Clerk instance.
pub(crate) struct Sealer {
    names: Secret,
    users: Secret,
    sessions: Secret,
    values: LessSafeKey,
    #[cfg(feature = "sqlite")]
    logins: Secret,
    /// Stands for the instance in a store that others use as well.
    #[cfg(feature = "sqlite")]
    pub(crate) instance: Tag,
}

impl Sealer {
    /// The issuer is a part of all keys, so that engines for two instances can use one store.
    pub(crate) fn new(data_key: &DataKey, issuer: &str) -> Self {
        let derived = |purpose| {
            let mut hasher = blake3::Hasher::new_derive_key(purpose);
            hasher.update(data_key.expose()).update(issuer.as_bytes());
            Zeroizing::new(*hasher.finalize().as_bytes())
        };
        Self {
            names: derived(NAMES),
            users: derived(USERS),
            sessions: derived(SESSIONS),
            values: aead_key(&derived(VALUES)),
            #[cfg(feature = "sqlite")]
            logins: derived(LOGINS),
            #[cfg(feature = "sqlite")]
            instance: tag(&derived(INSTANCES), issuer),
        }
    }

    /// The name of a record that is found by these parts. No other parts, and no other kind, have the same name.
    pub(crate) fn name(&self, kind: Kind, parts: &[&[u8]]) -> Name {
        let mut hasher = blake3::Hasher::new_keyed(&self.names);
        hasher.update(&[kind as u8]);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Name(*hasher.finalize().as_bytes())
    }

    pub(crate) fn user(&self, id: &str) -> Tag {
        tag(&self.users, id)
    }

    pub(crate) fn session(&self, id: &str) -> Tag {
        tag(&self.sessions, id)
    }

    /// The secret that a password is mixed with. Each login has one of its own.
    #[cfg(feature = "sqlite")]
    pub(crate) fn login_secret(&self, name: Name) -> Secret {
        Zeroizing::new(*blake3::keyed_hash(&self.logins, &name.0).as_bytes())
    }

    pub(crate) fn seal(&self, name: Name, header: Header, value: &[u8]) -> Option<Row> {
        let encoded = header::encode(&header);
        let sealed = seal(&self.values, &associated(&encoded, name), value)?;
        Some(Row { name, header, sealed: [&encoded[..], &sealed].concat().into() })
    }

    /// Opens a record. `None` if it isn't exactly what was sealed under this name.
    pub(crate) fn open(&self, row: &Row) -> Option<Zeroizing<Vec<u8>>> {
        let (encoded, sealed) = row.sealed.split_at_checked(HEADER_LEN)?;
        if header::decode(encoded)? != row.header {
            return None;
        }
        open(&self.values, &associated(encoded, row.name), sealed)
    }
}

/// The header in a stored value. `None` for a later version of the format.
#[cfg(feature = "sqlite")]
pub(super) fn header_of(sealed: &[u8]) -> Option<Header> {
    header::decode(sealed.get(..HEADER_LEN)?)
}

fn associated(header: &[u8], name: Name) -> Vec<u8> {
    [header, &name.0].concat()
}

fn tag(key: &Secret, id: &str) -> Tag {
    let hash = blake3::keyed_hash(key, id.as_bytes());
    let mut tag = [0; 16];
    tag.copy_from_slice(&hash.as_bytes()[..16]);
    Tag(tag)
}

pub(crate) fn aead_key(key: &Secret) -> LessSafeKey {
    let key = UnboundKey::new(&AES_256_GCM_SIV, key.as_slice());
    // 32 bytes is the length of the algorithm's keys.
    LessSafeKey::new(key.unwrap_or_else(|_| unreachable!("the length of the key is fixed")))
}

/// A random nonce, and the encrypted value. `None` if the system provides no random bytes.
pub(crate) fn seal(key: &LessSafeKey, associated: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    aws_lc_rs::rand::fill(&mut nonce).ok()?;
    // Of the final size, so that no copy of the value is left behind when the buffer grows.
    let mut sealed = Vec::with_capacity(NONCE_LEN + value.len() + TAG_LEN);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(value);
    let sealing = Nonce::assume_unique_for_key(nonce);
    let tag =
        key.seal_in_place_separate_tag(sealing, Aad::from(associated), &mut sealed[NONCE_LEN..]).ok()?;
    sealed.extend_from_slice(tag.as_ref());
    Some(sealed)
}

pub(crate) fn open(key: &LessSafeKey, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut value = Zeroizing::new(sealed.to_vec());
    let length = key.open_in_place(nonce, Aad::from(associated), &mut value).ok()?.len();
    value.truncate(length);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, prop_assert_ne, proptest};

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&DataKey::from([byte; 32]), "https://clerk.example.com")
    }

    fn header(sealer: &Sealer, user: &str) -> Header {
        let (user, session) = (sealer.user(user), sealer.session("sess_1"));
        Header { kind: Kind::Device, revision: 7, departed: 5, position: 0, ends: 9, user, session }
    }

    proptest! {
        #[test]
        fn h6_what_was_sealed_opens_under_its_own_name_only(value: Vec<u8>, other in "[a-z]{1,9}") {
            let sealer = sealer(1);
            let name = sealer.name(Kind::Device, &[b"Ada"]);
            let row = sealer.seal(name, header(&sealer, "user_1"), &value).unwrap();
            prop_assert_eq!(sealer.open(&row), Some(Zeroizing::new(value)));
            let moved = Row { name: sealer.name(Kind::Device, &[other.as_bytes()]), ..row.clone() };
            prop_assert_eq!(sealer.open(&moved), None);
            let mut given = row.clone();
            given.header.user = sealer.user("user_2");
            prop_assert_eq!(sealer.open(&given), None);
            given.sealed[..HEADER_LEN].copy_from_slice(&header::encode(&given.header));
            prop_assert_eq!(sealer.open(&given), None);
            prop_assert_eq!(super::tests::sealer(2).open(&row), None);
        }

        #[test]
        fn h6_a_flipped_bit_opens_nothing(value: Vec<u8>, at: usize, bit in 0..8_u8) {
            let sealer = sealer(1);
            let name = sealer.name(Kind::Device, &[b"Ada"]);
            let mut row = sealer.seal(name, header(&sealer, "user_1"), &value).unwrap();
            let at = at % row.sealed.len();
            row.sealed[at] ^= 1 << bit;
            prop_assert_eq!(sealer.open(&row), None);
        }

        #[test]
        fn k1_no_two_lists_of_parts_share_a_name(one: Vec<Vec<u8>>, other: Vec<Vec<u8>>) {
            let sealer = sealer(1);
            let name = |parts: &[Vec<u8>]| {
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                sealer.name(Kind::Login, &parts)
            };
            prop_assert_eq!(name(&one) == name(&other), one == other);
        }

        #[test]
        fn k1_two_instances_share_no_name(key: [u8; 32], part in any::<String>()) {
            let key = DataKey::from(key);
            let name = |issuer: &str| Sealer::new(&key, issuer).name(Kind::Login, &[part.as_bytes()]);
            prop_assert_ne!(name("https://a.example.com"), name("https://b.example.com"));
        }
    }
}
