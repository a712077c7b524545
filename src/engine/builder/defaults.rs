//! The defaults and the bounds of settings.
//!
//! Clerk's limits are from <https://clerk.com/docs/guides/how-clerk-works/system-limits>.

use std::time::Duration;

use crate::settings::Settings;

pub(super) const BACKEND_URL: &str = "https://api.clerk.com";

/// Sign-ins that wait for a permit, of each share.
pub(super) const SIGN_IN_QUEUE: usize = 1024;

/// Four fifths of what Clerk allows a production instance, and a development instance: other programs use the Backend
/// API as well.
pub(super) const PRODUCTION_BACKEND_RATE: (u32, Duration) = (800, Duration::from_secs(10));
pub(super) const DEVELOPMENT_BACKEND_RATE: (u32, Duration) = (80, Duration::from_secs(10));

/// The least life of a token that the Backend API mints: `expires_in_seconds` of its OpenAPI file.
pub(super) const LEAST_TOKEN_LIFETIME: Duration = Duration::from_secs(30);

/// Bounds that catch a mistake in a unit: no machine's memory holds more sessions, and no instance allows more calls.
pub(super) const MOST_SESSIONS: u64 = 100_000_000;
pub(super) const MOST_CALLS: u64 = 1_000_000;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn settings() -> Settings {
    Settings {
        session_ttl: HOUR,
        negative_ttl: Duration::from_secs(10),
        upstream_timeout: Duration::from_secs(5),
        max_sessions: 10_000,
        max_verified_tokens: 10_000,
        max_verified_api_keys: 10_000,
        // Clerk's limit for one address.
        sign_in_rate: Some((5, Duration::from_secs(10))),
        // Longer than Clerk's window by the time that answers take, so that an idle server lets in a burst of twice the
        // budget.
        sign_in_wait: Duration::from_secs(15),
        proof_renewal: true,
        keep_warm: None,
    }
}
