//! Connections that break off.

use std::fmt;

use bytes::Bytes;
use http::Response;

/// A connection that breaks off in place of an answer, because a [`Fault`](crate::Fault) says so.
///
/// A client in process turns it into its HTTP client's error for such a connection; over a socket (feature `server`)
/// the connection itself goes wrong.
#[derive(Clone)]
#[non_exhaustive]
pub enum ConnectionFault {
    /// No connection is made.
    Refused,
    /// The connection is closed before the answer.
    Reset,
    /// The connection is closed in the middle of this answer's body.
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
    /// Shows the status alone of a truncated answer, which has tokens in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("Refused"),
            Self::Reset => f.write_str("Reset"),
            Self::Truncated(response) => f.debug_tuple("Truncated").field(&response.status()).finish(),
        }
    }
}

impl std::error::Error for ConnectionFault {}
