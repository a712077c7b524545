//! Identifiers in the shape that Clerk's own have: a prefix and 27 base-62 characters.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many characters follow the prefix.
const LENGTH: usize = 27;

/// A new identifier, never seen before.
pub(crate) fn random(prefix: &str) -> String {
    format!("{prefix}_{}", base62(LENGTH))
}

/// The identifier that belongs to a name: the same at every start.
pub(crate) fn derived(prefix: &str, name: &str) -> String {
    format!("{prefix}_{}", derived_text(LENGTH, &format!("{prefix}/{name}")))
}

/// Base-62 text that belongs to a name: the same at every start.
pub(crate) fn derived_text(length: usize, name: &str) -> String {
    let mut stream = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
    letters(length, |bytes| stream.fill(bytes))
}

/// Random base-62 text, for secrets.
pub(crate) fn base62(length: usize) -> String {
    letters(length, fill)
}

/// A trace id as Clerk writes it into errors: 32 hexadecimal digits.
pub(crate) fn trace() -> String {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A code of six digits, as Clerk mails it.
pub(crate) fn code() -> String {
    let mut bytes = [0; 4];
    fill(&mut bytes);
    format!("{:06}", u32::from_be_bytes(bytes) % 1_000_000)
}

/// Takes letters from a stream of bytes, all equally likely: bytes past the last multiple of 62 are skipped.
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
        // Written down, so that a change of the derivation is noticed: programs may have kept these ids.
        assert_eq!(derived("org", "acme"), "org_ojHFcumdg8ZxYa1pebKSFy9ijB5");
    }

    #[test]
    fn random_ids_differ() {
        assert_ne!(random("sess"), random("sess"));
        assert_eq!(code().len(), 6);
        assert_eq!(trace().len(), 32);
    }
}
