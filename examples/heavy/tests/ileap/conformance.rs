//! The published conformance cases, by their numbers.

mod activities;
mod authentication;
mod events;
mod footprints;
