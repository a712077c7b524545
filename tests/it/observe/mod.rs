//! Statistics, metrics and preflight findings.

mod events;
mod preflight;
mod stats;
