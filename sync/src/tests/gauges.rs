//! What the mirror tells a recorder of metrics (rule Y7).

use std::collections::BTreeSet;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
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

#[tokio::test]
async fn y7_every_metric_is_what_it_says() {
    each(async |database| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let _local = metrics::set_default_local_recorder(&recorder);
        let fake = FakeClerk::builder().empty().no_rate_limit().build();
        let clerk = client(&fake, &fake.secret_key());
        let instance = clerk.instance().await.unwrap().value.id;
        let clock = Clock::starting_at(time(T));
        let mirror = Mirror::builder(&database.url).instance(&instance).clock(clock).connect().await.unwrap();
        let of = async |event_type: &str, id: &str, data: Json| {
            let json = json!({ "type": event_type, "data": data }).to_string();
            let message = Message { id, event_type, at: T - 7_000, instance: Some(&instance), json: &json };
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

        let lines = || handle.render();
        let has = |line: &str| {
            let text = lines();
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        };
        let lacks = |name: &str| assert!(!lines().contains(name), "{name} in\n{}", lines());
        for (kind, outcome) in [
            ("user", "applied"),
            ("user", "duplicate"),
            ("user", "outdated"),
            ("user", "quarantined"),
            ("other", "ignored"),
            ("organization", "failed"),
        ] {
            has(&format!("tower_clerk_sync_events_total{{kind=\"{kind}\",outcome=\"{outcome}\"}} 1"));
        }
        has("tower_clerk_sync_last_event_timestamp_seconds 1899999993");
        has("tower_clerk_sync_quarantined 1");
        has("tower_clerk_sync_pending_changes 0");
        has("tower_clerk_sync_last_position 1");
        has("tower_clerk_sync_lease_held 0");
        // No run has ended yet, and a gauge of 0 would say that one found no difference.
        lacks("last_reconcile");
        lacks("drift");

        fake.add_user(FakeUser::new("new@example.com"));
        let report = Reconcile::new(mirror.clone(), clerk).run().await.unwrap();
        assert_eq!(report.outcome, ReconcileOutcome::DifferencesRemain, "{report}");
        let found = report.users.missing + report.users.extra;
        assert!(found > 0, "{report}");
        let lease = Lease::acquire(&mirror).await.unwrap();
        mirror.tidy().await.unwrap();
        has("tower_clerk_sync_lease_held 1");
        has(&format!("tower_clerk_sync_drift{{kind=\"user\"}} {found}"));
        has(&format!("tower_clerk_sync_drift_remaining{{kind=\"user\"}} {found}"));
        has("tower_clerk_sync_drift{kind=\"membership\"} 0");
        has("tower_clerk_sync_last_reconcile_outcome{outcome=\"differences_remain\"} 1");
        has("tower_clerk_sync_last_reconcile_outcome{outcome=\"aborted\"} 0");
        let ended = "tower_clerk_sync_last_reconcile_timestamp_seconds 19000";
        assert!(lines().contains(ended), "{}", lines());
        lease.release().await.unwrap();

        // Later than the first run, by the clock of this mirror: Clerk doesn't tell its own.
        let later = mirror.after(100 * 366 * 86_400_000);
        let refused = client(&fake, "sk_test_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let report = Reconcile::new(later.clone(), refused).run().await.unwrap();
        assert_eq!(report.outcome, ReconcileOutcome::Aborted, "{report}");
        later.tidy().await.unwrap();
        has("tower_clerk_sync_last_reconcile_outcome{outcome=\"differences_remain\"} 0");
        has("tower_clerk_sync_last_reconcile_outcome{outcome=\"aborted\"} 1");
        // It has counted nothing.
        has(&format!("tower_clerk_sync_drift{{kind=\"user\"}} {found}"));

        let text = lines();
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

fn names<'a>(text: &'a str, name: impl Fn(&'a str) -> Option<&'a str>) -> BTreeSet<&'a str> {
    text.lines().filter_map(name).filter(|name| name.starts_with("tower_clerk_sync_")).collect()
}
