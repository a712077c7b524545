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
//! | `GET /admin` | users with the role `org:admin`; needs `CLERK_ORGANIZATION` | as `/me` |
//! | `GET /me` with an API key | API keys, where `ACCEPT_API_KEYS` is on | the key as JSON: id, subject, name, scopes |
//! | `GET /keys/invoices` | API keys with the scope `invoices:read` | as `/me` with an API key |
//! | `GET /invoices` | users with the permission `org:invoices:manage`; needs `CLERK_ORGANIZATION` | as `/me` |
//! | `POST /webhooks/clerk` | Clerk's webhooks, by their signature; needs `CLERK_WEBHOOK_SIGNING_SECRET` | 204 |
//! | `GET /healthz` | anyone | `ok` |
//! | `GET /readyz` | load balancers | 200, or 503 with the reason while it stops, and from the start while this instance lets nobody in |
//! | `GET /metrics` | anyone | metrics in the Prometheus text format |
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `CLERK_PUBLISHABLE_KEY` | the instance, by its publishable key from Clerk's dashboard | the stand-in |
//! | `CLERK_FAPI_URL` | the instance, by the URL of its Frontend API; takes precedence over the key | |
//! | `CLERK_SECRET_KEY` | the instance's secret key; sign-ins then use the Backend API | |
//! | `CLERK_SECRET_KEY_FILE` | a file whose first line is the secret key, in place of it | |
//! | `CLERK_API_URL` | the URL of the Backend API | `https://api.clerk.com` |
//! | `CLERK_ORGANIZATION` | id or slug of the organization of `/me`, `/optional`, `/admin` and `/invoices` | the personal account |
//! | `CLERK_JWT_TEMPLATE` | the JWT template of the tokens | session tokens |
//! | `CLERK_WEBHOOK_SIGNING_SECRET` | the signing secret of the endpoint `/webhooks/clerk`, or several with commas between | no such route |
//! | `CLERK_WEBHOOK_SIGNING_SECRET_FILE` | a file whose first line is that, in place of it | |
//! | `ACCEPT_BEARER` | `1`: a session token as `Authorization: Bearer` is accepted, too | off |
//! | `ACCEPT_API_KEYS` | `1`: an API key of Clerk as the password of the user `__token__` is accepted, too; needs `CLERK_SECRET_KEY` | off |
//! | `AUTHORIZED_PARTIES` | origins, separated by commas, that such a token must be issued for | any |
//! | `STORE_FILE` | the SQLite file (mode 600) of what survives a restart, so that it costs no sign-in | in memory |
//! | `REDIS_URL` | a Redis or Valkey that replicas share: `redis://`, `rediss://`, `unix://`; not with `STORE_FILE` | none |
//! | `STORE_KEYS` | the keys that either is encrypted under, 32 bytes each in base64, the current one first, with commas between | `STORE_FILE.key`, made at the first start; with `REDIS_URL` required |
//! | `STORE_KEYS_FILE` | a file with these keys in its place, one a line | |
//! | `FAKE_CLERK_WEBHOOK_URL` | a URL to which the stand-in sends webhooks, `http://HOST:PORT/PATH` | none |
//! | `FAKE_CLERK_WEBHOOK_SECRET` | the secret that signs them, `whsec_…` | a fixed one |
//! | `LISTEN_ADDR` | an IP address or a host name, and a port; port 0 picks a free one | `127.0.0.1:3000` |
//! | `SESSION_TTL_SECS` | seconds for which a verified password stays valid | 3600 |
//! | `NEGATIVE_TTL_SECS` | seconds for which the first refusal of a credential is remembered | 10 |
//! | `UPSTREAM_TIMEOUT_MS` | milliseconds within which Clerk must respond | 5000 |
//! | `MAX_SESSIONS` | maximum number of cached sessions | 10000 |
//! | `SIGN_IN_RATE` | the budget of sign-ins, such as `5/10s`, or `off` | `5/10s` |
//! | `RUST_LOG` | the filter of the log, which goes to stderr | `info` |
//! | `LOG_FORMAT` | `text` or `json` | `text` |
//! | `NO_COLOR` | no colours in a log on a terminal; elsewhere it has none | |
//!
//! An empty variable counts as unset. An unusable value ends the program with exit code 2, and a line that names the
//! variable. Other variables that begin with `CLERK_` are warned of.
//!
//! `/me` shows the JWT without its signature, unless the instance is on this machine.

#[path = "../common/api_keys.rs"]
mod api_keys;
mod readiness;
#[path = "../common/run.rs"]
mod run;
#[path = "../common/settings.rs"]
mod settings;
mod shown;
#[path = "../common/store.rs"]
mod store;

use std::process::ExitCode;

