//! The data set that the example serves, from `data.json`: invented shipments, and the categories that they refer to.

use serde::Deserialize;
use tower_clerk::ClerkSession;
use uuid::Uuid;

use crate::events::Event;
use crate::filter::Filter;
use crate::model::{
    DataOwner, HubOperationCategory, ProductFootprint, Record, ShipmentFootprint, TransportActivity,
    TransportOperationCategory,
};
use crate::page::Page;
use crate::source::{Listed, Source, SourceError};
use crate::tad::ActivityFilter;

/// Data that every partner may see.
pub(crate) struct Sample {
    /// In the order of their creation.
    footprints: Vec<ProductFootprint>,
    activities: Vec<TransportActivity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    owner: DataOwner,
    transports: Vec<Record<TransportOperationCategory>>,
    hubs: Vec<Record<HubOperationCategory>>,
    shipments: Vec<Record<ShipmentFootprint>>,
    activities: Vec<TransportActivity>,
}

impl Sample {
    pub(crate) fn new() -> Result<Self, serde_json::Error> {
        let data: Data = serde_json::from_str(include_str!("data.json"))?;
        let owner = &data.owner;
        let mut footprints: Vec<_> = (data.transports.iter().map(|record| record.footprint(owner)))
            .chain(data.hubs.iter().map(|record| record.footprint(owner)))
            .chain(data.shipments.iter().map(|record| record.footprint(owner)))
            .collect();
        footprints.sort_by_key(|footprint| footprint.created);
        Ok(Self { footprints, activities: data.activities })
    }
}

impl Source for Sample {
    async fn footprints(
        &self,
        _: &ClerkSession,
        filter: &Filter,
        page: Page,
    ) -> Result<Listed<ProductFootprint>, SourceError> {
        let found = self.footprints.iter().filter(|footprint| filter.matches(footprint));
        Ok(Listed::of(found.cloned(), page))
    }

    async fn footprint(&self, _: &ClerkSession, id: Uuid) -> Result<Option<ProductFootprint>, SourceError> {
        Ok(self.footprints.iter().find(|footprint| footprint.id == id).cloned())
    }

    async fn activities(
        &self,
        _: &ClerkSession,
        filter: &ActivityFilter,
        page: Page,
    ) -> Result<Listed<TransportActivity>, SourceError> {
        let found = self.activities.iter().filter(|activity| filter.matches(activity));
        Ok(Listed::of(found.cloned(), page))
    }

    async fn receive(&self, partner: &ClerkSession, event: Event) -> Result<(), SourceError> {
        // Quoted, since a partner chooses the id.
        tracing::info!(partner = partner.user_id(), id = ?event.id, kind = event.kind.name(), "an event was received");
        Ok(())
    }
}
