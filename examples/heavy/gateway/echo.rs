//! The upstream that answers if `UPSTREAM_URL` isn't set: it shows what reached it.

use axum::body::Body;
use axum::extract::Request;
use axum::{Json, Router};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Starts the echo on a free port of this machine, and returns its address.
pub(crate) async fn start() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
    Ok(url)
}

async fn echo(request: Request) -> Json<Value> {
    let (parts, body) = request.into_parts();
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let (length, trailers) = read(body).await;
    Json(json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path_and_query().map_or("/", |path| path.as_str()),
        "headers": headers,
        "body_length": length,
        "trailers": trailers,
    }))
}

/// The length of the body, and its trailers.
async fn read(mut body: Body) -> (u64, Vec<Value>) {
    let (mut length, mut trailers) = (0, Vec::new());
    while let Some(Ok(frame)) = body.frame().await {
        match frame.into_data() {
            Ok(data) => length += data.len() as u64,
            Err(frame) => {
                let fields = frame.into_trailers().unwrap_or_default();
                trailers.extend(
                    fields.iter().map(|(name, value)| {
                        json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
                    }),
                );
            }
        }
    }
    (length, trailers)
}
