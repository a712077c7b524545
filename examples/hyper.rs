//! The layer in front of a plain hyper service, without axum.
//!
//! `cargo run --example hyper` uses a stand-in for Clerk inside this process. With `CLERK_PUBLISHABLE_KEY` set, it
//! uses that instance instead.

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
    let stand_in = match env::var("CLERK_PUBLISHABLE_KEY") {
        Ok(_) => None,
        Err(_) => Some(FakeClerk::new().serve("127.0.0.1:0").await?),
    };
    let instance = match &stand_in {
        Some(stand_in) => stand_in.url(),
        None => env::var("CLERK_PUBLISHABLE_KEY")?,
    };
    let clerk = Clerk::builder(instance).build()?;
    let service = ServiceBuilder::new()
        .layer(ClerkBasicAuthLayer::new(clerk).problem_json())
        .service(service_fn(hello));

    let listener = TcpListener::bind(env::var("LISTEN_ADDR").as_deref().unwrap_or("127.0.0.1:3000")).await?;
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
