//! Keyed hashes that stand for credentials and identifiers. They are useless without the engine's secret.

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use zeroize::Zeroizing;

use crate::credentials::Decoding;

#[cfg(feature = "federation")]
mod assertion;

#[cfg(feature = "federation")]
pub(crate) use self::assertion::AssertionId;

/// How a credential proves an identity. Part of the key, so that another strategy shares no key with this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// A password, checked by Clerk.
    Password,
}

// Each purpose has a BLAKE3 key of its own, derived once, so that a request costs one hash of the token without a
// prefix. The keys in a shared store depend on these strings: never change one.
const PASSWORD: [&str; Decoding::COUNT] = [
    "tower-clerk 2026-11-22 credential, password, plain",
    "tower-clerk 2026-11-22 credential, password, form-encoded",
    "tower-clerk 2026-11-24 credential, password, latin-1",
    "tower-clerk 2026-11-24 credential, password, form-encoded, latin-1",
    "tower-clerk 2026-11-24 credential, password, nfc",
    "tower-clerk 2026-11-24 credential, password, form-encoded, nfc",
    "tower-clerk 2026-11-24 credential, password, latin-1, nfc",
    "tower-clerk 2026-11-24 credential, password, form-encoded, latin-1, nfc",
];
const IDENTIFIER: &str = "tower-clerk 2026-11-22 identifier";
const USER: &str = "tower-clerk 2026-11-22 user";
const BEARER: &str = "tower-clerk 2026-11-24 bearer token";
const API_KEY: &str = "tower-clerk 2026-11-30 credential, api key";
#[cfg(feature = "federation")]
const ASSERTION: &str = "tower-clerk 2026-11-30 credential, assertion";
#[cfg(feature = "federation")]
const ASSERTION_ID: &str = "tower-clerk 2026-11-30 assertion of a provider, used once";
#[cfg(feature = "federation")]
const PROVIDERS_SUBJECT: &str = "tower-clerk 2026-11-30 subject of a provider";

/// The secret that keys are derived from: random per engine, or shared by the engines of one store.
///
/// Wiped from memory when dropped.
pub(crate) struct KeySecret {
    root: Zeroizing<[u8; 32]>,
    /// By [`Decoding::index`].
    password: [Zeroizing<[u8; 32]>; Decoding::COUNT],
    identifier: Zeroizing<[u8; 32]>,
    user: Zeroizing<[u8; 32]>,
    bearer: Zeroizing<[u8; 32]>,
    api_key: Zeroizing<[u8; 32]>,
    #[cfg(feature = "federation")]
    assertion: Zeroizing<[u8; 32]>,
    #[cfg(feature = "federation")]
    assertion_id: Zeroizing<[u8; 32]>,
    #[cfg(feature = "federation")]
    providers_subject: Zeroizing<[u8; 32]>,
}

impl KeySecret {
    /// A random secret.
    ///
    /// # Panics
    ///
    /// Panics if the system provides no random bytes: without them TLS would not be safe either.
    pub(crate) fn random() -> Self {
        let mut root = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(root.as_mut_slice()).expect("the system provides random bytes");
        Self::derive(root, "")
    }

    /// The secret for one instance. A credential has different keys at different instances.
    pub(crate) fn for_instance(secret: Self, issuer: &str) -> Self {
        let Self { root, .. } = secret;
        Self::derive(root, issuer)
    }

    /// Gives users and identifiers the keys that they have in all replicas with this secret.
    #[cfg(feature = "redis")]
    pub(crate) fn with_subjects_of(mut self, secret: &[u8; 32]) -> Self {
        let subjects = Self::from(*secret);
        self.identifier.clone_from(&subjects.identifier);
        self.user.clone_from(&subjects.user);
        self
    }

    fn derive(root: Zeroizing<[u8; 32]>, issuer: &str) -> Self {
        // The root has a fixed length, so no other pair of root and issuer has the same bytes.
        let derived = |purpose| {
            let mut hasher = blake3::Hasher::new_derive_key(purpose);
            hasher.update(root.as_slice()).update(issuer.as_bytes());
            Zeroizing::new(*hasher.finalize().as_bytes())
        };
        Self {
            password: PASSWORD.map(derived),
            identifier: derived(IDENTIFIER),
            user: derived(USER),
            bearer: derived(BEARER),
            api_key: derived(API_KEY),
            #[cfg(feature = "federation")]
            assertion: derived(ASSERTION),
            #[cfg(feature = "federation")]
            assertion_id: derived(ASSERTION_ID),
            #[cfg(feature = "federation")]
            providers_subject: derived(PROVIDERS_SUBJECT),
            root,
        }
    }

