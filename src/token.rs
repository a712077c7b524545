//! A verified token with its claims.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::claims::{self, Claims, ClaimsError};

/// A verified token with its claims.
///
/// The JWT is stored once, to be passed on verbatim. The decoded payload is not stored with it, because it would double
/// the size of a session; custom claims are decoded again on each use.
pub(crate) struct VerifiedToken {
    jwt: Zeroizing<Box<str>>,
    claims: Claims,
}

impl VerifiedToken {
    /// Only for `jwt::verify`, which has checked the signature.
    pub(crate) fn new(jwt: &str, claims: Claims) -> Self {
        Self { jwt: Zeroizing::new(jwt.into()), claims }
    }

    /// The compact JWT, a bearer credential of the user until it expires.
    pub(crate) fn jwt(&self) -> &str {
        &self.jwt
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Deserializes the whole payload, at the cost of one base64 and one JSON decoding.
    pub(crate) fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        claims::deserialize(&self.decoded_payload())
    }

    /// The time that the claims are from (`oiat` in the header). Clerk's edge may mint a token from older claims.
    pub(crate) fn origin_issued_at(&self) -> Option<u64> {
        #[derive(serde::Deserialize)]
        struct Origin {
            oiat: Option<u64>,
        }
        let header = URL_SAFE_NO_PAD.decode(self.jwt.split('.').next()?).ok()?;
        serde_json::from_slice::<Origin>(&header).ok()?.oiat
    }

    fn decoded_payload(&self) -> Vec<u8> {
        let payload = self.jwt.split('.').nth(1).unwrap_or_default();
        URL_SAFE_NO_PAD.decode(payload).unwrap_or_default()
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken").field("claims", &self.claims).finish_non_exhaustive()
    }
}
