//! The smallest example: one layer in front of an axum route.
//!
//! `cargo run --example minimal` uses a stand-in for Clerk inside this process, and prints a `curl` line that works. With
//! `CLERK_PUBLISHABLE_KEY` set, it uses your own instance instead. `LISTEN_ADDR` is `127.0.0.1:3000` by default.

use std::env;

use axum::Router;
use axum::routing::get;
use tower_clerk::testing::FakeClerk;
use tower_clerk::{ClerkBasicAuthLayer, ClerkSession};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (instance, stand_in) = match env::var("CLERK_PUBLISHABLE_KEY") {
        Ok(key) if !key.is_empty() => (key, None),
        _ => {
            let stand_in = FakeClerk::new().serve("127.0.0.1:0").await?;
            (stand_in.url(), Some(stand_in))
        }
    };
    let app = Router::new()
        .route("/", get(async |session: ClerkSession| session.user_id().to_owned()))
        .layer(ClerkBasicAuthLayer::from_publishable_key(instance)?);

    let address = env::var("LISTEN_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await;
    let listener = listener.map_err(|error| format!("LISTEN_ADDR: can't listen on {address}: {error}"))?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    if stand_in.is_some() {
        println!("try: curl -u 'jane:correct horse battery staple' http://{address}/");
    }
    axum::serve(listener, app).await?;
    Ok(())
}
