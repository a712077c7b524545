//! What can be wrong with credentials before anybody is asked about them.

use std::error::Error as StdError;
use std::fmt;

/// An `Authorization` field, or a pair given to [`Credentials::new`](super::Credentials::new), that no account could have.
///
/// It holds nothing of the value, so it may be logged.
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
    /// What is wrong, for a caller that tells its user more than 401 does.
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

/// Why [`MalformedCredentials`] are malformed.
///
/// ```
/// use tower_clerk::Credentials;
/// use tower_clerk::error::MalformedReason;
///
/// let error = Credentials::new("ada:lovelace", "secret").unwrap_err();
/// assert_eq!(error.reason(), MalformedReason::ColonInIdentifier);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedReason {
    /// More than one `Authorization` field: whoever sits in front may have judged another one.
    SeveralFields,
    /// The scheme is Basic, and nothing follows.
    NoToken,
    /// The token is, or would be, over 8 KiB.
    TooLong,
    /// `=` that neither is absent nor makes the token's length a multiple of four.
    TimingEqualizer,
    /// A character outside the standard alphabet, or bits left over at the end.
    NotBase64,
    /// Bytes that are no UTF-8, from a client that sends another charset.
    NotUtf8,
    /// A percent sign without two hexadecimal digits, where form-encoding is expected.
    FormEncoding,
    /// Nothing separates identifier and password.
    NoColon,
    /// A colon in an identifier, which a Basic token cannot carry.
    ColonInIdentifier,
    /// Nothing before the colon.
    EmptyIdentifier,
    /// Nothing after the colon.
    EmptyPassword,
    /// C0, DEL or C1 (U+0080 to U+009F).
    ControlCharacter,
}

impl MalformedReason {
    /// A sentence for people. It says nothing of the value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SeveralFields => "there is more than one Authorization field",
            Self::NoToken => "the Basic scheme stands there without a token",
            Self::TooLong => "the Basic token is longer than 8 KiB",
            Self::TimingEqualizer => "the Basic token is padded wrongly",
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
