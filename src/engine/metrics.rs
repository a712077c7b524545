//! The counts of an engine through the `metrics` facade (rule O2). No label names a user, so the number of series is
//! fixed.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};

use super::Clerk;
use crate::limits::CircuitState;

impl Clerk {
    /// Publishes the counts of this engine to the program's [`metrics`](https://docs.rs/metrics) recorder.
    ///
    /// Call it before each scrape, or once a second if metrics are pushed. Requests are counted without the recorder,
    /// which would slow cache hits down, so its values are as old as the last call. The latency of calls to Clerk is
    /// the exception: the histogram `tower_clerk_upstream_seconds` is recorded with each call.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use tower_clerk::Clerk;
    ///
    /// # async fn example(clerk: Clerk) {
    /// Clerk::describe_metrics();
    /// tokio::spawn(async move {
    ///     let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ///     loop {
    ///         ticks.tick().await;
    ///         clerk.publish_metrics();
    ///     }
    /// });
    /// # }
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn publish_metrics(&self) {
        let stats = self.stats();
        for (outcome, count) in &stats.requests {
            let labels = [("outcome", outcome.name()), ("api", stats.api.name())];
            counter!("tower_clerk_requests_total", &labels).absolute(*count);
        }
        for (reason, count) in &stats.malformed {
            counter!("tower_clerk_malformed_total", "reason" => reason.name()).absolute(*count);
        }
        #[cfg(feature = "webhook")]
        for it in &stats.webhooks {
            let labels = [("event", it.event_type), ("outcome", it.outcome.name())];
            counter!("tower_clerk_webhooks_total", &labels).absolute(it.count);
        }
        let gauges = [
            ("tower_clerk_sessions", stats.sessions),
            ("tower_clerk_verified_tokens", stats.verified_tokens),
            ("tower_clerk_verified_api_keys", stats.verified_api_keys),
            ("tower_clerk_proven_api_keys", stats.proven_api_keys),
            ("tower_clerk_api_key_denials", stats.api_key_denials),
            ("tower_clerk_api_key_flights", stats.api_key_flights),
            ("tower_clerk_api_key_queue", stats.api_key_queue),
            ("tower_clerk_denials", stats.denials),
            ("tower_clerk_trusted_credentials", stats.trusted_credentials),
            ("tower_clerk_failing_subjects", stats.failing_subjects),
            ("tower_clerk_sign_in_flights", stats.sign_in_flights as u64),
            ("tower_clerk_mint_flights", stats.mint_flights as u64),
            ("tower_clerk_sign_in_queue", stats.sign_in_queue as u64),
            ("tower_clerk_sessions_ending", stats.ending as u64),
            ("tower_clerk_store_unwritten_revocations", stats.unwritten_revocations as u64),
            ("tower_clerk_max_users_per_address", stats.max_users_per_address.unwrap_or(0)),
            ("tower_clerk_max_active_users", stats.max_active_users.unwrap_or(0)),
        ];
        #[cfg(feature = "federation")]
        let gauges = gauges.into_iter().chain(assertion_gauges(&stats));
        for (name, value) in gauges {
            gauge!(name).set(value as f64);
        }
        #[cfg(feature = "redis")]
        if let Some(replica) = &stats.replica {
            gauge!("tower_clerk_replica_alone").set(if replica.is_alone { 1.0 } else { 0.0 });
            gauge!("tower_clerk_replica_members").set(f64::from(replica.replicas));
            gauge!("tower_clerk_replica_known_changes").set(replica.known_changes as f64);
            gauge!("tower_clerk_replica_undelivered_changes").set(replica.undelivered_changes as f64);
            counter!("tower_clerk_replica_unopenable_changes_total").absolute(replica.unopenable_changes);
        }
        counter!("tower_clerk_sessions_not_ended_total").absolute(stats.not_ended);
        counter!("tower_clerk_store_unopenable_records_total").absolute(stats.unopenable_records);
        counter!("tower_clerk_store_lost_records_total").absolute(stats.lost_records);
        for (circuit, state) in [
            ("sign_in", stats.sign_in_circuit),
            ("mint", stats.mint_circuit),
            ("api_key", stats.api_key_circuit),
            #[cfg(feature = "federation")]
            ("assertion", stats.assertion_circuit),
        ] {
            let open = if state == CircuitState::Open { 1.0 } else { 0.0 };
            gauge!("tower_clerk_circuit_open", "circuit" => circuit).set(open);
        }
    }

