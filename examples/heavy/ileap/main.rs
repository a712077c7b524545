//! The host of a data provider in the PACT and iLEAP network, whose partners have their accounts in Clerk.
//!
//! `cargo run --example ileap` needs nothing: without `CLERK_PUBLISHABLE_KEY` it starts a stand-in for Clerk inside its own
//! process, and it serves a small data set. It prints `curl` lines that work. `docs/ileap.md` describes the whole.
//!
//! | route | for | answers |
//! |---|---|---|
//! | `POST /auth/token`, `POST /` | client credentials as HTTP Basic | an access token, which is Clerk's own JWT |
//! | `GET /.well-known/openid-configuration` | anyone | where the token endpoint and the keys are |
//! | `GET /jwks` | anyone | the keys that verify access tokens |
//! | `GET /2/footprints` | access tokens | footprints; `limit`, `$filter` |
//! | `GET /2/footprints/{id}` | access tokens | one footprint |
//! | `GET /2/ileap/tad` | access tokens | transport activity data; `limit`, `mode` and others |
//! | `POST /2/events` | access tokens | 200 to an event of PACT |
//! | `GET /healthz` | anyone | `ok` |
//!
//! The variables of the example `server` set up the engine; access tokens are for `CLERK_ORGANIZATION` and of
//! `CLERK_JWT_TEMPLATE`, if they are set. `ACCEPT_BEARER` is needed for `AUTHORIZED_PARTIES` only. These are the host's own:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `PUBLIC_URL` | the beginning of absolute links; needed if it listens on `0.0.0.0` or `[::]` | the address that it listens on |
//! | `TOKEN_AUDIENCE` | the `aud` that `CLERK_JWT_TEMPLATE` sets; both or neither | |
//! | `TRUSTED_PROXIES` | networks whose `X-Forwarded-For` names the client, such as `10.0.0.0/8,::1` | none |

#[path = "../common/addresses.rs"]
mod addresses;
mod answer;
mod auth;
mod errors;
mod events;
mod filter;
mod footprints;
mod host;
mod model;
mod options;
mod page;
#[path = "../../common/run.rs"]
mod run;
mod sample;
#[allow(dead_code, reason = "the host makes its layer itself")]
#[path = "../../common/settings.rs"]
mod settings;
mod source;
#[path = "../../common/store.rs"]
mod store;
mod tad;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::net::TcpListener;
use tower_clerk::Clerk;

use host::Host;
use options::Options;
use run::Unready;
use sample::Sample;
use store::Store;

#[tokio::main]
async fn main() -> ExitCode {
    let (mut options, store, listener) = match prepare().await {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match serve(&mut options, store, listener).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that depends on the environment. An error begins with the name of a variable.
async fn prepare() -> Result<(Options, Store, TcpListener), String> {
    run::log()?;
    let options = Options::from_env()?;
    let listener = run::listen(options.engine.listen_addr).await?;
    let store = Store::from_env(settings::variable)?;
    Ok((options, store, listener))
}

async fn serve(options: &mut Options, store: Store, listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let address = listener.local_addr()?;
    let (builder, stand_in) = match options.engine.clerk.take() {
        Some(builder) => (builder, None),
        None => {
            let stand_in = run::start_stand_in(
                options.engine.has_no_sign_in_rate(),
                options.engine.stand_in_webhook.take(),
                &try_lines(address),
            )
            .await?;
            (Clerk::builder(stand_in.url()), Some(stand_in))
        }
    };
    let clerk = store.apply(options.engine.apply(builder)).build()?;
    run::log_api(&clerk);
    let public_url = options.public_url.take().unwrap_or_else(|| format!("http://{address}"));
    let host = Host { source: Sample::new()?, public_url };
    let app = host.router(&clerk, &options.authentication)?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    run::run(address, &clerk, &Unready::default(), |stopped| {
        axum::serve(listener, app).with_graceful_shutdown(stopped).into_future()
    })
    .await?;
    // Ending the sessions needs the stand-in, so it lives until here.
    drop(stand_in);
    Ok(())
}

/// The whole flow as commands for one shell, with an account of the stand-in.
fn try_lines(address: SocketAddr) -> Vec<String> {
    let url = format!("http://{address}");
    let token = r#"sed 's/.*"access_token":"\([^"]*\)".*/\1/'"#;
    let event = r#"{"specversion":"1.0","id":"1","source":"//partner.example.com","type":"org.wbcsd.pathfinder.ProductFootprintRequest.Created.v1","data":{"pf":{"productIds":["urn:pathfinder:product:customcode:vendor-assigned:shipment:S-1001"]}}}"#;
    let bearer = r#"-H "Authorization: Bearer $TOKEN""#;
    vec![
        format!("curl {url}/.well-known/openid-configuration"),
        format!("curl {url}/jwks"),
        format!(
            "TOKEN=$(curl -s -u 'jane@example.com:correct horse battery staple' -d grant_type=client_credentials \
             {url}/auth/token | {token})"
        ),
        format!("curl -i {bearer} '{url}/2/footprints?limit=2'"),
        format!("curl {bearer} \"{url}/2/footprints?%24filter=created+ge+'2025-03-01T00:00:00%2B01:00'\""),
        format!("curl {bearer} {url}/2/footprints/5b0e3f5c-2f0b-4d52-9a53-0f6f0a4f7c21"),
        format!("curl {bearer} '{url}/2/ileap/tad?mode=Road'"),
        format!(
            "curl -i {bearer} -H 'Content-Type: application/cloudevents+json' -d '{event}' {url}/2/events"
        ),
    ]
}
