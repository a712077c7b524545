//! An API behind the layer, configured from the environment.
//!
//! `cargo run --example server` needs nothing: without `CLERK_PUBLISHABLE_KEY` it starts a stand-in for Clerk inside
//! its own process and prints a `curl` line that works. `fake-clerk/README.md` lists further accounts.
//!
//! | route | for | answers |
//! |---|---|---|
//! | `GET /me` | signed-in users | the session as JSON: user, organization, claims, JWT |
//! | `GET /optional` | anyone | the same, or `{"user_id":null}` without credentials |
//! | `GET /orgs/{org}/me` | members of the organization in the path, by id or slug | as `/me`, for that organization |
//! | `GET /healthz` | anyone | `ok` |
//! | `GET /metrics` | anyone | metrics in the Prometheus text format |
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `CLERK_PUBLISHABLE_KEY` | the instance, by its publishable key from Clerk's dashboard | the stand-in |
//! | `CLERK_FAPI_URL` | the instance, by the URL of its Frontend API; takes precedence over the key | |
//! | `CLERK_SECRET_KEY` | the instance's secret key; sign-ins then use the Backend API | |
//! | `CLERK_SECRET_KEY_FILE` | a file whose first line is the secret key, in place of it | |
//! | `CLERK_API_URL` | the URL of the Backend API | `https://api.clerk.com` |
//! | `CLERK_ORGANIZATION` | id or slug of the organization of `/me` and `/optional` | the personal account |
//! | `CLERK_JWT_TEMPLATE` | the JWT template of the tokens | session tokens |
//! | `DEVICE_FILE` | the device file, for instances with Device Trust | in memory |
//! | `SESSION_STORE_FILE` | the file of sessions that survive a restart; needs `CLERK_SECRET_KEY` | in memory |
//! | `LISTEN_ADDR` | an IP address and a port; port 0 picks a free one | `127.0.0.1:3000` |
//! | `SESSION_TTL_SECS` | seconds for which a verified password stays valid | 3600 |
//! | `NEGATIVE_TTL_SECS` | seconds for which the first refusal of a credential is remembered | 10 |
//! | `UPSTREAM_TIMEOUT_MS` | milliseconds within which Clerk must respond | 5000 |
//! | `MAX_SESSIONS` | maximum number of cached sessions | 10000 |
//! | `SIGN_IN_RATE` | the budget of sign-ins, such as `5/10s`, or `off` | `5/10s` |
//! | `RUST_LOG` | the filter of the log, which goes to stderr | `warn` |
//!
//! An empty variable counts as unset. An unusable value ends the program with exit code 2, and a line that names the
//! variable.

mod settings;
mod stores;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::routing::get;
use axum::{Extension, Json, Router};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use settings::Settings;
use stores::Stores;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_clerk::testing::{FakeClerk, FakeClerkServer};
use tower_clerk::{Clerk, ClerkApi, ClerkBasicAuthLayer, ClerkSession, ConfigError, OrganizationSelector};
use tracing_subscriber::EnvFilter;

/// Time for requests in flight to finish.
const DRAIN: Duration = Duration::from_secs(5);
/// Time for ending the Clerk sessions after that.
const END: Duration = Duration::from_secs(4);

