//! Enrollment: makes this server a known device of an account, interactively and once per account (rule S10).

use std::fmt;

use zeroize::Zeroizing;

use super::Clerk;
use crate::clerk_api::fapi::{SecondFactor, SignedIn, Unfinished};
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::credentials::Credentials;
use crate::engine::rejections::{failure_of, from_api_error};
use crate::key::{device_name, normalize_identifier};
use crate::limits::{NoPermit, Pause, PermitRequest, Share};
use crate::rejection::{Rejection, RejectionKind};
use crate::sessions::EndRequest;

const NOT_STORED: &str = "the device is enrolled at Clerk, but could not be stored here: the log says why";

const NOT_NEEDED: &str =
    "enrollment is for engines without a secret key: with one, Device Trust does not apply";

/// The strategies whose code a user can type in.
const ANSWERABLE: [&str; 4] = ["email_code", "phone_code", "totp", "backup_code"];

/// An interactive sign-in that makes this server a known device of an account, from [`Clerk::enroll`].
///
/// If [`is_done`](Self::is_done) returns true, Clerk asked for no code and nothing is left to do. Otherwise choose one
/// of the [`factors`](Self::factors), have Clerk [send a code](Self::send_code) if the factor needs that, and
/// [confirm](Self::confirm) it.
#[must_use = "the server is not enrolled until `confirm` succeeds"]
pub struct Enrollment {
    clerk: Clerk,
    device_name: Zeroizing<String>,
    open: Option<Unfinished>,
    factors: Vec<EnrollmentFactor>,
}

/// A way to confirm an [`Enrollment`], with a code that the user knows or receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrollmentFactor(SecondFactor);

impl EnrollmentFactor {
    /// Clerk's name of the factor: `email_code`, `phone_code`, `totp` or `backup_code`.
    #[must_use]
    pub fn strategy(&self) -> &str {
        &self.0.strategy
    }

    /// The address that a code is sent to, masked by Clerk: `n***@example.com`. `None` if no code is sent.
    #[must_use]
    pub fn sent_to(&self) -> Option<&str> {
        self.0.safe_identifier.as_deref()
    }

    /// Whether the code must be [sent](Enrollment::send_code) by Clerk first.
    #[must_use]
    pub fn needs_code_sent(&self) -> bool {
        matches!(self.strategy(), "email_code" | "phone_code")
    }
}

impl Clerk {
    /// Signs an account in interactively, so that Clerk's
    /// [Device Trust](https://clerk.com/docs/guides/protect/device-trust) knows this server as one of the account's
    /// devices.
    ///
    /// Clerk applications made after November 14, 2025 send a code to the user when a password comes from a device that
    /// they have not seen, and a server that signs users in by HTTP Basic is such a device. Without enrollment its
    /// requests are rejected with [`AccountActionRequired`](RejectionKind::AccountActionRequired). Call this once per
    /// account, from a command-line tool or a setup page, while the user is there to type the code in. The engine then
    /// remembers the device, also in its store (`ClerkBuilder::store`), for 30 days after the last successful
    /// sign-in. A server that has the same store open knows the device from then on.
    ///
    /// **Security:** afterwards, any client that has the account's password passes Device Trust through this server.
    /// Device Trust protects against passwords that were stolen elsewhere, and for this server it no longer does.
    ///
    /// ```no_run
    /// use tower_clerk::{Clerk, Credentials};
    /// use tower_clerk::store::SqliteStore;
    ///
    /// # fn ask_the_user() -> String { String::new() }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let clerk = Clerk::builder("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k")
    ///     .store(SqliteStore::open("/var/lib/app/clerk.db")?)
    ///     .build()?;
    /// let credentials = Credentials::new("jane@example.com", "correct horse battery staple")?;
    /// let mut enrollment = clerk.enroll(&credentials).await?;
    /// if let Some(factor) = enrollment.factors().first().cloned() {
    ///     enrollment.send_code(&factor).await?;
    ///     enrollment.confirm(&factor, &ask_the_user()).await?;
    /// }
    /// assert!(enrollment.is_done());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if Clerk refuses the credentials or cannot be called, as [`authenticate`](Self::authenticate)
    /// does, and if none of the account's factors can be confirmed by a code. For an engine with a secret key, which
    /// needs no enrollment, the kind is [`RejectionKind::Misconfigured`].
    pub async fn enroll(&self, credentials: &Credentials) -> Result<Enrollment, Rejection> {
        let sign_ins = &self.0.sign_ins;
        let Some(provider) = sign_ins.provider.frontend() else {
            return Err(Rejection::new(RejectionKind::Misconfigured).detail_of(NOT_NEEDED));
        };
        let identifier = sign_ins.secret.identifier(&normalize_identifier(credentials.identifier()));
        let (since, now) = (sign_ins.forgiven.now(), sign_ins.clock.now());
        sign_ins.failures.may_ask(identifier, now).map_err(|pause| match pause {
            Pause::Rejected(_) => Rejection::new(RejectionKind::CredentialsRejected),
            Pause::Throttled(left) => Rejection::new(RejectionKind::Throttled).with_retry_after(left),
        })?;
        let permit_request =
            PermitRequest { share: Share::Untrusted, identifier, source: None, renewal: None };
        let mut permit =
            sign_ins.sign_in_limiter.permit(permit_request).await.map_err(|NoPermit { earliest }| {
                Rejection::new(RejectionKind::UpstreamRateLimited).with_retry_after(earliest)
            })?;
        permit.start();
        let mut time = self.time();
        match time.run(provider.fapi.begin(credentials, None)).await {
            Err(error) => {
                // Otherwise enrollment would be a way to guess passwords (rules P2, P3).
                let now = sign_ins.clock.now();
                match error.class {
                    ErrorClass::Refused(refusal) => {
                        let failure = failure_of(refusal);
                        sign_ins.failures.failed(identifier, failure, error.lockout_warning, since, now);
                    }
                    ErrorClass::RateLimited => _ = sign_ins.sign_in_limiter.rate_limited(error.retry_after),
                    _ => {}
                }
                Err(from_api_error(&error))
            }
            Ok(Ok(signed_in)) => {
                let enrollment = Enrollment {
                    clerk: self.clone(),
                    device_name: device_name(credentials.identifier()),
                    open: None,
                    factors: Vec::new(),
                };
                enrollment.finish(&signed_in).await?;
                Ok(enrollment)
            }
            Ok(Err(open)) => {
                let factors = open.factors.iter().filter(|factor| ANSWERABLE.contains(&&*factor.strategy));
                let factors: Vec<_> = factors.cloned().map(EnrollmentFactor).collect();
                if factors.is_empty() {
                    return Err(from_api_error(&ApiError::coded(
                        ErrorClass::ActionRequired,
                        "no_answerable_factor",
                    )));
                }
                let device_name = device_name(credentials.identifier());
                Ok(Enrollment { clerk: self.clone(), device_name, open: Some(open), factors })
            }
        }
    }

