//! Connections that break off.

use std::fmt;

use bytes::Bytes;
use http::Response;

/// A connection that breaks off in place of an answer, because a [`Fault`](crate::Fault) says so.
///
/// A client in process makes of it what its HTTP client makes of such a connection;
/// [`serve`](crate::FakeClerk::serve) lets the connection itself go wrong.
#[derive(Clone, Debug)]
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

impl std::error::Error for ConnectionFault {}
