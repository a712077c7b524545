//! A compact JWT in its parts, and its header (RFC 7515 section 7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use super::{Algorithm, JwtError, JwtErrorKind, VerificationKeys};

/// The longest accepted token. Servers accept no longer header, so a longer token could not be passed on.
pub(super) const MAX_TOKEN: usize = 16 * 1024;

/// The longest accepted header, encoded.
pub(super) const MAX_HEADER: usize = 2 * 1024;

/// A compact JWS, still encoded.
pub(super) struct Parts<'a> {
    /// The signed part: header and payload, still encoded.
    pub(super) signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// The header of a JWT. Where it brings a key of its own (`jwk`, `jku`, `x5c`, `x5u`), that is no member of it: a key from
/// the token says nothing about who signed it.
#[derive(Deserialize)]
pub(super) struct Header {
    alg: String,
    pub(super) kid: String,
    typ: Option<String>,
    pub(super) cat: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// Whether a member is there, whatever its value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<'a> Parts<'a> {
    pub(super) fn split(jwt: &'a str) -> Result<Self, JwtError> {
        if jwt.len() > MAX_TOKEN {
            return Err(JwtErrorKind::Malformed.into());
        }
        let (signed, signature) = jwt.rsplit_once('.').ok_or(JwtErrorKind::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwtErrorKind::Malformed)?;
        if header.len() > MAX_HEADER || payload.contains('.') {
            return Err(JwtErrorKind::Malformed.into());
        }
        Ok(Self { signed, header, payload, signature })
    }

    /// The header, if the token is signed with one of these algorithms.
    pub(super) fn header(&self, algorithms: &[Algorithm]) -> Result<(Header, Algorithm), JwtError> {
        let json = decode(self.header)?;
        // serde also deserializes a struct from an array.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(JwtErrorKind::Malformed.into());
        }
        let header: Header = serde_json::from_slice(&json).map_err(|_| JwtErrorKind::Malformed)?;
        let algorithm = algorithms.iter().copied().find(|algorithm| algorithm.name() == header.alg);
        let algorithm = algorithm.ok_or(JwtErrorKind::UnsupportedAlgorithm)?;
        // A token with another type is another kind of token, such as an OAuth access token (RFC 9068).
        if header.typ.as_deref().is_some_and(|typ| typ != "JWT") {
            return Err(JwtErrorKind::WrongCategory.into());
        }
        // RFC 7515 section 4.1.11: no extension is supported, so every critical extension is refused.
        if header.crit || header.kid.is_empty() {
            return Err(JwtErrorKind::Malformed.into());
        }
        Ok((header, algorithm))
    }

    /// The payload, decoded, if one of the keys has signed it.
    pub(super) fn verified(
        &self,
        kid: &str,
        algorithm: Algorithm,
        keys: &VerificationKeys,
    ) -> Result<Vec<u8>, JwtError> {
        let signature = decode(self.signature)?;
        match keys.verify(kid, algorithm, self.signed.as_bytes(), &signature) {
            None => Err(JwtErrorKind::UnknownKey.into()),
            Some(false) => Err(JwtErrorKind::BadSignature.into()),
            Some(true) => decode(self.payload),
        }
    }

    #[cfg(feature = "federation")]
    pub(super) fn unverified_payload(&self) -> Result<Vec<u8>, JwtError> {
        decode(self.payload)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtErrorKind::Malformed.into())
}
