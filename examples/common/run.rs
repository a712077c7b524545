//! Serving until a signal arrives, then draining requests and ending the Clerk sessions.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_clerk::testing::{FakeClerk, FakeClerkServer};
use tower_clerk::{Clerk, ClerkApi, ClerkBuilder};
use tracing_subscriber::EnvFilter;

/// Time for requests in flight to finish.
const DRAIN: Duration = Duration::from_secs(5);
/// Time for ending the Clerk sessions after that.
const END: Duration = Duration::from_secs(4);

/// Ends when the server must accept no more connections.
pub(crate) type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Logs to stderr, warnings by default.
pub(crate) fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
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
pub(crate) async fn start_stand_in(unlimited: bool, try_lines: &[String]) -> io::Result<FakeClerkServer> {
    let fake = if unlimited { FakeClerk::builder().no_rate_limit() } else { FakeClerk::builder() };
    let fake = fake.build().serve("127.0.0.1:0").await?;
    let url = fake.url();
    println!("no CLERK_PUBLISHABLE_KEY is set: a stand-in for Clerk runs inside this process at {url}");
    for line in try_lines {
        println!("try: {line}");
    }
    eprintln!("other accounts: see fake-clerk/README.md");
    if !unlimited {
        eprintln!("5 sign-ins in 10 s, as at Clerk; further ones wait. SIGN_IN_RATE=off lifts it.");
    }
    Ok(fake)
}

/// Returns the builder of an engine on the stand-in, with its secret key if API keys are accepted.
pub(crate) fn on_stand_in(stand_in: &FakeClerkServer, accepts_api_keys: bool) -> ClerkBuilder {
    let builder = Clerk::builder(stand_in.url());
    match accepts_api_keys {
        // It is the same for each stand-in.
        true => builder.secret_key(FakeClerk::new().secret_key()).backend_url(stand_in.url()),
        false => builder,
    }
}

/// The `curl` options that present an account of the stand-in, and those that present an API key.
pub(crate) fn credentials(accepts_api_keys: bool) -> Vec<String> {
    let mut credentials = vec!["-u 'jane@example.com:correct horse battery staple'".to_owned()];
    if accepts_api_keys {
        let (_, secret) = FakeClerk::new().demo_api_key("jane");
        credentials.push(format!("-u __token__:{secret}"));
    }
    credentials
}

/// Serves until a signal arrives, then drains requests and ends the Clerk sessions.
pub(crate) async fn run<F>(
    address: SocketAddr,
    clerk: &Clerk,
    serve: impl FnOnce(Stopped) -> F,
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    // Before the address is announced, because from then on another process may send a signal.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    println!("listening on http://{address}");
    tokio::spawn(report(clerk.clone()));
    let server = tokio::spawn(serve(Box::pin(async move { _ = stopped.wait_for(|stop| *stop).await })));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.send_replace(true);
    if tokio::time::timeout(DRAIN, server).await.is_err() {
        tracing::warn!("requests in flight did not end in time");
    }
    let left = clerk.shutdown(END).await;
    if left > 0 {
        tracing::warn!(left, "not all Clerk sessions could be ended in time");
    }
    Ok(())
}

/// Describes how the engine turns passwords into sessions.
pub(crate) fn api(clerk: &Clerk) -> &'static str {
    match clerk.stats().api {
        ClerkApi::Backend => "via: Backend API (the secret key verifies passwords, tickets open sessions)",
        _ => "via: Frontend API (each proof of a password is a sign-in)",
    }
}

/// Logs problems with the instance. The server starts regardless, because they may be fixed before the first request.
async fn report(clerk: Clerk) {
    for finding in clerk.preflight().await {
        if finding.kind().is_note() {
            tracing::info!("{finding}");
        } else {
            tracing::warn!("{finding}");
        }
    }
}
