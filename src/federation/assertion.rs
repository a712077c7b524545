//! An assertion as a caller presents it.

use std::fmt;

use zeroize::Zeroizing;

/// An assertion of an identity provider: an OpenID Connect ID token, or another JWT about its subject.
///
/// It is a credential until it expires, so it is wiped from memory on drop, and `Debug` doesn't show it. Nothing is checked
/// before [`Clerk::exchange`](crate::Clerk::exchange) verifies it.
///
/// ```
/// use tower_clerk::federation::Assertion;
///
/// let assertion = Assertion::new("eyJhbGciOiJSUzI1NiJ9.e30.AA").nonce("n-0S6_WzA2Mj");
/// assert_eq!(format!("{assertion:?}"), "Assertion { .. }");
/// ```
#[derive(Clone)]
pub struct Assertion {
    jwt: Zeroizing<String>,
    nonce: Option<Zeroizing<String>>,
}

impl Assertion {
    /// Creates an assertion from a compact JWT.
    #[must_use]
    pub fn new(jwt: impl Into<String>) -> Self {
        Self { jwt: Zeroizing::new(jwt.into()), nonce: None }
    }

    /// Sets the `nonce` that the assertion must have: the one that your program sent with the authorization request
    /// ([OpenID Connect Core, section 3.1.2.1](https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest)).
    ///
    /// Take it from where your program stored it for this browser, such as its session, and never from the request that
    /// brings the assertion: whoever has stolen an assertion can read its nonce.
    #[must_use]
    pub fn nonce(self, expected: impl Into<String>) -> Self {
        Self { nonce: Some(Zeroizing::new(expected.into())), ..self }
    }

    pub(crate) fn jwt(&self) -> &str {
        &self.jwt
    }

    pub(super) fn expected_nonce(&self) -> Option<&str> {
        self.nonce.as_deref().map(String::as_str)
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion").finish_non_exhaustive()
    }
}
