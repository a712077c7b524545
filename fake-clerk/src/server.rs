//! The stand-in on a socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::endpoint::MAX_REQUEST;
use crate::fake::FakeClerk;
use crate::faults::ConnectionFault;

/// A [`FakeClerk`] that listens on a socket, for clients that bring their own HTTP.
///
/// Dropped, it stops.
#[must_use = "dropped, it stops"]
pub struct FakeClerkServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl FakeClerk {
    /// Serves the instance in plain HTTP/1.1 on an address; port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// When the address can't be listened on.
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
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(self.clone(), listener, stopped));
        Ok(FakeClerkServer { address, stop: Some(stop), task })
    }
}

impl FakeClerkServer {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The address of both its APIs, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops: closes the socket and all connections, those with a request under way too.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        // The task ends by itself, and an error would be its panic.
        let _ = (&mut self.task).await;
    }
}

impl Drop for FakeClerkServer {
    fn drop(&mut self) {
        // The connections live in the task.
        self.task.abort();
    }
}

impl fmt::Debug for FakeClerkServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClerkServer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// How long a listener that has failed is left alone.
const PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from.
trait Accept {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        Self::accept(self)
    }
}

async fn accept(clerk: FakeClerk, listener: impl Accept, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            (stream, peer) = next_connection(&listener) => {
                connections.spawn(connection(clerk.clone(), stream, peer));
            }
            // Takes connections that are over out of the set. What they held may be what the next one lacked, so the
            // pause ends with it.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn next_connection(listener: &impl Accept) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Out of file descriptors, for example. Asked at once, the system would say the same.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn connection(clerk: FakeClerk, stream: TcpStream, peer: SocketAddr) {
    // Small answers, each awaited before the next request: without this they wait for acknowledgements.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(clerk.clone(), request, peer));
    // An error is the client's going away, or a scripted fault.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An error makes hyper close the connection without an answer.
async fn answer(
    clerk: FakeClerk,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<AnswerBody>, io::Error> {
    let (parts, body) = request.into_parts();
    // Read on past the instance's limit: closed with something unread, the connection may lose the answer.
    let body = match Limited::new(body, 8 * MAX_REQUEST).collect().await {
        Ok(body) => body.to_bytes(),
        // Much longer than the limit, which is all that the instance needs to know of it; or the client went away.
        Err(_) => Bytes::from(vec![0; MAX_REQUEST + 1]),
    };
    match clerk.handle_from(Request::from_parts(parts, body), Some(peer.ip())).await {
        Ok(response) => Ok(response.map(|body| AnswerBody { left: Some(body), breaks_off: None })),
        Err(ConnectionFault::Truncated(response)) => {
            let response = *response;
            let length = response.body().len();
            let half = response.body().slice(..length / 2);
            let mut response =
                response.map(|_| AnswerBody { left: Some(half), breaks_off: Some(Flush::Due) });
            // The whole length is promised; hyper closes the connection when the body breaks off before it.
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            Ok(response)
        }
        Err(_) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
    }
}

/// A body in one piece, which may break off after it.
struct AnswerBody {
    left: Option<Bytes>,
    breaks_off: Option<Flush>,
}

/// hyper drops unwritten bytes when a body fails, so it gets a turn to write first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    Due,
    Done,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(bytes) = self.left.take().filter(|bytes| !bytes.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match self.breaks_off {
            None => Poll::Ready(None),
            Some(Flush::Due) => {
                self.breaks_off = Some(Flush::Done);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Flush::Done) => Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::ConnectionReset)))),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match &self.left {
            Some(bytes) if self.breaks_off.is_none() => http_body::SizeHint::with_exact(bytes.len() as u64),
            _ => http_body::SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A listener of a process that has no file descriptors left.
    struct Exhausted(Arc<AtomicU32>);

    impl Accept for Exhausted {
        async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            assert!(asked < 1000, "asked again and again without a pause");
            Err(io::Error::other("too many open files"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_fails_is_asked_again_after_a_pause() {
        let asked = Arc::new(AtomicU32::new(0));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(FakeClerk::new(), Exhausted(Arc::clone(&asked)), stopped));
        tokio::time::sleep(Duration::from_secs(10)).await;
        let asked = asked.load(Ordering::Relaxed);
        assert!((10..=101).contains(&asked), "asked {asked} times in ten seconds");
        drop(stop);
        task.await.unwrap();
    }
}
