//! The data types that shipments, categories and activities share.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A mode of transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum TransportMode {
    Road,
    Rail,
    Air,
    Sea,
    InlandWaterway,
}

/// A distance in kilometers: at least one of the three ways to measure it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Distance {
    /// Along the route that was taken.
    pub(crate) actual: Option<Decimal>,
    /// Great circle distance.
    pub(crate) gcd: Option<Decimal>,
    /// Shortest feasible distance.
    pub(crate) sfd: Option<Decimal>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Location {
    pub(crate) street: Option<String>,
    pub(crate) zip: Option<String>,
    pub(crate) city: String,
    /// ISO 3166-1 alpha-2, in capitals.
    pub(crate) country: String,
    pub(crate) iata: Option<String>,
    pub(crate) locode: Option<String>,
    pub(crate) uic: Option<String>,
    pub(crate) lat: Option<Decimal>,
    pub(crate) lng: Option<Decimal>,
}

/// The units that freight is packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Packaging {
    Box,
    Pallet,
    #[serde(rename = "Container-TEU")]
    ContainerTeu,
    #[serde(rename = "Container-FEU")]
    ContainerFeu,
    Container,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TemperatureControl {
    Ambient,
    Refrigerated,
    /// Of categories only: an activity is one or the other.
    Mixed,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EnergyCarrier {
    pub(crate) energy_carrier: EnergyCarrierType,
    pub(crate) feedstocks: Option<Vec<Feedstock>>,
    pub(crate) energy_consumption: Option<Decimal>,
    pub(crate) energy_consumption_unit: Option<EnergyUnit>,
    /// Emissions from well to wheel.
    #[serde(rename = "emissionFactorWTW")]
    pub(crate) emission_factor_wtw: Decimal,
    /// Emissions from tank to wheel.
    #[serde(rename = "emissionFactorTTW")]
    pub(crate) emission_factor_ttw: Decimal,
    /// Above 0 and up to 1; those of one list add up to 1.
    pub(crate) relative_share: Decimal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum EnergyCarrierType {
    Diesel,
    #[serde(rename = "HVO")]
    Hvo,
    Petrol,
    #[serde(rename = "CNG")]
    Cng,
    #[serde(rename = "LNG")]
    Lng,
    #[serde(rename = "LPG")]
    Lpg,
    #[serde(rename = "HFO")]
    Hfo,
    #[serde(rename = "MGO")]
    Mgo,
    #[serde(rename = "Aviation fuel")]
    AviationFuel,
    Hydrogen,
    Methanol,
    Electric,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum EnergyUnit {
    #[serde(rename = "l")]
    Liter,
    #[serde(rename = "kg")]
    Kilogram,
    #[serde(rename = "kWh")]
    KilowattHour,
    #[serde(rename = "MJ")]
    Megajoule,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Feedstock {
    pub(crate) feedstock: FeedstockType,
    pub(crate) feedstock_share: Option<Decimal>,
    pub(crate) region_provenance: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum FeedstockType {
    Fossil,
    #[serde(rename = "Natural gas")]
    NaturalGas,
    Grid,
    #[serde(rename = "Renewable electricity")]
    RenewableElectricity,
    #[serde(rename = "Cooking oil")]
    CookingOil,
}

/// A certification of the method of calculation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Certification {
    #[serde(rename = "ISO14083:2023")]
    Iso14083,
    #[serde(rename = "GLECv2")]
    GlecV2,
    #[serde(rename = "GLECv3")]
    GlecV3,
    #[serde(rename = "GLECv3.1")]
    GlecV3_1,
}
