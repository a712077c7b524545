//! `GET /2/ileap/tad`: transport activity data.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use tower_clerk::ClerkSession;

use crate::answer::list;
use crate::errors::PactError;
use crate::host::Host;
use crate::model::TransportActivity;
use crate::page::ListQuery;
use crate::source::Source;

/// Pairs of a property and a value, all of which an activity meets. Values are compared without regard to case, as the
/// specification has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ActivityFilter(pub(crate) Vec<(ActivityProperty, String)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActivityProperty {
    Mode,
    Packaging,
    Feedstock,
}

impl ActivityFilter {
    fn of(pairs: &[(String, String)]) -> Result<Self, PactError> {
        let property = |(name, value): &(String, String)| {
            let property = match &**name {
                "mode" => ActivityProperty::Mode,
                "packagingOrTrEqType" => ActivityProperty::Packaging,
                "feedstock" => ActivityProperty::Feedstock,
                _ => return Err(ListQuery::unknown(name)),
            };
            Ok((property, value.clone()))
        };
        pairs.iter().map(property).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn matches(&self, activity: &TransportActivity) -> bool {
        self.0.iter().all(|(property, value)| match property {
            ActivityProperty::Mode => is_named(activity.mode, value),
            ActivityProperty::Packaging => {
                activity.packaging_or_tr_eq_type.is_some_and(|packaging| is_named(packaging, value))
            }
            ActivityProperty::Feedstock => {
                let carriers = activity.energy_carriers.iter().flatten();
                let mut feedstocks = carriers.flat_map(|carrier| carrier.feedstocks.iter().flatten());
                feedstocks.any(|feedstock| is_named(feedstock.feedstock, value))
            }
        })
    }
}

/// Whether a value of an enumeration has this name in JSON.
fn is_named(value: impl Serialize, name: &str) -> bool {
    matches!(serde_json::to_value(value), Ok(Value::String(found)) if found.eq_ignore_ascii_case(name))
}

pub(crate) async fn list_activities<S: Source>(
    State(host): State<Arc<Host<S>>>,
    partner: ClerkSession,
    RawQuery(query): RawQuery,
) -> Result<Response, PactError> {
    let query = ListQuery::parse(&query.unwrap_or_default())?;
    let filter = ActivityFilter::of(&query.others)?;
    let listed = host.source.activities(&partner, &filter, query.page).await?;
    list(&listed, query.next(&host.public_url, "/2/ileap/tad"))
}
