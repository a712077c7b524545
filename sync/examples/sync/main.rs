//! An API whose rows belong to organizations, beside a mirror of Clerk's users.
//!
//! `cargo run --example sync` needs nothing: without `CLERK_PUBLISHABLE_KEY` it starts a stand-in for Clerk inside its own
//! process, with a SQLite file in a temporary folder, and prints lines to try.
//!
//! | route | for | answers |
//! |---|---|---|
//! | `GET /orgs/{org}/notes` | members of the organization | its notes, with the names of their authors from the mirror |
//! | `POST /orgs/{org}/notes` | members of the organization | 204: the body is a new note |
//! | `POST /webhooks/clerk` | Clerk's webhooks, by their signature | 204 |
//! | `GET /healthz` | anyone | the age of the last event, and the size of the quarantine |
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `CLERK_PUBLISHABLE_KEY` | the instance, by its publishable key from Clerk's dashboard | the stand-in |
//! | `CLERK_SECRET_KEY` | the instance's secret key, for the read of a user who signs in before the webhook arrives | none |
//! | `CLERK_WEBHOOK_SIGNING_SECRET` | the signing secret of the endpoint `/webhooks/clerk` | needed with a key |
//! | `DATABASE_URL` | `sqlite://PATH` or `postgres://…` | a file in a temporary folder |
//! | `LISTEN_ADDR` | an IP address and a port; port 0 picks a free one | `127.0.0.1:3000` |

mod follower;
mod notes;

use std::env;
use std::error::Error;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_clerk::testing::{FakeClerk, WebhookEndpoint};
use tower_clerk::webhook::{ClerkWebhookService, WebhookSecrets};
use tower_clerk::{Clerk, ClerkBasicAuthLayer, OrganizationSelector};
use tower_clerk_sync::{Mirror, MirrorError};

use crate::notes::Notes;

/// The secret by which the stand-in signs its webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let address = variable("LISTEN_ADDR").unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(&address).await;
    let listener = listener.map_err(|error| format!("LISTEN_ADDR: can't listen on {address}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);

    let (clerk, secrets, stand_in) = match variable("CLERK_PUBLISHABLE_KEY") {
        Some(key) => {
            let mut clerk = Clerk::builder(key);
            if let Some(key) = variable("CLERK_SECRET_KEY") {
                clerk = clerk.secret_key(key);
            }
            let secrets = WebhookSecrets::from_env()?.ok_or("CLERK_WEBHOOK_SIGNING_SECRET is not set")?;
            (clerk.build()?, secrets, None)
        }
        None => {
            let fake = FakeClerk::new();
            fake.add_webhook(WebhookEndpoint::at(&format!("{url}/webhooks/clerk"), SECRET.parse()?)?);
            let server = fake.serve("127.0.0.1:0").await?;
            let clerk = Clerk::builder(server.url()).secret_key(fake.secret_key()).backend_url(server.url());
            (clerk.build()?, WebhookSecrets::parse(SECRET)?, Some((fake, server)))
        }
    };
    let folder = env::temp_dir().join(format!("clerk-sync-example-{}", std::process::id()));
    let database = match variable("DATABASE_URL") {
        Some(database) => database,
        None => {
            std::fs::create_dir_all(&folder)?;
            format!("sqlite://{}", folder.join("example.db").display())
        }
    };
    let mut mirror = Mirror::builder(&database);
    if let Some(backend) = clerk.backend() {
        mirror = mirror.client(backend);
    }
    let mirror = mirror.connect().await?;
    // The application's own tables, in the same database, by its own connections.
    let notes = Notes::open(&database, mirror.clone()).await?;
    tokio::spawn(follower::follow(notes.clone(), mirror.clone()));

    let app = app(clerk.clone(), secrets, mirror, notes)?;
    // Before the address is announced, because from then on another process may send a signal.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    println!("listening on {url}");
    if let Some((fake, server)) = &stand_in {
        print_lines(&url, fake, &server.url());
    }
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await?;
    clerk.shutdown(Duration::from_secs(5)).await;
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}

fn app(
    clerk: Clerk,
    secrets: WebhookSecrets,
    mirror: Mirror,
    notes: Notes,
) -> Result<Router, Box<dyn Error>> {
    let layer = ClerkBasicAuthLayer::new(clerk.clone())
        .problem_json()
        .organization_by(OrganizationSelector::path("/orgs/{org}/notes"))?;
    Ok(Router::new()
        .route("/orgs/{org}/notes", get(notes::list).post(notes::add))
        .layer(layer)
        .with_state(notes)
        // Routes that are added after the layer are outside of it: Clerk sends no credentials, but a signature.
        .route("/healthz", get(health).with_state(mirror.clone()))
        // The mirror is one line.
        .route_service("/webhooks/clerk", ClerkWebhookService::new(clerk, secrets).sink(mirror)))
}

/// A stalled mirror is silent, so the program says how old the last event is.
async fn health(State(mirror): State<Mirror>) -> Result<Json<Value>, String> {
    let status = mirror.status().await.map_err(|error: MirrorError| error.to_string())?;
    Ok(Json(json!({
        "last_event_age_secs": status.last_event_age.map(|age| age.as_secs()),
        "quarantined": status.quarantined,
    })))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn print_lines(url: &str, fake: &FakeClerk, clerk: &str) {
    let key = fake.secret_key();
    let jane = fake.user_id("jane@example.com").unwrap_or_default();
    println!("try, one after the other:");
    println!("  curl -u 'jane:correct horse battery staple' -d 'buy milk' {url}/orgs/acme/notes");
    println!("  curl -u 'bob:hunter2hunter2' {url}/orgs/acme/notes");
    println!(
        "  curl -X PATCH -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{{\"first_name\":\"Janet\"}}' \
         {clerk}/v1/users/{jane}"
    );
    println!("  curl -u 'bob:hunter2hunter2' {url}/orgs/acme/notes");
    println!("  curl -X DELETE -H 'Authorization: Bearer {key}' {clerk}/v1/users/{jane}");
    println!("  curl -u 'bob:hunter2hunter2' {url}/orgs/acme/notes");
    println!("  curl {url}/healthz");
}
