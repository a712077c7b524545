//! The smallest example: one layer in front of an axum route.
//!
//! `cargo run --example minimal` uses a stand-in for Clerk inside this process, and prints a `curl` line that works. With
//! `CLERK_PUBLISHABLE_KEY` set, it uses your own instance instead.

use std::env;

use axum::Router;
use axum::routing::get;
use tower_clerk::testing::FakeClerk;
use tower_clerk::{ClerkBasicAuthLayer, ClerkSession};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stand_in = FakeClerk::new().serve("127.0.0.1:0").await?;
    let instance = env::var("CLERK_PUBLISHABLE_KEY").unwrap_or_else(|_| stand_in.url());

    let app = Router::new()
        .route("/", get(async |session: ClerkSession| session.user_id().to_owned()))
        .layer(ClerkBasicAuthLayer::from_publishable_key(instance)?);

    let address = env::var("LISTEN_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    println!("try: curl -u 'jane:correct horse battery staple' http://{address}/");
    axum::serve(listener, app).await?;
    Ok(())
}
