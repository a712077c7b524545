//! Checks of the instance's settings (rule O3).

use std::fmt;
use std::time::Duration;

use super::Clerk;
use crate::clerk_api::fapi::Environment;
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::provider::Backend;
use crate::session::ClerkApi;

/// The lowest lockout threshold at which this crate stops asking Clerk before Clerk locks the account (rule P3). It is
/// the default of new instances: <https://clerk.com/docs/guides/protect/user-lockout>.
const MIN_LOCKOUT_THRESHOLD: u64 = 10;

/// A larger difference makes services refuse good tokens: Clerk's SDKs allow 5 s of clock skew by default.
const MAX_CLOCK_OFFSET: Duration = Duration::from_secs(5);

/// The kinds of [`Finding`].
///
/// [`is_blocking`](Self::is_blocking) tells the kinds that make sign-ins impossible, and [`is_note`](Self::is_note)
/// those that need no action. The others impair sign-ins and should be fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// The Frontend API cannot be reached, or its answer is not one of Clerk's. Blocking.
    Unreachable,
    /// The key set that tokens are verified with cannot be fetched or read. Blocking.
    NoKeys,
    /// The Backend API cannot be reached, or its answer is not one of Clerk's. Blocking.
    BackendUnreachable,
    /// The Backend API refuses the secret key. Blocking.
    SecretKeyRefused,
    /// The secret key and the publishable key belong to different instances. Blocking.
    SecretKeyOfAnotherInstance,
    /// The engine uses the Backend API, which does not enforce some protections of sign-ins. A note.
    NotEnforced,
    /// The Native API, which the engine signs in through, is off. Blocking.
    NativeApiOff,
    /// Sign-in with a password is off. Blocking.
    PasswordsOff,
    /// Native clients must attest their device, which a server cannot do. Blocking.
    DeviceAttestation,
    /// The instance is in maintenance mode.
    Maintenance,
    /// Clerk locks accounts after fewer failed attempts than the 10 that the failure counts of this crate are made for,
    /// so an attacker can lock an account through this server.
    LockoutThreshold,
    /// The wall clock of this machine differs from Clerk's by more than 5 s.
    Clock,
    /// The instance may have Device Trust, whose setting the Frontend API does not show. A note.
    DeviceTrust,
    /// The instance may send an email for each sign-in from a new device. A note.
    SignInEmails,
    /// The instance is in single-session mode, which does not affect this crate. A note.
    SingleSessionMode,
}

impl FindingKind {
    /// Whether sign-ins cannot work until this is fixed.
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

    /// Whether this is for information only: nothing is wrong with the instance.
    #[must_use]
    pub fn is_note(self) -> bool {
        matches!(self, Self::DeviceTrust | Self::SignInEmails | Self::SingleSessionMode | Self::NotEnforced)
    }
}

/// A problem with an instance's settings, or a note on them, from [`Clerk::preflight`].
///
/// Its `Display` output is one sentence for the operator, and says what to do. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    kind: FindingKind,
    text: String,
}

impl Finding {
    fn new(kind: FindingKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// The kind of the finding, for a program to act on.
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
    /// Checks the settings of the instance, and returns what the operator should know about them.
    ///
    /// Call it at the start of a program, and log the findings. A blocking finding need not stop the program: a Clerk
    /// that is unreachable now may be back when the first request comes. The check makes up to three calls to Clerk,
    /// each limited by [`upstream_timeout`](crate::ClerkBuilder::upstream_timeout), 5 s by default.
    ///
    /// ```no_run
    /// # async fn example(clerk: tower_clerk::Clerk) {
    /// for finding in clerk.preflight().await {
    ///     let level = if finding.kind().is_blocking() { "error" } else { "note" };
    ///     eprintln!("{level}: {finding}");
    /// }
    /// # }
    /// ```
    pub async fn preflight(&self) -> Vec<Finding> {
        let timeout = self.0.settings.upstream_timeout;
        let mut findings = match tokio::time::timeout(timeout, self.0.fapi.environment()).await {
            Ok(Ok(environment)) => self.findings_of_environment(&environment),
            Ok(Err(error)) => vec![finding_of_unreachable_api(&error)],
            Err(_) => vec![Finding::new(
                FindingKind::Unreachable,
                format!("Clerk's Frontend API didn't answer within {timeout:?}: check the network"),
            )],
        };
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
            findings.extend(self.finding_of_secret_key(provider).await);
        }
        findings
    }

