//! Finds a Bearer token in an `Authorization` field (RFC 6750, RFC 9110).

use std::fmt;

use http::HeaderValue;

use super::from_scheme;

/// The token of a field `Bearer <token>`, borrowed from the header. It can be any bytes: whether it is a JWT is left to
/// its verification.
#[derive(Clone, Copy)]
pub(crate) struct BearerToken<'h>(&'h [u8]);

impl<'h> BearerToken<'h> {
    /// The token of a field of this scheme; `None` if the field is of another scheme.
    ///
    /// A field that only begins like this scheme, with a tab or nothing after its name, has an empty token. It must not
    /// pass for another scheme, since it could be read as Bearer further in.
    pub(crate) fn of(field: &'h HeaderValue) -> Option<Self> {
        let (scheme, rest) = from_scheme(field).split_first_chunk::<6>()?;
        if !scheme.eq_ignore_ascii_case(b"bearer") || rest.first().is_some_and(|byte| is_of_scheme(*byte)) {
            return None;
        }
        let Some(mut token) = rest.strip_prefix(b" ") else { return Some(Self(b"")) };
        while let [b' ', rest @ ..] = token {
            token = rest;
        }
        while let [rest @ .., b' ' | b'\t'] = token {
            token = rest;
        }
        Some(Self(token))
    }

    pub(crate) fn as_bytes(&self) -> &'h [u8] {
        self.0
    }
}

/// Whether a byte may be part of a scheme's name (`token` of RFC 9110 section 5.6.2).
fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(field: &str) -> Option<String> {
        let field = HeaderValue::from_str(field).unwrap();
        BearerToken::of(&field).map(|token| String::from_utf8(token.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn b1_scheme_in_any_case_then_spaces_then_token_then_white_space() {
        for field in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c", "bEaReR a.b.c \t ", " \tBearer a.b.c"]
        {
            assert_eq!(token(field).as_deref(), Some("a.b.c"), "{field:?}");
        }
        for field in ["", "Bear", "Bearers a", "Bearer-x a", "Basic YTpi", "Digest a"] {
            assert_eq!(token(field), None, "{field:?}");
        }
        for field in ["Bearer", "Bearer ", "Bearer\ta.b.c", "Bearer,a", "Bearer  \t", "Bearer=x"] {
            assert_eq!(token(field).as_deref(), Some(""), "{field:?}");
        }
    }

    #[test]
    fn c6_debug_shows_no_token() {
        let field = HeaderValue::from_static("Bearer a.b.c");
        assert_eq!(format!("{:?}", BearerToken::of(&field).unwrap()), "BearerToken(..)");
    }
}
