//! How an iLEAP object becomes a product footprint: the tables of the section "PACT Integration" in the iLEAP Technical
//! Specifications. Where they leave a value open, it is the one of their examples.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;
use uuid::Uuid;

use super::categories::{HubOperationCategory, TransportOperationCategory};
use super::footprint::{
    CarbonFootprint, DeclaredUnit, EmissionFactorSource, Extension, ExtensionData, ProductFootprint, Status,
};
use super::shipment::ShipmentFootprint;

/// Logistics services, as a code of the UN's Central Product Classification.
const LOGISTICS: &str = "83117";

/// The company whose data it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DataOwner {
    pub(crate) company_name: String,
    pub(crate) company_ids: Vec<String>,
}

/// An iLEAP object with the properties of its footprint that can't be derived from it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Record<T> {
    pub(crate) id: Uuid,
    pub(crate) version: u32,
    pub(crate) created: Timestamp,
    pub(crate) updated: Option<Timestamp>,
    pub(crate) reference_period_start: Timestamp,
    pub(crate) reference_period_end: Timestamp,
    pub(crate) geography_country: Option<String>,
    pub(crate) primary_data_share: f64,
    pub(crate) data: T,
}

/// The part of a footprint that is derived from its iLEAP object.
struct Derived {
    /// The kind of object in the product's URN.
    kind: &'static str,
    schema: &'static str,
    id: String,
    name: &'static str,
    unit: DeclaredUnit,
    amount: Decimal,
    mass: Decimal,
    emissions: Decimal,
    data: ExtensionData,
}

impl Record<ShipmentFootprint> {
    pub(crate) fn footprint(&self, owner: &DataOwner) -> ProductFootprint {
        let shipment = &self.data;
        self.with(
            owner,
            Derived {
                kind: "shipment",
                schema: "https://api.ileap.sine.dev/shipment-footprint.json",
                id: shipment.shipment_id.clone(),
                name: "Shipment",
                unit: DeclaredUnit::TonKilometer,
                amount: shipment.tces.iter().map(|tce| tce.transport_activity).sum(),
                mass: shipment.mass,
                emissions: shipment.tces.iter().map(|tce| tce.co2e_wtw).sum(),
                data: ExtensionData::Shipment(shipment.clone()),
            },
        )
    }
}

impl Record<TransportOperationCategory> {
    pub(crate) fn footprint(&self, owner: &DataOwner) -> ProductFootprint {
        self.with(
            owner,
            Derived {
                kind: "toc",
                schema: "https://api.ileap.sine.dev/toc.json",
                id: self.data.toc_id.clone(),
                name: "TOC",
                unit: DeclaredUnit::TonKilometer,
                amount: Decimal::ONE,
                mass: Decimal::ONE,
                emissions: self.data.co2e_intensity_wtw,
                data: ExtensionData::Transport(self.data.clone()),
            },
        )
    }
}

impl Record<HubOperationCategory> {
    pub(crate) fn footprint(&self, owner: &DataOwner) -> ProductFootprint {
        self.with(
            owner,
            Derived {
                kind: "hoc",
                schema: "https://api.ileap.sine.dev/hoc.json",
                id: self.data.hoc_id.clone(),
                name: "HOC",
                // Per tonne that leaves the hub.
                unit: DeclaredUnit::Kilogram,
                amount: Decimal::ONE_THOUSAND,
                mass: Decimal::ONE_THOUSAND,
                emissions: self.data.co2e_intensity_wtw,
                data: ExtensionData::Hub(self.data.clone()),
            },
        )
    }
}

impl<T> Record<T> {
    fn with(&self, owner: &DataOwner, derived: Derived) -> ProductFootprint {
        let name = format!("{} with ID {}", derived.name, derived.id);
        ProductFootprint {
            id: self.id,
            spec_version: "2.3.0",
            preceding_pf_ids: None,
            version: self.version,
            created: self.created,
            updated: self.updated,
            status: Status::Active,
            status_comment: None,
            validity_period_start: None,
            validity_period_end: None,
            company_name: owner.company_name.clone(),
            company_ids: owner.company_ids.clone(),
            product_description: format!("Logistics emissions related to {name}"),
            product_ids: vec![format!(
                "urn:pathfinder:product:customcode:vendor-assigned:{}:{}",
                derived.kind, derived.id
            )],
            product_category_cpc: LOGISTICS,
            product_name_company: name,
            comment: String::new(),
            pcf: self.carbon(&derived),
            extensions: Some(vec![Extension {
                spec_version: "2.0.0",
                data_schema: derived.schema,
                documentation: "https://sine-fdn.github.io/ileap-extension/",
                data: derived.data,
            }]),
        }
    }

    fn carbon(&self, derived: &Derived) -> CarbonFootprint {
        CarbonFootprint {
            declared_unit: derived.unit,
            unitary_product_amount: derived.amount,
            product_mass_per_declared_unit: Some(derived.mass),
            pcf_excluding_biogenic: derived.emissions,
            fossil_ghg_emissions: derived.emissions,
            // A service contains no carbon.
            fossil_carbon_content: Decimal::ZERO,
            biogenic_carbon_content: Decimal::ZERO,
            characterization_factors: "AR6",
            ipcc_characterization_factors_sources: vec!["AR6"],
            cross_sectoral_standards_used: vec!["GHG Protocol Product standard"],
            cross_sectoral_standards: Some(vec!["ISO14083"]),
            boundary_processes_description: "GLEC Framework, from well to wheel".to_owned(),
            reference_period_start: self.reference_period_start,
            reference_period_end: self.reference_period_end,
            geography_country: self.geography_country.clone(),
            secondary_emission_factor_sources: Some(vec![EmissionFactorSource {
                name: "GLEC Framework default values".to_owned(),
                version: "3.1".to_owned(),
            }]),
            exempted_emissions_percent: 0.0,
            exempted_emissions_description: String::new(),
            packaging_emissions_included: false,
            primary_data_share: Some(self.primary_data_share),
        }
    }
}
