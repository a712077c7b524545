//! The server of `watch`. It is on the internet, and axum's own knows neither a bound of its connections nor a time for the head of
//! a request: a thousand sockets that say nothing would keep Clerk's sender out.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at once. Further ones wait in the system's queue.
pub(crate) const CONNECTIONS: usize = 512;

/// The time for the head of a request. The webhook service has one for the body.
const HEAD: Duration = Duration::from_secs(10);

/// The pause after a connection that could not be accepted, as when the process has no file left.
const NO_FILE: Duration = Duration::from_millis(100);

/// Serves until it is told to stop, and then to the end of the requests that are under way.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    connections: usize,
    stop: impl Future<Output = ()>,
) {
    let (places, open) = (Arc::new(Semaphore::new(connections)), GracefulShutdown::new());
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    // A connection that stays open would keep its place between two requests. Clerk's sender is as well served by a new one.
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false);
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, socket) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let Ok((socket, _)) = socket else {
            tokio::time::sleep(NO_FILE).await;
            continue;
        };
        let service = TowerToHyperService::new(app.clone());
        let connection = http.serve_connection(TokioIo::new(socket), service).into_owned();
        let connection = open.watch(connection);
        tokio::spawn(async move {
            _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    open.shutdown().await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn y9_an_answered_connection_gives_its_place_back_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/", get(async || "ok"));
        tokio::spawn(serve(listener, app, 1, std::future::pending()));
        let began = tokio::time::Instant::now();
        let mut open = Vec::new();
        for _ in 0..3 {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            open.push(socket);
        }
        assert!(began.elapsed() < HEAD, "{:?}", began.elapsed());
    }

    // The clock jumps to the end of a time whenever nothing else is to do.
    #[tokio::test(start_paused = true)]
    async fn y9_sockets_that_say_nothing_keep_no_delivery_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/", get(async || "ok"));
        tokio::spawn(serve(listener, app, 4, std::future::pending()));
        let mut silent = Vec::new();
        for _ in 0..4 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        // A head that never ends.
        silent[0].write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        for mut socket in silent {
            let mut answer = Vec::new();
            // Closed, or reset.
            _ = socket.read_to_end(&mut answer).await;
            assert!(!answer.starts_with(b"HTTP/1.1 200"));
        }
    }
}
