//! Behaviour of the mirror as an application meets it: the webhook service, a stand-in of Clerk, a database.

mod latency;
mod outages;
mod reads;
mod support;
mod webhooks;
mod world;
