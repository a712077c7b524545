//! The claims that tokens of every issuer are checked for (RFC 7519, section 4.1).

use super::{Algorithm, JwtError, JwtErrorKind};

/// The claims that a token must have, and the time to check it at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    /// The `iss`, exactly.
    pub(crate) issuer: &'a str,
    /// The `aud` has one of these. `None` asks for none, since Clerk's session tokens have no `aud`.
    pub(crate) audience: Option<&'a [Box<str>]>,
    /// The token is signed with one of these.
    pub(crate) algorithms: &'a [Algorithm],
    /// Seconds since the Unix epoch, by the clock that applies to this token.
    pub(crate) now: u64,
    /// Tolerated difference of that clock, in seconds.
    pub(crate) leeway: u64,
    /// The longest life in seconds, `exp` less `iat`, that a token may claim.
    pub(crate) longest_life: Option<u64>,
}

/// The registered claims of a token.
pub(crate) trait RegisteredClaims {
    fn issuer(&self) -> &str;
    fn audiences(&self) -> &[Box<str>];
    fn issued_at(&self) -> u64;
    fn expires_at(&self) -> u64;
    fn not_before(&self) -> Option<u64>;
}

impl Expected<'_> {
    /// Checks whose token it is, and for whom it was issued.
    pub(crate) fn check_origin(&self, claims: &impl RegisteredClaims) -> Result<(), JwtError> {
        if claims.issuer() != self.issuer {
            return Err(JwtErrorKind::WrongIssuer.into());
        }
        let is_ours = |ours: &[Box<str>]| claims.audiences().iter().any(|audience| ours.contains(audience));
        if self.audience.is_some_and(|ours| !is_ours(ours)) {
            return Err(JwtErrorKind::WrongAudience.into());
        }
        Ok(())
    }

    /// Checks the times of a token.
    pub(crate) fn check_times(&self, claims: &impl RegisteredClaims) -> Result<(), JwtError> {
        if claims.expires_at() <= claims.issued_at() {
            return Err(JwtErrorKind::Malformed.into());
        }
        if self.longest_life.is_some_and(|longest| claims.expires_at() - claims.issued_at() > longest) {
            return Err(JwtErrorKind::LivesTooLong.into());
        }
        // The bounds are inclusive and exclusive as in Clerk's own libraries.
        if claims.expires_at().saturating_add(self.leeway) <= self.now {
            return Err(JwtErrorKind::Expired.into());
        }
        let latest = self.now.saturating_add(self.leeway);
        if claims.issued_at() > latest || claims.not_before().is_some_and(|time| time > latest) {
            return Err(JwtErrorKind::NotYetValid.into());
        }
        Ok(())
    }
}
