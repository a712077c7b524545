//! The findings of `Clerk::preflight` (rule O3).

use std::time::Duration;

use tower_clerk::preflight::{Finding, FindingKind};
use tower_clerk::testing::{Endpoint, FakeClerkBuilder, Fault};

use crate::common::World;

/// Returns the preflight findings for an instance with this configuration.
async fn found(change: impl FnOnce(FakeClerkBuilder) -> FakeClerkBuilder) -> Vec<Finding> {
    World::with(change, |engine| engine).clerk.preflight().await
}

#[track_caller]
fn check(findings: &[Finding], kind: FindingKind, words: &[&str]) {
    let finding = findings.iter().find(|finding| finding.kind() == kind);
    let text = finding.unwrap_or_else(|| panic!("no {kind:?} in {findings:?}")).to_string();
    for word in words {
        assert!(text.contains(word), "{kind:?} doesn't say {word:?}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn o3_preflight_explains_each_misconfiguration() {
    let off = found(|fake| fake.native_api(false)).await;
    check(&off, FindingKind::NativeApiOff, &["Native API", "dashboard"]);
    let off = found(|fake| fake.passwords(false)).await;
    check(&off, FindingKind::PasswordsOff, &["password is off", "dashboard"]);
    let early = found(|fake| fake.lockout(5, Duration::from_secs(3600))).await;
    check(&early, FindingKind::LockoutThreshold, &["after 5 failed attempts", "raise it to 10"]);
    let wrong = found(|fake| fake.clock_skew(3_600)).await;
    check(&wrong, FindingKind::Clock, &["clock", "3600 s", "NTP"]);
    let single = found(|fake| fake.single_session_mode(true)).await;
    check(&single, FindingKind::SingleSessionMode, &["single-session mode"]);
}

#[tokio::test(start_paused = true)]
async fn o3_preflight_says_what_to_do_about_device_trust_and_sign_in_emails() {
    let findings = found(|fake| fake).await;
    let ways_out = ["Clerk::enroll", "secret key", "bypass_client_trust", "dashboard"];
    check(&findings, FindingKind::DeviceTrust, &ways_out);
    check(&findings, FindingKind::SignInEmails, &["mails", "session_ttl"]);
    assert!(findings.iter().all(|finding| finding.kind().is_note()), "all findings are notes: {findings:?}");
}

#[tokio::test(start_paused = true)]
async fn o3_preflight_finds_an_unreachable_instance_and_missing_keys() {
    let world = World::new();
    world.fake.script_always(Endpoint::Environment, Fault::Refused);
    let findings = world.clerk.preflight().await;
    check(&findings, FindingKind::Unreachable, &["network", "root certificates"]);
    world.fake.clear_script(Endpoint::Environment);
    world.fake.script_always(Endpoint::Jwks, Fault::Status(503));
    check(&world.clerk.preflight().await, FindingKind::NoKeys, &["key set"]);
}
