//! The example `ileap`: the conformance cases that PACT and iLEAP publish, over a socket, and what lies between them.
//!
//! The cases are those of <https://github.com/wbcsd/pact-conformance-service> (`pact_tc…`), and of the iLEAP Technical
//! Specifications (`ileap_tc…`), with what the package `ileaptest` of <https://github.com/way-platform/ileap-go> asks
//! beyond them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod conformance;
mod harness;
mod program;
mod schemas;
mod strictness;

// The parts of the example, at the names that they have there.
#[path = "../../common/addresses.rs"]
mod addresses;
#[path = "../../ileap/answer.rs"]
mod answer;
#[path = "../../ileap/auth.rs"]
mod auth;
#[path = "../../ileap/errors.rs"]
mod errors;
#[path = "../../ileap/events.rs"]
mod events;
#[path = "../../ileap/filter/mod.rs"]
mod filter;
#[path = "../../ileap/footprints.rs"]
mod footprints;
#[path = "../../ileap/host.rs"]
mod host;
#[path = "../../ileap/model/mod.rs"]
mod model;
#[allow(dead_code, reason = "for its test")]
#[path = "../../ileap/options.rs"]
mod options;
#[path = "../../ileap/page.rs"]
mod page;
#[path = "../../ileap/sample.rs"]
mod sample;
#[allow(dead_code, reason = "for the options")]
#[path = "../../../common/settings.rs"]
mod settings;
#[path = "../../ileap/source.rs"]
mod source;
#[path = "../../ileap/tad.rs"]
mod tad;
