//! The Frontend API: signing in with a password proves it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::devices::{Device, DeviceState, Devices};
use super::{OpenedSession, PasswordCheck, ProvenPassword};
use crate::clerk_api::fapi::{Fapi, SignInWith, SignedIn};
use crate::clerk_api::{ApiError, ErrorClass, TimeLeft};
use crate::client_token::ClientSlot;
use crate::clock::Clock;
use crate::key::device_name;
use crate::limits::{CallKind, NoPermit, SharedBackoff, SignInLimiter, SignInPermit};
use crate::sessions::SessionState;

/// See the [module docs](self).
pub(crate) struct Frontend {
    pub(crate) fapi: Arc<Fapi>,
    pub(crate) devices: Arc<Devices>,
    pub(crate) sign_in_limiter: Arc<SignInLimiter>,
    /// The back-off of `GET /v1/client`, which is limited apart from sign-ins.
    look_ups: SharedBackoff,
    pub(super) mints: SharedBackoff,
    pub(super) clock: Clock,
}

impl Frontend {
    pub(crate) fn new(
        fapi: Arc<Fapi>,
        devices: Arc<Devices>,
        sign_in_limiter: Arc<SignInLimiter>,
        clock: Clock,
    ) -> Self {
        let (look_ups, mints) = (SharedBackoff::new(CallKind::LookUp), SharedBackoff::new(CallKind::Mint));
        Self { fapi, devices, sign_in_limiter, look_ups, mints, clock }
    }

    pub(super) async fn prove(
        &self,
        check: PasswordCheck<'_>,
        permit: &mut SignInPermit,
        time: &mut TimeLeft,
    ) -> Result<ProvenPassword, ApiError> {
        // Not when the session was looked up: an adopted one is looked up after Clerk has compared the password.
        let at = self.clock.now();
        // The live session belongs to the known client, so a renewal uses a fresh one. The sign-in then either
        // completes, or stops at Device Trust, which also proves the password.
        let device = if check.renewal { None } else { self.devices.get(check.device_name).await };
        let answer = match device {
            None => self.sign_in(&check, None, time).await,
            Some(device) => self.sign_in_by_device(&check, device, permit, time).await,
        };
        answer.map(|signed_in| ProvenPassword {
            user_id: signed_in.user_id.clone(),
            at,
            identifiers: signed_in.identifiers.clone(),
            session: Some(OpenedSession::New { signed_in, organization: None }),
        })
    }

    async fn sign_in(
        &self,
        check: &PasswordCheck<'_>,
        client: Option<&Arc<ClientSlot>>,
        time: &mut TimeLeft,
    ) -> Result<SignedIn, ApiError> {
        let answer = time.run(self.fapi.sign_in(SignInWith::Password(check.credentials), client)).await;
        if let Err(error) = &answer
            && error.class == ErrorClass::RateLimited
        {
            let pause = self.sign_in_limiter.rate_limited(error.retry_after);
            tracing::warn!(
                pause_secs = pause.as_secs(),
                "Clerk's sign-in quota is spent: no sign-in starts until the pause is over"
            );
        }
        answer
    }

    /// Looks up the live sessions of a known client.
    async fn sessions_of(
        &self,
        client: &Arc<ClientSlot>,
        time: &mut TimeLeft,
    ) -> Result<Vec<SignedIn>, ApiError> {
        let left = self.look_ups.left(self.clock.now());
        if left.is_some() {
            return Err(ApiError { retry_after: left, ..ApiError::coded(ErrorClass::NoPermit, "paused") });
        }
        let answer = time.run(self.fapi.sessions_of(client)).await;
        if let Err(error) = &answer
            && error.class == ErrorClass::RateLimited
        {
            self.look_ups.begin(error.retry_after, self.clock.now());
        }
        answer
    }

