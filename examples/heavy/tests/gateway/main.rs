//! The example `gateway` as a process, asked over sockets: alone, and behind nginx and Caddy where they are installed.

mod bytes;
mod forward_auth;
mod harness;
mod identity;
mod program;
mod proxies;
mod smuggling;
mod throughput;
mod upgrades;
mod upstreams;

/// Parts of the example, for the tests that stand in them: cargo runs no tests of an example.
#[allow(dead_code)]
mod parts {
    #[path = "../../../gateway/addresses.rs"]
    mod addresses;
    #[path = "../../../gateway/fields.rs"]
    mod fields;
    #[path = "../../../gateway/forward_auth.rs"]
    mod forward_auth;
    #[path = "../../../gateway/upstream.rs"]
    mod upstream;
}
