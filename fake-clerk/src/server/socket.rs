//! A listener, its connections and their requests.

use std::io;
use std::net::{IpAddr, SocketAddr};
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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::endpoint::MAX_REQUEST;
use crate::faults::ConnectionFault;

/// An instance or a provider, which answers requests.
pub(super) trait Handle: Clone + Send + 'static {
    fn handle(
        &self,
        request: Request<Bytes>,
        peer: IpAddr,
    ) -> impl Future<Output = Result<Response<Bytes>, ConnectionFault>> + Send;
}

/// A listener and its connections. It stops when dropped.
pub(super) struct Serving {
    pub(super) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Serving {
    /// Serves plain HTTP/1.1.
    pub(super) fn start(listener: TcpListener, handler: impl Handle) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(handler, listener, stopped));
        Ok(Self { address, stop: Some(stop), task })
    }

    /// Closes the socket and all connections, including those with a request in flight.
    pub(super) async fn shutdown(mut self) {
        drop(self.stop.take());
        // The task completes by itself; an error could only be its panic.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The connections are owned by the task.
        self.task.abort();
    }
}

/// Wait after a failed `accept`, before the next one.
const PAUSE: Duration = Duration::from_millis(100);

/// A source of connections.
trait Accept {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        Self::accept(self)
    }
}

async fn accept(handler: impl Handle, listener: impl Accept, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            (stream, peer) = next_connection(&listener) => {
                connections.spawn(connection(handler.clone(), stream, peer));
            }
            // Removes finished connections from the set. Their resources may be what `accept` lacked, so a finished
            // connection also ends the wait.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn next_connection(listener: &impl Accept) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // For example, the process is out of file descriptors. An immediate retry would fail again.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn connection(handler: impl Handle, stream: TcpStream, peer: SocketAddr) {
    // Nagle's algorithm would delay these small responses until an acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(handler.clone(), request, peer));
    // An error means that the client went away, or is a scripted fault.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An error makes hyper close the connection without a response.
async fn answer(
    handler: impl Handle,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<AnswerBody>, io::Error> {
    let (parts, body) = request.into_parts();
    // Reads past the instance's limit, because closing a connection with unread data can discard the response.
    let body = match Limited::new(body, 8 * MAX_REQUEST).collect().await {
        Ok(body) => body.to_bytes(),
        // The body is far over the limit, which is all that the instance needs to know, or the client went away.
        Err(_) => Bytes::from(vec![0; MAX_REQUEST + 1]),
    };
    match handler.handle(Request::from_parts(parts, body), peer.ip()).await {
        Ok(response) => Ok(response.map(|body| AnswerBody { left: Some(body), breaks_off: None })),
        Err(ConnectionFault::Truncated(response)) => {
            let response = *response;
            let length = response.body().len();
            let half = response.body().slice(..length / 2);
            let mut response =
                response.map(|_| AnswerBody { left: Some(half), breaks_off: Some(Flush::Due) });
            // Announces the full length; hyper closes the connection when the body ends early.
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            Ok(response)
        }
        Err(_) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
    }
}

/// A body in one piece, which may end with an error.
struct AnswerBody {
    left: Option<Bytes>,
    breaks_off: Option<Flush>,
}

/// hyper drops unwritten bytes when a body fails, so the body first yields once to let hyper write.
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
    use crate::fake::FakeClerk;

    /// A listener in a process without free file descriptors.
    struct Exhausted(Arc<AtomicU32>);

    impl Accept for Exhausted {
        async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            assert!(asked < 1000, "asked again and again without a pause");
            Err(io::Error::other("too many open files"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_accept_is_retried_after_a_pause() {
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
