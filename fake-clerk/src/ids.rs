//! Identifiers in Clerk's format: a prefix and 27 base-62 characters.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Number of characters after the prefix.
const LENGTH: usize = 27;

/// Returns a new random identifier.
pub(crate) fn random(prefix: &str) -> String {
    format!("{prefix}_{}", base62(LENGTH))
}

/// Derives an identifier from a name. It is the same at every start.
pub(crate) fn derived(prefix: &str, name: &str) -> String {
    format!("{prefix}_{}", derived_text(LENGTH, &format!("{prefix}/{name}")))
}

/// Derives base-62 text from a name. It is the same at every start.
pub(crate) fn derived_text(length: usize, name: &str) -> String {
    let mut stream = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
    letters(length, |bytes| stream.fill(bytes))
}

/// Returns random base-62 text, for secrets.
pub(crate) fn base62(length: usize) -> String {
    letters(length, fill)
}

/// Returns a new random id of an API key, which has another format than all others: `ak_` and 32 hexadecimal digits.
pub(crate) fn api_key() -> String {
    format!("ak_{}", trace())
}

/// Derives the id of an API key from a name. It is the same at every start.
pub(crate) fn derived_api_key(name: &str) -> String {
    let digits = blake3::hash(format!("api key/{name}").as_bytes()).to_hex();
    format!("ak_{}", &digits[..32])
}

/// Returns a trace id in the format of Clerk's errors: 32 hexadecimal digits.
pub(crate) fn trace() -> String {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a six-digit code, like those that Clerk mails.
pub(crate) fn code() -> String {
    let mut bytes = [0; 4];
    fill(&mut bytes);
    format!("{:06}", u32::from_be_bytes(bytes) % 1_000_000)
}

/// Maps a stream of bytes to uniformly distributed letters. Bytes at or above the largest multiple of 62 are skipped.
fn letters(length: usize, mut fill: impl FnMut(&mut [u8])) -> String {
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 32];
    while text.len() < length {
        fill(&mut bytes);
        let fair = bytes.iter().filter(|byte| **byte < 248);
        text.extend(fair.map(|byte| char::from(ALPHABET[usize::from(byte % 62)])).take(length - text.len()));
    }
    text
}

fn fill(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the system's random source works");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_prefix_and_27_base_62_characters() {
        for id in [random("sess"), derived("user", "jane@example.com")] {
            let (_, rest) = id.split_once('_').unwrap();
            assert_eq!(rest.len(), 27);
            assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{rest}");
        }
    }

    #[test]
    fn a_derived_id_is_the_same_at_every_start() {
        assert_eq!(derived("org", "acme"), derived("org", "acme"));
        assert_ne!(derived("org", "acme"), derived("org", "globex"));
        assert_ne!(derived("org", "acme")[4..], derived("user", "acme")[5..]);
        // Pinned, because programs may have stored these ids: a change of the derivation must not go unnoticed.
        assert_eq!(derived("org", "acme"), "org_ojHFcumdg8ZxYa1pebKSFy9ijB5");
    }

    #[test]
    fn random_ids_differ() {
        assert_ne!(random("sess"), random("sess"));
        assert_eq!(code().len(), 6);
        assert_eq!(trace().len(), 32);
        assert_eq!((api_key().len(), derived_api_key("jane").len()), (35, 35));
    }
}
