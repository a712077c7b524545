//! A reverse proxy in front of a service that knows Clerk's JWTs or identity headers, but not HTTP Basic.
//!
//! `cargo run --example gateway` needs nothing: without `CLERK_PUBLISHABLE_KEY` it starts a stand-in for Clerk inside
//! its own process, and without `UPSTREAM_URL` an upstream that shows what reaches it. It prints `curl` lines that work.
//!
//! The variables of the example `server` set up the engine. These are the gateway's own:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `UPSTREAM_URL` | where requests go: `http://` or `https://`, host and port | an echo inside the process |
//! | `IDENTITY` | `bearer`: the upstream gets `Authorization: Bearer <jwt>`; `headers`: `X-Clerk-User-Id` and so on | `bearer` |
//! | `ORGANIZATION_PATH` | the pattern of the paths, such as `/orgs/{org}/{*rest}`, that name the organization | `CLERK_ORGANIZATION` |
//! | `FORWARD_AUTH` | `nginx`, `traefik` or `caddy`: answers that proxy's questions at `GET /auth` | off |
//! | `NO_PROMPT_FOR_FETCH` | `1`: a page's own `fetch` that is answered 401 opens no browser's dialog | off |
//! | `TRUSTED_PROXIES` | networks whose `X-Forwarded-For` names the client, such as `10.0.0.0/8,::1` | none |
//! | `UPSTREAM_TIMEOUT_SECS` | seconds for the upstream to begin its answer | 60 |
//!
//! The gateway itself answers `GET /healthz` and, where it is on, `GET /auth`. All other requests go to the upstream; a
//! client is answered 502 if it can't be reached and 504 if it is slow. `docs/gateway.md` describes deployments.

#[path = "../common/addresses.rs"]
mod addresses;
#[path = "../../common/api_keys.rs"]
mod api_keys;
mod echo;
mod fields;
mod forward_auth;
mod options;
mod proxy;
#[path = "../../common/run.rs"]
mod run;
#[path = "../../common/settings.rs"]
mod settings;
#[path = "../../common/store.rs"]
mod store;
mod upload;
mod upstream;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::middleware::{from_fn, map_request};
use axum::routing::{any, get};
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tower_clerk::{Clerk, ClerkBasicAuthLayer, ClerkPrincipal, ConfigError, OrganizationSelector};

use options::{Identity, Options};
use proxy::{Proxy, cleaned};
use run::Unready;
use store::Store;
use upstream::Upstream;

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
            let lines = try_lines(options, address);
            let stand_in = run::start_stand_in(
                options.engine.has_no_sign_in_rate(),
                options.engine.stand_in_webhook.take(),
                &lines,
            )
            .await?;
            (api_keys::on_stand_in(&stand_in, options.engine.accepts_api_keys), Some(stand_in))
        }
    };
    if options.organization_path.is_some() && options.engine.organization.is_some() {
        tracing::warn!("CLERK_ORGANIZATION: has no effect with ORGANIZATION_PATH");
    }
    let clerk = store.apply(options.engine.apply(builder)).build()?;
    run::log_api(&clerk);
    let upstream = match &options.upstream {
        Some(upstream) => upstream.clone(),
        None => {
            let echo = echo::start().await?;
            println!("no UPSTREAM_URL is set: an echo runs inside this process at {echo}");
            Upstream::parse(&echo)?
        }
    };
    let proxy = Proxy::new(upstream, options.upstream_timeout, options.trusted.clone())?;
    let app = app(options, &clerk, proxy)?.into_make_service_with_connect_info::<SocketAddr>();
    // A small answer must not wait for the acknowledgement of an earlier one.
    let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
    run::run(address, &clerk, &Unready::default(), |stopped| {
        axum::serve(listener, app).with_graceful_shutdown(stopped).into_future()
    })
    .await?;
    // Ending the sessions needs the stand-in, so it lives until here.
    drop(stand_in);
    Ok(())
}

/// Commands that show what reaches the upstream, with an account of the stand-in.
fn try_lines(options: &Options, address: SocketAddr) -> Vec<String> {
    let segment = |segment: &str| match segment {
        "{org}" => "acme".to_owned(),
        parameter if parameter.starts_with('{') => "anything".to_owned(),
        literal => literal.to_owned(),
    };
    let pattern = options.organization_path.as_deref().unwrap_or("/anything");
    let path = pattern.split('/').map(segment).collect::<Vec<_>>().join("/");
    let mut lines = Vec::new();
    for credentials in api_keys::credentials(options.engine.accepts_api_keys) {
        lines.push(format!("curl {credentials} http://{address}{path}"));
        if let Some(family) = options.forward_auth {
            let [method, uri] = family.names();
            lines.push(format!(
                "curl {credentials} -i -H '{method}: GET' -H '{uri}: {path}' http://{address}/auth"
            ));
        }
    }
    lines
}

fn app(options: &Options, clerk: &Clerk, proxy: Proxy) -> Result<Router, ConfigError> {
    let layer = layer(options, clerk)?;
    let proxied = options.identity.apply(scoped(options, layer.clone(), |parts| Some(&parts.uri))?)?;
    let proxy = Arc::new(proxy);
    let forward = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
        let proxy = Arc::clone(&proxy);
        async move { proxy.forward(peer, request).await }
    };
    let cleaned = map_request(|request: Request| async { cleaned(request) });
    let mut app = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .fallback_service(any(forward).layer(proxied.problem_json()).layer(cleaned));
    if let Some(family) = options.forward_auth {
        let sends_jwt = options.identity == Identity::Bearer;
        let admit =
            move |principal: ClerkPrincipal| async move { forward_auth::admit(&principal, sends_jwt) };
        let auth = get(admit)
            .layer(scoped(options, layer, forward_auth::original_uri)?.problem_json())
            .layer(from_fn(move |request, next| forward_auth::read_original(family, request, next)));
        app = app.route("/auth", auth);
    }
    Ok(app)
}

/// The policy that proxied requests and forward authentication share.
fn layer(options: &Options, clerk: &Clerk) -> Result<ClerkBasicAuthLayer, ConfigError> {
    let trusted = options.trusted.clone();
    let mut layer = options.engine.layer(clerk)?.source_key(move |parts| {
        let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(addresses::source(trusted.client(*peer, &parts.headers)))
    });
    if options.no_prompt_for_fetch {
        layer = layer.no_prompt_for_fetch();
    }
    if let Some(organization) = &options.engine.organization {
        layer = layer.organization(organization)?;
    }
    Ok(layer)
}

fn scoped(
    options: &Options,
    layer: ClerkBasicAuthLayer,
    uri: fn(&Parts) -> Option<&Uri>,
) -> Result<ClerkBasicAuthLayer, ConfigError> {
    match &options.organization_path {
        Some(pattern) => by_path(layer, pattern, uri),
        None => Ok(layer),
    }
}

/// Takes the organization from the path of this URI.
fn by_path(
    layer: ClerkBasicAuthLayer,
    pattern: &str,
    uri: fn(&Parts) -> Option<&Uri>,
) -> Result<ClerkBasicAuthLayer, ConfigError> {
    layer.organization_by(OrganizationSelector::path(pattern).original_uri(uri))
}
