//! One-time codes of authenticator apps (RFC 6238 with the apps' parameters: SHA-1, 30 s, six digits).

use aws_lc_rs::hmac;

use crate::ids;

/// Seconds for which a code is valid.
const STEP: u64 = 30;

/// Returns a new base-32 secret of 16 letters.
pub(crate) fn secret() -> String {
    let letter = |byte: u8| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte % 32)]);
    ids::base62(16).bytes().map(letter).collect()
}

/// Returns the code of a base-32 secret at a Unix time; `None` if the secret isn't base-32.
pub(crate) fn code(secret: &str, unix: u64) -> Option<String> {
    Some(at_step(&decode(secret)?, unix / STEP))
}

/// Whether a code is valid now, one step ago or one step ahead, an allowance for clock skew.
pub(crate) fn is_right(secret: &str, code: &str, unix: u64) -> bool {
    let Some(secret) = decode(secret) else { return false };
    let step = unix / STEP;
    [step.saturating_sub(1), step, step + 1].into_iter().any(|step| at_step(&secret, step) == code)
}

fn at_step(secret: &[u8], step: u64) -> String {
    // Authenticator apps use SHA-1, which is still secure in HMAC.
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // RFC 4226, section 5.3: the last four bits are the offset of the 31 bits.
    let at = usize::from(tag[tag.len() - 1] & 0x0f);
    let bits = u32::from_be_bytes([tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]]);
    format!("{:06}", bits % 1_000_000)
}

fn decode(secret: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for letter in secret.trim_end_matches('=').bytes() {
        let value = match letter.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        buffer = (buffer << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(((buffer >> bits) & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `12345678901234567890` in base 32, the secret of RFC 6238, appendix B. The codes there have eight digits.
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_match_rfc_6238() {
        for (unix, last_six) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(code(RFC, unix).unwrap(), last_six);
        }
    }

    #[test]
    fn a_code_is_accepted_one_step_early_and_one_late() {
        let code = code(RFC, 90).unwrap();
        for (unix, right) in [(30, false), (60, true), (90, true), (149, true), (150, false)] {
            assert_eq!(is_right(RFC, &code, unix), right, "{unix}");
        }
        assert!(!is_right("not base 32!", &code, 90));
    }
}