    /// The key of a credential, from its token in the header without `=`.
    ///
    /// Canonical base64 is injective, so the token needs no decoding.
    pub(crate) fn credential(&self, strategy: Strategy, decoding: Decoding, token: &[u8]) -> CredentialKey {
        let Strategy::Password = strategy;
        let key = &self.password[decoding.index()];
        CredentialKey(*blake3::keyed_hash(key, token).as_bytes())
    }

    /// The key of an API key with its user name, from their token in the header without `=`. It differs from that of a
    /// password with the same token.
    pub(crate) fn api_key(&self, token: &[u8]) -> CredentialKey {
        CredentialKey(*blake3::keyed_hash(&self.api_key, token).as_bytes())
    }

    /// The key of an identifier that was normalized by [`normalize_identifier`].
    pub(crate) fn identifier(&self, normalized: &str) -> IdentifierKey {
        IdentifierKey(*blake3::keyed_hash(&self.identifier, normalized.as_bytes()).as_bytes())
    }

    /// The key of a Bearer token, from the last 64 characters of its signature: one block of BLAKE3. Hashing all of a
    /// JWT would cost several hits.
    pub(crate) fn bearer(&self, end_of_signature: &[u8; 64]) -> BearerKey {
        BearerKey(*blake3::keyed_hash(&self.bearer, end_of_signature).as_bytes())
    }

    /// The key of a user, by Clerk's id. A user name that equals the id has a different key.
    pub(crate) fn user(&self, id: &str) -> IdentifierKey {
        IdentifierKey(*blake3::keyed_hash(&self.user, id.as_bytes()).as_bytes())
    }
}

impl From<[u8; 32]> for KeySecret {
    fn from(root: [u8; 32]) -> Self {
        Self::derive(Zeroizing::new(root), "")
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(..)")
    }
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) struct $name([u8; 32]);

        // Eight bytes of a keyed hash are enough for a map: without the secret a client cannot aim at a bucket.
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                let [a, b, c, d, e, f, g, h, ..] = self.0;
                state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

key! {
    /// The key of a credential.
    CredentialKey
}

key! {
    /// The key of an identifier or of a user.
    IdentifierKey
}

key! {
    /// The key of a Bearer token.
    BearerKey
}

impl CredentialKey {
    /// The key as that of a subject of its own, for a queue that is fair between subjects.
    pub(crate) fn as_subject(self) -> IdentifierKey {
        IdentifierKey(self.0)
    }
}

impl IdentifierKey {
    /// The name of a user or an identifier in a store that replicas share.
    #[cfg(feature = "redis")]
    pub(crate) fn name(self) -> String {
        let [a, b, ..] = self.0.as_chunks::<8>().0 else { return String::new() };
        format!("{:016x}{:016x}", u64::from_be_bytes(*a), u64::from_be_bytes(*b))
    }

