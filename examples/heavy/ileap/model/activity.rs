//! Transport activity data (TAD): a leg of a transport, for partners that calculate emissions themselves.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::units::{Distance, EnergyCarrier, Location, Packaging, TemperatureControl, TransportMode};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TransportActivity {
    pub(crate) activity_id: String,
    /// At least one.
    pub(crate) consignment_ids: Vec<String>,
    pub(crate) distance: Distance,
    /// In kilograms.
    pub(crate) mass: Option<Decimal>,
    /// Above 0 and up to 1.
    pub(crate) load_factor: Option<Decimal>,
    /// From 0 to below 1.
    pub(crate) empty_distance_factor: Option<Decimal>,
    pub(crate) origin: Location,
    pub(crate) destination: Location,
    pub(crate) departure_at: Timestamp,
    pub(crate) arrival_at: Timestamp,
    pub(crate) mode: TransportMode,
    pub(crate) packaging_or_tr_eq_type: Option<Packaging>,
    pub(crate) packaging_or_tr_eq_amount: Option<u64>,
    /// At least one, if they are stated.
    pub(crate) energy_carriers: Option<Vec<EnergyCarrier>>,
    pub(crate) temperature_control: Option<TemperatureControl>,
}
