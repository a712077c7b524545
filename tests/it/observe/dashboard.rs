//! The dashboard, the alerts and the page on metrics name every metric that exists, and none that doesn't.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The characters that follow a metric's name in the text format of Prometheus.
const OF_HISTOGRAM: [&str; 3] = ["_bucket", "_count", "_sum"];

fn names(text: &str) -> BTreeSet<String> {
    let parts = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    let names = parts.filter(|part| part.starts_with("tower_clerk_"));
    names
        .map(|name| OF_HISTOGRAM.iter().find_map(|it| name.strip_suffix(it)).unwrap_or(name).to_owned())
        .collect()
}

/// The metrics of a source file: text in quotation marks that is one whole name.
fn emitted(file: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_default();
    let quoted = text.split('"').skip(1).step_by(2);
    let is_name = |text: &&str| {
        text.starts_with("tower_clerk_") && text.chars().all(|it| it.is_ascii_lowercase() || it == '_')
    };
    quoted.filter(is_name).map(str::to_owned).collect()
}

#[test]
fn o2_the_dashboard_and_the_page_have_every_metric_and_alerts_name_no_other() {
    let mut exist = emitted("src/engine/metrics.rs");
    exist.extend(emitted("src/counters/calls.rs"));
    assert!(exist.len() > 20, "{exist:?}");
    let of_mirror = emitted("sync/src/metrics.rs");
    // A published package has no mirror.
    if of_mirror.is_empty() {
        return;
    }
    exist.extend(of_mirror);
    for file in ["examples/grafana-dashboard.json", "docs/metrics.md"] {
        let shown = names(&fs::read_to_string(Path::new(ROOT).join(file)).unwrap());
        // The page also names the mirror's package, with a hyphen.
        let missing: Vec<_> = exist.difference(&shown).collect();
        let unknown: Vec<_> = shown.difference(&exist).collect();
        assert!(
            missing.is_empty() && unknown.is_empty(),
            "{file}: not shown {missing:?}, unknown {unknown:?}"
        );
    }
    let watched = names(&fs::read_to_string(Path::new(ROOT).join("examples/alerts.yml")).unwrap());
    let unknown: Vec<_> = watched.difference(&exist).collect();
    assert!(watched.len() > 5 && unknown.is_empty(), "alerts on {unknown:?}");
}
