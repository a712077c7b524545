//! Whether the instance is set up so that this can work (rule O3).

use std::fmt;
use std::time::Duration;

use super::Clerk;
use crate::clerk_api::fapi::Environment;
use crate::clerk_api::{ErrorClass, TimeLeft};
use crate::provider::Backend;
use crate::session::ClerkApi;

/// Failed attempts at which this crate has long stopped asking; an instance that locks sooner locks before that.
const ATTEMPTS_COUNTED_ON: u64 = 10;

/// A clock this far off makes verifiers downstream refuse tokens.
const CLOCK_OFF: Duration = Duration::from_secs(5);

/// What [`Clerk::preflight`] can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// The Frontend API can't be reached, or doesn't answer as Clerk does.
    Unreachable,
    /// The key set can't be fetched or read.
    NoKeys,
    /// The Backend API can't be reached, or doesn't answer as Clerk does.
    BackendUnreachable,
    /// The Backend API doesn't take the secret key.
    SecretKeyRefused,
    /// The secret key is another instance's than the publishable key.
    SecretKeyOfAnotherInstance,
    /// What Clerk enforces at sign-ins alone isn't enforced with the Backend API.
    NotEnforced,
    /// The Native API is off.
    NativeApiOff,
    /// Signing in with a password is off.
    PasswordsOff,
    /// Native clients must prove what device they run on.
    DeviceAttestation,
    /// The instance is in maintenance.
    Maintenance,
    /// Accounts are locked after fewer failures than this crate counts on.
    LockoutThreshold,
    /// This machine's clock is off.
    Clock,
    /// Device Trust can't be read from outside. Sign-ins that it stopped have been seen, or may come.
    DeviceTrust,
    /// The instance may send an e-mail for each sign-in from a new device.
    SignInEmails,
    /// One session per client.
    SingleSessionMode,
}

impl FindingKind {
    /// Whether sign-ins cannot work until it is mended; the others are worth knowing.
    #[must_use]
    pub fn is_blocking(self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::NoKeys
                | Self::BackendUnreachable
                | Self::SecretKeyRefused
                | Self::SecretKeyOfAnotherInstance
                | Self::NativeApiOff
                | Self::PasswordsOff
                | Self::DeviceAttestation
        )
    }

    /// Whether it is no more than something to know.
    #[must_use]
    pub fn is_note(self) -> bool {
        matches!(self, Self::DeviceTrust | Self::SignInEmails | Self::SingleSessionMode | Self::NotEnforced)
    }
}

/// Something about the instance that its operator should know, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    kind: FindingKind,
    text: String,
}

