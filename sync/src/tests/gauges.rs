//! The figures that the mirror gives a recorder of metrics (rule Y7).

use std::collections::BTreeSet;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tower_clerk::backend::BackendClient;
use tower_clerk::testing::{FakeClerk, FakeUser};

use super::*;
use crate::lease::Lease;
use crate::support::each;
use crate::{Reconcile, ReconcileOutcome};

fn client(fake: &FakeClerk, key: &str) -> BackendClient {
    BackendClient::builder(key)
        .backend_url(fake.backend_url())
        .transport(fake.clone())
        .list_rate(80, Duration::from_secs(1))
        .build()
        .unwrap()
}

struct Metrics(PrometheusHandle);

impl Metrics {
    fn has(&self, line: &str) {
        let text = self.0.render();
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }

    fn lacks(&self, name: &str) {
        let text = self.0.render();
        assert!(!text.contains(name), "{name} in\n{text}");
    }
}

#[tokio::test]
async fn y7_every_metric_is_what_it_says() {
    each(async |database| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = Metrics(recorder.handle());
        let _local = metrics::set_default_local_recorder(&recorder);
        let fake = FakeClerk::builder().empty().no_rate_limit().build();
        let instance = client(&fake, &fake.secret_key()).instance().await.unwrap().value.id;
        let clock = Clock::starting_at(time(T));
        let mirror = Mirror::builder(&database.url).instance(&instance).clock(clock).connect().await.unwrap();
        events(&mirror, &metrics).await;
        runs(&mirror, &fake, &metrics).await;

        let text = metrics.0.render();
        let names = names(&text, |line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sync.md");
        // The package that is published has no page.
        if let Ok(page) = std::fs::read_to_string(page) {
            let of_page = self::names(&page, |line| line.strip_prefix("| `")?.split(['`', '{']).next());
            assert_eq!(names, of_page, "the page's table lists the metrics");
        }
    })
    .await;
}

async fn events(mirror: &Mirror, metrics: &Metrics) {
    let of = async |event_type: &str, id: &str, data: Json| {
        let json = json!({ "type": event_type, "data": data }).to_string();
        let message = Message { id, event_type, at: T - 7_000, instance: mirror.instance_id(), json: &json };
        mirror.receive(message).await
    };
    of("user.created", "msg_1", user("user_1", "Jane", T)).await.unwrap();
    of("user.created", "msg_1", user("user_1", "Jane", T)).await.unwrap();
    of("user.updated", "msg_2", user("user_1", "Jane", T - 1)).await.unwrap();
    of("user.updated", "msg_3", json!({ "id": "user_1" })).await.unwrap();
    of("session.created", "msg_4", json!({})).await.unwrap();
    let rename = async |from: &str, to: &str| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(mirror.pool()).await.unwrap();
    };
    rename("clerk_mirror_deliveries", "away").await;
    of("organization.created", "msg_5", organization("org_1", "Acme", T)).await.unwrap_err();
    rename("away", "clerk_mirror_deliveries").await;
    mirror.changes(0, 1).await.unwrap();
    mirror.tidy().await.unwrap();
    for (kind, outcome) in [
        ("user", "applied"),
        ("user", "duplicate"),
        ("user", "outdated"),
        ("user", "quarantined"),
        ("other", "ignored"),
        ("organization", "failed"),
    ] {
        metrics.has(&format!("tower_clerk_sync_events_total{{kind=\"{kind}\",outcome=\"{outcome}\"}} 1"));
    }
    metrics.has("tower_clerk_sync_last_event_timestamp_seconds 1899999993");
    metrics.has("tower_clerk_sync_quarantined 1");
    metrics.has("tower_clerk_sync_pending_changes 0");
    metrics.has("tower_clerk_sync_last_position 1");
    metrics.has("tower_clerk_sync_lease_held 0");
    // No run has ended yet, and a gauge of 0 would say that one found no difference.
    metrics.lacks("last_reconcile");
    metrics.lacks("drift");
}

async fn runs(mirror: &Mirror, fake: &FakeClerk, metrics: &Metrics) {
    fake.add_user(FakeUser::new("new@example.com"));
    let report = Reconcile::new(mirror.clone(), client(fake, &fake.secret_key())).run().await.unwrap();
    assert_eq!(report.outcome, ReconcileOutcome::DifferencesRemain, "{report}");
    let found = report.users.missing + report.users.extra;
    assert!(found > 0, "{report}");
    let lease = Lease::acquire(mirror).await.unwrap();
    mirror.tidy().await.unwrap();
    metrics.has("tower_clerk_sync_lease_held 1");
    metrics.has(&format!("tower_clerk_sync_drift{{kind=\"user\"}} {found}"));
    metrics.has(&format!("tower_clerk_sync_drift_remaining{{kind=\"user\"}} {found}"));
    metrics.has("tower_clerk_sync_drift{kind=\"membership\"} 0");
    metrics.has("tower_clerk_sync_last_reconcile_outcome{outcome=\"differences_remain\"} 1");
    metrics.has("tower_clerk_sync_last_reconcile_outcome{outcome=\"aborted\"} 0");
    let ended = "tower_clerk_sync_last_reconcile_timestamp_seconds 19000";
    assert!(metrics.0.render().contains(ended), "{}", metrics.0.render());
    lease.release().await.unwrap();

    // Later than the first run, by the clock of this mirror: Clerk doesn't tell its own.
    let later = mirror.after(100 * 366 * 86_400_000);
    let refused = client(fake, "sk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let report = Reconcile::new(later.clone(), refused).run().await.unwrap();
    assert_eq!(report.outcome, ReconcileOutcome::Aborted, "{report}");
    later.tidy().await.unwrap();
    metrics.has("tower_clerk_sync_last_reconcile_outcome{outcome=\"differences_remain\"} 0");
    metrics.has("tower_clerk_sync_last_reconcile_outcome{outcome=\"aborted\"} 1");
    // It has counted nothing.
    metrics.has(&format!("tower_clerk_sync_drift{{kind=\"user\"}} {found}"));
}

fn names<'a>(text: &'a str, name: impl Fn(&'a str) -> Option<&'a str>) -> BTreeSet<&'a str> {
    text.lines().filter_map(name).filter(|name| name.starts_with("tower_clerk_sync_")).collect()
}
