//! Checks that go on while a server runs: whether its instance lets anyone sign in, and whether sign-ins have to wait.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tower_clerk::Clerk;
use tower_clerk::preflight::{Finding, FindingKind};

/// Why requests can't be answered at present; `None` while they can.
pub(crate) type Unready = watch::Sender<Option<String>>;

/// The time to the next check of an instance that no user can sign in to.
const CHECK_AGAIN: Duration = Duration::from_secs(30);

/// The time between two lines about sign-ins that wait.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Logs what is wrong with the instance, and checks again until nothing makes sign-ins impossible.
pub(crate) async fn findings(clerk: &Clerk, unready: &Unready) {
    let mut known: Vec<Finding> = Vec::new();
    loop {
        let found = clerk.preflight().await;
        for finding in found.iter().filter(|finding| !known.contains(finding)) {
            log(finding);
        }
        let wrong = found.iter().filter(|finding| is_misconfiguration(finding.kind()));
        let wrong = wrong.map(Finding::to_string).collect::<Vec<_>>().join("; ");
        unready.send_replace(Some(wrong).filter(|wrong| !wrong.is_empty()));
        if !found.iter().any(|finding| finding.kind().is_blocking()) {
            tracing::info!("preflight: users can sign in");
            return;
        }
        known = found;
        sleep(CHECK_AGAIN).await;
    }
}

fn log(finding: &Finding) {
    match finding.kind() {
        kind if kind.is_blocking() => tracing::error!("preflight: {finding}"),
        kind if kind.is_note() => tracing::info!("preflight: {finding}"),
        _ => tracing::warn!("preflight: {finding}"),
    }
}

/// Whether only the operator can mend this. An outage isn't such a finding: users who are signed in are served during
/// one, so a load balancer should go on sending requests.
fn is_misconfiguration(kind: FindingKind) -> bool {
    matches!(
        kind,
        FindingKind::NativeApiOff
            | FindingKind::PasswordsOff
            | FindingKind::DeviceAttestation
            | FindingKind::SecretKeyRefused
            | FindingKind::SecretKeyOfAnotherInstance
    )
}

/// Logs that sign-ins wait for a permit, so that a slow first request explains itself.
pub(crate) async fn waits(clerk: &Clerk) {
    let mut told: Option<Instant> = None;
    loop {
        sleep(Duration::from_secs(1)).await;
        let waiting = clerk.stats().sign_in_queue;
        if waiting > 0 && told.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
            tracing::info!(
                waiting,
                "sign-ins wait for their turn: Clerk allows an address 5 in 10 s, and SIGN_IN_RATE has the budget of \
                 this process"
            );
            told = Some(Instant::now());
        }
    }
}
