//! Serving until a signal arrives, then draining requests and ending the Clerk sessions.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_clerk::testing::{FakeClerk, FakeClerkBuilder, FakeClerkServer, WebhookEndpoint};
use tower_clerk::{Clerk, ClerkApi};

pub(crate) use watch::Unready;

#[path = "log.rs"]
mod log;
#[path = "watch.rs"]
mod watch;

/// Time for requests in flight to finish.
const DRAIN: Duration = Duration::from_secs(5);
/// Time for ending the Clerk sessions after that.
const END: Duration = Duration::from_secs(4);

/// Ends when the server must accept no more connections.
pub(crate) type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts the log. An error begins with the name of its variable.
pub(crate) fn log() -> Result<(), String> {
    log::start()
}

/// Opens the port. An error begins with the name of its variable.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "; set LISTEN_ADDR (127.0.0.1:0 for a free port)",
            _ => "",
        };
        format!("LISTEN_ADDR: can't listen on {address}: {error}{advice}")
    })
}

/// Starts a stand-in for Clerk inside this process, and prints how to use it: `try_lines` work as they are.
pub(crate) async fn start_stand_in(
    unlimited: bool,
    webhook: Option<WebhookEndpoint>,
    try_lines: &[String],
) -> io::Result<FakeClerkServer> {
    let fake = if unlimited { FakeClerk::builder().no_rate_limit() } else { FakeClerk::builder() };
    let sends_webhooks = webhook.is_some();
    let clerk = webhook.into_iter().fold(fake, FakeClerkBuilder::webhook).build();
    let fake = clerk.serve("127.0.0.1:0").await?;
    let url = fake.url();
    println!("no CLERK_PUBLISHABLE_KEY is set: a stand-in for Clerk runs inside this process at {url}");
    for line in try_lines {
        println!("try: {line}");
    }
    if let Some(jane) = clerk.user_id("jane").filter(|_| sends_webhooks) {
        let key = clerk.secret_key();
        tracing::info!("a webhook: curl -X POST {url}/v1/users/{jane}/ban -H 'Authorization: Bearer {key}'");
    }
    tracing::info!("other accounts: see fake-clerk/README.md");
    if !unlimited {
        tracing::info!("5 sign-ins in 10 s, as at Clerk; further ones wait. SIGN_IN_RATE=off lifts it.");
    }
    Ok(fake)
}

/// Serves until a signal arrives, then drains requests and ends the Clerk sessions.
pub(crate) async fn run<F>(
    address: SocketAddr,
    clerk: &Clerk,
    unready: &Unready,
    serve: impl FnOnce(Stopped) -> F,
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    // Before the address is announced, because from then on another process may send a signal.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    println!("listening on http://{address}");
    tracing::info!(%address, "listening");
    log::warn_of_unknown_variables();
    let server = tokio::spawn(serve(Box::pin(async move { _ = stopped.wait_for(|stop| *stop).await })));
    let watch = async { _ = tokio::join!(watch::findings(clerk, unready), watch::waits(clerk)) };
    let by = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "Ctrl-C",
        // It never ends.
        () = watch => "nothing",
    };
    tracing::info!(by, "stopping: requests in flight have {} s to end", DRAIN.as_secs());
    unready.send_replace(Some("shutting down".to_owned()));
    stop.send_replace(true);
    if tokio::time::timeout(DRAIN, server).await.is_err() {
        tracing::warn!("requests in flight did not end in time");
    }
    let left = clerk.shutdown(END).await;
    if left > 0 {
        tracing::warn!(left, "not all Clerk sessions could be ended in time");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Logs how the engine turns passwords into sessions.
pub(crate) fn log_api(clerk: &Clerk) {
    let api = match clerk.stats().api {
        ClerkApi::Backend => "Backend API (the secret key verifies passwords, tickets open sessions)",
        _ => "Frontend API (each proof of a password is a sign-in)",
    };
    tracing::info!("via: {api}");
}
