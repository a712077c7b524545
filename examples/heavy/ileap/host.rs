//! The routes of a data provider's host.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tower_clerk::{Clerk, ConfigError};

use crate::auth::Authentication;
use crate::errors::{of_activities, of_footprints};
use crate::events::post_event;
use crate::footprints::{get_footprint, list_footprints};
use crate::source::Source;
use crate::tad::list_activities;

/// The state that the handlers share.
pub(crate) struct Host<S> {
    pub(crate) source: S,
    /// The beginning of absolute links, without a slash at its end.
    pub(crate) public_url: String,
}

impl<S: Source> Host<S> {
    /// The data behind Bearer, and the token endpoint beside it. Each family of routes answers rejections in its own form.
    pub(crate) fn router(
        self,
        clerk: &Clerk,
        authentication: &Authentication,
    ) -> Result<Router, ConfigError> {
        let layer = authentication.layer(clerk)?;
        let of_footprints = layer.clone().with_rejection_response(of_footprints);
        let of_activities = layer.with_rejection_response(of_activities);
        let tokens = authentication.routes(clerk, &self.public_url)?;
        let data = Router::new()
            .route("/2/footprints", get(list_footprints::<S>))
            .route("/2/footprints/{id}", get(get_footprint::<S>))
            .route("/2/events", post(post_event::<S>))
            .route_layer(of_footprints)
            .route("/2/ileap/tad", get(list_activities::<S>).layer(of_activities))
            .with_state(Arc::new(self));
        Ok(data.merge(tokens).route("/healthz", get(async || "ok")))
    }
}
