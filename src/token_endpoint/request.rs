//! The parts of a request that choose a token.

use std::fmt;

/// The parts of a token request that choose the token, as the function of
/// [`access_from`](super::TokenEndpoint::access_from) reads them.
///
/// They are as the client has sent them, decoded: compare them with the names that you know. `Debug` shows neither, as a
/// client may send anything.
#[derive(Clone, Copy)]
pub struct TokenRequest<'r> {
    pub(super) scope: Option<&'r str>,
    pub(super) audience: Option<&'r str>,
}

impl<'r> TokenRequest<'r> {
    /// Returns the `scope` parameter: names with single spaces between them, or `None` if there is none.
    #[must_use]
    pub fn scope(&self) -> Option<&'r str> {
        self.scope
    }

    /// Returns the names in the `scope` parameter, one by one.
    ///
    /// The order has no meaning ([RFC 6749, section 3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub fn scopes(&self) -> impl Iterator<Item = &'r str> {
        self.scope.into_iter().flat_map(|scope| scope.split(' '))
    }

    /// Returns the `audience` parameter, which some clients send for the API that the token is for.
    #[must_use]
    pub fn audience(&self) -> Option<&'r str> {
        self.audience
    }
}

impl fmt::Debug for TokenRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").finish_non_exhaustive()
    }
}

/// Whether a scope has the form of RFC 6749, section 3.3: names of printable ASCII without `"` and `\`, and a single space
/// between two.
pub(super) fn is_scope(scope: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    scope.split(' ').all(|name| !name.is_empty() && name.bytes().all(is_of_name))
}
