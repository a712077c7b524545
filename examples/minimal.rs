//! The shortest way: one layer in front of an axum route.
//!
//! `CLERK_PUBLISHABLE_KEY=pk_test_… cargo run --example minimal`, then
//! `curl -u 'EMAIL:PASSWORD' http://127.0.0.1:3000/`.

use axum::routing::get;
use axum::{Extension, Router};
use tower_clerk::{ClerkBasicAuthLayer, ClerkSession};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = std::env::var("CLERK_PUBLISHABLE_KEY").map_err(|_| "set CLERK_PUBLISHABLE_KEY")?;

    let app = Router::new()
        .route(
            "/",
            get(|Extension(session): Extension<ClerkSession>| async move { session.user_id().to_owned() }),
        )
        .layer(ClerkBasicAuthLayer::from_publishable_key(key)?);

    axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
    Ok(())
}
