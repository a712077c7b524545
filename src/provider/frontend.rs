//! The Frontend API's road: a password is proven by signing in with it.

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

/// See the [module's documentation](super).
pub(crate) struct Frontend {
    pub(crate) fapi: Arc<Fapi>,
    pub(crate) devices: Arc<Devices>,
    pub(crate) sign_in_limiter: Arc<SignInLimiter>,
    /// Of `GET /v1/client`, which is no sign-in.
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
        // A renewal never takes the known client: the session at hand hangs on it. From a client that Clerk hasn't
        // seen, either the sign-in is complete, or Device Trust says that the password is right.
        let device = if check.renewal { None } else { self.devices.get(check.device_name) };
        let answer = match device {
            None => self.sign_in(&check, None, time).await,
            Some(device) => self.sign_in_by_device(&check, device, permit, time).await,
        };
        answer.map(|signed_in| ProvenPassword {
            user_id: signed_in.user_id.clone(),
            at: signed_in.timing.left,
            identifiers: signed_in.identifiers.clone(),
            session: Some(OpenedSession::New(signed_in)),
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
                "Clerk's sign-in quota is spent: nobody signs in until the pause is over"
            );
        }
        answer
    }

    /// The live sessions of a client that Clerk knows.
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

    /// Signs in where there is a client that Clerk knows for this identifier. A session that hangs on it belongs to
    /// whoever proved a password for it: nothing that can't be proven may end it (rule S10).
    async fn sign_in_by_device(
        &self,
        check: &PasswordCheck<'_>,
        device: Device,
        permit: &mut SignInPermit,
        time: &mut TimeLeft,
    ) -> Result<SignedIn, ApiError> {
        let is_taken = match &device.state {
            DeviceState::Free => false,
            DeviceState::InUse(_) => true,
            // Over here, and about to be over at Clerk.
            DeviceState::Leaving(session_id) => {
                _ = time.run(self.fapi.end(session_id, &device.client)).await;
                false
            }
            // While look-ups pause, a fresh client may do: otherwise a request would ask nothing, and guesses count nowhere.
            DeviceState::Unknown if self.look_ups.left(self.clock.now()).is_some() => true,
            // A look costs no sign-in.
            DeviceState::Unknown => match self.sessions_of(&device.client, time).await {
                Ok(sessions) => !sessions.is_empty(),
                Err(error) if is_gone(&error) => {
                    self.devices.forget(check.device_name);
                    return self.sign_in(check, None, time).await;
                }
                Err(error) => return Err(error),
            },
        };
        if is_taken {
            return self.adopt_or_sign_in(check, &device, permit, time).await;
        }
        let answer = self.sign_in(check, Some(&device.client), time).await;
        match answer {
            // The identifier is somebody else's by now. The sign-in is good, the device isn't theirs.
            Ok(signed_in) if signed_in.user_id != device.user_id => {
                self.devices.forget(check.device_name);
                Ok(signed_in)
            }
            Err(error) if check.follows && error.class != ErrorClass::DeviceNotTrusted => Err(error),
            Err(error) if error.class == ErrorClass::SessionExists => {
                another(check, permit).await?;
                self.adopt_or_sign_in(check, &device, permit, time).await
            }
            Err(error) if is_gone(&error) => {
                self.devices.forget(check.device_name);
                another(check, permit).await?;
                self.sign_in(check, None, time).await
            }
            Err(error) if error.class == ErrorClass::DeviceNotTrusted => {
                self.devices.forget(check.device_name);
                Err(error)
            }
            answer => answer,
        }
    }

    /// There is a session on the known client: signs in from a fresh one, and where that proves the password and no
    /// more, goes on with the session that is there, or with the client where nothing is there any more.
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
            // Clerk has deleted the client, so it is no device any more.
            Err(gone) if is_gone(&gone) => {
                self.devices.forget(check.device_name);
                return Err(error);
            }
            answer => answer?,
        };
        if let DeviceState::InUse(held) = &device.state
            && !sessions.iter().any(|session| *session.session_id == *held.id)
        {
            // It was revoked at Clerk. The next mint for it will find that out as well.
            held.advance(SessionState::Gone);
        }
        if sessions.is_empty() {
            if check.follows || check.followed.load(Ordering::Relaxed) {
                return Err(error);
            }
            another(check, permit).await?;
            let answer = self.sign_in(check, Some(&device.client), time).await;
            let is_of_device = |signed_in: &SignedIn| signed_in.user_id == device.user_id;
            if !answer.as_ref().is_ok_and(is_of_device) {
                self.devices.forget(check.device_name);
            }
            return answer;
        }
        // A session that was taken back here is not gone on with, though Clerk has yet to be told.
        let is_ending = |session: &SignedIn| match &device.state {
            DeviceState::Leaving(id) => *session.session_id == **id,
            DeviceState::InUse(held) => *session.session_id == *held.id && held.state() != SessionState::Live,
            DeviceState::Free | DeviceState::Unknown => false,
        };
        if sessions.iter().any(is_ending) {
            return Err(ApiError::unavailable("session_ending"));
        }
        let of_user = sessions.into_iter().find(|session| session.user_id == device.user_id);
        // The fresh client has shown that the password is that of the identifier; whose session this is is told by the
        // identifiers that are verified for its user.
        let goes_by = |session: &SignedIn| {
            session.identifiers.iter().any(|known| *device_name(known) == *check.device_name)
        };
        of_user.filter(goes_by).ok_or_else(|| {
            // Somebody else's hangs on it: it is no device of this user's.
            self.devices.forget(check.device_name);
            error
        })
    }
}

/// A turn for a further sign-in, which is counted like any other. The turn of the first is over.
async fn another(check: &PasswordCheck<'_>, permit: &mut SignInPermit) -> Result<(), ApiError> {
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
