//! The layer in front of a plain hyper service, without axum.
//!
//! `cargo run --example hyper` uses a stand-in for Clerk inside this process. With `CLERK_PUBLISHABLE_KEY` or
//! `CLERK_FAPI_URL` set, it uses that instance instead, and the other variables of `Clerk::from_env`. `LISTEN_ADDR` is
//! `127.0.0.1:3000` by default.

use std::convert::Infallible;
use std::env;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};
use tower_clerk::testing::FakeClerk;
use tower_clerk::{Clerk, ClerkBasicAuthLayer, ClerkSession};

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = match request.extensions().get::<ClerkSession>() {
        Some(session) => session.user_id().to_owned(),
        None => "nobody".to_owned(),
    };
    Ok(Response::new(Full::from(format!("hello {name}\n"))))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let (clerk, stand_in) = if is_set("CLERK_PUBLISHABLE_KEY") || is_set("CLERK_FAPI_URL") {
        (Clerk::from_env()?, None)
    } else {
        let stand_in = FakeClerk::new().serve("127.0.0.1:0").await?;
        (Clerk::builder(stand_in.url()).build()?, Some(stand_in))
    };
    let service = ServiceBuilder::new()
        .layer(ClerkBasicAuthLayer::new(clerk).problem_json())
        .service(service_fn(hello));

    let address = env::var("LISTEN_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(&address).await;
    let listener = listener.map_err(|error| format!("LISTEN_ADDR: can't listen on {address}: {error}"))?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    if stand_in.is_some() {
        println!("try: curl -u 'jane@example.com:correct horse battery staple' http://{address}/");
    }
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
                eprintln!("a connection broke off: {error}");
            }
        });
    }
}
