//! The smallest example: one layer in front of an axum route.
//!
//! Run `cargo run --example minimal`, then `curl -u 'jane:correct horse battery staple' http://127.0.0.1:3000/`. With
//! `CLERK_PUBLISHABLE_KEY` set, it uses your own instance instead of the stand-in.

use std::env;

use axum::routing::get;
use axum::{Extension, Router};
use tower_clerk::testing::FakeClerk;
use tower_clerk::{ClerkBasicAuthLayer, ClerkSession};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stand_in = FakeClerk::new().serve("127.0.0.1:0").await?;
    let instance = env::var("CLERK_PUBLISHABLE_KEY").unwrap_or_else(|_| stand_in.url());

    let app = Router::new()
        .route(
            "/",
            get(|Extension(session): Extension<ClerkSession>| async move { session.user_id().to_owned() }),
        )
        .layer(ClerkBasicAuthLayer::from_publishable_key(instance)?);

    let address = env::var("LISTEN_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
