//! The algorithms of signatures.

/// An algorithm that a provider signs its assertions with (RFC 7518, section 3.1).
///
/// All are asymmetric. There is neither `none` nor one of the `HS…`, with which anyone who knows the public key could sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(
    not(feature = "federation"),
    allow(dead_code, unreachable_pub, reason = "Clerk signs with RS256 alone; the others are of providers")
)]
pub enum Algorithm {
    /// `RS256`: RSASSA-PKCS1-v1_5 with SHA-256, by a key of 2,048 to 8,192 bits.
    Rs256,
    /// `PS256`: RSASSA-PSS with SHA-256, by a key of 2,048 to 8,192 bits.
    Ps256,
    /// `ES256`: ECDSA on P-256 with SHA-256.
    Es256,
}

#[cfg_attr(not(feature = "federation"), allow(unreachable_pub, reason = "public with the feature alone"))]
impl Algorithm {
    /// Returns the algorithm's name in the header of a token, such as `RS256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
        }
    }
}
