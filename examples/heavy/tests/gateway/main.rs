//! The example `gateway` as a process, asked over sockets: alone, and behind nginx and Caddy where they are installed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod api_keys;
mod bytes;
mod forward_auth;
mod harness;
mod identity;
mod in_front;
#[allow(dead_code, reason = "a part has more than its tests call")]
mod parts;
mod program;
mod proxies;
mod smuggling;
mod throughput;
mod tls;
mod upgrades;
mod upstreams;
