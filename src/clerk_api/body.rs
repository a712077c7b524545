//! The body of a call.

use bytes::Bytes;
use serde::Serialize;
use zeroize::Zeroizing;

use super::api_error::ApiError;

/// The body of a call. Wiped when dropped, because it may hold a password.
#[derive(Clone, Default)]
pub(crate) struct Body {
    pub(super) kind: Option<&'static str>,
    pub(super) bytes: Bytes,
}

impl Body {
    /// A form body. The buffer has its full size from the start, because a growing buffer would leave copies of a
    /// password behind.
    pub(crate) fn form(form: &[(&str, &str)]) -> Self {
        let worst = form.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
        let mut serializer = form_urlencoded::Serializer::new(String::with_capacity(worst));
        serializer.extend_pairs(form);
        let bytes = Bytes::from_owner(Zeroizing::new(serializer.finish().into_bytes()));
        Self { kind: Some("application/x-www-form-urlencoded"), bytes }
    }

    /// A JSON body. `size` is the total length of its strings, of which an escaped byte takes up to six.
    pub(crate) fn json(value: &impl Serialize, size: usize) -> Result<Self, ApiError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(256 + 6 * size));
        serde_json::to_writer(&mut *bytes, value)
            .map_err(|_| ApiError::unavailable("request_not_buildable"))?;
        Ok(Self { kind: Some("application/json"), bytes: Bytes::from_owner(bytes) })
    }
}
