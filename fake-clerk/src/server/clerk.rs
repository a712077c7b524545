//! A Clerk instance on a socket.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::fake::FakeClerk;
use crate::faults::ConnectionFault;
use crate::server::socket::{Handle, Serving};

/// A [`FakeClerk`] that listens on a socket, for clients with their own HTTP stack.
///
/// Comes from [`FakeClerk::serve`]. It stops when dropped.
#[must_use = "dropped, it stops"]
pub struct FakeClerkServer(Serving);

impl FakeClerk {
    /// Serves the instance over plain HTTP/1.1. Port 0 picks a free port.
    ///
    /// # Errors
    ///
    /// Returns an error if it can't listen on the address.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
    /// use fake_clerk::FakeClerk;
    ///
    /// let server = FakeClerk::new().serve("127.0.0.1:0").await?;
    /// assert!(server.url().starts_with("http://127.0.0.1:"));
    /// server.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub async fn serve(&self, address: impl ToSocketAddrs) -> io::Result<FakeClerkServer> {
        Serving::start(TcpListener::bind(address).await?, self.clone()).map(FakeClerkServer)
    }
}

impl Handle for FakeClerk {
    async fn handle(
        &self,
        request: Request<Bytes>,
        peer: IpAddr,
    ) -> Result<Response<Bytes>, ConnectionFault> {
        self.handle_from(request, Some(peer)).await
    }
}

impl FakeClerkServer {
    /// Returns the address that the server listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.0.address
    }

    /// Returns the URL of both APIs, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Stops the server: closes the socket and all connections, including those with a request in flight.
    pub async fn shutdown(self) {
        self.0.shutdown().await;
    }
}

impl fmt::Debug for FakeClerkServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClerkServer").field("address", &self.addr()).finish_non_exhaustive()
    }
}
