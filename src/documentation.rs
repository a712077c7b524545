//! Pages about the crate as a whole: its rules, its design, a gateway made of it, API keys, browsers as clients, a host
//! with a token endpoint, webhooks, the types of other crates in its API.

/// The rules that the crate keeps, each with the tests that hold it.
///
#[doc = include_str!("../docs/rules.md")]
pub mod rules {}

// The links and the picture of the page are those of the repository. The first definition of a link counts, so these lead
// to the pages here; the picture stands in the page itself.
/// How tower-clerk works inside.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/house.svg")]
#[doc = "\n"]
#[doc = include_str!("../docs/design.md")]
pub mod design {}

/// A gateway in front of services that know no HTTP Basic, by itself or with nginx, Traefik or Caddy.
///
#[doc = include_str!("../docs/gateway.md")]
pub mod gateway {}

/// API keys in the password's place: for whom, at which cost, and what ends one.
///
#[doc = include_str!("../docs/api-keys.md")]
pub mod api_keys {}

/// Browsers as clients: pages of other origins, and the browser's dialog for a password.
///
#[doc = include_str!("../docs/browsers.md")]
pub mod browsers {}

/// A data provider's host in the PACT and iLEAP network: a token endpoint, and data behind Bearer.
///
#[doc = include_str!("../docs/ileap.md")]
pub mod ileap {}

/// Clerk's webhooks: set-up, the events to subscribe to, replicas, rotation of the secret.
///
#[doc = include_str!("../docs/webhooks.md")]
pub mod webhooks {}

/// The types of other crates in the public API.
///
#[doc = include_str!("../docs/foreign-types.md")]
pub mod foreign_types {}