    fn time(&self) -> TimeLeft {
        TimeLeft::new(self.0.settings.upstream_timeout, self.0.clock)
    }
}

impl Enrollment {
    /// Whether the server is enrolled, so that there is nothing left to confirm.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.open.is_none()
    }

    /// The ways to confirm the enrollment, in Clerk's order. Empty if it was done without a code.
    #[must_use]
    pub fn factors(&self) -> &[EnrollmentFactor] {
        &self.factors
    }

    /// Whether the *account* has a second factor, which Clerk asks for at each sign-in from any device.
    ///
    /// If so, enrollment does not help: HTTP Basic cannot carry a second factor, and requests are rejected with
    /// [`SecondFactorRequired`](RejectionKind::SecondFactorRequired).
    #[must_use]
    pub fn has_second_factor(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.device_trust)
    }

    /// Has Clerk send a code for this factor, by email or text message. Does nothing if the factor
    /// [needs none](EnrollmentFactor::needs_code_sent), or if the enrollment is done.
    ///
    /// # Errors
    ///
    /// Returns an error if Clerk cannot be called, or refuses to send a code.
    pub async fn send_code(&self, factor: &EnrollmentFactor) -> Result<(), Rejection> {
        let (Some(open), true) = (&self.open, factor.needs_code_sent()) else { return Ok(()) };
        let sent = self.clerk.time().run(self.clerk.0.fapi.prepare(open, &factor.0)).await;
        sent.map_err(|error| from_api_error(&error))
    }

    /// Confirms the enrollment with a code, and stores the device. The session that Clerk opens for it is ended.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`RejectionKind::CredentialsRejected`] if the code is wrong. Another code may be
    /// tried, [three times in 10 s](https://clerk.com/docs/guides/how-clerk-works/system-limits). The kind is
    /// [`RejectionKind::Internal`] if the device can't be stored, and another one if Clerk cannot be called.
    pub async fn confirm(&mut self, factor: &EnrollmentFactor, code: &str) -> Result<(), Rejection> {
        let Some(open) = &self.open else { return Ok(()) };
        let attempt = self.clerk.0.fapi.attempt(open, factor.strategy(), code.trim());
        let signed_in = self.clerk.time().run(attempt).await.map_err(|error| from_api_error(&error))?;
        self.open = None;
        self.finish(&signed_in).await
    }

    async fn finish(&self, signed_in: &SignedIn) -> Result<(), Rejection> {
        let provider = &self.clerk.0.sign_ins.provider;
        // Clerk remembers the client as the device, and the client outlives its session.
        let (session_id, client) =
            (signed_in.session_id.clone().into(), std::sync::Arc::clone(&signed_in.client));
        let request = EndRequest { session_id, client, records: Vec::new() };
        if provider.end(&request, self.clerk.time()).await.is_err() {
            tracing::debug!(
                session_id = &*request.session_id,
                "the session of an enrollment was not ended at Clerk"
            );
        }
        if let Some(provider) = provider.frontend()
            && !provider.devices.enroll(&self.device_name, &signed_in.user_id, &request.client).await
        {
            return Err(Rejection::new(RejectionKind::Internal).detail_of(NOT_STORED));
        }
        Ok(())
    }
}

impl fmt::Debug for Enrollment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrollment").field("done", &self.is_done()).finish_non_exhaustive()
    }
}
