//! Behaviour of the mirror as an application meets it: the webhook service, a stand-in of Clerk, a database.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod equal;
mod latency;
mod outages;
mod program;
mod random;
mod reads;
mod reconcile;
mod site;
mod support;
mod webhooks;
mod world;
