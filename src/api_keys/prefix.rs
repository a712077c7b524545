//! Tells the token of an API key from that of a password, without decoding it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The beginning of the secret of each key. Secret keys of machines begin so, too.
pub(super) const SECRET: &str = "ak_";

/// The base64 alphabet, by value.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The length of the ids of users and organizations after their prefix, by Clerk's OpenAPI file
/// (`^(user|org|mch)_\w{27}$`).
const ID: usize = 27;

/// The beginning of the canonical base64 of every text with one beginning.
#[derive(Clone, Debug)]
pub(super) struct Base64Prefix {
    whole: Box<[u8]>,
    /// The characters that may follow, unless the text ends with a whole character.
    partial: Box<[u8]>,
}

impl Base64Prefix {
    pub(super) fn of(text: &str) -> Self {
        let bits = 8 * text.len();
        let encoded = STANDARD_NO_PAD.encode(text);
        let (whole, rest) = encoded.as_bytes().split_at(bits / 6);
        let known = bits % 6;
        let value = |c: u8| ALPHABET.iter().position(|other| *other == c).unwrap_or_default() >> (6 - known);
        let partial = rest.first().map_or_else(Vec::new, |last| {
            ALPHABET.iter().copied().filter(|c| value(*c) == value(*last)).collect()
        });
        Self { whole: whole.into(), partial: partial.into() }
    }

    pub(super) fn begins(&self, token: &[u8]) -> bool {
        token.starts_with(&self.whole)
            && (self.partial.is_empty()
                || token.get(self.whole.len()).is_some_and(|c| self.partial.contains(c)))
    }
}

/// Whether a Basic token is of a user name that is an id of a user or an organization, and a password that begins like a
/// key. It decodes no more of the secret than that beginning.
pub(super) fn has_id_and_key(token: &[u8]) -> bool {
    // `use` and `org`.
    if !token.starts_with(b"dXNl") && !token.starts_with(b"b3Jn") {
        return false;
    }
    let mut text = [0; 36];
    let Some(start) = token.get(..48) else { return false };
    if STANDARD_NO_PAD.decode_slice(start, &mut text) != Ok(text.len()) {
        return false;
    }
    let end = if text[0] == b'u' { text.len() } else { text.len() - 1 };
    let Ok(text) = str::from_utf8(&text[..end]) else { return false };
    text.split_once(':').is_some_and(|(name, rest)| is_id(name) && rest == SECRET)
}

/// Whether a user name is an id of a user or an organization.
pub(super) fn is_id(name: &str) -> bool {
    let rest = name.strip_prefix("user_").or_else(|| name.strip_prefix("org_"));
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    rest.is_some_and(|rest| rest.len() == ID && rest.bytes().all(is_of_word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(text: &str) -> Vec<u8> {
        STANDARD_NO_PAD.encode(text).into_bytes()
    }

    const USER: &str = "user_2pqaQ9F4o9MNRSlx8VeMRn5hZug";
    const ORG: &str = "org_2pqaQ9F4o9MNRSlx8VeMRn5hZug";

    #[test]
    fn t1_an_id_as_the_user_name_is_recognized_with_a_key_only() {
        for (text, expected) in [
            (format!("{USER}:ak_x"), true),
            (format!("{ORG}:ak_x"), true),
            (format!("{USER}:ak_"), true),
            (format!("{USER}:ak"), false),
            (format!("{USER}:akx"), false),
            (format!("{USER}x:ak_x"), false),
            (format!("{ORG}x:ak_x"), false),
            (USER.replacen("user", "mach", 1) + ":ak_x", false),
            ("use:ak_x".to_owned(), false),
            (format!("user_{}:ak_x", "-".repeat(27)), false),
        ] {
            assert_eq!(has_id_and_key(&token(&text)), expected, "{text}");
        }
        assert!(is_id(USER) && is_id(ORG) && !is_id("user_1") && !is_id("mch_2pqaQ9F4o9MNRSlx8VeMRn5hZug"));
    }

    proptest! {
        #[test]
        fn t1_a_text_begins_as_its_base64_does(prefix in "[ -~]{1,12}", text in "[ -~]{0,24}", cut in 0..12_usize) {
            let known = Base64Prefix::of(&prefix);
            let whole = format!("{prefix}{text}");
            prop_assert!(known.begins(&token(&whole)));
            let other = format!("{}{text}", prefix.get(..cut).unwrap_or(&prefix));
            prop_assert_eq!(known.begins(&token(&other)), other.starts_with(&prefix));
        }
    }
}
