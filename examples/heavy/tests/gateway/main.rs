//! The example `gateway` as a process, asked over sockets: alone, and behind nginx and Caddy where they are installed.

mod bytes;
mod forward_auth;
mod harness;
mod identity;
// Not all of a part is used by its own tests.
#[allow(dead_code)]
mod parts;
mod program;
mod proxies;
mod smuggling;
mod throughput;
mod upgrades;
mod upstreams;