use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use run::Unready;
use serde_json::{Value, json};
use settings::Settings;
use store::Store;
use tokio::net::TcpListener;
use tower_clerk::webhook::{ClerkWebhookService, WebhookSecrets};
use tower_clerk::{Clerk, ClerkPrincipal, ConfigError, OrganizationSelector, Permission, Requirement, Role};

/// Histogram buckets for the latency of calls to Clerk, in seconds.
const LATENCIES: [f64; 8] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The routes to print at startup.
const ROUTES: [&str; 9] = [
    "/me",
    "/optional",
    "/orgs/{org}/me",
    "/admin",
    "/invoices",
    "/keys/invoices",
    "/healthz",
    "/readyz",
    "/metrics",
];

const WEBHOOKS: &str = "/webhooks/clerk";

const ADMIN: Role = Role::new("org:admin");
const MANAGE_INVOICES: Permission = Permission::new("org:invoices:manage");

#[tokio::main]
async fn main() -> ExitCode {
    let (mut settings, webhook_secrets, store, listener) = match prepare().await {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match serve(&mut settings, webhook_secrets, store, listener).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that depends on the environment. An error begins with the name of a variable.
async fn prepare() -> Result<(Settings, Option<WebhookSecrets>, Store, TcpListener), String> {
    run::log()?;
    let settings = Settings::from_env()?;
    let webhook_secrets = WebhookSecrets::from_env().map_err(|error| error.to_string())?;
    let listener = run::listen(settings.listen_addr).await?;
    let store = Store::from_env(settings::variable)?;
    Ok((settings, webhook_secrets, store, listener))
}

async fn serve(
    settings: &mut Settings,
    webhook_secrets: Option<WebhookSecrets>,
    store: Store,
    listener: TcpListener,
) -> Result<(), Box<dyn std::error::Error>> {
    let address = listener.local_addr()?;
    let (builder, stand_in) = match settings.clerk.take() {
        Some(builder) => (builder, None),
        None => {
            let credentials = api_keys::credentials(settings.accepts_api_keys);
            let lines: Vec<_> =
                credentials.iter().map(|of| format!("curl {of} http://{address}/me")).collect();
            let stand_in =
                run::start_stand_in(settings.has_no_sign_in_rate(), settings.stand_in_webhook.take(), &lines)
                    .await?;
            (api_keys::on_stand_in(&stand_in, settings.accepts_api_keys), Some(stand_in))
        }
    };
    let clerk = store.apply(settings.apply(builder)).build()?;
    run::log_api(&clerk);
    tracing::info!("routes: {}", ROUTES.join(", "));
    if settings.organization.is_none() {
        tracing::info!(
            "/admin and /invoices need an organization, such as CLERK_ORGANIZATION=acme; without it they answer 403"
        );
    }
    let prometheus = PrometheusBuilder::new().set_buckets(&LATENCIES)?.install_recorder()?;
    Clerk::describe_metrics();
    let unready = Unready::default();
    let mut app = app(settings, &clerk, prometheus)?.merge(readiness::route(unready.subscribe()));
    if let Some(secrets) = webhook_secrets {
        // Outside of the layer: the signature takes the place of credentials.
        app = app.route_service(WEBHOOKS, ClerkWebhookService::new(clerk.clone(), secrets));
        tracing::info!("POST {WEBHOOKS} takes Clerk's webhooks");
    }
    run::run(address, &clerk, &unready, |stopped| {
        axum::serve(listener, app).with_graceful_shutdown(stopped).into_future()
    })
    .await?;
    // Ending the sessions needs the stand-in, so it lives until here.
    drop(stand_in);
    Ok(())
}

fn app(settings: &Settings, clerk: &Clerk, prometheus: PrometheusHandle) -> Result<Router, ConfigError> {
    let counted = clerk.clone();
    let mut layer = settings.layer(clerk)?.problem_json();
    let of_path = layer.clone().organization_by(OrganizationSelector::path("/orgs/{org}/me"))?;
    if let Some(organization) = &settings.organization {
        layer = layer.organization(organization)?;
    }
    let admin = layer.require(Requirement::new().role(ADMIN))?;
    let invoices = layer.require(Requirement::new().permission(MANAGE_INVOICES))?;
    let readers = layer.require(Requirement::new().scope("invoices:read"))?;
    Ok(Router::new()
        .route("/me", get(me))
        .route("/keys/invoices", get(me).layer(readers))
        .route("/admin", get(me).layer(admin))
        .route("/invoices", get(me).layer(invoices))
        .route_layer(layer.clone())
        .route("/optional", get(optional_me).layer(layer.optional()))
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

async fn me(principal: ClerkPrincipal, headers: HeaderMap) -> Json<Value> {
    Json(shown::principal(&principal, &headers))
}

async fn optional_me(principal: Option<ClerkPrincipal>, headers: HeaderMap) -> Json<Value> {
    Json(principal.map_or(json!({ "user_id": null }), |principal| shown::principal(&principal, &headers)))
}
