//! The counts of an engine through the `metrics` facade (rule O2). No label holds a user, so the number of series is
//! fixed.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};

use super::Clerk;
use crate::limits::CircuitState;

impl Clerk {
    /// Hands the counts of this engine to the program's `metrics` recorder.
    ///
    /// Call it before each scrape, or each second where metrics are pushed: requests are counted without touching the
    /// recorder, because a hit has no time for it. The latency of calls to Clerk is recorded as they happen.
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn publish_metrics(&self) {
        let stats = self.stats();
        for (outcome, count) in &stats.requests {
            let labels = [("outcome", outcome.name()), ("api", stats.api.name())];
            counter!("tower_clerk_requests_total", &labels).absolute(*count);
        }
        let gauges = [
            ("tower_clerk_sessions", stats.sessions),
            ("tower_clerk_denials", stats.denials),
            ("tower_clerk_trusted_credentials", stats.trusted_credentials),
            ("tower_clerk_failing_subjects", stats.attempts),
            ("tower_clerk_sign_in_flights", stats.sign_in_flights as u64),
            ("tower_clerk_mint_flights", stats.mint_flights as u64),
            ("tower_clerk_sign_in_queue", stats.sign_in_queue as u64),
            ("tower_clerk_sessions_ending", stats.ending as u64),
            ("tower_clerk_users_per_address", stats.users_per_address.unwrap_or(0)),
            ("tower_clerk_active_users", stats.active_users.unwrap_or(0)),
        ];
        for (name, value) in gauges {
            gauge!(name).set(value as f64);
        }
        counter!("tower_clerk_sessions_not_ended_total").absolute(stats.not_ended);
        for (circuit, state) in [("sign_in", stats.sign_in_circuit), ("mint", stats.mint_circuit)] {
            let open = if state == CircuitState::Open { 1.0 } else { 0.0 };
            gauge!("tower_clerk_circuit_open", "circuit" => circuit).set(open);
        }
    }

    /// Gives the metrics their help texts. Once, after the recorder is installed.
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn describe_metrics() {
        describe_counter!(
            "tower_clerk_requests_total",
            "Requests by outcome and API; they add up to all requests"
        );
        describe_histogram!(
            "tower_clerk_upstream_seconds",
            Unit::Seconds,
            "Calls to Clerk by operation and result"
        );
        describe_gauge!("tower_clerk_sessions", "Live sessions held");
        describe_gauge!("tower_clerk_denials", "Refused credentials remembered");
        describe_gauge!(
            "tower_clerk_trusted_credentials",
            "Credentials that Clerk has accepted in the last 7 days"
        );
        describe_gauge!("tower_clerk_failing_subjects", "Identifiers and users with failed attempts");
        describe_gauge!("tower_clerk_sign_in_flights", "Sign-ins under way or waiting for their turn");
        describe_gauge!("tower_clerk_mint_flights", "Tokens being minted");
        describe_gauge!("tower_clerk_sign_in_queue", "Sign-ins that wait for their turn in the budget");
        describe_gauge!("tower_clerk_sessions_ending", "Sessions that wait to be ended at Clerk");
        describe_gauge!(
            "tower_clerk_users_per_address",
            "Users that one address can carry: sign-in budget times session_ttl, or times the life of a Clerk session \
             with the Backend API; 0 without a budget"
        );
        describe_gauge!(
            "tower_clerk_active_users",
            "Users that can be active at a time on tokens of the Backend API: its budget times three quarters of a \
             token's life; 0 without it"
        );
        describe_counter!(
            "tower_clerk_sessions_not_ended_total",
            "Sessions left to end by themselves at Clerk"
        );
        describe_gauge!("tower_clerk_circuit_open", "1 while Clerk is taken to be away");
    }
}