impl Finding {
    fn new(kind: FindingKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> FindingKind {
        self.kind
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Clerk {
    /// Asks Clerk how the instance is set up, and says in words what won't work and what to do about it.
    ///
    /// For the start of a program, as warnings: an instance that can't be reached now may be there when the first
    /// request comes.
    pub async fn preflight(&self) -> Vec<Finding> {
        let timeout = self.0.settings.upstream_timeout;
        let mut findings = Vec::new();
        match tokio::time::timeout(timeout, self.0.fapi.environment()).await {
            Ok(Ok(environment)) => self.on_failure(&environment, &mut findings),
            Ok(Err(error)) => findings.push(Finding::new(
                FindingKind::Unreachable,
                match error.code.as_deref() {
                    Some("host_invalid") => {
                        "Clerk knows no instance at this address: check the publishable key".to_owned()
                    }
                    Some("no_connection") => "no connection to Clerk's Frontend API: check the publishable key, \
                                              the network, and that the system's root certificates are installed \
                                              (ca-certificates)"
                        .to_owned(),
                    code => format!(
                        "Clerk's Frontend API doesn't say how the instance is set up ({}): check the publishable key",
                        code.unwrap_or("unknown")
                    ),
                },
            )),
            Err(_) => findings.push(Finding::new(
                FindingKind::Unreachable,
                format!("Clerk's Frontend API didn't answer within {timeout:?}: check the network"),
            )),
        }
        if !findings.iter().any(|finding| finding.kind == FindingKind::Unreachable)
            && let Err(error) = self.0.jwks.refresh().await
        {
            findings.push(Finding::new(
                FindingKind::NoKeys,
                format!(
                    "the instance's key set can't be used ({}): sign-ins will be answered 503 until it can",
                    error.code.as_deref().unwrap_or("unknown")
                ),
            ));
        }
        if let Some(provider) = self.0.sign_ins.provider.backend() {
            self.check_key(provider, &mut findings).await;
        }
        findings
    }

    /// Whether the secret key is one of this instance: then both APIs show the same keys.
    async fn check_key(&self, provider: &Backend, findings: &mut Vec<Finding>) {
        let mut time = TimeLeft::new(self.0.settings.upstream_timeout, self.0.clock);
        let (kind, text) = match provider.bapi.jwks(&mut time).await {
            Ok(keys) => match self.0.jwks.shares_a_key_with(&keys).await {
                Some(false) => (
                    FindingKind::SecretKeyOfAnotherInstance,
                    "the secret key is another instance's than the publishable key: take both from the API keys page of \
                     one instance"
                        .to_owned(),
                ),
                Some(true) | None => return,
            },
            Err(error) if error.class == ErrorClass::Misconfigured => (
                FindingKind::SecretKeyRefused,
                "the Backend API doesn't take the secret key: copy it again from the API keys page of Clerk's dashboard"
                    .to_owned(),
            ),
            Err(error) => (
                FindingKind::BackendUnreachable,
                format!(
                    "the Backend API can't be asked ({}): check its address and the network",
                    error.code.as_deref().unwrap_or("unknown")
                ),
            ),
        };
        findings.push(Finding::new(kind, text));
    }

    fn on_failure(&self, environment: &Environment, findings: &mut Vec<Finding>) {
        let mut find = |kind, text: String| findings.push(Finding::new(kind, text));
        if environment.native_api == Some(false) {
            find(
                FindingKind::NativeApiOff,
                "the Native API is off: turn it on in Clerk's dashboard under Native applications".to_owned(),
            );
        }
        if environment.passwords == Some(false) {
            find(
                FindingKind::PasswordsOff,
                "sign-in with password is off: turn it on in Clerk's dashboard under User & authentication"
                    .to_owned(),
            );
        }
        if environment.device_attestation.as_deref() == Some("enforced") {
            find(
                FindingKind::DeviceAttestation,
                "the instance enforces device attestation for native clients, which a server can't give: turn it off \
                 in Clerk's dashboard under Native applications"
                    .to_owned(),
            );
        }
        if environment.maintenance == Some(true) {
            find(FindingKind::Maintenance, "the instance is in maintenance mode".to_owned());
        }
        if let Some(attempts) = environment.lockout_after.filter(|attempts| *attempts < ATTEMPTS_COUNTED_ON) {
            find(
                FindingKind::LockoutThreshold,
                format!(
                    "accounts are locked after {attempts} failed attempts, before guesses are held back here: raise \
                     it to {ATTEMPTS_COUNTED_ON} in Clerk's dashboard under Attack protection"
                ),
            );
        }
        if let Some(off) = environment.clock_off.filter(|off| *off > CLOCK_OFF) {
            find(
                FindingKind::Clock,
                format!(
                    "this machine's clock differs from Clerk's by {} s: services that verify tokens by it will \
                     refuse good ones; set it (NTP)",
                    off.as_secs()
                ),
            );
        }
        if self.0.sign_ins.provider.api() == ClerkApi::Backend {
            find(
                FindingKind::NotEnforced,
                "with the secret key passwords are verified without a sign-in: Clerk's allow and block lists, its check \
                 for compromised passwords, passwords that must be chosen anew and Clerk Protect are not enforced here"
                    .to_owned(),
            );
            return;
        }
        find(
            FindingKind::DeviceTrust,
            "Device Trust (on by default for applications made after 2025-11-14) can't be seen from here: if right \
             passwords are answered account_action_required, give the engine the secret key, or enrol this server for \
             the accounts (Clerk::enroll), or set bypass_client_trust for the users, or turn the rule off in Clerk's \
             dashboard under Protect"
                .to_owned(),
        );
        find(
            FindingKind::SignInEmails,
            "each proof of a password is a sign-in at Clerk: if the instance mails its users about sign-ins from new \
             devices, turn that off for accounts of programs, or raise session_ttl"
                .to_owned(),
        );
        if environment.single_session_mode == Some(true) {
            find(
                FindingKind::SingleSessionMode,
                "the instance is in single-session mode: fine, each sign-in here is a client of its own"
                    .to_owned(),
            );
        }
    }
}
