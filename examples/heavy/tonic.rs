//! The layer on a tonic server, and a client that tells its rejections apart.
//!
//! `cargo run --example tonic` serves gRPC's health service and uses a stand-in for Clerk inside this process. With
//! `CLERK_PUBLISHABLE_KEY` or `CLERK_FAPI_URL` set, it uses that instance instead, and the other variables of
//! `Clerk::from_env`. `LISTEN_ADDR` is `127.0.0.1:3000` by default. It prints the command for the client:
//!
//! ```console
//! $ cargo run --example tonic -- client http://127.0.0.1:3000 'jane@example.com:correct horse battery staple'
//! Serving
//! $ cargo run --example tonic -- client http://127.0.0.1:3000 'mfa@example.com:second factor please'
//! PermissionDenied (second_factor_required): HTTP Basic cannot carry a second factor: use an account without one
//! ```

use std::env;
use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_clerk::testing::FakeClerk;
use tower_clerk::{Clerk, ClerkBasicAuthLayer};

type Error = Box<dyn std::error::Error + Send + Sync>;

const JANE: &str = "jane@example.com:correct horse battery staple";

/// Serves the health service to users of the instance.
pub(crate) async fn serve(listener: TcpListener, clerk: Clerk) -> Result<(), Error> {
    let (_reporter, health) = tonic_health::server::health_reporter();
    // `grpcurl` asks for the services and their messages.
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let layer = ClerkBasicAuthLayer::new(clerk).problem_json_with(Body::new::<String>).grpc_rejections();
    Server::builder()
        // Other clients than gRPC's, such as curl, are answered problem+json.
        .accept_http1(true)
        .layer(layer)
        .add_service(health)
        .add_service(reflection)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await?;
    Ok(())
}

/// Asks the health service at `url`, with `identifier:password` if there are any.
pub(crate) async fn check(url: String, credentials: Option<&str>) -> Result<String, Error> {
    let mut client = HealthClient::new(Channel::from_shared(url)?.connect().await?);
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(credentials) = credentials {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(credentials));
        let mut basic: MetadataValue<_> = basic.parse()?;
        basic.set_sensitive(true);
        request.metadata_mut().insert("authorization", basic);
    }
    match client.check(request).await {
        Ok(response) => Ok(format!("{:?}", response.into_inner().status())),
        Err(status) => Err(describe(&status).into()),
    }
}

/// The message of an error and of what caused it: tonic's own is "transport error".
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Several rejections share a status; `x-clerk-code` tells them apart.
fn describe(status: &Status) -> String {
    let code = status.metadata().get("x-clerk-code").and_then(|code| code.to_str().ok()).unwrap_or("-");
    format!("{:?} ({code}): {}", status.code(), status.message())
}

async fn run_server() -> Result<(), Error> {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let (clerk, stand_in) = if is_set("CLERK_PUBLISHABLE_KEY") || is_set("CLERK_FAPI_URL") {
        (Clerk::from_env()?, None)
    } else {
        let stand_in = FakeClerk::new().serve("127.0.0.1:0").await?;
        (Clerk::builder(stand_in.url()).build()?, Some(stand_in))
    };
    let address = env::var("LISTEN_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(&address).await;
    let listener = listener.map_err(|error| format!("LISTEN_ADDR: can't listen on {address}: {error}"))?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    if stand_in.is_some() {
        println!("try: cargo run --example tonic -- client http://{address} '{JANE}'");
        let basic = BASE64_STANDARD.encode(JANE);
        println!(
            "or:  grpcurl -plaintext -H 'authorization: Basic {basic}' {address} grpc.health.v1.Health/Check"
        );
    }
    serve(listener, clerk).await
}

async fn run_client(mut arguments: impl Iterator<Item = String>) -> Result<(), Error> {
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:3000".to_owned());
    println!("{}", check(url, arguments.next().as_deref()).await?);
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let outcome = match arguments.next().as_deref() {
        None => run_server().await,
        Some("client") => run_client(arguments).await,
        Some(_) => Err("usage: tonic [client [URL [IDENTIFIER:PASSWORD]]]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}
