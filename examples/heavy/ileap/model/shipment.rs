//! A shipment, and the transport chain elements (TCE) that it went through.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::units::{Distance, Location, Packaging};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ShipmentFootprint {
    /// In kilograms.
    pub(crate) mass: Decimal,
    /// In cubic meters.
    pub(crate) volume: Option<Decimal>,
    pub(crate) shipment_id: String,
    /// At least one.
    pub(crate) tces: Vec<TransportChainElement>,
}

/// One leg, which refers to a category of transports, or one stay in a hub, which refers to a category of hubs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TransportChainElement {
    pub(crate) tce_id: String,
    /// The elements just before this one. An empty list marks the first one.
    pub(crate) prev_tce_ids: Option<Vec<String>>,
    /// Either this or `hoc_id`.
    pub(crate) toc_id: Option<String>,
    pub(crate) hoc_id: Option<String>,
    pub(crate) shipment_id: String,
    pub(crate) consignment_id: Option<String>,
    /// In kilograms.
    pub(crate) mass: Decimal,
    pub(crate) packaging_or_tr_eq_type: Option<Packaging>,
    pub(crate) packaging_or_tr_eq_amount: Option<Decimal>,
    pub(crate) distance: Distance,
    pub(crate) origin: Option<Location>,
    pub(crate) destination: Option<Location>,
    /// In tonne-kilometers.
    pub(crate) transport_activity: Decimal,
    pub(crate) departure_at: Option<Timestamp>,
    pub(crate) arrival_at: Option<Timestamp>,
    pub(crate) flight_no: Option<String>,
    pub(crate) voyage_no: Option<String>,
    pub(crate) incoterms: Option<Incoterms>,
    /// In kilograms of CO2e, from well to wheel.
    #[serde(rename = "co2eWTW")]
    pub(crate) co2e_wtw: Decimal,
    /// The same, from tank to wheel.
    #[serde(rename = "co2eTTW")]
    pub(crate) co2e_ttw: Decimal,
    #[serde(rename = "noxTTW")]
    pub(crate) nox_ttw: Option<Decimal>,
    #[serde(rename = "soxTTW")]
    pub(crate) sox_ttw: Option<Decimal>,
    #[serde(rename = "ch4TTW")]
    pub(crate) ch4_ttw: Option<Decimal>,
    #[serde(rename = "pmTTW")]
    pub(crate) pm_ttw: Option<Decimal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Incoterms {
    Exw,
    Fca,
    Cpt,
    Cip,
    Dap,
    Dpu,
    Ddp,
    Fas,
    Fob,
    Cfr,
    Cif,
}
