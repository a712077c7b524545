//! Errors in credentials that are found without asking Clerk.

use std::error::Error as StdError;
use std::fmt;

/// Credentials that no account can have.
///
/// [`Credentials::new`](super::Credentials::new) returns this error. The layer rejects a request with such an
/// `Authorization` field with 401
/// ([`RejectionKind::CredentialsMalformed`](crate::RejectionKind::CredentialsMalformed)). It shows nothing of the
/// value, so it is safe to log.
///
/// ```
/// let error = tower_clerk::Credentials::new("", "secret").unwrap_err();
/// assert_eq!(error.to_string(), "the identifier is empty");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedCredentials {
    reason: MalformedReason,
}

impl MalformedCredentials {
    /// The reason, for a caller that tells its user more than a 401 does.
    #[must_use]
    pub fn reason(&self) -> MalformedReason {
        self.reason
    }
}

impl From<MalformedReason> for MalformedCredentials {
    fn from(reason: MalformedReason) -> Self {
        Self { reason }
    }
}

impl fmt::Display for MalformedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.as_str())
    }
}

impl StdError for MalformedCredentials {}

/// The reason why credentials are malformed.
///
/// ```
/// use tower_clerk::Credentials;
/// use tower_clerk::error::MalformedReason;
///
/// let error = Credentials::new("ada:lovelace", "secret").unwrap_err();
/// assert_eq!(error.reason(), MalformedReason::ColonInIdentifier);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MalformedReason {
    /// The request has more than one `Authorization` field. A proxy in front may have checked a different one.
    SeveralFields,
    /// The scheme is Basic, but no token follows.
    NoToken,
    /// The token is longer than 8 KiB, or would be.
    TooLong,
    /// The token has `=` at its end, but its length is not a multiple of four, or there are more than two `=`.
    Padding,
    /// The token has a character outside the standard base64 alphabet, or stray bits at its end.
    NotBase64,
    /// The credentials are not UTF-8. The client uses another charset: see
    /// [`latin1_fallback`](crate::ClerkBasicAuthLayer::latin1_fallback).
    NotUtf8,
    /// A percent sign is not followed by two hexadecimal digits, although form encoding is expected.
    FormEncoding,
    /// No colon separates the identifier and the password.
    NoColon,
    /// The identifier has a colon, which a Basic token cannot carry.
    ColonInIdentifier,
    /// The identifier is empty.
    EmptyIdentifier,
    /// The password is empty.
    EmptyPassword,
    /// The identifier or the password has a control character: C0, DEL or C1 (U+0080 to U+009F).
    ControlCharacter,
}

impl MalformedReason {
    /// All reasons, in the order in which they are declared.
    pub const ALL: &'static [Self] = &[
        Self::SeveralFields,
        Self::NoToken,
        Self::TooLong,
        Self::Padding,
        Self::NotBase64,
        Self::NotUtf8,
        Self::FormEncoding,
        Self::NoColon,
        Self::ColonInIdentifier,
        Self::EmptyIdentifier,
        Self::EmptyPassword,
        Self::ControlCharacter,
    ];

    /// Returns the reason's name in snake case, which is the value of the metric's label `reason`. It is stable.
    ///
    /// ```
    /// use tower_clerk::error::MalformedReason;
    ///
    /// assert_eq!(MalformedReason::NotUtf8.name(), "not_utf8");
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SeveralFields => "several_fields",
            Self::NoToken => "no_token",
            Self::TooLong => "too_long",
            Self::Padding => "padding",
            Self::NotBase64 => "not_base64",
            Self::NotUtf8 => "not_utf8",
            Self::FormEncoding => "form_encoding",
            Self::NoColon => "no_colon",
            Self::ColonInIdentifier => "colon_in_identifier",
            Self::EmptyIdentifier => "empty_identifier",
            Self::EmptyPassword => "empty_password",
            Self::ControlCharacter => "control_character",
        }
    }

    /// Advice for the operator, so it goes to the log and not to the client (rule A9).
    pub(crate) fn advice(self) -> Option<&'static str> {
        match self {
            Self::NotUtf8 => Some(
                "the client uses another charset than UTF-8: ClerkBasicAuthLayer::latin1_fallback accepts ISO-8859-1, \
                 which Python's requests uses",
            ),
            _ => None,
        }
    }

    /// A message for users. It shows nothing of the value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SeveralFields => "there is more than one Authorization field",
            Self::NoToken => "the Basic scheme has no token",
            Self::TooLong => "the Basic token is longer than 8 KiB",
            Self::Padding => "the padding of the Basic token is wrong",
            Self::NotBase64 => "the Basic token is not base64",
            Self::NotUtf8 => "the credentials are not UTF-8",
            Self::FormEncoding => "the credentials are not form-encoded",
            Self::NoColon => "the credentials have no colon between identifier and password",
            Self::ColonInIdentifier => "the identifier has a colon in it",
            Self::EmptyIdentifier => "the identifier is empty",
            Self::EmptyPassword => "the password is empty",
            Self::ControlCharacter => "the credentials have a control character in them",
        }
    }
}
