//! `GET /2/footprints` and `GET /2/footprints/{id}`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use tower_clerk::ClerkSession;

use crate::answer::{entry, list};
use crate::errors::{Code, PactError};
use crate::events::uuid;
use crate::filter::Filter;
use crate::host::Host;
use crate::page::ListQuery;
use crate::source::Source;

pub(crate) async fn list_footprints<S: Source>(
    State(host): State<Arc<Host<S>>>,
    partner: ClerkSession,
    RawQuery(query): RawQuery,
) -> Result<Response, PactError> {
    let query = ListQuery::parse(&query.unwrap_or_default())?;
    let mut filter = Filter::default();
    for (name, text) in &query.others {
        match &**name {
            "$filter" => filter = Filter::parse(text)?,
            _ => return Err(ListQuery::unknown(name)),
        }
    }
    let listed = host.source.footprints(&partner, &filter, query.page).await?;
    list(&listed, query.next(&host.public_url, "/2/footprints"))
}

pub(crate) async fn get_footprint<S: Source>(
    State(host): State<Arc<Host<S>>>,
    partner: ClerkSession,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, PactError> {
    let id = id.ok().and_then(|Path(id)| uuid(&id));
    let found = match id {
        Some(id) => host.source.footprint(&partner, id).await?,
        None => None,
    };
    match found {
        Some(footprint) => entry(&footprint),
        None => Err(PactError::new(Code::NoSuchFootprint, "the specified footprint does not exist")),
    }
}