    /// Checks that the secret key belongs to the instance: if it does, both APIs show the same key set.
    async fn finding_of_secret_key(&self, provider: &Backend) -> Option<Finding> {
        let mut time = TimeLeft::new(self.0.settings.upstream_timeout, self.0.clock);
        match provider.bapi.jwks(&mut time).await {
            Ok(keys) => (self.0.jwks.shares_a_key_with(&keys).await == Some(false)).then(|| {
                Finding::new(
                    FindingKind::SecretKeyOfAnotherInstance,
                    "the secret key and the publishable key are those of different instances: take both from the \
                     API keys page of one instance",
                )
            }),
            Err(error) if error.class == ErrorClass::Misconfigured => Some(Finding::new(
                FindingKind::SecretKeyRefused,
                "the Backend API refuses the secret key: copy it again from the API keys page of Clerk's dashboard",
            )),
            Err(error) => Some(Finding::new(
                FindingKind::BackendUnreachable,
                format!(
                    "the Backend API can't be called ({}): check its address and the network",
                    error.code.as_deref().unwrap_or("unknown")
                ),
            )),
        }
    }

    fn findings_of_environment(&self, environment: &Environment) -> Vec<Finding> {
        let mut findings: Vec<_> = findings_of_sign_in_settings(environment).collect();
        findings.extend(finding_of_lockout(environment));
        findings.extend(finding_of_clock(environment));
        match self.0.sign_ins.provider.api() {
            ClerkApi::Frontend => findings.extend(notes_on_frontend(environment)),
            ClerkApi::Backend => findings.push(note_on_backend()),
        }
        findings
    }
}

fn finding_of_unreachable_api(error: &ApiError) -> Finding {
    let text = match error.code.as_deref() {
        Some("host_invalid") => {
            "Clerk knows no instance at this address: check the publishable key".to_owned()
        }
        Some("no_connection") => {
            "no connection to Clerk's Frontend API: check the publishable key, the network, and that the system's root \
             certificates are installed (ca-certificates)"
                .to_owned()
        }
        code => format!(
            "Clerk's Frontend API doesn't tell the settings of the instance ({}): check the publishable key",
            code.unwrap_or("unknown")
        ),
    };
    Finding::new(FindingKind::Unreachable, text)
}

/// The settings that sign-ins depend on.
fn findings_of_sign_in_settings(environment: &Environment) -> impl Iterator<Item = Finding> {
    let settings = [
        (
            environment.native_api == Some(false),
            FindingKind::NativeApiOff,
            "the Native API is off: turn it on in Clerk's dashboard under Native applications",
        ),
        (
            environment.passwords == Some(false),
            FindingKind::PasswordsOff,
            "sign-in with password is off: turn it on in Clerk's dashboard under User & authentication",
        ),
        (
            environment.device_attestation.as_deref() == Some("enforced"),
            FindingKind::DeviceAttestation,
            "the instance enforces device attestation for native clients, which a server can't give: turn it off in \
             Clerk's dashboard under Native applications",
        ),
        (
            environment.maintenance == Some(true),
            FindingKind::Maintenance,
            "the instance is in maintenance mode",
        ),
    ];
    settings.into_iter().filter(|(applies, ..)| *applies).map(|(_, kind, text)| Finding::new(kind, text))
}

fn finding_of_lockout(environment: &Environment) -> Option<Finding> {
    let attempts = environment.lockout_after.filter(|attempts| *attempts < MIN_LOCKOUT_THRESHOLD)?;
    Some(Finding::new(
        FindingKind::LockoutThreshold,
        format!(
            "Clerk locks accounts after {attempts} failed attempts, which is before this server stops asking Clerk \
             about guesses: raise it to {MIN_LOCKOUT_THRESHOLD} in Clerk's dashboard under Attack protection"
        ),
    ))
}

fn finding_of_clock(environment: &Environment) -> Option<Finding> {
    let offset = environment.clock_off.filter(|offset| *offset > MAX_CLOCK_OFFSET)?;
    Some(Finding::new(
        FindingKind::Clock,
        format!(
            "this machine's clock differs from Clerk's by {} s: services that verify tokens by this clock will refuse \
             good ones; set it (NTP)",
            offset.as_secs()
        ),
    ))
}

fn note_on_backend() -> Finding {
    Finding::new(
        FindingKind::NotEnforced,
        "with the secret key, passwords are verified without a sign-in: Clerk's allow and block lists, its check for \
         compromised passwords, passwords that must be chosen anew and Clerk Protect are not enforced here",
    )
}

fn notes_on_frontend(environment: &Environment) -> impl Iterator<Item = Finding> {
    let device_trust = Finding::new(
        FindingKind::DeviceTrust,
        "Device Trust (on by default for applications made after 2025-11-14) can't be seen from here: if right \
         passwords are answered account_action_required, give the engine the secret key, or enroll this server for \
         the accounts (Clerk::enroll), or set bypass_client_trust for the users, or turn the rule off in Clerk's \
         dashboard under Protect",
    );
    let emails = Finding::new(
        FindingKind::SignInEmails,
        "each proof of a password is a sign-in at Clerk: if the instance mails its users about sign-ins from new \
         devices, turn that off for accounts of programs, or raise session_ttl",
    );
    let single_session = (environment.single_session_mode == Some(true)).then(|| {
        Finding::new(
            FindingKind::SingleSessionMode,
            "the instance is in single-session mode, which is fine: each sign-in here is a client of its own",
        )
    });
    [device_trust, emails].into_iter().chain(single_session)
}
