//! How a device becomes known to Clerk, and how requests from an unknown device are answered.

use std::time::Duration;

use crate::common::{BOB, JANE, NEWDEVICE, World, code, enroll, logged, rejection, rest};
use tower_clerk::testing::{Endpoint, Fault, RetryAfter};
use tower_clerk::{ClerkBuilder, Credentials, RejectionKind};

#[tokio::test(start_paused = true)]
async fn s10_an_unknown_device_is_refused_until_it_is_enrolled() {
    let world = World::with(|fake| fake, |engine| engine);
    let response = world.get(NEWDEVICE).await;
    assert_eq!(code(&response), "account_action_required");
    rest().await;
    enroll(&world, NEWDEVICE).await;
    assert_eq!(world.fake.live_sessions(), 0, "the session of the enrollment is ended");
    rest().await;
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
    assert_eq!(world.fake.count(Endpoint::PrepareSecondFactor), 1, "only the enrollment sends a code");
}

/// The denial ends however often the account was refused, and however long that is remembered.
#[tokio::test(start_paused = true)]
async fn k11_an_enrollment_ends_the_denial_of_an_unknown_device() {
    let world = World::with(|fake| fake, |engine| engine);
    for _ in 0..200 {
        assert_eq!(code(&world.get(NEWDEVICE).await), "account_action_required");
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let asked = world.fake.count(Endpoint::SignIns);
    assert!(asked < 12, "asked {asked} times");
    enroll(&world, NEWDEVICE).await;
    rest().await;
    assert_eq!(world.get(NEWDEVICE).await.status(), 200);
    // Denials for other reasons are still remembered.
    let expired = ("expired@example.com", "please choose a new one");
    world.fake.clear_log();
    for _ in 0..10 {
        assert_eq!(code(&world.get(expired).await), "account_action_required");
    }
    assert_eq!(world.fake.count(Endpoint::SignIns), 1);
}

/// A wrong password in an enrollment is counted like that of a sign-in.
#[tokio::test(start_paused = true)]
async fn p3_failed_enrollments_are_counted_and_a_429_pauses_sign_ins() {
    let world = World::unlimited();
    for guess in 0..20 {
        let credentials = Credentials::new(JANE.0, format!("guess {guess}")).unwrap();
        world.clerk.enroll(&credentials).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(world.fake.count(Endpoint::SignIns) <= 4, "asked {}", world.fake.count(Endpoint::SignIns));
    let limited = Fault::RateLimited { retry_after: RetryAfter::Seconds(30) };
    world.fake.script(Endpoint::SignIns, limited);
    let credentials = Credentials::new(NEWDEVICE.0, NEWDEVICE.1).unwrap();
    let refused = world.clerk.enroll(&credentials).await.unwrap_err();
    assert_eq!(refused.kind(), RejectionKind::UpstreamRateLimited);
    world.fake.clear_log();
    assert_eq!(code(&world.get(BOB).await), "upstream_rate_limited");
    assert_eq!(world.fake.count(Endpoint::SignIns), 0);
}

#[tokio::test(start_paused = true)]
async fn an_enrollment_does_not_replace_a_second_factor() {
    let world = World::with(|fake| fake, ClerkBuilder::unlimited_sign_ins);
    let credentials = Credentials::new("mfa@example.com", "second factor please").unwrap();
    let mut enrollment = world.clerk.enroll(&credentials).await.unwrap();
    assert!(enrollment.has_second_factor());
    let factor = enrollment.factors().iter().find(|factor| factor.strategy() == "totp").cloned().unwrap();
    assert!(!factor.needs_code_sent());
    enrollment.send_code(&factor).await.unwrap();
    let totp = world.fake.totp_code("mfa@example.com").unwrap();
    enrollment.confirm(&factor, &totp).await.unwrap();
    rest().await;
    assert_eq!(code(&world.get(("mfa@example.com", "second factor please")).await), "second_factor_required");
    let backend = World::backend();
    let refused = backend.clerk.enroll(&credentials).await.unwrap_err();
    assert_eq!(refused.kind(), RejectionKind::Misconfigured);
}

/// Only the operator can change the instance's settings, so advice on them goes to the log and not to the client.
#[tokio::test(start_paused = true)]
async fn a9_an_unknown_device_advises_the_client_in_the_answer_and_the_operator_in_the_log() {
    let world = World::with(|fake| fake, |engine| engine);
    let mut told = String::new();
    let log = logged(async {
        for _ in 0..3 {
            let response = world.get(NEWDEVICE).await;
            assert_eq!(code(&response), "account_action_required");
            told = rejection(&response).unwrap().detail().unwrap_or_default().to_owned();
            tokio::time::sleep(Duration::from_secs(11)).await;
        }
    })
    .await;
    for advice in ["secret key", "bypass_client_trust", "dashboard", "Clerk::enroll"] {
        assert!(!told.contains(advice), "{told}");
        assert!(log.contains(advice), "{advice}: {log}");
    }
    assert!(told.contains("operator"), "{told}");
    assert_eq!(log.matches("bypass_client_trust").count(), 1, "once a minute");
}
