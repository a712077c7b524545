//! Making this server a device that Clerk knows, by hand and once per account (rule S10).

use std::fmt;

use zeroize::Zeroizing;

use super::Clerk;
use crate::clerk_api::fapi::{SecondFactor, SignedIn, Unfinished};
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::credentials::Credentials;
use crate::engine::rejections::{failure_of, from_api_error as of_sign_in};
use crate::key::{device_name, normalize_identifier};
use crate::limits::{NoPermit, Pause, PermitRequest, Share};
use crate::rejection::{Rejection, RejectionKind};
use crate::sessions::EndRequest;

const NOT_NEEDED: &str = "with a secret key no device has to be known: enrolment is for engines without one";

/// Strategies that somebody at a terminal can answer.
const ANSWERABLE: [&str; 4] = ["email_code", "phone_code", "totp", "backup_code"];

/// A sign-in by hand that makes this server a device which Clerk knows for an account. Made by [`Clerk::enroll`].
#[must_use = "nothing is enrolled until it is confirmed"]
pub struct Enrollment {
    clerk: Clerk,
    device_name: Zeroizing<String>,
    open: Option<Unfinished>,
    factors: Vec<EnrollmentFactor>,
}

/// A way to confirm an [`Enrollment`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrollmentFactor(SecondFactor);

impl EnrollmentFactor {
    /// Clerk's name of it: `email_code`, `phone_code`, `totp` or `backup_code`.
    #[must_use]
    pub fn strategy(&self) -> &str {
        &self.0.strategy
    }

    /// Where a code goes, as much as Clerk shows of it: `n***@example.com`. `None` where none is sent.
    #[must_use]
    pub fn sent_to(&self) -> Option<&str> {
        self.0.safe_identifier.as_deref()
    }

    /// Whether Clerk has to [send a code](Enrollment::send_code) first.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        matches!(self.strategy(), "email_code" | "phone_code")
    }
}

