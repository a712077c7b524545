//! The product footprint of PACT 2.3, of which 2.1 and 2.2 are parts.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;
use uuid::Uuid;

use super::categories::{HubOperationCategory, TransportOperationCategory};
use super::shipment::ShipmentFootprint;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProductFootprint {
    pub(crate) id: Uuid,
    pub(crate) spec_version: &'static str,
    /// At least one, if they are stated.
    pub(crate) preceding_pf_ids: Option<Vec<Uuid>>,
    /// Up to 2^31 - 1.
    pub(crate) version: u32,
    pub(crate) created: Timestamp,
    /// Not stated before the first update.
    pub(crate) updated: Option<Timestamp>,
    pub(crate) status: Status,
    pub(crate) status_comment: Option<String>,
    pub(crate) validity_period_start: Option<Timestamp>,
    pub(crate) validity_period_end: Option<Timestamp>,
    pub(crate) company_name: String,
    /// URNs, at least one.
    pub(crate) company_ids: Vec<String>,
    pub(crate) product_description: String,
    /// URNs, at least one.
    pub(crate) product_ids: Vec<String>,
    pub(crate) product_category_cpc: &'static str,
    pub(crate) product_name_company: String,
    pub(crate) comment: String,
    pub(crate) pcf: CarbonFootprint,
    /// At least one, if they are stated. iLEAP wants exactly one of its own.
    pub(crate) extensions: Option<Vec<Extension>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Status {
    Active,
    /// No longer for calculations.
    #[allow(dead_code, reason = "the data set has none")]
    Deprecated,
}

/// The carbon footprint per declared unit. The specification has further optional fields, for biogenic emissions and for
/// data quality, which no logistics service of iLEAP 1.0 fills in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CarbonFootprint {
    pub(crate) declared_unit: DeclaredUnit,
    pub(crate) unitary_product_amount: Decimal,
    pub(crate) product_mass_per_declared_unit: Option<Decimal>,
    #[serde(rename = "pCfExcludingBiogenic")]
    pub(crate) pcf_excluding_biogenic: Decimal,
    pub(crate) fossil_ghg_emissions: Decimal,
    pub(crate) fossil_carbon_content: Decimal,
    pub(crate) biogenic_carbon_content: Decimal,
    pub(crate) characterization_factors: &'static str,
    pub(crate) ipcc_characterization_factors_sources: Vec<&'static str>,
    pub(crate) cross_sectoral_standards_used: Vec<&'static str>,
    pub(crate) cross_sectoral_standards: Option<Vec<&'static str>>,
    pub(crate) boundary_processes_description: String,
    pub(crate) reference_period_start: Timestamp,
    pub(crate) reference_period_end: Timestamp,
    /// ISO 3166-1 alpha-2. None means that the footprint holds for the whole world.
    pub(crate) geography_country: Option<String>,
    pub(crate) secondary_emission_factor_sources: Option<Vec<EmissionFactorSource>>,
    /// From 0 to 5.
    pub(crate) exempted_emissions_percent: f64,
    pub(crate) exempted_emissions_description: String,
    pub(crate) packaging_emissions_included: bool,
    /// From 0 to 100.
    pub(crate) primary_data_share: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum DeclaredUnit {
    #[serde(rename = "kilogram")]
    Kilogram,
    #[serde(rename = "ton kilometer")]
    TonKilometer,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct EmissionFactorSource {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A data model extension: the iLEAP object inside of a footprint.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Extension {
    pub(crate) spec_version: &'static str,
    pub(crate) data_schema: &'static str,
    pub(crate) documentation: &'static str,
    pub(crate) data: ExtensionData,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ExtensionData {
    Shipment(ShipmentFootprint),
    Transport(TransportOperationCategory),
    Hub(HubOperationCategory),
}
