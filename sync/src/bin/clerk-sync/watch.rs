//! `clerk-sync watch`: receives the webhooks, for applications that aren't written in Rust.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tower_clerk::webhook::ClerkWebhookService;
use tower_clerk_sync::Mirror;

use crate::args::{Options, Watch};
use crate::output::{Failure, print};
use crate::server;

/// The time for deliveries that are under way when the program is to end.
const DRAIN: Duration = Duration::from_secs(9);

/// How long an answer of the database is good for.
const FRESH: Duration = Duration::from_secs(1);

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
        .with_state(Arc::new(Readiness { mirror, last: Mutex::default() }));
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let stopped = async move { _ = stopped.wait_for(|stop| *stop).await };
    let mut server = tokio::spawn(server::serve(listener, app, server::CONNECTIONS, stopped));
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

/// Whether the database answers. Anybody may ask, so it is asked once at a time and once a second: a flood of requests must
/// leave its connections to the events.
struct Readiness {
    mirror: Mirror,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    async fn is_ready(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, is_ready)) = *last
            && at.elapsed() < FRESH
        {
            return is_ready;
        }
        let answered = self.mirror.ping().await;
        if let Err(error) = &answered {
            tracing::warn!(%error, "the mirror doesn't answer");
        }
        *last = Some((Instant::now(), answered.is_ok()));
        answered.is_ok()
    }
}

/// 200 while the database answers, and 503 otherwise. A load balancer then sends the events to another replica, and Clerk
/// sends those again that fail.
async fn ready(State(readiness): State<Arc<Readiness>>) -> (StatusCode, &'static str) {
    if readiness.is_ready().await {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database doesn't answer")
    }
}
