//! `clerk-sync watch`: receives the webhooks, for applications that aren't written in Rust.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_clerk::webhook::ClerkWebhookService;
use tower_clerk_sync::Mirror;

use crate::args::{Options, Watch};
use crate::output::{Failure, print};

/// The time for deliveries that are under way when the program is to end.
const DRAIN: Duration = Duration::from_secs(9);

pub(crate) async fn watch(options: &Options, arguments: &Watch) -> Result<(), Failure> {
    let (address, secrets) = (arguments.address()?, arguments.secrets()?);
    let mirror = match options.client_if_any()? {
        Some(client) => options.mirror_with(client).await?,
        None => options.mirror().await?,
    };
    let failed = |error: io::Error| Failure::new(format!("can't wait for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let listener = TcpListener::bind(address).await;
    let listener = listener
        .map_err(|error| Failure::setting(format!("LISTEN_ADDR: can't listen on {address}: {error}")))?;
    let address = listener.local_addr().map_err(|error| Failure::new(error.to_string()))?;
    let webhooks = ClerkWebhookService::without_engine(secrets).sink(mirror.clone());
    let app = Router::new()
        .route_service("/webhooks/clerk", webhooks)
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .with_state(mirror);
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let server = axum::serve(listener, app)
        .with_graceful_shutdown(async move { _ = stopped.wait_for(|stop| *stop).await })
        .into_future();
    let mut server = tokio::spawn(server);
    print(&format!("listening on http://{address}"));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        ended = &mut server => {
            return Err(Failure::new(format!("the server ended: {ended:?}")));
        }
    }
    stop.send_replace(true);
    if tokio::time::timeout(DRAIN, server).await.is_err() {
        tracing::warn!("deliveries that were under way did not end in time: Clerk sends them again");
    }
    Ok(())
}

/// 200 while the database answers, and 503 otherwise. A load balancer then sends the events to another replica, and Clerk
/// sends those again that fail.
async fn ready(State(mirror): State<Mirror>) -> (StatusCode, &'static str) {
    match mirror.ping().await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(error) => {
            tracing::warn!(%error, "the mirror doesn't answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the database doesn't answer")
        }
    }
}
