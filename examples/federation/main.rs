//! A build server's job and a partner's employee sign in without a password of Clerk's.
//!
//! `cargo run --example federation` needs nothing: a stand-in for Clerk, one for GitHub's token service and one for the
//! partner's identity provider run inside this process. It prints `curl` lines that work.
//!
//! | route | for | answers |
//! |---|---|---|
//! | `GET /me` | Clerk's tokens, and the job's own as `Bearer` | the user, and what the provider has said |
//! | `POST /auth/token` | the job's token, by RFC 8693 | Clerk's token |
//! | `GET /login` | the partner's employees | a redirect to their identity provider |
//! | `GET /callback` | what comes back from there | the user, and what the provider has said |
//! | `GET /healthz` | anyone | `ok` |
//!
//! With `CLERK_PUBLISHABLE_KEY` and `CLERK_SECRET_KEY` set, it uses your own instance, and GitHub's real tokens; the partner is
//! left out then. `LISTEN_ADDR` is `127.0.0.1:3000` by default, and these say which job is which user:
//!
//! | variable | meaning |
//! |---|---|
//! | `AUDIENCE` | the `audience` that the workflow asks a token for |
//! | `CI_SUBJECT` | the token's `sub`, such as `repo:acme/app:ref:refs/heads/main` |
//! | `CI_OWNER_ID` | the number of the organization at GitHub that owns the repository |
//! | `CI_USER` | the user at Clerk that the job acts as, `user_…` |

mod partner;
#[allow(dead_code, reason = "the stand-in is another one")]
#[path = "../common/run.rs"]
mod run;
mod stand_in;

use std::env;
use std::error::Error;
use std::net::SocketAddr;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tower_clerk::federation::{Provider, WorkloadRule};
use tower_clerk::token_endpoint::TokenEndpoint;
use tower_clerk::{BearerTokens, Clerk, ClerkBasicAuthLayer, ClerkBuilder, ClerkSession, ConfigError};

use partner::Partner;
use stand_in::StandIn;

/// The issuer of GitHub's tokens for jobs.
pub(crate) const GITHUB: &str = "https://token.actions.githubusercontent.com";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run::log()?;
    let address = env::var("LISTEN_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let address: SocketAddr =
        address.parse().map_err(|_| format!("LISTEN_ADDR: {address:?} is no address"))?;
    let listener = run::listen(address).await?;
    let address = listener.local_addr()?;
    let (clerk, stand_in) = match env::var("CLERK_PUBLISHABLE_KEY") {
        Ok(key) if !key.is_empty() => (engine(ClerkBuilder::from_env()?)?, None),
        _ => {
            let stand_in = StandIn::start(address);
            stand_in.print_try_lines();
            (stand_in.engine()?, Some(stand_in))
        }
    };
    let mut app = routes(&clerk)?;
    if let Some(stand_in) = &stand_in {
        let partner = Partner::new(clerk.clone(), address);
        app = app.merge(partner.routes()).nest("/stand-in", stand_in.routes());
    }
    run::run(address, &clerk, &run::Unready::default(), |stopped| {
        axum::serve(listener, app).with_graceful_shutdown(stopped).into_future()
    })
    .await?;
    Ok(())
}

/// The engine for an instance of one's own, which takes the tokens of one job of GitHub's.
fn engine(clerk: ClerkBuilder) -> Result<Clerk, Box<dyn Error>> {
    let needed = |name: &str| env::var(name).map_err(|_| format!("{name}: must be set"));
    let rule = WorkloadRule::new(needed("CI_SUBJECT")?, needed("CI_USER")?).owner_id(needed("CI_OWNER_ID")?);
    Ok(clerk.provider(Provider::github_actions(needed("AUDIENCE")?).rule(rule)).build()?)
}

/// The routes that a job uses: either does.
fn routes(clerk: &Clerk) -> Result<Router, ConfigError> {
    let tokens = BearerTokens::new().provider(GITHUB);
    let layer = ClerkBasicAuthLayer::new(clerk.clone()).accept_bearer_only(tokens)?.problem_json();
    let exchange = TokenEndpoint::new(clerk.clone()).token_exchange_only()?;
    Ok(Router::new()
        .route("/me", get(async |session: ClerkSession| Json(about(&session))))
        .route_layer(layer)
        .route_service("/auth/token", exchange)
        .route("/healthz", get(async || "ok")))
}

/// The user of a session, and what the provider has said about the sign-in.
pub(crate) fn about(session: &ClerkSession) -> Value {
    let assurance = session.assurance().map(|assurance| {
        json!({
            "provider": assurance.provider(),
            "subject": assurance.subject(),
            "amr": assurance.amr().collect::<Vec<_>>(),
            "is_workload": assurance.is_workload(),
        })
    });
    json!({ "user_id": session.user_id(), "assurance": assurance })
}
