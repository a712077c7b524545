//! Pages about the crate as a whole.
//!
//! | page | for |
//! |---|---|
//! | [`quick_start`] | the first hour: axum, hyper, tonic, a gateway, forward authentication, a token endpoint |
//! | [`cookbook`] | recipes: organizations, guards, CORS, the order of layers, logs |
//! | [`testing`](mod@testing) | a test file to copy, outages and revocations on demand |
//! | [`deploying`] | settings, secrets, probes, capacity, replicas, restarts, Device Trust |
//! | [`metrics`](mod@metrics) | every metric, a dashboard, alerts |
//! | [`troubleshooting`] | by code and by symptom |
//! | [`security`] | what HTTP Basic means, what is guaranteed, what a thief can do |
//! | [`glossary`], [`comparison`] | words, and other ways to the same end |
//! | [`api_keys`](mod@api_keys), [`browsers`], [`webhooks`], [`federation`](mod@federation), [`gateway`], [`ileap`], [`sync`](mod@sync) | one subject each |
//! | [`rules`], [`design`], [`foreign_types`] | what the crate keeps, how it works, whose types it shows |

// Links between pages are those of the repository, by reference. The first definition of a reference counts, and
// `rustdoc-links.md` has those that lead to the pages here.

/// The first hour, for each stack.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/quick-start.md")]
pub mod quick_start {}

/// Recipes: routes, organizations, guards, CORS, the order of layers, logs.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/cookbook.md")]
pub mod cookbook {}

/// Tests of your own application, without an account or a network.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

/// In production: settings, secrets, probes, capacity, replicas, restarts.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/deploying.md")]
pub mod deploying {}

/// Remedies, by code and by symptom.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/troubleshooting.md")]
pub mod troubleshooting {}

/// The words of this documentation.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/glossary.md")]
pub mod glossary {}

/// Other ways to the same end, and when they fit better.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/comparison.md")]
pub mod comparison {}

/// Sessions for the assertions of other identity providers.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/federation.md")]
pub mod federation {}

/// A mirror of Clerk's users in a database of your own.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/sync.md")]
pub mod sync {}

/// Every metric, a dashboard and alerts.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/dashboard.svg")]
#[doc = "\n"]
#[doc = include_str!("../docs/metrics.md")]
pub mod metrics {}

/// The security model: what HTTP Basic means, what is guaranteed, and what can't be.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../SECURITY.md")]
pub mod security {}

/// The rules that the crate keeps, each with the tests that hold it.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/rules.md")]
pub mod rules {}

// The picture stands in the page itself.
/// How tower-clerk works inside.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/house.svg")]
#[doc = "\n"]
#[doc = include_str!("../docs/design.md")]
pub mod design {}

/// A gateway in front of services that know no HTTP Basic, by itself or with nginx, Traefik or Caddy.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/gateway.md")]
pub mod gateway {}

/// API keys in the password's place: for whom, at which cost, and what ends one.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/api-keys.md")]
pub mod api_keys {}

/// Browsers as clients: pages of other origins, and the browser's dialog for a password.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/browsers.md")]
pub mod browsers {}

/// A data provider's host in the PACT and iLEAP network: a token endpoint, and data behind Bearer.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/ileap.md")]
pub mod ileap {}

/// Clerk's webhooks: set-up, the events to subscribe to, replicas, rotation of the secret.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/webhooks.md")]
pub mod webhooks {}

/// The types of other crates in the public API.
///
#[doc = include_str!("../docs/rustdoc-links.md")]
#[doc = include_str!("../docs/foreign-types.md")]
pub mod foreign_types {}