    /// Registers the help texts of the metrics with the program's recorder.
    ///
    /// Call it once, after the recorder is installed.
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn describe_metrics() {
        describe_counter!(
            "tower_clerk_requests_total",
            "Requests by outcome and API; they add up to all requests"
        );
        describe_counter!(
            "tower_clerk_malformed_total",
            "Requests with malformed credentials by reason; they add up to the outcome malformed"
        );
        #[cfg(feature = "webhook")]
        describe_counter!("tower_clerk_webhooks_total", "Webhooks by type of event and outcome");
        describe_histogram!(
            "tower_clerk_upstream_seconds",
            Unit::Seconds,
            "Calls to Clerk by operation and result"
        );
        describe_gauge!("tower_clerk_sessions", "Credentials that are served from the cache");
        describe_gauge!(
            "tower_clerk_verified_tokens",
            "Bearer tokens that are verified and have not expired"
        );
        describe_api_keys();
        #[cfg(feature = "federation")]
        describe_assertions();
        describe_gauge!("tower_clerk_denials", "Denials: refused credentials that are remembered");
        describe_gauge!(
            "tower_clerk_trusted_credentials",
            "Credentials with a trust record: Clerk has accepted them before"
        );
        describe_gauge!("tower_clerk_failing_subjects", "Identifiers and users with failed attempts");
        describe_gauge!(
            "tower_clerk_sign_in_flights",
            "Sign-ins in flight, including those that wait for a permit"
        );
        describe_gauge!("tower_clerk_mint_flights", "Mints in flight");
        describe_gauge!("tower_clerk_sign_in_queue", "Sign-ins that wait for a permit of the sign-in budget");
        describe_gauge!("tower_clerk_sessions_ending", "Sessions that wait to be ended at Clerk");
        describe_gauge!(
            "tower_clerk_max_users_per_address",
            "Users that one IP address can serve: sign-in budget times session_ttl, or times the lifetime of a Clerk \
             session with the Backend API; 0 without a budget"
        );
        describe_gauge!(
            "tower_clerk_max_active_users",
            "Users that can be active at a time on tokens of the Backend API: its budget times three quarters of the \
             token lifetime; 0 without the Backend API"
        );
        describe_counter!(
            "tower_clerk_sessions_not_ended_total",
            "Sessions that are left to expire at Clerk, because the end queue was full"
        );
        describe_store();
        #[cfg(feature = "redis")]
        describe_replicas();
        describe_gauge!(
            "tower_clerk_circuit_open",
            "1 while the circuit is open, because Clerk seems to be unavailable"
        );
    }
}

fn describe_store() {
    describe_gauge!(
        "tower_clerk_store_unwritten_revocations",
        "Revocations that a restart would undo, because the store's file refuses writes"
    );
    describe_counter!(
        "tower_clerk_store_unopenable_records_total",
        "Reads of records that could not be opened: damaged, changed, or of a later version"
    );
    describe_counter!(
        "tower_clerk_store_lost_records_total",
        "Login records that were not written, because too many waited for it"
    );
}

#[cfg(feature = "redis")]
fn describe_replicas() {
    describe_gauge!("tower_clerk_replica_alone", "1 while this replica can't use Redis; 0 without one");
    describe_gauge!(
        "tower_clerk_replica_members",
        "Replicas behind the same address, as this one knows them"
    );
    describe_gauge!(
        "tower_clerk_replica_known_changes",
        "Changes of the last 25 h that are kept, of 100,000"
    );
    describe_gauge!(
        "tower_clerk_replica_undelivered_changes",
        "Revocations and lifted refusals that the other replicas can't read of yet"
    );
    describe_counter!(
        "tower_clerk_replica_unopenable_changes_total",
        "Changes in Redis that could not be opened: forged, damaged, under another key, or of a later version"
    );
}

#[cfg(feature = "federation")]
fn assertion_gauges(stats: &super::stats::Stats) -> [(&'static str, u64); 4] {
    [
        ("tower_clerk_assertion_flights", stats.assertion_flights),
        ("tower_clerk_assertion_queue", stats.assertion_queue),
        ("tower_clerk_assertion_denials", stats.assertion_denials),
        ("tower_clerk_used_assertions", stats.used_assertions),
    ]
}

#[cfg(feature = "federation")]
fn describe_assertions() {
    describe_gauge!(
        "tower_clerk_assertion_flights",
        "Exchanges of assertions, also those that wait for a permit"
    );
    describe_gauge!(
        "tower_clerk_assertion_queue",
        "Assertions that wait for a permit to look their subjects up"
    );
    describe_gauge!("tower_clerk_assertion_denials", "Refused subjects and assertions that are remembered");
    describe_gauge!("tower_clerk_used_assertions", "Assertions of people that were used, of 100,000 at most");
}

fn describe_api_keys() {
    describe_gauge!("tower_clerk_verified_api_keys", "API keys that are held after their verification");
    describe_gauge!("tower_clerk_proven_api_keys", "API keys that Clerk has accepted within 7 days");
    describe_gauge!("tower_clerk_api_key_denials", "Refused API keys that are remembered");
    describe_gauge!(
        "tower_clerk_api_key_flights",
        "Verifications of API keys, also those that wait for a permit"
    );
    describe_gauge!("tower_clerk_api_key_queue", "Verifications of unknown API keys that wait for a permit");
}
