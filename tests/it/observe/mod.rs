//! Statistics, metrics and preflight findings.

mod dashboard;
mod events;
mod preflight;
mod stats;
