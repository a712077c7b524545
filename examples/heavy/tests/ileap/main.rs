//! The example `ileap`.
