//! Whether a load balancer should send requests here.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::sync::watch;

/// `GET /readyz`, which is 503 while there is a reason. An outage of Clerk or of a store doesn't make it 503, since users who are signed in are served meanwhile.
pub(crate) fn route(reason: watch::Receiver<Option<String>>) -> Router {
    let answer = move || {
        let answer = match &*reason.borrow() {
            None => (StatusCode::OK, "ready".to_owned()),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason.clone()),
        };
        async { answer }
    };
    Router::new().route("/readyz", get(answer))
}
