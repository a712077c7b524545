//! Transport operation categories (TOC) and hub operation categories (HOC): the emissions of a kind of operation.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::units::{Certification, EnergyCarrier, Location, Packaging, TemperatureControl, TransportMode};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TransportOperationCategory {
    pub(crate) toc_id: String,
    pub(crate) certifications: Option<Vec<Certification>>,
    pub(crate) description: Option<String>,
    pub(crate) mode: TransportMode,
    pub(crate) load_factor: Option<Decimal>,
    pub(crate) empty_distance_factor: Option<Decimal>,
    pub(crate) temperature_control: Option<TemperatureControl>,
    pub(crate) truck_loading_sequence: Option<TruckLoading>,
    pub(crate) air_shipping_option: Option<AirShipping>,
    pub(crate) flight_length: Option<FlightLength>,
    /// At least one.
    pub(crate) energy_carriers: Vec<EnergyCarrier>,
    /// In kg of CO2e per unit of activity, from well to wheel.
    #[serde(rename = "co2eIntensityWTW")]
    pub(crate) co2e_intensity_wtw: Decimal,
    /// The same, from tank to wheel.
    #[serde(rename = "co2eIntensityTTW")]
    pub(crate) co2e_intensity_ttw: Decimal,
    pub(crate) transport_activity_unit: TransportActivityUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TruckLoading {
    /// Less than a truck load.
    Ltl,
    /// A full truck load.
    Ftl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum AirShipping {
    #[serde(rename = "belly freight")]
    BellyFreight,
    #[serde(rename = "freighter")]
    Freighter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FlightLength {
    ShortHaul,
    LongHaul,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum TransportActivityUnit {
    #[serde(rename = "TEUkm")]
    TeuKilometer,
    #[serde(rename = "tkm")]
    TonneKilometer,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HubOperationCategory {
    pub(crate) hoc_id: String,
    pub(crate) description: Option<String>,
    pub(crate) certifications: Option<Vec<Certification>>,
    pub(crate) hub_type: HubType,
    pub(crate) temperature_control: Option<TemperatureControl>,
    pub(crate) hub_location: Option<Location>,
    pub(crate) inbound_transport_mode: Option<TransportMode>,
    pub(crate) outbound_transport_mode: Option<TransportMode>,
    pub(crate) packaging_or_tr_eq_type: Option<Packaging>,
    pub(crate) packaging_or_tr_eq_amount: Option<u64>,
    /// At least one.
    pub(crate) energy_carriers: Vec<EnergyCarrier>,
    /// In kg of CO2e per unit of activity, from well to wheel.
    #[serde(rename = "co2eIntensityWTW")]
    pub(crate) co2e_intensity_wtw: Decimal,
    /// The same, from tank to wheel.
    #[serde(rename = "co2eIntensityTTW")]
    pub(crate) co2e_intensity_ttw: Decimal,
    pub(crate) hub_activity_unit: HubActivityUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum HubType {
    Transshipment,
    StorageAndTransshipment,
    Warehouse,
    LiquidBulkTerminal,
    MaritimeContainerTerminal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum HubActivityUnit {
    #[serde(rename = "TEU")]
    Teu,
    #[serde(rename = "tonnes")]
    Tonnes,
}
