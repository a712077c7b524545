//! A token that was verified, together with what it says.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::claims::{self, Claims, ClaimsError};

/// A token that was verified, together with what it says.
///
/// The JWT is held once, because it is handed on as it is; its payload is not kept beside it, as that would
/// double what a session takes. Claims of the instance's own are decoded again each time they are asked for.
pub(crate) struct VerifiedToken {
    jwt: Zeroizing<Box<str>>,
    claims: Claims,
}

impl VerifiedToken {
    /// Only for `jwt::verify`, which vouches for the signature.
    pub(crate) fn new(jwt: &str, claims: Claims) -> Self {
        Self { jwt: Zeroizing::new(jwt.into()), claims }
    }

    /// The compact JWT. Whoever has it is the user, until it ends.
    pub(crate) fn jwt(&self) -> &str {
        &self.jwt
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Reads the whole payload into a type of the caller's, at the cost of one base64 and one JSON decoding.
    pub(crate) fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        claims::deserialize(&self.decoded_payload())
    }

    /// When the claims were true (`oiat` of the header): Clerk's edge mints from claims that may be older than the
    /// token.
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
