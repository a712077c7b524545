//! A self-signed certificate for an RSA key (RFC 5280), for assertions that bring one.

/// The object identifiers `sha256WithRSAEncryption` (RFC 4055, section 5) and `id-at-commonName`, in DER.
const SHA256_WITH_RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// Returns a certificate of version 1 for a public key (SubjectPublicKeyInfo) in DER, signed by its own key.
pub(super) fn self_signed(public_key: &[u8], sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let algorithm = der(SEQUENCE, &[SHA256_WITH_RSA, &[5, 0]]);
    let attribute = der(SEQUENCE, &[COMMON_NAME, &der(0x0c, &[b"attacker"])]);
    let name = der(SEQUENCE, &[&der(SET, &[&attribute])]);
    let validity = der(SEQUENCE, &[&der(0x17, &[b"250101000000Z"]), &der(0x17, &[b"491231235959Z"])]);
    let serial = [2, 1, 1];
    let content = der(SEQUENCE, &[&serial, &algorithm, &name, &validity, &name, public_key]);
    let signature = sign(&content);
    // A bit string begins with the number of unused bits.
    der(SEQUENCE, &[&content, &algorithm, &der(3, &[&[0], &signature])])
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let bytes = content.len().to_be_bytes();
    let length = &bytes[bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1)..];
    let mut value = vec![tag];
    match content.len() {
        short @ 0..128 => value.push(u8::try_from(short).unwrap_or_default()),
        _ => {
            value.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
            value.extend_from_slice(length);
        }
    }
    value.extend(content);
    value
}