    /// Eight bytes of the key, to distinguish a small number of keys.
    pub(crate) fn short(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// Hashes a key in a map by passing its eight bytes through.
pub(crate) type PassThrough = BuildHasherDefault<PassThroughHasher>;

/// Takes a `u64` that is already a hash. For [`CredentialKey`], [`IdentifierKey`] and [`BearerKey`] only.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PassThroughHasher(u64);

impl Hasher for PassThroughHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    // The keys above never call this. For any other key it is still a hash, if a poor one.
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
}

/// Reduces all spellings of an identifier that Clerk considers the same to one.
///
/// Trims and lower-cases; a phone number becomes its digits. Two identifiers with the same result share a count of
/// failures and nothing else. By default a user name never has the result of a number: Clerk requires a character in it
/// that is not a digit (`form_username_needs_non_number_char`) and allows no plus, and separators other than white space
/// are recognized only after a plus. Otherwise the owner of the user name `49-170` could clear the failures of the number
/// `+49170`.
pub(crate) fn normalize_identifier(identifier: &str) -> Zeroizing<String> {
    let identifier = identifier.trim();
    Zeroizing::new(if is_like_a_phone_number(identifier) {
        identifier.chars().filter(char::is_ascii_digit).collect()
    } else {
        lower_case(identifier)
    })
}

/// Whether [`normalize_identifier`] takes an identifier for a phone number. It takes a user name of digits for one, too,
/// which an instance can allow (`allow_numeric_usernames`).
pub(crate) fn is_like_a_phone_number(identifier: &str) -> bool {
    let identifier = identifier.trim();
    let is_international = identifier.starts_with('+');
    let number = identifier.strip_prefix('+').unwrap_or(identifier);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let separates =
        |c: char| c.is_whitespace() || (is_international && matches!(c, '-' | '(' | ')' | '.' | '/'));
    digits >= 5 && number.chars().all(|c| c.is_ascii_digit() || separates(c))
}

/// Lower-cases like Go's `unicode.ToLower`, because Clerk is written in Go: each character becomes one character.
/// Rust's `str::to_lowercase` turns `İ` into two, and `Σ` into a character that depends on its position in the word.
fn lower_case(identifier: &str) -> String {
    identifier.chars().filter_map(|c| c.to_lowercase().next()).collect()
}

/// The name that an identifier's device is stored under: trimmed and in lower case; of a number, the plus and the
/// digits.
///
/// Unlike the spelling for failure counts, it must belong to one user. A user name that looks like a number is not that
/// number, and only ASCII letters are lower-cased. Clerk may distinguish two identifiers that a wider folding makes
/// equal, and then one user would continue the other's session. A device that is not found only costs an enrollment.
pub(crate) fn device_name(identifier: &str) -> Zeroizing<String> {
    let identifier = Zeroizing::new(identifier.trim().to_ascii_lowercase());
    match international(&identifier) {
        Some(digits) => Zeroizing::new(format!("+{}", *digits)),
        None => identifier,
    }
}

/// The digits of a phone number: a plus, then only digits and separators. `None` for any other identifier.
pub(crate) fn international(identifier: &str) -> Option<Zeroizing<String>> {
    let number = identifier.trim().strip_prefix('+')?;
    let separates = |c: char| c.is_whitespace() || matches!(c, '-' | '(' | ')' | '.' | '/');
    let is_number = number.chars().all(|c| c.is_ascii_digit() || separates(c));
    is_number.then(|| Zeroizing::new(number.chars().filter(char::is_ascii_digit).collect()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_assert_ne, proptest};

    use super::*;

    const ISSUER: &str = "https://clerk.example.com";

    fn secret(byte: u8) -> KeySecret {
        KeySecret::for_instance(KeySecret::from([byte; 32]), ISSUER)
    }

    fn key(secret: &KeySecret, token: &[u8]) -> CredentialKey {
        secret.credential(Strategy::Password, Decoding::PLAIN, token)
    }

    /// Engines of two versions of this crate may share a store.
    #[test]
    fn k1_keys_stay_the_same_from_version_to_version() {
        let secret = secret(7);
        let first = |bytes: [u8; 32]| blake3::Hash::from(bytes).to_hex()[..16].to_owned();
        let keys =
            Decoding::ALL.map(|decoding| first(secret.credential(Strategy::Password, decoding, b"YTpi").0));
        assert_eq!(
            keys,
            [
                "ce2c405b45280213",
                "b96b5460cdeda5ce",
                "645b123425a01e27",
                "5a39e51626ee47d1",
                "544307b2c8da0909",
                "6ee744e3a83f08fb",
                "0f362986901d995c",
                "c67159e23e7f0431",
            ]
        );
        assert_eq!(first(secret.identifier("ada").0), "9ce44f2a77f3cac4");
    }

    #[test]
    fn k1_two_engines_share_no_key() {
        assert_ne!(key(&KeySecret::random(), b"YTpi"), key(&KeySecret::random(), b"YTpi"));
    }

    #[test]
    fn c6_debug_shows_no_key() {
        let secret = secret(7);
        let shown = format!("{secret:?} {:?} {:?}", key(&secret, b"YTpi"), secret.identifier("ada"));
        assert_eq!(shown, "KeySecret(..) CredentialKey IdentifierKey");
    }

    #[test]
    fn a_map_finds_keys_by_eight_of_their_bytes() {
        let secret = secret(7);
        let mut map: HashMap<CredentialKey, usize, PassThrough> = HashMap::default();
        for token in 0..1000 {
            map.insert(key(&secret, format!("token{token}").as_bytes()), token);
        }
        assert_eq!(map.len(), 1000);
        assert_eq!(map.get(&key(&secret, b"token77")), Some(&77));
        // Two keys that start with the same bytes.
        let one = CredentialKey([1; 32]);
        let mut other = one;
        other.0[31] = 2;
        let map: HashMap<_, _, PassThrough> = HashMap::from_iter([(one, 1), (other, 2)]);
        assert_eq!((map[&one], map[&other]), (1, 2));
    }

    #[test]
    fn p3_all_spellings_of_an_identifier_count_as_one() {
        for (spellings, normalized) in [
            (&[" Ada@Example.com ", "ada@example.COM", "\tADA@EXAMPLE.COM\n"][..], "ada@example.com"),
            (&["+49 (170) 123-45", "+4917012345", "49 170 12345", " 4917012345"], "4917012345"),
            (&["\u{c4}da"], "\u{e4}da"),
            // U+0130, a capital I with a dot, and a sigma at the end of a word.
            (&["\u{130}nci@x.io", "inci@x.io", "INCI@x.io"], "inci@x.io"),
            (&["\u{3a3}\u{39f}\u{3a3}", "\u{3c3}\u{3bf}\u{3c3}"], "\u{3c3}\u{3bf}\u{3c3}"),
            // None of these is a phone number.
            (&["+12345@x.io"], "+12345@x.io"),
            (&["1234"], "1234"),
            (&["+1234"], "+1234"),
            (&["12-34"], "12-34"),
            (&["49-17012345"], "49-17012345"),
            (&["(49)17012345"], "(49)17012345"),
            (&["1.23.45"], "1.23.45"),
            (&["a12345"], "a12345"),
            (&["++12345"], "++12345"),
            (&["  "], ""),
        ] {
            for spelling in spellings {
                assert_eq!(*normalize_identifier(spelling), normalized, "{spelling:?}");
            }
        }
    }

    #[test]
    fn s10_a_device_has_one_name_for_all_spellings_of_one_identifier() {
        for (identifier, name) in [
            (" Ada@Example.com ", "ada@example.com"),
            ("+49 (170) 123-45", "+4917012345"),
            ("49-170-12345", "49-170-12345"),
            ("4917012345", "4917012345"),
            ("+49x17012345", "+49x17012345"),
            ("+12345@X.io", "+12345@x.io"),
            ("\u{130}nci@x.io", "\u{130}nci@x.io"),
            ("\u{212a}im", "\u{212a}im"),
        ] {
            assert_eq!(*device_name(identifier), name);
            assert_eq!(*device_name(name), name, "a device name is its own device name");
        }
    }

    proptest! {
        #[test]
        fn k1_no_two_credentials_share_a_key(
            one in "[A-Za-z0-9+/]{1,70}", other in "[A-Za-z0-9+/]{1,70}",
        ) {
            let secret = secret(7);
            prop_assert_eq!(key(&secret, one.as_bytes()), key(&secret, one.as_bytes()));
            prop_assert_eq!(key(&secret, one.as_bytes()) == key(&secret, other.as_bytes()), one == other);
            let keys = Decoding::ALL
                .map(|decoding| secret.credential(Strategy::Password, decoding, one.as_bytes()));
            for (at, key) in keys.iter().enumerate() {
                prop_assert!(!keys[at + 1..].contains(key));
            }
            prop_assert_ne!(key(&secret, one.as_bytes()).0, secret.identifier(&one).0);
        }

        #[test]
        fn k1_no_two_secrets_or_instances_share_a_key(
            one in any::<[u8; 32]>(), other in any::<[u8; 32]>(),
            here in "[a-z:/.]{0,9}", there in "[a-z:/.]{0,9}",
        ) {
            let made = |secret, issuer: &str| {
                let secret = KeySecret::for_instance(KeySecret::from(secret), issuer);
                (key(&secret, b"YTpi"), secret.identifier("ada"))
            };
            let (credential, identifier) = made(one, &here);
            let (other_credential, other_identifier) = made(other, &there);
            let same = one == other && here == there;
            prop_assert_eq!(credential == other_credential, same);
            prop_assert_eq!(identifier == other_identifier, same);
            let (credential, identifier) = (made(one, &there).0, made(one, &there).1);
            prop_assert_eq!(credential == made(one, &here).0, here == there);
            prop_assert_eq!(identifier == made(one, &here).1, here == there);
        }

        #[test]
        fn p3_normalizing_twice_changes_nothing(identifier in any::<String>()) {
            let once = normalize_identifier(&identifier);
            prop_assert_eq!(&*normalize_identifier(&once), &*once);
        }
    }
}
