//! Webhooks (rules W1, W2).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::{Clock, unix_seconds};
use crate::webhook::{WebhookSecrets, WebhookVerifier};

const FIELDS: [HeaderName; 3] = [
    HeaderName::from_static("svix-id"),
    HeaderName::from_static("svix-timestamp"),
    HeaderName::from_static("svix-signature"),
];

/// The key of the endpoint's secret.
const KEY: [u8; 32] = [7; 32];

/// Three lines for the fields of the signature, and the body.
pub fn webhook(bytes: &[u8]) {
    let clock = Clock::system();
    let secret = format!("whsec_{}", STANDARD.encode(KEY));
    let verifier = WebhookVerifier::new(WebhookSecrets::parse(&secret).expect("a secret")).clock(clock);
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    let fields = FIELDS.into_iter().zip(&mut lines);
    let headers: HeaderMap =
        fields.filter_map(|(name, value)| Some((name, HeaderValue::from_bytes(value).ok()?))).collect();
    let body = lines.next().unwrap_or_default();
    assert!(verifier.verify(&headers, body).is_err(), "a stranger's delivery is refused");

    // The same body from the sender.
    let time = unix_seconds(clock.wall()).to_string();
    let signed = [b"msg_1.", time.as_bytes(), b".", body].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &KEY), &signed);
    let signature = format!("v1,{}", STANDARD.encode(tag));
    let values = ["msg_1", &time, &signature];
    let values = values.map(|value| HeaderValue::from_str(value).expect("visible ASCII"));
    let headers: HeaderMap = FIELDS.into_iter().zip(values).collect();
    let Ok(event) = verifier.verify(&headers, body) else { return };
    assert_eq!((event.id(), event.json().as_bytes()), ("msg_1", body));
    assert!(format!("{event:?}").len() < 1024 + 10 * event.event_type().len(), "the log shows no body");
}