/// Histogram buckets for the latency of calls to Clerk, in seconds.
const LATENCIES: [f64; 8] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The routes to print at startup.
const ROUTES: [&str; 5] = ["/me", "/optional", "/orgs/{org}/me", "/healthz", "/metrics"];

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let listener = match TcpListener::bind(settings.listen_addr).await {
        Ok(listener) => listener,
        Err(error) => {
            let advice = match error.kind() {
                ErrorKind::AddrInUse => "; set LISTEN_ADDR (127.0.0.1:0 for a free port)",
                _ => "",
            };
            eprintln!("LISTEN_ADDR: can't listen on {}: {error}{advice}", settings.listen_addr);
            return ExitCode::from(2);
        }
    };
    let stores = match Stores::open(&settings) {
        Ok(stores) => stores,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match serve(&mut settings, stores, listener).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(
    settings: &mut Settings,
    stores: Stores,
    listener: TcpListener,
) -> Result<(), Box<dyn std::error::Error>> {
    let address = listener.local_addr()?;
    let (builder, stand_in) = match settings.clerk.take() {
        Some(builder) => (builder, None),
        None => {
            let stand_in = start_stand_in(settings, address).await?;
            (Clerk::builder(stand_in.url()), Some(stand_in))
        }
    };
    for note in &stores.notes {
        eprintln!("{note}");
    }
    let clerk = stores.apply(settings.apply(builder)).build()?;
    eprintln!("{}", api(&clerk));
    eprintln!("routes: {}", ROUTES.join(", "));
    let prometheus = PrometheusBuilder::new().set_buckets(&LATENCIES)?.install_recorder()?;
    Clerk::describe_metrics();
    let app = app(settings, &clerk, prometheus)?;
    run(listener, app, &clerk).await?;
    // Ending the sessions needs the stand-in, so it lives until here.
    drop(stand_in);
    Ok(())
}

/// Starts a stand-in for Clerk inside this process, and prints how to use it.
async fn start_stand_in(settings: &Settings, address: SocketAddr) -> io::Result<FakeClerkServer> {
    let unlimited = settings.has_no_sign_in_rate();
    let fake = if unlimited { FakeClerk::builder().no_rate_limit() } else { FakeClerk::builder() };
    let fake = fake.build().serve("127.0.0.1:0").await?;
    let url = fake.url();
    println!("no CLERK_PUBLISHABLE_KEY is set: a stand-in for Clerk runs inside this process at {url}");
    println!("try: curl -u 'jane@example.com:correct horse battery staple' http://{address}/me");
    eprintln!("other accounts: see fake-clerk/README.md");
    if !unlimited {
        eprintln!("5 sign-ins in 10 s, as at Clerk; further ones wait. SIGN_IN_RATE=off lifts it.");
    }
    Ok(fake)
}

/// Serves the API until a signal arrives, then drains requests and ends the Clerk sessions.
async fn run(listener: TcpListener, app: Router, clerk: &Clerk) -> io::Result<()> {
    let address = listener.local_addr()?;
    // Before the address is announced, because from then on another process may send a signal.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    println!("listening on http://{address}");
    tokio::spawn(report(clerk.clone()));
    let mut drained = stopped.clone();
    let server = tokio::spawn(
        axum::serve(listener, app)
            .with_graceful_shutdown(async move { _ = drained.wait_for(|stop| *stop).await })
            .into_future(),
    );
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
fn api(clerk: &Clerk) -> &'static str {
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

fn app(settings: &Settings, clerk: &Clerk, prometheus: PrometheusHandle) -> Result<Router, ConfigError> {
    let counted = clerk.clone();
    let mut layer = ClerkBasicAuthLayer::new(clerk.clone());
    if let Some(template) = &settings.template {
        layer = layer.template(template)?;
    }
    let of_path = layer.clone().organization_by(OrganizationSelector::path("/orgs/{org}/me"))?.problem_json();
    if let Some(organization) = &settings.organization {
        layer = layer.organization(organization)?;
    }
    let required = layer.clone().problem_json();
    let optional = layer.optional().problem_json();
    Ok(Router::new()
        .route("/me", get(me).layer(required))
        .route("/optional", get(optional_me).layer(optional))
        .route("/orgs/{org}/me", get(me).layer(of_path))
        .route("/healthz", get(|| async { "ok" }))
        .route(
            "/metrics",
            get(move || async move {
                counted.publish_metrics();
                prometheus.render()
            }),
        ))
}

async fn me(Extension(session): Extension<ClerkSession>, headers: HeaderMap) -> Json<Value> {
    Json(shown(&session, &headers))
}

async fn optional_me(request: Request) -> Json<Value> {
    Json(match request.extensions().get::<ClerkSession>() {
        Some(session) => shown(session, request.headers()),
        None => json!({ "user_id": null }),
    })
}

fn shown(session: &ClerkSession, headers: &HeaderMap) -> Value {
    let expires_at =
        session.expires_at().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    json!({
        "user_id": session.user_id(),
        "session_id": session.session_id(),
        "jwt": session.token(),
        "expires_at": expires_at,
        "organization": session.organization(),
        "authorization": headers.get(AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes())),
        "claims": session.custom_claims::<Value>().unwrap_or_default(),
    })
}
