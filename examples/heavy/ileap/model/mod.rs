//! The data that partners get: footprints of PACT 2.x, and what iLEAP 1.0 puts into them.
//!
//! Field for field as in the specifications, <https://wbcsd.github.io/tr/data-exchange-protocol/> and
//! <https://sine-fdn.github.io/ileap-extension/>. An optional field without a value is null here, and left out of
//! the answer. Decimals are strings in JSON.

mod activity;
mod categories;
mod derived;
mod footprint;
mod shipment;
mod units;

pub(crate) use self::activity::TransportActivity;
pub(crate) use self::categories::{HubOperationCategory, TransportOperationCategory};
pub(crate) use self::derived::{DataOwner, Record};
pub(crate) use self::footprint::ProductFootprint;
pub(crate) use self::shipment::ShipmentFootprint;