    /// Signs in with an identifier that has a known device.
    ///
    /// Clerk accepts no sign-in from a client that has a live session (400 `session_exists`). That session was opened
    /// with a proven password, so a sign-in that may be a guess must not end it (rule S10). The known client is
    /// therefore used only while it has no session.
    async fn sign_in_by_device(
        &self,
        check: &PasswordCheck<'_>,
        device: Device,
        permit: &mut SignInPermit,
        time: &mut TimeLeft,
    ) -> Result<SignedIn, ApiError> {
        let has_session = match &device.state {
            DeviceState::Free => false,
            DeviceState::InUse(_) => true,
            // The session is over here and its end is queued. Ending it now frees the client.
            DeviceState::Ending(session_id) => {
                _ = time.run(self.fapi.end(session_id, &device.client)).await;
                false
            }
            // In a pause of look-ups a fresh client is used, so that each guess still reaches Clerk and is counted
            // (rule P3).
            DeviceState::Unknown if self.look_ups.left(self.clock.now()).is_some() => true,
            // A look-up takes no permit.
            DeviceState::Unknown => match self.sessions_of(&device.client, time).await {
                Ok(sessions) => !sessions.is_empty(),
                Err(error) if is_gone(&error) => {
                    self.devices.forget(check.device_name);
                    return self.sign_in(check, None, time).await;
                }
                Err(error) => return Err(error),
            },
        };
        if has_session {
            return self.adopt_or_sign_in(check, &device, permit, time).await;
        }
        let answer = self.sign_in(check, Some(&device.client), time).await;
        match answer {
            // The identifier belongs to another user now. The sign-in is good, but the device must be forgotten.
            Ok(signed_in) if *signed_in.user_id != *device.user_id => {
                self.devices.forget(check.device_name);
                Ok(signed_in)
            }
            Err(error) if check.follows && error.class != ErrorClass::DeviceNotTrusted => Err(error),
            Err(error) if error.class == ErrorClass::SessionExists => {
                take_another_permit(check, permit).await?;
                self.adopt_or_sign_in(check, &device, permit, time).await
            }
            Err(error) if is_gone(&error) => {
                self.devices.forget(check.device_name);
                take_another_permit(check, permit).await?;
                self.sign_in(check, None, time).await
            }
            Err(error) if error.class == ErrorClass::DeviceNotTrusted => {
                self.devices.forget(check.device_name);
                Err(error)
            }
            answer => answer,
        }
    }

    /// Signs in with a fresh client, because the known one seems to have a session.
    ///
    /// If the answer only proves the password, adopts the session of the known client, or signs in with that client if
    /// it turns out to have none.
    async fn adopt_or_sign_in(
        &self,
        check: &PasswordCheck<'_>,
        device: &Device,
        permit: &mut SignInPermit,
        time: &mut TimeLeft,
    ) -> Result<SignedIn, ApiError> {
        let error = match self.sign_in(check, None, time).await {
            Err(error) if error.proves_password => error,
            answer => return answer,
        };
        let sessions = match self.sessions_of(&device.client, time).await {
            // Clerk has deleted the client.
            Err(gone) if is_gone(&gone) => {
                self.devices.forget(check.device_name);
                return Err(error);
            }
            answer => answer?,
        };
        if let DeviceState::InUse(held) = &device.state
            && !sessions.iter().any(|session| *session.session_id == *held.id)
        {
            // The session was revoked at Clerk, which its next mint would find out as well.
            held.advance(SessionState::Gone);
        }
        if sessions.is_empty() {
            if check.follows || check.followed.load(Ordering::Relaxed) {
                return Err(error);
            }
            take_another_permit(check, permit).await?;
            let answer = self.sign_in(check, Some(&device.client), time).await;
            let is_of_device = |signed_in: &SignedIn| *signed_in.user_id == *device.user_id;
            if !answer.as_ref().is_ok_and(is_of_device) {
                self.devices.forget(check.device_name);
            }
            return answer;
        }
        // A session that is ending must not be adopted, even if the end has not reached Clerk yet.
        let is_ending = |session: &SignedIn| match &device.state {
            DeviceState::Ending(id) => *session.session_id == **id,
            DeviceState::InUse(held) => *session.session_id == *held.id && held.state() != SessionState::Live,
            DeviceState::Free | DeviceState::Unknown => false,
        };
        if sessions.iter().any(is_ending) {
            return Err(ApiError::unavailable("session_ending"));
        }
        let of_user = sessions.into_iter().find(|session| *session.user_id == *device.user_id);
        // The sign-in has proven the password of the identifier, but not whose session this is. The session's user must
        // have the identifier verified.
        let has_identifier = |session: &SignedIn| {
            session.identifiers.iter().any(|known| *device_name(known) == *check.device_name)
        };
        of_user.filter(has_identifier).ok_or_else(|| {
            // The client has a session of another user, so it is not this user's device.
            self.devices.forget(check.device_name);
            error
        })
    }
}

/// Gives the permit of the first sign-in back, and takes one for the sign-in that follows from its answer (rule S5).
async fn take_another_permit(check: &PasswordCheck<'_>, permit: &mut SignInPermit) -> Result<(), ApiError> {
    permit.give_back();
    check.followed.store(true, Ordering::Relaxed);
    match check.sign_in_limiter.permit(check.permit_request).await {
        Ok(next) => {
            *permit = next;
            permit.start();
            Ok(())
        }
        Err(NoPermit { earliest }) => {
            let retry_after = Some(earliest.max(Duration::from_secs(1)));
            Err(ApiError { retry_after, ..ApiError::coded(ErrorClass::NoPermit, "sign_in_budget") })
        }
    }
}

fn is_gone(error: &ApiError) -> bool {
    matches!(error.class, ErrorClass::SessionGone | ErrorClass::NotFound)
}
