//! The settings of an engine, fixed when it is built.

use std::time::Duration;

/// The settings that are plain values.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) session_ttl: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) upstream_timeout: Duration,
    pub(crate) max_sessions: u64,
    pub(crate) max_verified_tokens: u64,
    pub(crate) max_verified_api_keys: u64,
    pub(crate) sign_in_rate: Option<(u32, Duration)>,
    pub(crate) sign_in_wait: Duration,
    pub(crate) proof_renewal: bool,
    pub(crate) keep_warm: Option<Duration>,
}
