//! Broken connections.

use std::fmt;

use bytes::Bytes;
use http::Response;

/// A connection that breaks instead of delivering a response, because of a scripted [`Fault`](crate::Fault).
///
/// A client in process maps it to its HTTP client's error for such a connection. Over a socket (feature `server`) the
/// connection itself breaks.
#[derive(Clone)]
#[non_exhaustive]
pub enum ConnectionFault {
    /// No connection was made.
    Refused,
    /// The connection was closed before the response.
    Reset,
    /// The connection was closed in the middle of this response's body.
    Truncated(Box<Response<Bytes>>),
}

impl fmt::Display for ConnectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Reset => "the connection was reset",
            Self::Truncated(_) => "the connection ended within the body",
        })
    }
}

impl fmt::Debug for ConnectionFault {
    /// Shows only the status of a truncated response, whose body contains tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("Refused"),
            Self::Reset => f.write_str("Reset"),
            Self::Truncated(response) => f.debug_tuple("Truncated").field(&response.status()).finish(),
        }
    }
}

impl std::error::Error for ConnectionFault {}
