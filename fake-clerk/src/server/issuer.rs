//! An identity provider on a socket.

use std::fmt;
use std::io;
use std::net::IpAddr;

use bytes::Bytes;
use http::{Request, Response};
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::faults::ConnectionFault;
use crate::issuer::FakeIssuer;
use crate::server::socket::{Handle, Serving};

/// A [`FakeIssuer`] that listens on a socket, for programs with their own HTTP stack.
///
/// Comes from [`FakeIssuer::serve`]. It stops when dropped.
#[must_use = "dropped, it stops"]
pub struct FakeIssuerServer {
    serving: Serving,
    issuer: FakeIssuer,
}

impl FakeIssuer {
    /// Creates a provider that is served over plain HTTP/1.1, and whose issuer is the address. Port 0 picks a free port.
    ///
    /// # Errors
    ///
    /// Returns an error if it can't listen on the address.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
    /// use fake_clerk::FakeIssuer;
    ///
    /// let server = FakeIssuer::serve("127.0.0.1:0").await?;
    /// assert!(server.issuer().issuer().starts_with("http://127.0.0.1:"));
    /// server.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub async fn serve(address: impl ToSocketAddrs) -> io::Result<FakeIssuerServer> {
        let listener = TcpListener::bind(address).await?;
        let issuer = Self::new(format!("http://{}", listener.local_addr()?));
        Ok(FakeIssuerServer { serving: Serving::start(listener, issuer.clone())?, issuer })
    }
}

impl Handle for FakeIssuer {
    async fn handle(&self, request: Request<Bytes>, _: IpAddr) -> Result<Response<Bytes>, ConnectionFault> {
        Self::handle(self, request).await
    }
}

impl FakeIssuerServer {
    /// Returns the provider.
    #[must_use]
    pub fn issuer(&self) -> &FakeIssuer {
        &self.issuer
    }

    /// Stops the server: closes the socket and all connections, including those with a request in flight.
    pub async fn shutdown(self) {
        self.serving.shutdown().await;
    }
}

impl fmt::Debug for FakeIssuerServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeIssuerServer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}
