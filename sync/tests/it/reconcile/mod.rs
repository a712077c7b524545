//! Backfills and reconciliations against a stand-in.

mod aborts;
mod backfill;
mod differences;
mod fencing;
mod fire;
mod history;
