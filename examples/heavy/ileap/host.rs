//! The routes of a data provider's host, and the doors in front of them.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tower_clerk::ClerkBasicAuthLayer;

use crate::errors::{of_activities, of_footprints};
use crate::events::post_event;
use crate::footprints::{get_footprint, list_footprints};
use crate::source::Source;
use crate::tad::list_activities;

/// What the handlers share.
pub(crate) struct Host<S> {
    pub(crate) source: S,
    /// What absolute links begin with, without a slash at its end.
    pub(crate) public_url: String,
}

/// The data behind Bearer. The layer accepts access tokens, and nothing else; each family of routes answers rejections in
/// its own form.
pub(crate) fn data<S: Source>(host: Host<S>, bearer: &ClerkBasicAuthLayer) -> Router {
    let of_footprints = bearer.clone().with_rejection_response(of_footprints);
    let of_activities = bearer.clone().with_rejection_response(of_activities);
    Router::new()
        .route("/2/footprints", get(list_footprints::<S>))
        .route("/2/footprints/{id}", get(get_footprint::<S>))
        .route("/2/events", post(post_event::<S>))
        .route_layer(of_footprints)
        .route("/2/ileap/tad", get(list_activities::<S>).layer(of_activities))
        .with_state(Arc::new(host))
}