impl Clerk {
    /// Signs an account in by hand, so that Clerk's Device Trust knows this server as one of the account's devices.
    ///
    /// New Clerk instances ask for a code, sent to the user, where a password comes from a device that they haven't seen,
    /// and a server that signs users in by HTTP Basic is such a device each time. Done once per account, with the user
    /// there to tell the code, the device is remembered in the engine's
    /// [`device_store`](crate::ClerkBuilder::device_store), for 30 days after its last good use.
    ///
    /// **What it means:** whoever reaches this server with the account's password passes Device Trust from then on. It
    /// protects against a password that was stolen elsewhere; with the device enrolled it doesn't any more, by this way.
    ///
    /// ```no_run
    /// use tower_clerk::{Clerk, Credentials};
    /// use tower_clerk::store::DeviceFile;
    ///
    /// # fn ask_the_user() -> String { String::new() }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let clerk = Clerk::builder("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k")
    ///     .device_store(DeviceFile::open("/var/lib/app/devices")?)
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
    /// A [`Rejection`] as of [`authenticate`](Self::authenticate); [`RejectionKind::Misconfigured`] for an engine with a
    /// secret key, which needs no enrolment.
    pub async fn enroll(&self, credentials: &Credentials) -> Result<Enrollment, Rejection> {
        let sign_ins = &self.0.sign_ins;
        let Some(provider) = sign_ins.provider.frontend() else {
            return Err(Rejection::new(RejectionKind::Misconfigured).detail_of(NOT_NEEDED));
        };
        let identifier = sign_ins.secret.identifier(&normalize_identifier(credentials.identifier()));
        let now = sign_ins.clock.now();
        sign_ins.attempts.may_ask(identifier, now).map_err(|pause| match pause {
            Pause::Rejected => Rejection::new(RejectionKind::CredentialsRejected),
            Pause::Throttled(left) => Rejection::new(RejectionKind::Throttled).retry_after_at_least(left),
        })?;
        let permit_request =
            PermitRequest { share: Share::Untrusted, identifier, source: None, renewal: None };
        let mut permit =
            sign_ins.sign_in_limiter.permit(permit_request).await.map_err(|NoPermit { earliest }| {
                Rejection::new(RejectionKind::UpstreamRateLimited).retry_after_at_least(earliest)
            })?;
        permit.start();
        let mut time = self.time();
        match time.run(provider.fapi.begin(credentials, None)).await {
            Err(error) => {
                // It counts like any other sign-in (rules P2, P3).
                let now = sign_ins.clock.now();
                match error.class {
                    ErrorClass::Refused(refusal) => {
                        let failure = failure_of(refusal);
                        sign_ins.attempts.failed(identifier, failure, error.lockout_warning, now);
                    }
                    ErrorClass::RateLimited => _ = sign_ins.sign_in_limiter.rate_limited(error.retry_after),
                    _ => {}
                }
                Err(of_sign_in(&error))
            }
            Ok(Ok(signed_in)) => {
                let enrollment = Enrollment {
                    clerk: self.clone(),
                    device_name: device_name(credentials.identifier()),
                    open: None,
                    factors: Vec::new(),
                };
                enrollment.finish(&signed_in).await;
                Ok(enrollment)
            }
            Ok(Err(open)) => {
                let factors = open.factors.iter().filter(|factor| ANSWERABLE.contains(&&*factor.strategy));
                let factors: Vec<_> = factors.cloned().map(EnrollmentFactor).collect();
                if factors.is_empty() {
                    return Err(of_sign_in(&ApiError::coded(
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
    /// Whether the device is known and remembered. Then there is nothing left to confirm.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.open.is_none()
    }

    /// The ways to confirm it, as Clerk lists them.
    #[must_use]
    pub fn factors(&self) -> &[EnrollmentFactor] {
        &self.factors
    }

    /// Whether the *account* has a second factor, which Clerk asks for at each sign-in, whatever the device: enrolment
    /// doesn't change that, and HTTP Basic can't carry one.
    #[must_use]
    pub fn has_second_factor(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.device_trust)
    }

    /// Has Clerk send a code for this factor, by e-mail or text message. Nothing where none [is
    /// sent](EnrollmentFactor::is_sent).
    ///
    /// # Errors
    ///
    /// When Clerk can't be asked, or doesn't send one.
    pub async fn send_code(&self, factor: &EnrollmentFactor) -> Result<(), Rejection> {
        let (Some(open), true) = (&self.open, factor.is_sent()) else { return Ok(()) };
        let sent = self.clerk.time().run(self.clerk.0.fapi.prepare(open, &factor.0)).await;
        sent.map_err(|error| of_sign_in(&error))
    }

    /// Confirms it with the code, and remembers the device. The session that this makes at Clerk is ended.
    ///
    /// # Errors
    ///
    /// [`RejectionKind::CredentialsRejected`] where the code is wrong; it may be tried again. Clerk allows three tries in
    /// ten seconds.
    pub async fn confirm(&mut self, factor: &EnrollmentFactor, code: &str) -> Result<(), Rejection> {
        let Some(open) = &self.open else { return Ok(()) };
        let attempt = self.clerk.0.fapi.attempt(open, factor.strategy(), code.trim());
        let signed_in = self.clerk.time().run(attempt).await.map_err(|error| of_sign_in(&error))?;
        self.finish(&signed_in).await;
        self.open = None;
        Ok(())
    }

    async fn finish(&self, signed_in: &SignedIn) {
        let provider = &self.clerk.0.sign_ins.provider;
        // The client outlives its session, and it is what Clerk knows.
        let (session_id, client) =
            (signed_in.session_id.clone().into(), std::sync::Arc::clone(&signed_in.client));
        let request = EndRequest { session_id, client };
        if provider.end(&request, self.clerk.time()).await.is_err() {
            tracing::debug!(session_id = &*request.session_id, "the session of an enrolment was not ended");
        }
        if let Some(provider) = provider.frontend() {
            provider.devices.enroll(&self.device_name, &signed_in.user_id, &request.client);
        }
    }
}

impl fmt::Debug for Enrollment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enrollment").field("done", &self.is_done()).finish_non_exhaustive()
    }
}
