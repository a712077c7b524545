//! Signatures that Svix's own library has made (rule W1).

use http::HeaderMap;
use tower_clerk::Clock;
use tower_clerk::webhook::{WebhookErrorKind, WebhookSecrets, WebhookVerifier};

use super::SECOND;

/// A line is a secret, an id, a timestamp, a body in hexadecimal (`-` for none) and a signature.
const VECTORS: &str = include_str!("vectors.txt");

fn unhex(hex: &str) -> Vec<u8> {
    let digits = hex.trim_start_matches('-').as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn w1_the_signatures_of_svix_are_accepted_and_no_changed_one() {
    let mut count = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let [secret, id, timestamp, body, signature] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let at = std::time::SystemTime::UNIX_EPOCH + timestamp.parse::<u32>().unwrap() * SECOND;
        let verifier =
            WebhookVerifier::new(WebhookSecrets::parse(secret).unwrap()).clock(Clock::starting_at(at));
        let kind = |id: &str, body: &[u8], signature: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in
                [("svix-id", id), ("svix-timestamp", timestamp), ("svix-signature", signature)]
            {
                headers.insert(name, value.parse().unwrap());
            }
            verifier.verify(&headers, body).err().map(|error| error.kind())
        };
        let body = unhex(body);
        // Some of the bodies are no event, which is looked at after the signature.
        let right = kind(id, &body, signature);
        assert!(right.is_none_or(|kind| kind == WebhookErrorKind::Body), "{line}: {right:?}");
        for at in 3..signature.len() {
            let mut changed = signature.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(kind(id, &body, &changed), Some(WebhookErrorKind::Signature), "{line}: {changed}");
        }
        let longer = [&*body, b" "].concat();
        assert_eq!(kind(id, &longer, signature), Some(WebhookErrorKind::Signature), "{line}");
        assert_eq!(kind(&format!("{id}x"), &body, signature), Some(WebhookErrorKind::Signature), "{line}");
        count += 1;
    }
    assert_eq!(count, 12);
}
