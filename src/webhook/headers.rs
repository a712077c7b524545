//! The signed header fields of a delivery (rule W1).

use http::{HeaderMap, HeaderName};

use super::error::WebhookError;

/// The names of one family of fields. Svix sends its own, and senders of the Standard Webhooks specification the other.
struct Family {
    id: HeaderName,
    timestamp: HeaderName,
    signature: HeaderName,
}

const SVIX: Family = Family {
    id: HeaderName::from_static("svix-id"),
    timestamp: HeaderName::from_static("svix-timestamp"),
    signature: HeaderName::from_static("svix-signature"),
};
const WEBHOOK: Family = Family {
    id: HeaderName::from_static("webhook-id"),
    timestamp: HeaderName::from_static("webhook-timestamp"),
    signature: HeaderName::from_static("webhook-signature"),
};

const MAX_ID: usize = 256;

/// Twelve digits are the year 33658. More are no time, and must not overflow any.
const MAX_TIMESTAMP: usize = 12;

const MAX_SIGNATURES: usize = 4096;

/// Svix sends a signature for each secret that is not retired yet.
const MAX_ENTRIES: usize = 8;

/// The length of an HMAC-SHA256.
pub(super) const TAG: usize = 32;

/// The fields of a delivery, read and not yet verified.
#[derive(Debug)]
pub(super) struct SignedHeaders<'a> {
    pub(super) id: &'a str,
    /// As the sender wrote it, since that is what it has signed.
    pub(super) timestamp: &'a str,
    /// In seconds since the Unix epoch.
    pub(super) signed_at: u64,
    /// The entries of the signature field, separated by spaces.
    signatures: &'a str,
}

impl<'a> SignedHeaders<'a> {
    /// Reads one complete family of fields.
    pub(super) fn read(headers: &'a HeaderMap) -> Result<Self, WebhookError> {
        let names = |family: &Family| [family.id.clone(), family.timestamp.clone(), family.signature.clone()];
        let is_repeated = |name: &HeaderName| headers.get_all(name).iter().nth(1).is_some();
        if names(&SVIX).iter().chain(&names(&WEBHOOK)).any(is_repeated) {
            return Err(WebhookError::headers("a field of the signature is repeated: send each one once"));
        }
        // Fields of the two families are never combined: a proxy that adds some could pair an id with a signature that is
        // not its own.
        let family = if names(&SVIX).iter().any(|name| headers.contains_key(name)) { SVIX } else { WEBHOOK };
        let field = |name: &HeaderName| {
            let value = headers.get(name).ok_or_else(|| {
                WebhookError::headers(
                    "the fields svix-id, svix-timestamp and svix-signature, or webhook-id, webhook-timestamp and \
                     webhook-signature, must be there together: only Clerk's webhooks are for this address",
                )
            })?;
            // Only visible ASCII passes, and spaces.
            value.to_str().map_err(|_| WebhookError::headers("a field of the signature is not ASCII"))
        };
        let (id, timestamp, signatures) =
            (field(&family.id)?, field(&family.timestamp)?, field(&family.signature)?);
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WebhookError::headers("the id must be 1 to 256 visible ASCII characters"));
        }
        let is_number = !timestamp.is_empty()
            && timestamp.len() <= MAX_TIMESTAMP
            && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let signed_at = timestamp.parse().ok().filter(|_| is_number);
        let signed_at = signed_at
            .ok_or_else(|| WebhookError::headers("the timestamp must be 1 to 12 digits: Unix seconds"))?;
        if signatures.len() > MAX_SIGNATURES || signatures.split(' ').count() > MAX_ENTRIES {
            return Err(WebhookError::headers(
                "the signature field must have at most 4 KiB and 8 entries: remove secrets that are not in use",
            ));
        }
        Ok(Self { id, timestamp, signed_at, signatures })
    }

    /// The signatures of version 1, decoded. Others, such as `v1a`, are made with keys that an endpoint of Clerk's
    /// doesn't have.
    pub(super) fn signatures(&self) -> impl Iterator<Item = [u8; TAG]> {
        use base64::Engine as _;
        use base64::prelude::BASE64_STANDARD;

        self.signatures.split(' ').filter_map(|entry| {
            let encoded = entry.strip_prefix("v1,")?;
            // `decode_slice` wants room for whole groups of four characters.
            let mut tag = [0; TAG + 1];
            let length = BASE64_STANDARD.decode_slice(encoded, &mut tag).ok()?;
            (length == TAG).then(|| tag[..TAG].try_into().ok())?
        })
    }
}
